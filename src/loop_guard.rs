//! What the sink wrote last, so that the source can leave it out.
//!
//! A table that is read and written would send each write of ours back. Leaving out all that our
//! user changed is not enough: when a human changes a row and we change it before the next poll, the
//! poll sees one row, changed last by us, and the human's change would be lost. So a version of a row
//! is left out only when it is exactly the one that our write made, and the version before that was
//! already read, or ours as well.

use std::collections::{HashMap, VecDeque};

use crate::sync::{Mutex, MutexGuard};

/// A version this much older than what was read counts as read, in seconds. A younger one may have
/// been committed late, behind the source's back.
const LATE_COMMIT_SECONDS: i64 = 30;
/// Rows that are remembered for each table. Forgetting one sends its last version back once.
const MAX_REMEMBERED_ROWS: usize = 50_000;

/// The versions of one table's rows that are ours.
#[derive(Debug, Default)]
pub struct OwnWriteLog(Mutex<OwnWriteState>);

#[derive(Debug, Default)]
struct OwnWriteState {
    rows: HashMap<Box<str>, OwnRowVersion>,
    /// Rows in the order in which they came, to forget the oldest.
    order: VecDeque<Box<str>>,
    /// All versions up to this second are in Kafka (UTC, seconds since 1970).
    read_to: Option<i64>,
}

/// A version of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnRowVersion {
    /// `sys_mod_count`.
    count: u64,
    /// `sys_updated_by`.
    by: Box<str>,
}

impl OwnWriteLog {
    /// Version `count` of a row is our doing alone, as is all since a version that was read.
    pub fn record_write(&self, sys_id: &str, count: u64, by: &str) {
        let mut state = self.state();
        let version = OwnRowVersion {
            count,
            by: by.into(),
        };
        if state.rows.insert(sys_id.into(), version).is_none() {
            state.order.push_back(sys_id.into());
            if MAX_REMEMBERED_ROWS < state.order.len()
                && let Some(oldest) = state.order.pop_front()
            {
                state.rows.remove(&oldest);
            }
        }
    }

    /// Whether the source has everything up to this version of a row: it was read in its time, or it
    /// is ours.
    pub fn is_known(&self, sys_id: &str, count: u64, updated: i64) -> bool {
        let state = self.state();
        let ours = state
            .rows
            .get(sys_id)
            .is_some_and(|version| version.count == count);
        let read_to = state.read_to;
        ours || read_to
            .is_some_and(|read_to| updated <= read_to.saturating_sub(LATE_COMMIT_SECONDS))
    }

    /// Whether this version of a row is ours alone and may be left out.
    pub fn is_own(&self, sys_id: &str, count: u64, by: &str) -> bool {
        let state = self.state();
        let version = state.rows.get(sys_id);
        version.is_some_and(|version| version.count == count && *version.by == *by)
    }

    /// Kafka has everything up to this second.
    pub fn record_read_to(&self, seconds: i64) {
        let mut state = self.state();
        state.read_to = state.read_to.max(Some(seconds));
    }

    /// Whether nothing is remembered, so that no row needs a look.
    pub fn is_empty(&self) -> bool {
        self.state().rows.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, OwnWriteState> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_version_is_ours() {
        let own = OwnWriteLog::default();
        assert!(own.is_empty());
        own.record_write("a", 4, "bridge");
        assert!(own.is_own("a", 4, "bridge"));
        assert!(!own.is_own("a", 5, "bridge"), "changed since");
        assert!(!own.is_own("a", 4, "abel"), "the count is another's");
        assert!(!own.is_own("b", 4, "bridge"));
    }

    #[test]
    fn a_version_is_known_when_it_was_read_or_is_ours() {
        let own = OwnWriteLog::default();
        assert!(!own.is_known("a", 3, 100));
        own.record_read_to(100);
        assert!(
            own.is_known("a", 3, 100 - LATE_COMMIT_SECONDS)
                && !own.is_known("a", 3, 101 - LATE_COMMIT_SECONDS)
        );
        own.record_write("a", 4, "bridge");
        assert!(own.is_known("a", 4, 500));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let own = OwnWriteLog::default();
        for number in 0..=MAX_REMEMBERED_ROWS {
            own.record_write(&number.to_string(), 1, "bridge");
        }
        assert!(!own.is_own("0", 1, "bridge") && own.is_own("1", 1, "bridge"));
    }
}
