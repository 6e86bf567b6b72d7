//! Which records are on their way to Kafka, batch by batch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::checkpoint::UnsettledVersion;
use crate::kafka::{Batch, DeliveryError};
use crate::source::channels::BatchMark;

/// How long the oldest page may wait for its acknowledgement before no further page is begun. Records
/// that Kafka has, and whose page is not acknowledged, come again after a crash: while one partition
/// is away, those of the others would be as many as fit into the queue. More than a second's worth on
/// its way makes no load faster.
const MAX_ACKNOWLEDGEMENT_AGE: Duration = Duration::from_secs(1);
/// Pages that may be on their way however long they take: one that Kafka takes in, and the next one.
const MIN_PAGES_ON_THE_WAY: usize = 2;

/// The open batch, to which records are added, and the closed ones, oldest first.
pub(super) struct BatchQueue {
    /// Gets a message when a batch is acknowledged or has failed. One place is enough: all batches
    /// are looked at then.
    settled_in: Sender<()>,
    settled: Receiver<()>,
    open: Arc<Batch>,
    /// Rows of the open batch that were enqueued.
    open_rows: u64,
    /// Rows of the open batch that are left out, as the sink wrote them.
    open_own_rows: u64,
    /// Versions of rows of the open batch that are remembered.
    open_versions: Vec<UnsettledVersion>,
    closed: VecDeque<ClosedBatch>,
    /// Since when Kafka has records and has acknowledged no batch.
    waiting_since: Option<Instant>,
}

/// A batch that gets no more records.
struct ClosedBatch {
    batch: Arc<Batch>,
    mark: BatchMark,
    closed: Instant,
}

impl BatchQueue {
    pub(super) fn new() -> BatchQueue {
        let (settled_in, settled) = bounded(1);
        BatchQueue {
            open: Batch::new(settled_in.clone()),
            settled_in,
            settled,
            open_rows: 0,
            open_own_rows: 0,
            open_versions: Vec::new(),
            closed: VecDeque::new(),
            waiting_since: None,
        }
    }

    /// Becomes ready when there may be something for [`BatchQueue::next_settled`].
    pub(super) fn settled(&self) -> &Receiver<()> {
        &self.settled
    }

    /// The batch that new records count in.
    pub(super) fn open(&self) -> &Arc<Batch> {
        &self.open
    }

    /// A row of the open batch is in librdkafka's queue.
    pub(super) fn add_row(&mut self) {
        self.open_rows += 1;
        self.waiting_since.get_or_insert_with(Instant::now);
    }

    /// This version of a row of the open batch is remembered.
    pub(super) fn add_version(&mut self, version: UnsettledVersion) {
        self.open_versions.push(version);
    }

    /// A row of the open batch is left out, as the sink wrote it.
    pub(super) fn add_own_row(&mut self) {
        self.open_own_rows += 1;
    }

    /// Closes the open batch: when all of it is acknowledged, the position may move to `mark`. Gives
    /// how many of its rows were left out as the sink's own.
    pub(super) fn close(&mut self, mut mark: BatchMark) -> u64 {
        let own_rows = std::mem::take(&mut self.open_own_rows);
        mark.produced = mark.rows.saturating_sub(own_rows);
        mark.versions = std::mem::take(&mut self.open_versions);
        let batch = std::mem::replace(&mut self.open, Batch::new(self.settled_in.clone()));
        self.open_rows = 0;
        batch.close();
        self.closed.push_back(ClosedBatch {
            batch,
            mark,
            closed: Instant::now(),
        });
        own_rows
    }

    /// The mark of the oldest closed batch, once all of its records are acknowledged, or why one of
    /// them was given up. `None` while neither is so.
    pub(super) fn next_settled(&mut self) -> Option<Result<BatchMark, DeliveryError>> {
        if let Err(error) = self.closed.front()?.batch.outcome()? {
            return Some(Err(error));
        }
        let mark = self.closed.pop_front()?.mark;
        let is_waiting = !self.closed.is_empty() || self.open_rows > 0;
        self.waiting_since = is_waiting.then(Instant::now);
        Some(Ok(mark))
    }

    /// Rows of the oldest closed batch.
    pub(super) fn oldest_rows(&self) -> u64 {
        self.closed.front().map_or(0, |oldest| oldest.mark.rows)
    }

    /// Whether a closed batch is not settled yet.
    pub(super) fn has_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    /// Whether Kafka is to acknowledge something before more is sent.
    pub(super) fn is_behind(&self) -> bool {
        let oldest = self.closed.front();
        let age = oldest.map_or(Duration::ZERO, |oldest| oldest.closed.elapsed());
        is_behind(self.closed.len(), age)
    }

    /// Rows of the open batch that were enqueued.
    pub(super) fn open_rows(&self) -> u64 {
        self.open_rows
    }

    /// Rows since the last mark, those that are left out included.
    pub(super) fn rows_since_mark(&self) -> u64 {
        self.open_rows + self.open_own_rows
    }

    /// Rows that were read and are not acknowledged.
    pub(super) fn unacknowledged_rows(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|closed| closed.mark.rows).sum();
        closed + self.open_rows
    }

    /// Whether Kafka has had records for longer than `time` without acknowledging a batch.
    pub(super) fn waits_longer_than(&self, time: Duration) -> bool {
        self.waiting_since
            .is_some_and(|since| since.elapsed() > time)
    }

    /// Counts the time without acknowledgements from now on.
    pub(super) fn restart_wait(&mut self) {
        self.waiting_since = self.waiting_since.map(|_| Instant::now());
    }

    /// Forgets all batches: the poller reads their rows again.
    pub(super) fn discard(&mut self) {
        self.closed.clear();
        self.waiting_since = None;
        self.open = Batch::new(self.settled_in.clone());
        self.open_rows = 0;
        self.open_own_rows = 0;
        self.open_versions.clear();
    }
}

/// Whether so many pages on their way, the oldest closed for so long, leave no room for a further one.
fn is_behind(pages: usize, oldest: Duration) -> bool {
    pages >= MIN_PAGES_ON_THE_WAY && oldest > MAX_ACKNOWLEDGEMENT_AGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_on_their_way_are_bounded_by_age_and_never_below_two() {
        let second = Duration::from_secs(1);
        let cases = [
            (0, Duration::ZERO, false),
            (1, 60 * second, false),
            (2, second, false),
            (2, 2 * second, true),
            // A fast load: many pages, all young.
            (300, second / 2, false),
            (300, 2 * second, true),
        ];
        for (pages, oldest, expected) in cases {
            assert_eq!(is_behind(pages, oldest), expected, "{pages} {oldest:?}");
        }
    }
}
