//! What became of a record.

use crate::servicenow::table_write::RowAfterWrite;
use crate::sink::record::{OperationKind, SkipReason};
use crate::sink::refusal::Refusal;

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The instance has it. The row is given as far as it is known.
    Written(WriteKind, Option<RowAfterWrite>),
    /// There was nothing to do.
    Skipped(SkipReason),
    /// It cannot be written.
    Refused(Refusal),
    /// It is not sent, as the settings of its topic do not fit the instance: why, and what to set. It is
    /// not at fault itself.
    Blocked(String),
    /// The program is stopping; whether the instance has the record is not known.
    Stopped,
}

/// What was done to a row in the end. An upsert is one of the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// A row was made.
    Insert,
    /// A row was changed.
    Update,
    /// A row was removed.
    Delete,
}

impl WriteKind {
    /// Its name in metrics: that of the operation.
    pub fn word(self) -> &'static str {
        let operation = match self {
            WriteKind::Insert => OperationKind::Insert,
            WriteKind::Update => OperationKind::Update,
            WriteKind::Delete => OperationKind::Delete,
        };
        operation.word()
    }
}
