//! The channels between the threads of a table, and what travels through them.
//!
//! Rows and marks go from the poller to the sender through a bounded channel: when it is full the
//! poller waits, which is how a slow Kafka slows down the reading. Empty blocks come back, so that
//! their memory is used again. A request to read again from an earlier row goes from the sender to
//! the poller. Outside of both, the pipeline holds the end that wakes the poller early.

use std::time::Duration;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};

use crate::checkpoint::UnsettledVersion;
use crate::servicenow::page::RowBlock;
use crate::servicenow::query::Cursor;

/// Blocks and marks that may wait between poller and sender: two pages of 1,000 rows of 2 kB.
const BLOCK_QUEUE_CAPACITY: usize = 16;
/// Longest wait for room without a word from the thread that waits.
const ROOM_WAKE_INTERVAL: Duration = Duration::from_secs(1);

/// What the poller hands to the sender.
///
/// `generation` counts how often the sender has made the poller go back. What was sent before the
/// poller went back carries the old number, and the sender passes over it.
#[derive(Debug)]
pub(super) enum PollerMessage {
    /// Rows to produce. `checked`: their page is complete and known to be good. Blocks of a page
    /// that is too large to be held back come before that is known.
    Rows {
        generation: u64,
        block: RowBlock,
        checked: bool,
        bounds: OpenBounds,
    },
    /// All rows since the last mark belong to one good page.
    Mark { generation: u64, mark: BatchMark },
    /// Rows that the capture thread has read, beside the pages of the poller.
    Captured(CapturedRows),
}

/// Waits for room in the channel: a full one is how Kafka slows reading down. `wait` is called before each second
/// of it, and may end it. False: the sender has ended, which it does at a stop only.
///
/// # Errors
/// Those of `wait`.
pub(super) fn hand_to_sender<E>(
    messages: &Sender<PollerMessage>,
    mut message: PollerMessage,
    mut wait: impl FnMut() -> Result<(), E>,
) -> Result<bool, E> {
    loop {
        wait()?;
        message = match messages.send_timeout(message, ROOM_WAKE_INTERVAL) {
            Ok(()) => return Ok(true),
            Err(SendTimeoutError::Timeout(message)) => message,
            Err(SendTimeoutError::Disconnected(_)) => return Ok(false),
        };
    }
}

/// Rows that were read beside the poller.
#[derive(Debug)]
pub(super) struct CapturedRows {
    pub(super) blocks: Vec<RowBlock>,
    /// Rows that are gone; sent behind those of the blocks.
    pub(super) tombstones: Vec<Tombstone>,
    /// Gets a message when Kafka has acknowledged all of them. It is dropped without one when they were not
    /// delivered, and are to be read again.
    pub(super) acknowledged: Sender<()>,
}

/// A row that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tombstone {
    /// Its identifier, which is the key of its records.
    pub(super) id: String,
    /// Who deleted it, where that is known.
    pub(super) by: Option<String>,
    /// When it was deleted, where that is known: seconds since 1970 UTC.
    pub(super) at: Option<i64>,
}

/// Which seconds of a table are not final yet (UTC, since 1970).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenBounds {
    /// From here on it is remembered which versions of rows were delivered.
    pub(super) known_from: i64,
    /// The last second that the checkpoint may take in.
    pub(super) closed: i64,
}

impl OpenBounds {
    /// Of rows that were read beside the poller: all of their versions are remembered.
    pub(super) const CAPTURED: OpenBounds = OpenBounds {
        known_from: i64::MIN,
        closed: i64::MAX,
    };
}

impl Default for OpenBounds {
    /// Nothing is open.
    fn default() -> OpenBounds {
        OpenBounds {
            known_from: i64::MAX,
            closed: i64::MAX,
        }
    }
}

/// A position that the checkpoint may move to as soon as all rows before it are acknowledged.
#[derive(Debug)]
pub(super) struct BatchMark {
    /// The last row before the mark; `None` while the table has shown no row.
    pub(super) cursor: Option<Cursor>,
    /// Rows since the mark before.
    pub(super) rows: u64,
    /// The second (UTC, since 1970) up to which the table is read, when nothing was left to read.
    pub(super) caught_up: Option<i64>,
    /// How many of `rows` were produced; the others were left out as the sink's own writes.
    pub(super) produced: u64,
    /// Versions of rows among them that are remembered.
    pub(super) versions: Vec<UnsettledVersion>,
    /// The capture thread has read rows before it, so that it says nothing about how far the table is read.
    pub(super) is_captured: bool,
    /// Told when the rows are acknowledged, where the capture thread waits for that.
    pub(super) acknowledged: Option<Sender<()>>,
}

