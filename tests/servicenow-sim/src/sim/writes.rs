//! What tests ask of writes: the journal, duplicates, refusals.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::Error;
use crate::row::RowView;
use crate::sim::Sim;
use crate::store::{Refusal, RefusalRule};
use crate::writes::{Operation, Write};

impl Sim {
    /// The journal of Table API writes, in the order of arrival: also those that were refused.
    pub fn writes(&self) -> Vec<Write> {
        // A write that is due by now counts as applied.
        drop(self.instance.read());
        self.instance.writes.all()
    }

    /// Empties the journal of writes.
    pub fn clear_writes(&self) {
        self.instance.writes.clear();
    }

    /// Number of rows beyond the first that share a non-empty value of `column`, hidden ones too.
    ///
    /// # Errors
    /// If the table or the column does not exist.
    pub fn duplicates(&self, table: &str, column: &str) -> Result<usize, Error> {
        self.instance.duplicates(table, column)
    }

    /// Refuses the writes to `table` and its classes for which `rule` is true. The rule sees the row
    /// as it would be, or the row that would be deleted; the first rule that is true answers
    /// (section 2.6, checklist 30).
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn refuse_writes(
        &self,
        table: &str,
        refusal: Refusal,
        rule: impl Fn(Operation, RowView<'_>) -> bool + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let rule = RefusalRule {
            refusal,
            when: Arc::new(rule),
        };
        self.instance.write().refuse(table, rule)
    }

    /// Takes all refusals of `table` back.
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn accept_writes(&self, table: &str) -> Result<(), Error> {
        self.instance.write().accept(table)
    }

    /// Inserts a deleted row again, as it was: same `sys_id`, old stamps (section 6, checklist 33).
    /// The last 10,000 deleted rows are kept.
    ///
    /// # Errors
    /// If the table does not exist, no such row was deleted, or its `sys_id` is taken again.
    pub fn undelete(&self, table: &str, sys_id: &str) -> Result<(), Error> {
        let mut store = self.instance.write();
        store.undelete(table, sys_id, self.actor())
    }

    /// Limits Table API requests per hour of the server's clock; replaces a rule that is there
    /// (section 7, checklist 36).
    pub fn rate_rule(&self, limit_per_hour: u64) {
        self.instance.rate.set(Some(limit_per_hour));
    }

    /// Takes the rate rule back.
    pub fn remove_rate_rule(&self) {
        self.instance.rate.set(None);
    }

    /// Starts the rule's count again, as the next hour does.
    pub fn reset_rate_limit(&self) {
        self.instance.rate.reset();
    }
}

impl crate::api::Instance {
    /// See [`Sim::duplicates`].
    pub(crate) fn duplicates(&self, table: &str, column: &str) -> Result<usize, Error> {
        let store = self.read();
        let data = store.table(table)?;
        let at = data
            .schema
            .find(column)
            .ok_or_else(|| Error::UnknownColumn {
                table: table.to_owned(),
                column: column.to_owned(),
            })?;
        let rows = data.by_id().rows();
        let values = rows.iter().map(|row| row.raw(at));
        let mut seen = HashSet::new();
        Ok(values
            .filter(|value| !value.is_empty() && !seen.insert(*value))
            .count())
    }
}
