//! Where an interrupted comparison goes on: a file beside the checkpoint.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::report::{KnownFrom, Thoroughness};
use crate::regular_file::{self, JsonFile, is_other_content};

/// A larger file was not written by this program: 100,000 identifiers have less.
const MAX_STATE_BYTES: u64 = 64 << 20;

/// What is kept of a comparison that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ComparisonState {
    /// Instance, table, columns and query (`source::fingerprint`), and the topic.
    pub(super) fingerprint: String,
    /// How it compares.
    pub(super) thoroughness: Thoroughness,
    /// From where it knows what the topic holds.
    #[serde(default)]
    pub(super) known_from: KnownFrom,
    /// The hexadecimal identifiers between which it compares, as it was asked to.
    pub(super) slice: [Option<String>; 2],
    /// When it began, on the instance's clock.
    pub(super) begin: Option<i64>,
    /// Everything below this identifier is looked at.
    pub(super) done_below: String,
    /// Rows that were equal there.
    pub(super) equal: u64,
    /// Those of them of which only sums were compared.
    pub(super) by_sums: u64,
    /// Rows that differed there.
    pub(super) suspects: Vec<String>,
    /// Requests so far.
    pub(super) requests: u64,
}

impl ComparisonState {
    /// Whether a comparison that is begun now as `fresh` can go on from here.
    pub(super) fn is_of(&self, fresh: &ComparisonState) -> bool {
        self.fingerprint == fresh.fingerprint
            && self.thoroughness == fresh.thoroughness
            && self.known_from == fresh.known_from
            && self.slice == fresh.slice
    }
}

/// The file of one table.
#[derive(Debug)]
pub(super) struct StateFile(JsonFile);

impl StateFile {
    /// Beside the checkpoint file.
    ///
    /// # Errors
    /// Where the checkpoint's path leads cannot be told.
    pub(super) fn beside(checkpoint: &Path, table: &str) -> Result<StateFile, Error> {
        let path = resolved(checkpoint)?.with_file_name(format!("verify-{table}.json"));
        Ok(StateFile(JsonFile::of(path, MAX_STATE_BYTES)))
    }

    /// What an interrupted comparison has left.
    ///
    /// # Errors
    /// There is a file that cannot be read.
    pub(super) fn load(&self) -> Result<Option<ComparisonState>, Error> {
        match self.0.read() {
            // What is damaged is no place to go on from, and is begun anew.
            Err(error) if is_other_content(&error) => Ok(None),
            read => self.told(read),
        }
    }

    /// Keeps how far the comparison is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn save(&self, state: &ComparisonState) -> Result<(), Error> {
        self.told(self.0.write(state))
    }

    /// The comparison is over.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub(super) fn remove(&self) -> Result<(), Error> {
        self.told(self.0.remove())
    }

    fn told<T>(&self, done: io::Result<T>) -> Result<T, Error> {
        done.map_err(|error| failed(self.0.path(), &error))
    }
}

/// The checkpoint file itself, where links lead to it.
///
/// # Errors
/// Where its path leads cannot be told.
pub(super) fn resolved(checkpoint: &Path) -> Result<PathBuf, Error> {
    regular_file::resolve(checkpoint).map_err(|error| failed(checkpoint, &error))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    Error::State(format!("the state of the comparison in {path}: {error}"))
}
