//! Compares a table with what its topic holds: rows that the topic has and the table does not show are asked
//! for one by one, and those that are gone are followed by tombstones.
//!
//! The comparison goes step by step: the index takes in the topic to its end; each slice of identifiers is
//! listed; what was not seen is asked for; at last all that is gone is counted against the guard, and sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::common::SearchContext;
use super::guard::guard_limit;
use super::hold::Doubt;
use super::id_query::{IDS_OF_A_QUESTION, SYS_ID, of_slice};
use super::listing::{Listing, ask_for_unseen};
use super::state::{DeleteFinder, HeldDeletes};
use crate::config::{KafkaConfig, TableConfig};
use crate::delivered::{
    DeleteCandidate, DeliveredIndex, FollowError, FollowProgress, IndexError, IndexOrigin,
    TopicFollower, path_beside,
};
use crate::kafka::TopicReader;
use crate::servicenow::query::hex_id;
use crate::source::capture::delivery::Versions;
use crate::source::capture::task::StepContext;
use crate::source::channels::Tombstone;
use crate::source::context::SourceContext;
use crate::source::poll_error::PollError;
use crate::stop::Stop;

/// Name under which the topic is read; Kafka's access rules may ask for it.
const DELETES_READER_GROUP: &str = "servicenow-kafka-bridge-deletes";
/// How long one step reads the topic.
const FOLLOW_STEP: Duration = Duration::from_secs(2);
/// Rows of a slice, which is what one answer lists: about 0.5 MB.
const ROWS_OF_A_SLICE: u64 = 10_000;
/// Candidates that are settled at once.
const CANDIDATES_OF_A_WRITE: usize = 10_000;
/// Pause between two looks whether the first load is over.
const LOAD_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The comparison of one table.
pub(super) struct TableComparison {
    table: TableConfig,
    kafka: Arc<KafkaConfig>,
    path: PathBuf,
    /// What the index is of.
    identity: String,
    follower: TopicFollower,
    /// Open while a comparison runs.
    open: Option<OpenIndex>,
    phase: Phase,
    next: Option<Instant>,
    stop: Stop,
}

/// The index and the reader that fills it.
struct OpenIndex {
    index: DeliveredIndex,
    reader: TopicReader,
    /// It was empty when this comparison began.
    is_new: bool,
}

/// Where a comparison is.
enum Phase {
    /// None runs.
    Idle,
    /// The index takes in the topic.
    Follow,
    /// Slices are listed.
    List(Box<Listing>),
    /// What is gone is sent.
    Send,
}

