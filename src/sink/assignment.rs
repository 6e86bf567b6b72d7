//! The partitions that the group has assigned to this process: which records of each are in flight, what
//! may be committed, and which partitions must be paused.
//!
//! librdkafka calls the [`RebalanceListener`] inside of a poll, on the thread that owns the consumer.
//! That is the only thread that uses an [`Assignment`], so that its lock is never waited for, and a
//! revocation may itself receive the completions of records in flight.

mod awaiting_schema;
mod hold_reason;
mod in_flight;
mod partition;
mod row_waits;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use self::awaiting_schema::DeferredRecord;
use self::hold_reason::{hold_reason, is_cut_off};
use self::in_flight::InFlight;
use self::partition::{AssignedPartition, AssignmentTerms, StartedRecord, WaitingRecord};
use self::state::{AssignmentState, CommitHealth};
use super::offset_tracker::OffsetTracker;
use super::record::{RowEffect, SchemaRequest};
use super::task::{Completion, RecordHandle, SinkTask, TaskOutcome};
use crate::health::{Condition, ConditionKey, Health};
use crate::kafka::{
    ConsumerRecord, OffsetCommit, PartitionStart, RebalanceListener, StartPosition, TopicPartition,
};
use crate::metrics::Metrics;
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

pub(super) use self::awaiting_schema::SchemaWait;
pub(super) use self::state::{AssignmentTimes, LateUntil, names};

/// How long the consumer waits, when no more records may be handed out, for one to come back before
/// partitions are paused.
const MAX_WAIT_BEFORE_PAUSE: Duration = Duration::from_secs(1);

/// What the group has assigned to this process.
pub(super) struct Assignment {
    state: Mutex<AssignmentState>,
    /// Records that have come back. Only this reads them.
    completions: Receiver<Completion>,
    /// How long a revocation waits for writes in flight.
    revoke_wait: Duration,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

/// Partitions to pause and to resume.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FlowControl {
    pub(super) pause: Vec<TopicPartition>,
    pub(super) resume: Vec<TopicPartition>,
}

impl Assignment {
    /// Nothing is assigned. `limits`: the name of each topic, in the order of `sink.topics`, and how many
    /// of its records may be in flight. `late_until` is asked at each commit.
    pub(super) fn new(
        limits: &[(Arc<str>, usize)],
        completions: Receiver<Completion>,
        times: AssignmentTimes,
        late_until: LateUntil,
        health: &Arc<Health>,
        metrics: &Arc<Metrics>,
    ) -> Assignment {
        let condition = health.condition(ConditionKey::SinkCommits, "");
        condition.ok();
        let state = AssignmentState {
            partitions: BTreeMap::new(),
            in_flight: InFlight::new(limits, metrics),
            transaction_time: times.transaction_time,
            late_until,
            epoch: 0,
            abandoned: 0,
            is_ending: false,
            unconfirmed: BTreeMap::new(),
            commits: CommitHealth {
                condition,
                failing: false,
            },
        };
        Assignment {
            state: Mutex::new(state),
            completions,
            revoke_wait: times.revoke_wait,
            health: Arc::clone(health),
            metrics: Arc::clone(metrics),
        }
    }

    /// What is to be committed before the first records of new partitions are handed out.
    pub(super) fn opening_commits(&self) -> Vec<OffsetCommit> {
        self.state().opening_commits()
    }

    /// What had to be committed first is committed for these partitions.
    pub(super) fn opened(&self, partitions: &[TopicPartition]) {
        self.state().opened(partitions);
    }

    /// Hands out the next record of a partition, which holds `bytes`. `row`: its ordering key. One that
    /// has to wait is given to [`Assignment::set_aside`]. `None`: the partition is not assigned (any more), so
    /// that the record comes again to its next owner.
    pub(super) fn begin(
        &self,
        partition: TopicPartition,
        offset: i64,
        bytes: usize,
        row: Option<u64>,
        effect: RowEffect,
    ) -> Option<StartedRecord> {
        let mut state = self.state();
        let state = &mut *state;
        let assigned = state.partitions.get_mut(&partition)?;
        let started = assigned.begin(partition, offset, bytes, row, effect)?;
        if started.not_before.is_none() {
            state.in_flight.add(started.handle.topic, bytes);
        }
        Some(started)
    }

