//! Pauses between attempts: exponential back-off with full jitter, up to a cap. Pure: the caller waits.

use std::time::Duration;

/// The delays between attempts of one operation.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    /// Upper bound of the first delay.
    first_cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `first` and doubles up to `cap`.
    pub fn new(first: Duration, cap: Duration) -> Backoff {
        Backoff {
            first,
            cap,
            first_cap: cap,
            failures: 0,
        }
    }

    /// The same, but the first delay is at most `first_cap`: a single slip is over at once, and costs no
    /// long pause.
    #[must_use]
    pub fn with_first_within(self, first_cap: Duration) -> Backoff {
        Backoff { first_cap, ..self }
    }

    /// Upper bound of the next delay.
    pub fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures.min(20)).unwrap_or(u32::MAX);
        let ceiling = self.first.saturating_mul(factor).min(self.cap);
        if self.failures == 0 {
            ceiling.min(self.first_cap)
        } else {
            ceiling
        }
    }

    /// Counts a failure and gives the delay before the next attempt.
    ///
    /// Full jitter: uniform between zero and the ceiling, so that many clients that failed together
    /// do not come back together (Marc Brooker, "Exponential Backoff And Jitter", 2015). `random`
    /// is in `0.0..1.0`.
    pub fn next(&mut self, random: f64) -> Duration {
        self.next_ceiling().mul_f64(random.clamp(0.0, 1.0))
    }

    /// Counts a failure and gives the longest delay there may be before the next attempt.
    pub fn next_ceiling(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets the failures after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<u128> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(50));
    }

    #[test]
    fn the_first_delay_may_be_shorter() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second * 30, second * 300).with_first_within(second);
        let delays: Vec<u64> = (0..3).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(delays, [1, 60, 120]);
    }

    #[test]
    fn many_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(300));
        for _ in 0..100 {
            assert!(backoff.next(1.0) <= Duration::from_secs(300));
        }
    }
}
