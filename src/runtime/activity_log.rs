//! A line of the log now and then that says how much was moved, so that a log without trouble tells more
//! than that the process lives.

use std::time::{Duration, Instant};

use crate::metrics::Metrics;

/// Time between two such lines.
const ACTIVITY_LOG_INTERVAL: Duration = Duration::from_secs(600);

/// What was moved since the last line.
#[derive(Debug)]
pub(super) struct ActivityLog {
    next: Instant,
    before: ActivitySums,
}

/// Sums since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ActivitySums {
    rows: u64,
    records: u64,
    dead_letters: u64,
    requests: u64,
    failed_requests: u64,
}

impl ActivityLog {
    /// The first line comes one interval after `now`.
    pub(super) fn new(now: Instant) -> ActivityLog {
        ActivityLog {
            next: now + ACTIVITY_LOG_INTERVAL,
            before: ActivitySums::default(),
        }
    }

    /// Writes the line when it is due.
    pub(super) fn step(&mut self, now: Instant, metrics: &Metrics) {
        if now < self.next {
            return;
        }
        self.next = now + ACTIVITY_LOG_INTERVAL;
        let sums = ActivitySums::read(metrics);
        let moved = sums.since(self.before);
        self.before = sums;
        log::info!(rows_delivered = moved.rows, records_written = moved.records,
            dead_letters = moved.dead_letters, requests = moved.requests,
            failed_requests = moved.failed_requests, minutes = ACTIVITY_LOG_INTERVAL.as_secs() / 60;
            "moved since the last line like this");
    }
}

impl ActivitySums {
    fn read(metrics: &Metrics) -> ActivitySums {
        ActivitySums {
            rows: metrics.source_produced.sum(),
            records: metrics.sink_records.sum(),
            dead_letters: metrics.sink_dead_letters.sum() + metrics.source_dead_letters.sum(),
            requests: metrics.api_requests.sum(),
            failed_requests: metrics.api_errors.sum(),
        }
    }

    /// A table that is gone takes its sums along, so none may be smaller than before.
    fn since(self, before: ActivitySums) -> ActivitySums {
        ActivitySums {
            rows: self.rows.saturating_sub(before.rows),
            records: self.records.saturating_sub(before.records),
            dead_letters: self.dead_letters.saturating_sub(before.dead_letters),
            requests: self.requests.saturating_sub(before.requests),
            failed_requests: self.failed_requests.saturating_sub(before.failed_requests),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_what_came_since_the_one_before() {
        let metrics = Metrics::new();
        let now = Instant::now();
        let mut log = ActivityLog::new(now);
        metrics.source_produced.with(&["a", "t"]).add(5);
        log.step(now, &metrics);
        assert_eq!(log.before, ActivitySums::default(), "not yet");
        log.step(now + ACTIVITY_LOG_INTERVAL, &metrics);
        assert_eq!(log.before.rows, 5);
        metrics.source_produced.with(&["a", "t"]).add(2);
        metrics.source_dead_letters.with(&["a", "too_large"]).add(1);
        let moved = ActivitySums::read(&metrics).since(log.before);
        assert_eq!((moved.rows, moved.dead_letters), (2, 1));
    }
}
