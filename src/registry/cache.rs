//! Answers that stay true, each asked for once: threads that want the same wait for the first.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::error::Error;
use crate::stop::Stop;

/// How long a refusal is repeated without asking again. Long enough for a partition full of records
/// with the same unknown id, short enough for somebody who registers what was missing.
const NEGATIVE: Duration = Duration::from_secs(5);
/// Bytes of texts after which everything is forgotten; a bridge needs a few schemas.
const MAX_WEIGHT: usize = 32 << 20;
/// The same in answers, as refusals weigh nothing.
const MAX_COUNT: usize = 10_000;

/// Answers by key.
pub(super) struct Cache<K, V> {
    slots: Mutex<Slots<K, V>>,
}

struct Slots<K, V> {
    flights: HashMap<K, Arc<Flight<V>>>,
    weight: usize,
}

/// A question that is being asked, or its answer.
struct Flight<V> {
    /// Disconnected when there is an answer, or when nobody asks any more.
    landed: Receiver<Infallible>,
    result: OnceLock<(Result<V, Error>, Instant)>,
}

enum Turn<V> {
    Known(Result<V, Error>),
    Wait(Arc<Flight<V>>),
    Lead(Arc<Flight<V>>, Sender<Infallible>),
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new() -> Cache<K, V> {
        Cache {
            slots: Mutex::new(Slots {
                flights: HashMap::new(),
                weight: 0,
            }),
        }
    }

    /// The answer of `key`. `fetch` gives it with its weight in bytes, and is called by one thread
    /// at a time. An error that may pass is for those who waited, and then forgotten.
    pub(super) fn get(
        &self,
        key: &K,
        stop: &Stop,
        fetch: impl Fn() -> Result<(V, usize), Error>,
    ) -> Result<V, Error> {
        loop {
            match self.enter(key, Instant::now()) {
                Turn::Known(result) => return result,
                Turn::Lead(flight, landed) => return self.lead(key, &flight, landed, &fetch),
                Turn::Wait(flight) => {
                    select! {
                        recv(flight.landed) -> _ => {}
                        recv(stop.receiver()) -> _ => return Err(Error::Stopped),
                    }
                    if let Some((result, _)) = flight.result.get() {
                        return result.clone();
                    }
                    // The one who asked was stopped: somebody else has to.
                }
            }
        }
    }

    fn enter(&self, key: &K, now: Instant) -> Turn<V> {
        let mut slots = self.slots();
        if let Some(flight) = slots.flights.get(key) {
            match flight.result.get() {
                None => return Turn::Wait(Arc::clone(flight)),
                Some((Ok(value), _)) => return Turn::Known(Ok(value.clone())),
                Some((Err(error), at)) if now.saturating_duration_since(*at) < NEGATIVE => {
                    return Turn::Known(Err(error.clone()));
                }
                Some((Err(_), _)) => {}
            }
        }
        let (sender, landed) = bounded(0);
        let flight = Arc::new(Flight {
            landed,
            result: OnceLock::new(),
        });
        slots.flights.insert(key.clone(), Arc::clone(&flight));
        Turn::Lead(flight, sender)
    }

    fn lead(
        &self,
        key: &K,
        flight: &Arc<Flight<V>>,
        landed: Sender<Infallible>,
        fetch: &impl Fn() -> Result<(V, usize), Error>,
    ) -> Result<V, Error> {
        // Those who wait go on however this ends.
        let landing = Landing {
            cache: self,
            key,
            flight,
            _landed: landed,
        };
        let result = match fetch() {
            Err(Error::Stopped) => return Err(Error::Stopped),
            Ok((value, weight)) => {
                self.weigh(key, weight);
                Ok(value)
            }
            Err(error) => Err(error),
        };
        flight.result.set((result.clone(), Instant::now())).ok();
        drop(landing);
        result
    }

    /// Makes room by forgetting everything that has an answer.
    fn weigh(&self, key: &K, weight: usize) {
        let mut slots = self.slots();
        slots.weight = slots.weight.saturating_add(weight);
        if MAX_WEIGHT < slots.weight {
            slots.weight = weight;
            slots.forget_all_but(key);
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots<K, V>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, V> Slots<K, V> {
    fn forget_all_but(&mut self, key: &K) {
        self.flights
            .retain(|known, flight| known == key || flight.result.get().is_none());
    }
}

/// Ends a flight: what is not worth keeping leaves the cache, then those who wait are woken.
struct Landing<'a, K: Clone + Eq + Hash, V> {
    cache: &'a Cache<K, V>,
    key: &'a K,
    flight: &'a Arc<Flight<V>>,
    _landed: Sender<Infallible>,
}

impl<K: Clone + Eq + Hash, V> Drop for Landing<'_, K, V> {
    fn drop(&mut self) {
        let keep = match self.flight.result.get() {
            None => false,
            Some((Ok(_), _)) => true,
            Some((Err(error), _)) => !error.is_retryable(),
        };
        let mut slots = self
            .cache
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !keep {
            slots.flights.remove(self.key);
        }
        if MAX_COUNT < slots.flights.len() {
            slots.weight = 0;
            slots.forget_all_but(self.key);
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

#[cfg(test)]
mod tests;
