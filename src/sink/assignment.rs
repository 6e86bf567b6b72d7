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

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use self::awaiting_schema::DeferredRecord;
use self::hold_reason::{hold_reason, is_cut_off};
use self::in_flight::InFlight;
use self::partition::{AssignedPartition, StartedRecord};
use super::offset_tracker::OffsetTracker;
use super::record::SchemaRequest;
use super::task::{Completion, RecordHandle, TaskOutcome};
use crate::health::{Condition, ConditionKey, Health};
use crate::kafka::{ConsumerRecord, RebalanceListener, StartPosition, TopicPartition};
use crate::metrics::Metrics;
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

pub(super) use self::awaiting_schema::SchemaWait;

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

struct AssignmentState {
    partitions: BTreeMap<TopicPartition, AssignedPartition>,
    in_flight: InFlight,
    /// Number of the last assignment of a partition.
    epoch: u64,
    /// Records whose writing was begun and abandoned.
    abandoned: usize,
    commits: CommitHealth,
}

/// Whether commits succeed.
struct CommitHealth {
    condition: Condition,
    failing: bool,
}

/// Partitions to pause and to resume.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FlowControl {
    pub(super) pause: Vec<TopicPartition>,
    pub(super) resume: Vec<TopicPartition>,
}

impl Assignment {
    /// Nothing is assigned. `limits`: the name of each topic, in the order of `sink.topics`, and how many
    /// of its records may be in flight.
    pub(super) fn new(
        limits: &[(Arc<str>, usize)],
        completions: Receiver<Completion>,
        revoke_wait: Duration,
        health: &Arc<Health>,
        metrics: &Arc<Metrics>,
    ) -> Assignment {
        let condition = health.condition(ConditionKey::SinkCommits, "");
        condition.ok();
        let state = AssignmentState {
            partitions: BTreeMap::new(),
            in_flight: InFlight::new(limits, metrics),
            epoch: 0,
            abandoned: 0,
            commits: CommitHealth {
                condition,
                failing: false,
            },
        };
        Assignment {
            state: Mutex::new(state),
            completions,
            revoke_wait,
            health: Arc::clone(health),
            metrics: Arc::clone(metrics),
        }
    }

    /// Hands out the next record of a partition, which holds `bytes`. `None`: the partition is not
    /// assigned (any more), so that the record comes again to its next owner.
    pub(super) fn begin(
        &self,
        partition: TopicPartition,
        offset: i64,
        bytes: usize,
    ) -> Option<StartedRecord> {
        let mut state = self.state();
        let state = &mut *state;
        let assigned = state.partitions.get_mut(&partition)?;
        let started = assigned.begin(partition, offset, bytes)?;
        state.in_flight.add(started.handle.topic, bytes);
        Some(started)
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
                || assigned.deferred.is_some();
            if assigned.paused == pause || assigned.hold.is_some() {
                continue;
            }
            assigned.paused = pause;
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
        state.in_flight.is_any() || state.partitions.values().any(|assigned| assigned.paused)
    }

