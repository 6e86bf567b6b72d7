//! One partition that is assigned to this member of the group.

use std::time::Instant;

use super::awaiting_schema::{DeferredRecord, SchemaWait};
use crate::health::Condition;
use crate::kafka::TopicPartition;
use crate::sink::offset_tracker::OffsetTracker;
use crate::sink::task::{Completion, RecordHandle, TaskOutcome};
use crate::stop::{self, Stop, StopTrigger};

/// A partition from its assignment until it goes away.
pub(super) struct AssignedPartition {
    /// Index of its topic in `sink.topics`.
    pub(super) topic: usize,
    pub(super) tracker: OffsetTracker,
    /// Its records in flight.
    pub(super) in_flight: usize,
    /// Whether librdkafka was told to pause it.
    pub(super) paused: bool,
    /// Its next record, which waits for a schema. It is not in flight: no position passes it, and it
    /// goes away with its partition.
    pub(super) deferred: Option<DeferredRecord>,
    /// Why it is held, as its records are gone. Makes the bridge unready while it exists.
    pub(super) hold: Option<Condition>,
    /// It was held from the start, so that none of its records may be handed out.
    barred: bool,
    /// Grows with each assignment. A record that comes back from an earlier one no longer counts.
    epoch: u64,
    /// Dropping it ends the lease of all its records in flight.
    lease: Option<StopTrigger>,
    lease_end: Stop,
    since: Instant,
    /// How many of the next records may have been written before this assignment: by another member,
    /// or by this one before a crash. As many as can come again.
    possibly_written: usize,
}

/// A record that may be written now.
pub(in crate::sink) struct StartedRecord {
    pub(in crate::sink) handle: RecordHandle,
    /// Stopped when the partition goes away.
    pub(in crate::sink) lease: Stop,
    /// When the partition was assigned, if the record may have been written before that.
    pub(in crate::sink) possibly_written_before: Option<Instant>,
}

impl AssignedPartition {
    /// The partition is assigned now. `hold` if it cannot begin.
    pub(super) fn new(
        topic: usize,
        epoch: u64,
        max_uncommitted: usize,
        hold: Option<Condition>,
    ) -> AssignedPartition {
        let (lease, lease_end) = stop::pair();
        AssignedPartition {
            topic,
            tracker: OffsetTracker::default(),
            in_flight: 0,
            paused: false,
            deferred: None,
            barred: hold.is_some(),
            hold,
            epoch,
            lease: Some(lease),
            lease_end,
            since: Instant::now(),
            possibly_written: max_uncommitted,
        }
    }

    /// Its next record is handed out; `None`: no record of it may be.
    pub(super) fn begin(
        &mut self,
        partition: TopicPartition,
        offset: i64,
        bytes: usize,
    ) -> Option<StartedRecord> {
        if self.barred {
            return None;
        }
        self.tracker.begin(offset);
        self.in_flight += 1;
        let possibly_written_before = self.possibly_written.checked_sub(1).map(|left| {
            self.possibly_written = left;
            self.since
        });
        Some(StartedRecord {
            handle: RecordHandle {
                partition,
                offset,
                epoch: self.epoch,
                topic: self.topic,
                bytes,
            },
            lease: self.lease_end.clone(),
            possibly_written_before,
        })
    }

    /// A record has come back. False: it was handed out under an earlier assignment and does not count.
    pub(super) fn complete(&mut self, completion: &Completion) -> bool {
        if completion.handle.epoch != self.epoch {
            return false;
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        if completion.outcome == TaskOutcome::Finished {
            self.tracker.finish(completion.handle.offset);
        }
        true
    }

    /// Lets no other record begin. A record that has begun finishes the request that is under way but
    /// makes no further one.
    pub(super) fn end_lease(&mut self) {
        self.lease = None;
    }

    /// Keeps its next record, which waits for a schema. It is dropped if the partition is held.
    pub(super) fn defer(&mut self, record: DeferredRecord) {
        if !self.barred {
            self.deferred = Some(record);
        }
    }

    /// What its next record waits for, if it does.
    pub(super) fn schema_wait(&self, partition: &TopicPartition) -> Option<SchemaWait> {
        let deferred = self.deferred.as_ref()?;
        Some(deferred.wait(partition, self.topic))
    }

    /// Its records that would come again after a crash.
    pub(super) fn uncommitted(&self) -> usize {
        usize::try_from(self.tracker.uncommitted()).unwrap_or(usize::MAX)
    }
}
