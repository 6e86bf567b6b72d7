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
}

impl Reachability {
    pub(super) fn new(health: &Arc<Health>) -> Reachability {
        let condition = health.condition(ConditionKey::Instance, "no answer from the instance yet");
        Reachability {
            condition,
            state: Mutex::default(),
        }
    }

    /// The instance answered a request of this kind.
    pub(super) fn answered(&self, kind: RequestKind) {
        let mut state = self.state.lock();
        let run = state.of(kind);
        if run.since.is_none() && state.has_answered {
            return;
        }
        *state.of(kind) = FailureRun::default();
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
        | InstanceFailure::Redirect { .. }
        | InstanceFailure::NotJson { .. }
        | InstanceFailure::Server { .. }
        | InstanceFailure::Status { .. }
        | InstanceFailure::TooLarge { .. }
        | InstanceFailure::Body(_)
        | InstanceFailure::Failed { .. } => None,
    }
}
