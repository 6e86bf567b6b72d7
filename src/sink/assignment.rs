//! The partitions that are ours: what is out of each, what may be committed, who must be paused.
//!
//! librdkafka calls [`Group`](crate::kafka::RebalanceListener) inside of a poll, on the thread that owns all of
//! this. So the lock is never waited for, and a revocation may drain the channel of finished records
//! itself.

mod awaiting_schema;
mod rebalance;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

pub(super) use self::awaiting_schema::SchemaWait;

use self::awaiting_schema::DeferredRecord;
use super::offset_tracker::OffsetTracker;
use super::task::{Completion, RecordHandle, TaskOutcome};
use crate::health::{Condition, ConditionKey, Health};
use crate::kafka::{RebalanceListener as _, StartPosition, TopicPartition};
use crate::metrics::{Gauge, Metrics};
use crate::stop::{Stop, StopTrigger};
use crate::sync::{Mutex, MutexGuard};

/// How many times its limit a partition may have out or uncommitted: what comes again after a crash.
const UNCOMMITTED_PER_IN_FLIGHT: usize = 4;
/// How long a full topic waits for a record to come back before it is paused.
const MAX_WAIT_BEFORE_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of records that may be out at once, of all topics.
const MAX_IN_FLIGHT_BYTES: usize = 16 << 20;

/// What the sink holds of its group.
pub(super) struct Assignment {
    state: Mutex<AssignmentState>,
    done: Receiver<Completion>,
    /// How long a revocation waits for writes that run.
    patience: Duration,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

struct AssignmentState {
    epoch: u64,
    partitions: BTreeMap<TopicPartition, AssignedPartition>,
    topics: Vec<TopicInFlight>,
    bytes: usize,
    /// Records whose writing was begun and given up.
    given_up: usize,
    commits: Condition,
    commit_failing: bool,
}

/// The limits of a topic, and how much of them is used.
struct TopicInFlight {
    name: Arc<str>,
    limit: usize,
    out: usize,
    paused: bool,
    gauge: Gauge,
}

struct AssignedPartition {
    /// Which of the topics.
    topic: usize,
    tracker: OffsetTracker,
    epoch: u64,
    /// Dropping it ends the lease of all records that are out.
    lease: Option<StopTrigger>,
    stop: Stop,
    since: Instant,
    /// Records that may have been written before this assignment: as many as can come again.
    suspects: usize,
    out: usize,
    /// Whether librdkafka was told to pause it.
    paused: bool,
    /// Its next record, which cannot be handed out yet. It is not out: nothing waits for it but its
    /// partition.
    parked: Option<DeferredRecord>,
    /// Why it cannot begin, or go on; keeps readiness away while it is there.
    gone: Option<Condition>,
    /// It was gone from the start: no record of it is handed out.
    barred: bool,
}

/// Partitions to pause and to resume.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FlowControl {
    pub(super) pause: Vec<TopicPartition>,
    pub(super) resume: Vec<TopicPartition>,
}

impl Assignment {
    /// Nothing is assigned. `limits`: name of each topic and how many of its records may be out.
    pub(super) fn new(
        limits: &[(Arc<str>, usize)],
        done: Receiver<Completion>,
        patience: Duration,
        health: &Arc<Health>,
        metrics: &Arc<Metrics>,
    ) -> Assignment {
        let commits = health.condition(ConditionKey::SinkCommits, "");
        commits.ok();
        let topic = |(name, limit): &(Arc<str>, usize)| TopicInFlight {
            name: Arc::clone(name),
            limit: *limit,
            out: 0,
            paused: false,
            gauge: metrics.sink_in_flight.with(&[name]),
        };
        let state = AssignmentState {
            epoch: 0,
            partitions: BTreeMap::new(),
            topics: limits.iter().map(topic).collect(),
            bytes: 0,
            given_up: 0,
            commits,
            commit_failing: false,
        };
        Assignment {
            state: Mutex::new(state),
            done,
            patience,
            health: Arc::clone(health),
            metrics: Arc::clone(metrics),
        }
    }

