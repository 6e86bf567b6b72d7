//! What librdkafka tells of partitions that come and go.

use std::time::Instant;

use super::{AssignedPartition, Assignment, UNCOMMITTED_PER_IN_FLIGHT};
use crate::health::{Condition, ConditionKey};
use crate::kafka::{RebalanceListener, StartPosition, TopicPartition};
use crate::sink::offset_tracker::OffsetTracker;
use crate::stop;

impl RebalanceListener for Assignment {
    fn assigned(&self, partitions: &[(TopicPartition, StartPosition)]) {
        let mut state = self.state();
        let state = &mut *state;
        for (partition, start) in partitions {
            let mut topics = state.topics.iter();
            let Some(at) = topics.position(|topic| topic.name == partition.topic) else {
                continue;
            };
            state.epoch += 1;
            let (lease, stop) = stop::pair();
            let gone = self.gone(partition, start);
            let assigned = AssignedPartition {
                topic: at,
                tracker: OffsetTracker::default(),
                epoch: state.epoch,
                lease: Some(lease),
                stop,
                since: Instant::now(),
                suspects: state
                    .topics
                    .get(at)
                    .map_or(0, |topic| topic.limit * UNCOMMITTED_PER_IN_FLIGHT),
                out: 0,
                paused: false,
                parked: None,
                barred: gone.is_some(),
                gone,
            };
            state.partitions.insert(partition.clone(), assigned);
        }
        log::info!(partitions = names(partitions.iter().map(|(it, _)| it)); "partitions are ours");
    }

    fn revoked(&self, partitions: &[TopicPartition]) -> Vec<(TopicPartition, i64)> {
        let ours = |partition: &TopicPartition| partitions.contains(partition);
        for (_, assigned) in self
            .state()
            .partitions
            .iter_mut()
            .filter(|(it, _)| ours(it))
        {
            assigned.lease = None;
        }
        // Whatever is out comes back through `done`, which only this thread drains.
        let left = self.wait(Instant::now() + self.patience, ours);
        if left > 0 {
            log::warn!(records = left;
                "partitions are given back while writes still run; the next owner repeats them");
        }
        let mut state = self.state();
        let positions = state.take_positions(ours);
        state.remove(partitions);
        log::info!(partitions = names(partitions.iter()); "partitions are given back");
        positions
    }

    fn lost(&self, partitions: &[TopicPartition]) {
        self.state().remove(partitions);
        log::warn!(partitions = names(partitions.iter());
            "partitions were taken from us; what is out of them is repeated by their next owner");
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
                if state.commit_failing {
                    state.commits_work();
                    log::info!("positions are committed again");
                }
            }
            Err(why) => {
                if !std::mem::replace(&mut state.commit_failing, true) {
                    log::warn!(error = why; "positions cannot be committed; trying again");
                }
                state
                    .commits
                    .fail(format!("positions cannot be committed: {why}"));
            }
        }
    }
}

impl Assignment {
    /// What comes next in these partitions was deleted. They are paused already.
    pub(super) fn cut_off(&self, partitions: &[(TopicPartition, StartPosition)]) {
        let mut state = self.state();
        for (partition, start) in partitions {
            if let Some(assigned) = state.partitions.get_mut(partition) {
                assigned.gone = self.gone(partition, start);
            }
        }
    }

    /// A condition that says why a partition is held, if it is.
    fn gone(&self, partition: &TopicPartition, start: &StartPosition) -> Option<Condition> {
        let words = gone_words(start)?;
        log::error!(partition:% = partition, reason = words; "a partition is held");
        let key = ConditionKey::SinkPartition {
            topic: partition.topic.to_string(),
            partition: partition.number,
        };
        Some(self.health.condition(key, &words))
    }
}

/// Why a partition cannot begin, and what to do.
fn gone_words(start: &StartPosition) -> Option<String> {
    let StartPosition::Gone {
        committed,
        low,
        high,
    } = start
    else {
        return None;
    };
    let why = match committed < low {
        true => "records that were not written yet were deleted by Kafka",
        false => "the partition ends before it: was the topic made anew, or data lost?",
    };
    Some(format!(
        "held: the group has committed offset {committed}, the partition holds {low} to {high}: \
         {why}; to go on, stop the bridge and set a position with kafka-consumer-groups.sh \
         --reset-offsets"
    ))
}

fn names<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> String {
    let names: Vec<String> = partitions.map(TopicPartition::to_string).collect();
    names.join(", ")
}
