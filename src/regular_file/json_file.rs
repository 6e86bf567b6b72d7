//! A small file of JSON that is replaced as a whole, such as what a task keeps of its progress.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::open::{Access, Links, open, read_up_to};
use super::replacement::FileReplacement;

/// The file, in a folder of the service.
#[derive(Debug)]
pub(crate) struct JsonFile {
    replacement: FileReplacement,
    /// A larger file was not written by this program.
    max_bytes: u64,
}

impl JsonFile {
    /// At this path, of this many bytes at most. Nothing is touched yet.
    pub(crate) fn of(path: PathBuf, max_bytes: u64) -> JsonFile {
        JsonFile {
            replacement: FileReplacement::of(path),
            max_bytes,
        }
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        self.replacement.target()
    }

    /// What it holds; `None`: there is no file.
    ///
    /// # Errors
    /// It cannot be read, or holds something else; see [`is_other_content`].
    pub(crate) fn read<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        let opened = open(self.path(), Access::Read, Links::Refuse);
        match opened.and_then(|file| read_up_to(&file, self.max_bytes)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(fault) if fault.is_missing() => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Replaces what it holds.
    ///
    /// # Errors
    /// It cannot be written; what was there before still is.
    pub(crate) fn write<T: Serialize>(&self, value: &T) -> io::Result<()> {
        let text = serde_json::to_vec(value)?;
        let replaced = self.replacement.replace(|file| file.write_all(&text));
        replaced.map(drop)
    }

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether a file could be read and holds something else than was expected.
pub(crate) fn is_other_content(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|cause| cause.is::<serde_json::Error>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_other_content_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = JsonFile::of(folder.path().join("state.json"), 9);
        assert_eq!(file.read::<Vec<u8>>().unwrap(), None);
        file.write(&[1, 2]).unwrap();
        assert_eq!(file.read().unwrap(), Some(vec![1_u8, 2]));
        for (text, is_other) in [("{", true), ("\"text\"", true), ("[1,2,3,4,5]", false)] {
            fs::write(file.path(), text).unwrap();
            let error = file.read::<Vec<u8>>().unwrap_err();
            assert_eq!(is_other_content(&error), is_other, "{text}: {error}");
        }
        file.remove().unwrap();
        file.remove().unwrap();
    }
}
