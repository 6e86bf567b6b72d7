//! Keeps records of one row in order while any free worker takes the next one that may run.
//!
//! A lane is what must stay in order. Its first record is in the workers' queue; the others wait
//! here until it is done. So a worker never waits behind a row that is busy, and two busy rows never
//! share a worker because of their hashes.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::sync::{Mutex, MutexGuard};

/// The lanes of a topic.
#[derive(Debug)]
pub(super) struct KeyedQueue<T> {
    state: Mutex<KeyedQueueState<T>>,
    ready: Sender<T>,
    capacity: usize,
}

#[derive(Debug)]
struct KeyedQueueState<T> {
    /// Lanes that are busy, and what waits in each.
    busy: HashMap<u64, VecDeque<T>>,
    /// Records that are not done.
    all: usize,
}

impl<T> KeyedQueue<T> {
    /// Lanes for at most `capacity` records at a time, and the workers' queue.
    pub(super) fn new(capacity: usize) -> (KeyedQueue<T>, Receiver<T>) {
        let (ready, queue) = bounded(capacity);
        let state = Mutex::new(KeyedQueueState {
            busy: HashMap::new(),
            all: 0,
        });
        let lanes = KeyedQueue {
            state,
            ready,
            capacity,
        };
        (lanes, queue)
    }

    /// Adds a record behind those of its lane. Without a lane it may run at once. Gives it back when
    /// there are as many as the capacity, or no workers.
    pub(super) fn put(&self, lane: Option<u64>, item: T) -> Result<(), T> {
        let mut state = self.state();
        if self.capacity <= state.all {
            return Err(item);
        }
        if let Some(waiting) = lane.and_then(|lane| state.busy.get_mut(&lane)) {
            waiting.push_back(item);
        } else {
            // The queue has room for all there are.
            self.ready
                .try_send(item)
                .map_err(TrySendError::into_inner)?;
            if let Some(lane) = lane {
                state.busy.insert(lane, VecDeque::new());
            }
        }
        state.all += 1;
        Ok(())
    }

    /// The record of this lane that was running is done: the next one may run.
    pub(super) fn done(&self, lane: Option<u64>) {
        let mut state = self.state();
        state.all = state.all.saturating_sub(1);
        let Some(lane) = lane else { return };
        match state.busy.get_mut(&lane).and_then(VecDeque::pop_front) {
            // As above; without workers nobody misses it.
            Some(item) => drop(self.ready.try_send(item)),
            None => drop(state.busy.remove(&lane)),
        }
    }

    fn state(&self) -> MutexGuard<'_, KeyedQueueState<T>> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_runs_one_at_a_time_and_in_order() {
        let (lanes, queue) = KeyedQueue::new(8);
        for (lane, item) in [
            (Some(1), "a1"),
            (Some(1), "a2"),
            (None, "x"),
            (Some(2), "b1"),
        ] {
            lanes.put(lane, item).unwrap();
        }
        assert_eq!(queue.try_iter().collect::<Vec<_>>(), ["a1", "x", "b1"]);
        lanes.done(None);
        lanes.done(Some(2));
        assert!(queue.is_empty());
        lanes.done(Some(1));
        assert_eq!(queue.try_recv(), Ok("a2"));
        lanes.done(Some(1));
        lanes.put(Some(1), "a3").unwrap();
        assert_eq!(queue.try_recv(), Ok("a3"));
    }

    #[test]
    fn what_does_not_fit_comes_back() {
        let (lanes, queue) = KeyedQueue::new(1);
        lanes.put(Some(1), "a").unwrap();
        assert_eq!(lanes.put(Some(2), "b"), Err("b"));
        assert_eq!(queue.try_recv(), Ok("a"));
        assert_eq!(lanes.put(Some(2), "b"), Err("b"), "one is still running");
        lanes.done(Some(1));
        lanes.put(Some(2), "b").unwrap();
    }
}
