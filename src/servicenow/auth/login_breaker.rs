//! A circuit breaker of the login: spaces attempts with credentials that the instance refuses.
//!
//! Each refused attempt counts towards the lock of the user's account, and twenty tables with a wrong
//! password would be twenty attempts. So the breaker is open at first and after each refusal: no
//! request goes out until a time has passed, which doubles. Then it is half open: one request goes
//! out as a probe, while all other threads wait for its result. If the instance takes the credential,
//! the breaker closes, and requests go out freely; if not, it stays open for longer.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::change_signal::ChangeSignal;
use crate::servicenow::error::{AttemptedRequest, Error, InstanceFailure};
use crate::servicenow::rate_limit::MAX_WAIT_BEFORE_SENDING;
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

/// First and longest time between refused attempts.
const LOGIN_RETRY_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The breaker, shared by all threads of a client.
#[derive(Debug)]
pub(super) struct LoginBreaker(Mutex<BreakerState>);

#[derive(Debug)]
struct BreakerState {
    /// `None`: the breaker is closed, as the instance takes the credential.
    open: Option<OpenBreaker>,
    pauses: Backoff,
    changed: ChangeSignal,
}

#[derive(Debug)]
struct OpenBreaker {
    since: Instant,
    /// When a probe may go out.
    until: Instant,
    /// The refusal in the instance's words; `None` before the first verdict.
    words: Option<String>,
    /// A probe is under way.
    is_probed: bool,
}

/// The breaker's answer to a thread that wants to send a request.
#[derive(Debug, PartialEq, Eq)]
enum LoginAdmission {
    /// The breaker is closed: send.
    Send,
    /// It is half open, and this thread's request is the probe.
    Probe,
    /// It is open, or another thread's probe is under way.
    Wait(Duration),
}

/// Permission to send one request. One that is dropped without a verdict leaves the breaker as it is.
#[derive(Debug)]
pub(in crate::servicenow) struct LoginPermit<'a> {
    breaker: &'a LoginBreaker,
    sent: Instant,
    is_probe: bool,
}

impl LoginBreaker {
    /// Open until the first request got through.
    pub(super) fn new() -> LoginBreaker {
        let now = Instant::now();
        LoginBreaker(Mutex::new(BreakerState {
            open: Some(OpenBreaker {
                since: now,
                until: now,
                words: None,
                is_probed: false,
            }),
            pauses: Backoff::new(LOGIN_RETRY_BOUNDS.0, LOGIN_RETRY_BOUNDS.1),
            changed: ChangeSignal::new(),
        }))
    }

    /// Waits for permission to send. After [`MAX_WAIT_BEFORE_SENDING`] the last refusal is the error.
    pub(super) fn enter(
        &self,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<LoginPermit<'_>, Error> {
        let deadline = Instant::now() + MAX_WAIT_BEFORE_SENDING;
        loop {
            let now = Instant::now();
            let (wait, change) = {
                let mut state = self.lock();
                match state.admit(now) {
                    LoginAdmission::Wait(_) if now >= deadline => {
                        return Err(Error::request(asked, state.reason()));
                    }
                    LoginAdmission::Wait(wait) => (wait, state.changed.waiter()),
                    admission => {
                        return Ok(LoginPermit {
                            breaker: self,
                            sent: now,
                            is_probe: admission == LoginAdmission::Probe,
                        });
                    }
                }
            };
            let left = deadline.saturating_duration_since(now);
            if change.wait(wait.min(left), stop) {
                return Err(Error::Stopped);
            }
        }
    }

    /// How long no request goes out after a refusal.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let state = self.lock();
        let open = state.open.as_ref();
        open.map_or(Duration::ZERO, |open| {
            open.until.saturating_duration_since(now)
        })
    }

    fn lock(&self) -> MutexGuard<'_, BreakerState> {
        self.0.lock()
    }
}

