//! A record on its way through the sink, and what comes back.

use std::time::Instant;

use super::record::RecordAction;
use super::refusal::Refusal;
use crate::kafka::{ConsumerRecord, TopicPartition};
use crate::stop::Stop;

/// A record that was handed out.
#[derive(Debug)]
pub(super) struct SinkTask {
    pub(super) record: ConsumerRecord,
    /// What the record asks for, or why it asks for nothing that can be done.
    pub(super) decision: Result<RecordAction, Refusal>,
    /// What must stay in order.
    pub(super) ordering_key: Option<u64>,
    /// When its partition came to us, if this record may have been written before that, by us before
    /// a crash or by another member.
    pub(super) possibly_written_before: Option<Instant>,
    /// Stopped when the partition goes away: nothing new may be begun for this record.
    pub(super) lease: Stop,
    pub(super) handle: RecordHandle,
}

/// Says which record a [`Completion`] is about.
#[derive(Debug, Clone)]
pub(super) struct RecordHandle {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    /// Grows with each assignment: what was begun under an earlier one no longer counts.
    pub(super) epoch: u64,
    /// Which of `sink.topics`.
    pub(super) topic: usize,
    /// What it holds in memory, about.
    pub(super) bytes: usize,
}

/// A record is out of our hands. Each handed out record gives one, whatever happens to it.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) handle: RecordHandle,
    pub(super) outcome: TaskOutcome,
}

/// How the way of a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskOutcome {
    /// It may be committed.
    Finished,
    /// Nothing was begun. It comes again, to us or to another member.
    NotStarted,
    /// Its writing was begun and given up. It comes again as well.
    Abandoned,
}
