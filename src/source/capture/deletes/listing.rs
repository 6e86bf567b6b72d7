//! The listing of a table slice by slice, and what was not seen in it.

use std::collections::{HashSet, VecDeque};

use super::common::SearchContext;
use super::fate::RowFate;
use super::id_query::IDS_OF_A_QUESTION;
use crate::delivered::{DeleteCandidate, DeliveredIndex, IndexError, IndexSlice};
use crate::source::poll_error::PollError;

/// The listing of slices.
#[derive(Default)]
pub(super) struct Listing {
    /// The slices that are yet to be listed; the first one is being listed.
    pub(super) slices: VecDeque<IndexSlice>,
    /// The last row of it that was listed.
    pub(super) after: Option<String>,
    /// Rows of it that were listed.
    pub(super) listed: HashSet<u128>,
    /// Rows of all slices whose identifiers are no numbers.
    pub(super) named: HashSet<String>,
    /// Rows that are to be asked for.
    pub(super) unseen: Vec<String>,
    /// Rows that were deleted by their records and are there.
    pub(super) back: Vec<String>,
    pub(super) counts: ComparisonCounts,
}

/// What a comparison has seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ComparisonCounts {
    pub(super) shown: u64,
    pub(super) vanished: u64,
    pub(super) left: u64,
    pub(super) hidden: u64,
    pub(super) unknown: u64,
}

impl Listing {
    pub(super) fn is_over(&self) -> bool {
        self.slices.is_empty() && self.unseen.is_empty() && self.back.is_empty()
    }

    /// A slice is listed: what the index has of it and was not seen is to be asked for.
    pub(super) fn end_slice(
        &mut self,
        slice: &IndexSlice,
        index: &DeliveredIndex,
    ) -> Result<(), IndexError> {
        let rows = index.rows_of(slice)?.into_iter();
        let unseen = rows.filter(|(id, _)| !self.listed.contains(id));
        self.unseen = unseen.map(|(id, _)| format!("{id:032x}")).collect();
        self.listed = HashSet::new();
        self.after = None;
        self.slices.pop_front();
        if self.slices.is_empty() {
            let named = index.named_rows()?.into_iter();
            self.unseen
                .extend(named.filter(|id| !self.named.contains(id)));
        }
        self.unseen = index.without_kept(&self.unseen)?;
        Ok(())
    }
}

/// Asks what became of some rows that were not seen.
pub(super) fn ask_for_unseen(
    listing: &mut Listing,
    index: &DeliveredIndex,
    common: &mut SearchContext,
) -> Result<(), PollError> {
    let count = listing.unseen.len().min(IDS_OF_A_QUESTION);
    let ids: Vec<String> = listing.unseen.iter().take(count).cloned().collect();
    let mut vanished = Vec::new();
    for (id, fate) in common.fates(&ids)? {
        let counts = &mut listing.counts;
        match fate {
            RowFate::Present => counts.shown += 1,
            RowFate::Hidden => counts.hidden += 1,
            RowFate::Unknown => counts.unknown += 1,
            RowFate::Left | RowFate::ClassChanged => counts.left += 1,
            RowFate::Deleted => {}
        }
        if common.is_to_be_deleted(fate) {
            counts.vanished += 1;
            vanished.push((id, Some(DeleteCandidate::Vanished)));
        }
    }
    index.set_candidates(&vanished)?;
    listing.unseen.drain(..count);
    Ok(())
}
