//! Wakes all who wait for a change, together with their own stop signal.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::stop::Stop;

/// Lives beside the state whose changes it tells, under the same lock.
#[derive(Debug)]
pub(super) struct ChangeSignal {
    sender: Sender<Infallible>,
    receiver: Receiver<Infallible>,
}

/// Waits for the next ring.
#[derive(Debug)]
pub(super) struct ChangeWaiter(Receiver<Infallible>);

impl ChangeSignal {
    pub(super) fn new() -> ChangeSignal {
        let (sender, receiver) = bounded(0);
        ChangeSignal { sender, receiver }
    }

    /// To be taken under the lock, so that no ring is missed.
    pub(super) fn listen(&self) -> ChangeWaiter {
        ChangeWaiter(self.receiver.clone())
    }

    /// Wakes every ear made so far: their channel closes.
    pub(super) fn ring(&mut self) {
        let (sender, receiver) = bounded(0);
        self.sender = sender;
        self.receiver = receiver;
    }
}

impl ChangeWaiter {
    /// Waits for a ring for `time` at most; true when stopped.
    pub(super) fn wait(&self, time: Duration, stop: &Stop) -> bool {
        select! {
            recv(stop.receiver()) -> _ => true,
            recv(self.0) -> _ => stop.is_stopped(),
            default(time) => stop.is_stopped(),
        }
    }
}
