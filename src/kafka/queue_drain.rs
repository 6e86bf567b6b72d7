//! Waiting for room in the producer's queue.

use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::sync::Mutex;

/// Wakes the threads that wait on a full queue once librdkafka has reported a good part of it.
///
/// A wake-up for each free slot would make the sending and the polling thread take turns with each
/// record.
#[derive(Debug, Default)]
pub(super) struct QueueDrain {
    /// Reports until the wake-up; no thread waits while it is not above 0.
    reports: AtomicI64,
    waiting: Mutex<Vec<Sender<()>>>,
}

impl QueueDrain {
    /// For the delivery callback: one record was reported. Costs one load while no thread waits.
    pub(super) fn report(&self) {
        if self.reports.load(Ordering::Relaxed) > 0
            && self.reports.fetch_sub(1, Ordering::Relaxed) == 1
        {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            for sender in waiting {
                sender.try_send(()).ok();
            }
        }
    }

    /// Gives a channel that gets a message after about `reports` reports.
    ///
    /// Reports that come in during this call may be missed, so the caller also looks at the queue
    /// from time to time.
    pub(super) fn after(&self, reports: i64) -> Receiver<()> {
        let (sender, receiver) = bounded(1);
        let mut waiting = self.waiting.lock();
        // A receiver that gave up leaves its sender behind; the wake-up fills that, and here it goes.
        waiting.retain(|sender| !sender.is_full());
        waiting.push(sender);
        if self.reports.load(Ordering::Relaxed) <= 0 {
            self.reports.store(reports.max(1), Ordering::Relaxed);
        }
        receiver
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
}
