//! Readiness: what the results of requests say about the instance as a whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Error, InstanceFailure};
use crate::health::{Condition, ConditionKey, Health};
use crate::sync::Mutex;

/// How long requests must have failed before the bridge says that it is not ready: a failure that a
/// retry mends is no reason to be taken out of service.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(10);

/// The condition `servicenow` of readiness.
#[derive(Debug)]
pub(super) struct Reachability {
    condition: Condition,
    /// When the present row of failures began; `None` after a good answer.
    failing_since: Mutex<Option<Instant>>,
}

impl Reachability {
    pub(super) fn new(health: &Arc<Health>) -> Reachability {
        let condition = health.condition(ConditionKey::Instance, "no answer from the instance yet");
        Reachability {
            condition,
            failing_since: Mutex::new(None),
        }
    }

    /// The instance gave a good answer.
    pub(super) fn ok(&self) {
        *self.failing_since.lock() = None;
        self.condition.ok();
    }

    /// A request failed.
    pub(super) fn failed(&self, error: &Error, now: Instant) {
        let mut since = self.failing_since.lock();
        match evidence(error) {
            ReachabilityEvidence::None => {}
            ReachabilityEvidence::Lasting => {
                since.get_or_insert(now);
                self.condition.fail(error.to_string());
            }
            ReachabilityEvidence::Transient => {
                let began = *since.get_or_insert(now);
                if now.saturating_duration_since(began) >= UNREACHABLE_AFTER
                    || !self.condition.is_ok()
                {
                    self.condition.fail(error.to_string());
                }
            }
        }
    }
}

/// The weight of an error for readiness.
enum ReachabilityEvidence {
    /// The instance answers. The error concerns one table, which has a condition of its own.
    None,
    /// The instance cannot be used now, which may be over in a moment.
    Transient,
    /// The instance cannot be used until an operator changes something.
    Lasting,
}

fn evidence(error: &Error) -> ReachabilityEvidence {
    match error.cause() {
        None
        | Some(
            InstanceFailure::Forbidden { .. }
            | InstanceFailure::NotFound { .. }
            | InstanceFailure::BadRequest { .. }
            | InstanceFailure::TooLarge { .. }
            | InstanceFailure::Failed { .. },
        ) => ReachabilityEvidence::None,
        Some(
            InstanceFailure::Unauthorized { .. }
            | InstanceFailure::Redirect { .. }
            | InstanceFailure::Tls(_),
        ) => ReachabilityEvidence::Lasting,
        Some(
            InstanceFailure::Timeout { .. }
            | InstanceFailure::Network(_)
            | InstanceFailure::RateLimited { .. }
            | InstanceFailure::Held { .. }
            | InstanceFailure::NotJson { .. }
            | InstanceFailure::NotExecuted
            | InstanceFailure::Server { .. }
            | InstanceFailure::Status { .. }
            | InstanceFailure::Body(_)
            | InstanceFailure::SameToken
            | InstanceFailure::NoLogin,
        ) => ReachabilityEvidence::Transient,
    }
}
