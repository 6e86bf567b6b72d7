//! When to ask the token endpoint, and which token may be used (pure; the clock is passed in).
//!
//! While a token lives, ServiceNow answers each further request with that same token, and `expires_in`
//! is its remaining lifetime (KB0693393). So an answer need not bring a new token, and asking again at
//! once would be in vain.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::backoff::Backoff;

/// Lifetime of a token whose answer does not give one: ServiceNow's default.
const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(1800);
/// Longest lifetime that is believed.
const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// A token is renewed this long before its end, or 10 % of its life if that is less.
const MAX_REFRESH_MARGIN: Duration = Duration::from_secs(60);
/// `expires_in` is cut to whole seconds, so a token may live a little longer than it says. It is asked
/// for this long after its end, when it certainly is over.
const EXPIRY_ROUNDING: Duration = Duration::from_millis(250);
/// First and longest time between requests that bring the same token again.
const SAME_TOKEN_RETRY_BOUNDS: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_secs(30));
/// First and longest time between renewals that the API's refusals force, as long as no new token was
/// accepted.
const FORCED_RENEWAL_BOUNDS: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(300));
/// First and longest time between requests while the network or the endpoint fails.
const BROKEN_ENDPOINT_RETRY_BOUNDS: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(300));
/// First and longest time between requests whose credentials were refused: each counts towards the
/// lock of the account.
const REFUSED_CREDENTIALS_RETRY_BOUNDS: (Duration, Duration) =
    (Duration::from_secs(5), Duration::from_secs(300));

/// An answer of the token endpoint.
#[derive(Debug, Clone)]
pub(super) struct TokenGrant {
    pub(super) access: Zeroizing<String>,
    /// Seconds that the token still lives, if said.
    pub(super) expires_in: Option<u64>,
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenFailure {
    /// The endpoint refused our credentials.
    Refused,
    /// It, or the way to it, does not work.
    Broken,
    /// It asked for a pause.
    Pause(Duration),
}

/// The token and the time of the next request.
#[derive(Debug)]
pub(super) struct RefreshSchedule {
    token: Option<AccessToken>,
    /// Number of the last token; callers compare it to know which one failed.
    generation: u64,
    /// Highest generation that the API refused.
    refused: u64,
    ask_at: Instant,
    /// No request goes out sooner, even if callers force one.
    not_before: Instant,
    again: Backoff,
    forced: Backoff,
    broken: Backoff,
    denied: Backoff,
    /// The endpoint repeated a refused token once; the next time it is tried all the same.
    repeated: bool,
}

#[derive(Debug)]
struct AccessToken {
    access: Zeroizing<String>,
    usable_until: Instant,
}

/// How an answer of the token endpoint is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GrantOutcome {
    /// There is a token again.
    Usable,
    /// It is the one that the API refused; not to be used yet.
    SameAsRefused,
}

impl RefreshSchedule {
    pub(super) fn new(now: Instant) -> RefreshSchedule {
        let backoff = |bounds: (Duration, Duration)| Backoff::new(bounds.0, bounds.1);
        RefreshSchedule {
            token: None,
            generation: 0,
            refused: 0,
            ask_at: now,
            not_before: now,
            again: backoff(SAME_TOKEN_RETRY_BOUNDS),
            forced: backoff(FORCED_RENEWAL_BOUNDS),
            broken: backoff(BROKEN_ENDPOINT_RETRY_BOUNDS),
            denied: backoff(REFUSED_CREDENTIALS_RETRY_BOUNDS),
            repeated: false,
        }
    }

    /// When the next request is due.
    pub(super) fn due(&self) -> Instant {
        self.ask_at.max(self.not_before)
    }

    /// The generation of a token that may be used now.
    pub(super) fn usable(&self, now: Instant) -> Option<u64> {
        let token = self.token.as_ref()?;
        (self.refused < self.generation && now < token.usable_until).then_some(self.generation)
    }

