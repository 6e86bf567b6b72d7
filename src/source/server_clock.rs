//! The instance's clock, as far as the `Date` headers of its answers tell it.
//!
//! A `Date` header gives whole seconds (RFC 9110, section 5.6.7): when it arrives, the clock reads
//! `[date, date + 1)` or more. Several answers narrow that range down. Behind one address stand
//! several nodes whose clocks differ; a node that lags behind pulls the reading down, because rows
//! that it stamps from now on must not fall behind the cursor.

use std::time::{Duration, Instant};

/// A reading that no answer has agreed with for this long gives way to the next answer, also to one that
/// says that it is later: the instance's clock was set forward.
const CLOCK_READING_MAX_AGE: Duration = Duration::from_secs(60);

/// The instance's time, of which the lower bound counts: a second that may still be open is not read.
#[derive(Debug, Clone, Default)]
pub struct ServerClock {
    reading: Option<ClockReading>,
}

#[derive(Debug, Clone, Copy)]
struct ClockReading {
    /// At `at` the server's time was at least `low` and below `high`, in seconds since 1970.
    low: f64,
    high: f64,
    at: Instant,
    /// When an answer last agreed with this reading.
    agreed: Instant,
}

impl ServerClock {
    /// Takes in a `Date` header (seconds since 1970) that arrived at `now`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 fit a double to the microsecond"
    )]
    pub fn observe(&mut self, date: i64, now: Instant) {
        let (low, high) = (date as f64, date as f64 + 1.0);
        let fresh = ClockReading {
            low,
            high,
            at: now,
            agreed: now,
        };
        let Some(old) = self.reading else {
            self.reading = Some(fresh);
            return;
        };
        let passed = now.saturating_duration_since(old.at).as_secs_f64();
        let (old_low, old_high) = (old.low + passed, old.high + passed);
        let agrees = old_low.max(low) < old_high.min(high);
        let is_behind = high <= old_low;
        let is_outdated = now.saturating_duration_since(old.agreed) > CLOCK_READING_MAX_AGE;
        self.reading = Some(if agrees {
            ClockReading {
                low: old_low.max(low),
                high: old_high.min(high),
                ..fresh
            }
        } else if is_behind || is_outdated {
            fresh
        } else {
            old
        });
    }

    /// The last second that is over on the instance at `now`, since 1970 UTC; `None` before the first
    /// answer.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "floored seconds since 1970 fit an i64"
    )]
    pub fn closed_second(&self, now: Instant) -> Option<i64> {
        let reading = self.reading?;
        let passed = now.saturating_duration_since(reading.at).as_secs_f64();
        Some((reading.low + passed).floor() as i64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "small whole seconds")]
    fn it_never_runs_ahead_of_the_server_and_comes_close() {
        let start = Instant::now();
        let mut clock = ServerClock::default();
        assert_eq!(clock.closed_second(start), None);
        // The server's clock is 1000.7 at the start.
        for step in 0..50 {
            let local = f64::from(step) * 0.3;
            let server = 1000.7 + local;
            clock.observe(server.floor() as i64, at(start, local));
            assert!(clock.closed_second(at(start, local)).unwrap() < server.floor() as i64);
        }
        let local = 20.0;
        assert_eq!(clock.closed_second(at(start, local + 0.35)), Some(1020));
    }

    #[test]
    fn a_lagging_node_pulls_it_down_and_a_fast_one_does_not_pull_it_up() {
        let start = Instant::now();
        let mut clock = ServerClock::default();
        clock.observe(1000, start);
        clock.observe(995, at(start, 0.1));
        assert_eq!(clock.closed_second(at(start, 0.1)), Some(994));
        clock.observe(1001, at(start, 1.1));
        assert_eq!(clock.closed_second(at(start, 1.1)), Some(995));
    }

    #[test]
    fn a_clock_that_was_set_forward_is_believed_after_a_minute() {
        let start = Instant::now();
        let mut clock = ServerClock::default();
        clock.observe(1000, start);
        for step in 1..100 {
            clock.observe(5000 + step, at(start, step as f64));
        }
        assert_eq!(clock.closed_second(at(start, 99.0)), Some(5098));
    }
}
