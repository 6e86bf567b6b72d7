//! Stop signal: dropping the one [`StopTrigger`] stops every [`Stop`] holder.
//!
//! Waiting and being stopped are the same call, so that no thread sleeps through a shutdown. What
//! blocks elsewhere, as on a socket, is ended by an action that is left with [`Stop::on_stop`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::sync::{Mutex, MutexGuard};

/// The owner's end. Dropping it stops all holders of the matching [`Stop`].
#[derive(Debug)]
pub struct StopTrigger {
    sender: Option<Sender<Infallible>>,
    actions: Arc<StopActions>,
}

/// A worker's end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop {
    receiver: Receiver<Infallible>,
    actions: Arc<StopActions>,
}

/// An action that runs when its [`Stop`] fires, unless this is dropped before.
#[must_use = "the action is forgotten when this is dropped"]
#[derive(Debug)]
pub struct StopHook {
    number: u64,
    actions: Arc<StopActions>,
}

type StopAction = Box<dyn FnOnce() + Send>;

/// The actions of one pair.
#[derive(Default)]
struct StopActions(Mutex<PendingActions>);

#[derive(Default)]
struct PendingActions {
    fired: bool,
    next_number: u64,
    by_number: BTreeMap<u64, StopAction>,
}

/// Makes a connected pair.
pub fn pair() -> (StopTrigger, Stop) {
    let (sender, receiver) = bounded(0);
    let actions = Arc::new(StopActions::default());
    let trigger = StopTrigger {
        sender: Some(sender),
        actions: Arc::clone(&actions),
    };
    (trigger, Stop { receiver, actions })
}

impl Drop for StopTrigger {
    /// Every holder sees that it is stopped before the first action runs: what an action ends in the
    /// middle of something can tell why.
    fn drop(&mut self) {
        self.sender = None;
        for action in self.actions.fire().into_values() {
            action();
        }
    }
}

impl StopActions {
    fn fire(&self) -> BTreeMap<u64, StopAction> {
        let mut pending = self.lock();
        pending.fired = true;
        std::mem::take(&mut pending.by_number)
    }

    fn lock(&self) -> MutexGuard<'_, PendingActions> {
        self.0.lock()
    }
}

impl fmt::Debug for StopActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopActions")
    }
}

impl Drop for StopHook {
    fn drop(&mut self) {
        let action = self.actions.lock().by_number.remove(&self.number);
        drop(action);
    }
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
    /// The trigger was dropped.
    pub fn is_stopped(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits for `time` at most; true at once when stopped.
    pub fn wait(&self, time: Duration) -> bool {
        matches!(
            self.receiver.recv_timeout(time),
            Err(RecvTimeoutError::Disconnected)
        )
    }

    /// For `select!`: becomes ready (disconnected) when stopped, never yields a value.
    pub fn receiver(&self) -> &Receiver<Infallible> {
        &self.receiver
    }

    /// Both are of one pair, so they stop at the same time.
    pub fn is_same(&self, other: &Stop) -> bool {
        Arc::ptr_eq(&self.actions, &other.actions)
    }

    /// Runs `action` once when the trigger is dropped, on the thread that drops it, or at once if
    /// that has happened. It must not block.
    pub fn on_stop(&self, action: impl FnOnce() + Send + 'static) -> StopHook {
        let mut pending = self.actions.lock();
        let number = pending.next_number;
        pending.next_number += 1;
        if pending.fired {
            drop(pending);
            action();
        } else {
            pending.by_number.insert(number, Box::new(action));
        }
        StopHook {
            number,
            actions: Arc::clone(&self.actions),
        }
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
    #[test]
    fn actions_run_once_and_behind_the_signal() {
        let (trigger, stop) = pair();
        let (told, tells) = bounded(8);
        let tell = |name: &'static str| {
            let (told, stop) = (told.clone(), stop.clone());
            move || told.send((name, stop.is_stopped())).unwrap()
        };
        let _kept = stop.on_stop(tell("kept"));
        drop(stop.on_stop(tell("forgotten")));
        assert!(tells.try_recv().is_err());
        drop(trigger);
        let _late = stop.on_stop(tell("late"));
        let all: Vec<_> = tells.try_iter().collect();
        assert_eq!(all, [("kept", true), ("late", true)]);
    }

    #[test]
    fn clones_are_the_same_and_other_pairs_are_not() {
        let (_trigger, stop) = pair();
        let (_other_trigger, other) = pair();
        assert!(stop.is_same(&stop.clone()) && !stop.is_same(&other));
    }
}
