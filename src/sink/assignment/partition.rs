//! One partition that is assigned to this member of the group.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::awaiting_schema::{DeferredRecord, SchemaWait};
use super::row_waits::RowWaits;
use crate::health::Condition;
use crate::kafka::{CommitNote, OffsetCommit, PartitionStart, TopicPartition};
use crate::sink::offset_tracker::OffsetTracker;
use crate::sink::record::RowEffect;
use crate::sink::task::{Completion, PartitionFront, RecordHandle, SinkTask, TaskOutcome};
use crate::stop::{self, Stop, StopTrigger};

/// What librdkafka's statistics say of a partition may be older by this than they are, and from before it was
/// moved.
const STEADY_TIME: Duration = Duration::from_secs(2);

/// A partition from its assignment until it goes away.
pub(super) struct AssignedPartition {
    /// Index of its topic in `sink.topics`.
    pub(super) topic: usize,
    pub(super) tracker: OffsetTracker,
    /// Its records in flight.
    pub(super) in_flight: usize,
    /// The first of them.
    front: PartitionFront,
    /// Whether librdkafka was told to pause it.
    pub(super) paused: bool,
    /// When it was assigned, paused or resumed last.
    steady_since: Instant,
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
    /// When the writes of records that come again were made at the latest.
    since: Instant,
    /// How many of the next records may have been written before this assignment: by another member,
    /// or by this one before a crash. As many as can come again.
    possibly_written: usize,
    /// The last record that was handed out of those.
    last_possibly_written: Option<i64>,
    /// Where it began, if that is known.
    start: Option<i64>,
    /// From this offset on no record was begun before this assignment, if that is known.
    suspects_end: Option<i64>,
    /// What is to be committed before its first record is handed out; `None`: nothing, or that is done.
    pub(super) opening: Option<OffsetCommit>,
    /// `None`: no write of an earlier owner can run any more.
    row_waits: Option<RowWaits>,
    /// Records that wait for writes of the last owner, in their order. They are handed out but not in flight.
    pub(super) waiting: VecDeque<WaitingRecord>,
    /// Writing was begun for one of its records and abandoned, so that the instance may still be at work on it.
    was_abandoned: bool,
}

/// A record that waits until no write of its partition's last owner can run any more.
pub(super) struct WaitingRecord {
    pub(super) task: SinkTask,
    pub(super) until: Instant,
}

/// What a new assignment of a partition needs to know.
pub(super) struct AssignmentTerms {
    /// Index of its topic in `sink.topics`.
    pub(super) topic: usize,
    pub(super) epoch: u64,
    /// How many of its records may come again.
    pub(super) max_uncommitted: usize,
    /// How long a request may run on the instance.
    pub(super) transaction_time: Duration,
    /// Why it cannot begin, if so.
    pub(super) hold: Option<Condition>,
}

/// A record that may be written now.
pub(in crate::sink) struct StartedRecord {
    pub(in crate::sink) handle: RecordHandle,
    /// Stopped when the partition goes away.
    pub(in crate::sink) lease: Stop,
    pub(in crate::sink) front: PartitionFront,
    /// When the partition was assigned, if the record may have been written before that.
    pub(in crate::sink) possibly_written_before: Option<Instant>,
    /// Until when it waits for writes of the last owner of its partition.
    pub(in crate::sink) not_before: Option<Instant>,
}

