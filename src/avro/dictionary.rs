//! Asks the instance for the columns of a table.
//!
//! A table has the columns of every table that it extends. So the chain of parents (`super_class`) is
//! followed in `sys_db_object`, then `sys_dictionary` is asked for the columns of all of them. Both
//! tables need rights that an integration user often lacks. Without them the instance leaves rows out
//! and says nothing.

use std::collections::{BTreeMap, HashMap};
use std::io;

use serde::Deserialize;
use serde_json::Value;

use super::columns::{ChoiceEntry, TableColumn, TableColumns};
use crate::servicenow::{Error, InstanceClient, InstanceFailure, ReadRequest, table_api};
use crate::stop::Stop;

/// Rows of a page of these tables.
const DICTIONARY_PAGE_ROWS: usize = 1000;
/// Most pages that are read of one of these tables. A table has some hundred columns.
const MAX_DICTIONARY_PAGES: usize = 100;
/// Longest chain of tables. The longest chains of the platform have about ten.
const MAX_TABLE_CHAIN: usize = 30;

/// The instance's description of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableDescription {
    /// Its columns, sorted by name, so that the order is the same on every instance.
    Columns(TableColumns),
    /// This user may not see the description; the text says what is hidden. The columns are then the
    /// configured `fields` ([`TableColumns::named`]) or those of some rows ([`TableColumns::of_row`]).
    Hidden(String),
}

/// Asks for the columns of `table`, including those of its parents.
///
/// ```no_run
/// use servicenow_kafka_bridge::avro::dictionary::{self, TableDescription};
/// use servicenow_kafka_bridge::avro::{RecordSchema, TableColumns, TypingOptions};
///
/// # fn ask(client: &servicenow_kafka_bridge::servicenow::InstanceClient,
/// #     stop: &servicenow_kafka_bridge::stop::Stop, fields: &[String])
/// #     -> Result<RecordSchema, servicenow_kafka_bridge::servicenow::Error> {
/// let described = dictionary::describe(client, "/api/now/table", "incident", stop)?;
/// Ok(match described {
///     TableDescription::Columns(columns) => {
///         RecordSchema::typed(&columns.select(fields), &TypingOptions::default())
///     }
///     TableDescription::Hidden(_why) => {
///         RecordSchema::strings(&TableColumns::named("incident", fields))
///     }
/// })
/// # }
/// ```
///
/// # Errors
/// The instance could not be asked. That it refuses this user is no error but
/// [`TableDescription::Hidden`].
pub fn describe(
    client: &InstanceClient,
    table_api_path: &str,
    table: &str,
    stop: &Stop,
) -> Result<TableDescription, Error> {
    let asking = DictionaryReader {
        client,
        table_api_path,
        stop,
    };
    let described = asking
        .chain(table)
        .and_then(|chain| asking.columns(table, &chain));
    match described {
        Ok(columns) => Ok(TableDescription::Columns(columns)),
        Err(DictionaryError::Hidden(why)) => Ok(TableDescription::Hidden(why)),
        Err(DictionaryError::Error(error)) => match error.cause() {
            Some(cause) if is_refusal(&error) => Ok(TableDescription::Hidden(format!(
                "sys_db_object or sys_dictionary cannot be read ({cause})"
            ))),
            _ => Err(error),
        },
    }
}

enum DictionaryError {
    Hidden(String),
    Error(Error),
}

impl From<Error> for DictionaryError {
    fn from(error: Error) -> DictionaryError {
        DictionaryError::Error(error)
    }
}

/// Whether the instance itself has refused this user, or has said that it has no such table. A 404 of a
/// gateway on the way says neither.
fn is_refusal(error: &Error) -> bool {
    match error.cause() {
        Some(InstanceFailure::Forbidden { .. }) => true,
        Some(InstanceFailure::NotFound { .. } | InstanceFailure::BadRequest { .. }) => {
            error.is_api_verdict()
        }
        _ => false,
    }
}

