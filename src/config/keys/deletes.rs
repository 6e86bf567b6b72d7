//! Keys about rows that are deleted, the same in `source` and in a table.

use std::time::Duration;

use crate::config::declare::{config_keys, words};
use crate::config::duration::secs;
use crate::config::kinds::{Words, time, up_to, word};

config_keys! {
    /// How deleted rows are found, and what becomes of them.
    pub struct DeleteConfig(inherited: DeleteConfig) {
        /// How deleted rows are found, each of which becomes a record without a value (a tombstone):
        /// none (not at all), audit (from the instance's list of deletes, at once), compare (what
        /// was delivered against the table, once each delete_compare_interval) or all (both).
        detection: DeleteDetection => inherited.detection, word(), key: "deletes",
            default: "none";

        /// Wait between two comparisons of the table with what was delivered of it.
        compare_interval: Duration => inherited.compare_interval,
            time(secs(1), secs(365 * 86_400)), key: "delete_compare_interval", default: "24h";

        /// The most deletes at one comparison, and within one hour of the list of deletes. With more,
        /// all of them wait until `deletes accept` or `deletes reject` decides. (default: the smaller
        /// of 1000 and 5 % of the rows, at least 10)
        guard: Option<u32> => inherited.guard, up_to(1_000_000_000).optional(),
            key: "delete_guard";

        /// What becomes of a row that is still there and that `query` does not find any more: keep
        /// (nothing is sent) or tombstone (as for a delete). Only a comparison sees it.
        on_leave: OnLeave => inherited.on_leave, word(), default: "keep";
    }
}

words! {
    /// `deletes`: how deleted rows are found.
    pub enum DeleteDetection {
        /// Not at all: consumers see rows only.
        None = "none",
        /// By the instance's own lists, `sys_audit_delete` and where readable `sys_audit`.
        Audit = "audit",
        /// By comparing the table with what was delivered.
        Compare = "compare",
        /// Both.
        All = "all",
    }

    /// `on_leave`: what becomes of a row that `query` does not find any more.
    pub enum OnLeave {
        /// Its record stays.
        Keep = "keep",
        /// A tombstone follows its record.
        Tombstone = "tombstone",
    }
}

impl DeleteDetection {
    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        self.word()
    }
}

impl DeleteConfig {
    /// No deletes, as the Go program.
    pub(super) const DEFAULT: DeleteConfig = DeleteConfig {
        detection: DeleteDetection::None,
        compare_interval: secs(86_400),
        guard: None,
        on_leave: OnLeave::Keep,
    };

    /// Whether deletes are looked for at all, so that records without a value come.
    pub fn is_on(&self) -> bool {
        self.detection != DeleteDetection::None
    }

    /// Whether the instance's lists of deletes are followed.
    pub fn follows_audit(&self) -> bool {
        matches!(
            self.detection,
            DeleteDetection::Audit | DeleteDetection::All
        )
    }

    /// Whether the table is compared with what was delivered.
    pub fn compares(&self) -> bool {
        matches!(
            self.detection,
            DeleteDetection::Compare | DeleteDetection::All
        )
    }
}
