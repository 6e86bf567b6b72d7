//! Whether a table still asks for rows, although the instance's clock lets no second close (pure).
//!
//! The clock may stand before what is read already: after it was set back, or because a proxy writes
//! a wrong `Date`. Then there is nothing to ask for; the clock itself is read again every few seconds,
//! and operators are told when that takes long.

use std::time::{Duration, Instant};

/// How long the table may be without a request before it counts as standing still, where its slow
/// interval is shorter.
const MIN_SILENCE: Duration = Duration::from_secs(5);
/// Longest pause while the table waits for the clock.
const CLOCK_WAIT_PAUSE: Duration = Duration::from_secs(2);

/// What one table knows about its own requests.
#[derive(Debug)]
pub(super) struct ClockWatch {
    /// When the table last asked for rows, or began.
    asked: Instant,
    longest_silence: Duration,
}

impl ClockWatch {
    pub(super) fn new(slow_poll_interval: Duration, now: Instant) -> ClockWatch {
        ClockWatch {
            asked: now,
            longest_silence: slow_poll_interval.max(MIN_SILENCE),
        }
    }

    /// The table asks for rows.
    pub(super) fn record_request(&mut self, now: Instant) {
        self.asked = now;
    }

    /// How long the table has not asked for rows, when that is too long.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.asked);
        (silence > self.longest_silence).then_some(silence)
    }

    /// The pause before the clock is looked at again.
    pub(super) fn pause(&self, fast_poll_interval: Duration) -> Duration {
        fast_poll_interval.min(CLOCK_WAIT_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_has_not_asked_for_longer_than_its_slow_interval_stands_still() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for (slow, longest) in [(1, 5), (30, 30), (600, 600)] {
            let mut watch = ClockWatch::new(Duration::from_secs(slow), start);
            assert_eq!(watch.silence(after(longest)), None);
            let silence = Duration::from_secs(longest + 1);
            assert_eq!(watch.silence(after(longest + 1)), Some(silence));
            watch.record_request(after(longest + 1));
            assert_eq!(watch.silence(after(longest + 2)), None);
        }
    }
}
