//! How far a content cycle is, kept beside the checkpoint in one small file for each table.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::regular_file::{self, JsonFile};
use crate::source::capture::query_state::{QueryState, read_state_or, write_state};

/// A larger file was not written by this program.
const MAX_CONTENT_STATE_BYTES: u64 = 1 << 20;

/// Times are in seconds since 1970 of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContentState {
    /// Instance, table, columns and query (`source::fingerprint`).
    pub(super) fingerprint: String,
    /// When the cycle began; `None`: the first one is to begin.
    pub(super) began: Option<i64>,
    /// Every row of it was read.
    pub(super) is_over: bool,
    /// The last identifier that was read; `None`: the first one is next.
    pub(super) after: Option<String>,
    /// Rows that were read.
    pub(super) read: u64,
    /// Rows that are left, by the instance's count.
    pub(super) remaining: Option<u64>,
    /// Rows that differed, and that Kafka has.
    pub(super) sent: u64,
    /// When the last cycle ended.
    pub(super) ended: Option<i64>,
}

impl QueryState for ContentState {
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The file of one table.
#[derive(Debug)]
pub(super) struct ContentStateFile(JsonFile);

impl ContentStateFile {
    /// Beside the checkpoint file.
    pub(super) fn beside(checkpoint: &Path, table: &str) -> ContentStateFile {
        let folder = regular_file::sibling(checkpoint, "", ".content");
        let path = folder.join(format!("{table}.json"));
        ContentStateFile(JsonFile::of(path, MAX_CONTENT_STATE_BYTES))
    }

    /// What is kept for this query; a cycle that is to begin where there is nothing. The second is why what is
    /// there is of no use.
    pub(super) fn read(&self, fingerprint: &str) -> (ContentState, Option<String>) {
        let fresh = ContentState {
            fingerprint: fingerprint.to_owned(),
            ..ContentState::default()
        };
        read_state_or(&self.0, fresh)
    }

    /// Replaces what is kept.
    ///
    /// # Errors
    /// The file cannot be written; what was there before still is.
    pub(super) fn write(&self, state: &ContentState) -> io::Result<()> {
        write_state(&self.0, state)
    }

    /// The path, for messages.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_for_the_same_query() {
        let folder = tempfile::tempdir().unwrap();
        let file = ContentStateFile::beside(&folder.path().join("offsets.json"), "incident");
        let (mut state, fault) = file.read("f");
        assert_eq!((state.began, fault), (None, None));
        state.began = Some(1_000);
        state.after = Some("ab".to_owned());
        file.write(&state).unwrap();
        assert_eq!(file.read("f"), (state, None));
        let (other, fault) = file.read("g");
        assert_eq!(other.after, None);
        assert!(fault.is_some_and(|fault| fault.contains("another query")));
    }
}