    /// Keeps a record that waits for writes of the last owner of its partition.
    pub(super) fn set_aside(&self, task: SinkTask, until: Instant) {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(assigned) = state.partitions.get_mut(&task.handle.partition) {
            state
                .in_flight
                .add_waiting(task.handle.topic, task.handle.bytes);
            assigned.set_aside(WaitingRecord { task, until });
        }
    }

    /// Takes out a record that has waited long enough and for which its topic has room.
    pub(super) fn take_due(&self, now: Instant) -> Option<SinkTask> {
        let mut state = self.state();
        let state = &mut *state;
        for assigned in state.partitions.values_mut() {
            if !assigned.waiting.is_empty()
                && state.in_flight.may_start_waiting(assigned.topic)
                && let Some(task) = assigned.take_due(now)
            {
                state.in_flight.start_waiting(assigned.topic);
                return Some(task);
            }
        }
        None
    }

    /// Takes a record back that was begun and could not be given to a worker.
    pub(super) fn withdraw(&self, handle: RecordHandle) {
        let outcome = TaskOutcome::NotStarted;
        self.state().complete(&Completion { handle, outcome });
    }

    /// Takes in all records that have come back.
    pub(super) fn take_completions(&self) {
        let mut state = self.state();
        for completion in self.completions.try_iter() {
            state.complete(&completion);
        }
        state.in_flight.show();
    }

    /// If no more records may be handed out, waits for the next one to come back. False: there is room,
    /// none came within a second, or `stop` was given.
    ///
    /// Pausing partitions throws away what librdkafka has fetched ahead, which is fetched again when
    /// they are resumed. Waiting costs nothing while records come back one by one.
    pub(super) fn wait_for_room(&self, stop: &Stop) -> bool {
        if !self.state().is_full() {
            return false;
        }
        crossbeam_channel::select! {
            recv(self.completions) -> completion => match completion {
                Ok(completion) => {
                    self.state().complete(&completion);
                    true
                }
                Err(_) => false,
            },
            recv(stop.receiver()) -> _ => false,
            default(MAX_WAIT_BEFORE_PAUSE) => false,
        }
    }

    /// The partitions to pause and to resume now: a topic pauses when its limit is reached, and resumes
    /// when half of it has come back, so that the workers never run dry.
    pub(super) fn flow_control(&self) -> FlowControl {
        let mut state = self.state();
        let state = &mut *state;
        state.in_flight.update_pauses();
        let mut flow = FlowControl::default();
        for (partition, assigned) in &mut state.partitions {
            let too_many = state.in_flight.max_uncommitted(assigned.topic);
            let pause = state.in_flight.is_paused(assigned.topic)
                || assigned.uncommitted() >= too_many
                || assigned.deferred.is_some()
                || assigned.opening.is_some();
            if assigned.paused == pause || assigned.hold.is_some() {
                continue;
            }
            assigned.set_paused(pause);
            let list = if pause {
                &mut flow.pause
            } else {
                &mut flow.resume
            };
            list.push(partition.clone());
        }
        flow
    }

