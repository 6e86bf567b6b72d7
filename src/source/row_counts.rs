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
    /// A page came without a count that was needed, and none with one since.
    pages_lack_them: bool,
}

impl RowCounts {
    /// A page that needed a count came without one. A count that follows the rows could be too small, so
    /// from now on it goes first.
    pub(super) fn missed(&mut self) {
        self.pages_lack_them = true;
    }

    /// A page came with a count.
    pub(super) fn came(&mut self) {
        self.pages_lack_them = false;
    }

    /// Whether the Aggregate API is asked before a page.
    pub(super) fn come_first(&self, refusal: &CountRefusal, now: Instant) -> bool {
        self.pages_lack_them && !refusal.holds(now)
    }
}

/// Whether the Aggregate API refuses to count, for all tables of the instance.
#[derive(Debug, Default)]
pub(super) struct CountRefusal {
    /// When it was last refused, if it has not counted since.
    at: Option<Instant>,
    is_logged: bool,
}

impl CountRefusal {
    /// It is not to be asked now.
    fn holds(&self, now: Instant) -> bool {
        self.at
            .is_some_and(|at| now.saturating_duration_since(at) < REFUSAL_LASTS)
    }

    /// Whether pages are used without a count.
    pub(super) fn makes_counts_optional(&self) -> bool {
        self.at.is_some()
    }

    /// The Aggregate API has counted.
    pub(super) fn counted(&mut self) {
        self.at = None;
    }

    /// The Aggregate API does not count. True when this is to be logged.
    pub(super) fn refused(&mut self, now: Instant) -> bool {
        self.at = Some(now);
        !std::mem::replace(&mut self.is_logged, true)
    }
}

/// The note about a table of which nothing counts the rows, where an empty page of `reach` rows is the end.
pub(super) fn uncounted_note(reach: u32) -> String {
    format!(
        "nothing counts the rows: more than {reach} hidden ones in a run look like the end of the table; \
         let X-Total-Count or the Aggregate API (servicenow.stats_api_path) through at the gateway"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_makes_counts_optional_until_one_comes() {
        let now = Instant::now();
        let (mut counts, mut refusal) = (RowCounts::default(), CountRefusal::default());
        assert!(!counts.come_first(&refusal, now) && !refusal.makes_counts_optional());
        counts.missed();
        assert!(counts.come_first(&refusal, now) && !refusal.makes_counts_optional());
        assert!(refusal.refused(now), "logged");
        assert!(!counts.come_first(&refusal, now) && refusal.makes_counts_optional());
        let later = now + REFUSAL_LASTS;
        assert!(counts.come_first(&refusal, later), "asked again");
        assert!(!refusal.refused(later), "logged once");
        refusal.counted();
        assert!(counts.come_first(&refusal, later) && !refusal.makes_counts_optional());
    }

    #[test]
    fn pages_that_carry_counts_again_need_no_other_request() {
        let (now, mut counts) = (Instant::now(), RowCounts::default());
        counts.missed();
        counts.came();
        assert!(!counts.come_first(&CountRefusal::default(), now));
    }
}