impl AssignedPartition {
    /// The partition is assigned now.
    pub(super) fn new(start: &PartitionStart, terms: AssignmentTerms) -> AssignedPartition {
        let (lease, lease_end) = stop::pair();
        let now = Instant::now();
        let AssignmentTerms {
            topic,
            epoch,
            max_uncommitted,
            transaction_time,
            hold,
        } = terms;
        let note = start.last_note;
        let late = note.and_then(|note| remaining(note.late_until?));
        // The clocks of two hosts may differ.
        let late = late.map(|late| now + late.min(transaction_time));
        let ended = note.map_or(Some(0), |note| note.ended);
        // The end of the writes of earlier owners.
        let over = match ended {
            Some(_) => late.unwrap_or(now),
            None => now + transaction_time,
        };
        AssignedPartition {
            topic,
            tracker: OffsetTracker::default(),
            in_flight: 0,
            front: PartitionFront::new(),
            // By the consumer, as long as something is committed first.
            paused: start.open_at.is_some(),
            steady_since: now,
            deferred: None,
            barred: hold.is_some(),
            hold,
            epoch,
            lease: Some(lease),
            lease_end,
            since: over.checked_sub(transaction_time).unwrap_or(now),
            possibly_written: ended.unwrap_or(max_uncommitted).min(max_uncommitted),
            last_possibly_written: None,
            start: start.offset,
            suspects_end: start.end,
            opening: start.opening(),
            row_waits: (over > now).then(|| RowWaits::new(over, late)),
            waiting: VecDeque::new(),
            was_abandoned: false,
        }
    }

    /// Its next record is handed out; `None`: no record of it may be.
    pub(super) fn begin(
        &mut self,
        partition: TopicPartition,
        offset: i64,
        bytes: usize,
        row: Option<u64>,
        effect: RowEffect,
    ) -> Option<StartedRecord> {
        if self.barred {
            return None;
        }
        self.tracker.begin(offset);
        if self.suspects_end.is_some_and(|end| offset >= end) {
            self.possibly_written = 0;
        }
        let possibly_written_before = self.possibly_written.checked_sub(1).map(|left| {
            self.possibly_written = left;
            self.last_possibly_written = Some(offset);
            self.since
        });
        let not_before = self.row_waits.as_mut().and_then(|waits| {
            let may_be_begun = possibly_written_before.is_some();
            waits.not_before(row?, effect, may_be_begun, Instant::now())
        });
        // Whatever the record is, it does not overtake an older one of its key. The time of a waiting one may be
        // over already, without that it was taken out.
        let not_before = not_before.max(self.last_wait(row));
        if not_before.is_none() {
            self.in_flight += 1;
            self.move_front();
        }
        Some(StartedRecord {
            handle: RecordHandle {
                partition,
                offset,
                epoch: self.epoch,
                topic: self.topic,
                bytes,
            },
            lease: self.lease_end.clone(),
            front: self.front.clone(),
            possibly_written_before,
            not_before,
        })
    }

    /// A record has come back. False: it was handed out under an earlier assignment and does not count.
    pub(super) fn complete(&mut self, completion: &Completion) -> bool {
        if completion.handle.epoch != self.epoch {
            return false;
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        match completion.outcome {
            TaskOutcome::Finished => self.tracker.finish(completion.handle.offset),
            TaskOutcome::NotStarted => {}
            TaskOutcome::Abandoned => self.was_abandoned = true,
        }
        self.move_front();
        true
    }

    /// All its records before this offset had been polled at that moment. If all of them are finished the position
    /// follows, as no record comes that would take it past the marker of a transaction.
    pub(super) fn read_up_to(&mut self, offset: i64, at: Instant) {
        let is_steady = at.saturating_duration_since(self.steady_since) >= STEADY_TIME
            && !self.paused
            && self.deferred.is_none()
            && self.hold.is_none();
        let position = self.tracker.position().or(self.start);
        if is_steady
            && self.tracker.open() == 0
            && position.is_some_and(|position| offset > position)
        {
            self.tracker.begin(offset - 1);
            self.tracker.finish(offset - 1);
        }
    }

    /// It was paused, or goes on.
    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.steady_since = Instant::now();
    }

    /// Until when the last waiting record of this row waits.
    fn last_wait(&self, row: Option<u64>) -> Option<Instant> {
        let row = row?;
        let mut waiting = self.waiting.iter().rev();
        let last = waiting.find(|it| it.task.ordering_key == Some(row))?;
        Some(last.until)
    }

