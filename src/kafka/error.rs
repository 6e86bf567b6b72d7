//! What may go wrong when a client of Kafka is made or topics are looked up.

use std::fmt;

/// Why a client could not be made, or topics could not be looked up or created.
#[derive(Debug)]
pub enum Error {
    /// librdkafka refused the settings; the text holds no secret.
    Settings(String),
    /// `kafka.properties` sets a property on which a guarantee of the bridge rests.
    Property(String),
    /// The operating system gave no thread.
    Thread(std::io::Error),
    /// No broker answered in time.
    Unreachable {
        /// `kafka.brokers`.
        brokers: String,
        /// The last error of a connection that librdkafka reported.
        reason: String,
    },
    /// These topics do not exist.
    MissingTopics(Vec<String>),
    /// The Kafka user may not describe these topics.
    ForbiddenTopics(Vec<String>),
    /// A topic could not be created.
    CreateTopic {
        /// Its name.
        topic: String,
        /// The broker's reason.
        reason: String,
        /// Another attempt may succeed without a change.
        retryable: bool,
    },
    /// The producer has been shut down, or is being made anew after a fatal error.
    Closed,
}

impl Error {
    /// Whether another attempt may succeed although nothing was changed.
    pub fn is_retryable(&self) -> bool {
        match self {
            // A missing topic may be in the course of being created by another program.
            Error::Unreachable { .. } | Error::MissingTopics(_) => true,
            Error::CreateTopic { retryable, .. } => *retryable,
            Error::Settings(_)
            | Error::Property(_)
            | Error::Thread(_)
            | Error::ForbiddenTopics(_)
            | Error::Closed => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Settings(reason) => {
                write!(f, "kafka: librdkafka does not take the settings: {reason}")
            }
            Error::Property(name) => write!(
                f,
                "kafka.properties: `{name}` cannot be set: a guarantee rests on it"
            ),
            Error::Thread(error) => write!(f, "kafka: cannot start the polling thread: {error}"),
            Error::Unreachable { brokers, reason } => write!(
                f,
                "kafka: no answer from {brokers}: {reason}; check kafka.brokers, kafka.tls and \
                 kafka.sasl"
            ),
            Error::MissingTopics(topics) => write!(
                f,
                "kafka: no such topic: {}; create it (kafka-topics.sh --create --topic NAME), or \
                 set kafka.create_topics.enabled: true",
                topics.join(", ")
            ),
            Error::ForbiddenTopics(topics) => write!(
                f,
                "kafka: not allowed to describe topic {}; grant the Kafka user Describe and Write",
                topics.join(", ")
            ),
            Error::CreateTopic { topic, reason, .. } => {
                write!(f, "kafka: cannot create topic {topic}: {reason}")
            }
            Error::Closed => f.write_str("kafka: the producer is closed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Thread(error) => Some(error),
            Error::Settings(_)
            | Error::Property(_)
            | Error::Unreachable { .. }
            | Error::MissingTopics(_)
            | Error::ForbiddenTopics(_)
            | Error::CreateTopic { .. }
            | Error::Closed => None,
        }
    }
}