impl TableComparison {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        checkpoint: &Path,
        fingerprint: &str,
        stop: &Stop,
    ) -> TableComparison {
        TableComparison {
            kafka: Arc::clone(&context.kafka),
            path: path_beside(checkpoint, &table.name),
            identity: format!("{fingerprint} {}", table.topic),
            follower: TopicFollower::new(table),
            table: table.clone(),
            open: None,
            phase: Phase::Idle,
            next: None,
            stop: stop.clone(),
        }
    }

    /// When the next step is due.
    pub(super) fn due(&self, common: &SearchContext, now: Instant) -> Option<Instant> {
        if !matches!(self.phase, Phase::Idle) || common.hold.state.is_accepted {
            return Some(now);
        }
        Some(self.next.unwrap_or_else(|| {
            let interval = self.table.deletes.compare_interval;
            let since = common.hold.state.compared.map_or(interval, |compared| {
                let passed = jiff::Timestamp::now().as_second().saturating_sub(compared);
                Duration::from_secs(u64::try_from(passed).unwrap_or(0))
            });
            now + interval.saturating_sub(since)
        }))
    }

    /// The rows that are gone stay in the topic, and are not asked for again: an operator has decided so.
    ///
    /// # Errors
    /// The index cannot be written.
    pub(super) fn reject(&mut self) -> Result<(), FollowError> {
        let kept = self
            .open()
            .and_then(|open| Ok(open.settle_vanished(Some(DeleteCandidate::Kept))?));
        self.open = None;
        kept
    }

    /// Does the next step.
    pub(super) fn step(
        &mut self,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        let done = self.try_step(common, context);
        if let Err(PollError::Delivered(FollowError::Index(fault))) = &done
            && fault.is_damaged()
        {
            self.discard_index();
        }
        let words = "the comparison for deleted rows does not get on";
        common.hold.show_outcome(Doubt::Progress, words, &done);
        done
    }

    fn try_step(
        &mut self,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle if common.hold.state.is_accepted => self.phase = Phase::Send,
            Phase::Idle => {
                if !common.shared.is_caught_up() {
                    self.next = Some(Instant::now() + LOAD_LOOK_INTERVAL);
                    return Ok(());
                }
                self.phase = Phase::Follow;
            }
            Phase::Follow => {
                self.phase = Phase::Follow;
                self.follow()?;
            }
            Phase::List(mut listing) => {
                let done = self.list(&mut listing, common, context);
                let is_over = done.is_ok() && listing.is_over();
                if is_over {
                    return self.judge(&listing, common);
                }
                self.phase = Phase::List(listing);
                done?;
            }
            Phase::Send => {
                self.phase = Phase::Send;
                if self.send(common, context)? {
                    self.end(common);
                }
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<&mut OpenIndex, FollowError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let (index, origin) = DeliveredIndex::open(&self.path, &self.identity)?;
                if let IndexOrigin::Replaced(why) = &origin {
                    log::warn!(table = self.table.name, index:% = self.path.display(), why;
                        "the index of delivered rows is made anew from the topic");
                }
                OpenIndex {
                    index,
                    reader: TopicReader::new(&self.kafka, DELETES_READER_GROUP)?,
                    is_new: origin != IndexOrigin::Found,
                }
            }
        };
        Ok(self.open.insert(open))
    }

    /// The index is of no use: the next step makes it anew from the topic.
    fn discard_index(&mut self) {
        self.open = None;
        self.phase = Phase::Idle;
        self.next = None;
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::error!(table = self.table.name, index:% = self.path.display(), error:% = error;
                "the damaged index of delivered rows cannot be removed");
        }
    }

    /// Takes in some of the topic; at its end the listing begins.
    fn follow(&mut self) -> Result<(), PollError> {
        let (stop, table) = (self.stop.clone(), self.table.name.clone());
        self.open()?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        match self
            .follower
            .read_on(&open.reader, &open.index, FOLLOW_STEP, &stop)?
        {
            FollowProgress::Behind(_) => return Ok(()),
            FollowProgress::BeginsAnew => {
                log::warn!(table, topic = self.table.topic;
                    "the topic was made anew; so is the index of delivered rows");
                open.is_new = true;
                return Ok(());
            }
            FollowProgress::AtEnd if stop.is_stopped() => return Err(PollError::Stopped),
            FollowProgress::AtEnd => {}
        }
        if open.is_new {
            open.index.compact()?;
            open.is_new = false;
        }
        open.settle_vanished(None)?;
        self.phase = Phase::List(Box::new(Listing {
            slices: open.index.slices(ROWS_OF_A_SLICE)?.into(),
            ..Listing::default()
        }));
        Ok(())
    }

    /// Asks for rows that were not seen, where there are some, or lists the next page of a slice.
    fn list(
        &mut self,
        listing: &mut Listing,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        self.open()?;
        let Some(OpenIndex { index, .. }) = &self.open else {
            return Ok(());
        };
        if !listing.back.is_empty() {
            let count = listing.back.len().min(IDS_OF_A_QUESTION);
            let ids: Vec<String> = listing.back.iter().take(count).cloned().collect();
            if context
                .delivery
                .deliver_by_id(&ids, Versions::Unknown, context.heartbeat)?
                .is_whole()
            {
                listing.back.drain(..count);
            }
            return Ok(());
        }
        if !listing.unseen.is_empty() {
            return ask_for_unseen(listing, index, common);
        }
        let Some(slice) = listing.slices.front().copied() else {
            return Ok(());
        };
        let query = of_slice(
            self.table.query.as_deref(),
            &slice,
            listing.after.as_deref(),
        );
        let limit = usize::try_from(ROWS_OF_A_SLICE).unwrap_or(usize::MAX);
        let found = common.asker.rows(&self.table.name, query, SYS_ID, limit)?;
        let ids: Vec<&str> = found
            .rows
            .iter()
            .filter_map(|row| row.text(SYS_ID))
            .collect();
        listing.counts.shown += ids.len() as u64;
        listing.back = index.deleted_among(ids.iter().copied())?;
        for id in &ids {
            match hex_id(id.as_bytes()) {
                Some(number) => drop(listing.listed.insert(number)),
                None => drop(listing.named.insert((*id).to_owned())),
            }
        }
        let is_end = found.total.is_some_and(|total| total <= ROWS_OF_A_SLICE);
        match ids.last() {
            // A page that repeats itself would never end.
            Some(last) if !is_end && listing.after.as_deref() != Some(*last) => {
                listing.after = Some((*last).to_owned());
            }
            _ => listing.end_slice(&slice, index)?,
        }
        Ok(())
    }

    /// Everything is listed: what is gone is counted against the guard.
    fn judge(&mut self, listing: &Listing, common: &mut SearchContext) -> Result<(), PollError> {
        let counts = listing.counts;
        let rows = self.open()?.index.rows()?;
        common.hold.show_doubt(Doubt::Result, None);
        log::info!(table = self.table.name, delivered = rows, shown = counts.shown,
            vanished = counts.vanished, left = counts.left, hidden = counts.hidden;
            "the table was compared with what was delivered");
        let fates = [
            ("left", counts.left),
            ("hidden", counts.hidden),
            ("unknown", counts.unknown),
        ];
        for (fate, rows) in fates {
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            common
                .metrics
                .source_missing_rows
                .with(&[&self.table.name, fate])
                .set(rows as f64);
        }
        if counts.shown == 0 && counts.vanished > 0 {
            self.end(common);
            let why = "the comparison for deleted rows found no row at all, so it deletes none; look at the \
                 table, its query and the rights of the integration user";
            common.hold.show_doubt(Doubt::Result, Some(why));
            return Ok(());
        }
        if counts.unknown > 0 {
            self.end(common);
            let why = PollError::NothingCounts.to_string();
            common.hold.show_doubt(Doubt::Result, Some(&why));
            return Ok(());
        }
        let limit = guard_limit(self.table.deletes.guard, Some(rows));
        if counts.vanished > limit {
            self.end(common);
            common.hold.hold(HeldDeletes {
                found_by: DeleteFinder::Comparison,
                rows: counts.vanished,
                limit,
                to: 0,
            });
            return Ok(());
        }
        self.phase = Phase::Send;
        Ok(())
    }

    /// Sends some of the tombstones; true when all are sent. Each row is asked for once more.
    fn send(
        &mut self,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<bool, PollError> {
        self.open()?;
        let Some(OpenIndex { index, .. }) = &self.open else {
            return Ok(true);
        };
        let ids = index.vanished(IDS_OF_A_QUESTION)?;
        if ids.is_empty() {
            return Ok(true);
        }
        let mut sent = 0;
        let delivered = context.delivery.deliver_tombstones(context.heartbeat, || {
            let fates = common.fates(&ids)?;
            let gone = fates
                .into_iter()
                .filter(|(_, fate)| common.is_to_be_deleted(*fate));
            let tombstones: Vec<Tombstone> = gone
                .map(|(id, _)| Tombstone {
                    id,
                    by: None,
                    at: None,
                })
                .collect();
            sent = tombstones.len() as u64;
            Ok(tombstones)
        })?;
        if delivered {
            let settled: Vec<_> = ids.into_iter().map(|id| (id, None)).collect();
            index.set_candidates(&settled)?;
            let labels = [self.table.name.as_str(), DeleteFinder::Comparison.word()];
            common.metrics.source_deletes.with(&labels).add(sent);
            log::debug!(table = self.table.name, sent; "tombstones were sent");
        }
        Ok(false)
    }

    fn end(&mut self, common: &mut SearchContext) {
        self.phase = Phase::Idle;
        self.open = None;
        self.next = Some(Instant::now() + self.table.deletes.compare_interval);
        common.hold.compared();
    }
}

impl OpenIndex {
    /// Notes this of every row that is to be followed by a tombstone.
    fn settle_vanished(&self, candidate: Option<DeleteCandidate>) -> Result<(), IndexError> {
        loop {
            let ids = self.index.vanished(CANDIDATES_OF_A_WRITE)?;
            if ids.is_empty() {
                return Ok(());
            }
            let settled: Vec<_> = ids.into_iter().map(|id| (id, candidate)).collect();
            self.index.set_candidates(&settled)?;
        }
    }
}
