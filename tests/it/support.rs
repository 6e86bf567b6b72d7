//! What the tests share: a running bridge, waiting with a deadline, small configurations.

pub(crate) mod avro;
pub(crate) mod bridge;
pub(crate) mod browser;
pub(crate) mod config;
pub(crate) mod fastavro;
pub(crate) mod process;
pub(crate) mod promtool;
pub(crate) mod registry;
pub(crate) mod rig;
pub(crate) mod sink;
pub(crate) mod small;
pub(crate) mod wire;

use std::time::{Duration, Instant};

/// Longest wait for anything; generous, as the machine may be busy.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// Waits until `check` gives a value; panics with `what` when it takes too long.
pub(crate) fn wait_for<T>(what: &str, check: impl FnMut() -> Option<T>) -> T {
    wait_at_most(LONG, what, check)
}

/// Waits until `check` gives a value, at most `time`.
pub(crate) fn wait_at_most<T>(
    time: Duration,
    what: &str,
    mut check: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + time;
    let (_trigger, pause) = crossbeam_channel::bounded::<()>(0);
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {time:?} in vain for {what}"
        );
        pause.recv_timeout(Duration::from_millis(20)).unwrap_err();
    }
}
