//! The schema that a table asks for: its configuration, and what the instance says of its columns.

use std::fmt;

use super::dictionary::{self, Described};
use crate::registry::{Part, Registry};
use super::{Columns, Decimals, Schema, Typing};
use crate::config::{self, OnTypeError, SchemaStyle, Table};
use crate::servicenow::{Client, Error, table_api as requests};
use crate::stop::Stop;

/// Rows whose columns are taken where the dictionary is hidden.
const ROWS: &str = "10";
/// What opens the dictionary.
const RIGHT: &str = "give the integration user read access to sys_db_object and sys_dictionary (role \
                     personalize_dictionary)";

/// A schema, and what was in the way of a better one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The schema.
    pub schema: Schema,
    /// Why there are no more columns than these; empty when all is well.
    pub notes: Vec<String>,
}

/// Why the schema of a table is not known.
#[derive(Debug)]
pub enum Unknown {
    /// The instance could not be asked.
    Error(Error),
    /// Types are wanted, and this user may not see them; says what to do. A subject keeps the types it
    /// begins with, so texts in their place would stay when the right is given.
    Hidden(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Error(error) => {
                write!(f, "the columns of the table are not known: {error}")
            }
            Unknown::Hidden(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Unknown {}

impl From<Error> for Unknown {
    fn from(error: Error) -> Unknown {
        Unknown::Error(error)
    }
}

/// The subject of a table's values.
pub fn subject(registry: &Registry, table: &Table) -> String {
    // The schema's name comes from the table alone.
    let name = Schema::strings(&Columns::named(&table.name, [""; 0])).full_name();
    registry.subject(&table.topic, Part::Value, Some(&name))
}

/// The schema of a table whose configuration says everything: texts, and the names of the columns.
pub fn without_instance(table: &Table) -> Option<Schema> {
    let fields = requests::fetched(table).filter(|_| table.schema.style == SchemaStyle::Strings)?;
    Some(Schema::strings(&Columns::named(&table.name, fields)))
}

/// The schema of a table. The dictionary is asked where types are wanted, or columns that are not
/// named; where it is hidden, some rows are, but types wait for it.
///
/// # Errors
/// The instance could not be asked, or does not show the types to this user.
pub fn wanted(
    client: &Client,
    table_api_path: &str,
    table: &Table,
    stop: &Stop,
) -> Result<Wanted, Unknown> {
    if let Some(schema) = without_instance(table) {
        let notes = Vec::new();
        return Ok(Wanted { schema, notes });
    }
    match dictionary::describe(client, table_api_path, &table.name, stop)? {
        Described::Columns(columns) => {
            let columns = match requests::fetched(table) {
                Some(fields) => columns.select(&fields),
                None => columns,
            };
            Ok(Wanted {
                schema: styled(table, &columns),
                notes: Vec::new(),
            })
        }
        Described::Hidden(why) if table.schema.style == SchemaStyle::Typed => {
            Err(Unknown::Hidden(format!(
                "{why}, so the types of the columns are not known; {RIGHT}, or set \
                 `schema.style: strings`"
            )))
        }
        Described::Hidden(why) => {
            let columns = of_rows(client, table_api_path, table, stop)?;
            let mut notes = vec![format!(
                "{why}; {RIGHT}, or the columns are those of some rows"
            )];
            if columns.list.is_empty() {
                let name = &table.name;
                notes.push(format!(
                    "table `{name}` has no row that can be read, so its columns are not known: \
                     name them in `fields`"
                ));
            }
            Ok(Wanted {
                schema: Schema::strings(&columns),
                notes,
            })
        }
    }
}

fn styled(table: &Table, columns: &Columns) -> Schema {
    if table.schema.style == SchemaStyle::Strings {
        return Schema::strings(columns);
    }
    let typing = Typing {
        decimals: match table.schema.decimals {
            config::Decimals::Bytes => Decimals::Bytes,
            config::Decimals::String => Decimals::Text,
        },
        raw: table.schema.on_type_error == OnTypeError::StringField,
    };
    Schema::typed(columns, &typing)
}

/// The columns of some rows: of one alone those are missing that the user may not read in it.
fn of_rows(
    client: &Client,
    table_api_path: &str,
    table: &Table,
    stop: &Stop,
) -> Result<Columns, Error> {
    let mut params = vec![
        ("sysparm_limit", ROWS.to_owned()),
        ("sysparm_exclude_reference_link", "true".to_owned()),
        ("sysparm_no_count", "true".to_owned()),
    ];
    params.extend(table.query.clone().map(|query| ("sysparm_query", query)));
    let get = requests::probe(table_api_path, &table.name, params);
    let (result, _) = client.get_result_once(&get, stop)?;
    let mut columns = Columns::named(&table.name, [""; 0]);
    for row in result.as_array().into_iter().flatten() {
        if let Some(more) = Columns::of_row(&table.name, row.to_string().as_bytes()) {
            columns.add(more);
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests;
