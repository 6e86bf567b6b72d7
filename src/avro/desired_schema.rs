//! The schema that a table should have, by its configuration and by the columns that the instance
//! shows. What is registered already plays no part in it.

use std::fmt;

use super::columns::TableColumns;
use super::dictionary::{self, TableDescription};
use super::model::RecordSchema;
use super::typed::TypingOptions;
use crate::config::{OnTypeError, SchemaStyle, TableConfig};
use crate::servicenow::{Error, InstanceClient, table_api};
use crate::stop::Stop;

/// How many rows are looked at for their columns where the dictionary is hidden.
const SAMPLE_ROWS: &str = "10";
/// What makes the dictionary visible.
const DICTIONARY_ACCESS_ADVICE: &str = "give the integration user read access to sys_db_object \
                                        and sys_dictionary (role personalize_dictionary)";

/// The schema that a table should have, and what is missing from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredSchema {
    /// The schema.
    pub schema: RecordSchema,
    /// Why the schema may lack columns or types; empty when it is complete.
    pub notes: Vec<String>,
}

/// Why it is not known which schema a table should have.
#[derive(Debug)]
pub enum SchemaUnavailable {
    /// The instance could not be asked.
    Error(Error),
    /// The configuration asks for types, and this user may not see them; the text says what to do. Texts
    /// in their place would stay when the user gets the right, because a subject keeps the types that
    /// it begins with.
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

/// The schema of a table whose configuration says everything: the names of the columns, and that all
/// are texts. `None`: the instance has to be asked.
pub fn without_instance(table: &TableConfig) -> Option<RecordSchema> {
    if table.schema.style != SchemaStyle::Strings {
        return None;
    }
    let columns = TableColumns::named(&table.name, table_api::fetched_columns(table)?);
    Some(RecordSchema::strings(&columns))
}

/// The schema that a table should have. The dictionary is asked where the configuration wants types or
/// does not name the columns. Where the dictionary is hidden, names of columns are taken from some
/// rows; types are not guessed.
///
/// # Errors
/// The instance could not be asked, or does not show types that are wanted to this user.
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
            let columns = match table_api::fetched_columns(table) {
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
            let columns = columns_of_some_rows(client, table_api_path, table, stop)?;
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

/// The columns of several rows together, because a row lacks the columns that the user may not read in
/// it.
fn columns_of_some_rows(
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
    let get = table_api::probe(table_api_path, &table.name, params);
    let (found, _) = client.get_rows_once(&get, stop)?;
    let mut columns = TableColumns::named(&table.name, [""; 0]);
    for row in &found.rows {
        let mut names: Vec<&str> = row.names().collect();
        names.sort_unstable();
        columns.add(TableColumns::named(&table.name, names));
    }
    Ok(columns)
}

#[cfg(test)]
mod tests;
