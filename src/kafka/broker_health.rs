//! Whether Kafka answers: decided from acknowledgements, and from a question when there are none.
//!
//! Statistics of librdkafka would tell as well, but cost a JSON text over all partitions each time.
//! Its error events tell only of the end of connections. A metadata request for one topic goes to
//! any broker that is up and back: what readiness claims, for one small request each few seconds,
//! and only while nothing is acknowledged.

use std::time::{Duration, Instant};

/// Between looks while Kafka answers.
const REACHABLE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Between looks while it does not.
const UNREACHABLE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The state of the connection, as last known.
#[derive(Debug)]
pub(super) struct BrokerHealth {
    next: Instant,
    up: Option<bool>,
}

/// What a look at the connection found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReachabilityChange {
    Same,
    Up,
    Down,
}

impl BrokerHealth {
    /// Nothing is known; the first look is due at once.
    pub(super) fn new(now: Instant) -> BrokerHealth {
        BrokerHealth {
            next: now,
            up: None,
        }
    }

    /// Whether it is time for a look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// Takes what the look found.
    pub(super) fn found(&mut self, up: bool, now: Instant) -> ReachabilityChange {
        self.next = now
            + if up {
                REACHABLE_CHECK_INTERVAL
            } else {
                UNREACHABLE_CHECK_INTERVAL
            };
        match self.up.replace(up) {
            Some(before) if before == up => ReachabilityChange::Same,
            _ if up => ReachabilityChange::Up,
            _ => ReachabilityChange::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_more_often_while_down() {
        let start = Instant::now();
        let mut link = BrokerHealth::new(start);
        assert!(link.is_due(start));
        assert_eq!(link.found(false, start), ReachabilityChange::Down);
        assert!(link.is_due(start + UNREACHABLE_CHECK_INTERVAL));
        assert_eq!(link.found(false, start), ReachabilityChange::Same);
        assert_eq!(link.found(true, start), ReachabilityChange::Up);
        assert!(
            !link.is_due(start + UNREACHABLE_CHECK_INTERVAL)
                && link.is_due(start + REACHABLE_CHECK_INTERVAL)
        );
        assert_eq!(link.found(true, start), ReachabilityChange::Same);
        assert_eq!(link.found(false, start), ReachabilityChange::Down);
    }
}
