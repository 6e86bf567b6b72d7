//! What the group has assigned to this process, at one moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::in_flight::InFlight;
use super::partition::AssignedPartition;
use crate::health::Condition;
use crate::kafka::{OffsetCommit, TopicPartition};
use crate::sink::task::{Completion, TaskOutcome};

/// Times that an assignment needs to know.
#[derive(Debug, Clone, Copy)]
pub(in crate::sink) struct AssignmentTimes {
    /// How long a revocation waits for writes in flight.
    pub(in crate::sink) revoke_wait: Duration,
    /// `sink.transaction_time`: how long a request may run on the instance.
    pub(in crate::sink) transaction_time: Duration,
}

/// Until when the instance may still execute writes to a topic, given by its index, whose answers were lost.
pub(in crate::sink) type LateUntil = Box<dyn Fn(usize) -> Option<Instant> + Send + Sync>;

/// The state behind the lock of an assignment.
pub(super) struct AssignmentState {
    pub(super) partitions: BTreeMap<TopicPartition, AssignedPartition>,
    pub(super) in_flight: InFlight,
    /// How long a request may run on the instance.
    pub(super) transaction_time: Duration,
    pub(super) late_until: LateUntil,
    /// Number of the last assignment of a partition.
    pub(super) epoch: u64,
    /// Records whose writing was begun and abandoned.
    pub(super) abandoned: usize,
    /// The consumer ends, so that what is not committed now comes again.
    pub(super) is_ending: bool,
    /// Finished records of partitions that were given back at the end, as long as their commit is not confirmed.
    pub(super) unconfirmed: BTreeMap<TopicPartition, u64>,
    pub(super) commits: CommitHealth,
}

/// Whether commits succeed.
pub(super) struct CommitHealth {
    pub(super) condition: Condition,
    pub(super) failing: bool,
}

impl AssignmentState {
    pub(super) fn complete(&mut self, completion: &Completion) {
        let handle = &completion.handle;
        self.in_flight.remove(handle.topic, handle.bytes);
        let assigned = self.partitions.get_mut(&handle.partition);
        let counts = assigned.is_some_and(|assigned| assigned.complete(completion));
        if counts && completion.outcome == TaskOutcome::Abandoned {
            self.abandoned += 1;
        }
    }

    /// Whether no topic with an assigned partition may have another record in flight.
    pub(super) fn is_full(&self) -> bool {
        let is_assigned = |topic| {
            self.partitions
                .values()
                .any(|assigned| assigned.topic == topic)
        };
        !self.partitions.is_empty() && self.in_flight.is_full(is_assigned)
    }

    pub(super) fn in_flight_of(&self, wanted: &impl Fn(&TopicPartition) -> bool) -> usize {
        let partitions = self.partitions.iter();
        partitions
            .filter(|(partition, _)| wanted(partition))
            .map(|(_, assigned)| assigned.in_flight)
            .sum()
    }

    /// What has moved since the last call.
    pub(super) fn next_commits(&mut self) -> Vec<OffsetCommit> {
        let late_until = &self.late_until;
        let partitions = self.partitions.iter_mut();
        partitions
            .filter_map(|(partition, assigned)| {
                assigned.next_commit(partition, late_until(assigned.topic))
            })
            .collect()
    }

    /// What is committed of partitions that are given away.
    pub(super) fn last_commits(&mut self, partitions: &[TopicPartition]) -> Vec<OffsetCommit> {
        let mut commits = Vec::new();
        for partition in partitions {
            if let Some(assigned) = self.partitions.get_mut(partition) {
                let late = (self.late_until)(assigned.topic);
                commits.extend(assigned.last_commit(partition, late));
            }
        }
        commits
    }

    /// Forgets partitions, with the records that wait in them. Gives those of them that were paused.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        let mut paused = Vec::new();
        for partition in partitions {
            let Some(removed) = self.partitions.remove(partition) else {
                continue;
            };
            self.in_flight.drop_waiting(
                removed.topic,
                removed.waiting.len(),
                removed.waiting_bytes(),
            );
            let finished = removed.tracker.finished_uncommitted();
            if self.is_ending && finished > 0 {
                self.unconfirmed.insert(partition.clone(), finished);
            }
            if removed.paused {
                paused.push(partition.clone());
            }
        }
        paused
    }

    pub(super) fn opening_commits(&self) -> Vec<OffsetCommit> {
        let partitions = self.partitions.iter();
        partitions
            .filter_map(|(_, assigned)| assigned.opening.clone())
            .collect()
    }

    pub(super) fn opened(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(assigned) = self.partitions.get_mut(partition) {
                assigned.opening = None;
            }
        }
    }

    /// Says what follows from the unclean end of the last owner of these partitions.
    pub(super) fn log_unclean(&self, partitions: &[&TopicPartition]) {
        if !partitions.is_empty() {
            let seconds = self.transaction_time.as_secs_f64();
            log::info!(partitions = names(partitions.iter().copied()), seconds = seconds;
                "their last owner did not end cleanly: of each row among the records that come again, the \
                 first is written at once and the next one after this time, when no write of the last \
                 owner can run any more");
        }
    }

    /// Kafka has committed a position of a partition.
    pub(super) fn committed(&mut self, partition: &TopicPartition, offset: i64) {
        self.unconfirmed.remove(partition);
        if let Some(assigned) = self.partitions.get_mut(partition) {
            assigned.tracker.committed(offset);
        }
    }
}

impl CommitHealth {
    pub(super) fn succeeded(&mut self) {
        self.failing = false;
        self.condition.ok();
    }

    pub(super) fn failed(&mut self, why: &str) {
        if !self.failing {
            log::warn!(error = why; "positions cannot be committed; trying again");
        }
        self.failing = true;
        self.condition
            .fail(format!("positions cannot be committed: {why}"));
    }
}

/// The partitions for a line of the log.
pub(in crate::sink) fn names<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> String {
    let names: Vec<String> = partitions.map(TopicPartition::to_string).collect();
    names.join(", ")
}