    /// Whether records are in flight or partitions paused, so that a poll should be short.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        let is_waiting =
            |assigned: &AssignedPartition| assigned.paused || !assigned.waiting.is_empty();
        state.in_flight.is_any() || state.partitions.values().any(is_waiting)
    }

    /// Whether a position may have moved since they were taken, or commits fail.
    pub(super) fn has_moved(&self) -> bool {
        let state = self.state();
        let mut trackers = state.partitions.values().map(|assigned| &assigned.tracker);
        state.commits.failing || trackers.any(|tracker| !tracker.is_committed())
    }

    /// The positions that have moved since the last call.
    pub(super) fn take_positions(&self) -> Vec<OffsetCommit> {
        let mut state = self.state();
        let state = &mut *state;
        let mut trackers = state.partitions.values().map(|assigned| &assigned.tracker);
        if state.commits.failing && trackers.all(OffsetTracker::is_committed) {
            // The partitions whose commits failed are gone.
            state.commits.succeeded();
        }
        state.next_commits()
    }

    /// Whether a partition is held, as its next records are gone.
    pub(super) fn is_held(&self, partition: &TopicPartition) -> bool {
        let state = self.state();
        let assigned = state.partitions.get(partition);
        assigned.is_some_and(|assigned| assigned.hold.is_some())
    }

    /// These partitions had a position outside of them, and begin anew or are held.
    ///
    /// Where a partition begins anew, its records in flight no longer count. Where its next records were
    /// deleted it is held; its records in flight are written to the end, as Kafka cannot give them
    /// again.
    pub(super) fn restarted(&self, starts: &[PartitionStart]) {
        let (cut_off, begun): (Vec<_>, Vec<_>) = starts
            .iter()
            .cloned()
            .partition(|start| is_cut_off(&start.position));
        for start in &cut_off {
            if let Some(assigned) = self.state().partitions.get_mut(&start.partition) {
                assigned.hold = self.hold(&start.partition, &start.position);
            }
        }
        let partitions: Vec<TopicPartition> = begun.iter().map(|it| it.partition.clone()).collect();
        let paused = self.state().remove(&partitions);
        self.assigned(&begun);
        // librdkafka still pauses those that were paused, and resumes them only on request.
        let mut state = self.state();
        for partition in paused {
            if let Some(assigned) = state.partitions.get_mut(&partition) {
                assigned.set_paused(true);
            }
        }
    }

    /// A new consumer begins, to which nothing is assigned.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        let partitions: Vec<TopicPartition> = state.partitions.keys().cloned().collect();
        state.is_ending = false;
        state.remove(&partitions);
        state.unconfirmed.clear();
    }

    /// How long writes in flight are waited for when partitions or the whole consumer go away.
    pub(super) fn revoke_wait(&self) -> Duration {
        self.revoke_wait
    }

    /// Ends all leases: no other record begins, and a record that has begun finishes the request that is
    /// under way but makes no further one.
    pub(super) fn end_leases(&self) {
        let mut state = self.state();
        state.abandoned = 0;
        state.is_ending = true;
        for assigned in state.partitions.values_mut() {
            assigned.end_lease();
        }
    }

    /// The number of records whose writing was begun and abandoned since the leases ended.
    pub(super) fn abandoned(&self) -> usize {
        self.state().abandoned
    }

    /// The number of finished records, since the leases ended, whose commit Kafka has not confirmed.
    pub(super) fn unconfirmed(&self) -> u64 {
        self.state().unconfirmed.values().sum()
    }

    /// Waits until no record is in flight, but not beyond `deadline`. Gives the number that still are.
    pub(super) fn wait_until_idle(&self, deadline: Instant) -> usize {
        self.wait_for(|_| true, deadline)
    }

    /// As [`Assignment::wait_until_idle`], for the wanted partitions.
    fn wait_for(&self, wanted: impl Fn(&TopicPartition) -> bool, deadline: Instant) -> usize {
        loop {
            let left = self.state().in_flight_of(&wanted);
            if left == 0 {
                return 0;
            }
            match self.completions.recv_deadline(deadline) {
                Ok(completion) => self.state().complete(&completion),
                Err(_) => return left,
            }
        }
    }

    /// Keeps the next record of `partition`, which waits for a schema since `since`. The caller must let
    /// [`Assignment::flow_control`] pause the partition before the next poll. A record of a partition
    /// that is not assigned is dropped: it comes again to the next owner.
    pub(super) fn defer(
        &self,
        partition: &TopicPartition,
        record: ConsumerRecord,
        request: SchemaRequest,
        since: Instant,
    ) {
        if let Some(assigned) = self.state().partitions.get_mut(partition) {
            assigned.defer(DeferredRecord {
                record,
                request,
                since,
            });
        }
    }

    /// Whether the next record of this partition waits for a schema, so that no other one of it may be
    /// handed out.
    pub(super) fn has_deferred(&self, partition: &TopicPartition) -> bool {
        let state = self.state();
        let assigned = state.partitions.get(partition);
        assigned.is_some_and(|assigned| assigned.deferred.is_some())
    }

    /// Takes out a deferred record that is ready and for which its topic has room, and since when it
    /// waited. Until it is handed out, no other record of its partition may be.
    pub(super) fn take_deferred(
        &self,
        is_ready: impl Fn(&SchemaWait) -> bool,
    ) -> Option<(ConsumerRecord, Instant)> {
        let mut state = self.state();
        let state = &mut *state;
        let mut partitions = state.partitions.iter_mut();
        partitions.find_map(|(partition, assigned)| {
            let wait = assigned.schema_wait(partition)?;
            if !state.in_flight.has_room(assigned.topic) || !is_ready(&wait) {
                return None;
            }
            let deferred = assigned.deferred.take()?;
            Some((deferred.record, deferred.since))
        })
    }

    /// The records that wait for a schema.
    pub(super) fn schema_waits(&self) -> Vec<SchemaWait> {
        let state = self.state();
        let partitions = state.partitions.iter();
        partitions
            .filter_map(|(partition, assigned)| assigned.schema_wait(partition))
            .collect()
    }

    /// A condition that says why a partition is held, if it is.
    fn hold(&self, partition: &TopicPartition, start: &StartPosition) -> Option<Condition> {
        let reason = hold_reason(start)?;
        log::error!(partition:% = partition, reason = reason; "a partition is held");
        let key = ConditionKey::SinkPartition {
            topic: partition.topic.to_string(),
            partition: partition.number,
        };
        let condition = self.health.condition(key, "");
        condition.hold(reason);
        Some(condition)
    }

    fn state(&self) -> MutexGuard<'_, AssignmentState> {
        self.state.lock()
    }
}

