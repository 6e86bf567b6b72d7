//! Counts and logs what is odd about rows of a page that counts.

use std::sync::Arc;

use crate::config::TableConfig;
use crate::metrics::{Counter, Metrics};
use crate::servicenow::page::BadRow;

/// Rows of one page that are named in the log; the others are counted.
const MAX_NAMED_ROWS: usize = 10;

/// What was said about the rows of one table.
pub(super) struct RowFaultLog {
    table: String,
    identifier_field: String,
    bad_rows: Counter,
    /// That identifiers repeat is said once.
    warned_of_repeats: bool,
}

impl RowFaultLog {
    pub(super) fn new(table: &TableConfig, metrics: &Arc<Metrics>) -> RowFaultLog {
        RowFaultLog {
            table: table.name.clone(),
            identifier_field: table.identifier_field.clone(),
            bad_rows: metrics.source_bad_rows.with(&[&table.name]),
            warned_of_repeats: false,
        }
    }

    /// Takes in the rows of a page that were passed over, and how many repeat the identifier before.
    pub(super) fn report(&mut self, bad: &[BadRow], repeated: u64) {
        self.bad_rows.add(bad.len() as u64);
        for row in bad.iter().take(MAX_NAMED_ROWS) {
            log::warn!(table = self.table, row:% = row; "a row was passed over (on_bad_row: skip)");
        }
        if let Some(more @ 1..) = bad.len().checked_sub(MAX_NAMED_ROWS) {
            log::warn!(table = self.table, rows = more; "more rows of that page were passed over");
        }
        if repeated > 0 && !self.warned_of_repeats {
            self.warned_of_repeats = true;
            log::warn!(table = self.table, identifier_field = self.identifier_field, rows = repeated;
                "rows share an identifier; all of a page are sent, but those that stand on the next page \
                 are not: choose an identifier_field that is different in each row");
        }
    }
}
