//! Decides which part of a table to ask for next: pure, without I/O.
//!
//! A table is read in the order (timestamp, identifier). The cursor is the last row that was read; a
//! request asks for the rows between the cursor and an upper bound, at most `limit` of them.
//!
//! The Table API applies the limit before access rules, so rows that the integration user may not see
//! make a page short or even empty, and a short page is not the end. A slice is finished only when the
//! instance's own count of its rows is at most the limit: then no row, visible or not, was cut off.
//! Otherwise the cursor moves to the last visible row. When a page shows none, the slice is halved in
//! time and then by identifier, until the count fits.
//!
//! Where nothing counts, a slice is finished when the page behind its last row is empty, and larger ones
//! are too (`end_look`). More hidden rows in one run than the largest of them has room for look like the
//! end; the cursor stays before them.

mod end_look;

use std::sync::Arc;
use std::time::Instant;

use self::end_look::EndLook;
use super::read_ids::ReadIds;
use crate::servicenow::query::{Cursor, Slice, hex_id};

/// The earliest second that a row can have, where a table is read from its beginning: the year 1900.
const EARLIEST_SECOND: i64 = -2_208_988_800;
/// The largest page, in rows. A page grows beyond the configured size only to get past hidden rows that
/// no query can separate.
const MAX_ENLARGED_PAGE_ROWS: u32 = 100_000;

/// Good pages before a larger one is tried, at first.
const MIN_GOOD_PAGES_BEFORE_GROWTH: u32 = 4;
/// Good pages before a larger one is tried, after that size has failed again and again.
const MAX_GOOD_PAGES_BEFORE_GROWTH: u32 = 1024;

/// The request to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The part of the table.
    pub slice: Slice,
    /// Most rows of the page.
    pub limit: u32,
    /// Whether the instance has to count the rows of the slice.
    pub count: bool,
}

/// The result of a page that counts.
#[derive(Debug, Clone, Default)]
pub struct PageSummary {
    /// Rows on the page, including those that were passed over.
    pub rows: u32,
    /// The last row on the page that belongs to the slice and is new.
    pub last: Option<Cursor>,
    /// Rows of the slice by the instance's count, including hidden ones; `None`: it was not counted.
    pub total: Option<u64>,
    /// Whether the page went past the end of the slice, which is then finished.
    pub overshot: bool,
    /// The kept rows of its last second.
    pub read: ReadIds,
}

/// What to do after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowStep {
    /// Ask again at once.
    More,
    /// All rows up to the upper bound are read.
    CaughtUp,
    /// Nothing: more hidden rows than the largest page can hold stand in one second, and their
    /// identifiers cannot be halved.
    Stuck,
}

/// A short page in the middle of a slice, on which hidden rows stood. The next count of the same slice
/// tells how many.
#[derive(Debug, Clone)]
struct ShortPage {
    to: i64,
    id_to: Option<String>,
    /// Rows that are left in the slice if no hidden row was passed, by the count before.
    left: u64,
    /// Hidden rows that the page had room for.
    at_most: u64,
}

/// The reading position of one table.
#[derive(Debug, Clone)]
pub struct Window {
    cursor: Option<Cursor>,
    /// What was read of the cursor's second.
    read: Arc<ReadIds>,
    /// Rows per page as configured.
    batch: u32,
    /// Rows per page now.
    limit: u32,
    good_pages: u32,
    /// Good pages before a larger one is tried.
    pages_before_growth: u32,
    /// Whether the page has grown since it last shrank.
    grown: bool,
    /// Seconds per slice while hidden rows keep slices narrow.
    span: Option<i64>,
    /// Last second of the narrow slice in which the cursor is.
    until: Option<i64>,
    /// Largest identifier of the slice, while hidden rows make it narrower than a second.
    id_to: Option<String>,
    /// Set when the last page was short.
    short: Option<ShortPage>,
    /// Whether the next request asks for a count.
    count: bool,
    remaining: Option<u64>,
    hidden: u64,
    end_look: EndLook,
}

impl Window {
    /// Starts behind `cursor`, or with the oldest row.
    pub fn new(cursor: Option<Cursor>, batch: u32) -> Window {
        Window {
            cursor,
            read: Arc::default(),
            batch,
            limit: batch,
            good_pages: 0,
            pages_before_growth: MIN_GOOD_PAGES_BEFORE_GROWTH,
            grown: false,
            span: None,
            until: None,
            id_to: None,
            short: None,
            count: true,
            remaining: None,
            hidden: 0,
            end_look: EndLook::default(),
        }
    }

    /// The last row that was read; `None`: reading begins with the oldest row.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// What was read of the cursor's second since the last [`Window::rewind`].
    pub fn read_ids(&self) -> Arc<ReadIds> {
        Arc::clone(&self.read)
    }