impl RebalanceListener for Assignment {
    fn assigned(&self, partitions: &[PartitionStart]) {
        let mut state = self.state();
        let state = &mut *state;
        let mut unclean = Vec::new();
        for start in partitions {
            let Some(topic) = state.in_flight.topic_index(&start.partition.topic) else {
                continue;
            };
            state.epoch += 1;
            let terms = AssignmentTerms {
                topic,
                epoch: state.epoch,
                max_uncommitted: state.in_flight.max_uncommitted(topic),
                transaction_time: state.transaction_time,
                hold: self.hold(&start.partition, &start.position),
            };
            if start.last_note.is_some_and(|note| note.ended.is_none()) && terms.hold.is_none() {
                unclean.push(&start.partition);
            }
            let assigned = AssignedPartition::new(start, terms);
            state.partitions.insert(start.partition.clone(), assigned);
        }
        log::info!(partitions = names(partitions.iter().map(|it| &it.partition)); "partitions are ours");
        state.log_unclean(&unclean);
    }

    fn revoked(&self, partitions: &[TopicPartition]) -> Vec<OffsetCommit> {
        for partition in partitions {
            if let Some(assigned) = self.state().partitions.get_mut(partition) {
                assigned.end_lease();
            }
        }
        let revoked = |partition: &TopicPartition| partitions.contains(partition);
        let left = self.wait_for(revoked, Instant::now() + self.revoke_wait);
        if left > 0 {
            log::warn!(records = left;
                "partitions are given back while writes still run; the next owner repeats them");
        }
        let mut state = self.state();
        let commits = state.last_commits(partitions);
        state.remove(partitions);
        log::info!(partitions = names(partitions.iter()); "partitions are given back");
        commits
    }

    fn lost(&self, partitions: &[TopicPartition]) {
        self.state().remove(partitions);
        log::warn!(partitions = names(partitions.iter());
            "partitions were taken from us; the next owner repeats their records in flight");
    }

    fn read_up_to(&self, partition: &TopicPartition, offset: i64, at: Instant) {
        if let Some(assigned) = self.state().partitions.get_mut(partition) {
            assigned.read_up_to(offset, at);
        }
    }

    fn committed(&self, result: Result<&[(TopicPartition, i64)], String>) {
        let mut state = self.state();
        let label = if result.is_ok() { "ok" } else { "error" };
        self.metrics.sink_commits.with(&[label]).inc();
        match result {
            Ok(positions) => {
                for (partition, position) in positions {
                    state.committed(partition, *position);
                }
                if state.commits.failing {
                    state.commits.succeeded();
                    log::info!("positions are committed again");
                }
            }
            Err(why) => state.commits.failed(&why),
        }
    }
}

#[cfg(test)]
mod tests;
