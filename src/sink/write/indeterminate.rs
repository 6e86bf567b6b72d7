//! Writes whose answer was lost and which the instance may still execute.
//!
//! When the answer of a write is lost, the write is sent again and succeeds, while the first request
//! may still be running on the instance. Were the next record of that row written at once, the first
//! request could be executed after it and undo it. So the next record of the row waits until the
//! first request must be over (`sink.transaction_time` after it was sent); other rows do not wait.

use std::collections::HashMap;
use std::time::Instant;

use crate::sync::Mutex;

/// Rows that are remembered; the one whose time is over first is forgotten first.
const MAX_INDETERMINATE_ROWS: usize = 10_000;

/// A write that the instance may still execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndeterminateWrite {
    /// The sys_id of its row.
    pub(super) row: String,
    /// What it does there.
    pub(super) effect: LateEffect,
    /// When it cannot be executed any more.
    pub(super) until: Instant,
}

/// What a write does that is executed late. Ordered: a request that waits for the lesser effect also waits for
/// the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LateEffect {
    /// It makes the row again if that was removed; if the row is there it is refused as a duplicate.
    MayRecreate,
    /// It changes or removes the row.
    MayModify,
}

/// The last such write of each row.
#[derive(Debug, Default)]
pub(super) struct IndeterminateWrites {
    /// By the row's sys_id in small letters.
    rows: Mutex<HashMap<String, (LateEffect, Instant)>>,
    /// When none of them can be executed any more.
    last: Mutex<Option<Instant>>,
}

impl IndeterminateWrites {
    /// Remembers a write at `now`. It replaces an earlier one of the same row: the record that left it behind
    /// waited for that one's end before its own request, where the earlier one could spoil it.
    pub(super) fn note(&self, write: &IndeterminateWrite, now: Instant) {
        let mut last = self.last.lock();
        *last = (*last).max(Some(write.until));
        drop(last);
        let mut rows = self.rows.lock();
        rows.retain(|_, (_, until)| *until > now);
        if rows.len() >= MAX_INDETERMINATE_ROWS {
            let soonest = rows.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(row) = soonest.map(|(row, _)| row.clone()) {
                rows.remove(&row);
            }
        }
        rows.insert(write.row.to_ascii_lowercase(), (write.effect, write.until));
    }

    /// When none of the writes can be executed any more; `None`: there was none.
    pub(super) fn last_end(&self) -> Option<Instant> {
        *self.last.lock()
    }

    /// Until when a write with at least this effect may still be executed on a row.
    pub(super) fn until(&self, row: &str, effect: LateEffect) -> Option<Instant> {
        let rows = self.rows.lock();
        let (late, until) = rows.get(&row.to_ascii_lowercase())?;
        (*late >= effect).then_some(*until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lost(row: &str, effect: LateEffect, until: Instant) -> IndeterminateWrite {
        IndeterminateWrite {
            row: row.to_string(),
            effect,
            until,
        }
    }

    #[test]
    fn a_row_is_late_until_its_time() {
        let (late, now) = (IndeterminateWrites::default(), Instant::now());
        let soon = now + Duration::from_secs(60);
        late.note(&lost("a", LateEffect::MayModify, soon), now);
        for effect in [LateEffect::MayRecreate, LateEffect::MayModify] {
            assert_eq!(late.until("a", effect), Some(soon));
            assert_eq!(late.until("b", effect), None);
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
        assert_eq!(late.rows.lock().len(), MAX_INDETERMINATE_ROWS);
        assert_eq!(late.until("0", LateEffect::MayModify), None);
        assert_eq!(late.until("1", LateEffect::MayModify), Some(until(1)));
    }
}
