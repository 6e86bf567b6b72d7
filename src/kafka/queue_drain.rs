//! Waiting for room in the producer's queue.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};

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
    waiting: Mutex<Vec<Weak<Sender<()>>>>,
}

/// The wait of one thread, until it is dropped.
#[derive(Debug)]
pub(super) struct DrainWait {
    woken: Receiver<()>,
    _waker: Arc<Sender<()>>,
}

impl DrainWait {
    /// Gets a message when the queue has drained.
    pub(super) fn woken(&self) -> &Receiver<()> {
        &self.woken
    }
}

impl QueueDrain {
    /// For the delivery callback: one record was reported. Costs one load while no thread waits.
    pub(super) fn report(&self) {
        if self.reports.load(Ordering::Relaxed) > 0
            && self.reports.fetch_sub(1, Ordering::Relaxed) == 1
        {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            for waker in waiting.iter().filter_map(Weak::upgrade) {
                waker.try_send(()).ok();
            }
        }
    }

    /// Begins to wait for about `reports` reports.
    ///
    /// Reports that come in during this call may be missed, so the caller also looks at the queue
    /// from time to time.
    pub(super) fn after(&self, reports: i64) -> DrainWait {
        let (waker, woken) = bounded(1);
        let waker = Arc::new(waker);
        let mut waiting = self.waiting.lock();
        // While Kafka is down there are no reports, but waits that give up and begin again.
        waiting.retain(|waker| waker.strong_count() > 0);
        waiting.push(Arc::downgrade(&waker));
        if self.reports.load(Ordering::Relaxed) <= 0 {
            self.reports.store(reports.max(1), Ordering::Relaxed);
        }
        DrainWait {
            woken,
            _waker: waker,
        }
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
        assert!(one.woken().try_recv().is_err());
        drain.report();
        assert!(one.woken().try_recv().is_ok() && two.woken().try_recv().is_ok());
        drain.report();
    }

    #[test]
    fn waits_that_gave_up_are_forgotten() {
        let drain = QueueDrain::default();
        let kept = drain.after(1);
        for _ in 0..1000 {
            drop(drain.after(1));
        }
        assert!(drain.waiting.lock().len() <= 2);
        drain.report();
        assert!(kept.woken().try_recv().is_ok());
    }
}
