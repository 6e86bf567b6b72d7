//! Counts and logs what operators should know of a table's schema and of the values that it cannot
//! hold. Each thing is logged once, however many rows show it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use super::error::RowEncodeError;
use crate::avro::{ColumnChange, EncodeError, ForeignSchema};
use crate::metrics::Metrics;

/// How many things are remembered as logged. What comes after that is not logged at all.
const MAX_REMEMBERED_REPORTS: usize = 1_000;

/// The reports of one table.
pub(super) struct SchemaReports {
    table: String,
    metrics: Arc<Metrics>,
    /// What is logged already.
    logged: BTreeSet<String>,
    /// The row and the column with the value that held the table last.
    held: Option<(Vec<u8>, String)>,
}

impl SchemaReports {
    pub(super) fn new(table: &str, metrics: &Arc<Metrics>) -> SchemaReports {
        SchemaReports {
            table: table.to_owned(),
            metrics: Arc::clone(metrics),
            logged: BTreeSet::new(),
            held: None,
        }
    }

    /// Remembers `report`; true when it is new and has to be logged.
    fn is_new(&mut self, report: &dyn Display) -> bool {
        self.logged.len() < MAX_REMEMBERED_REPORTS && self.logged.insert(report.to_string())
    }

    /// The latest version under the subject is foreign, for the reason `why`.
    pub(super) fn latest_is_foreign(&mut self, subject: &str, why: &ForeignSchema) {
        if self.is_new(why) {
            log::warn!(table = self.table, subject = subject, reason:% = why;
                "what is registered last is none of ours; our own schema is kept to");
        }
    }

    /// A look for another schema has failed, for the reason `why`.
    pub(super) fn known_schema_stays(&mut self, why: &str) {
        if self.is_new(&why) {
            log::warn!(table = self.table, error = why;
                "there is no schema with more columns; the known one serves");
        }
    }

    /// The instance does not show all that the configuration asks for.
    pub(super) fn less_than_desired(&mut self, note: &str) {
        if self.is_new(&note) {
            log::warn!(table = self.table, reason = note; "the schema has less than it could");
        }
    }

    /// The columns differ from those of the schema so far.
    pub(super) fn columns_changed(&mut self, subject: &str, change: &ColumnChange) {
        if self.is_new(change) {
            log::info!(table = self.table, subject = subject, change:% = change;
                "the columns have changed");
        }
    }

    /// The schema with this id has no field for these columns.
    pub(super) fn unknown_columns(&mut self, schema_id: u32, columns: &[String]) {
        for column in columns {
            if self.is_new(&format_args!("unknown {column}")) {
                log::warn!(table = self.table, column = column, schema_id = schema_id;
                    "the registered schema has no field for a column: its values are left out; register \
                     one with `schema register`, which is looked for once a minute; rows sent before \
                     do not get the value, `checkpoint set` repeats them");
            }
        }
    }

    /// Values of the row `id` do not fit the types of their columns: counts those of `misfits` that
    /// `counted` does not have yet. `keeps_text`: the record has their texts in `_raw`.
    pub(super) fn misfits<'a>(
        &mut self,
        misfits: impl Iterator<Item = (&'a str, u64)>,
        counted: &mut BTreeMap<String, u64>,
        id: &[u8],
        keeps_text: bool,
    ) {
        let sent = if keeps_text {
            "null, and the text in `_raw`"
        } else {
            "null"
        };
        for (column, all) in misfits {
            let counted = counted.entry(column.to_owned()).or_default();
            if *counted >= all {
                continue;
            }
            let labels = [self.table.as_str(), column];
            self.metrics
                .source_type_errors
                .with(&labels)
                .add(all - *counted);
            *counted = all;
            if self.is_new(&format_args!("misfit {column}")) {
                let row = String::from_utf8_lossy(id);
                log::warn!(table = self.table, column = column, row = row, sent = sent;
                    "a value does not fit the type of its column (see on_type_error)");
            }
        }
    }

    /// The row `id` has no record. A value that holds the table is counted once, however often its
    /// row is tried.
    pub(super) fn refused(&mut self, id: &[u8], error: &EncodeError) -> RowEncodeError {
        if let EncodeError::Misfit { column, .. } = error {
            let held = (id.to_vec(), column.clone());
            if self.held.as_ref() != Some(&held) {
                let labels = [self.table.as_str(), column];
                self.metrics.source_type_errors.with(&labels).inc();
                self.held = Some(held);
            }
        }
        RowEncodeError::InvalidRow(error.to_string())
    }
}