    /// A record is handed out; `None`: its partition is not ours (any more).
    pub(super) fn begin(
        &self,
        mut ticket: RecordHandle,
    ) -> Option<(RecordHandle, Stop, Option<Instant>)> {
        let mut state = self.state();
        let state = &mut *state;
        let assigned = state.partitions.get_mut(&ticket.partition)?;
        if assigned.barred {
            return None;
        }
        ticket.epoch = assigned.epoch;
        assigned.tracker.begin(ticket.offset);
        assigned.out += 1;
        let suspect = assigned.suspects.checked_sub(1).map(|left| {
            assigned.suspects = left;
            assigned.since
        });
        state.bytes += ticket.bytes;
        if let Some(topic) = state.topics.get_mut(ticket.topic) {
            topic.out += 1;
        }
        Some((ticket, assigned.stop.clone(), suspect))
    }

    /// A record that was begun could not be handed out.
    pub(super) fn take_back(&self, ticket: RecordHandle) {
        let end = TaskOutcome::NotStarted;
        self.state().settle(&Completion {
            handle: ticket,
            outcome: end,
        });
    }

    /// Takes in what has come back.
    pub(super) fn settle(&self) {
        let mut state = self.state();
        for done in self.done.try_iter() {
            state.settle(&done);
        }
        for topic in &state.topics {
            topic.gauge.set(as_f64(topic.out));
        }
    }

    /// Waits for the next record to come back, as no more can be handed out. False: there is room, it
    /// took too long, or `stop`.
    ///
    /// A pause throws away what librdkafka has fetched ahead, and fetches it again after the resume.
    /// While records come back one by one, waiting for the next one costs nothing.
    pub(super) fn wait_for_room(&self, stop: &Stop) -> bool {
        if !self.state().is_full() {
            return false;
        }
        crossbeam_channel::select! {
            recv(self.done) -> done => match done {
                Ok(done) => {
                    self.state().settle(&done);
                    true
                }
                Err(_) => false,
            },
            recv(stop.receiver()) -> _ => false,
            default(MAX_WAIT_BEFORE_PAUSE) => false,
        }
    }

    /// What is to be paused and resumed: a topic is paused when its limit is out, and resumed when
    /// half of it has come back, so that the workers never run dry.
    pub(super) fn flow(&self) -> FlowControl {
        let mut state = self.state();
        let state = &mut *state;
        let mut flow = FlowControl::default();
        for topic in &mut state.topics {
            let none = topic.out == 0;
            let full = !topic.has_room(state.bytes);
            let low =
                topic.out <= topic.limit / 2 && (state.bytes <= MAX_IN_FLIGHT_BYTES / 2 || none);
            topic.paused = if topic.paused { !low } else { full };
        }
        for (partition, assigned) in &mut state.partitions {
            let exposed = usize::try_from(assigned.tracker.exposed()).unwrap_or(usize::MAX);
            let topic = state.topics.get(assigned.topic);
            let full = topic
                .is_some_and(|it| it.paused || it.limit * UNCOMMITTED_PER_IN_FLIGHT <= exposed);
            let wanted = full || assigned.parked.is_some();
            if assigned.paused == wanted || assigned.gone.is_some() {
                continue;
            }
            assigned.paused = wanted;
            let list = match wanted {
                true => &mut flow.pause,
                false => &mut flow.resume,
            };
            list.push(partition.clone());
        }
        flow
    }

