//! How far a table is looked behind an empty page where nothing counts its rows: pure.
//!
//! Behind an empty page there may be rows that as many hidden ones as the page has room for stand before. So
//! pages of twice the size look, and so on. A size that failed ends the look: it would fail again.

use std::time::{Duration, Instant};

/// Time from a look that found nothing to the next one, where rows have come since.
const END_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// The same where the cursor is where it was.
const IDLE_END_LOOK_INTERVAL: Duration = Duration::from_secs(600);

/// The looks of one table.
#[derive(Debug, Clone, Default)]
pub(super) struct EndLook {
    /// When the present round began.
    round: Option<Instant>,
    /// The round in which the last look found nothing.
    last: Option<Instant>,
    /// The cursor has moved since.
    has_moved: bool,
    /// A larger page was asked for, and no row has come since.
    is_under_way: bool,
    /// The largest page to look with, once a larger one has failed.
    ceiling: Option<u32>,
    /// The largest page that was empty in the last look.
    reach: Option<u32>,
}

impl EndLook {
    pub(super) fn begin_round(&mut self, now: Instant) {
        self.round = Some(now);
    }

    /// Rows came. True when a larger page than usual has brought them.
    pub(super) fn moved(&mut self) -> bool {
        self.has_moved = true;
        self.ceiling = None;
        std::mem::take(&mut self.is_under_way)
    }

    /// A page failed; the next one has room for `limit` rows.
    pub(super) fn failed(&mut self, limit: u32) {
        if self.is_under_way {
            self.ceiling = Some(limit);
        }
    }

    /// The instance counts.
    pub(super) fn counted(&mut self) {
        *self = EndLook {
            round: self.round,
            ..EndLook::default()
        };
    }

    /// The largest empty page of the last look; `None`: there was none since the instance has counted.
    pub(super) fn reach(&self) -> Option<u32> {
        self.reach
    }

    /// A page with room for `limit` rows was empty: whether a larger one is to be asked for, `max` at most.
    /// If not, this is the end.
    pub(super) fn goes_on(&mut self, limit: u32, max: u32) -> bool {
        if !self.is_due() {
            return false;
        }
        if limit < self.ceiling.unwrap_or(max).min(max) {
            self.is_under_way = true;
            return true;
        }
        *self = EndLook {
            round: self.round,
            last: self.round,
            reach: Some(limit),
            ..EndLook::default()
        };
        false
    }

    fn is_due(&self) -> bool {
        let interval = if self.has_moved {
            END_LOOK_INTERVAL
        } else {
            IDLE_END_LOOK_INTERVAL
        };
        match (self.last, self.round) {
            (Some(last), Some(now)) => now.saturating_duration_since(last) >= interval,
            _ => true,
        }
    }
}
