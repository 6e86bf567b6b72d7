//! The capture thread's way to the sender: reads rows by their identifiers and hands them over, unless another
//! version of theirs was handed over meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};

use super::shared::CaptureShared;
use super::version::{id_number, row_version};
use crate::health::Heartbeat;
use crate::servicenow::page::RowBlock;
use crate::source::channels::{CapturedRows, OpenBounds, PollerMessage, Tombstone};
use crate::source::page_fetch::{PageFetch, PageRows};
use crate::source::poll_error::PollError;
use crate::stop::Stop;

/// Rows that are asked for at once: their identifiers make an address of about 4 KB.
pub(super) const MAX_IDS_PER_REQUEST: usize = 100;
/// Longest wait without a heartbeat.
const WAKE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the heartbeat may stay away beyond that.
const HEARTBEAT_SLACK: Duration = Duration::from_secs(60);

/// Delivers rows that the poller has missed.
pub(super) struct CaptureDelivery {
    shared: Arc<CaptureShared>,
    fetch: PageFetch,
    messages: Sender<PollerMessage>,
    stop: Stop,
}

/// What became of rows that were to be delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Rows that Kafka has acknowledged.
    pub(super) rows: u64,
    /// Seconds (since 1970 UTC) of the oldest of them.
    pub(super) oldest: Option<i64>,
    /// Whether all rows that were asked for are settled. Otherwise some have to be read again.
    pub(super) is_whole: bool,
}

/// The rows of an answer.
#[derive(Default)]
struct CollectedBlocks(Vec<RowBlock>);

impl PageRows for CollectedBlocks {
    fn take(&mut self, block: RowBlock, _checked: bool) -> Result<(), PollError> {
        self.0.push(block);
        Ok(())
    }
}

impl CaptureDelivery {
    pub(super) fn new(
        shared: &Arc<CaptureShared>,
        fetch: PageFetch,
        messages: Sender<PollerMessage>,
        stop: &Stop,
    ) -> CaptureDelivery {
        CaptureDelivery {
            shared: Arc::clone(shared),
            fetch,
            messages,
            stop: stop.clone(),
        }
    }

    /// Reads these rows, at most [`MAX_IDS_PER_REQUEST`], and delivers them as they are now. Waits for the
    /// acknowledgement.
    ///
    /// # Errors
    /// They could not be read.
    pub(super) fn deliver_by_id(
        &mut self,
        ids: &[String],
        heartbeat: &Heartbeat,
    ) -> Result<Delivered, PollError> {
        let shared = Arc::clone(&self.shared);
        let read = shared.gate.begin_capture();
        let mut collected = CollectedBlocks::default();
        self.fetch.fetch_by_id(ids, &mut collected)?;
        let turn = read.turn(&self.stop).ok_or(PollError::Stopped)?;
        let mut is_whole = true;
        let mut versions = Vec::new();
        for block in &mut collected.0 {
            let mut rows = std::mem::take(&mut block.rows);
            rows.retain(|row| {
                let is_outdated = read.is_outdated(id_number(block.slice(&row.id)));
                is_whole &= !is_outdated;
                !is_outdated
            });
            let span = shared.span.lock();
            rows.retain(|row| {
                let version = row_version(block, row);
                let is_known = span.contains(&version);
                if !is_known {
                    versions.push(version);
                }
                !is_known
            });
            block.rows = rows;
        }
        let rows = versions.len() as u64;
        let oldest = versions.iter().map(|version| version.seconds).min();
        if rows == 0 {
            return Ok(Delivered {
                rows,
                oldest,
                is_whole,
            });
        }
        shared.span.lock().hand_over(versions);
        let (acknowledged, acknowledgement) = bounded(1);
        let captured = CapturedRows {
            blocks: collected.0,
            tombstones: Vec::new(),
            bounds: OpenBounds {
                known_from: i64::MIN,
                ..OpenBounds::default()
            },
            acknowledged,
        };
        self.send(PollerMessage::Captured(captured), heartbeat)?;
        drop(turn);
        drop(read);
        Ok(if self.is_acknowledged(&acknowledgement, heartbeat)? {
            Delivered {
                rows,
                oldest,
                is_whole,
            }
        } else {
            Delivered::default()
        })
    }

    /// Asks by `find` which rows are gone, and delivers their tombstones; but not of rows of which another version
    /// was handed over meanwhile. Waits for the acknowledgement.
    ///
    /// Gives whether all of them are settled. Otherwise some have to be asked for again.
    ///
    /// # Errors
    /// It could not be asked.
    pub(super) fn deliver_tombstones(
        &mut self,
        heartbeat: &Heartbeat,
        find: impl FnOnce() -> Result<Vec<Tombstone>, PollError>,
    ) -> Result<bool, PollError> {
        let shared = Arc::clone(&self.shared);
        let read = shared.gate.begin_capture();
        let mut tombstones = find()?;
        if tombstones.is_empty() {
            return Ok(true);
        }
        let turn = read.turn(&self.stop).ok_or(PollError::Stopped)?;
        let found = tombstones.len();
        tombstones.retain(|gone| !read.is_outdated(id_number(gone.id.as_bytes())));
        let is_whole = found == tombstones.len();
        if tombstones.is_empty() {
            return Ok(false);
        }
        let ids = tombstones.iter().map(|gone| id_number(gone.id.as_bytes()));
        let ids: HashSet<u128> = ids.collect();
        let (acknowledged, acknowledgement) = bounded(1);
        let captured = CapturedRows {
            blocks: Vec::new(),
            tombstones,
            bounds: OpenBounds::default(),
            acknowledged,
        };
        self.send(PollerMessage::Captured(captured), heartbeat)?;
        drop(turn);
        drop(read);
        if !self.is_acknowledged(&acknowledgement, heartbeat)? {
            return Ok(false);
        }
        // A row that comes back may come in the version that it had.
        shared.span.lock().forget(&ids);
        Ok(is_whole)
    }

    /// Waits until Kafka has acknowledged what was handed over. False: the sender reads again from its position,
    /// and so does this.
    fn is_acknowledged(
        &self,
        acknowledgement: &Receiver<()>,
        heartbeat: &Heartbeat,
    ) -> Result<bool, PollError> {
        loop {
            heartbeat.beat(HEARTBEAT_SLACK);
            match acknowledgement.recv_timeout(WAKE_INTERVAL) {
                Ok(()) => return Ok(true),
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) if self.stop.is_stopped() => {
                    return Err(PollError::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Waits for room in the channel.
    fn send(&self, mut message: PollerMessage, heartbeat: &Heartbeat) -> Result<(), PollError> {
        while !self.stop.is_stopped() {
            heartbeat.beat(HEARTBEAT_SLACK);
            message = match self.messages.send_timeout(message, WAKE_INTERVAL) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(message)) => message,
                Err(SendTimeoutError::Disconnected(_)) => return Err(PollError::Stopped),
            };
        }
        Err(PollError::Stopped)
    }
}
