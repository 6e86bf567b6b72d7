//! The language of [`super::machine`], which decides, and [`super::requests`], which carries out.

use std::time::{Duration, Instant};

use super::outcome::WriteOutcome;
use crate::config::OnMissing;
use crate::servicenow::table_write::RowAfterWrite;

/// What holds for all records of a topic.
#[derive(Debug, Clone)]
pub(super) struct WriteRules {
    /// The table, for messages.
    pub(super) table: String,
    /// What becomes of an update whose row is not there.
    pub(super) on_missing: OnMissing,
    /// How long the instance may go on working on a request whose answer was lost.
    pub(super) transaction_time: Duration,
    /// A row's version is read before it is updated, for the loop guard.
    pub(super) reads_version: bool,
}

/// What is known of attempts to write a record before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorAttempt {
    /// There was none.
    None,
    /// The record may have been tried before: by this program before a crash, or by another member
    /// of the consumer group.
    Possible {
        /// Such an attempt was sent before this time.
        since: Instant,
    },
}

/// A request to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteRequest<'m> {
    /// Make the row.
    Insert,
    /// Change this row.
    Update {
        /// The row's sys_id.
        id: &'m str,
        /// Columns that are not sent.
        without: &'m [&'static str],
    },
    /// Remove the row with this sys_id.
    Delete(&'m str),
    /// Find out whether there is a row with this sys_id.
    LookUpRow(&'m str),
    /// Find out whether this row holds what was sent.
    CheckUpdate {
        /// The row's sys_id.
        id: &'m str,
        /// When the update was sent.
        sent: Instant,
    },
    /// Find up to two rows that hold a value in a column.
    FindRows { column: &'m str, value: &'m str },
    /// Find out whether a journal column of a row holds the record's entry.
    SearchJournal {
        /// The row's sys_id.
        id: &'m str,
        column: &'static str,
        /// An older entry is not the record's.
        first_attempt: FirstAttempt,
    },
    /// Read the version of the row with this sys_id.
    ReadVersion(&'m str),
    /// Read any row, to see whether the instance works.
    Probe,
}

/// When the first attempt for a record may have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstAttempt {
    /// When this writer sent its first write.
    pub(super) first_sent: Instant,
    /// The record may have been tried before this writer got it.
    pub(super) tried_before: bool,
}

/// The instance's reply to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteReply {
    /// The write was done.
    Written(RowAfterWrite),
    /// The row exists.
    RowExists,
    /// The row was read after an update.
    RowChecked {
        /// It holds what was sent, or was changed since.
        is_updated: bool,
    },
    /// These rows were found.
    Rows(Vec<FoundRow>),
    /// The journal was read.
    JournalRead {
        /// It holds the record's entry.
        has_entry: bool,
    },
    /// The request was answered, which is all that matters.
    Answered,
}

/// A row that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FoundRow {
    /// Its sys_id; `None` if it is hidden.
    pub(super) sys_id: Option<String>,
    /// The text in the column that was searched; `None` if there is none, or it is hidden.
    pub(super) value: Option<String>,
}

/// What to do next for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteStep<'m> {
    /// Wait this long, then ask again.
    Wait(Duration),
    /// Make this request and hand in its result.
    Send(WriteRequest<'m>),
    /// The record is done.
    Done(WriteOutcome),
}

/// Something that an operator should know, noticed while a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observation {
    /// The instance gave the new row a sys_id of its own instead of the one that was sent.
    SysIdIgnored,
    /// More than one row has the identity of the record.
    IdentityNotUnique,
    /// A journal could not be read, so an entry may show twice.
    JournalUnreadable,
}

/// The circumstances of a result.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyInputs {
    /// When the result came.
    pub(super) now: Instant,
    /// Good answers of the instance so far, to any record.
    pub(super) successes: u64,
    /// For the jitter of back-off, in `0.0..1.0`.
    pub(super) random: f64,
    /// The instance is known to choose the sys_ids of new rows itself.
    pub(super) ids_ignored: bool,
}

impl FoundRow {
    /// Whether the row holds this value, as the instance compares: without regard to case and to
    /// blanks at the end.
    pub(super) fn holds(&self, value: &str) -> bool {
        let same = |text: &str| text.trim_end().to_lowercase() == value.trim_end().to_lowercase();
        self.value.as_deref().is_some_and(same)
    }
}
