//! Why the index cannot be used.

use std::fmt;
use std::path::{Path, PathBuf};

/// An index that could not be opened, read or written.
#[derive(Debug)]
pub struct IndexError {
    path: PathBuf,
    doing: &'static str,
    why: String,
    is_damaged: bool,
}

impl IndexError {
    pub(super) fn new(path: &Path, doing: &'static str, why: impl fmt::Display) -> IndexError {
        IndexError {
            path: path.to_owned(),
            doing,
            why: why.to_string(),
            is_damaged: false,
        }
    }

    pub(super) fn damaged(path: &Path, doing: &'static str, why: impl fmt::Display) -> IndexError {
        IndexError {
            is_damaged: true,
            ..IndexError::new(path, doing, why)
        }
    }
}

impl IndexError {
    /// Whether the file holds something else than this program wrote.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IndexError {
            path, doing, why, ..
        } = self;
        write!(
            f,
            "{doing} the index of delivered rows {}: {why}",
            path.display()
        )
    }
}

impl std::error::Error for IndexError {}
