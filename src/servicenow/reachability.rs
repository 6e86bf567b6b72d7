//! Readiness: what the results of requests say about the instance as a whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Error, InstanceFailure, OutageSign};
use super::exchange::RequestKind;
use crate::health::{Condition, ConditionKey, Health};
use crate::sync::Mutex;

/// How long the instance must have been away before the bridge says that it is not ready: an outage
/// that a few probes see to its end is no reason to be taken out of service.
const OUTAGE_TOLERANCE: Duration = Duration::from_secs(3);
/// The same for what the instance asks for or leaves undone although it is there.
const POSTPONEMENT_TOLERANCE: Duration = Duration::from_secs(10);
/// A pause that is as long as the longest that is believed is told at once.
const LONG_PAUSE: Duration = Duration::from_secs(3599);
/// What failed writes say about the instance holds for this long after the last one ended. Without a
/// limit it would stand until the next write, which may not come for days.
const WRITE_REASON_LIFETIME: Duration = Duration::from_secs(60);

/// The condition `servicenow` of readiness.
#[derive(Debug)]
pub(super) struct Reachability {
    condition: Condition,
    state: Mutex<ReachabilityState>,
}

#[derive(Debug, Default)]
struct ReachabilityState {
    read: FailureRun,
    write: FailureRun,
    login: FailureRun,
    has_answered: bool,
}

/// The failures of one kind of requests since the last good answer.
#[derive(Debug, Default)]
struct FailureRun {
    /// When the first one was.
    since: Option<Instant>,
    /// The newest one, once there is reason to tell it.
    reason: Option<String>,
    /// When the newest one was.
    newest: Option<Instant>,
    /// Requests that wait for their turn or for an answer.
    under_way: usize,
}

/// A request that waits for its turn or for an answer, until it is dropped.
#[derive(Debug)]
pub(super) struct RequestUnderWay<'a> {
    reachability: &'a Reachability,
    kind: RequestKind,
}

impl Drop for RequestUnderWay<'_> {
    fn drop(&mut self) {
        self.reachability.state.lock().of(self.kind).under_way -= 1;
    }
}

impl Reachability {
    pub(super) fn new(health: &Arc<Health>) -> Reachability {
        let condition = health.condition(ConditionKey::Instance, "no answer from the instance yet");
        Reachability {
            condition,
            state: Mutex::default(),
        }
    }

    /// Counts a request until what it gives is dropped.
    pub(super) fn begin(&self, kind: RequestKind) -> RequestUnderWay<'_> {
        self.state.lock().of(kind).under_way += 1;
        RequestUnderWay {
            reachability: self,
            kind,
        }
    }

    /// The instance answered a request of this kind.
    pub(super) fn answered(&self, kind: RequestKind, now: Instant) {
        let mut state = self.state.lock();
        let lapsed = kind == RequestKind::Read && state.write.has_lapsed(now);
        if lapsed {
            state.write.clear();
        }
        if state.of(kind).since.is_none() && state.has_answered && !lapsed {
            return;
        }
        state.of(kind).clear();
        // A token alone does not show that the API answers.
        state.has_answered |= kind != RequestKind::Login;
        self.show(&state);
    }

    /// A request failed.
    pub(super) fn failed(&self, kind: RequestKind, error: &Error, now: Instant) {
        let Some(tolerance) = tolerance(error) else {
            return;
        };
        let mut state = self.state.lock();
        let run = state.of(kind);
        let since = *run.since.get_or_insert(now);
        run.newest = Some(now);
        if run.reason.is_some() || now.saturating_duration_since(since) >= tolerance {
            run.reason = Some(error.to_string());
        }
        self.show(&state);
    }

    fn show(&self, state: &ReachabilityState) {
        let runs = [&state.login, &state.read, &state.write];
        match runs.into_iter().find_map(|run| run.reason.as_ref()) {
            Some(reason) => self.condition.fail(reason.as_str()),
            None if state.has_answered => self.condition.ok(),
            None => {}
        }
    }
}

