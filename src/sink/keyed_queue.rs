//! A queue for many workers that keeps items with the same key in order.
//!
//! The key is that of a row. The first item of a key goes into the workers' channel, where any free worker
//! takes it; the others wait here until it is finished. So no worker waits for a row on which another one
//! works, as it would if each worker had a fixed share of the rows.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::sync::{Mutex, MutexGuard};

/// The queue of a topic.
#[derive(Debug)]
pub(super) struct KeyedQueue<T> {
    state: Mutex<KeyedQueueState<T>>,
    ready: Sender<T>,
    capacity: usize,
}

#[derive(Debug)]
struct KeyedQueueState<T> {
    /// For each key of which an item is ready or worked on: the items that wait for it.
    waiting: HashMap<u64, VecDeque<T>>,
    /// Items that are not finished.
    unfinished: usize,
}

impl<T> KeyedQueue<T> {
    /// A queue for at most `capacity` unfinished items, and the workers' end of it.
    pub(super) fn new(capacity: usize) -> (KeyedQueue<T>, Receiver<T>) {
        let (ready, queue) = bounded(capacity);
        let state = Mutex::new(KeyedQueueState {
            waiting: HashMap::new(),
            unfinished: 0,
        });
        let keyed = KeyedQueue {
            state,
            ready,
            capacity,
        };
        (keyed, queue)
    }

    /// Adds an item behind those of its key; without a key it is ready at once.
    ///
    /// # Errors
    /// Gives the item back: the capacity is reached, or there are no workers.
    pub(super) fn push(&self, key: Option<u64>, item: T) -> Result<(), T> {
        let mut state = self.state();
        if state.unfinished >= self.capacity {
            return Err(item);
        }
        if let Some(items) = key.and_then(|key| state.waiting.get_mut(&key)) {
            items.push_back(item);
        } else {
            // The channel has room for as many items as there may be unfinished ones.
            self.ready
                .try_send(item)
                .map_err(TrySendError::into_inner)?;
            if let Some(key) = key {
                state.waiting.insert(key, VecDeque::new());
            }
        }
        state.unfinished += 1;
        Ok(())
    }

    /// The item of this key that was worked on is finished: the next one is ready.
    pub(super) fn finish(&self, key: Option<u64>) {
        let mut state = self.state();
        state.unfinished = state.unfinished.saturating_sub(1);
        let Some(key) = key else { return };
        match state.waiting.get_mut(&key).and_then(VecDeque::pop_front) {
            // There is room, as above. Without workers the sink is about to stop.
            Some(item) => drop(self.ready.try_send(item)),
            None => drop(state.waiting.remove(&key)),
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
    fn items_of_a_key_run_one_at_a_time_and_in_order() {
        let (keyed, queue) = KeyedQueue::new(8);
        for (key, item) in [
            (Some(1), "a1"),
            (Some(1), "a2"),
            (None, "x"),
            (Some(2), "b1"),
        ] {
            keyed.push(key, item).unwrap();
        }
        assert_eq!(queue.try_iter().collect::<Vec<_>>(), ["a1", "x", "b1"]);
        keyed.finish(None);
        keyed.finish(Some(2));
        assert!(queue.is_empty());
        keyed.finish(Some(1));
        assert_eq!(queue.try_recv(), Ok("a2"));
        keyed.finish(Some(1));
        keyed.push(Some(1), "a3").unwrap();
        assert_eq!(queue.try_recv(), Ok("a3"));
    }

    #[test]
    fn what_does_not_fit_comes_back() {
        let (keyed, queue) = KeyedQueue::new(1);
        keyed.push(Some(1), "a").unwrap();
        assert_eq!(keyed.push(Some(2), "b"), Err("b"));
        assert_eq!(queue.try_recv(), Ok("a"));
        assert_eq!(keyed.push(Some(2), "b"), Err("b"), "one is still running");
        keyed.finish(Some(1));
        keyed.push(Some(2), "b").unwrap();
    }
}
