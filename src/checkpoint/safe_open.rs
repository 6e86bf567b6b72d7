//! Opening files in a folder that another user may write to.
//!
//! The folder of the checkpoint belongs to the service's user, and root works in it as well: with
//! `checkpoint set`, for instance. A link that the service's user puts there must not lead root to a
//! file of root's.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::{fs, iter};

use rustix::fs::OFlags;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::config::folder_of;

/// Symbolic links in a row that Linux follows before it fails with `ELOOP` (path_resolution(7)).
const MAX_SYMLINKS: usize = 40;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    ReadWrite,
}

/// Opens an existing file that is a regular one with this name alone; neither a symbolic link nor a
/// FIFO is waited for or followed.
///
/// # Errors
/// It is not there, is not such a file, or cannot be opened.
pub(super) fn open(path: &Path, access: Access) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .write(access == Access::ReadWrite)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = file.map_err(|error| match path.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => io::Error::other(
            "it is a symbolic link, which may lead to the file of another user; remove it",
        ),
        _ => error,
    })?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file; remove it"));
    }
    if metadata.nlink() > 1 {
        return Err(io::Error::other(
            "it has a second name (a hard link), so it may be the file of another user; remove it, or \
             put a copy in its place",
        ));
    }
    Ok(())
}

/// Opens the file for reading and writing, or makes it, for its owner alone. A new one is given to the
/// owner of `folder`; one that was there before keeps its owner.
pub(super) fn open_or_create(path: &Path, folder: &Path) -> io::Result<File> {
    loop {
        match open(path, Access::ReadWrite) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        let mut options = OpenOptions::new();
        // A new file is made: `O_EXCL` follows no link.
        options.read(true).write(true).create_new(true).mode(0o600);
        match options.open(path) {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                chown_like(&file, &fs::metadata(folder)?);
                return Ok(file);
            }
        }
    }
}

/// Only root may give files away; for others the owner is already right or cannot be helped.
pub(super) fn chown_like(file: &File, like: &Metadata) {
    let ours = file
        .metadata()
        .is_ok_and(|is| is.uid() == like.uid() && is.gid() == like.gid());
    if !ours {
        fchown(file, Some(like.uid()), Some(like.gid())).ok();
    }
}

/// The file behind any symbolic links; it need not exist. A link counts only when it belongs to this
/// process's user or to root: others could lead the process to files that they may not write.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
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

/// Gives up root's rights for good, on this thread and those it starts: it goes on as the owner of the
/// folder of `path`, or of the first folder above it that exists. So a command of root's leaves files
/// that the service can use, and can change nothing that the service could not.
///
/// Does nothing for other users.
///
/// # Errors
/// The kernel refuses it.
pub fn become_folder_owner(path: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let folder = folder_of(path);
    let parents = iter::successors(Some(folder), |folder| {
        let parent = folder_of(folder);
        (parent != *folder).then_some(parent)
    });
    let Some(owner) = parents.into_iter().find_map(|it| fs::metadata(it).ok()) else {
        return Ok(());
    };
    if owner.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    // The groups first: only root may change them.
    set_thread_groups(&[gid])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}
