//! Where the number of rows in a slice comes from: with the pages, from the Aggregate API, or from nowhere
//! (pure).
//!
//! A gateway may drop `X-Total-Count` and refuse the Aggregate API. Then an empty page ends a slice.

use std::time::{Duration, Instant};

/// How long the Aggregate API is left alone after it was refused.
const REFUSAL_LASTS: Duration = Duration::from_secs(600);

/// What one table knows about counts.
#[derive(Debug, Default)]
pub(super) struct RowCounts {
    /// A page came without a count that was needed.
    pages_lack_them: bool,
    /// When the Aggregate API was last refused, if it was not used since.
    refused: Option<Instant>,
    is_refusal_logged: bool,
}

impl RowCounts {
    /// A page that needed a count came without one. A count that follows the rows could be too small, so
    /// from now on it goes first.
    pub(super) fn missed(&mut self) {
        self.pages_lack_them = true;
    }

    /// Whether the Aggregate API is asked before a page.
    pub(super) fn come_first(&self, now: Instant) -> bool {
        let is_over = |at: Instant| now.saturating_duration_since(at) >= REFUSAL_LASTS;
        self.pages_lack_them && self.refused.is_none_or(is_over)
    }

    /// Whether pages are used without a count.
    pub(super) fn are_optional(&self) -> bool {
        self.refused.is_some()
    }

    /// The Aggregate API has counted.
    pub(super) fn counted(&mut self) {
        self.refused = None;
    }

    /// The Aggregate API does not count. True when this is to be logged.
    pub(super) fn refused(&mut self, now: Instant) -> bool {
        self.refused = Some(now);
        !std::mem::replace(&mut self.is_refusal_logged, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_makes_counts_optional_until_one_comes() {
        let now = Instant::now();
        let mut counts = RowCounts::default();
        assert!(!counts.come_first(now) && !counts.are_optional());
        counts.missed();
        assert!(counts.come_first(now) && !counts.are_optional());
        assert!(counts.refused(now), "logged");
        assert!(!counts.come_first(now) && counts.are_optional());
        let later = now + REFUSAL_LASTS;
        assert!(counts.come_first(later), "asked again");
        assert!(!counts.refused(later), "logged once");
        counts.counted();
        assert!(counts.come_first(later) && !counts.are_optional());
    }
}
