//! What is kept of a snapshot beside the checkpoint, in one small file for each table.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::encoded_query;
use crate::control::SnapshotPart;
use crate::regular_file::{self, JsonFile};
use crate::servicenow::query::query_value_fault;
use crate::source::capture::query_state::{QueryState, read_state, write_state};

/// A larger file was not written by this program.
const MAX_SNAPSHOT_STATE_BYTES: u64 = 1 << 20;

/// A snapshot that is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotState {
    /// Instance, table, columns and query (`source::fingerprint`).
    pub(super) fingerprint: String,
    /// What it reads.
    pub(super) part: SnapshotPart,
    /// The last identifier whose row Kafka has; `None`: the first one is next.
    pub(super) after: Option<String>,
    /// Rows that were delivered.
    pub(super) rows: u64,
    /// Rows that were read, those included that were left out.
    pub(super) read: u64,
    /// Rows that are left, by the instance's count.
    pub(super) remaining: Option<u64>,
    /// It waits to be resumed.
    pub(super) is_paused: bool,
}

impl SnapshotState {
    /// Of a snapshot that begins.
    pub(super) fn of(fingerprint: &str, part: SnapshotPart) -> SnapshotState {
        SnapshotState {
            fingerprint: fingerprint.to_owned(),
            part,
            after: None,
            rows: 0,
            read: 0,
            remaining: None,
            is_paused: false,
        }
    }
}

impl QueryState for SnapshotState {
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The file of one table.
#[derive(Debug)]
pub(super) struct SnapshotStateFile(JsonFile);

impl SnapshotStateFile {
    /// Beside the checkpoint file.
    pub(super) fn beside(checkpoint: &Path, table: &str) -> SnapshotStateFile {
        let folder = regular_file::sibling(checkpoint, "", ".snapshots");
        let path = folder.join(format!("{table}.json"));
        SnapshotStateFile(JsonFile::of(path, MAX_SNAPSHOT_STATE_BYTES))
    }

    /// What is kept for this query.
    ///
    /// # Errors
    /// In words, why what is there is of no use.
    pub(super) fn read(&self, fingerprint: &str) -> Result<Option<SnapshotState>, String> {
        read_state(&self.0, fingerprint)
    }

    /// Replaces what is kept.
    ///
    /// # Errors
    /// In words, why the file cannot be written; what was there before still is.
    pub(super) fn write(&self, state: &SnapshotState) -> Result<(), String> {
        self.told(write_state(&self.0, state))
    }

    /// The snapshot is over.
    ///
    /// # Errors
    /// In words, why the file cannot be removed.
    pub(super) fn remove(&self) -> Result<(), String> {
        self.told(self.0.remove())
    }

    fn told(&self, done: io::Result<()>) -> Result<(), String> {
        let path = self.0.path().display();
        done.map_err(|error| format!("the state of the snapshot in {path}: {error}"))
    }
}

/// The part of a table that is asked for, with its query as it is joined with others: pure.
///
/// # Errors
/// In words, what is wrong with it.
pub(super) fn checked_part(part: &SnapshotPart) -> Result<SnapshotPart, String> {
    let query = part.query.as_deref().map(encoded_query).transpose();
    for id in [&part.from, &part.to].into_iter().flatten() {
        if let Some(fault) = query_value_fault(id.as_bytes()) {
            return Err(format!(
                "the identifier {id:?} cannot be asked for: {fault}"
            ));
        }
    }
    Ok(SnapshotPart {
        query: query.map_err(|fault| format!("the query {fault}"))?,
        ..part.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_would_read_other_rows_is_refused() {
        let query = |text: &str| SnapshotPart {
            query: Some(text.to_owned()),
            ..SnapshotPart::default()
        };
        let checked = checked_part(&query("^active=true^NQstate=7^EQ")).unwrap();
        assert_eq!(checked.query.unwrap(), "active=true^NQstate=7");
        // Joined with the table's own query, `OR` would ask for rows outside of it.
        for wrong in [
            "active=true^ORDERBYnumber",
            "a=b\nc",
            "ORactive=true",
            "a=b^NQORc=d",
        ] {
            assert!(checked_part(&query(wrong)).is_err(), "{wrong:?}");
        }
        let from = Some("0^NQactive=true".to_owned());
        let part = SnapshotPart {
            from,
            ..SnapshotPart::default()
        };
        assert!(checked_part(&part).is_err());
    }

    #[test]
    fn what_is_kept_is_found_again_for_the_same_query_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = SnapshotStateFile::beside(&folder.path().join("offsets.json"), "incident");
        assert_eq!(file.read("f"), Ok(None));
        let mut state = SnapshotState::of("f", SnapshotPart::default());
        state.after = Some("ab".to_owned());
        file.write(&state).unwrap();
        assert_eq!(file.read("f"), Ok(Some(state)));
        assert!(file.read("g").unwrap_err().contains("another query"));
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(file.read("f"), Ok(None));
    }
}
