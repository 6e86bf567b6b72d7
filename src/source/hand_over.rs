//! The poller's way to the sender: rows that are not known yet, and marks.
//!
//! The newest seconds of a table are read again and again (see `frontier`), so most rows of theirs have been
//! handed over before. Those are left out here.

use std::sync::Arc;
use std::time::Duration;

use super::capture::{CaptureShared, Turn, id_number, row_version};
use super::channels::{BatchMark, OpenBounds, PollerChannels, PollerMessage, hand_to_sender};
use super::page_fetch::PageRows;
use super::poll_error::PollError;
use crate::checkpoint::UnsettledVersion;
use crate::health::Heartbeat;
use crate::servicenow::page::RowBlock;
use crate::servicenow::query::Cursor;
use crate::stop::Stop;

/// How long the heartbeat may stay away beyond the wait that is expected.
pub(super) const POLLER_HEARTBEAT_SLACK: Duration = Duration::from_secs(60);
/// Longest wait for the sweep without a heartbeat.
const POLLER_WAKE_INTERVAL: Duration = Duration::from_secs(1);

/// The poller's ends of the channels, and what went through them.
pub(super) struct HandOver {
    pub(super) channels: PollerChannels,
    pub(super) heartbeat: Heartbeat,
    capture: Arc<CaptureShared>,
    /// How often the sender has made the poller go back.
    pub(super) generation: u64,
    /// Which seconds of the present page are open, and which may come again.
    pub(super) bounds: OpenBounds,
    /// Versions of the present page that were not known.
    fresh: Vec<UnsettledVersion>,
}

/// The rows of one page on their way.
pub(super) struct PageHandOver<'a> {
    out: &'a mut HandOver,
    turn: &'a Turn<'a>,
    /// Rows that were known already, and are left out.
    pub(super) known: u64,
}

impl HandOver {
    pub(super) fn new(
        channels: PollerChannels,
        heartbeat: Heartbeat,
        capture: Arc<CaptureShared>,
    ) -> HandOver {
        HandOver {
            channels,
            heartbeat,
            capture,
            generation: 0,
            bounds: OpenBounds::default(),
            fresh: Vec::new(),
        }
    }

    /// Begins a page, in this turn.
    pub(super) fn page<'a>(&'a mut self, turn: &'a Turn<'a>) -> PageHandOver<'a> {
        self.fresh.clear();
        PageHandOver {
            out: self,
            turn,
            known: 0,
        }
    }

    /// The page counts: its rows are known from now on.
    pub(super) fn page_counts(&mut self) {
        if !self.fresh.is_empty() {
            self.capture.span.lock().hand_over(self.fresh.drain(..));
        }
    }

    /// Marks the position that the checkpoint takes when the `rows` before it are acknowledged.
    pub(super) fn mark(
        &mut self,
        cursor: Option<Cursor>,
        rows: u64,
        caught_up: Option<i64>,
    ) -> Result<(), PollError> {
        self.send(PollerMessage::Mark {
            generation: self.generation,
            mark: BatchMark::new(cursor, rows, caught_up),
        })
    }

    /// The sender's request to read again, if there is one.
    pub(super) fn take_rewind_request(&self) -> Result<(), PollError> {
        match self.channels.rewinds.try_recv() {
            Ok(rewind) => Err(PollError::Rewound(rewind)),
            Err(_) => Ok(()),
        }
    }

    /// While more versions of rows are unsettled than can be remembered, the sweep looks at the older seconds
    /// first, which ends the wait.
    pub(super) fn wait_for_room(&self, stop: &Stop) -> Result<(), PollError> {
        while self.capture.is_full() {
            self.heartbeat.beat(POLLER_HEARTBEAT_SLACK);
            self.take_rewind_request()?;
            if stop.wait(POLLER_WAKE_INTERVAL) {
                return Err(PollError::Stopped);
            }
        }
        Ok(())
    }

    fn send(&mut self, message: PollerMessage) -> Result<(), PollError> {
        let sent = hand_to_sender(&self.channels.messages, message, || {
            self.heartbeat.beat(POLLER_HEARTBEAT_SLACK);
            self.take_rewind_request()
        })?;
        sent.then_some(()).ok_or(PollError::Stopped)
    }

    /// Leaves out the rows of a block that are known; gives how many.
    fn leave_out_known(&mut self, block: &mut RowBlock) -> u64 {
        let from = self.bounds.known_from;
        // Rows come in the order of their times.
        if block.rows.last().is_none_or(|last| last.seconds < from) {
            return 0;
        }
        let before = block.rows.len();
        let mut rows = std::mem::take(&mut block.rows);
        let span = self.capture.span.lock();
        rows.retain(|row| {
            if row.seconds < from {
                return true;
            }
            let version = row_version(block, row);
            let is_known = span.contains(&version);
            if !is_known {
                self.fresh.push(version);
            }
            !is_known
        });
        block.rows = rows;
        (before - block.rows.len()) as u64
    }
}

impl PageRows for PageHandOver<'_> {
    fn spare_block(&mut self) -> Option<RowBlock> {
        self.out.channels.spare_blocks.try_recv().ok()
    }

    fn take(&mut self, mut block: RowBlock, checked: bool) -> Result<(), PollError> {
        self.known += self.out.leave_out_known(&mut block);
        if block.rows.is_empty() {
            return Ok(());
        }
        let ids = block.rows.iter().map(|row| id_number(block.slice(&row.id)));
        self.turn.record(ids);
        self.out.send(PollerMessage::Rows {
            generation: self.out.generation,
            block,
            checked,
            bounds: self.out.bounds,
        })
    }
}
