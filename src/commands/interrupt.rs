//! Ctrl-C during a long command: the first ends the work in order, the second at once.

use std::io;
use std::thread::{self, JoinHandle};

use crate::daemon::{self, Signals};
use crate::stop::{self, Stop};

/// Listens for signals until it is dropped.
pub(super) struct InterruptListener {
    /// Begin nothing new.
    pub(super) soon: Stop,
    /// Wait for nothing.
    pub(super) now: Stop,
    signals: Option<Signals>,
    thread: Option<JoinHandle<()>>,
}

impl InterruptListener {
    pub(super) fn listen() -> io::Result<InterruptListener> {
        let (signals, receiver) = daemon::signals()?;
        let (first, soon) = stop::pair();
        let (second, now) = stop::pair();
        let thread = thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || {
                // The channel ends when the listener is dropped: then the command is over.
                let mut triggers = vec![second, first];
                for _ in receiver {
                    triggers.pop();
                }
            })?;
        Ok(InterruptListener {
            soon,
            now,
            signals: Some(signals),
            thread: Some(thread),
        })
    }
}

impl Drop for InterruptListener {
    fn drop(&mut self) {
        self.signals = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the interrupt thread ended by a panic");
        }
    }
}
