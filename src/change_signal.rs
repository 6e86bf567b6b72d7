//! Tells waiting threads that a shared state has changed; each waits together with its own stop.
//!
//! A condition variable would do, but could not be waited for together with a [`Stop`], which is a
//! channel. So the signal is a channel as well: announcing a change closes it, and makes a new one.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::stop::Stop;

/// Lives beside the state whose changes it announces, under the same lock.
#[derive(Debug)]
pub(crate) struct ChangeSignal {
    /// Held only to be dropped.
    _sender: Sender<Infallible>,
    receiver: Receiver<Infallible>,
}

/// Waits for the next change.
#[derive(Debug)]
pub(crate) struct ChangeWaiter(Receiver<Infallible>);

impl ChangeSignal {
    pub(crate) fn new() -> ChangeSignal {
        let (sender, receiver) = bounded(0);
        ChangeSignal {
            _sender: sender,
            receiver,
        }
    }

    /// To be called while the state is locked, so that no change is missed between reading the state
    /// and waiting.
    pub(crate) fn waiter(&self) -> ChangeWaiter {
        ChangeWaiter(self.receiver.clone())
    }

    /// Wakes every waiter that was made so far.
    pub(crate) fn announce(&mut self) {
        *self = ChangeSignal::new();
    }
}

impl ChangeWaiter {
    /// Waits for a change, for `time` at most; true when stopped.
    pub(crate) fn wait(&self, time: Duration, stop: &Stop) -> bool {
        select! {
            recv(stop.receiver()) -> _ => true,
            recv(self.0) -> _ => stop.is_stopped(),
            default(time) => stop.is_stopped(),
        }
    }
}
