//! Bounds on the requests of an examination, and on all of it together.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use crate::config::Config;
use crate::stop::{self, Stop};

/// From here on nothing more is asked. What is under way then has bounds of its own, so that the
/// whole takes five minutes at most, as the help says.
const EXAMINATION_BOUND: Duration = Duration::from_secs(240);

/// Bound on each request, where the configuration allows more.
const REQUEST_BOUND: Duration = Duration::from_secs(20);
/// Bound on the look-up of a host and the connection to it, each, where the configuration allows more.
const CONNECT_BOUND: Duration = Duration::from_secs(10);

/// The same configuration, for a look that answers soon: retries and long waits are for a running bridge.
pub(super) fn with_bounds(config: &Config) -> Config {
    let mut config = config.clone();
    let instance = &mut config.servicenow;
    instance.max_retries = Some(0);
    instance.timeout = instance.timeout.min(REQUEST_BOUND);
    instance.conn_timeout = instance.conn_timeout.min(CONNECT_BOUND);
    config.schema_registry.timeout = config.schema_registry.timeout.min(REQUEST_BOUND);
    config
}

/// A stop that fires when the time is up. It owns the thread `doctor-bound`, which ends with it.
pub(super) struct TimeBound {
    pub(super) stop: Stop,
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TimeBound {
    pub(super) fn begin() -> io::Result<TimeBound> {
        let (trigger, stop) = stop::pair();
        let (done, ended) = bounded::<()>(0);
        let thread = std::thread::Builder::new()
            .name("doctor-bound".to_owned())
            .spawn(move || {
                // Either the time is up or the examination is over; both end the stop.
                ended.recv_timeout(EXAMINATION_BOUND).ok();
                drop(trigger);
            })?;
        Ok(TimeBound {
            stop,
            done: Some(done),
            thread: Some(thread),
        })
    }
}

impl Drop for TimeBound {
    fn drop(&mut self) {
        self.done = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
