//! A record on its way from the consumer thread through a worker, and its way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Instant;

use super::record::RecordAction;
use super::refusal::Refusal;
use crate::kafka::{ConsumerRecord, TopicPartition};
use crate::stop::Stop;

/// A record that was handed out to the workers.
#[derive(Debug)]
pub(super) struct SinkTask {
    pub(super) record: ConsumerRecord,
    /// What the record asks for, or why that cannot be done.
    pub(super) decision: Result<RecordAction, Refusal>,
    /// Records with the same key are worked on in order and one at a time; `None` needs no order.
    pub(super) ordering_key: Option<u64>,
    /// When its partition was assigned, if the record may have been written before that: by this process
    /// before a crash, or by another member of the group.
    pub(super) possibly_written_before: Option<Instant>,
    /// Stopped when the partition goes away: then no further request may be made for this record.
    pub(super) lease: Stop,
    /// How far the records before it in its partition are.
    pub(super) front: PartitionFront,
    pub(super) handle: RecordHandle,
}

/// The offset of the first record of a partition that is in flight: all before it are finished, or wait for
/// writes of the partition's last owner. The assignment moves it, workers read it.
#[derive(Debug, Clone)]
pub(super) struct PartitionFront(Arc<AtomicI64>);

impl PartitionFront {
    /// No record is in flight.
    pub(super) fn new() -> PartitionFront {
        PartitionFront(Arc::new(AtomicI64::new(i64::MAX)))
    }

    /// `first`: the first record in flight.
    pub(super) fn set(&self, first: Option<i64>) {
        self.0.store(first.unwrap_or(i64::MAX), Relaxed);
    }

    /// Whether the record at this offset is the first one.
    pub(super) fn is_at(&self, offset: i64) -> bool {
        self.0.load(Relaxed) == offset
    }
}

/// Identifies a handed out record, so that its [`Completion`] can be counted. Only the assignment of its
/// partition makes one.
#[derive(Debug, Clone)]
pub(super) struct RecordHandle {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    /// Number of the assignment under which it was handed out. The completion of a record does not count
    /// under a later assignment.
    pub(super) epoch: u64,
    /// Index of its topic in `sink.topics`.
    pub(super) topic: usize,
    /// About what it holds in memory.
    pub(super) bytes: usize,
}

/// Tells the consumer thread that a record is not worked on any more. Each handed out record gives exactly
/// one, whatever happens to it.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) handle: RecordHandle,
    pub(super) outcome: TaskOutcome,
}

/// How the work on a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskOutcome {
    /// It was written, passed over or has its dead letter: its offset may be committed.
    Finished,
    /// No request was made for it. It comes again, to this process or another member.
    NotStarted,
    /// Its writing was begun and not finished. It comes again as well.
    Abandoned,
}
