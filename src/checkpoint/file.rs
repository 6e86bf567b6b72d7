//! The checkpoint file on disk: lock, read, and a replacement that is atomic and durable.
//!
//! A write goes to a temporary file in the same folder, is synced, renamed over the old file, and
//! the folder is synced: after a crash or a power loss there is either the old text or the new one.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::Error;
use crate::config::folder_of;

/// A larger file was not written by this program. 16 MiB hold more than 100,000 tables.
const MAX_CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;
/// Symbolic links in a row that Linux follows before it fails with `ELOOP` (path_resolution(7)).
const MAX_SYMLINKS: usize = 40;

/// The file, locked against other processes as long as this lives.
#[derive(Debug)]
pub(super) struct CheckpointFile {
    /// The file itself, behind any symbolic links.
    target: PathBuf,
    folder: PathBuf,
    temp: PathBuf,
    _lock: File,
}

impl CheckpointFile {
    /// Makes the folder if it is missing, takes the lock, and makes sure that the folder can be
    /// written, so that a start fails and not the first write hours later.
    pub(super) fn open(path: &Path) -> Result<CheckpointFile, Error> {
        let target = resolve(path).map_err(|source| Error::read(path, source))?;
        let folder = folder_of(&target);
        fs::create_dir_all(&folder).map_err(|source| Error::folder(&folder, source))?;
        if target.is_dir() {
            return Err(Error::read(path, ErrorKind::IsADirectory.into()));
        }
        let _lock = lock(&target, &folder)?;
        let temp = folder.join(beside(&target, ".", ".bridge-new"));
        let file = CheckpointFile {
            target,
            folder,
            temp,
            _lock,
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
    pub(super) fn replace(&self, text: &str) -> Result<Duration, Error> {
        self.replace_with(|file| file.write_all(text.as_bytes()))
    }

    /// [`CheckpointFile::replace`] with the write handed in, so that tests can make it fail.
    pub(super) fn replace_with(
        &self,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Duration, Error> {
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
        match fs::metadata(&self.target) {
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
    let target = resolve(path).map_err(|source| Error::read(path, source))?;
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

/// Reads the file without the lock: what it holds is always complete.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    let file = match File::open(path) {
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

/// Locks a file beside `target`: the target itself is a new file after each rename.
fn lock(target: &Path, folder: &Path) -> Result<File, Error> {
    let path = folder.join(beside(target, "", ".lock"));
    let failed = |source| Error::lock(&path, source);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    chown_like(&file, &fs::metadata(folder).map_err(failed)?);
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
    Ok(file)
}

/// The process that works with the checkpoint `path`, as it holds the lock, and the lock file; `None`
/// when no process does.
///
/// # Errors
/// The lock file cannot be read, or names no process.
pub fn lock_holder(path: &Path) -> Result<Option<(u32, PathBuf)>, Error> {
    let target = resolve(path).map_err(|source| Error::read(path, source))?;
    let path = folder_of(&target).join(beside(&target, "", ".lock"));
    let file = match OpenOptions::new().read(true).open(&path) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::lock(&path, source)),
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

/// Only root may give files away; for others the owner is already right or cannot be helped.
fn chown_like(file: &File, like: &Metadata) {
    let ours = file
        .metadata()
        .is_ok_and(|is| is.uid() == like.uid() && is.gid() == like.gid());
    if !ours {
        fchown(file, Some(like.uid()), Some(like.gid())).ok();
    }
}

/// The file behind any symbolic links; it need not exist.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                path = folder_of(&path).join(fs::read_link(&path)?);
            }
            Ok(_) => return Ok(path),
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(path),
            Err(err) => return Err(err),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn beside(path: &Path, before: &str, after: &str) -> OsString {
    let mut name = OsString::from(before);
    name.push(path.file_name().unwrap_or_default());
    name.push(after);
    name
}
