//! Positions of tables, and what they belong to (pure).

/// Up to which row a table was read and acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointPosition {
    /// Seconds since the epoch, UTC.
    pub timestamp: i64,
    /// The last row of that second; empty when the whole second is still to be read.
    pub last_identifier: String,
}

/// The position of a table and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointEntry {
    /// How far it was read.
    pub position: CheckpointPosition,
    /// Which instance, table, cursor columns and query the position belongs to; `None` in files of the
    /// Go bridge.
    pub fingerprint: Option<String>,
}
