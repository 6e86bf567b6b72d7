//! The errors of checkpoints, with what an operator can do about each.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why a checkpoint cannot be used or written.
#[derive(Debug)]
pub enum Error {
    /// Another process uses the file.
    Locked {
        /// The checkpoint file.
        path: PathBuf,
        /// Process id of the other one, where it left it.
        holder: Option<u32>,
    },
    /// The file is not a checkpoint. Never taken as an empty one.
    Damaged {
        /// The checkpoint file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The folder cannot be made or written.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock file cannot be made or locked.
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    Read {
        /// The checkpoint file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A place other than the file does not answer now; memory is as it was.
    Away {
        /// The place.
        place: String,
        /// Why.
        reason: String,
    },
    /// What is in a place other than the file must not be used.
    Unusable {
        /// The place.
        place: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// Another process has taken the positions over.
    TakenOver {
        /// The place.
        place: String,
        /// The other process.
        by: String,
    },
    /// The file cannot be written now; memory is as it was.
    Write {
        /// The checkpoint file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// A failed write may work next time, say after a disk was full; an error at start stays until an
    /// operator acts.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Write { .. } | Error::Away { .. })
    }

    /// The same error once more, if it says that another process has taken the positions over.
    pub(super) fn copy_taken_over(&self) -> Option<Error> {
        match self {
            Error::TakenOver { place, by } => Some(Error::TakenOver {
                place: place.clone(),
                by: by.clone(),
            }),
            _ => None,
        }
    }

    pub(super) fn locked(path: &Path, holder: Option<u32>) -> Error {
        Error::Locked {
            path: path.to_owned(),
            holder,
        }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Error {
        Error::Damaged {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    pub(super) fn folder(path: &Path, source: io::Error) -> Error {
        Error::Folder {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn lock(path: &Path, source: io::Error) -> Error {
        Error::Lock {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Error {
        Error::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Error {
        Error::Write {
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Locked { path, holder } => {
                write!(
                    f,
                    "checkpoint {} is used by another process",
                    path.display()
                )?;
                if let Some(pid) = holder {
                    write!(f, " (pid {pid})")?;
                }
                f.write_str("; stop that one first, or set another offset.file_path")
            }
            Error::Damaged { path, what } => write!(
                f,
                "checkpoint {} is damaged: {what}; restore a backup of it, or move it away and set \
                 the positions with `checkpoint set`; without the file all tables are read from \
                 the beginning",
                path.display()
            ),
            Error::Folder { path, source } => write!(
                f,
                "cannot write in the checkpoint folder {}: {source}; give the service's user write \
                 permission there, or set another offset.file_path",
                path.display()
            ),
            Error::Lock { path, source } => write!(
                f,
                "cannot lock {}: {source}; it must be a file on a file system with locks, readable \
                 and writable for the service's user",
                path.display()
            ),
            Error::Read { path, source } => write!(
                f,
                "cannot read checkpoint {}: {source}; it must be a file that the service's user \
                 can read",
                path.display()
            ),
            Error::Away { place, reason } => write!(
                f,
                "cannot use the checkpoint in {place} now: {reason}; it keeps the last position written, \
                 and another attempt follows"
            ),
            Error::Unusable { place, what } => {
                write!(f, "the checkpoint in {place} cannot be used: {what}")
            }
            Error::TakenOver { place, by } => write!(
                f,
                "another process has taken over the checkpoint in {place}: {by}; two bridges that read the \
                 same instance need an `offset.kafka_topic` each"
            ),
            Error::Write { path, source } => write!(
                f,
                "cannot write checkpoint {}: {source}; the file keeps the last position written, \
                 and the write is tried again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Locked { .. }
            | Error::Damaged { .. }
            | Error::Away { .. }
            | Error::Unusable { .. }
            | Error::TakenOver { .. } => None,
            Error::Folder { source, .. }
            | Error::Lock { source, .. }
            | Error::Read { source, .. }
            | Error::Write { source, .. } => Some(source),
        }
    }
}
