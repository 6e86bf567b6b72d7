//! What the decisions and the requests say to each other.

use std::time::{Duration, Instant};

use super::WriteOutcome;
use crate::config::OnMissing;
use crate::servicenow::table_write::RowAfterWrite;

/// What holds for all records of a topic.
#[derive(Debug, Clone)]
pub(super) struct WriteRules {
    /// The table, for words.
    pub(super) table: String,
    /// What becomes of an update without its row.
    pub(super) on_missing: OnMissing,
    /// How long the instance may go on with a request whose answer was lost.
    pub(super) transaction_time: Duration,
}

/// A request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteRequest {
    /// Make the row.
    Insert,
    /// Change this row.
    Update(String),
    /// Remove this row.
    Delete(String),
    /// Whether this row is there.
    Row(String),
    /// Up to two rows of which a column holds a value.
    Find {
        /// The column.
        field: String,
        /// The value.
        value: String,
    },
    /// Whether a journal column of a row holds our entry.
    Journal {
        /// The row.
        id: String,
        /// The column.
        column: &'static str,
        /// No older entry is ours.
        since: FirstAttempt,
    },
    /// The row's version.
    Version(String),
    /// Anything, to see whether the instance works.
    Probe,
}

/// When the first attempt for a record may have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstAttempt {
    /// By this writer.
    pub(super) first_sent: Instant,
    /// Somebody tried it before.
    pub(super) suspect: bool,
}

/// What a request brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteReply {
    /// It was done.
    Written(RowAfterWrite),
    /// The row is there.
    There,
    /// These rows.
    Rows(Vec<FoundRow>),
    /// Whether our entry is there.
    Entry(bool),
    /// What was asked was read, or answered in some way that shows that the instance works.
    Known,
}

/// A row that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FoundRow {
    /// Its sys_id.
    pub(super) sys_id: Option<String>,
    /// What it holds in the column of the search.
    pub(super) value: Option<String>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteStep {
    /// Wait, then ask again.
    Wait(Duration),
    /// Make this request and tell its result.
    Do(WriteRequest),
    /// It is over.
    Done(WriteOutcome),
}

/// The circumstances of a result.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyInputs {
    pub(super) now: Instant,
    /// Good answers of the instance so far.
    pub(super) pulse: u64,
    /// In `0.0..1.0`.
    pub(super) random: f64,
    /// The instance is known to choose sys_ids itself.
    pub(super) ids_ignored: bool,
}

impl FoundRow {
    /// The instance compares without case and without blanks at the end.
    pub(super) fn holds(&self, value: &str) -> bool {
        let same = |text: &str| text.trim_end().to_lowercase() == value.trim_end().to_lowercase();
        self.value.as_deref().is_some_and(same)
    }
}
