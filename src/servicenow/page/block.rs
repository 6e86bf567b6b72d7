//! Rows of a page that arrived together, as places in their bytes.

use std::ops::Range;

use super::bad_row::BadRow;

/// Rows that arrived together.
#[derive(Debug, Default)]
pub struct RowBlock {
    /// The text the rows point into.
    pub bytes: Vec<u8>,
    /// The rows, in the order the instance gave them.
    pub rows: Vec<PageRow>,
    /// Rows that are passed over. Those whose place is known stand among the others too, without a text.
    pub bad: Vec<BadRow>,
}

/// One row of a [`RowBlock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRow {
    /// The row as JSON; empty where the row is passed over.
    pub text: Range<usize>,
    /// Its identifier, unescaped.
    pub id: Range<usize>,
    /// Its timestamp column, in seconds since 1970 UTC.
    pub seconds: i64,
    /// Its stored `sys_mod_count`: how often the row was changed; `None` where it has no such column.
    pub mod_count: Option<u32>,
}

impl RowBlock {
    /// The bytes of a range, as given by a [`PageRow`].
    pub fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}
