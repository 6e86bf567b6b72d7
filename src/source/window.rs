//! Which part of a table to ask for next: pure decisions, no I/O.
//!
//! The Table API applies the row limit before access rules, so a short or even empty page is not the
//! end. A slice is finished only when the instance's own count over it is at most the limit: then no
//! row, visible or not, was cut off. Otherwise the cursor moves to the last visible row, or, when
//! there is none, the slice is narrowed in time and then by identifier until the count fits.

use crate::servicenow::query::{Cursor, Slice, hex_id};

/// Earliest second a row can carry when the table is read from its beginning: year 1900.
const EARLIEST_SECOND: i64 = -2_208_988_800;
/// Largest page that [`Window::apply_page`] asks for to get past rows it cannot separate.
const MAX_ENLARGED_PAGE_ROWS: u32 = 100_000;

/// Good pages before a larger one is tried, at first and at most.
const MIN_GOOD_PAGES_BEFORE_GROWTH: u32 = 4;
const MAX_GOOD_PAGES_BEFORE_GROWTH: u32 = 1024;

/// The request to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The part of the table.
    pub slice: Slice,
    /// Rows at most.
    pub limit: u32,
    /// Whether the answer must carry a count of the slice.
    pub count: bool,
}

/// What a good page held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageSummary {
    /// Rows on the page, those passed over included.
    pub rows: u32,
    /// The last row of the slice on it.
    pub last: Option<Cursor>,
    /// Rows of the slice by the instance's count, hidden ones included.
    pub total: Option<u64>,
    /// The page went past the end of the slice, so the slice is finished.
    pub overshot: bool,
}

/// What to do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowStep {
    /// Ask again at once.
    More,
    /// All rows up to the upper bound are read.
    CaughtUp,
    /// More hidden rows than a page can hold stand in one place that cannot be narrowed.
    Stuck,
}

/// A short page in the middle of a slice. The next count of the same slice tells how many hidden
/// rows were passed.
#[derive(Debug, Clone)]
struct ShortPage {
    to: i64,
    id_to: Option<String>,
    /// Rows that should be left by the count before.
    left: u64,
    /// The page had room for so many.
    at_most: u64,
}

/// The reading position of one table.
#[derive(Debug, Clone)]
pub struct Window {
    cursor: Option<Cursor>,
    /// Configured rows per page.
    batch: u32,
    /// Rows per page now.
    limit: u32,
    good_pages: u32,
    /// Good pages before a larger one is tried.
    patience: u32,
    /// Whether the page has grown since it last shrank.
    grown: bool,
    /// Seconds per slice while hidden rows keep it narrow.
    span: Option<i64>,
    /// Last second of a narrow slice; it stays while the cursor moves in it.
    until: Option<i64>,
    id_to: Option<String>,
    /// The last page was short: hidden rows stood on it.
    short: Option<ShortPage>,
    count: bool,
    remaining: Option<u64>,
    hidden: u64,
}

impl Window {
    /// Starts behind `cursor`, or with the oldest row.
    pub fn new(cursor: Option<Cursor>, batch: u32) -> Window {
        Window {
            cursor,
            batch,
            limit: batch,
            good_pages: 0,
            patience: MIN_GOOD_PAGES_BEFORE_GROWTH,
            grown: false,
            span: None,
            until: None,
            id_to: None,
            short: None,
            count: true,
            remaining: None,
            hidden: 0,
        }
    }

    /// Where reading stands.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Rows that are still to come, as of the last count.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Rows that were counted but not shown since the last time all was read.
    pub fn hidden(&self) -> u64 {
        self.hidden
    }

    /// Rows per page now.
    pub fn page_size(&self) -> u32 {
        self.limit
    }

    /// The next request to read everything up to second `hi`; `None` when nothing can be there.
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