impl BatchMark {
    pub(super) fn new(cursor: Option<Cursor>, rows: u64, caught_up: Option<i64>) -> BatchMark {
        BatchMark {
            cursor,
            rows,
            caught_up,
            produced: rows,
            versions: Vec::new(),
            is_captured: false,
            acknowledged: None,
        }
    }

    /// The last second of which every row lies before the mark.
    pub(super) fn complete_to(&self) -> Option<i64> {
        let cursor = self.cursor.as_ref();
        let second_before = cursor.map(|cursor| cursor.seconds.saturating_sub(1));
        self.caught_up.or(second_before)
    }
}

/// The sender asks the poller to read again from `cursor`, the last acknowledged row.
#[derive(Debug)]
pub(super) struct RewindRequest {
    /// The number that everything read from now on carries.
    pub(super) generation: u64,
    pub(super) cursor: Option<Cursor>,
    /// Ask for single rows first, so that a record that fails again repeats no others.
    pub(super) single_rows: bool,
}

/// The poller's ends.
pub(super) struct PollerChannels {
    pub(super) messages: Sender<PollerMessage>,
    /// Blocks whose rows are produced: their memory takes the next rows.
    pub(super) spare_blocks: Receiver<RowBlock>,
    pub(super) rewinds: Receiver<RewindRequest>,
    /// Ends the pause before the next poll.
    pub(super) wake_ups: Receiver<()>,
}

/// The sender's ends.
pub(super) struct SenderChannels {
    pub(super) messages: Receiver<PollerMessage>,
    pub(super) spare_blocks: Sender<RowBlock>,
    rewinds: Sender<RewindRequest>,
    /// The other end of `rewinds`: a request that the poller has not taken yet is replaced.
    untaken_rewinds: Receiver<RewindRequest>,
}

impl SenderChannels {
    /// Asks the poller to read again from `cursor`. Takes the place of a request that the poller, in a long
    /// request of its own, has not seen yet.
    pub(super) fn request_rewind(
        &self,
        generation: u64,
        cursor: Option<Cursor>,
        single_rows: bool,
    ) {
        let untaken = self.untaken_rewinds.try_recv().ok();
        let request = RewindRequest {
            generation,
            cursor,
            single_rows: single_rows || untaken.is_some_and(|untaken| untaken.single_rows),
        };
        // There is room: only the sender puts requests into this channel.
        self.rewinds.try_send(request).ok();
    }
}

/// Makes the channels of one table: the poller's ends, the sender's, and the one that wakes the
/// poller.
pub(super) fn connect() -> (PollerChannels, SenderChannels, Sender<()>) {
    let (messages_in, messages) = bounded(BLOCK_QUEUE_CAPACITY);
    let (spare_in, spare_blocks) = bounded(BLOCK_QUEUE_CAPACITY);
    // Only the last request counts.
    let (rewinds_in, rewinds) = bounded(1);
    let (wake, wake_ups) = bounded(1);
    let poller = PollerChannels {
        messages: messages_in,
        spare_blocks,
        rewinds: rewinds.clone(),
        wake_ups,
    };
    let sender = SenderChannels {
        messages,
        spare_blocks: spare_in,
        rewinds: rewinds_in,
        untaken_rewinds: rewinds,
    };
    (poller, sender, wake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_read_again_replaces_one_that_was_not_seen() {
        let (poller, sender, _wake) = connect();
        let cursor = |seconds| Some(Cursor { seconds, id: None });
        sender.request_rewind(1, cursor(5), true);
        sender.request_rewind(2, cursor(3), false);
        let seen = poller.rewinds.try_recv().unwrap();
        assert_eq!((seen.generation, seen.cursor), (2, cursor(3)));
        assert!(
            seen.single_rows,
            "the row that is searched for is still to be found"
        );
        assert!(poller.rewinds.try_recv().is_err());
    }
}
