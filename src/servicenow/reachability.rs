//! Whether the instance answers, for readiness.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Cause, Error};
use crate::health::{Condition, Health};
use std::sync::Arc;

/// A blip that a retry mends is no reason to be taken out of service.
const PATIENCE: Duration = Duration::from_secs(10);

/// The condition `servicenow` of readiness.
#[derive(Debug)]
pub(super) struct Standing {
    condition: Condition,
    /// When the failures began that no answer has ended since.
    failing_since: Mutex<Option<Instant>>,
}

impl Standing {
    pub(super) fn new(health: &Arc<Health>) -> Standing {
        let condition = health.condition("servicenow", "no answer from the instance yet");
        Standing {
            condition,
            failing_since: Mutex::new(None),
        }
    }

    /// The instance gave a good answer.
    pub(super) fn ok(&self) {
        *self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        self.condition.ok();
    }

    /// A request failed.
    pub(super) fn failed(&self, error: &Error, now: Instant) {
        let mut since = self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match weight(error) {
            Weight::None => {}
            Weight::Certain => {
                since.get_or_insert(now);
                self.condition.fail(error.to_string());
            }
            Weight::Doubt => {
                let began = *since.get_or_insert(now);
                if PATIENCE <= now.saturating_duration_since(began) || !self.condition.is_ok() {
                    self.condition.fail(error.to_string());
                }
            }
        }
    }
}

/// What an error says about the instance.
enum Weight {
    /// It answers; something else is wrong, and its owner says so.
    None,
    /// It may be over in a moment.
    Doubt,
    /// It will not be over without somebody's doing.
    Certain,
}

fn weight(error: &Error) -> Weight {
    match error.cause() {
        None
        | Some(
            Cause::Forbidden { .. }
            | Cause::NotFound { .. }
            | Cause::BadRequest { .. }
            | Cause::TooLarge { .. }
            | Cause::Failed { .. },
        ) => Weight::None,
        Some(Cause::Unauthorized { .. } | Cause::Redirect { .. } | Cause::Tls(_)) => {
            Weight::Certain
        }
        Some(
            Cause::Timeout { .. }
            | Cause::Network(_)
            | Cause::RateLimited { .. }
            | Cause::Held { .. }
            | Cause::NotJson { .. }
            | Cause::NotExecuted
            | Cause::Server { .. }
            | Cause::Status { .. }
            | Cause::Body(_)
            | Cause::SameToken
            | Cause::NoLogin,
        ) => Weight::Doubt,
    }
}
