//! Asks the instance for the columns of a table.
//!
//! A table has the columns of every table that it extends. So the chain of parents (`super_class`) is
//! followed in `sys_db_object`, then `sys_dictionary` is asked for the columns of all of them. Both
//! tables need rights that an integration user often lacks. Without them the instance leaves rows out
//! and says nothing.

use std::collections::{BTreeMap, HashMap};
use std::io;

use super::columns::{ChoiceEntry, TableColumn, TableColumns};
use crate::servicenow::query::query_value_fault;
use crate::servicenow::{
    AnswerRow, Error, InstanceClient, InstanceFailure, ReadRequest, table_api,
};
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

/// The names of `table` and of the tables that it extends, up to the root; `None`: this user may not see
/// them.
///
/// # Errors
/// The instance could not be asked.
pub fn lineage(
    client: &InstanceClient,
    table_api_path: &str,
    table: &str,
    stop: &Stop,
) -> Result<Option<Vec<String>>, Error> {
    let reader = DictionaryReader {
        client,
        table_api_path,
        stop,
    };
    match reader.chain(table) {
        Ok(chain) => Ok(Some(chain.into_iter().map(|(name, _)| name).collect())),
        Err(DictionaryError::Hidden(_)) => Ok(None),
        Err(DictionaryError::Error(error)) if is_refusal(&error) => Ok(None),
        Err(DictionaryError::Error(error)) => Err(error),
    }
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
struct DbObjectRow {
    name: String,
    label: String,
    super_class: String,
}

/// A row of `sys_dictionary`.
struct DictionaryRow {
    name: String,
    element: String,
    column_label: String,
    internal_type: String,
    reference: String,
    max_length: String,
    attributes: String,
}

/// A row of `sys_choice`.
struct ChoiceRow {
    name: String,
    element: String,
    value: String,
    label: String,
    sequence: String,
}

/// A row of one of these tables. `None`: it lacks columns that were asked for, so the user may not
/// read it.
trait DescribingRow: Sized {
    fn read(row: &AnswerRow) -> Option<Self>;
}

impl DescribingRow for DbObjectRow {
    fn read(row: &AnswerRow) -> Option<DbObjectRow> {
        Some(DbObjectRow {
            name: text(row, "name"),
            label: text(row, "label"),
            super_class: text(row, "super_class"),
        })
    }
}

impl DescribingRow for DictionaryRow {
    fn read(row: &AnswerRow) -> Option<DictionaryRow> {
        (row.has("name") && row.has("element")).then(|| DictionaryRow {
            name: text(row, "name"),
            element: text(row, "element"),
            column_label: text(row, "column_label"),
            internal_type: text(row, "internal_type"),
            reference: text(row, "reference"),
            max_length: text(row, "max_length"),
            attributes: text(row, "attributes"),
        })
    }
}

impl DescribingRow for ChoiceRow {
    fn read(row: &AnswerRow) -> Option<ChoiceRow> {
        let complete = ["name", "element", "value"].iter().all(|it| row.has(it));
        complete.then(|| ChoiceRow {
            name: text(row, "name"),
            element: text(row, "element"),
            value: text(row, "value"),
            label: text(row, "label"),
            sequence: text(row, "sequence"),
        })
    }
}

fn text(row: &AnswerRow, column: &str) -> String {
    row.text(column).unwrap_or_default().to_owned()
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
            let found = self.page("sys_db_object", &query, DB_OBJECT_FIELDS)?;
            let Some(class) = found.first().and_then(DbObjectRow::read) else {
                return Err(DictionaryError::Hidden(format!(
                    "sys_db_object shows no row for `{table}` or a table that it extends"
                )));
            };
            let again = chain.iter().any(|(name, _)| *name == class.name);
            if again || class.name.is_empty() {
                break;
            }
            chain.push((class.name, class.label));
            let parent = class.super_class;
            if !is_safe_id(&parent) {
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
            let Some(distance) = distance(&entry.name) else {
                continue;
            };
            let nearer = found.get(&entry.element);
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
            let Some(distance) = names.iter().position(|name| *name == option.name) else {
                continue;
            };
            let list = lists
                .entry(option.element)
                .or_insert((distance, Vec::new()));
            if distance < list.0 {
                *list = (distance, Vec::new());
            }
            if distance == list.0 {
                let (value, label) = (option.value, option.label);
                list.1.push((
                    option.sequence.parse().unwrap_or(0),
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
    fn pages<T: DescribingRow>(
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
            let page = self.page(table, &behind, fields)?;
            // A page may be shorter than its limit, because access rules hide rows after the limit was
            // applied, so a short page is not the end. One without rows is taken for it.
            let end = match page.last().and_then(|row| row.text("sys_id")) {
                Some(id) if id > last.as_str() && query_value_fault(id.as_bytes()).is_none() => {
                    id.to_owned()
                }
                _ => String::new(),
            };
            all.extend(page.iter().filter_map(T::read));
            if end.is_empty() {
                break;
            }
            last = end;
        }
        Ok(all)
    }

    fn page(
        &self,
        name: &str,
        query: &str,
        fields: &str,
    ) -> Result<Vec<AnswerRow>, DictionaryError> {
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
        let (found, _) = self.client.get_rows_once(&request, self.stop)?;
        if !found.is_list {
            let wrong = io::Error::new(io::ErrorKind::InvalidData, "`result` is no list");
            return Err(self.client.body_error(&wrong, &request.what).into());
        }
        Ok(found.rows)
    }
}

/// Whether an identifier may become a part of a query.
fn is_safe_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

const DB_OBJECT_FIELDS: &str = "name,label,super_class";
const DICTIONARY_FIELDS: &str =
    "sys_id,name,element,column_label,internal_type,reference,max_length,attributes";
const CHOICE_FIELDS: &str = "sys_id,name,element,value,label,sequence";

fn column(entry: DictionaryRow) -> TableColumn {
    let mut attributes = entry.attributes.split(',');
    let scale = attributes.find_map(|attribute| attribute.trim().strip_prefix("scale="));
    TableColumn {
        name: entry.element,
        internal_type: entry.internal_type,
        label: entry.column_label,
        reference: Some(entry.reference).filter(|table| !table.is_empty()),
        max_length: entry.max_length.parse().ok(),
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
