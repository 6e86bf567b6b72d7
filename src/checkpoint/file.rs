//! The checkpoint file on disk: lock, read, and a replacement that is atomic and durable.
//!
//! A write goes to a temporary file in the same folder, is synced, renamed over the old file, and
//! the folder is synced: after a crash or a power loss there is either the old text or the new one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::Error;
use super::lock::CheckpointLock;
use super::safe_open::{self, Access, chown_like};
use crate::config::folder_of;

/// A larger file was not written by this program. 16 MiB hold more than 100,000 tables.
const MAX_CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;

/// The file, locked against other processes as long as this lives.
#[derive(Debug)]
pub(super) struct CheckpointFile {
    /// The file itself, behind any symbolic links.
    target: PathBuf,
    folder: PathBuf,
    temp: PathBuf,
    lock: CheckpointLock,
}

impl CheckpointFile {
    /// Makes the folder if it is missing, takes the lock, and makes sure that the folder can be
    /// written, so that a start fails and not the first write hours later.
    pub(super) fn open(path: &Path) -> Result<CheckpointFile, Error> {
        let target = safe_open::resolve(path).map_err(|source| Error::read(path, source))?;
        let folder = folder_of(&target);
        fs::create_dir_all(&folder).map_err(|source| Error::folder(&folder, source))?;
        if target.is_dir() {
            return Err(Error::read(path, ErrorKind::IsADirectory.into()));
        }
        let lock = CheckpointLock::take(&target)?;
        let file = CheckpointFile {
            temp: temp_path(&target),
            target,
            folder,
            lock,
        };
        // Also removes what a killed predecessor left behind.
        file.create_temp()
            .and_then(|_| fs::remove_file(&file.temp))
            .map_err(|source| Error::folder(&file.folder, source))?;
        Ok(file)
    }

    /// The text; `None` when there is no file.
    pub(super) fn read(&self) -> Result<Option<String>, Error> {
        read(&self.target)
    }

    /// The path for messages.
    pub(super) fn path(&self) -> &Path {
        &self.target
    }

    /// Replaces the text, and gives how long the disk was waited for. After an error the old text is
    /// still there, or the new one already is.
    pub(super) fn replace(&mut self, text: &str) -> Result<Duration, Error> {
        self.replace_with(|file| file.write_all(text.as_bytes()))
    }

    /// [`CheckpointFile::replace`] with the write handed in, so that tests can make it fail.
    pub(super) fn replace_with(
        &mut self,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Duration, Error> {
        if !self.lock.is_in_place() {
            // Another process may have locked a new file. Where none has, the lock is taken again.
            self.lock = CheckpointLock::take(&self.target)?;
            log::warn!(checkpoint:% = self.target.display();
                "the lock file was removed or replaced while the checkpoint is in use; it is locked again");
        }
        let filled = self.create_temp().and_then(|mut temp| {
            self.take_over(&temp)?;
            fill(&mut temp)?;
            let begin = Instant::now();
            temp.sync_all()?;
            let waited = begin.elapsed();
            fs::rename(&self.temp, &self.target)?;
            Ok(waited)
        });
        let waited = filled.map_err(|source| {
            // A full disk must not be kept full by our half; the next write tries again anyway.
            fs::remove_file(&self.temp).ok();
            Error::write(&self.target, source)
        })?;
        let begin = Instant::now();
        match File::open(&self.folder).and_then(|folder| folder.sync_all()) {
            // Some network file systems cannot sync a folder.
            Err(err) if matches!(err.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {}
            done => done.map_err(|source| Error::write(&self.target, source))?,
        }
        Ok(waited + begin.elapsed())
    }

    /// A new, empty temporary file; an old one is removed. The name is fixed, as the lock lets
    /// only one process write.
    fn create_temp(&self) -> io::Result<File> {
        match fs::remove_file(&self.temp) {
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.temp)
    }

    /// Gives the temporary file mode and owner of the file it will replace. When root edits a
    /// checkpoint, the service must still be able to read it.
    fn take_over(&self, temp: &File) -> io::Result<()> {
        match fs::symlink_metadata(&self.target) {
            Ok(old) => {
                chown_like(temp, &old);
                temp.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))
            }
            Err(err) if err.kind() == ErrorKind::NotFound => {
                chown_like(temp, &fs::metadata(&self.folder)?);
                Ok(())
            }
            Err(err) => Err(err),
        }
    }
}

/// Finds out without changing anything whether [`CheckpointFile::open`] could make use of the path, as
/// far as that is no question of access rights. Gives the folder that is there, which `run` writes in
/// or makes further folders in.
pub(super) fn check(path: &Path) -> Result<PathBuf, Error> {
    let target = safe_open::resolve(path).map_err(|source| Error::read(path, source))?;
    if target.is_dir() {
        return Err(Error::read(path, ErrorKind::IsADirectory.into()));
    }
    let folder = folder_of(&target);
    let existing = folder.ancestors().find(|it| it.exists());
    match existing {
        Some(place) if !place.is_dir() => {
            Err(Error::folder(&folder, ErrorKind::NotADirectory.into()))
        }
        // Of a relative path nothing but the working directory is left.
        place => Ok(place.unwrap_or(Path::new(".")).to_owned()),
    }
}

/// Reads the file behind any symbolic links, without the lock: what it holds is always complete.
pub(super) fn read_unlocked(path: &Path) -> Result<Option<String>, Error> {
    read(&safe_open::resolve(path).map_err(|source| Error::read(path, source))?)
}

/// What the file holds is always complete.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let file = match safe_open::open(path, Access::Read) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::read(path, source)),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_CHECKPOINT_BYTES + 1).read_to_end(&mut bytes);
    let length = read.map_err(|source| Error::read(path, source))?;
    if u64::try_from(length).unwrap_or(u64::MAX) > MAX_CHECKPOINT_BYTES {
        return Err(Error::damaged(path, "it is larger than 16 MiB"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Error::damaged(path, "it is not UTF-8 text")),
    }
}

/// A name in the same folder: hidden, as the file is there for an instant only.
fn temp_path(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".bridge-new");
    folder_of(target).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
