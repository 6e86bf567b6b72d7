//! The capture thread's way to the sender: reads rows by their identifiers and hands them over, unless another
//! version of theirs was handed over meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::gate::CaptureRead;
use super::shared::CaptureShared;
use super::version::{id_number, row_version};
use crate::health::Heartbeat;
use crate::servicenow::page::{PageRow, RowBlock};
use crate::source::channels::{CapturedRows, PollerMessage, Tombstone, hand_to_sender};
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

/// Which versions of rows are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// Those that are not known to have been delivered.
    Unknown,
    /// All of them, again where they were delivered before.
    All,
}

/// What rows that may differ are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicLook {
    /// What is known of the topic.
    AsKnown,
    /// What the topic holds now.
    Anew,
}

/// What became of rows that were to be delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Rows that Kafka has acknowledged.
    pub(super) rows: u64,
    /// Seconds (since 1970 UTC) of the oldest of them.
    pub(super) oldest: Option<i64>,
    /// Identifiers of rows that were not delivered, as another version of theirs was handed over meanwhile.
    pub(super) outdated: Vec<String>,
    /// Identifiers that were asked for and of which there is no row, or none that may be read.
    pub(super) unreadable: Vec<String>,
    /// The sender has gone back, or too much was handed over meanwhile to be remembered: `outdated` are rows
    /// of which nothing was delivered perhaps.
    pub(super) is_lost: bool,
}

impl Delivered {
    /// Whether all rows that were asked for are settled. Otherwise some have to be read again.
    pub(super) fn is_whole(&self) -> bool {
        self.outdated.is_empty()
    }
}

/// The rows of an answer.
#[derive(Default)]
pub(super) struct CollectedBlocks(Vec<RowBlock>);

