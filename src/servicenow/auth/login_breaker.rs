//! Spaces log-in attempts after a refusal: wrong passwords lock accounts.
//!
//! At first, and some time after a refusal, one thread tries for all. Its result opens the door for
//! everybody, or closes it for longer.

use std::time::{Duration, Instant};

use super::change_signal::ChangeSignal;
use crate::backoff::Backoff;
use crate::servicenow::error::{AttemptedRequest, Error, InstanceFailure};
use crate::servicenow::rate_limit::MAX_WAIT_BEFORE_SENDING;
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

/// First and longest time between refused attempts.
const LOGIN_RETRY_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

#[derive(Debug)]
pub(super) struct LoginBreaker(Mutex<BreakerState>);

#[derive(Debug)]
struct BreakerState {
    /// `None` while the instance takes our credential.
    closed: Option<OpenBreaker>,
    pauses: Backoff,
    bell: ChangeSignal,
}

#[derive(Debug)]
struct OpenBreaker {
    at: Instant,
    until: Instant,
    /// The refusal in the instance's words; `None` before the first verdict.
    words: Option<String>,
    /// One thread is trying.
    trying: bool,
}

/// What a thread may do now.
#[derive(Debug, PartialEq, Eq)]
enum LoginAdmission {
    Go,
    TryForAll,
    Wait(Duration),
}

/// Permission to send one request. Dropped without a verdict, it tells nothing.
#[derive(Debug)]
pub(in crate::servicenow) struct LoginPermit<'a> {
    door: &'a LoginBreaker,
    sent: Instant,
    trying: bool,
}

impl LoginBreaker {
    /// Twenty threads with a wrong password must not be twenty attempts: closed until one got in.
    pub(super) fn new() -> LoginBreaker {
        let now = Instant::now();
        LoginBreaker(Mutex::new(BreakerState {
            closed: Some(OpenBreaker {
                at: now,
                until: now,
                words: None,
                trying: false,
            }),
            pauses: Backoff::new(LOGIN_RETRY_BOUNDS.0, LOGIN_RETRY_BOUNDS.1),
            bell: ChangeSignal::new(),
        }))
    }

    /// Waits for a turn, but not longer than [`MAX_WAIT_BEFORE_SENDING`]; then the last refusal is the answer.
    pub(super) fn enter(
        &self,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<LoginPermit<'_>, Error> {
        let deadline = Instant::now() + MAX_WAIT_BEFORE_SENDING;
        loop {
            let now = Instant::now();
            let (wait, ear) = {
                let mut state = self.lock();
                match state.turn(now) {
                    LoginAdmission::Wait(_) if deadline <= now => {
                        return Err(Error::request(asked, state.reason()));
                    }
                    LoginAdmission::Wait(wait) => (wait, state.bell.listen()),
                    turn => {
                        return Ok(LoginPermit {
                            door: self,
                            sent: now,
                            trying: turn == LoginAdmission::TryForAll,
                        });
                    }
                }
            };
            let left = deadline.saturating_duration_since(now);
            if ear.wait(wait.min(left), stop) {
                return Err(Error::Stopped);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BreakerState> {
        self.0.lock()
    }
}

impl LoginPermit<'_> {
    /// The instance took the credential.
    pub(in crate::servicenow) fn accepted(self) {
        let mut state = self.door.lock();
        // What was sent before a refusal says nothing about the time after it.
        if state
            .closed
            .as_ref()
            .is_some_and(|closed| closed.at <= self.sent)
        {
            state.closed = None;
            state.pauses.reset();
            state.bell.ring();
        }
    }

    /// The instance refused it.
    pub(in crate::servicenow) fn refused(self, words: &str) {
        self.door.lock().close(self.sent, Instant::now(), words);
    }
}

impl Drop for LoginPermit<'_> {
    fn drop(&mut self) {
        if self.trying {
            let mut state = self.door.lock();
            if let Some(closed) = &mut state.closed {
                closed.trying = false;
                state.bell.ring();
            }
        }
    }
}

impl BreakerState {
    fn turn(&mut self, now: Instant) -> LoginAdmission {
        match &mut self.closed {
            None => LoginAdmission::Go,
            Some(closed) if now < closed.until => {
                LoginAdmission::Wait(closed.until.saturating_duration_since(now))
            }
            // The one who tries rings the bell.
            Some(closed) if closed.trying => LoginAdmission::Wait(MAX_WAIT_BEFORE_SENDING),
            Some(closed) => {
                closed.trying = true;
                LoginAdmission::TryForAll
            }
        }
    }

    /// Requests that were under way when the door closed do not close it for longer.
    fn close(&mut self, sent: Instant, now: Instant, words: &str) {
        if self.closed.as_ref().is_some_and(|closed| sent < closed.at) {
            return;
        }
        // Without jitter: one thread tries for all, and the time is part of the promise.
        let until = now + self.pauses.ceiling();
        self.pauses.next(1.0);
        let words = Some(words.to_owned());
        self.closed = Some(OpenBreaker {
            at: now,
            until,
            words,
            trying: false,
        });
        self.bell.ring();
    }

    /// What to tell those who waited in vain.
    fn reason(&self) -> InstanceFailure {
        match self.closed.as_ref().and_then(|closed| closed.words.clone()) {
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
    fn one_tries_for_all_and_the_time_doubles() {
        let door = LoginBreaker::new();
        let start = Instant::now();
        let mut state = door.lock();
        assert_eq!(state.turn(start), LoginAdmission::TryForAll);
        assert_eq!(
            state.turn(start),
            LoginAdmission::Wait(MAX_WAIT_BEFORE_SENDING)
        );
        assert_eq!(state.reason(), InstanceFailure::NoLogin);
        let mut now = start;
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            state.close(now, now, "no");
            // Those that were sent earlier change nothing.
            state.close(now - SECOND, now, "no");
            assert_eq!(state.turn(now), LoginAdmission::Wait(SECOND * seconds));
            now += SECOND * seconds;
            assert_eq!(state.turn(now), LoginAdmission::TryForAll);
            assert_eq!(
                state.turn(now),
                LoginAdmission::Wait(MAX_WAIT_BEFORE_SENDING)
            );
        }
    }

    #[test]
    fn a_pass_without_verdict_lets_the_next_one_try() {
        let door = LoginBreaker::new();
        let (_trigger, stop) = crate::stop::pair();
        let early = Instant::now() - SECOND * 10;
        door.lock().close(early, early, "no");
        let asked = AttemptedRequest::default();
        drop(door.enter(&asked, &stop).unwrap());
        let pass = door.enter(&asked, &stop).unwrap();
        assert!(pass.trying);
        pass.accepted();
        assert!(!door.enter(&asked, &stop).unwrap().trying);
    }
}
