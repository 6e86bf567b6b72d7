//! Which records wait after the last owner of their partition did not end cleanly (pure).
//!
//! At a kill the instance may be at work on a record of each row, and may go on with it for as long as a
//! transaction takes. The records that were not finished come again, and the first one of a row is that which
//! may be under way: to write it again does no harm. But what is written to the row after it could be undone by
//! the old request, so that the second record of the row waits until no old request can run any more. Rows
//! without a record among those that come again had nothing under way.

use std::collections::HashSet;
use std::time::Instant;

use crate::sink::record::RowEffect;

/// The waits of one partition, from its assignment on.
#[derive(Debug)]
pub(super) struct RowWaits {
    /// When no request of the last owner can run any more.
    until: Instant,
    /// Before this time a write may still run whose record has been finished and committed already, so that
    /// it is not known which row it is for. Not behind `until`.
    all_until: Option<Instant>,
    /// Rows of which a record has come that the last owner may have begun.
    rows: HashSet<u64>,
}

impl RowWaits {
    /// No request of an earlier owner runs at `until` or later. `late`: until when a write may run that the last
    /// owner has written down, not behind `until`.
    pub(super) fn new(until: Instant, late: Option<Instant>) -> RowWaits {
        RowWaits {
            until,
            all_until: late,
            rows: HashSet::new(),
        }
    }

    /// When no write of an earlier owner can run any more, if there may be one. `has_suspects`: not all records have
    /// come that such a write may be for.
    pub(super) fn end(&self, has_suspects: bool) -> Option<Instant> {
        if has_suspects || !self.rows.is_empty() {
            Some(self.until)
        } else {
            self.all_until
        }
    }

    /// Until when the next record of the partition waits; `None`: not at all. `row`: its ordering key.
    /// `may_be_begun`: it is one of those that come again.
    pub(super) fn not_before(
        &mut self,
        row: u64,
        effect: RowEffect,
        may_be_begun: bool,
        now: Instant,
    ) -> Option<Instant> {
        if effect == RowEffect::None {
            return None;
        }
        if now >= self.until {
            self.rows = HashSet::new();
            return None;
        }
        let is_later_record = if may_be_begun {
            !self.rows.insert(row)
        } else {
            self.rows.contains(&row)
        };
        let until = if effect == RowEffect::Makes {
            None
        } else if is_later_record {
            Some(self.until)
        } else {
            self.all_until
        };
        until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RowEffect::{Changes, Makes};
    use std::time::Duration;

    const TRANSACTION: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_record_of_a_row_flows_and_the_next_waits() {
        let since = Instant::now();
        let over = Some(since + TRANSACTION);
        let mut waits = RowWaits::new(since + TRANSACTION, None);
        // (row, what is done to it, one that comes again, when, until when it waits)
        let cases = [
            (1, Changes, true, 0, None),
            (2, Changes, true, 0, None),
            (1, Changes, true, 1, over),
            (3, RowEffect::None, true, 1, None),
            (3, Changes, false, 2, None),
            (3, Changes, false, 2, None),
            (4, Makes, true, 3, None),
            (4, Makes, true, 3, None),
            (5, Makes, false, 3, None),
            (5, Changes, false, 3, None),
            (4, Changes, false, 4, over),
            (2, Changes, false, 59, over),
            (2, Changes, false, 60, None),
            (1, Changes, true, 61, None),
        ];
        for (number, (row, effect, again, seconds, wait)) in cases.into_iter().enumerate() {
            let now = since + Duration::from_secs(seconds);
            let until = waits.not_before(row, effect, again, now);
            assert_eq!(until, wait, "case {number}");
        }
    }

    #[test]
    fn where_the_row_of_a_late_write_is_not_known_all_rows_wait() {
        let since = Instant::now();
        let at = |seconds| since + Duration::from_secs(seconds);
        let mut waits = RowWaits::new(at(60), Some(at(20)));
        let mut changes = |row, again, now| waits.not_before(row, Changes, again, now);
        assert_eq!(changes(1, false, at(1)), Some(at(20)));
        assert_eq!(changes(2, true, at(1)), Some(at(20)));
        assert_eq!(changes(2, true, at(1)), Some(at(60)));
        assert_eq!(changes(3, false, at(20)), None);
    }
}
