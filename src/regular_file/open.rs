//! Opening and reading.
//!
//! The folder of the checkpoint belongs to the service's user, and root works in it as well: with
//! `checkpoint set`, for instance. A link that the service's user puts there must not lead root to a file of
//! root's. Where the files of a configuration are, links are the rule: Kubernetes mounts secrets by them.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::fault::FileFault;
use super::folder::{chown_like, folder_of};

/// Symbolic links in a row that Linux follows before it fails with `ELOOP` (path_resolution(7)).
const MAX_SYMLINKS: usize = 40;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// What becomes of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// Symbolic links are followed.
    Follow,
    /// Symbolic links are not followed, and a file with a second name (a hard link) is not opened.
    Refuse,
}

/// The content of a regular file.
pub(crate) struct RegularFile {
    /// What it holds, which may be a secret.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// Its mode bits.
    pub(crate) mode: u32,
}

impl RegularFile {
    /// Reads a file of at most `max` bytes, behind any symbolic links.
    pub(crate) fn read(path: &Path, max: u64) -> Result<RegularFile, FileFault> {
        let file = open(path, Access::Read, Links::Follow)?;
        let mode = file.metadata().map_err(FileFault::Io)?.mode();
        let bytes = read_up_to(&file, max)?;
        Ok(RegularFile { bytes, mode })
    }
}

/// Opens an existing file. That does not block, as it would for a named pipe that no process writes to: that
/// would hold up a start, the watcher and every reload.
pub(crate) fn open(path: &Path, access: Access, links: Links) -> Result<File, FileFault> {
    let flags = match links {
        Links::Follow => OFlags::NONBLOCK,
        Links::Refuse => OFlags::NONBLOCK | OFlags::NOFOLLOW,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(access == Access::ReadWrite)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = file.map_err(|error| match path.symlink_metadata() {
        Ok(metadata) if links == Links::Refuse && metadata.is_symlink() => FileFault::Linked(
            "it is a symbolic link, which may lead to the file of another user; remove it",
        ),
        _ => FileFault::Io(error),
    })?;
    let metadata = file.metadata().map_err(FileFault::Io)?;
    check_regular(&metadata)?;
    if links == Links::Refuse && metadata.nlink() > 1 {
        return Err(FileFault::Linked(
            "it has a second name (a hard link), so it may be the file of another user; remove it, or \
             put a copy in its place",
        ));
    }
    Ok(file)
}

pub(super) fn check_regular(metadata: &Metadata) -> Result<(), FileFault> {
    let kind = metadata.file_type();
    if kind.is_file() {
        Ok(())
    } else if kind.is_dir() {
        Err(FileFault::NotRegular("a directory"))
    } else if kind.is_fifo() {
        Err(FileFault::NotRegular("a named pipe"))
    } else if kind.is_socket() {
        Err(FileFault::NotRegular("a socket"))
    } else {
        Err(FileFault::NotRegular("a device"))
    }
}

/// The rest of an open file, which must not be more than `max` bytes.
pub(crate) fn read_up_to(file: &File, max: u64) -> Result<Zeroizing<Vec<u8>>, FileFault> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(FileFault::Io)?;
    if bytes.len() as u64 > max {
        return Err(FileFault::TooLarge(max));
    }
    Ok(bytes)
}

/// Opens the file for reading and writing, or makes it, for its owner alone; links are refused. A new one is
/// given to the owner of its folder; one that was there before keeps its owner.
pub(crate) fn open_or_create(path: &Path) -> Result<File, FileFault> {
    loop {
        match open(path, Access::ReadWrite, Links::Refuse) {
            Err(fault) if fault.is_missing() => {}
            opened => return opened,
        }
        let mut options = OpenOptions::new();
        // A new file is made: `O_EXCL` follows no link.
        options.read(true).write(true).create_new(true).mode(0o600);
        match options.open(path) {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileFault::Io(error)),
            Ok(file) => {
                let folder = fs::metadata(folder_of(path)).map_err(FileFault::Io)?;
                chown_like(&file, &folder);
                return Ok(file);
            }
        }
    }
}

/// The file behind any symbolic links; it need not exist. A link counts only when it belongs to this
/// process's user or to root: others could lead the process to files that they may not write.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                if ![0, geteuid().as_raw()].contains(&metadata.uid()) {
                    return Err(io::Error::other(
                        "it is a symbolic link of another user; give offset.file_path the file itself",
                    ));
                }
                path = folder_of(&path).join(fs::read_link(&path)?);
            }
            Ok(_) => return Ok(path),
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(path),
            Err(err) => return Err(err),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}
