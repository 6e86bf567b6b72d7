//! Whether the instance answers, for readiness.

use std::time::{Duration, Instant};

use super::error::{Error, InstanceFailure};
use crate::health::{Condition, ConditionKey, Health};
use crate::sync::Mutex;
use std::sync::Arc;

/// A blip that a retry mends is no reason to be taken out of service.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(10);

/// The condition `servicenow` of readiness.
#[derive(Debug)]
pub(super) struct Reachability {
    condition: Condition,
    /// When the failures began that no answer has ended since.
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
        match weight(error) {
            ReachabilityEvidence::None => {}
            ReachabilityEvidence::Certain => {
                since.get_or_insert(now);
                self.condition.fail(error.to_string());
            }
            ReachabilityEvidence::Doubt => {
                let began = *since.get_or_insert(now);
                if UNREACHABLE_AFTER <= now.saturating_duration_since(began)
                    || !self.condition.is_ok()
                {
                    self.condition.fail(error.to_string());
                }
            }
        }
    }
}

/// What an error says about the instance.
enum ReachabilityEvidence {
    /// It answers; something else is wrong, and its owner says so.
    None,
    /// It may be over in a moment.
    Doubt,
    /// It will not be over without somebody's doing.
    Certain,
}

fn weight(error: &Error) -> ReachabilityEvidence {
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
        ) => ReachabilityEvidence::Certain,
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
        ) => ReachabilityEvidence::Doubt,
    }
}
