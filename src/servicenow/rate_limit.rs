//! How often requests may be sent: `rate_limit_rps`, and the pause that the instance asks for with 429
//! or `Retry-After`. Both hold for all threads of a client together.

use std::time::{Duration, Instant};

use super::error::{AttemptedRequest, Error, InstanceFailure};
use crate::backoff::Backoff;
use crate::metrics::SecondsCounter;
use crate::stop::Stop;
use crate::sync::Mutex;

/// Longest time that one call waits before it sends: for the rate limit, for the login, for a token.
/// Then it fails with the reason, so that its thread gives a sign of life and may come again.
pub(super) const MAX_WAIT_BEFORE_SENDING: Duration = Duration::from_secs(60);
/// First and longest pause after a 429 without `Retry-After`, as from a full queue of requests, which
/// drains in seconds.
const UNTIMED_PAUSE_BOUNDS: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(300));
/// The requests that waited for the end of a pause are spread over this time.
const MAX_RESUME_JITTER: Duration = Duration::from_millis(250);

/// The limits of one instance.
#[derive(Debug)]
pub(super) struct RequestLimiter {
    gate: Mutex<RetryAfterGate>,
    /// `None` without `rate_limit_rps`.
    bucket: Option<Mutex<TokenBucket>>,
    /// The metric of the time spent waiting.
    waited: SecondsCounter,
}

impl RequestLimiter {
    /// `rate` in requests per second; time spent waiting goes to `waited`.
    pub(super) fn new(rate: Option<f64>, waited: SecondsCounter) -> RequestLimiter {
        let bucket = rate
            .filter(|rate| *rate > 0.0)
            .map(|rate| Mutex::new(TokenBucket::new(rate)));
        RequestLimiter {
            gate: Mutex::new(RetryAfterGate::new()),
            bucket,
            waited,
        }
    }

    /// Waits until a request may be sent.
    pub(super) fn enter(&self, asked: &AttemptedRequest, stop: &Stop) -> Result<(), Error> {
        let started = Instant::now();
        let entered = self.wait(started, stop);
        self.waited.add(started.elapsed());
        match entered {
            Ok(()) => Ok(()),
            Err(NotAdmitted::Stopped) => Err(Error::Stopped),
            Err(NotAdmitted::Held(wait)) => {
                Err(Error::request(asked, InstanceFailure::Held { wait }))
            }
        }
    }

    /// The instance has asked for a pause that is not over.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        !self.gate.lock().wait(now).is_zero()
    }

    fn wait(&self, started: Instant, stop: &Stop) -> Result<(), NotAdmitted> {
        let deadline = started + MAX_WAIT_BEFORE_SENDING;
        self.wait_for_gate(deadline, stop)?;
        if let Some(bucket) = &self.bucket {
            let now = Instant::now();
            let slot = bucket
                .lock()
                .reserve(now, deadline.saturating_duration_since(now));
            match slot {
                Ok(wait) if wait.is_zero() => {}
                Ok(wait) => sleep(wait, stop)?,
                Err(wait) => {
                    sleep(deadline.saturating_duration_since(now), stop)?;
                    return Err(NotAdmitted::Held(
                        wait.saturating_sub(MAX_WAIT_BEFORE_SENDING),
                    ));
                }
            }
            // The gate may have closed while this thread waited for its turn.
            self.wait_for_gate(deadline, stop)?;
        }
        Ok(())
    }

    fn wait_for_gate(&self, deadline: Instant, stop: &Stop) -> Result<(), NotAdmitted> {
        loop {
            let now = Instant::now();
            let wait = self.gate.lock().wait(now);
            if wait.is_zero() {
                return if stop.is_stopped() {
                    Err(NotAdmitted::Stopped)
                } else {
                    Ok(())
                };
            }
            let left = deadline.saturating_duration_since(now);
            if wait > left {
                sleep(left, stop)?;
                return Err(NotAdmitted::Held(wait - left));
            }
            sleep(wait + MAX_RESUME_JITTER.mul_f64(fastrand::f64()), stop)?;
        }
    }

    /// The instance asked for a pause, with `Retry-After` or by 429 alone; gives its length.
    /// `sent` is when the refused request was sent.
    pub(super) fn rate_limited(&self, sent: Instant, retry_after: Option<Duration>) -> Duration {
        let now = Instant::now();
        let (begins, wait) = {
            let mut gate = self.gate.lock();
            let begins = gate.close(sent, now, retry_after, fastrand::f64());
            (begins, gate.wait(now))
        };
        if begins {
            let seconds = format!("{:.1}s", wait.as_secs_f64());
            log::warn!(wait = seconds; "the instance asks for a pause; all requests to it wait");
        }
        wait
    }

    /// The instance answered a request that was sent at `sent`.
    pub(super) fn answered(&self, sent: Instant) {
        let ended = self.gate.lock().answered(sent, Instant::now());
        if let Some(lasted) = ended {
            let seconds = format!("{:.1}s", lasted.as_secs_f64());
            log::info!(lasted = seconds; "the pause of the instance is over; requests go on");
        }
    }
}

