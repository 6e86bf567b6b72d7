//! Whether Kafka answers: decided from acknowledgements, and from a question when there are none.
//!
//! Statistics of librdkafka would tell as well, but cost a JSON text over all partitions each time.
//! Its error events tell only of the end of connections. A metadata request for one topic goes to
//! any broker that is up and back: what readiness claims, for one small request each few seconds,
//! and only while nothing is acknowledged.

use std::time::{Duration, Instant};

/// Between looks while Kafka answers.
const EVERY: Duration = Duration::from_secs(5);
/// Between looks while it does not.
const AGAIN: Duration = Duration::from_secs(1);

/// The state of the connection, as last known.
#[derive(Debug)]
pub(super) struct Link {
    next: Instant,
    up: Option<bool>,
}

/// What a look at the connection found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Same,
    Up,
    Down,
}

impl Link {
    /// Nothing is known; the first look is due at once.
    pub(super) fn new(now: Instant) -> Link {
        Link {
            next: now,
            up: None,
        }
    }

    /// Whether it is time for a look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// Takes what the look found.
    pub(super) fn found(&mut self, up: bool, now: Instant) -> Change {
        self.next = now + if up { EVERY } else { AGAIN };
        match self.up.replace(up) {
            Some(before) if before == up => Change::Same,
            _ if up => Change::Up,
            _ => Change::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_more_often_while_down() {
        let start = Instant::now();
        let mut link = Link::new(start);
        assert!(link.is_due(start));
        assert_eq!(link.found(false, start), Change::Down);
        assert!(link.is_due(start + AGAIN));
        assert_eq!(link.found(false, start), Change::Same);
        assert_eq!(link.found(true, start), Change::Up);
        assert!(!link.is_due(start + AGAIN) && link.is_due(start + EVERY));
        assert_eq!(link.found(true, start), Change::Same);
        assert_eq!(link.found(false, start), Change::Down);
    }
}
