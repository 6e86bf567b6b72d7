//! Why a topic could not be read.

use std::fmt;

use crate::kafka::Error;

/// Why a topic could not be read or its marks not be kept.
#[derive(Debug)]
pub enum TopicReadError {
    /// As for the producer.
    Kafka(Error),
    /// The user lacks a right.
    Forbidden {
        /// `topic t` or `consumer group g`.
        what: String,
        /// What to grant.
        rights: &'static str,
    },
    /// Kafka said no.
    Refused(String),
    /// The done records of a partition are too scattered to be kept.
    Scattered {
        /// The partition.
        partition: i32,
        /// The lowest offset that is not done.
        base: i64,
    },
}

impl TopicReadError {
    pub(in crate::kafka) fn forbidden_topic(topic: &str) -> TopicReadError {
        TopicReadError::Forbidden {
            what: format!("topic {topic}"),
            rights: "Describe and Read on the topic",
        }
    }

    /// Whether the configuration is to blame.
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
