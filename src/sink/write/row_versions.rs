//! The sink's half of the loop guard: tells the source which versions of rows are the sink's doing.
//!
//! A version counts as ours only if no other user's change can be in it: the source has already read
//! the version before, and ours is the very next. Where that is not certain the change comes out of
//! the source once more, which is harmless; leaving out another user's change would not be. See
//! [`crate::own_writes`].

use crate::own_writes::OwnWriteLog;
use crate::servicenow::AnswerRow;
use crate::servicenow::query::parse_time;
use crate::servicenow::table_write::RowAfterWrite;

/// The columns of a [`VersionBeforeUpdate`].
pub(super) const VERSION_COLUMNS: &str = "sys_id,sys_mod_count,sys_updated_on,sys_updated_by";

/// A row as it was before an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VersionBeforeUpdate {
    updated_on: String,
    mod_count: u64,
}

impl VersionBeforeUpdate {
    /// As it was read; `None` if a column is hidden.
    pub(super) fn of(row: &AnswerRow) -> Option<VersionBeforeUpdate> {
        Some(VersionBeforeUpdate {
            updated_on: row.text("sys_updated_on")?.to_owned(),
            mod_count: row.text("sys_mod_count")?.parse().ok()?,
        })
    }

    /// Whether the source has read this version, or it is ours as well.
    fn is_known(&self, own_writes: &OwnWriteLog, sys_id: &str) -> bool {
        parse_time(self.updated_on.as_bytes())
            .is_some_and(|updated_on| own_writes.is_known(sys_id, self.mod_count, updated_on))
    }
}

/// After an insert: a row that was never changed holds no other user's change.
pub(super) fn inserted(own_writes: &OwnWriteLog, row: &RowAfterWrite) {
    if let (Some(id), Some(0), Some(by)) = (&row.sys_id, row.mod_count, &row.updated_by) {
        own_writes.record_write(id, 0, by);
    }
}

/// After an update of the version `before`.
pub(super) fn updated(own_writes: &OwnWriteLog, before: &VersionBeforeUpdate, row: &RowAfterWrite) {
    if let (Some(id), Some(count), Some(by)) = (&row.sys_id, row.mod_count, &row.updated_by)
        && before.mod_count.checked_add(1) == Some(count)
        && before.is_known(own_writes, id)
    {
        own_writes.record_write(id, count, by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ_AT: &str = "2024-01-01 00:00:00";

    /// A log of which the source has read everything up to [`READ_AT`], or nothing.
    fn own_writes(has_read: bool) -> OwnWriteLog {
        let own_writes = OwnWriteLog::default();
        if has_read {
            // Rows count as read when a later second has been read, too.
            own_writes.record_read_to(parse_time(READ_AT.as_bytes()).unwrap() + 60);
        }
        own_writes
    }

    fn row(mod_count: Option<u64>) -> RowAfterWrite {
        RowAfterWrite {
            sys_id: Some("a".to_owned()),
            mod_count,
            updated_by: Some("me".to_owned()),
        }
    }

    #[test]
    fn only_what_is_certainly_ours() {
        let before = VersionBeforeUpdate {
            updated_on: READ_AT.to_owned(),
            mod_count: 4,
        };
        for (has_read, count, ours) in [
            (true, Some(5), true),
            (false, Some(5), false),
            (true, Some(6), false),
            (true, Some(4), false),
            (true, None, false),
        ] {
            let own_writes = own_writes(has_read);
            updated(&own_writes, &before, &row(count));
            assert_eq!(!own_writes.is_empty(), ours);
            assert_eq!(own_writes.is_own("a", 5, "me"), ours);
        }
        for (count, ours) in [(Some(0), true), (Some(1), false), (None, false)] {
            let own_writes = own_writes(true);
            inserted(&own_writes, &row(count));
            assert_eq!(!own_writes.is_empty(), ours);
            assert_eq!(own_writes.is_own("a", 0, "me"), ours);
        }
    }

    #[test]
    fn a_version_of_ours_counts_as_read() {
        let own_writes = own_writes(false);
        inserted(&own_writes, &row(Some(0)));
        let before = VersionBeforeUpdate {
            updated_on: READ_AT.to_owned(),
            mod_count: 0,
        };
        updated(&own_writes, &before, &row(Some(1)));
        assert!(own_writes.is_own("a", 1, "me"));
    }

    #[test]
    fn versions() {
        let row = |columns: &[(&'static str, &'static str)]| columns.iter().copied().collect();
        let whole = [("sys_updated_on", "x"), ("sys_mod_count", "4")];
        let version = VersionBeforeUpdate::of(&row(&whole)).unwrap();
        assert_eq!((version.updated_on.as_str(), version.mod_count), ("x", 4));
        for columns in [
            &whole[..1],
            &whole[1..],
            &[("sys_updated_on", "x"), ("sys_mod_count", "-1")],
        ] {
            assert_eq!(VersionBeforeUpdate::of(&row(columns)), None);
        }
    }
}
