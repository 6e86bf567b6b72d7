//! Stop signal: dropping the one [`Trigger`] stops every [`Stop`] holder.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// The owner's end.
#[derive(Debug)]
pub(crate) struct Trigger {
    _sender: Sender<Infallible>,
}

/// A worker's end.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Receiver<Infallible>);

/// Makes a connected pair.
pub(crate) fn pair() -> (Trigger, Stop) {
    let (sender, receiver) = bounded(0);
    (Trigger { _sender: sender }, Stop(receiver))
}

impl Stop {
    /// Whether the trigger was dropped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits for `time` at most; true at once when stopped.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        matches!(
            self.0.recv_timeout(time),
            Err(RecvTimeoutError::Disconnected)
        )
    }
}
