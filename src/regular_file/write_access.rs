//! Who may write a file of the configuration.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

use super::fault::FileFault;
use super::open::{RegularFile, check_regular};

/// What follows from who may write a file of the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WriteAccess {
    /// Not every user of the machine.
    Restricted,
    /// Every user: worth a warning, in these words.
    Doubtful(String),
    /// Every user, and this process is root, so that each of them could tell root what to do.
    Refused(String),
}

impl RegularFile {
    /// Who may write the file.
    pub(crate) fn write_access(&self) -> WriteAccess {
        write_access(self.mode, geteuid().is_root())
    }
}

/// Looks at a file that another library reads. Gives who may write it.
pub(crate) fn look(path: &Path) -> Result<WriteAccess, FileFault> {
    let metadata = fs::metadata(path).map_err(FileFault::Io)?;
    check_regular(&metadata)?;
    Ok(write_access(metadata.mode(), geteuid().is_root()))
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
