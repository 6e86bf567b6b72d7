//! Why a file is not used.

use std::fmt;
use std::io;

/// Why a file is not read or written.
#[derive(Debug)]
pub(crate) enum FileFault {
    /// The operating system says no.
    Io(io::Error),
    /// It is something else, in words: "a named pipe".
    NotRegular(&'static str),
    /// It is a link, or has one, and may be another user's; in words, with what to do.
    Linked(&'static str),
    /// It has more bytes than this.
    TooLarge(u64),
}

impl FileFault {
    /// There is no file of this name.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, FileFault::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileFault::Io(error) => error.fmt(f),
            FileFault::NotRegular(kind) => write!(f, "it is {kind}, not a regular file"),
            FileFault::Linked(words) => f.write_str(words),
            FileFault::TooLarge(max) => write!(f, "it is larger than {max} bytes"),
        }
    }
}

impl From<FileFault> for io::Error {
    fn from(fault: FileFault) -> io::Error {
        match fault {
            FileFault::Io(error) => error,
            other => io::Error::other(other.to_string()),
        }
    }
}
