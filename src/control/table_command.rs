//! Commands that are done beside the stream of a table.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is done beside the stream of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableCommand {
    /// Read the rows with these identifiers again, and deliver them whatever was delivered before.
    Reread(Vec<String>),
    /// Ask whether the rows with these identifiers are gone, and send tombstones of those that are.
    FindDeleted(Vec<String>),
    /// Read all rows of a part of the table, and deliver them whatever was delivered before.
    Snapshot(SnapshotPart),
    /// Do this with the snapshot that is under way.
    SteerSnapshot(SnapshotOrder),
    /// Decide about the deletes that are held.
    DecideDeletes(DeleteDecision),
}

/// What an operator decides about deletes that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteDecision {
    /// Their tombstones are sent.
    Accept,
    /// Their rows stay in the topic.
    Reject,
}

impl DeleteDecision {
    /// Both.
    pub const ALL: [DeleteDecision; 2] = [DeleteDecision::Accept, DeleteDecision::Reject];

    /// The word of the command line and the admin API.
    pub fn word(self) -> &'static str {
        match self {
            DeleteDecision::Accept => "accept",
            DeleteDecision::Reject => "reject",
        }
    }
}

/// The part of a table that a snapshot reads. What is `None` is not restricted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    /// An encoded query beside that of the table.
    pub query: Option<String>,
    /// Rows that changed in this second (since 1970 UTC) or later.
    pub since: Option<i64>,
    /// The first identifier.
    pub from: Option<String>,
    /// The first identifier behind it.
    pub to: Option<String>,
}

/// What is to become of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotOrder {
    /// Wait until it is resumed, also over restarts.
    Pause,
    /// Go on.
    Resume,
    /// End, and be forgotten.
    Stop,
}

impl SnapshotOrder {
    /// All of them.
    pub const ALL: [SnapshotOrder; 3] = [
        SnapshotOrder::Pause,
        SnapshotOrder::Resume,
        SnapshotOrder::Stop,
    ];

    /// The word of the command line and the admin API.
    pub fn word(self) -> &'static str {
        match self {
            SnapshotOrder::Pause => "pause",
            SnapshotOrder::Resume => "resume",
            SnapshotOrder::Stop => "stop",
        }
    }
}

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotProgress {
    /// Rows that it has read and that Kafka has.
    pub rows: u64,
    /// Rows that are left, by the instance's count; `None`: they are not counted.
    pub remaining: Option<u64>,
    /// Seconds that these take at the pace so far; `None`: that is not known.
    pub seconds_left: Option<u64>,
    /// It waits to be resumed.
    pub is_paused: bool,
}

impl fmt::Display for TableCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableCommand::Reread(ids) => write!(f, "reread {} rows of", ids.len()),
            TableCommand::FindDeleted(ids) => {
                write!(f, "ask for {} rows that may be deleted of", ids.len())
            }
            TableCommand::Snapshot(SnapshotPart { since: Some(_), .. }) => f.write_str("rewind"),
            TableCommand::Snapshot(_) => f.write_str("snapshot"),
            TableCommand::DecideDeletes(decision) => write!(f, "deletes {}", decision.word()),
            TableCommand::SteerSnapshot(order) => write!(f, "{} the snapshot of", order.word()),
        }
    }
}
