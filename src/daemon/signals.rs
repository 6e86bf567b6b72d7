//! Signals of the kernel as values on a channel.

use std::io;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals as Kernel};

/// Signals that wait for the supervisor.
const MAX_QUEUED_SIGNALS: usize = 16;
/// Reloads that wait. The rest of the places is for stops, which must not be pushed out.
const MAX_QUEUED_RELOAD_SIGNALS: usize = 8;

/// The request that a signal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: stop; a second one: stop now.
    Terminate,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The thread that waits for signals; joined when this is dropped. The signals are then ignored,
/// not back at their default.
#[derive(Debug)]
pub struct Signals {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Takes over SIGTERM, SIGINT and SIGHUP. Every stop is delivered, also a second one, which means to stop
/// at once. Reloads beyond a few that wait are dropped: one does for all.
pub fn signals() -> io::Result<(Signals, Receiver<Signal>)> {
    let mut kernel = Kernel::new([SIGTERM, SIGINT, SIGHUP])?;
    let (sender, receiver) = bounded(MAX_QUEUED_SIGNALS);
    let handle = kernel.handle();
    let thread = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in &mut kernel {
                deliver(
                    if signal == SIGHUP {
                        Signal::Reload
                    } else {
                        Signal::Terminate
                    },
                    &sender,
                );
            }
        })?;
    Ok((
        Signals {
            handle,
            thread: Some(thread),
        },
        receiver,
    ))
}

fn deliver(signal: Signal, sender: &Sender<Signal>) {
    if signal == Signal::Reload && sender.len() >= MAX_QUEUED_RELOAD_SIGNALS {
        return;
    }
    // Full of stops, or the supervisor is gone: nothing more to say.
    sender.try_send(signal).ok();
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the signals thread ended by a panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn signals_arrive_and_the_thread_ends() {
        let (signals, receiver) = signals().unwrap();
        for (number, expected) in [
            (SIGHUP, Signal::Reload),
            (SIGTERM, Signal::Terminate),
            (SIGTERM, Signal::Terminate),
            (SIGINT, Signal::Terminate),
        ] {
            raise(number).unwrap();
            assert_eq!(receiver.recv_timeout(Duration::from_secs(30)), Ok(expected));
        }
        drop(signals);
        assert!(
            receiver.recv_timeout(Duration::from_secs(30)).is_err(),
            "disconnected"
        );
    }

    #[test]
    fn reloads_leave_room_for_a_stop() {
        let (sender, receiver) = bounded(MAX_QUEUED_SIGNALS);
        for _ in 0..100 {
            deliver(Signal::Reload, &sender);
        }
        deliver(Signal::Terminate, &sender);
        let got: Vec<_> = receiver.try_iter().collect();
        assert_eq!(
            (got.len(), got.last()),
            (MAX_QUEUED_RELOAD_SIGNALS + 1, Some(&Signal::Terminate))
        );
    }
}