    /// The positions that have moved since the last call.
    pub(super) fn take_positions(&self) -> Vec<(TopicPartition, i64)> {
        let mut state = self.state();
        let state = &mut *state;
        let mut trackers = state.partitions.values().map(|assigned| &assigned.tracker);
        if state.commits.failing && trackers.all(OffsetTracker::is_committed) {
            // The partitions whose commits failed are gone.
            state.commits.succeeded();
        }
        state.take_positions(|_| true)
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
    pub(super) fn restarted(&self, starts: &[(TopicPartition, StartPosition)]) {
        let (cut_off, begun): (Vec<_>, Vec<_>) = starts
            .iter()
            .cloned()
            .partition(|(_, start)| is_cut_off(start));
        for (partition, start) in &cut_off {
            if let Some(assigned) = self.state().partitions.get_mut(partition) {
                assigned.hold = self.hold(partition, start);
            }
        }
        let partitions: Vec<TopicPartition> = begun.iter().map(|(it, _)| it.clone()).collect();
        let paused = self.state().remove(&partitions);
        self.assigned(&begun);
        // librdkafka still pauses those that were paused, and resumes them only on request.
        let mut state = self.state();
        for partition in paused {
            if let Some(assigned) = state.partitions.get_mut(&partition) {
                assigned.paused = true;
            }
        }
    }

    /// A new consumer begins, to which nothing is assigned.
    pub(super) fn clear(&self) {
        self.state().partitions.clear();
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
        for assigned in state.partitions.values_mut() {
            assigned.end_lease();
        }
    }

    /// The number of records whose writing was begun and abandoned since the leases ended.
    pub(super) fn abandoned(&self) -> usize {
        self.state().abandoned
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
    fn assigned(&self, partitions: &[(TopicPartition, StartPosition)]) {
        let mut state = self.state();
        let state = &mut *state;
        for (partition, start) in partitions {
            let Some(topic) = state.in_flight.topic_index(&partition.topic) else {
                continue;
            };
            state.epoch += 1;
            let hold = self.hold(partition, start);
            let max_uncommitted = state.in_flight.max_uncommitted(topic);
            let assigned = AssignedPartition::new(topic, state.epoch, max_uncommitted, hold);
            state.partitions.insert(partition.clone(), assigned);
        }
        log::info!(partitions = names(partitions.iter().map(|(it, _)| it)); "partitions are ours");
    }

    fn revoked(&self, partitions: &[TopicPartition]) -> Vec<(TopicPartition, i64)> {
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
        let positions = state.take_positions(revoked);
        state.remove(partitions);
        log::info!(partitions = names(partitions.iter()); "partitions are given back");
        positions
    }

    fn lost(&self, partitions: &[TopicPartition]) {
        self.state().remove(partitions);
        log::warn!(partitions = names(partitions.iter());
            "partitions were taken from us; the next owner repeats their records in flight");
    }

    fn committed(&self, result: Result<&[(TopicPartition, i64)], String>) {
        let mut state = self.state();
        let label = if result.is_ok() { "ok" } else { "error" };
        self.metrics.sink_commits.with(&[label]).inc();
        match result {
            Ok(positions) => {
                for (partition, position) in positions {
                    if let Some(assigned) = state.partitions.get_mut(partition) {
                        assigned.tracker.committed(*position);
                    }
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

impl AssignmentState {
    fn complete(&mut self, completion: &Completion) {
        let handle = &completion.handle;
        self.in_flight.remove(handle.topic, handle.bytes);
        let assigned = self.partitions.get_mut(&handle.partition);
        let counts = assigned.is_some_and(|assigned| assigned.complete(completion));
        if counts && completion.outcome == TaskOutcome::Abandoned {
            self.abandoned += 1;
        }
    }

    /// Whether no topic with an assigned partition may have another record in flight.
    fn is_full(&self) -> bool {
        let is_assigned = |topic| {
            self.partitions
                .values()
                .any(|assigned| assigned.topic == topic)
        };
        !self.partitions.is_empty() && self.in_flight.is_full(is_assigned)
    }

    fn in_flight_of(&self, wanted: &impl Fn(&TopicPartition) -> bool) -> usize {
        let partitions = self.partitions.iter();
        partitions
            .filter(|(partition, _)| wanted(partition))
            .map(|(_, assigned)| assigned.in_flight)
            .sum()
    }

    fn take_positions(
        &mut self,
        wanted: impl Fn(&TopicPartition) -> bool,
    ) -> Vec<(TopicPartition, i64)> {
        let partitions = self.partitions.iter_mut();
        partitions
            .filter(|(partition, _)| wanted(partition))
            .filter_map(|(partition, assigned)| {
                Some((partition.clone(), assigned.tracker.take_position()?))
            })
            .collect()
    }

    /// Forgets partitions. Gives those of them that were paused.
    fn remove(&mut self, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        let mut paused = Vec::new();
        for partition in partitions {
            let removed = self.partitions.remove(partition);
            if removed.is_some_and(|assigned| assigned.paused) {
                paused.push(partition.clone());
            }
        }
        paused
    }
}

impl CommitHealth {
    fn succeeded(&mut self) {
        self.failing = false;
        self.condition.ok();
    }

    fn failed(&mut self, why: &str) {
        if !self.failing {
            log::warn!(error = why; "positions cannot be committed; trying again");
        }
        self.failing = true;
        self.condition
            .fail(format!("positions cannot be committed: {why}"));
    }
}

fn names<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> String {
    let names: Vec<String> = partitions.map(TopicPartition::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
