//! The look, once after each start of the consumer, whether the group has given out all partitions.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::kafka::{Consumer, GroupCoverage};

/// First and longest pause between two looks, until one says how things are.
const GROUP_CHECK_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(60));
/// So long partitions must have had no member: in a cooperative distribution those that change hands have none
/// between its two steps.
const SECOND_LOOK_DELAY: Duration = Duration::from_secs(2);
/// A member that has no partition after this time has been given none, and one that is still busy has waited
/// long enough for a quiet moment.
const MAX_GROUP_CHECK_DELAY: Duration = Duration::from_secs(15);

/// When to look next.
pub(super) struct GroupCheck {
    started: Instant,
    /// `None`: it is known that the group has given out everything.
    due: Option<Instant>,
    backoff: Backoff,
    /// The last look found partitions without a member.
    is_suspect: bool,
}

impl GroupCheck {
    /// The consumer starts at `now`.
    pub(super) fn new(now: Instant) -> GroupCheck {
        GroupCheck {
            started: now,
            due: Some(now),
            backoff: Backoff::new(GROUP_CHECK_BACKOFF.0, GROUP_CHECK_BACKOFF.1),
            is_suspect: false,
        }
    }

    /// Looks if that is due, and joins the group again if partitions have no member. `is_idle`: no record
    /// came by the last poll, so that none waits for this.
    ///
    /// # Errors
    /// In words: librdkafka refuses.
    pub(super) fn step(
        &mut self,
        consumer: &Consumer,
        is_idle: bool,
        now: Instant,
    ) -> Result<(), String> {
        let is_due = self.due.is_some_and(|due| now >= due);
        let is_late = now.saturating_duration_since(self.started) > MAX_GROUP_CHECK_DELAY;
        if !is_due || !(is_late || is_idle && consumer.has_partitions()) {
            return Ok(());
        }
        match consumer.group_coverage() {
            GroupCoverage::Complete => self.due = None,
            GroupCoverage::Unknown(why) => {
                log::debug!(reason = why; "it is not known yet whether all partitions have a member");
                self.due = Some(now + self.backoff.next_ceiling());
                self.is_suspect = false;
            }
            GroupCoverage::Incomplete(_) if !self.is_suspect => {
                self.due = Some(now + SECOND_LOOK_DELAY);
                self.is_suspect = true;
            }
            GroupCoverage::Incomplete(why) => {
                log::info!(reason = why; "the group is asked to distribute its partitions anew");
                consumer.rejoin()?;
                *self = GroupCheck::new(now);
                self.due = Some(now + GROUP_CHECK_BACKOFF.1);
            }
        }
        Ok(())
    }
}
