//! Compares a table with what its topic holds: rows that the topic has and the table does not show are asked
//! for one by one, and those that are gone are followed by tombstones.
//!
//! The comparison goes step by step: the index takes in the topic to its end; each slice of identifiers is
//! listed; what was not seen is asked for; at last all that is gone is counted against the guard, and sent.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::common::SearchContext;
use super::guard::guard_limit;
use super::hold::Doubt;
use super::id_query::{IDS_OF_A_QUESTION, SYS_ID, of_slice};
use super::listing::{Listing, ask_for_unseen};
use super::state::{DeleteFinder, HeldDeletes};
use crate::config::TableConfig;
use crate::delivered::{DeleteCandidate, DeliveredIndex, FollowError, IndexError};
use crate::servicenow::query::hex_id;
use crate::source::capture::delivered_topic::DeliveredTopic;
use crate::source::capture::delivery::Versions;
use crate::source::capture::task::StepContext;
use crate::source::channels::Tombstone;
use crate::source::poll_error::PollError;

/// Rows of a slice, which is what one answer lists: about 0.5 MB.
const ROWS_OF_A_SLICE: u64 = 10_000;
/// Candidates that are settled at once.
const CANDIDATES_OF_A_WRITE: usize = 10_000;
/// Pause between two looks whether the first load is over.
const LOAD_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The comparison of one table.
pub(super) struct TableComparison {
    table: TableConfig,
    phase: Phase,
    next: Option<Instant>,
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
    pub(super) fn new(table: &TableConfig) -> TableComparison {
        TableComparison {
            table: table.clone(),
            phase: Phase::Idle,
            next: None,
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
    pub(super) fn reject(delivered: &mut DeliveredTopic) -> Result<(), FollowError> {
        let kept = settle_vanished(delivered.index()?, Some(DeleteCandidate::Kept));
        delivered.close();
        Ok(kept?)
    }

    /// Does the next step.
    pub(super) fn step(
        &mut self,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        let done = self.try_step(common, context);
        if let Err(error) = &done
            && context.delivered.discard_damaged(error)
        {
            self.phase = Phase::Idle;
            self.next = None;
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
                self.follow(context.delivered)?;
            }
            Phase::List(mut listing) => {
                let done = self.list(&mut listing, common, context);
                let is_over = done.is_ok() && listing.is_over();
                if is_over {
                    return self.judge(&listing, common, context.delivered);
                }
                self.phase = Phase::List(listing);
                done?;
            }
            Phase::Send => {
                self.phase = Phase::Send;
                if self.send(common, context)? {
                    self.end(common, context.delivered);
                }
            }
        }
        Ok(())
    }

    /// Takes in some of the topic; at its end the listing begins.
    fn follow(&mut self, delivered: &mut DeliveredTopic) -> Result<(), PollError> {
        if !delivered.follow()? {
            return Ok(());
        }
        let index = delivered.index()?;
        settle_vanished(index, None)?;
        self.phase = Phase::List(Box::new(Listing {
            slices: index.slices(ROWS_OF_A_SLICE)?.into(),
            ..Listing::default()
        }));
        Ok(())
    }

    /// Asks for rows that were not seen, where there are some, or lists the next page of a slice.
    fn list(
        &self,
        listing: &mut Listing,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        let index = context.delivered.index()?;
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
    fn judge(
        &mut self,
        listing: &Listing,
        common: &mut SearchContext,
        delivered: &mut DeliveredTopic,
    ) -> Result<(), PollError> {
        let counts = listing.counts;
        let rows = delivered.index()?.rows()?;
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
            self.end(common, delivered);
            let why = "the comparison for deleted rows found no row at all, so it deletes none; look at the \
                 table, its query and the rights of the integration user";
            common.hold.show_doubt(Doubt::Result, Some(why));
            return Ok(());
        }
        if counts.unknown > 0 {
            self.end(common, delivered);
            let why = PollError::NothingCounts.to_string();
            common.hold.show_doubt(Doubt::Result, Some(&why));
            return Ok(());
        }
        let limit = guard_limit(self.table.deletes.guard, Some(rows));
        if counts.vanished > limit {
            self.end(common, delivered);
            common.hold.hold(HeldDeletes {
                found_by: DeleteFinder::Comparison,
                rows: counts.vanished,
                limit,
                to: 0,
                named: BTreeSet::new(),
            });
            return Ok(());
        }
        self.phase = Phase::Send;
        Ok(())
    }

    /// Sends some of the tombstones; true when all are sent. Each row is asked for once more.
    fn send(
        &self,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<bool, PollError> {
        let index = context.delivered.index()?;
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

    fn end(&mut self, common: &mut SearchContext, delivered: &mut DeliveredTopic) {
        self.phase = Phase::Idle;
        delivered.close();
        self.next = Some(Instant::now() + self.table.deletes.compare_interval);
        common.hold.compared();
    }
}

/// Notes this of every row that is to be followed by a tombstone.
fn settle_vanished(
    index: &DeliveredIndex,
    candidate: Option<DeleteCandidate>,
) -> Result<(), IndexError> {
    loop {
        let ids = index.vanished(CANDIDATES_OF_A_WRITE)?;
        if ids.is_empty() {
            return Ok(());
        }
        let settled: Vec<_> = ids.into_iter().map(|id| (id, candidate)).collect();
        index.set_candidates(&settled)?;
    }
}