    /// Rows that are still to come, by the last count.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Rows that were counted but not shown, since [`Window::begin_round`].
    pub fn hidden(&self) -> u64 {
        self.hidden
    }

    /// The largest page that was empty behind the last row, in rows, as long as nothing counts: so many
    /// hidden rows in a run look like the end.
    pub fn uncounted_end(&self) -> Option<u32> {
        self.end_look.reach()
    }

    /// Where reading goes on, in words.
    pub fn position_text(&self) -> String {
        let cursor = self.cursor();
        cursor.map_or_else(|| "the beginning".to_owned(), Cursor::to_string)
    }

    /// Rows per page now.
    pub fn page_size(&self) -> u32 {
        self.limit
    }

    /// The next request on the way to second `hi`, which is the last one to read; `None`: the cursor is
    /// beyond it.
    pub fn next_request(&self, hi: i64) -> Option<PageRequest> {
        if self
            .cursor
            .as_ref()
            .is_some_and(|cursor| cursor.seconds > hi)
        {
            return None;
        }
        let slice = Slice {
            after: self.cursor.clone(),
            to: self.end(hi),
            id_to: self.id_to.clone(),
        };
        Some(PageRequest {
            slice,
            limit: self.limit,
            count: self.count,
        })
    }

    /// Last second of the slice to ask for.
    fn end(&self, hi: i64) -> i64 {
        if self.id_to.is_some() {
            return self.start();
        }
        self.until.map_or(hi, |until| hi.min(until))
    }

    fn start(&self) -> i64 {
        self.cursor
            .as_ref()
            .map_or(EARLIEST_SECOND, |cursor| cursor.seconds)
    }

    /// Takes in the page that answered `request`, which was made for the same `hi`, and moves the cursor.
    /// To be called with pages that count only.
    pub fn apply_page(&mut self, request: &PageRequest, hi: i64, page: PageSummary) -> WindowStep {
        // A count that was not asked for is not believed.
        let total = if request.count { page.total } else { None };
        if let Some(total) = total {
            self.count_passed(request, total);
            self.remaining = Some(total);
            self.end_look.counted();
        }
        let moved = page.last.is_some();
        if moved {
            self.cursor = page.last;
            Arc::make_mut(&mut self.read).extend(&page.read);
            self.remaining = self
                .remaining
                .map(|left| left.saturating_sub(page.rows.into()));
            if self.end_look.moved() {
                self.limit = self.limit.min(self.batch);
            }
        }
        let full = page.rows >= request.limit;
        // Where the cursor would jump to the end of the slice, a full page is never taken for its end: the
        // count may be younger than the rows, and rows that left the table meanwhile make it too small.
        let jumps = request.slice.id_to.is_some() || request.slice.to < hi;
        let fits = total.is_some_and(|total| total <= request.limit.into())
            && (!full || (!jumps && total == Some(page.rows.into())));
        if fits || page.overshot {
            let hidden = total.map_or(0, |total| total.saturating_sub(page.rows.into()));
            return self.finished(request, hi, hidden);
        }
        if full && moved {
            self.count = self.remaining.is_none_or(|left| left <= self.limit.into());
            return WindowStep::More;
        }
        if full {
            // All rows were passed over, and the query cannot tell them from the next ones.
            self.count = true;
            return self.enlarge();
        }
        if request.count && total.is_none() && !moved {
            return self.empty_uncounted(request, hi);
        }
        if total.is_none() || moved {
            self.count = true;
            self.short = match self.remaining {
                Some(left) if moved => Some(ShortPage {
                    to: request.slice.to,
                    id_to: request.slice.id_to.clone(),
                    left,
                    at_most: request.limit.saturating_sub(page.rows).into(),
                }),
                _ => None,
            };
            return WindowStep::More;
        }
        self.narrow(request)
    }

    /// Counts the hidden rows of the short page before, now that `total` says how many rows are left.
    fn count_passed(&mut self, request: &PageRequest, total: u64) {
        if let Some(short) = self.short.take()
            && short.to == request.slice.to
            && short.id_to == request.slice.id_to
        {
            self.hidden += short.left.saturating_sub(total).min(short.at_most);
        }
    }