impl ReachabilityState {
    fn of(&mut self, kind: RequestKind) -> &mut FailureRun {
        match kind {
            RequestKind::Read => &mut self.read,
            RequestKind::Write => &mut self.write,
            RequestKind::Login => &mut self.login,
        }
    }
}

impl FailureRun {
    /// Forgets the failures.
    fn clear(&mut self) {
        self.since = None;
        self.reason = None;
        self.newest = None;
    }

    /// Whether the failures are too old to say anything about now: no request has waited or failed since.
    fn has_lapsed(&self, now: Instant) -> bool {
        let is_old = |newest| now.saturating_duration_since(newest) >= WRITE_REASON_LIFETIME;
        self.under_way == 0 && self.newest.is_some_and(is_old)
    }
}

/// How long errors like this one may go on before the bridge is not ready. `None`: the error concerns
/// one table or one record, which have conditions of their own.
fn tolerance(error: &Error) -> Option<Duration> {
    if error.outage() != OutageSign::None {
        return Some(OUTAGE_TOLERANCE);
    }
    match error.cause()? {
        InstanceFailure::Away { .. } => Some(OUTAGE_TOLERANCE),
        InstanceFailure::Unauthorized { .. } => Some(Duration::ZERO),
        InstanceFailure::RateLimited { wait, .. } | InstanceFailure::Held { wait }
            if *wait >= LONG_PAUSE =>
        {
            Some(Duration::ZERO)
        }
        InstanceFailure::RateLimited { .. }
        | InstanceFailure::Held { .. }
        | InstanceFailure::NotExecuted
        | InstanceFailure::SameToken
        | InstanceFailure::NoLogin => Some(POSTPONEMENT_TOLERANCE),
        InstanceFailure::Timeout { .. }
        | InstanceFailure::Network(_)
        | InstanceFailure::Tls(_)
        | InstanceFailure::Foreign { .. }
        | InstanceFailure::Forbidden { .. }
        | InstanceFailure::NotFound { .. }
        | InstanceFailure::BadRequest { .. }
        | InstanceFailure::Unsendable(_)
        | InstanceFailure::Redirect { .. }
        | InstanceFailure::NotJson { .. }
        | InstanceFailure::Server { .. }
        | InstanceFailure::Status { .. }
        | InstanceFailure::TooLarge { .. }
        | InstanceFailure::Body(_)
        | InstanceFailure::Failed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servicenow::error::AttemptedRequest;

    #[test]
    fn what_failed_writes_say_lapses_when_none_follows_and_reads_succeed() {
        let health = Arc::new(Health::new());
        let reachability = Reachability::new(&health);
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let words = "503".to_owned();
        let away = Error::request(
            &AttemptedRequest::default(),
            InstanceFailure::Away { words },
        );
        reachability.answered(RequestKind::Read, begin);
        reachability.failed(RequestKind::Write, &away, begin);
        reachability.failed(RequestKind::Write, &away, at(5));
        assert!(!reachability.condition.is_ok());
        reachability.answered(RequestKind::Read, at(64));
        assert!(!reachability.condition.is_ok(), "a write failed lately");
        let waits = reachability.begin(RequestKind::Write);
        reachability.answered(RequestKind::Read, at(100));
        assert!(!reachability.condition.is_ok(), "a write waits");
        drop(waits);
        reachability.answered(RequestKind::Login, at(100));
        assert!(!reachability.condition.is_ok(), "only reads count");
        reachability.answered(RequestKind::Read, at(100));
        assert!(reachability.condition.is_ok());
    }

    #[test]
    fn what_failed_reads_say_does_not_lapse() {
        let reachability = Reachability::new(&Arc::new(Health::new()));
        let begin = Instant::now();
        let refused = Error::request(
            &AttemptedRequest::default(),
            InstanceFailure::Unauthorized {
                words: "no".to_owned(),
            },
        );
        reachability.failed(RequestKind::Read, &refused, begin);
        reachability.answered(RequestKind::Write, begin + WRITE_REASON_LIFETIME * 2);
        assert!(!reachability.condition.is_ok());
    }
}
