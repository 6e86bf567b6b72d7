//! Rows to which something lost may still be done.
//!
//! A request whose answer was lost is sent again and succeeds, while the first one still runs on the
//! instance. Were the next record of that row written at once, the first one could come after it and
//! undo it. So that record waits until the first one is over; other rows do not.

use std::collections::HashMap;
use std::time::Instant;

use crate::sync::Mutex;

/// Rows that are remembered; the soonest are forgotten first.
const MAX_INDETERMINATE_ROWS: usize = 10_000;

/// A request whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndeterminateWrite {
    /// The row it is for.
    pub(super) row: String,
    /// What it does there.
    pub(super) harm: LateEffect,
    /// When it cannot be executed any more.
    pub(super) until: Instant,
}

/// What a request does that comes late; the greater also does the lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LateEffect {
    /// It makes the row if that is gone, else it is refused as its duplicate.
    MayRecreate,
    /// It changes or removes the row.
    MayModify,
}

/// The last lost request of each row, by its sys_id in small letters.
#[derive(Debug, Default)]
pub(super) struct IndeterminateWrites(Mutex<HashMap<String, (LateEffect, Instant)>>);

impl IndeterminateWrites {
    /// A request for a row was lost, and those for it that were lost before were waited for.
    pub(super) fn note(&self, lost: &IndeterminateWrite, now: Instant) {
        let mut rows = self.0.lock();
        rows.retain(|_, (_, until)| now < *until);
        if MAX_INDETERMINATE_ROWS <= rows.len() {
            let soonest = rows.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(row) = soonest.map(|(row, _)| row.clone()) {
                rows.remove(&row);
            }
        }
        rows.insert(lost.row.to_ascii_lowercase(), (lost.harm, lost.until));
    }

    /// Until when something must wait to which this, or a greater, harm may be done.
    pub(super) fn until(&self, row: &str, harm: LateEffect) -> Option<Instant> {
        let rows = self.0.lock();
        let (lost, until) = rows.get(&row.to_ascii_lowercase())?;
        (harm <= *lost).then_some(*until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lost(row: &str, harm: LateEffect, until: Instant) -> IndeterminateWrite {
        IndeterminateWrite {
            row: row.to_string(),
            harm,
            until,
        }
    }

    #[test]
    fn a_row_is_late_until_its_time() {
        let (late, now) = (IndeterminateWrites::default(), Instant::now());
        let soon = now + Duration::from_secs(60);
        late.note(&lost("a", LateEffect::MayModify, soon), now);
        for harm in [LateEffect::MayRecreate, LateEffect::MayModify] {
            assert_eq!(late.until("a", harm), Some(soon));
            assert_eq!(late.until("b", harm), None);
        }
        let later = soon + Duration::from_secs(1);
        late.note(&lost("b", LateEffect::MayRecreate, later), soon);
        assert_eq!(
            late.until("a", LateEffect::MayRecreate),
            None,
            "forgotten when over"
        );
        assert_eq!(late.until("b", LateEffect::MayRecreate), Some(later));
        assert_eq!(late.until("b", LateEffect::MayModify), None);
    }

    /// As the instance compares.
    #[test]
    fn letters_of_a_sys_id_may_be_large() {
        let (late, now) = (IndeterminateWrites::default(), Instant::now());
        let soon = now + Duration::from_secs(60);
        late.note(&lost("ab", LateEffect::MayModify, soon), now);
        assert_eq!(late.until("AB", LateEffect::MayModify), Some(soon));
        late.note(&lost("CD", LateEffect::MayModify, soon), now);
        assert_eq!(late.until("cd", LateEffect::MayModify), Some(soon));
    }

    #[test]
    fn the_soonest_makes_room() {
        let (late, now) = (IndeterminateWrites::default(), Instant::now());
        let until = |number: usize| now + Duration::from_secs(60 + number as u64);
        for number in 0..=MAX_INDETERMINATE_ROWS {
            late.note(
                &lost(&number.to_string(), LateEffect::MayModify, until(number)),
                now,
            );
        }
        assert_eq!(late.0.lock().len(), MAX_INDETERMINATE_ROWS);
        assert_eq!(late.until("0", LateEffect::MayModify), None);
        assert_eq!(late.until("1", LateEffect::MayModify), Some(until(1)));
    }
}
