//! Why a comparison ends early.

use std::fmt;

use crate::delivered::IndexError;
use crate::kafka::TopicReadError;
use crate::servicenow;

/// Why a comparison ends early.
#[derive(Debug)]
pub enum Error {
    /// The instance does not answer, or refuses.
    Instance(servicenow::Error),
    /// The topic cannot be read.
    Topic(TopicReadError),
    /// The local index cannot be read.
    Index(IndexError),
    /// What the instance answered is not what was asked for; in words, with what to do.
    Answer(String),
    /// What the topic holds cannot be compared; in words, with what to do.
    Unusable(String),
    /// The state of the comparison cannot be kept or read; in words.
    State(String),
    /// It was stopped. It can go on where it was.
    Stopped,
}

impl From<servicenow::Error> for Error {
    fn from(error: servicenow::Error) -> Error {
        match error {
            servicenow::Error::Stopped => Error::Stopped,
            error => Error::Instance(error),
        }
    }
}

impl From<TopicReadError> for Error {
    fn from(error: TopicReadError) -> Error {
        Error::Topic(error)
    }
}

impl From<IndexError> for Error {
    fn from(error: IndexError) -> Error {
        Error::Index(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Instance(error) => error.fmt(f),
            Error::Topic(error) => error.fmt(f),
            Error::Index(error) => write!(
                f,
                "{error}; without `--index` the whole topic is read instead"
            ),
            Error::Answer(words) | Error::Unusable(words) | Error::State(words) => {
                f.write_str(words)
            }
            Error::Stopped => f.write_str("the comparison was stopped"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Instance(error) => Some(error),
            Error::Topic(error) => Some(error),
            Error::Index(error) => Some(error),
            Error::Answer(_) | Error::Unusable(_) | Error::State(_) | Error::Stopped => None,
        }
    }
}