    /// The slice of `request` is read to its end.
    fn finished(&mut self, request: &PageRequest, hi: i64, hidden: u64) -> WindowStep {
        self.hidden += hidden;
        self.count = true;
        if let Some(id) = self.id_to.take() {
            self.cursor = Some(Cursor {
                seconds: request.slice.to,
                id: Some(id),
            });
            return WindowStep::More;
        }
        if request.slice.to < hi {
            self.cursor = Some(Cursor {
                seconds: request.slice.to + 1,
                id: None,
            });
            self.span = self.span.map(|span| span.saturating_mul(2));
            self.until = self.span.map(|span| request.slice.to.saturating_add(span));
            return WindowStep::More;
        }
        // The cursor stays at the last row, not at `hi`: a row that is committed late between the
        // two is found by the next poll at no cost.
        self.span = None;
        self.until = None;
        self.remaining = Some(0);
        WindowStep::CaughtUp
    }

    /// The page showed no row, and nothing counts the slice: it is read, or as many rows as the page has
    /// room for are hidden. So larger pages look before it counts as read, in a slice without an end of
    /// its own, as the cursor must not jump over what was not seen.
    fn empty_uncounted(&mut self, request: &PageRequest, hi: i64) -> WindowStep {
        self.count = true;
        self.span = None;
        if self.id_to.take().is_some() | self.until.take().is_some() {
            return WindowStep::More;
        }
        if self.end_look.goes_on(request.limit, MAX_ENLARGED_PAGE_ROWS) {
            return self.enlarge();
        }
        self.limit = self.limit.min(self.batch);
        self.finished(request, hi, 0)
    }

    /// The page showed no row although the slice has more than `limit`: halves the slice.
    fn narrow(&mut self, request: &PageRequest) -> WindowStep {
        self.count = true;
        let start = request
            .slice
            .after
            .as_ref()
            .map_or(EARLIEST_SECOND, |cursor| cursor.seconds);
        let seconds = request.slice.to - start + 1;
        if seconds > 1 {
            let span = (seconds + 1) / 2;
            self.span = Some(span);
            self.until = Some(start.saturating_add(span - 1));
            return WindowStep::More;
        }
        let after = request
            .slice
            .after
            .as_ref()
            .and_then(|cursor| cursor.id.as_deref());
        let low = after.map_or(Some(0), |id| hex_id(id.as_bytes()));
        let high = request
            .slice
            .id_to
            .as_deref()
            .map_or(Some(u128::MAX), |id| hex_id(id.as_bytes()));
        match (low, high) {
            (Some(low), Some(high)) if high.saturating_sub(low) > 1 => {
                self.id_to = Some(format!("{:032x}", low + (high - low) / 2));
                WindowStep::More
            }
            _ => self.enlarge(),
        }
    }

    fn enlarge(&mut self) -> WindowStep {
        if self.limit >= MAX_ENLARGED_PAGE_ROWS {
            return WindowStep::Stuck;
        }
        self.limit = self.limit.saturating_mul(2).min(MAX_ENLARGED_PAGE_ROWS);
        // The larger page stays until it has brought something: good pages count from here.
        self.good_pages = 0;
        WindowStep::More
    }

    /// Begins another read up to an upper bound, in which hidden rows are counted from zero.
    pub fn begin_round(&mut self, now: Instant) {
        self.hidden = 0;
        self.end_look.begin_round(now);
    }

    /// A page took too long or came broken: the next one is half as large.
    ///
    /// When a page fails that had just grown, this size is tried again after twice as many good pages.
    pub fn shrink(&mut self) {
        self.limit = (self.limit / 2).max(1);
        self.end_look.failed(self.limit);
        self.good_pages = 0;
        if std::mem::take(&mut self.grown) {
            self.pages_before_growth = self
                .pages_before_growth
                .saturating_mul(2)
                .min(MAX_GOOD_PAGES_BEFORE_GROWTH);
        }
    }

    /// A record could not be delivered: the next pages have one row, so that few rows are sent again if
    /// it fails again.
    pub fn request_single_rows(&mut self) {
        self.limit = 1;
        self.good_pages = 0;
    }

    /// A page counted. After some of these the page grows again, up to the configured size.
    pub fn record_good_page(&mut self) {
        self.good_pages += 1;
        if self.good_pages < self.pages_before_growth {
            return;
        }
        self.good_pages = 0;
        if self.limit < self.batch {
            self.limit = self.limit.saturating_mul(2).min(self.batch);
            self.grown = true;
        } else {
            self.limit = self.batch;
            self.pages_before_growth = MIN_GOOD_PAGES_BEFORE_GROWTH;
            self.grown = false;
        }
    }

    /// Goes back to `cursor`: the rows behind it are read again.
    pub fn rewind(&mut self, cursor: Option<Cursor>) {
        self.cursor = cursor;
        self.read = Arc::default();
        self.span = None;
        self.until = None;
        self.id_to = None;
        self.short = None;
        self.count = true;
        self.remaining = None;
    }
}

#[cfg(test)]
mod tests;
