//! The loop guard: remembers which versions of rows the sink made, so that the source can leave them
//! out.
//!
//! A table that is both read and written would send each write of the sink back to Kafka. To leave out
//! all rows that the integration user changed last would lose changes: when a human changes a row and
//! the sink changes it before the next poll, the poll sees one row, changed last by the sink, with the
//! human's change in it. So a version is left out only if it is exactly the one that a write of the
//! sink made, and the version before it was read by the source already or is the sink's as well.
//!
//! The sink's half (`sink::write::row_versions`) finds out which versions those are; the source's half
//! (`source::own_rows`) compares the rows that it reads.

use std::collections::{HashMap, VecDeque};

use crate::sync::{Mutex, MutexGuard};

/// How many seconds older than the second that was read a version must be to count as read. A younger
/// one may have been committed after the source had passed its second.
const LATE_COMMIT_SECONDS: i64 = 30;
/// How many rows of each table are remembered. The last version of a row that is forgotten is sent to
/// Kafka once.
const MAX_REMEMBERED_ROWS: usize = 50_000;

/// The versions of one table's rows that the sink made. Shared between sink and source.
#[derive(Debug, Default)]
pub struct OwnWriteLog(Mutex<OwnWriteState>);

#[derive(Debug, Default)]
struct OwnWriteState {
    rows: HashMap<Box<str>, OwnRowVersion>,
    /// The rows in the order in which they came, so that the oldest can be forgotten.
    order: VecDeque<Box<str>>,
    /// Every version up to this second is in Kafka (UTC, since 1970).
    read_to: Option<i64>,
}

/// The version of a row that the sink made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnRowVersion {
    /// `sys_mod_count`.
    count: u64,
    /// `sys_updated_by`.
    by: Box<str>,
}

impl OwnWriteLog {
    /// The sink made version `count` of a row, and every version since one that the source has read.
    pub fn record_write(&self, sys_id: &str, count: u64, by: &str) {
        let mut state = self.state();
        let version = OwnRowVersion {
            count,
            by: by.into(),
        };
        if state.rows.insert(sys_id.into(), version).is_none() {
            state.order.push_back(sys_id.into());
            if state.order.len() > MAX_REMEMBERED_ROWS
                && let Some(oldest) = state.order.pop_front()
            {
                state.rows.remove(&oldest);
            }
        }
    }

    /// Whether Kafka lacks nothing up to this version of a row: the source has read it in its time
    /// (`updated`, seconds since 1970 UTC), or the sink made it.
    pub fn is_known(&self, sys_id: &str, count: u64, updated: i64) -> bool {
        let state = self.state();
        let is_own = state
            .rows
            .get(sys_id)
            .is_some_and(|version| version.count == count);
        let read_to = state.read_to;
        is_own
            || read_to.is_some_and(|read_to| updated <= read_to.saturating_sub(LATE_COMMIT_SECONDS))
    }

    /// Whether the sink made this version of a row, so that it may be left out.
    pub fn is_own(&self, sys_id: &str, count: u64, by: &str) -> bool {
        let state = self.state();
        let version = state.rows.get(sys_id);
        version.is_some_and(|version| version.count == count && *version.by == *by)
    }

    /// Kafka has every row up to this second (UTC, since 1970).
    pub fn record_read_to(&self, seconds: i64) {
        let mut state = self.state();
        state.read_to = state.read_to.max(Some(seconds));
    }

    /// Whether no row is remembered, so that no row has to be looked at.
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
    fn only_the_version_that_was_written_is_own() {
        let own = OwnWriteLog::default();
        assert!(own.is_empty());
        own.record_write("a", 4, "bridge");
        assert!(own.is_own("a", 4, "bridge"));
        assert!(!own.is_own("a", 5, "bridge"), "changed since");
        assert!(
            !own.is_own("a", 4, "abel"),
            "another user made a version of this number"
        );
        assert!(!own.is_own("b", 4, "bridge"));
    }

    #[test]
    fn a_version_is_known_when_it_was_read_or_is_own() {
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