    /// Takes in the answer to `ask`, which was made for the same `hi`.
    pub fn apply_page(&mut self, ask: &PageRequest, hi: i64, answer: PageSummary) -> WindowStep {
        let total = answer.total.filter(|_| ask.count);
        if let Some(total) = total {
            self.count_passed(ask, total);
            self.remaining = Some(total);
        }
        let moved = answer.last.is_some();
        if moved {
            self.cursor = answer.last;
            self.remaining = self
                .remaining
                .map(|left| left.saturating_sub(answer.rows.into()));
        }
        let full = answer.rows >= ask.limit;
        // Where the cursor would jump to the end of the slice, a full page is never taken for its end:
        // the count may be younger than the rows.
        let jumps = ask.slice.id_to.is_some() || ask.slice.to < hi;
        let fits = total.is_some_and(|total| total <= ask.limit.into())
            && (!full || (!jumps && total == Some(answer.rows.into())));
        if fits || answer.overshot {
            let hidden = total.map_or(0, |total| total.saturating_sub(answer.rows.into()));
            return self.finished(ask, hi, hidden);
        }
        if full && moved {
            self.count = self.remaining.is_none_or(|left| left <= self.limit.into());
            return WindowStep::More;
        }
        if full {
            // Only rows that were passed over: they cannot be told apart from the next by the query.
            self.count = true;
            return self.enlarge();
        }
        if total.is_none() || moved {
            self.count = true;
            self.short = self.remaining.filter(|_| moved).map(|left| ShortPage {
                to: ask.slice.to,
                id_to: ask.slice.id_to.clone(),
                left,
                at_most: ask.limit.saturating_sub(answer.rows).into(),
            });
            return WindowStep::More;
        }
        self.narrow(ask)
    }

    /// Counts the hidden rows between the cursor of the last page and the one before.
    fn count_passed(&mut self, ask: &PageRequest, total: u64) {
        if let Some(short) = self.short.take()
            && short.to == ask.slice.to
            && short.id_to == ask.slice.id_to
        {
            self.hidden += short.left.saturating_sub(total).min(short.at_most);
        }
    }

    /// The slice of `ask` is read to its end.
    fn finished(&mut self, ask: &PageRequest, hi: i64, hidden: u64) -> WindowStep {
        self.hidden += hidden;
        self.count = true;
        if let Some(id) = self.id_to.take() {
            self.cursor = Some(Cursor {
                seconds: ask.slice.to,
                id: Some(id),
            });
            return WindowStep::More;
        }
        if ask.slice.to < hi {
            self.cursor = Some(Cursor {
                seconds: ask.slice.to + 1,
                id: None,
            });
            self.span = self.span.map(|span| span.saturating_mul(2));
            self.until = self.span.map(|span| ask.slice.to.saturating_add(span));
            return WindowStep::More;
        }
        // The cursor stays at the last row, not at `hi`: a row that is committed late between the
        // two is found by the next poll at no cost.
        self.span = None;
        self.until = None;
        self.remaining = Some(0);
        WindowStep::CaughtUp
    }

    /// No visible row among the first `limit`: ask for half of the slice.
    fn narrow(&mut self, ask: &PageRequest) -> WindowStep {
        self.count = true;
        let start = ask
            .slice
            .after
            .as_ref()
            .map_or(EARLIEST_SECOND, |cursor| cursor.seconds);
        let seconds = ask.slice.to - start + 1;
        if seconds > 1 {
            let span = (seconds + 1) / 2;
            self.span = Some(span);
            self.until = Some(start.saturating_add(span - 1));
            return WindowStep::More;
        }
        let after = ask
            .slice
            .after
            .as_ref()
            .and_then(|cursor| cursor.id.as_deref());
        let low = after.map_or(Some(0), |id| hex_id(id.as_bytes()));
        let high = ask
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
        // It stays until it has brought something: `relax` counts from here.
        self.good_pages = 0;
        WindowStep::More
    }

    /// Begins a new round after everything was read, so that hidden rows are counted afresh.
    pub fn begin_round(&mut self) {
        self.hidden = 0;
    }

    /// A page took too long or came broken: ask for less.
    ///
    /// A size that failed after it had been grown to is tried again ever more seldom.
    pub fn shrink(&mut self) {
        self.limit = (self.limit / 2).max(1);
        self.good_pages = 0;
        if std::mem::take(&mut self.grown) {
            self.patience = self
                .patience
                .saturating_mul(2)
                .min(MAX_GOOD_PAGES_BEFORE_GROWTH);
        }
    }

    /// A record could not be delivered: ask for single rows, so that a repetition repeats little.
    pub fn request_single_rows(&mut self) {
        self.limit = 1;
        self.good_pages = 0;
    }

    /// A page came well: after a few, ask for more again, up to the configured size.
    pub fn record_good_page(&mut self) {
        self.good_pages += 1;
        if self.good_pages < self.patience {
            return;
        }
        self.good_pages = 0;
        if self.limit < self.batch {
            self.limit = self.limit.saturating_mul(2).min(self.batch);
            self.grown = true;
        } else {
            self.limit = self.batch;
            self.patience = MIN_GOOD_PAGES_BEFORE_GROWTH;
            self.grown = false;
        }
    }

    /// Goes back to `cursor`; what was read behind it is read again.
    pub fn rewind(&mut self, cursor: Option<Cursor>) {
        self.cursor = cursor;
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
