//! Waiting for the producer's queue to drain, and for one answer of the admin client.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::sync::{Mutex, MutexGuard};

/// Wakes those who wait on a full queue once a good part of it has been reported.
///
/// Waking for one free slot would make sender and poller change places for each record.
#[derive(Debug, Default)]
pub(super) struct QueueDrain {
    /// Reports until the wake-up; nobody waits when it is not above 0.
    reports: AtomicI64,
    waiting: Mutex<Vec<Sender<()>>>,
}

impl QueueDrain {
    /// For the delivery callback: one record was reported. One load while nobody waits.
    pub(super) fn report(&self) {
        if 0 < self.reports.load(Ordering::Relaxed)
            && self.reports.fetch_sub(1, Ordering::Relaxed) == 1
        {
            let waiting = std::mem::take(&mut *self.waiting());
            for sender in waiting {
                sender.try_send(()).ok();
            }
        }
    }

    /// Gives a channel that is told after about `reports` reports.
    ///
    /// Reports that come in during this call may be missed, so the caller looks again after a
    /// while.
    pub(super) fn after(&self, reports: i64) -> Receiver<()> {
        let (sender, receiver) = bounded(1);
        let mut waiting = self.waiting();
        // One entry for each blocked thread; those that gave up are dropped here.
        waiting.retain(|sender| !sender.is_full());
        waiting.push(sender);
        if self.reports.load(Ordering::Relaxed) <= 0 {
            self.reports.store(reports.max(1), Ordering::Relaxed);
        }
        receiver
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Sender<()>>> {
        self.waiting.lock()
    }
}

/// Waits on this thread for a future, until `deadline`. The admin client of rdkafka answers with
/// futures; one short wait at start is no reason for a runtime.
pub(super) fn block_on<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_after_the_asked_number_of_reports() {
        let drain = QueueDrain::default();
        drain.report();
        let (one, two) = (drain.after(3), drain.after(100));
        drain.report();
        drain.report();
        assert!(one.try_recv().is_err());
        drain.report();
        assert!(one.try_recv().is_ok() && two.try_recv().is_ok());
        drain.report();
    }

    #[test]
    fn a_future_is_waited_for_with_a_bound() {
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(block_on(std::future::ready(7), soon), Some(7));
        assert_eq!(block_on(std::future::pending::<()>(), soon), None);
    }
}
