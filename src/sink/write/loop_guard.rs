//! The loop guard: tells the source which versions of rows are our own doing.
//!
//! A version counts as ours only if nobody else's change can be in it: the one before was already
//! read by the source, and ours is the very next. Where that is not certain the change comes out of
//! the source once more, which is harmless; a change of somebody else that is left out is not.

use serde_json::Value;

use super::WriteOutcomeRow;
use crate::servicenow::table_write::stored_text;

/// The columns of a [`VersionBeforeUpdate`].
pub(super) const VERSION_COLUMNS: &str = "sys_id,sys_mod_count,sys_updated_on,sys_updated_by";

/// What keeps the source from sending our own changes back.
pub trait LoopGuard: Send + Sync {
    /// Whether the source has read the row's version of this time (as the instance writes it) and
    /// `mod_count`.
    fn seen(&self, updated_on: &str, mod_count: u64, sys_id: &str) -> bool;
    /// This version of the row is our doing alone.
    fn wrote(&self, sys_id: &str, mod_count: u64, updated_by: &str);
}

/// A row as it was before an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VersionBeforeUpdate {
    updated_on: String,
    mod_count: u64,
}

impl VersionBeforeUpdate {
    /// As it was read; `None` if a column is hidden.
    pub(super) fn of(row: &Value) -> Option<VersionBeforeUpdate> {
        Some(VersionBeforeUpdate {
            updated_on: stored_text(row, "sys_updated_on")?,
            mod_count: stored_text(row, "sys_mod_count")?.parse().ok()?,
        })
    }
}

/// After an insert: nobody else has changed a row that was never changed.
pub(super) fn inserted(guard: &dyn LoopGuard, row: &WriteOutcomeRow) {
    if let (Some(id), Some(0), Some(by)) = (&row.sys_id, row.mod_count, &row.updated_by) {
        guard.wrote(id, 0, by);
    }
}

/// After an update of the version `before`.
pub(super) fn updated(guard: &dyn LoopGuard, before: &VersionBeforeUpdate, row: &WriteOutcomeRow) {
    if let (Some(id), Some(count), Some(by)) = (&row.sys_id, row.mod_count, &row.updated_by)
        && before.mod_count.checked_add(1) == Some(count)
        && guard.seen(&before.updated_on, before.mod_count, id)
    {
        guard.wrote(id, count, by);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Source {
        has_seen: bool,
        wrote: Mutex<Vec<(String, u64, String)>>,
    }

    impl LoopGuard for Source {
        fn seen(&self, updated_on: &str, mod_count: u64, sys_id: &str) -> bool {
            assert_eq!(
                (updated_on, mod_count, sys_id),
                ("2024-01-01 00:00:00", 4, "a")
            );
            self.has_seen
        }

        fn wrote(&self, sys_id: &str, mod_count: u64, updated_by: &str) {
            let version = (sys_id.to_owned(), mod_count, updated_by.to_owned());
            self.wrote.lock().unwrap().push(version);
        }
    }

    fn wrote(has_seen: bool, run: impl Fn(&Source)) -> usize {
        let source = Source {
            has_seen,
            wrote: Mutex::default(),
        };
        run(&source);
        source.wrote.lock().unwrap().len()
    }

    fn row(mod_count: Option<u64>) -> WriteOutcomeRow {
        WriteOutcomeRow {
            sys_id: Some("a".to_owned()),
            mod_count,
            updated_by: Some("me".to_owned()),
        }
    }

    #[test]
    fn only_what_is_certainly_ours() {
        let before = VersionBeforeUpdate {
            updated_on: "2024-01-01 00:00:00".to_owned(),
            mod_count: 4,
        };
        for (seen, count, ours) in [
            (true, Some(5), 1),
            (false, Some(5), 0),
            (true, Some(6), 0),
            (true, Some(4), 0),
            (true, None, 0),
        ] {
            let after = row(count);
            assert_eq!(wrote(seen, |source| updated(source, &before, &after)), ours);
        }
        for (count, ours) in [(Some(0), 1), (Some(1), 0), (None, 0)] {
            assert_eq!(wrote(true, |source| inserted(source, &row(count))), ours);
        }
    }

    #[test]
    fn versions() {
        let row = serde_json::json!({"sys_updated_on": "x", "sys_mod_count": "4"});
        let version = VersionBeforeUpdate::of(&row).unwrap();
        assert_eq!((version.updated_on.as_str(), version.mod_count), ("x", 4));
        for row in [
            serde_json::json!({"sys_updated_on": "x"}),
            serde_json::json!({"sys_mod_count": "4"}),
            serde_json::json!({"sys_updated_on": "x", "sys_mod_count": "-1"}),
        ] {
            assert_eq!(VersionBeforeUpdate::of(&row), None);
        }
    }
}
