//! What the capture thread works on.

use std::time::{Duration, Instant};

use super::delivered_topic::DeliveredTopic;
use super::delivery::CaptureDelivery;
use crate::control::TableRequest;
use crate::health::Heartbeat;
use crate::source::poll_error::PollError;

/// Time between two writes of how far a task is: what a kill may let it do again.
pub(super) const STATE_WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// A task of the capture thread. It is cut into steps of few requests, between which the tasks before it have
/// their turn.
pub(super) trait CaptureTask {
    /// What it does, for the log.
    fn name(&self) -> &'static str;

    /// Takes a command, where it is one of this task's; gives it back otherwise.
    fn take(&mut self, request: TableRequest, _: &mut DeliveredTopic) -> Option<TableRequest> {
        Some(request)
    }

    /// When its next step is due; `None`: there is nothing to do for now.
    fn due(&mut self, now: Instant) -> Option<Instant>;

    /// Does the next step.
    ///
    /// # Errors
    /// It is to be tried again after a pause.
    fn step(&mut self, context: &mut StepContext<'_>) -> Result<(), PollError>;
}

/// What a step works with.
pub(super) struct StepContext<'a> {
    /// Delivers rows.
    pub(super) delivery: &'a mut CaptureDelivery,
    /// What the topic holds.
    pub(super) delivered: &'a mut DeliveredTopic,
    /// To be beaten during long waits.
    pub(super) heartbeat: &'a Heartbeat,
}
