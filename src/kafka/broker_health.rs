//! Whether Kafka answers, and when to find out again.
//!
//! An acknowledged record proves that a broker answers. While none is acknowledged, the thread
//! `kafka-poll` asks for the metadata of one topic: any broker that is up can answer, which is just
//! what readiness claims, for one small request every few seconds. librdkafka's statistics would tell
//! it too, but cost a JSON text about all partitions each time; its error events only tell that
//! connections ended.

use std::time::{Duration, Instant};

/// Time between two checks while a broker answers.
const REACHABLE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two checks while none does.
const UNREACHABLE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a broker answered at the last check, and when the next one is due.
#[derive(Debug)]
pub(super) struct BrokerHealth {
    next_check: Instant,
    /// `None` before the first check.
    up: Option<bool>,
}

/// How the result of a check differs from the one before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReachabilityChange {
    Unchanged,
    Up,
    Down,
}

impl BrokerHealth {
    /// Nothing is known; the first check is due at once.
    pub(super) fn new(now: Instant) -> BrokerHealth {
        BrokerHealth {
            next_check: now,
            up: None,
        }
    }

    /// Whether a check is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.next_check
    }

    /// Takes the result of a check.
    pub(super) fn checked(&mut self, up: bool, now: Instant) -> ReachabilityChange {
        let interval = if up {
            REACHABLE_CHECK_INTERVAL
        } else {
            UNREACHABLE_CHECK_INTERVAL
        };
        self.next_check = now + interval;
        match self.up.replace(up) {
            Some(before) if before == up => ReachabilityChange::Unchanged,
            _ if up => ReachabilityChange::Up,
            _ => ReachabilityChange::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_more_frequent_while_no_broker_answers() {
        let start = Instant::now();
        let mut health = BrokerHealth::new(start);
        assert!(health.is_due(start));
        assert_eq!(health.checked(false, start), ReachabilityChange::Down);
        assert!(health.is_due(start + UNREACHABLE_CHECK_INTERVAL));
        assert_eq!(health.checked(false, start), ReachabilityChange::Unchanged);
        assert_eq!(health.checked(true, start), ReachabilityChange::Up);
        assert!(
            !health.is_due(start + UNREACHABLE_CHECK_INTERVAL)
                && health.is_due(start + REACHABLE_CHECK_INTERVAL)
        );
        assert_eq!(health.checked(true, start), ReachabilityChange::Unchanged);
        assert_eq!(health.checked(false, start), ReachabilityChange::Down);
    }
}
