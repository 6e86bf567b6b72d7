//! Access rules: rows and fields that the integration user may not read.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::row::{RowView, Stored};
use crate::store::{Store, TableData};

/// Decides about one row.
pub(crate) type FieldGuard = Arc<dyn Fn(RowView<'_>) -> bool + Send + Sync>;

/// Hides the rows for which it is true.
#[derive(Clone)]
pub(crate) struct RowRule(pub(crate) FieldGuard);

/// Makes a column unreadable: in all rows, or in those for which `when` is true.
#[derive(Clone)]
pub(crate) struct FieldRule {
    pub(crate) column: usize,
    pub(crate) when: Option<FieldGuard>,
}

impl FieldRule {
    /// Whether the column of this row is left out of answers.
    pub(crate) fn hides(&self, row: &Stored) -> bool {
        self.when.as_ref().is_none_or(|when| when(RowView(row)))
    }
}

impl fmt::Debug for RowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowRule")
    }
}

impl fmt::Debug for FieldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldRule")
            .field("column", &self.column)
            .finish_non_exhaustive()
    }
}

impl TableData {
    /// Marks rows that a rule hides.
    pub(crate) fn apply_row_rules(&self, rows: &[Arc<Stored>]) {
        if self.row_rules.is_empty() {
            return;
        }
        for row in rows {
            if self.row_rules.iter().any(|rule| (rule.0)(RowView(row))) {
                row.set_hidden(true);
            }
        }
    }

    /// Whether the column may not be read in any row, so that it can neither filter nor sort.
    pub(crate) fn is_unreadable(&self, column: usize) -> bool {
        self.field_rules
            .iter()
            .any(|rule| rule.column == column && rule.when.is_none())
    }
}

impl Store {
    /// Hides rows of a table, those that are there and those that come.
    pub(crate) fn hide(&mut self, table: &str, rule: RowRule) -> Result<(), Error> {
        let data = self.table_mut(table)?;
        data.row_rules.push(rule);
        data.apply_row_rules(data.by_id().rows());
        Ok(())
    }

    /// Shows every row of a table again.
    pub(crate) fn show_all(&mut self, table: &str) -> Result<(), Error> {
        let data = self.table_mut(table)?;
        data.row_rules.clear();
        data.field_rules.clear();
        data.no_aggregates = false;
        for row in data.by_id().rows() {
            row.set_hidden(false);
        }
        Ok(())
    }

    /// Refuses aggregates over a table.
    pub(crate) fn refuse_aggregates(&mut self, table: &str) -> Result<(), Error> {
        self.table_mut(table)?.no_aggregates = true;
        Ok(())
    }

    /// Makes a column unreadable.
    pub(crate) fn hide_field(
        &mut self,
        table: &str,
        column: &str,
        when: Option<FieldGuard>,
    ) -> Result<(), Error> {
        let data = self.table_mut(table)?;
        let at = data
            .schema
            .find(column)
            .ok_or_else(|| Error::UnknownColumn {
                table: table.to_owned(),
                column: column.to_owned(),
            })?;
        data.field_rules.push(FieldRule { column: at, when });
        Ok(())
    }
}
