//! When positions are given to librdkafka, and the look before it whether they still are positions of the same
//! topic.
//!
//! When a topic is deleted, Kafka also deletes what the group has committed for it. If it is made anew and filled
//! past the position, the consumer goes on in the middle of the new topic without an error, and the next commit
//! would hide that. As each partition that is worked on has a commit, one without any tells of a new topic.

use std::time::{Duration, Instant};

use super::assignment::{Assignment, names};
use crate::kafka::Consumer;

/// Time between two commits while positions move.
const COMMIT_INTERVAL: Duration = Duration::from_millis(250);
/// Time between two looks while no position moves, and after one that failed.
const IDLE_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// When to look next.
pub(super) struct CommitPace {
    commit_at: Instant,
    look_at: Instant,
}

impl CommitPace {
    /// The consumer starts at `now`.
    pub(super) fn new(now: Instant) -> CommitPace {
        CommitPace {
            commit_at: now,
            look_at: now + IDLE_LOOK_INTERVAL,
        }
    }

    /// Gives the positions that have moved to librdkafka, if that is due.
    ///
    /// # Errors
    /// In words: the consumer must be made anew, which begins new topics at their oldest records.
    pub(super) fn step(
        &mut self,
        consumer: &Consumer,
        assignment: &Assignment,
        now: Instant,
    ) -> Result<(), String> {
        let is_due = now >= self.commit_at && assignment.has_moved() || now >= self.look_at;
        if !is_due {
            return Ok(());
        }
        self.look_at = now + IDLE_LOOK_INTERVAL;
        match consumer.vanished_commits() {
            Ok(vanished) if vanished.is_empty() => {
                self.commit_at = now + COMMIT_INTERVAL;
                consumer.store(&assignment.take_positions());
                Ok(())
            }
            Ok(vanished) => Err(format!(
                "what the group had committed for {} is gone: the topic was deleted; if it was made anew, \
                     it is read from its oldest record on",
                names(vanished.iter())
            )),
            Err(why) => {
                log::debug!(error = why; "Kafka does not say what is committed");
                self.commit_at = now + IDLE_LOOK_INTERVAL;
                Ok(())
            }
        }
    }
}