    /// Keeps a record that waits. Those of a partition come in the order of their offsets.
    pub(super) fn set_aside(&mut self, record: WaitingRecord) {
        self.waiting.push_back(record);
    }

    /// Takes out the first waiting record whose time has come. Those of one row keep their order, as a later
    /// one waits as long as an earlier one or longer.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<SinkTask> {
        let due = self.waiting.iter().position(|it| it.until <= now)?;
        let record = self.waiting.remove(due)?;
        self.in_flight += 1;
        self.move_front();
        Some(record.task)
    }

    /// Tells the workers which record in flight is the first one.
    fn move_front(&self) {
        let mut waiting = self.waiting.iter().map(|it| it.task.handle.offset);
        let mut waits = waiting.next();
        let mut unfinished = self.tracker.unfinished();
        let first = unfinished.find(|offset| {
            while waits.is_some_and(|waits| waits < *offset) {
                waits = waiting.next();
            }
            waits != Some(*offset)
        });
        self.front.set(first);
    }

    /// What is committed when its owner gives it away. `late`: until when writes of its topic may still run whose
    /// answers were lost.
    pub(super) fn last_commit(
        &mut self,
        partition: &TopicPartition,
        late: Option<Instant>,
    ) -> Option<OffsetCommit> {
        let moved = self.tracker.take_position();
        let is_clean = self.in_flight == 0 && !self.was_abandoned && !self.barred;
        if moved.is_none() && (!is_clean || self.opening.is_some()) {
            return None;
        }
        let offset = moved.or_else(|| self.tracker.position()).or(self.start)?;
        let ended = is_clean.then(|| {
            let begun = self.tracker.begun_until(self.last_possibly_written);
            if self.has_suspects() {
                self.tracker.open() + self.possibly_written
            } else {
                begun
            }
        });
        Some(OffsetCommit {
            partition: partition.clone(),
            offset,
            note: CommitNote {
                ended,
                late_until: self.late_until(late, self.has_suspects()),
            },
        })
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

    /// The position to commit while it is worked on, if it has moved.
    pub(super) fn next_commit(
        &mut self,
        partition: &TopicPartition,
        late: Option<Instant>,
    ) -> Option<OffsetCommit> {
        Some(OffsetCommit {
            partition: partition.clone(),
            offset: self.tracker.take_position()?,
            note: CommitNote {
                ended: None,
                // Those that have not come yet come to the next owner.
                late_until: self.late_until(late, false),
            },
        })
    }

    /// Whether a record that was begun before this assignment may still come.
    fn has_suspects(&self) -> bool {
        let next = self.tracker.next().or(self.start);
        let is_behind = next
            .zip(self.suspects_end)
            .is_some_and(|(next, end)| next >= end);
        self.possibly_written > 0 && !is_behind
    }

    /// What a commit says of writes that may still run: `late` or those of earlier owners, in seconds since the
    /// epoch. The next owner does not know which rows those are for, as their records may be committed.
    fn late_until(&self, late: Option<Instant>, has_suspects: bool) -> Option<u64> {
        let waits = self.row_waits.as_ref();
        let waits = waits.and_then(|waits| waits.end(has_suspects));
        late.max(waits).and_then(epoch_seconds)
    }

    /// About what its waiting records hold in memory.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(|it| it.task.handle.bytes).sum()
    }

    /// Its records that would come again after a crash.
    pub(super) fn uncommitted(&self) -> usize {
        usize::try_from(self.tracker.uncommitted()).unwrap_or(usize::MAX)
    }
}

/// A moment of this process's clock as seconds since the epoch, rounded up; `None`: it is over.
fn epoch_seconds(moment: Instant) -> Option<u64> {
    let left = moment.checked_duration_since(Instant::now())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some((now + left).as_secs() + 1)
}

/// The time from now to these seconds since the epoch; `None`: they are over.
fn remaining(epoch_seconds: u64) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Duration::from_secs(epoch_seconds).checked_sub(now)
}
