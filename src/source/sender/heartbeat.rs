//! The heartbeat of a sender's thread.

use std::time::Duration;

use crate::health::{Health, Heartbeat};
use std::sync::Arc;

/// How long the heartbeat may stay away beyond a wait that is expected.
const SENDER_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(30);

/// Tells the supervision that the thread is alive.
pub(super) struct SenderHeartbeat(Heartbeat);

impl SenderHeartbeat {
    pub(super) fn new(health: &Arc<Health>, table: &str) -> SenderHeartbeat {
        SenderHeartbeat(health.thread(&format!("send:{table}")))
    }

    /// The thread is alive and beats again soon.
    pub(super) fn beat(&self) {
        self.0.beat(SENDER_HEARTBEAT_DEADLINE);
    }

    /// The thread is alive and now does something that may take as long as `longest`.
    pub(super) fn beat_during(&self, longest: Duration) {
        self.0.beat(longest + SENDER_HEARTBEAT_DEADLINE);
    }
}
