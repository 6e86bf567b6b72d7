//! Why a topic could not be read, or the progress of a replay could not be kept.

use std::fmt;

use super::error::Error;

/// Why a topic could not be read, or the progress of a replay could not be kept.
#[derive(Debug)]
pub enum TopicReadError {
    /// A client could not be made, a topic is missing, or no broker answers.
    Kafka(Error),
    /// The Kafka user lacks a right.
    Forbidden {
        /// `topic t` or `consumer group g`.
        what: String,
        /// The rights to grant, in words.
        rights: &'static str,
    },
    /// Kafka refused the request; the text says why.
    Refused(String),
    /// The done records of a partition are too scattered for the metadata of one commit.
    Scattered {
        /// The partition.
        partition: i32,
        /// The lowest offset that is not done.
        base: i64,
    },
}

impl TopicReadError {
    pub(super) fn forbidden_topic(topic: &str) -> TopicReadError {
        TopicReadError::Forbidden {
            what: format!("topic {topic}"),
            rights: "Describe and Read on the topic",
        }
    }

    /// Whether there is no such topic.
    pub fn is_missing_topic(&self) -> bool {
        matches!(self, TopicReadError::Kafka(Error::MissingTopics(_)))
    }

    /// Whether the cause is in the configuration, so that the exit code says so.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            TopicReadError::Kafka(Error::Settings(_) | Error::Property(_))
        )
    }
}

impl From<Error> for TopicReadError {
    fn from(error: Error) -> TopicReadError {
        TopicReadError::Kafka(error)
    }
}

impl fmt::Display for TopicReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicReadError::Kafka(error) => error.fmt(f),
            TopicReadError::Forbidden { what, rights } => {
                write!(
                    f,
                    "kafka: not allowed to use {what}; grant the Kafka user {rights}"
                )
            }
            TopicReadError::Refused(reason) => write!(f, "kafka: {reason}"),
            TopicReadError::Scattered { partition, base } => write!(
                f,
                "kafka: the records that are done in partition {partition} are too scattered to be \
                 kept in one commit; replay or drop older ones first: the oldest is {partition}:{base}"
            ),
        }
    }
}

impl std::error::Error for TopicReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TopicReadError::Kafka(error) => Some(error),
            TopicReadError::Forbidden { .. }
            | TopicReadError::Refused(_)
            | TopicReadError::Scattered { .. } => None,
        }
    }
}
