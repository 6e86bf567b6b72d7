//! Writes a file that is not there yet.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::failure::{CommandFailure, exit_code};

/// Writes a file that is not there yet, down to the disk.
///
/// # Errors
/// It is there, or cannot be written; then none is left.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), CommandFailure> {
    let failure = |error: io::Error| {
        let words = format!("cannot write {}: {error}", path.display());
        CommandFailure::new(exit_code::TRY_AGAIN, words)
    };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(failure)?;
    let written = file.write_all(text.as_bytes());
    written.and_then(|()| file.sync_all()).map_err(|error| {
        // Half of a file is none, and would keep the next try from writing it.
        fs::remove_file(path).ok();
        failure(error)
    })
}
