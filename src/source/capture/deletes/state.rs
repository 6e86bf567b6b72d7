//! What the search for deletes keeps beside the checkpoint, in one small file for each table.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::audit_cursor::AuditCursor;
use super::guard::HourlyGuard;
use crate::regular_file::{self, JsonFile};
use crate::source::capture::query_state::{QueryState, read_state_or};

/// A larger file was not written by this program.
const MAX_DELETE_STATE_BYTES: u64 = 16 << 20;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::capture) struct DeleteState {
    /// The query it belongs to, as that of the checkpoint.
    pub(in crate::source::capture) fingerprint: String,
    /// How far `sys_audit_delete` is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::source::capture) deletes: Option<AuditCursor>,
    /// How far `sys_audit` is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::source::capture) history: Option<AuditCursor>,
    /// Deletes of the last hour of these lists.
    #[serde(default)]
    pub(in crate::source::capture) hour: HourlyGuard,
    /// Deletes of these lists up to this second (since 1970 UTC) pass: an operator has decided so.
    #[serde(default)]
    pub(in crate::source::capture) accepted_to: i64,
    /// When the last comparison ended, in seconds since 1970 of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::source::capture) compared: Option<i64>,
    /// What the last comparison has found is yet to be sent: an operator has decided so.
    #[serde(default)]
    pub(in crate::source::capture) is_accepted: bool,
    /// Deletes that wait for a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::source::capture) held: Option<HeldDeletes>,
}

impl DeleteState {
    /// Of a search that begins.
    pub(in crate::source::capture) fn of(fingerprint: &str) -> DeleteState {
        DeleteState {
            fingerprint: fingerprint.to_owned(),
            ..DeleteState::default()
        }
    }
}

impl QueryState for DeleteState {
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Deletes that wait for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::capture) struct HeldDeletes {
    /// What has found them.
    pub(in crate::source::capture) found_by: DeleteFinder,
    /// How many there are, at least.
    pub(in crate::source::capture) rows: u64,
    /// How many pass without a decision.
    pub(in crate::source::capture) limit: u64,
    /// Those of the lists: up to this second. 0 for others.
    #[serde(default)]
    pub(in crate::source::capture) to: i64,
    /// The identifiers of those that were named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(in crate::source::capture) named: BTreeSet<String>,
}

/// What finds deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::source::capture) enum DeleteFinder {
    /// The instance's lists.
    Audit,
    /// A comparison.
    Comparison,
    /// `verify --repair`, which names rows.
    Named,
}

impl DeleteFinder {
    /// The word of metrics and the log.
    pub(in crate::source::capture) fn word(self) -> &'static str {
        match self {
            DeleteFinder::Audit => "audit",
            DeleteFinder::Comparison => "compare",
            DeleteFinder::Named => "named",
        }
    }
}

/// The file of one table.
#[derive(Debug)]
pub(in crate::source::capture) struct DeleteStateFile(JsonFile);

impl DeleteStateFile {
    /// Beside the checkpoint file.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub(in crate::source::capture) fn beside(
        checkpoint: &Path,
        table: &str,
    ) -> io::Result<DeleteStateFile> {
        let folder = regular_file::sibling(checkpoint, "", ".deletes");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{table}.json"));
        Ok(DeleteStateFile(JsonFile::of(path, MAX_DELETE_STATE_BYTES)))
    }

    /// The path, for messages.
    pub(in crate::source::capture) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What is kept for this query; empty where there is nothing, or of another query. The second is why
    /// what is there is of no use.
    pub(in crate::source::capture) fn read(
        &self,
        fingerprint: &str,
    ) -> (DeleteState, Option<String>) {
        read_state_or(&self.0, DeleteState::of(fingerprint))
    }

    /// Replaces what is kept.
    ///
    /// # Errors
    /// The file cannot be written; what was there before still is.
    pub(in crate::source::capture) fn write(&self, state: &DeleteState) -> io::Result<()> {
        self.0.write(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_for_the_same_query() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("offsets.json");
        let file = DeleteStateFile::beside(&checkpoint, "incident").unwrap();
        let (mut state, fault) = file.read("f1");
        assert_eq!(fault, None);
        state.deletes = Some(AuditCursor::starting_at(1_000));
        state.held = Some(HeldDeletes {
            found_by: DeleteFinder::Comparison,
            rows: 12,
            limit: 10,
            to: 0,
            named: BTreeSet::new(),
        });
        file.write(&state).unwrap();
        assert_eq!(file.read("f1"), (state, None));
        let (empty, fault) = file.read("f2");
        assert_eq!(
            (empty.held, fault.as_deref()),
            (None, Some("it belongs to another query"))
        );
        fs::write(file.path(), "{").unwrap();
        assert!(file.read("f1").1.is_some_and(|fault| fault.contains("EOF")));
    }
}