    /// Generation and end of the newest token, usable or not.
    pub(super) fn newest(&self) -> Option<(u64, Instant)> {
        Some((self.generation, self.token.as_ref()?.usable_until))
    }

    /// There was no token before the present one.
    pub(super) fn is_first(&self) -> bool {
        self.generation <= 1
    }

    /// Takes a token; it becomes a new generation.
    pub(super) fn granted(&mut self, answer: TokenGrant, now: Instant) -> GrantOutcome {
        self.broken.reset();
        self.denied.reset();
        let same = self
            .token
            .as_ref()
            .is_some_and(|token| token.access == answer.access);
        let was_refused = self.generation <= self.refused;
        if same && was_refused && !self.repeated {
            self.repeated = true;
            self.postpone_forced(now);
            return GrantOutcome::SameAsRefused;
        }
        self.repeated = false;
        let life = life(answer.expires_in, same);
        let ends = now + life;
        let (ask_at, usable_until) = if same && !was_refused {
            // It counts down and cannot be renewed yet: ask again when it has ended, and not
            // hurriedly if the instance is slow to notice.
            let rest = self.again.ceiling();
            let ask_at = (ends + EXPIRY_ROUNDING).max(now + rest);
            let mut usable_until = ends;
            if self.again.failures() >= 3 {
                // It names an end that never comes.
                usable_until = ask_at;
            }
            if life < rest {
                self.again.next_ceiling();
            }
            (ask_at, usable_until)
        } else {
            self.again.reset();
            (ends - margin(life), ends)
        };
        self.generation += 1;
        self.token = Some(AccessToken {
            access: answer.access,
            usable_until,
        });
        self.ask_at = ask_at;
        GrantOutcome::Usable
    }

    /// No token came; `random` is in `0.0..1.0`.
    pub(super) fn failed(&mut self, trouble: TokenFailure, now: Instant, random: f64) {
        let wait = match trouble {
            TokenFailure::Pause(wait) => wait,
            TokenFailure::Broken => {
                let ceiling = self.broken.ceiling();
                // At least half, so that many instances of trouble do not become many requests.
                (ceiling + self.broken.next(random)) / 2
            }
            TokenFailure::Refused => {
                let ceiling = self.denied.ceiling();
                self.denied.next(random);
                ceiling + ceiling.mul_f64(random.clamp(0.0, 1.0) / 10.0)
            }
        };
        self.ask_at = now;
        self.not_before = now + wait;
    }

    /// The API refused the token of `generation`: one renewal, however many callers say so.
    pub(super) fn refuse(&mut self, generation: u64, now: Instant) -> bool {
        if generation != self.generation || self.refused >= generation {
            return false;
        }
        self.refused = generation;
        self.ask_at = now;
        if self.forced.failures() > 0 {
            self.postpone_forced(now);
        } else {
            self.forced.next_ceiling();
        }
        true
    }

    fn postpone_forced(&mut self, now: Instant) {
        let wait = self.forced.next_ceiling();
        self.not_before = self.not_before.max(now + wait);
    }

    /// The API took the token of `generation`.
    pub(super) fn proven(&mut self, generation: u64) {
        if generation == self.generation {
            self.forced.reset();
        }
    }
}

/// The life that an answer gives a token. Zero means "unknown" on a new token and "over" on one that
/// counts down.
fn life(expires_in: Option<u64>, same: bool) -> Duration {
    match expires_in {
        None => DEFAULT_TOKEN_LIFETIME,
        Some(0) if !same => DEFAULT_TOKEN_LIFETIME,
        Some(seconds) => Duration::from_secs(seconds).min(MAX_TOKEN_LIFETIME),
    }
}

/// How long before its end a token of this life is renewed.
fn margin(life: Duration) -> Duration {
    MAX_REFRESH_MARGIN.min(life / 10)
}

#[cfg(test)]
mod tests;
