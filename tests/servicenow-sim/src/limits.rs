//! Limits of the instance: requests per hour and requests at a time (servicenow_api.md section 7,
//! checklist 36).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::http::answer::Answer;
use crate::stop::Stop;

/// `sys_id` of the rule in `X-RateLimit-Rule`.
pub(crate) const RULE: &str = "b6d7f0d1c0a8016400fe3f3a0c7a1f11";

const HOUR: i64 = 3600;

/// How often a queued request looks whether the instance ends.
const LOOK: Duration = Duration::from_millis(50);

/// A rule of `sys_rate_limit_rules` for the Table API; none by default.
#[derive(Debug, Default)]
pub(crate) struct RateRule(Mutex<Option<Counter>>);

#[derive(Debug)]
struct Counter {
    limit: u64,
    used: u64,
    /// Hours since the epoch.
    hour: i64,
}

/// What the rule says about one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rated {
    limit: u64,
    /// When the counter starts again, epoch seconds.
    reset: i64,
    /// Seconds until then.
    wait: i64,
    pub(crate) exceeded: bool,
}

impl RateRule {
    pub(crate) fn new(limit: Option<u64>) -> RateRule {
        let rule = RateRule::default();
        rule.set(limit);
        rule
    }

    /// Replaces the rule; the count starts again.
    pub(crate) fn set(&self, limit: Option<u64>) {
        *self.lock() = limit.map(|limit| Counter {
            limit,
            used: 0,
            hour: 0,
        });
    }

    /// Starts the count again, as the next hour does.
    pub(crate) fn reset(&self) {
        if let Some(counter) = self.lock().as_mut() {
            counter.used = 0;
        }
    }

    /// Counts a request at `now` (epoch seconds); `None` without a rule.
    pub(crate) fn count(&self, now: i64) -> Option<Rated> {
        let mut state = self.lock();
        let counter = state.as_mut()?;
        let hour = now.div_euclid(HOUR);
        if counter.hour != hour {
            counter.hour = hour;
            counter.used = 0;
        }
        let exceeded = counter.used >= counter.limit;
        if !exceeded {
            counter.used += 1;
        }
        let reset = hour.saturating_add(1).saturating_mul(HOUR);
        Some(Rated {
            limit: counter.limit,
            reset,
            wait: reset.saturating_sub(now),
            exceeded,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Counter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rated {
    /// The 429 of a request beyond the limit.
    pub(crate) fn denied(self) -> Answer {
        let detail = format!(
            "Rate limit of {} requests per hour for Table API exceeded",
            self.limit
        );
        Answer::error(429, "Rate limit exceeded", Some(&detail))
            .header("Retry-After", self.wait.to_string())
    }

    /// Adds the headers of every matched request.
    pub(crate) fn mark(self, answer: Answer) -> Answer {
        answer
            .header("X-RateLimit-Limit", self.limit.to_string())
            .header("X-RateLimit-Reset", self.reset.to_string())
            .header("X-RateLimit-Rule", RULE)
    }
}

/// The semaphore of a node: so many requests run, so many wait, the rest is refused.
#[derive(Debug)]
pub(crate) struct Semaphore {
    /// Running and waiting requests; `None` is no limit.
    limits: Option<(usize, usize)>,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
}

/// A place among the running requests.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    semaphore: &'a Semaphore,
    /// Time in the queue.
    pub(crate) waited: Duration,
}

impl Semaphore {
    pub(crate) fn new(limits: Option<(usize, usize)>) -> Semaphore {
        Semaphore {
            limits,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// Waits for a place; `None` when the queue is full, or the instance ends.
    pub(crate) fn enter(&self, stop: &Stop) -> Option<Slot<'_>> {
        let (most, queue) = self.limits.unwrap_or((usize::MAX, 0));
        let begin = Instant::now();
        let mut state = self.lock();
        if state.running >= most {
            if state.waiting >= queue {
                return None;
            }
            state.waiting += 1;
            while state.running >= most && !stop.is_stopped() {
                let waited = self.freed.wait_timeout(state, LOOK);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            state.waiting -= 1;
            if state.running >= most {
                return None;
            }
        }
        state.running += 1;
        drop(state);
        Some(Slot {
            semaphore: self,
            waited: begin.elapsed(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.semaphore.lock().running -= 1;
        self.semaphore.freed.notify_one();
    }
}

/// The 429 of a full queue: plain text, none of the headers of a rule (section 7).
pub(crate) fn queue_full() -> Answer {
    Answer::with_type(429, "text/plain", "Too Many Requests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_starts_again_on_the_hour() {
        let rule = RateRule::new(Some(2));
        let from = 1_706_140_800 + 3590;
        for (second, exceeded, wait) in [
            (0, false, 10),
            (0, false, 10),
            (9, true, 1),
            (10, false, HOUR),
        ] {
            let rated = rule.count(from + second).unwrap();
            assert_eq!((rated.exceeded, rated.wait), (exceeded, wait), "{second}");
        }
        assert!(RateRule::new(None).count(from).is_none());
    }
}
