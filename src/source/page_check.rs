//! Decides whether a page counts: pure, without I/O.
//!
//! A page that does not count moves nothing: it is asked for again. Three things must hold. All but the
//! second are decided here, the first row by row while the page arrives:
//!
//! 1. Each row belongs to the slice that was asked for and comes in order ([`RowOrderCheck`]), and
//!    there are no more of them than the limit. An instance that does not understand a condition
//!    drops it without an error.
//! 2. The body is one complete list without an error in it; `servicenow::page` sees to that.
//! 3. The number of rows in the slice is known ([`PageCheck::finish`]), because a short page is not
//!    the end of a slice: access rules hide rows after the limit was applied. Where nothing counts,
//!    `window` asks until a page is empty.

use std::ops::Range;
use std::sync::Arc;

use super::frontier::ClosedSeconds;
use super::read_ids::ReadIds;
use super::row_order::{RowOrderCheck, RowVerdict};
use super::window::{PageRequest, PageSummary};
use crate::servicenow::page::RowBlock;
use crate::servicenow::query::{Cursor, EncodedQuery};

/// Checks one page while its rows arrive.
pub(super) struct PageCheck {
    order: RowOrderCheck,
    limit: u32,
    /// Whether the request asked the instance to count the slice.
    counted: bool,
    /// Rows that arrived.
    rows: u32,
    /// Those of them that are to be produced.
    kept: u64,
    last: Option<Cursor>,
    /// Which seconds the checkpoint may take in.
    closed: ClosedSeconds,
    /// The last kept row of those.
    last_closed: Option<Cursor>,
    overshot: bool,
    /// Rows with the identifier and the second of the row before.
    repeated: u64,
}

/// A page that counts.
pub(super) struct CheckedPage {
    /// Rows that are to be produced.
    pub(super) kept: u64,
    /// The last of them that the checkpoint may take in.
    pub(super) last_closed: Option<Cursor>,
    /// Rows among them that have the identifier and the second of the row before.
    pub(super) repeated: u64,
    /// What the window needs to know.
    pub(super) summary: PageSummary,
}

impl PageCheck {
    /// `read_before` is what earlier pages have read in the cursor's second.
    pub(super) fn new(
        query: EncodedQuery,
        request: &PageRequest,
        read_before: Arc<ReadIds>,
    ) -> PageCheck {
        PageCheck {
            order: RowOrderCheck::new(query, &request.slice, read_before),
            limit: request.limit,
            counted: request.count,
            rows: 0,
            kept: 0,
            last: None,
            closed: ClosedSeconds::ALL,
            last_closed: None,
            overshot: false,
            repeated: 0,
        }
    }

    /// With these as the seconds that the checkpoint may take in.
    pub(super) fn closed_to(self, closed: ClosedSeconds) -> PageCheck {
        PageCheck { closed, ..self }
    }

    /// Checks the rows of a block, and leaves only those in it that are to be produced.
    ///
    /// # Errors
    /// In words, what the instance answered with that was not asked for.
    pub(super) fn keep_asked_rows(&mut self, block: &mut RowBlock) -> Result<(), String> {
        let (mut wrong, mut last) = (None, None);
        let mut rows = std::mem::take(&mut block.rows);
        rows.retain(|row| {
            if wrong.is_some() {
                return false;
            }
            self.rows += 1;
            let verdict = self.order.check(row.seconds, block.slice(&row.id));
            match verdict {
                Ok(RowVerdict::Keep | RowVerdict::Repeated) => {
                    self.repeated += u64::from(verdict == Ok(RowVerdict::Repeated));
                    last = Some((row.seconds, row.id.clone()));
                    // Without a text it is passed over, but reading goes on behind it.
                    !row.text.is_empty()
                }
                Ok(RowVerdict::AlreadyRead) => false,
                Ok(RowVerdict::BeyondSlice) => {
                    self.overshot = true;
                    false
                }
                Err(what) => {
                    wrong = Some(what);
                    false
                }
            }
        });
        block.rows = rows;
        if let Some(what) = wrong {
            return Err(what);
        }
        let without_place = block.bad.iter().filter(|bad| bad.id.is_none()).count();
        self.rows = self
            .rows
            .saturating_add(u32::try_from(without_place).unwrap_or(u32::MAX));
        if self.rows > self.limit {
            return Err("more rows than were asked for".to_owned());
        }
        let cursor = |seconds: i64, id: &Range<usize>| Cursor {
            seconds,
            id: Some(String::from_utf8_lossy(block.slice(id)).into_owned()),
        };
        if let Some((newest, id)) = last {
            let before = self.last.replace(cursor(newest, &id));
            let closed = self.closed.behind(newest);
            // Rows come in the order of their seconds.
            let count = block.rows.partition_point(|row| row.seconds <= closed);
            let row = count.checked_sub(1).and_then(|at| block.rows.get(at));
            let row = row.map(|row| cursor(row.seconds, &row.id));
            let before = before.filter(|before| before.seconds <= closed);
            self.last_closed = row.or(before).or_else(|| self.last_closed.take());
        }
        self.kept += block.rows.len() as u64;
        Ok(())
    }

    /// Judges the page as a whole. `total` is the number of rows in its slice, if the instance gave
    /// one. `None`: that number was asked for, is needed and is missing, so the page is not used, unless
    /// numbers are optional (`may_lack_total`) as nothing gives them.
    ///
    /// The number tells whether more rows follow this page. Two pages tell that by themselves: a full
    /// one, behind which the next is asked for anyway, and one with a row from behind the end of the
    /// slice, so that no row of the slice can follow.
    pub(super) fn finish(self, total: Option<u64>, may_lack_total: bool) -> Option<CheckedPage> {
        let needs_no_count = self.overshot || self.rows >= self.limit;
        if self.counted && total.is_none() && !needs_no_count && !may_lack_total {
            return None;
        }
        Some(CheckedPage {
            kept: self.kept,
            last_closed: self.last_closed,
            repeated: self.repeated,
            summary: PageSummary {
                rows: self.rows,
                last: self.last,
                total,
                overshot: self.overshot,
                read: self.order.into_read_ids(),
            },
        })
    }
}

#[cfg(test)]
mod tests;
