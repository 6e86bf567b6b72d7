//! Small files in which a task keeps how far it is with a query, so that it goes on there after a restart.

use std::fs;
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::regular_file::JsonFile;

/// What is kept, which is of no use to another query.
pub(super) trait QueryState: Serialize + DeserializeOwned {
    /// Instance, table, columns and query (`source::fingerprint`).
    fn fingerprint(&self) -> &str;
}

/// What a file keeps for the query of this fingerprint.
///
/// # Errors
/// In words, why what is there is of no use.
pub(super) fn read_state<T: QueryState>(
    file: &JsonFile,
    fingerprint: &str,
) -> Result<Option<T>, String> {
    match file.read::<T>() {
        Ok(Some(state)) if state.fingerprint() != fingerprint => {
            Err("it belongs to another query".to_owned())
        }
        Ok(state) => Ok(state),
        Err(error) => Err(error.to_string()),
    }
}

/// What a file keeps for the query of `fresh`, and `fresh` where there is nothing. The second is why what is there
/// is of no use.
pub(super) fn read_state_or<T: QueryState>(file: &JsonFile, fresh: T) -> (T, Option<String>) {
    match read_state(file, fresh.fingerprint()) {
        Ok(state) => (state.unwrap_or(fresh), None),
        Err(why) => (fresh, Some(why)),
    }
}

/// Replaces what a file keeps; makes its folder first.
///
/// # Errors
/// The file cannot be written; what was there before still is.
pub(super) fn write_state(file: &JsonFile, state: &impl QueryState) -> io::Result<()> {
    let folder = file.path().parent();
    folder.map_or(Ok(()), fs::create_dir_all)?;
    file.write(state)
}
