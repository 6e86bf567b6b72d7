//! The checkpoint file on disk: its lock, what it holds, and its replacement.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;
use super::lock::CheckpointLock;
use crate::regular_file::{
    self, Access, FileFault, FileReplacement, Links, existing_folder, folder_of, sibling,
};

/// A larger file was not written by this program. 16 MiB hold more than 100,000 tables.
const MAX_CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;

/// The file, locked against other processes as long as this lives.
#[derive(Debug)]
pub(super) struct CheckpointFile {
    replacement: FileReplacement,
    lock: CheckpointLock,
}

impl CheckpointFile {
    /// Makes the folder if it is missing, takes the lock, and makes sure that the folder can be
    /// written, so that a start fails and not the first write hours later.
    pub(super) fn open(path: &Path) -> Result<CheckpointFile, Error> {
        let target = regular_file::resolve(path).map_err(|source| Error::read(path, source))?;
        let folder = folder_of(&target);
        fs::create_dir_all(&folder).map_err(|source| Error::folder(&folder, source))?;
        if target.is_dir() {
            return Err(Error::read(path, ErrorKind::IsADirectory.into()));
        }
        let lock = CheckpointLock::take(&target)?;
        let replacement = FileReplacement::of(target);
        replacement
            .try_folder()
            .map_err(|source| Error::folder(&folder, source))?;
        Ok(CheckpointFile { replacement, lock })
    }

    /// The text; `None` when there is no file.
    pub(super) fn read(&self) -> Result<Option<String>, Error> {
        read(self.path())
    }

    /// The path for messages.
    pub(super) fn path(&self) -> &Path {
        self.replacement.target()
    }

    /// Replaces the text, and gives how long the disk was waited for. After an error the old text is
    /// still there, or the new one already is.
    pub(super) fn replace(&mut self, text: &str) -> Result<Duration, Error> {
        self.replace_with(|file| file.write_all(text.as_bytes()))
    }

    /// Renames the file, as its positions are kept elsewhere from now on; its new name.
    pub(super) fn set_aside(&mut self) -> Result<PathBuf, Error> {
        self.keep_lock()?;
        let aside = sibling(self.path(), "", ".imported");
        let renamed = fs::rename(self.path(), &aside);
        renamed.map_err(|source| Error::write(self.path(), source))?;
        Ok(aside)
    }

    /// Makes sure that the lock is still ours, before something beside the checkpoint is written.
    pub(super) fn keep_lock(&mut self) -> Result<(), Error> {
        if !self.lock.is_in_place() {
            // Another process may have locked a new file. Where none has, the lock is taken again.
            self.lock = CheckpointLock::take(self.path())?;
            log::warn!(checkpoint:% = self.path().display();
                "the lock file was removed or replaced while the checkpoint is in use; it is locked again");
        }
        Ok(())
    }

    /// [`CheckpointFile::replace`] with the write handed in, so that tests can make it fail.
    pub(super) fn replace_with(
        &mut self,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Duration, Error> {
        self.keep_lock()?;
        let replaced = self.replacement.replace(fill);
        replaced.map_err(|source| Error::write(self.path(), source))
    }
}

/// Finds out without changing anything whether [`CheckpointFile::open`] could make use of the path, as
/// far as that is no question of access rights. Gives the folder that is there, which `run` writes in
/// or makes further folders in.
pub(super) fn check(path: &Path) -> Result<PathBuf, Error> {
    let target = regular_file::resolve(path).map_err(|source| Error::read(path, source))?;
    if target.is_dir() {
        return Err(Error::read(path, ErrorKind::IsADirectory.into()));
    }
    let folder = folder_of(&target);
    let place = existing_folder(&target);
    if place.is_dir() {
        Ok(place)
    } else {
        Err(Error::folder(&folder, ErrorKind::NotADirectory.into()))
    }
}

/// Reads the file behind any symbolic links, without the lock: what it holds is always complete.
pub(super) fn read_unlocked(path: &Path) -> Result<Option<String>, Error> {
    read(&regular_file::resolve(path).map_err(|source| Error::read(path, source))?)
}

/// What the file holds is always complete.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let opened = regular_file::open(path, Access::Read, Links::Refuse);
    let bytes = opened.and_then(|file| regular_file::read_up_to(&file, MAX_CHECKPOINT_BYTES));
    let mut bytes = match bytes {
        Ok(bytes) => bytes,
        Err(fault) if fault.is_missing() => return Ok(None),
        Err(FileFault::TooLarge(_)) => {
            return Err(Error::damaged(path, "it is larger than 16 MiB"));
        }
        Err(fault) => return Err(Error::read(path, fault.into())),
    };
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Error::damaged(path, "it is not UTF-8 text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A second process would lock a new file, so nothing is written until the lock is ours again.
    #[test]
    fn a_lock_that_was_removed_is_taken_again_before_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.json");
        let mut file = CheckpointFile::open(&path).unwrap();
        file.replace("first").unwrap();
        fs::remove_file(folder.path().join("offsets.json.lock")).unwrap();
        let second = CheckpointFile::open(&path).unwrap();
        let error = file.replace("second").unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        drop(second);
        let deadline = Instant::now() + Duration::from_secs(10);
        // Another test that starts a program has, until its child executes it, a copy of that lock.
        while let Err(error) = file.replace("third") {
            assert!(Instant::now() < deadline, "{error}");
            std::thread::yield_now();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
        assert!(matches!(
            CheckpointFile::open(&path),
            Err(Error::Locked { .. })
        ));
    }
}
