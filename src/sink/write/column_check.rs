//! Looks for columns of a record that the table does not have. The instance ignores them without a word.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::outcome::WriteOutcome;
use crate::avro::dictionary::{self, TableDescription};
use crate::config::{OnUnknownColumn, names};
use crate::servicenow::InstanceClient;
use crate::sink::record::WriteOperation;
use crate::sink::refusal::{Refusal, RefusalKind};
use crate::stop::Stop;
use crate::sync::Mutex;

/// Before a column counts as unknown, the dictionary is asked again if its last answer is older: columns are
/// added while the bridge runs.
const MAX_COLUMNS_AGE: Duration = Duration::from_secs(60);
/// Columns that are warned of, each once.
const MAX_WARNED_COLUMNS: usize = 200;

/// The columns of one table, and what becomes of others.
#[derive(Debug)]
pub(super) struct ColumnCheck {
    table: String,
    mode: OnUnknownColumn,
    state: Mutex<KnownColumns>,
}

#[derive(Debug, Default)]
struct KnownColumns {
    columns: Option<BTreeSet<String>>,
    /// When the dictionary was asked last.
    asked: Option<Instant>,
    /// Why it did not tell, then.
    failure: String,
    warned: BTreeSet<String>,
}

impl ColumnCheck {
    /// For records to `table`; `None`: its records are not looked at.
    pub(super) fn new(table: &str, mode: OnUnknownColumn) -> Option<ColumnCheck> {
        (mode != OnUnknownColumn::Ignore).then(|| ColumnCheck {
            table: table.to_owned(),
            mode,
            state: Mutex::default(),
        })
    }

    /// Why the record is not written, if a column of it is not the table's.
    pub(super) fn objection(
        &self,
        operation: &WriteOperation,
        client: &InstanceClient,
        table_api_path: &str,
        stop: &Stop,
    ) -> Option<WriteOutcome> {
        let mut state = self.state.lock();
        let is_old = |asked: Instant| asked.elapsed() > MAX_COLUMNS_AGE;
        let mut unknown = state.unknown(operation);
        if self.matters(&state, unknown.as_deref()) && state.asked.is_none_or(is_old) {
            match dictionary::describe(client, table_api_path, &self.table, stop) {
                Ok(TableDescription::Columns(columns)) => {
                    let names = columns.list.into_iter().map(|column| column.name);
                    state.columns = Some(names.collect());
                }
                Ok(TableDescription::Hidden(why)) => state.failure = why,
                // Asked again with the next record.
                Err(_) if stop.is_stopped() => return Some(WriteOutcome::Stopped),
                Err(error) => state.failure = error.to_string(),
            }
            state.asked = Some(Instant::now());
            unknown = state.unknown(operation);
        }
        let table = &self.table;
        match (self.mode, unknown) {
            (_, Some(unknown)) if unknown.is_empty() => None,
            (OnUnknownColumn::DeadLetter, Some(unknown)) => {
                let named = named(&unknown);
                Some(WriteOutcome::Refused(Refusal::unsent(
                    RefusalKind::UnknownColumn,
                    format!(
                        "table `{table}` has no {named}, which the instance would ignore; list the \
                         columns to write in `fields`, or set `on_unknown_column: warn`"
                    ),
                )))
            }
            (OnUnknownColumn::DeadLetter, None) => {
                let failure = std::mem::take(&mut state.failure);
                state.asked = None;
                Some(WriteOutcome::Blocked(format!(
                    "the columns of table `{table}` are not known: {failure}; give the integration \
                     user read access to sys_db_object and sys_dictionary, or set \
                     `on_unknown_column: ignore`"
                )))
            }
            (_, unknown) => {
                self.warn(&mut state, unknown);
                None
            }
        }
    }

    /// Whether the dictionary is to be asked about these unknown columns: each is warned of once. `None`: no column
    /// of the table is known.
    fn matters(&self, state: &KnownColumns, unknown: Option<&[String]>) -> bool {
        let is_new =
            |column: &String| self.mode == OnUnknownColumn::DeadLetter || state.may_warn_of(column);
        unknown.is_none_or(|unknown| unknown.iter().any(is_new))
    }

    fn warn(&self, state: &mut KnownColumns, unknown: Option<Vec<String>>) {
        let table = self.table.as_str();
        // An empty name stands for the dictionary itself.
        for column in unknown.unwrap_or_else(|| vec![String::new()]) {
            if !state.may_warn_of(&column) {
                continue;
            }
            state.warned.insert(column.clone());
            if column.is_empty() {
                log::warn!(table, error = state.failure; "the columns of the table are not known");
            } else {
                let column = named(&[column]);
                log::warn!(table, column; "records have a column that the table lacks; it is ignored");
            }
        }
    }
}

impl KnownColumns {
    fn may_warn_of(&self, column: &str) -> bool {
        self.warned.len() < MAX_WARNED_COLUMNS && !self.warned.contains(column)
    }

    /// The columns of a record that the table does not have; `None`: its columns are not known.
    fn unknown(&self, operation: &WriteOperation) -> Option<Vec<String>> {
        let columns = self.columns.as_ref()?;
        let fields = operation.fields.iter().map(|(name, _)| name);
        let unknown = fields.filter(|name| {
            // A dot walks through a reference.
            let first = name.split('.').next().unwrap_or_default();
            !columns.contains(first)
        });
        Some(unknown.cloned().collect())
    }
}

/// The first column in words. What is no name of a column may be a piece of the record and is not shown.
fn named(unknown: &[String]) -> String {
    let first = unknown
        .iter()
        .find(|name| names::check_column(name).is_ok());
    first.map_or_else(
        || "such column".to_owned(),
        |name| format!("column `{name}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_asked_for_columns_of_which_nothing_was_said() {
        let unknown = |names: &[&str]| Some(names.iter().map(|it| (*it).to_owned()).collect());
        let cases: [(Option<Vec<String>>, bool, bool); 4] = [
            (unknown(&[]), false, false),
            (unknown(&["old"]), false, true),
            (unknown(&["old", "new"]), true, true),
            (None, true, true),
        ];
        for (unknown, warn, dead_letter) in cases {
            for (mode, expected) in [
                (OnUnknownColumn::Warn, warn),
                (OnUnknownColumn::DeadLetter, dead_letter),
            ] {
                let check = ColumnCheck::new("incident", mode).unwrap();
                let mut state = check.state.lock();
                state.warned.insert("old".to_owned());
                let asks = check.matters(&state, unknown.as_deref());
                assert_eq!(asks, expected, "{mode:?} {unknown:?}");
            }
        }
    }
}
