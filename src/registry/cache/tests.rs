//! One question at a time, and what is forgotten when.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::super::error::{AttemptedRegistryRequest, RegistryFailure};
use super::*;
use crate::servicenow::tests::server::spawn;
use crate::stop;

fn error(cause: RegistryFailure) -> Error {
    Error::Request {
        asked: Box::new(AttemptedRegistryRequest::default()),
        cause,
    }
}

#[test]
fn who_waits_takes_over_from_one_who_was_stopped() {
    let cache = Arc::new(Cache::<u32, u32>::new());
    let (trigger, stopped) = stop::pair();
    let (_other, stop) = stop::pair();
    let (began, begin) = bounded(1);
    let leader = spawn({
        let cache = Arc::clone(&cache);
        move || {
            cache.get(&1, &stopped, || {
                began.send(()).unwrap();
                assert!(stopped.wait(Duration::from_secs(60)));
                Err(Error::Stopped)
            })
        }
    });
    begin.recv().unwrap();
    let follower = spawn({
        let cache = Arc::clone(&cache);
        move || cache.get(&1, &stop, || Ok((7, 1)))
    });
    drop(trigger);
    assert_eq!(leader.join().unwrap(), Err(Error::Stopped));
    assert_eq!(follower.join().unwrap(), Ok(7));
}

#[test]
fn a_panic_wakes_those_who_wait() {
    let cache = Arc::new(Cache::<u32, u32>::new());
    let (_trigger, stop) = stop::pair();
    let broken = spawn({
        let (cache, stop) = (Arc::clone(&cache), stop.clone());
        move || cache.get(&1, &stop, || panic!("on purpose"))
    });
    assert!(broken.join().is_err());
    assert_eq!(cache.get(&1, &stop, || Ok((7, 1))), Ok(7));
}

#[test]
fn refusals_grow_old() {
    let cache = Cache::<u32, u32>::new();
    let (_trigger, stop) = stop::pair();
    let refuse = || Err(error(RegistryFailure::Status(1)));
    assert!(cache.get(&1, &stop, refuse).is_err());
    let now = Instant::now();
    assert!(matches!(cache.enter(&1, now), Turn::Known(Err(_))));
    assert!(matches!(cache.enter(&1, now + NEGATIVE), Turn::Lead(..)));
    let trouble = || Err(error(RegistryFailure::Network(String::new())));
    assert!(cache.get(&2, &stop, trouble).is_err());
    assert!(matches!(cache.enter(&2, now), Turn::Lead(..)));
}

#[test]
fn memory_is_bounded() {
    let cache = Cache::<u32, u32>::new();
    let (_trigger, stop) = stop::pair();
    let asked = AtomicUsize::new(0);
    let get = |key, weight| {
        let fetch = || {
            asked.fetch_add(1, SeqCst);
            Ok((key, weight))
        };
        assert_eq!(cache.get(&key, &stop, fetch), Ok(key));
    };
    get(1, MAX_WEIGHT);
    get(1, MAX_WEIGHT);
    assert_eq!(asked.load(SeqCst), 1);
    get(2, 1);
    get(2, 1);
    get(1, 1);
    assert_eq!(asked.load(SeqCst), 3, "1 was forgotten for 2");
    for key in 0..30_000 {
        get(key, 0);
    }
    assert!(cache.slots().flights.len() <= MAX_COUNT);
}
