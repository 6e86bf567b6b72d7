//! What the threads of one table share about its newest seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::HandOverGate;
use crate::checkpoint::{CheckpointStore, SharedSpan};
use crate::config::whole_seconds;
use crate::control::SnapshotProgress;
use crate::servicenow::query::Cursor;
use crate::source::frontier::{Frontier, MAX_CLOCK_ERROR_SECONDS};
use crate::sync::Mutex;

/// Rows that are read again with each poll at most, where that is less than a page: whole rows are a load for
/// the instance.
const MAX_ROWS_AGAIN: u32 = 200;
/// A newest second with more rows than this many pages is not read again with each poll; the sweep looks at it.
const MAX_PAGES_OF_OPEN_SECOND: usize = 4;

/// What the threads of one table share about its newest seconds.
#[derive(Debug)]
pub(in crate::source) struct CaptureShared {
    /// Who may hand over.
    pub(in crate::source) gate: HandOverGate,
    /// What was delivered in the unsettled seconds.
    pub(in crate::source) span: SharedSpan,
    /// Which seconds are closed, and when they settle.
    pub(in crate::source) frontier: Mutex<Frontier>,
    /// How far a snapshot is, while one is under way.
    pub(in crate::source) snapshot: Mutex<Option<SnapshotProgress>>,
    checkpoints: Arc<CheckpointStore>,
    settle: Duration,
}

impl CaptureShared {
    pub(in crate::source) fn new(
        checkpoints: &Arc<CheckpointStore>,
        span: SharedSpan,
        settle: Duration,
    ) -> CaptureShared {
        CaptureShared {
            gate: HandOverGate::new(),
            span,
            frontier: Mutex::new(Frontier::new(settle)),
            snapshot: Mutex::default(),
            checkpoints: Arc::clone(checkpoints),
            settle,
        }
    }

    /// Whether the table was read to its end once.
    pub(super) fn is_caught_up(&self) -> bool {
        self.frontier.lock().read_to().is_some()
    }

    /// Whether seconds are listed again before they settle.
    pub(in crate::source) fn is_swept(&self) -> bool {
        !self.settle.is_zero()
    }

    /// Whether the poller has to wait until some seconds have settled, as more changed within `settle` than can
    /// be remembered.
    pub(in crate::source) fn is_full(&self) -> bool {
        self.is_swept() && self.span.lock().is_full()
    }

    /// `settle` in seconds.
    pub(in crate::source) fn settle_seconds(&self) -> i64 {
        whole_seconds(self.settle)
    }

    /// From which second on it is remembered which versions of rows were delivered: older ones settled long
    /// ago, whatever is wrong with the clock. `clock` is the last second that is over by the instance's clock.
    pub(in crate::source) fn known_from(&self, clock: i64) -> i64 {
        clock
            .saturating_sub(MAX_CLOCK_ERROR_SECONDS)
            .saturating_sub(self.settle_seconds())
    }

    /// The last second that settles with a listing that begins now.
    pub(in crate::source) fn due(&self, now: Instant) -> Option<i64> {
        self.frontier.lock().due(now)
    }

    /// Everything up to this second is settled.
    pub(in crate::source) fn settle(&self, seconds: i64) {
        self.checkpoints.settle(&self.span, seconds);
    }

    /// Where the next poll begins, so that the open seconds are read again: behind the position, where these are
    /// few rows and a page of `rows` at most, or at the newest second; `None`: behind the last row, as that is too much.
    pub(in crate::source) fn start_of_open(
        &self,
        position: Option<&Cursor>,
        newest: i64,
        rows: u32,
    ) -> Option<Option<Cursor>> {
        let page = usize::try_from(rows).unwrap_or(usize::MAX);
        let behind = position.map_or(i64::MIN, |position| position.seconds.saturating_add(1));
        let span = self.span.lock();
        let few = usize::try_from(rows.min(MAX_ROWS_AGAIN)).unwrap_or(usize::MAX);
        if span.count_from(behind, few.saturating_add(1)) <= few {
            return Some(position.cloned());
        }
        let most = page.saturating_mul(MAX_PAGES_OF_OPEN_SECOND);
        let start = Cursor {
            seconds: newest,
            id: None,
        };
        (span.count_from(newest, most.saturating_add(1)) <= most).then_some(Some(start))
    }
}
