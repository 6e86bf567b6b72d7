//! The bound on all of an examination together.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use crate::stop::{self, Stop};

/// From here on nothing more is asked. What is under way then has bounds of its own, so that the
/// whole takes five minutes at most, as the help says.
const EXAMINATION_BOUND: Duration = Duration::from_secs(240);

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
