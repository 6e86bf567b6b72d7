//! The schema that a table asks for: its configuration, and what the instance says of its columns.

use std::fmt;

use super::dictionary::{self, TableDescription};
use super::{RecordSchema, TableColumns, TypingOptions};
use crate::config::{OnTypeError, SchemaStyle, TableConfig};
use crate::servicenow::{Error, InstanceClient, table_api as requests};
use crate::stop::Stop;

/// Rows whose columns are taken where the dictionary is hidden.
const SAMPLE_ROWS: &str = "10";
/// What opens the dictionary.
const DICTIONARY_ACCESS_ADVICE: &str = "give the integration user read access to sys_db_object and sys_dictionary (role \
                     personalize_dictionary)";

/// A schema, and what was in the way of a better one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredSchema {
    /// The schema.
    pub schema: RecordSchema,
    /// Why there are no more columns than these; empty when all is well.
    pub notes: Vec<String>,
}

/// Why the schema of a table is not known.
#[derive(Debug)]
pub enum SchemaUnavailable {
    /// The instance could not be asked.
    Error(Error),
    /// Types are wanted, and this user may not see them; says what to do. A subject keeps the types it
    /// begins with, so texts in their place would stay when the right is given.
    Hidden(String),
}

impl fmt::Display for SchemaUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaUnavailable::Error(error) => {
                write!(f, "the columns of the table are not known: {error}")
            }
            SchemaUnavailable::Hidden(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SchemaUnavailable {}

impl From<Error> for SchemaUnavailable {
    fn from(error: Error) -> SchemaUnavailable {
        SchemaUnavailable::Error(error)
    }
}

/// The schema of a table whose configuration says everything: texts, and the names of the columns.
pub fn without_instance(table: &TableConfig) -> Option<RecordSchema> {
    let fields =
        requests::fetched_columns(table).filter(|_| table.schema.style == SchemaStyle::Strings)?;
    Some(RecordSchema::strings(&TableColumns::named(
        &table.name,
        fields,
    )))
}

/// The schema of a table. The dictionary is asked where types are wanted, or columns that are not
/// named; where it is hidden, some rows are, but types wait for it.
///
/// # Errors
/// The instance could not be asked, or does not show the types to this user.
pub fn desired_schema(
    client: &InstanceClient,
    table_api_path: &str,
    table: &TableConfig,
    stop: &Stop,
) -> Result<DesiredSchema, SchemaUnavailable> {
    if let Some(schema) = without_instance(table) {
        let notes = Vec::new();
        return Ok(DesiredSchema { schema, notes });
    }
    match dictionary::describe(client, table_api_path, &table.name, stop)? {
        TableDescription::Columns(columns) => {
            let columns = match requests::fetched_columns(table) {
                Some(fields) => columns.select(&fields),
                None => columns,
            };
            Ok(DesiredSchema {
                schema: styled(table, &columns),
                notes: Vec::new(),
            })
        }
        TableDescription::Hidden(why) if table.schema.style == SchemaStyle::Typed => {
            Err(SchemaUnavailable::Hidden(format!(
                "{why}, so the types of the columns are not known; {DICTIONARY_ACCESS_ADVICE}, or set \
                 `schema.style: strings`"
            )))
        }
        TableDescription::Hidden(why) => {
            let columns = of_rows(client, table_api_path, table, stop)?;
            let mut notes = vec![format!(
                "{why}; {DICTIONARY_ACCESS_ADVICE}, or the columns are those of some rows"
            )];
            if columns.list.is_empty() {
                let name = &table.name;
                notes.push(format!(
                    "table `{name}` has no row that can be read, so its columns are not known: \
                     name them in `fields`"
                ));
            }
            Ok(DesiredSchema {
                schema: RecordSchema::strings(&columns),
                notes,
            })
        }
    }
}

fn styled(table: &TableConfig, columns: &TableColumns) -> RecordSchema {
    if table.schema.style == SchemaStyle::Strings {
        return RecordSchema::strings(columns);
    }
    let typing = TypingOptions {
        decimals: table.schema.decimals,
        raw: table.schema.on_type_error == OnTypeError::StringField,
    };
    RecordSchema::typed(columns, &typing)
}

/// The columns of some rows: of one alone those are missing that the user may not read in it.
fn of_rows(
    client: &InstanceClient,
    table_api_path: &str,
    table: &TableConfig,
    stop: &Stop,
) -> Result<TableColumns, Error> {
    let mut params = vec![
        ("sysparm_limit", SAMPLE_ROWS.to_owned()),
        ("sysparm_exclude_reference_link", "true".to_owned()),
        ("sysparm_no_count", "true".to_owned()),
    ];
    params.extend(table.query.clone().map(|query| ("sysparm_query", query)));
    let get = requests::probe(table_api_path, &table.name, params);
    let (result, _) = client.get_result_once(&get, stop)?;
    let mut columns = TableColumns::named(&table.name, [""; 0]);
    for row in result.as_array().into_iter().flatten() {
        if let Some(more) = TableColumns::of_row(&table.name, row.to_string().as_bytes()) {
            columns.add(more);
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests;