/// A row of `sys_db_object`.
#[derive(Deserialize)]
struct DbObjectRow {
    #[serde(default)]
    name: TextValue,
    #[serde(default)]
    label: TextValue,
    #[serde(default)]
    super_class: TextValue,
}

/// A row of `sys_dictionary`.
#[derive(Deserialize)]
struct DictionaryRow {
    name: TextValue,
    element: TextValue,
    #[serde(default)]
    column_label: TextValue,
    #[serde(default)]
    internal_type: TextValue,
    #[serde(default)]
    reference: TextValue,
    #[serde(default)]
    max_length: TextValue,
    #[serde(default)]
    attributes: TextValue,
}

/// A row of `sys_choice`.
#[derive(Deserialize)]
struct ChoiceRow {
    name: TextValue,
    element: TextValue,
    value: TextValue,
    #[serde(default)]
    label: TextValue,
    #[serde(default)]
    sequence: TextValue,
}

/// A value that is a text, or an object that has the text as its member `value`.
#[derive(Default)]
struct TextValue(String);

impl<'de> Deserialize<'de> for TextValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<TextValue, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let value = value.get("value").unwrap_or(&value);
        Ok(TextValue(match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }))
    }
}

struct DictionaryReader<'a> {
    client: &'a InstanceClient,
    table_api_path: &'a str,
    stop: &'a Stop,
}

