//! How files are read that the configuration is made of: regular files alone, up to a bound, and
//! without waiting.

use std::fmt;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// The content of a regular file.
pub(crate) struct RegularFile {
    /// What it holds, which may be a secret.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// Its mode bits.
    pub(super) mode: u32,
}

/// Why a file is not read.
#[derive(Debug)]
pub(crate) enum FileFault {
    /// The operating system says no.
    Io(io::Error),
    /// It is something else, in words: "a named pipe".
    NotRegular(&'static str),
    /// It has more bytes than this.
    TooLarge(u64),
}

impl RegularFile {
    /// Reads a file of at most `max` bytes. The opening does not block, as it would for a named pipe
    /// that no process writes to: that would hold up a start, the watcher and every reload.
    pub(crate) fn read(path: &Path, max: u64) -> Result<RegularFile, FileFault> {
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(path)
            .map_err(FileFault::Io)?;
        let metadata = file.metadata().map_err(FileFault::Io)?;
        check_regular(&metadata)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(FileFault::Io)?;
        if bytes.len() as u64 > max {
            return Err(FileFault::TooLarge(max));
        }
        let mode = metadata.mode();
        Ok(RegularFile { bytes, mode })
    }

    /// Who may write the file.
    pub(super) fn write_access(&self) -> WriteAccess {
        write_access(self.mode, rustix::process::geteuid().is_root())
    }
}

/// Looks at a file that another library reads. Gives who may write it.
pub(super) fn look(path: &Path) -> Result<WriteAccess, FileFault> {
    let metadata = std::fs::metadata(path).map_err(FileFault::Io)?;
    check_regular(&metadata)?;
    let is_root = rustix::process::geteuid().is_root();
    Ok(write_access(metadata.mode(), is_root))
}

fn check_regular(metadata: &Metadata) -> Result<(), FileFault> {
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

/// What follows from who may write a file of the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WriteAccess {
    /// Not every user of the machine.
    Restricted,
    /// Every user: worth a warning, in these words.
    Doubtful(String),
    /// Every user, and this process is root, so that each of them could tell root what to do.
    Refused(String),
}

fn write_access(mode: u32, is_root: bool) -> WriteAccess {
    if mode & 0o002 == 0 {
        return WriteAccess::Restricted;
    }
    let mode = mode & 0o7777;
    let words = format!("everybody on this machine may write it (mode {mode:04o})");
    if is_root {
        WriteAccess::Refused(format!(
            "{words}, and this process runs as root, which then does what they wrote; \
             `chmod o-w` it"
        ))
    } else {
        WriteAccess::Doubtful(format!("{words}; `chmod o-w` it"))
    }
}

impl FileFault {
    /// There is no file of this name.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, FileFault::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileFault::Io(error) => error.fmt(f),
            FileFault::NotRegular(kind) => write!(f, "it is {kind}, not a regular file"),
            FileFault::TooLarge(max) => write!(f, "it is larger than {max} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_every_user_may_write_is_doubtful_and_for_root_refused() {
        for mode in [0o600, 0o644, 0o664, 0o100_640] {
            for is_root in [false, true] {
                assert_eq!(write_access(mode, is_root), WriteAccess::Restricted);
            }
        }
        for mode in [0o602, 0o666, 0o100_777] {
            assert!(matches!(
                write_access(mode, false),
                WriteAccess::Doubtful(words) if words.contains("chmod o-w")
            ));
            assert!(matches!(
                write_access(mode, true),
                WriteAccess::Refused(words) if words.contains("root")
            ));
        }
    }
}