/// Why a request may not be sent.
enum NotAdmitted {
    Stopped,
    /// The wait would be too long; the rest of it.
    Held(Duration),
}

fn sleep(time: Duration, stop: &Stop) -> Result<(), NotAdmitted> {
    if stop.wait(time) {
        Err(NotAdmitted::Stopped)
    } else {
        Ok(())
    }
}

/// The pause that the instance asked for: no request is sent until its end.
#[derive(Debug)]
struct RetryAfterGate {
    until: Option<Instant>,
    closed: Option<Instant>,
    /// When the first pause began, until a request is answered: pauses that follow each other are one.
    begun: Option<Instant>,
    pauses: Backoff,
}

impl RetryAfterGate {
    fn new() -> RetryAfterGate {
        RetryAfterGate {
            until: None,
            closed: None,
            begun: None,
            pauses: Backoff::new(UNTIMED_PAUSE_BOUNDS.0, UNTIMED_PAUSE_BOUNDS.1),
        }
    }

    fn wait(&self, now: Instant) -> Duration {
        self.until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Requests in flight when the gate closed bring more 429s; those do not make the pause longer,
    /// unless they carry a `Retry-After`. True for the first pause since the last answered request.
    fn close(&mut self, sent: Instant, now: Instant, asked: Option<Duration>, random: f64) -> bool {
        let pause = match asked {
            Some(pause) => pause,
            None if self.closed.is_some_and(|closed| sent < closed) => return false,
            // At least half of the back-off, as a queue needs some time to drain.
            None => {
                let ceiling = self.pauses.ceiling();
                (ceiling + self.pauses.next(random)) / 2
            }
        };
        let until = now + pause;
        self.closed = Some(now);
        self.until = Some(self.until.map_or(until, |old| old.max(until)));
        self.begun.replace(self.begun.unwrap_or(now)).is_none()
    }

    /// Takes an answer to what was sent then; gives how long the requests were held when that is over.
    fn answered(&mut self, sent: Instant, now: Instant) -> Option<Duration> {
        if self.closed.is_some_and(|closed| sent <= closed) {
            return None;
        }
        self.pauses.reset();
        let begun = self.begun.take()?;
        Some(now.saturating_duration_since(begun))
    }
}

/// A token bucket that gives out times: `rate` per second, a burst of `max(1, rate)` as the Go
/// program's limiter.
#[derive(Debug)]
struct TokenBucket {
    epoch: Instant,
    interval: f64,
    burst: f64,
    /// Seconds since `epoch` at which the bucket was, or will be, empty.
    empty: f64,
}

impl TokenBucket {
    fn new(rate: f64) -> TokenBucket {
        let burst = rate.floor().max(1.0);
        let interval = rate.recip();
        TokenBucket {
            epoch: Instant::now(),
            interval,
            burst,
            empty: -burst * interval,
        }
    }

    /// Takes the next turn and gives the wait for it, or what the wait would be if it is over
    /// `at_most`.
    fn reserve(&mut self, now: Instant, at_most: Duration) -> Result<Duration, Duration> {
        let now = now.saturating_duration_since(self.epoch).as_secs_f64();
        let turn = self.empty.max(now - self.burst * self.interval) + self.interval;
        let wait = Duration::try_from_secs_f64((turn - now).max(0.0)).unwrap_or(Duration::MAX);
        if wait > at_most {
            return Err(wait);
        }
        self.empty = turn;
        Ok(wait)
    }
}

#[cfg(test)]
mod tests;