impl DictionaryReader<'_> {
    /// Names and labels of the table and of those that it extends, up to the root.
    fn chain(&self, table: &str) -> Result<Vec<(String, String)>, DictionaryError> {
        let mut chain: Vec<(String, String)> = Vec::new();
        let mut query = format!("name={table}");
        while chain.len() < MAX_TABLE_CHAIN {
            let found: Vec<DbObjectRow> = self.page("sys_db_object", &query, DB_OBJECT_FIELDS)?;
            let Some(class) = found.into_iter().next() else {
                return Err(DictionaryError::Hidden(format!(
                    "sys_db_object shows no row for `{table}` or a table that it extends"
                )));
            };
            let again = chain.iter().any(|(name, _)| *name == class.name.0);
            if again || class.name.0.is_empty() {
                break;
            }
            chain.push((class.name.0, class.label.0));
            let TextValue(parent) = class.super_class;
            // The identifier becomes a part of a query, so nothing else may be in it.
            if parent.is_empty() || !parent.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                break;
            }
            query = format!("sys_id={parent}");
        }
        Ok(chain)
    }

    fn columns(
        &self,
        table: &str,
        chain: &[(String, String)],
    ) -> Result<TableColumns, DictionaryError> {
        let names: Vec<&str> = chain.iter().map(|(name, _)| name.as_str()).collect();
        let query = format!("nameIN{}^elementISNOTEMPTY^active=true", names.join(","));
        let entries: Vec<DictionaryRow> =
            self.pages("sys_dictionary", &query, DICTIONARY_FIELDS)?;
        // Where two tables of the chain describe a column, the one nearer to the table counts.
        let distance = |name: &str| names.iter().position(|known| *known == name);
        let mut found: BTreeMap<String, (usize, TableColumn)> = BTreeMap::new();
        for entry in entries {
            let Some(distance) = distance(&entry.name.0) else {
                continue;
            };
            let nearer = found.get(&entry.element.0);
            if nearer.is_none_or(|(other, _)| distance < *other) {
                let column = column(entry);
                found.insert(column.name.clone(), (distance, column));
            }
        }
        if found.is_empty() {
            return Err(DictionaryError::Hidden(format!(
                "sys_dictionary shows no column of `{table}`"
            )));
        }
        let mut choices = self.choices(&names)?;
        let list = found.into_values().map(|(_, mut column)| {
            column.choices = choices.remove(&column.name).unwrap_or_default();
            column
        });
        Ok(TableColumns {
            table: table.to_owned(),
            label: chain
                .first()
                .map(|(_, label)| label.clone())
                .unwrap_or_default(),
            list: list.collect(),
        })
    }

    /// The choice lists by column; of several tables that have a list for a column the nearest counts.
    /// They only describe, so a user who may not see them gets a schema without them.
    fn choices(
        &self,
        names: &[&str],
    ) -> Result<HashMap<String, Vec<ChoiceEntry>>, DictionaryError> {
        let query = format!("nameIN{}^language=en^inactive=false", names.join(","));
        let options: Vec<ChoiceRow> = match self.pages("sys_choice", &query, CHOICE_FIELDS) {
            Ok(options) => options,
            Err(DictionaryError::Error(error)) if !is_refusal(&error) => return Err(error.into()),
            Err(_) => Vec::new(),
        };
        let mut lists: HashMap<String, (usize, Vec<(i64, ChoiceEntry)>)> = HashMap::new();
        for option in options {
            let Some(distance) = names.iter().position(|name| *name == option.name.0) else {
                continue;
            };
            let list = lists
                .entry(option.element.0)
                .or_insert((distance, Vec::new()));
            if distance < list.0 {
                *list = (distance, Vec::new());
            }
            if distance == list.0 {
                let (value, label) = (option.value.0, option.label.0);
                list.1.push((
                    option.sequence.0.parse().unwrap_or(0),
                    ChoiceEntry { value, label },
                ));
            }
        }
        let sorted = lists.into_iter().map(|(element, (_, mut list))| {
            list.sort_by(|a, b| (a.0, &a.1.value).cmp(&(b.0, &b.1.value)));
            (
                element,
                list.into_iter().map(|(_, choice)| choice).collect(),
            )
        });
        Ok(sorted.collect())
    }

    /// All rows of a query, page by page. Each page begins behind the last identifier of the one before,
    /// so rows that come or go meanwhile do not shift the others.
    fn pages<T: for<'de> Deserialize<'de>>(
        &self,
        table: &str,
        query: &str,
        fields: &str,
    ) -> Result<Vec<T>, DictionaryError> {
        let mut all = Vec::new();
        let mut last = String::new();
        for _ in 0..MAX_DICTIONARY_PAGES {
            let behind = match last.as_str() {
                "" => format!("{query}^ORDERBYsys_id"),
                last => format!("{query}^sys_id>{last}^ORDERBYsys_id"),
            };
            let page: Vec<WithSysId<T>> = self.page(table, &behind, fields)?;
            // A page may be shorter than its limit, because access rules hide rows after the limit was
            // applied, so a short page is not the end. One without rows is taken for it.
            let end = match page.last() {
                Some(row) if row.sys_id.0 > last && !row.sys_id.0.contains('^') => {
                    row.sys_id.0.clone()
                }
                _ => String::new(),
            };
            all.extend(page.into_iter().map(|row| row.row));
            if end.is_empty() {
                break;
            }
            last = end;
        }
        Ok(all)
    }

    fn page<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        query: &str,
        fields: &str,
    ) -> Result<Vec<T>, DictionaryError> {
        let params = vec![
            ("sysparm_query", query.to_owned()),
            ("sysparm_fields", fields.to_owned()),
            ("sysparm_limit", DICTIONARY_PAGE_ROWS.to_string()),
            ("sysparm_display_value", "false".to_owned()),
            ("sysparm_exclude_reference_link", "true".to_owned()),
            ("sysparm_suppress_pagination_header", "true".to_owned()),
            ("sysparm_no_count", "true".to_owned()),
        ];
        let request: ReadRequest<'static> = table_api::probe(self.table_api_path, name, params);
        let (result, _) = self.client.get_result_once(&request, self.stop)?;
        let Value::Array(rows) = result else {
            let wrong = io::Error::new(io::ErrorKind::InvalidData, "`result` is no list");
            return Err(self.client.body_error(&wrong, &request.what).into());
        };
        // A row that lacks columns that were asked for is one that the user may not read.
        let rows = rows
            .into_iter()
            .filter_map(|row| serde_json::from_value(row).ok());
        Ok(rows.collect())
    }
}

