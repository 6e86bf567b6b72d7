//! Where a partition begins: behind the committed offset, at its oldest record for a new group, or
//! nowhere, when Kafka does not hold the record at the committed offset any more.

use super::commit_note::CommitNote;
use super::offset_commit::OffsetCommit;
use crate::kafka::topic_partition::TopicPartition;

/// A partition that is assigned, where it begins, and what its last owner has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStart {
    /// The partition.
    pub partition: TopicPartition,
    /// Where it begins.
    pub position: StartPosition,
    /// The offset of that place, if it is known.
    pub offset: Option<i64>,
    /// The offset behind its newest record, if that is known: no record from there on was begun by an earlier owner.
    pub end: Option<i64>,
    /// What the last owner wrote down; `None`: the group has committed nothing, so that no record was begun.
    pub last_note: Option<CommitNote>,
    /// The offset to commit before a record is handed out, so that the clean end of the last owner, or the
    /// absence of a commit, is not taken for this owner's. `None`: nothing has to be committed first.
    pub open_at: Option<i64>,
}

impl PartitionStart {
    /// The commit that comes before the first record; `None`: none has to. It keeps what the last owner says of
    /// writes that may still run.
    pub fn opening(&self) -> Option<OffsetCommit> {
        Some(OffsetCommit {
            partition: self.partition.clone(),
            offset: self.open_at?,
            note: CommitNote {
                ended: None,
                late_until: self.last_note.and_then(|note| note.late_until),
            },
        })
    }
}

/// Where a partition begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartPosition {
    /// At this offset, which the group has committed: all records before it are finished.
    Committed(i64),
    /// At the oldest record: the group has committed nothing.
    Oldest,
    /// Kafka did not answer in time; librdkafka finds out by itself.
    Unknown,
    /// Nowhere: the partition does not hold the record at the committed offset, either because it was
    /// deleted, or because the partition ends before it (a topic that was made anew).
    Gone {
        /// The committed offset: the first that is not finished.
        committed: i64,
        /// The oldest offset of the partition.
        low: i64,
        /// The offset behind the newest record.
        high: i64,
    },
}

impl StartPosition {
    /// Whether the partition cannot begin.
    pub fn is_gone(&self) -> bool {
        matches!(self, StartPosition::Gone { .. })
    }

    /// Decides from the committed offset and the bounds of the partition.
    pub(super) fn of(committed: Option<i64>, (low, high): (i64, i64)) -> StartPosition {
        match committed {
            None => StartPosition::Oldest,
            Some(committed) if (low..=high).contains(&committed) => {
                StartPosition::Committed(committed)
            }
            Some(committed) => StartPosition::Gone {
                committed,
                low,
                high,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_begins_where_nothing_is_missed() {
        assert_eq!(StartPosition::of(None, (5, 9)), StartPosition::Oldest);
        for committed in [5, 7, 9] {
            assert_eq!(
                StartPosition::of(Some(committed), (5, 9)),
                StartPosition::Committed(committed)
            );
        }
        for committed in [4, 10] {
            let gone = StartPosition::Gone {
                committed,
                low: 5,
                high: 9,
            };
            assert_eq!(StartPosition::of(Some(committed), (5, 9)), gone);
        }
    }
}
