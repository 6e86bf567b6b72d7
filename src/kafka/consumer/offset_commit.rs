//! What is committed for a partition.

use super::commit_note::CommitNote;
use crate::kafka::topic_partition::TopicPartition;

/// A position to commit: all records before it are finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset that is not finished.
    pub offset: i64,
    /// What is written down beside it.
    pub note: CommitNote,
}
