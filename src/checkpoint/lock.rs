//! The lock of a checkpoint: a file beside it, as the checkpoint itself is a new file after each write.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::regular_file::{self, Access, Links, sibling};

/// The lock, held as long as this lives.
#[derive(Debug)]
pub(super) struct CheckpointLock {
    file: File,
    path: PathBuf,
}

impl CheckpointLock {
    /// Locks the file beside `target`.
    ///
    /// # Errors
    /// Another process holds the lock, or the file cannot be made or locked.
    pub(super) fn take(target: &Path) -> Result<CheckpointLock, Error> {
        let path = lock_path(target);
        let failed = |source| Error::lock(&path, source);
        let mut file = regular_file::open_or_create(&path).map_err(|fault| failed(fault.into()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::locked(target, holder(&file))),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // The number only completes the message of `Error::Locked`. The file stays when we end: removing it would let a
        // third process lock a new file while a second one holds the old.
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(pid.as_bytes()))
            .ok();
        let lock = CheckpointLock { file, path };
        // A file that was removed between its opening and its locking keeps no process away.
        if lock.is_in_place() {
            Ok(lock)
        } else {
            Err(Error::locked(target, None))
        }
    }

    /// Whether the file that is locked is still the one that another process would lock. It is not once
    /// it was removed or another was put in its place.
    pub(super) fn is_in_place(&self) -> bool {
        let (held, there) = (self.file.metadata(), fs::symlink_metadata(&self.path));
        match (held, there) {
            (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }
}

/// The process that works with the checkpoint `path`, as it holds the lock, and the lock file; `None`
/// when no process does.
///
/// # Errors
/// The lock file cannot be read, or names no process.
pub fn lock_holder(path: &Path) -> Result<Option<(u32, PathBuf)>, Error> {
    let target = regular_file::resolve(path).map_err(|source| Error::read(path, source))?;
    let path = lock_path(&target);
    let file = match regular_file::open(&path, Access::Read, Links::Refuse) {
        Ok(file) => file,
        Err(fault) if fault.is_missing() => return Ok(None),
        Err(fault) => return Err(Error::lock(&path, fault.into())),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => match holder(&file) {
            Some(pid) => Ok(Some((pid, path))),
            None => Err(Error::lock(&path, io::Error::other("it names no process"))),
        },
        Err(TryLockError::Error(source)) => Err(Error::lock(&path, source)),
    }
}

/// The process id in a lock file; `None` when it cannot be read or is no number.
fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn lock_path(target: &Path) -> PathBuf {
    sibling(target, "", ".lock")
}