const DB_OBJECT_FIELDS: &str = "name,label,super_class";
const DICTIONARY_FIELDS: &str =
    "sys_id,name,element,column_label,internal_type,reference,max_length,attributes";
const CHOICE_FIELDS: &str = "sys_id,name,element,value,label,sequence";

#[derive(Deserialize)]
struct WithSysId<T> {
    sys_id: TextValue,
    #[serde(flatten)]
    row: T,
}

fn column(entry: DictionaryRow) -> TableColumn {
    let mut attributes = entry.attributes.0.split(',');
    let scale = attributes.find_map(|attribute| attribute.trim().strip_prefix("scale="));
    TableColumn {
        name: entry.element.0,
        internal_type: entry.internal_type.0,
        label: entry.column_label.0,
        reference: Some(entry.reference.0).filter(|table| !table.is_empty()),
        max_length: entry.max_length.0.parse().ok(),
        scale: scale.and_then(|digits| digits.parse().ok()),
        choices: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use servicenow_sim::{Options, Sim, Table};

    use super::*;
    use crate::health::Health;
    use crate::metrics::Metrics;
    use crate::stop;

    fn ask(sim: &Sim, table: &str) -> TableDescription {
        let user = sim.options().users.first().unwrap();
        let text = format!(
            "servicenow:\n  base_url: {}\n  max_retries: 1\n  auth:\n    type: basic\n    basic:\n      \
             username: {}\n      password: {}\nkafka:\n  brokers: [localhost:9]\n\
             source:\n  enabled: true\n  topic_prefix: x\n  tables:\n    - name: incident\n",
            sim.url(),
            user.name,
            user.password
        );
        let config = crate::config::parse(&text, &|_| None).unwrap().0;
        let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
        let client = InstanceClient::start(&config.servicenow, &metrics, &health).unwrap();
        let (_trigger, stop) = stop::pair();
        describe(&client, "/api/now/table", table, &stop).unwrap()
    }

    #[test]
    fn a_table_has_the_columns_of_its_parents() {
        let sim = Sim::start(Options::default()).unwrap();
        let TableDescription::Columns(columns) = ask(&sim, "incident") else {
            panic!("hidden");
        };
        assert_eq!(
            (columns.table.as_str(), columns.label.as_str()),
            ("incident", "Incident")
        );
        let names: Vec<&str> = columns.list.iter().map(|c| c.name.as_str()).collect();
        assert!(names.is_sorted());
        let column = |name: &str| columns.find(name).unwrap();
        assert_eq!(column("sys_id").internal_type, "GUID");
        assert_eq!(column("caller_id").reference.as_deref(), Some("sys_user"));
        assert_eq!(column("opened_at").internal_type, "glide_date_time");
        assert_eq!(column("u_cost").internal_type, "decimal");
        let state = column("state");
        assert_eq!(
            (state.internal_type.as_str(), state.label.as_str()),
            ("integer", "State")
        );
        assert_eq!(state.choices.len(), 5);
        assert_eq!(state.choices[0].label, "New");
        // Two pages.
        let names: Vec<String> = (0..1_200).map(|n| format!("u_{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        sim.create_table(Table::new("u_wide").extends("task").texts(&names))
            .unwrap();
        let TableDescription::Columns(wide) = ask(&sim, "u_wide") else {
            panic!("hidden");
        };
        assert!(wide.find("u_1199").is_some() && wide.find("work_notes").is_some());
    }

    #[test]
    fn hidden_tables_are_named() {
        let sim = Sim::start(Options::default()).unwrap();
        let TableDescription::Hidden(why) = ask(&sim, "u_unknown") else {
            panic!("described");
        };
        assert!(
            why.starts_with("sys_db_object shows no row for `u_unknown`"),
            "{why}"
        );
        sim.hide("sys_dictionary", |_| true).unwrap();
        let TableDescription::Hidden(why) = ask(&sim, "incident") else {
            panic!("described");
        };
        assert!(
            why.starts_with("sys_dictionary shows no column of `incident`"),
            "{why}"
        );
    }
}