impl LoginPermit<'_> {
    /// The instance took the credential.
    pub(in crate::servicenow) fn accepted(self) {
        let mut state = self.breaker.lock();
        // What was sent before a refusal says nothing about the time after it.
        if state
            .open
            .as_ref()
            .is_some_and(|open| self.sent >= open.since)
        {
            state.open = None;
            state.pauses.reset();
            state.changed.announce();
        }
    }

    /// The instance refused it.
    pub(in crate::servicenow) fn refused(self, words: &str) {
        self.breaker.lock().open(self.sent, Instant::now(), words);
    }
}

impl Drop for LoginPermit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            let mut state = self.breaker.lock();
            if let Some(open) = &mut state.open {
                open.is_probed = false;
                state.changed.announce();
            }
        }
    }
}

impl BreakerState {
    fn admit(&mut self, now: Instant) -> LoginAdmission {
        match &mut self.open {
            None => LoginAdmission::Send,
            Some(open) if now < open.until => {
                LoginAdmission::Wait(open.until.saturating_duration_since(now))
            }
            // The end of the probe is announced.
            Some(open) if open.is_probed => LoginAdmission::Wait(MAX_WAIT_BEFORE_SENDING),
            Some(open) => {
                open.is_probed = true;
                LoginAdmission::Probe
            }
        }
    }

    /// Opens the breaker, or keeps it open for longer. Refusals of requests that were already under
    /// way when it opened change nothing.
    fn open(&mut self, sent: Instant, now: Instant, words: &str) {
        if self.open.as_ref().is_some_and(|open| sent < open.since) {
            return;
        }
        // Without jitter, as there is one probe for all threads, and operators are told the times.
        let until = now + self.pauses.next_ceiling();
        let words = Some(words.to_owned());
        self.open = Some(OpenBreaker {
            since: now,
            until,
            words,
            is_probed: false,
        });
        self.changed.announce();
    }

    /// Why a thread that waited gets no permission.
    fn reason(&self) -> InstanceFailure {
        match self.open.as_ref().and_then(|open| open.words.clone()) {
            Some(words) => InstanceFailure::Unauthorized { words },
            None => InstanceFailure::NoLogin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_probe_at_a_time_and_the_time_doubles() {
        let breaker = LoginBreaker::new();
        let start = Instant::now();
        let mut state = breaker.lock();
        assert_eq!(state.admit(start), LoginAdmission::Probe);
        assert_eq!(
            state.admit(start),
            LoginAdmission::Wait(MAX_WAIT_BEFORE_SENDING)
        );
        assert_eq!(state.reason(), InstanceFailure::NoLogin);
        let mut now = start;
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            state.open(now, now, "no");
            // Those that were sent earlier change nothing.
            state.open(now - SECOND, now, "no");
            assert_eq!(state.admit(now), LoginAdmission::Wait(SECOND * seconds));
            now += SECOND * seconds;
            assert_eq!(state.admit(now), LoginAdmission::Probe);
            assert_eq!(
                state.admit(now),
                LoginAdmission::Wait(MAX_WAIT_BEFORE_SENDING)
            );
        }
    }

    #[test]
    fn the_wait_after_a_refusal_is_known() {
        let breaker = LoginBreaker::new();
        let start = Instant::now();
        assert_eq!(breaker.wait(start), Duration::ZERO);
        breaker.lock().open(start, start, "no");
        let again = start + SECOND;
        assert_eq!(breaker.wait(start), SECOND);
        breaker.lock().open(again, again, "no");
        assert_eq!(breaker.wait(again), SECOND * 2);
        assert_eq!(breaker.wait(again + SECOND * 3), Duration::ZERO);
    }

    #[test]
    fn a_permit_without_verdict_lets_the_next_one_probe() {
        let breaker = LoginBreaker::new();
        let (_trigger, stop) = crate::stop::pair();
        let early = Instant::now() - SECOND * 10;
        breaker.lock().open(early, early, "no");
        let asked = AttemptedRequest::default();
        drop(breaker.enter(&asked, &stop).unwrap());
        let permit = breaker.enter(&asked, &stop).unwrap();
        assert!(permit.is_probe);
        permit.accepted();
        assert!(!breaker.enter(&asked, &stop).unwrap().is_probe);
    }
}