    /// Whether records are out or partitions paused, so that something may change soon.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        state.topics.iter().any(|topic| 0 < topic.out)
            || state.partitions.values().any(|assigned| assigned.paused)
    }

    /// Positions that have moved.
    pub(super) fn take_positions(&self) -> Vec<(TopicPartition, i64)> {
        let mut state = self.state();
        let state = &mut *state;
        let mut trackers = state.partitions.values().map(|assigned| &assigned.tracker);
        if state.commit_failing && trackers.all(OffsetTracker::is_committed) {
            // What could not be committed went away with its partition.
            state.commits_work();
        }
        state.take_positions(|_| true)
    }

    /// Whether a partition is held as it cannot begin, or go on.
    pub(super) fn is_held(&self, partition: &TopicPartition) -> bool {
        let state = self.state();
        let assigned = state.partitions.get(partition);
        assigned.is_some_and(|assigned| assigned.gone.is_some())
    }

    /// Partitions whose position was lost while they were ours. Where they begin anew, what is out of
    /// them no longer counts. Where what comes next was deleted they are held, and what is out, which
    /// Kafka does not have any more either, goes on.
    pub(super) fn restarted(&self, starts: &[(TopicPartition, StartPosition)]) {
        let cut = |start: &StartPosition| matches!(start, StartPosition::Gone { committed, low, .. } if committed < low);
        let (cut, starts): (Vec<_>, Vec<_>) =
            starts.iter().cloned().partition(|(_, start)| cut(start));
        self.cut_off(&cut);
        let partitions: Vec<TopicPartition> = starts.iter().map(|(it, _)| it.clone()).collect();
        let paused = self.state().remove(&partitions);
        self.assigned(&starts);
        // They are still paused for librdkafka; who forgets that does not resume them.
        let mut state = self.state();
        for partition in paused {
            if let Some(assigned) = state.partitions.get_mut(&partition) {
                assigned.paused = true;
            }
        }
    }

    /// A new consumer begins: nothing is assigned.
    pub(super) fn renewed(&self) {
        let mut state = self.state();
        state.partitions.clear();
    }

    /// How long writes that run may be waited for.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Ends all leases: what has begun goes on, nothing else begins.
    pub(super) fn end_leases(&self) {
        let mut state = self.state();
        state.given_up = 0;
        for assigned in state.partitions.values_mut() {
            assigned.lease = None;
        }
    }

    /// Records whose writing was begun and given up since the leases ended.
    pub(super) fn given_up(&self) -> usize {
        self.state().given_up
    }

    /// Waits until nothing is out, at most until `deadline`; how many records still are.
    pub(super) fn wait_all(&self, deadline: Instant) -> usize {
        self.wait(deadline, |_| true)
    }

    /// Waits until nothing is out of the wanted partitions; how many records still are.
    fn wait(&self, deadline: Instant, wanted: impl Fn(&TopicPartition) -> bool) -> usize {
        loop {
            let out = self.state().out(&wanted);
            if out == 0 {
                return 0;
            }
            match self.done.recv_deadline(deadline) {
                Ok(done) => self.state().settle(&done),
                Err(_) => return out,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, AssignmentState> {
        self.state.lock()
    }
}

impl AssignmentState {
    fn settle(&mut self, done: &Completion) {
        let Completion {
            handle: ticket,
            outcome: end,
        } = done;
        self.bytes = self.bytes.saturating_sub(ticket.bytes);
        if let Some(topic) = self.topics.get_mut(ticket.topic) {
            topic.out = topic.out.saturating_sub(1);
        }
        let assigned = self.partitions.get_mut(&ticket.partition);
        if let Some(assigned) = assigned.filter(|assigned| assigned.epoch == ticket.epoch) {
            assigned.out = assigned.out.saturating_sub(1);
            match end {
                TaskOutcome::Finished => assigned.tracker.finish(ticket.offset),
                TaskOutcome::NotStarted => {}
                TaskOutcome::Abandoned => self.given_up += 1,
            }
        }
    }

    /// Whether no topic of ours may have another record out. With room in one of them, the others are
    /// paused instead, so that it need not wait for them.
    fn is_full(&self) -> bool {
        let ours = |at: usize| {
            self.partitions
                .values()
                .any(|assigned| assigned.topic == at)
        };
        let mut topics = self.topics.iter().enumerate().filter(|(at, _)| ours(*at));
        let full = |topic: &TopicInFlight| topic.limit <= topic.out && !topic.paused;
        !self.partitions.is_empty() && topics.all(|(_, topic)| full(topic))
    }

    fn commits_work(&mut self) {
        self.commit_failing = false;
        self.commits.ok();
    }

    fn out(&self, wanted: &impl Fn(&TopicPartition) -> bool) -> usize {
        let wanted = self
            .partitions
            .iter()
            .filter(|(partition, _)| wanted(partition));
        wanted.map(|(_, assigned)| assigned.out).sum()
    }

    fn take_positions(
        &mut self,
        wanted: impl Fn(&TopicPartition) -> bool,
    ) -> Vec<(TopicPartition, i64)> {
        let take = |(partition, assigned): (&TopicPartition, &mut AssignedPartition)| {
            let position = wanted(partition).then(|| assigned.tracker.take_position())??;
            Some((partition.clone(), position))
        };
        self.partitions.iter_mut().filter_map(take).collect()
    }

    /// Gives those of them that were paused.
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

impl TopicInFlight {
    /// Whether one more record may be out, while records of all topics hold `bytes`. Without one
    /// that is out a topic may have one, so that no topic waits for another.
    fn has_room(&self, bytes: usize) -> bool {
        self.out < self.limit && (bytes < MAX_IN_FLIGHT_BYTES || self.out == 0)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are never so many records"
)]
fn as_f64(records: usize) -> f64 {
    records as f64
}

#[cfg(test)]
mod tests;
