//! The folder of a file, what stands beside the file in it, and whose it is.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// The folder that holds the file `path`; `.` for a bare file name.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// What exists of that folder: it, or the first one above it.
pub(crate) fn existing_folder(path: &Path) -> PathBuf {
    let folder = folder_of(path);
    let existing = folder.ancestors().find(|it| it.exists());
    // Of a relative path nothing but the working directory is left.
    existing.unwrap_or(Path::new(".")).to_owned()
}

/// The path of a file in the same folder, whose name has something before and behind it.
pub(crate) fn sibling(path: &Path, before: &str, behind: &str) -> PathBuf {
    let mut name = OsString::from(before);
    name.push(path.file_name().unwrap_or_default());
    name.push(behind);
    folder_of(path).join(name)
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

/// Gives up root's rights for good, on this thread and those it starts: it goes on as the owner of the
/// folder of `path`, or of the first folder above it that exists. So a command of root's leaves files
/// that the service can use, and can change nothing that the service could not.
///
/// Does nothing for other users.
///
/// # Errors
/// The kernel refuses it.
pub(crate) fn become_folder_owner(path: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let Ok(owner) = fs::metadata(existing_folder(path)) else {
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
