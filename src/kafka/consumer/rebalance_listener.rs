//! The interface through which the owner of a group's consumer hears of its partitions.

use std::time::Instant;

use super::offset_commit::OffsetCommit;
use super::start_position::PartitionStart;
use crate::kafka::topic_partition::TopicPartition;

/// Is told when the group assigns partitions to this member or takes them away, and what became of
/// commits. Called on the thread that polls, inside of [`Consumer::poll`](super::Consumer::poll) and
/// when the consumer is dropped.
pub trait RebalanceListener: Send + Sync + 'static {
    /// These partitions belong to this member from now on, and begin at these positions. Those that
    /// cannot begin ([`StartPosition::Gone`](super::StartPosition::Gone)), and those for which something is
    /// committed first, are paused already.
    fn assigned(&self, partitions: &[PartitionStart]);

    /// These partitions go to another member, or the consumer ends. Gives what to commit before they go.
    /// The group waits for the return of this call.
    fn revoked(&self, partitions: &[TopicPartition]) -> Vec<OffsetCommit>;

    /// These partitions were taken away without a notice, and another member may work on them
    /// already. Nothing may be committed for them any more.
    fn lost(&self, partitions: &[TopicPartition]);

    /// These positions were committed, or the reason why a commit failed; it is tried again.
    fn committed(&self, result: Result<&[(TopicPartition, i64)], String>);

    /// All records of a partition before this offset had been polled at that moment. What lies between the last of
    /// them and the offset is none: markers of transactions, and records that were aborted or compacted away.
    fn read_up_to(&self, partition: &TopicPartition, offset: i64, at: Instant);
}