impl CollectedBlocks {
    /// The identifiers of its rows, in their order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &[u8]> {
        self.rows().map(|(block, row)| block.slice(&row.id))
    }

    /// Its rows, each with its block.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&RowBlock, &PageRow)> {
        let rows = self.0.iter().map(|block| (block, block.rows.iter()));
        rows.flat_map(|(block, rows)| rows.map(move |row| (block, row)))
    }

    /// Leaves only rows with these identifiers.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&[u8]) -> bool) {
        for block in &mut self.0 {
            let mut rows = std::mem::take(&mut block.rows);
            rows.retain(|row| is_kept(block.slice(&row.id)));
            block.rows = rows;
        }
    }
}

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
        versions: Versions,
        heartbeat: &Heartbeat,
    ) -> Result<Delivered, PollError> {
        let (mut delivered, unreadable) = self.deliver(versions, heartbeat, |fetch, rows| {
            fetch.fetch_by_id(ids, rows)?;
            let found: HashSet<&[u8]> = rows.ids().collect();
            let is_missing = |id: &&String| !found.contains(id.as_bytes());
            Ok(ids.iter().filter(is_missing).cloned().collect())
        })?;
        delivered.unreadable = unreadable;
        Ok(delivered)
    }

    /// Delivers the rows that `fetch` reads, as they are now. Waits for the acknowledgement.
    ///
    /// # Errors
    /// They could not be read.
    pub(super) fn deliver<T>(
        &mut self,
        versions: Versions,
        heartbeat: &Heartbeat,
        fetch: impl FnOnce(&mut PageFetch, &mut CollectedBlocks) -> Result<T, PollError>,
    ) -> Result<(Delivered, T), PollError> {
        let shared = Arc::clone(&self.shared);
        let read = shared.gate.begin_capture();
        let mut collected = CollectedBlocks::default();
        let fetched = fetch(&mut self.fetch, &mut collected)?;
        let delivered = self.hand_over(read, collected, versions, heartbeat)?;
        Ok((delivered, fetched))
    }

    /// Delivers those of the rows that `fetch` reads which differ from what the topic holds, as `choose` says. It is
    /// asked twice: by what is known of the topic, and about the rows that it has left again when Kafka has all
    /// that was handed over before they were read. Then it has to look at the topic first.
    ///
    /// # Errors
    /// They could not be read, or not compared.
    pub(super) fn deliver_differing<T>(
        &mut self,
        heartbeat: &Heartbeat,
        fetch: impl FnOnce(&mut PageFetch, &mut CollectedBlocks) -> Result<T, PollError>,
        mut choose: impl FnMut(&mut CollectedBlocks, TopicLook) -> Result<(), PollError>,
    ) -> Result<(Delivered, T), PollError> {
        let shared = Arc::clone(&self.shared);
        let read = shared.gate.begin_capture();
        let mut collected = CollectedBlocks::default();
        let fetched = fetch(&mut self.fetch, &mut collected)?;
        choose(&mut collected, TopicLook::AsKnown)?;
        if collected.ids().next().is_none() {
            return Ok((Delivered::default(), fetched));
        }
        if !self.stream_has_passed(heartbeat)? {
            let delivered = Delivered {
                is_lost: true,
                ..Delivered::default()
            };
            return Ok((delivered, fetched));
        }
        choose(&mut collected, TopicLook::Anew)?;
        let delivered = self.hand_over(read, collected, Versions::All, heartbeat)?;
        Ok((delivered, fetched))
    }

    /// Waits until Kafka has acknowledged all that was handed over before. False: the sender reads again from its
    /// position.
    fn stream_has_passed(&self, heartbeat: &Heartbeat) -> Result<bool, PollError> {
        let (acknowledged, acknowledgement) = bounded(1);
        let nothing = CapturedRows {
            blocks: Vec::new(),
            tombstones: Vec::new(),
            acknowledged,
        };
        self.send(PollerMessage::Captured(nothing), heartbeat)?;
        self.is_acknowledged(&acknowledgement, heartbeat)
    }

    /// Hands over what was read, but for rows of which another version was handed over since `read` began. Waits
    /// for the acknowledgement.
    fn hand_over(
        &self,
        read: CaptureRead<'_>,
        mut collected: CollectedBlocks,
        versions: Versions,
        heartbeat: &Heartbeat,
    ) -> Result<Delivered, PollError> {
        let shared = &self.shared;
        let all: Vec<String> = collected.ids().map(text_of).collect();
        let turn = read.turn(&self.stop, || heartbeat.beat(HEARTBEAT_SLACK));
        let turn = turn.ok_or(PollError::Stopped)?;
        let mut delivered = Delivered::default();
        let mut sent = Vec::new();
        for block in &mut collected.0 {
            let mut rows = std::mem::take(&mut block.rows);
            rows.retain(|row| {
                let id = block.slice(&row.id);
                let is_outdated = read.is_outdated(id_number(id));
                if is_outdated {
                    delivered.outdated.push(text_of(id));
                }
                !is_outdated
            });
            let span = shared.span.lock();
            rows.retain(|row| {
                let version = row_version(block, row);
                let is_wanted = versions == Versions::All || !span.contains(&version);
                if is_wanted {
                    sent.push(version);
                }
                is_wanted
            });
            block.rows = rows;
        }
        delivered.is_lost = read.has_lost_track();
        delivered.rows = sent.len() as u64;
        delivered.oldest = sent.iter().map(|version| version.seconds).min();
        if sent.is_empty() {
            return Ok(delivered);
        }
        shared.span.lock().hand_over(sent);
        let (acknowledged, acknowledgement) = bounded(1);
        let captured = CapturedRows {
            blocks: collected.0,
            tombstones: Vec::new(),
            acknowledged,
        };
        self.send(PollerMessage::Captured(captured), heartbeat)?;
        drop(turn);
        drop(read);
        if !self.is_acknowledged(&acknowledgement, heartbeat)? {
            // The sender reads again from its position, and so does this. What counts as handed over until the
            // poller goes back would be left out.
            shared.span.lock().forget_unacknowledged();
            delivered = Delivered {
                outdated: all,
                is_lost: true,
                ..Delivered::default()
            };
        }
        Ok(delivered)
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
        let turn = read.turn(&self.stop, || heartbeat.beat(HEARTBEAT_SLACK));
        let turn = turn.ok_or(PollError::Stopped)?;
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

    fn send(&self, message: PollerMessage, heartbeat: &Heartbeat) -> Result<(), PollError> {
        let sent = hand_to_sender(&self.messages, message, || {
            heartbeat.beat(HEARTBEAT_SLACK);
            if self.stop.is_stopped() {
                return Err(PollError::Stopped);
            }
            Ok(())
        })?;
        sent.then_some(()).ok_or(PollError::Stopped)
    }
}

fn text_of(id: &[u8]) -> String {
    String::from_utf8_lossy(id).into_owned()
}
