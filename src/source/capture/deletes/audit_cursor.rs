//! How far a list of deletes is read: pure, without I/O.
//!
//! Before the Australia release a thread in the background writes these lists, seconds or minutes after
//! the delete (`glide.db.audit.lazy`). So the last stretch is read again and again until it is settled,
//! and what was seen of it is remembered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Entries of the stretch that is not settled that are remembered. With more, the stretch is shorter.
const MAX_SEEN: usize = 20_000;

/// An entry of such a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::capture) struct AuditEntry {
    /// `sys_id` of the entry itself.
    pub(in crate::source::capture) entry_id: String,
    /// `sys_created_on`, in seconds since 1970 UTC: when the row was deleted.
    pub(in crate::source::capture) created: i64,
    /// `documentkey`: the row.
    pub(in crate::source::capture) row_id: String,
    /// `sys_created_by`, or `user`: who deleted it.
    pub(in crate::source::capture) by: Option<String>,
    /// The row came back.
    pub(in crate::source::capture) is_recovery: bool,
}

/// How far one list is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::capture) struct AuditCursor {
    /// All entries before this second have been dealt with.
    settled: i64,
    /// Entries from then on that have been dealt with, with their seconds.
    #[serde(default)]
    seen: BTreeMap<String, i64>,
}

impl AuditCursor {
    /// Begins at this second.
    pub(in crate::source::capture) fn starting_at(second: i64) -> AuditCursor {
        AuditCursor {
            settled: second,
            seen: BTreeMap::new(),
        }
    }

    /// The first second to read.
    pub(in crate::source::capture) fn from(&self) -> i64 {
        self.settled
    }

    /// Whether an entry is yet to be dealt with.
    pub(in crate::source::capture) fn is_new(&self, entry: &AuditEntry) -> bool {
        entry.created >= self.settled && !self.seen.contains_key(&entry.entry_id)
    }

    /// An entry has been dealt with.
    pub(in crate::source::capture) fn done(&mut self, entry: &AuditEntry) {
        self.seen.insert(entry.entry_id.clone(), entry.created);
    }

    /// The list has been read and dealt with up to `now`, in seconds of the instance's clock: what is
    /// older than `settle` seconds is settled.
    pub(in crate::source::capture) fn read_to(&mut self, now: i64, settle: i64) {
        self.settle_before(now.saturating_sub(settle));
        while self.seen.len() > MAX_SEEN {
            let Some(oldest) = self.seen.values().min().copied() else {
                return;
            };
            self.settle_before(oldest + 1);
        }
    }

    /// All that is listed up to this second needs no dealing with.
    pub(in crate::source::capture) fn pass_over(&mut self, second: i64) {
        self.settle_before(second + 1);
    }

    fn settle_before(&mut self, second: i64) {
        if second > self.settled {
            self.settled = second;
            self.seen.retain(|_, created| *created >= second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, created: i64) -> AuditEntry {
        AuditEntry {
            entry_id: id.to_owned(),
            created,
            row_id: format!("row of {id}"),
            by: None,
            is_recovery: false,
        }
    }

    #[test]
    fn an_entry_that_comes_late_is_new_and_one_that_comes_again_is_not() {
        let mut cursor = AuditCursor::starting_at(1_000);
        assert!(!cursor.is_new(&entry("old", 999)));
        let (a, late) = (entry("a", 1_100), entry("late", 1_050));
        assert!(cursor.is_new(&a));
        cursor.done(&a);
        cursor.read_to(1_200, 600);
        assert_eq!(cursor.from(), 1_000, "nothing is settled yet");
        assert!(!cursor.is_new(&a) && cursor.is_new(&late));
        cursor.read_to(1_690, 600);
        assert_eq!(cursor.from(), 1_090);
        assert!(!cursor.is_new(&a) && !cursor.is_new(&late), "too late");
        cursor.read_to(1_800, 600);
        assert!(cursor.seen.is_empty());
        cursor.read_to(1_700, 600);
        assert_eq!(cursor.from(), 1_200, "it never goes back");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut cursor = AuditCursor::starting_at(0);
        for number in 0..30_000 {
            cursor.done(&entry(&number.to_string(), number / 10));
        }
        cursor.read_to(100, 600);
        assert_eq!((cursor.seen.len(), cursor.from()), (MAX_SEEN, 1_000));
    }
}
