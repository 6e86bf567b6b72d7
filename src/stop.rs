//! Stop signal: dropping the one [`StopTrigger`] stops every [`Stop`] holder.
//!
//! Waiting and being stopped are the same call, so that no thread sleeps through a shutdown.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// The owner's end. Dropping it stops all holders of the matching [`Stop`].
#[derive(Debug)]
pub struct StopTrigger {
    _sender: Sender<Infallible>,
}

/// A worker's end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(Receiver<Infallible>);

/// Makes a connected pair.
pub fn pair() -> (StopTrigger, Stop) {
    let (sender, receiver) = bounded(0);
    (StopTrigger { _sender: sender }, Stop(receiver))
}

/// The two steps in which a pipeline is stopped.
#[derive(Debug, Clone)]
pub struct StopSignals {
    /// Begin nothing new, and finish what is begun.
    pub stop: Stop,
    /// The deadline has passed: leave what is not finished.
    pub abandon: Stop,
}

impl Stop {
    /// Whether the trigger was dropped.
    pub fn is_stopped(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits for `time` at most; true at once when stopped.
    pub fn wait(&self, time: Duration) -> bool {
        matches!(
            self.0.recv_timeout(time),
            Err(RecvTimeoutError::Disconnected)
        )
    }

    /// For `select!`: becomes ready (disconnected) when stopped, never yields a value.
    pub fn receiver(&self) -> &Receiver<Infallible> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_trigger_ends_a_long_wait() {
        let (trigger, stop) = pair();
        assert!(!stop.is_stopped());
        let waiter = std::thread::Builder::new()
            .name("waiter".into())
            .spawn(move || stop.wait(Duration::from_secs(600)))
            .unwrap();
        drop(trigger);
        assert!(waiter.join().unwrap());
    }
}
