//! Kafka: the producer, its topics, and what may go wrong with them.
//!
//! librdkafka does the protocol. Nothing of it leaves this module: callers see [`Producer`],
//! [`ProducerRecord`], [`RecordHeaders`], [`Batch`] and the errors.

mod batch;
mod broker_health;
mod client_context;
mod client_settings;
mod consumer;
mod consumer_record;
pub(crate) mod offset_set;
mod producer;
mod queue_drain;
pub(crate) mod read_error;
pub(crate) mod reader_client;
mod record_headers;
mod replay_progress;
mod topic_admin;
mod topic_reader;

use std::fmt;

use rdkafka::message::{Header, OwnedHeaders};

pub use self::batch::{Batch, DeliveryError};
pub use self::consumer::{Consumer, PollResult, RebalanceListener, StartPosition, TopicPartition};
pub use self::consumer_record::ConsumerRecord;
pub use self::producer::{Producer, SendError};
pub use self::replay_progress::ReplayProgress;
pub use self::topic_admin::TopicInfo;
pub use self::topic_reader::{TopicReadError, TopicReader};

/// One record to produce. The bytes are copied when it is enqueued.
#[derive(Debug, Clone, Copy)]
pub struct ProducerRecord<'a> {
    /// Topic to produce to.
    pub topic: &'a str,
    /// Decides the partition by murmur2; without one the partition is random.
    pub key: Option<&'a [u8]>,
    /// The body; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Sent along, the same for each record of a table.
    pub headers: &'a RecordHeaders,
}

/// Record headers, made once per table and copied into each record by librdkafka.
#[derive(Debug, Clone, Default)]
pub struct RecordHeaders(Option<OwnedHeaders>);

impl RecordHeaders {
    /// Headers in the given order; names may repeat.
    pub fn new(headers: &[(&str, &[u8])]) -> RecordHeaders {
        if headers.is_empty() {
            return RecordHeaders(None);
        }
        let empty = OwnedHeaders::new_with_capacity(headers.len());
        let add = |list: OwnedHeaders, &(key, value): &(&str, &[u8])| {
            let value = Some(value);
            list.insert(Header { key, value })
        };
        RecordHeaders(Some(headers.iter().fold(empty, add)))
    }

    /// The copy that a record takes with it.
    fn copy(&self) -> Option<OwnedHeaders> {
        self.0.clone()
    }
}

/// Why the producer could not be made or its topics not be used.
#[derive(Debug)]
pub enum Error {
    /// librdkafka refused the settings; the text holds no secret.
    Settings(String),
    /// A property of `kafka.properties` that a guarantee rests on.
    Property(String),
    /// A thread could not be started.
    Thread(std::io::Error),
    /// No broker answered in time.
    Unreachable {
        /// `kafka.brokers`.
        brokers: String,
        /// What librdkafka said last.
        reason: String,
    },
    /// Topics that do not exist.
    MissingTopics(Vec<String>),
    /// Topics that the user may not see or describe.
    ForbiddenTopics(Vec<String>),
    /// A topic could not be created.
    CreateTopic {
        /// Its name.
        topic: String,
        /// The broker's reason.
        reason: String,
        /// Whether another attempt may help.
        retryable: bool,
    },
    /// The producer has been shut down, or is being made anew after a fatal error.
    Closed,
}

impl Error {
    /// Whether another attempt may help without somebody changing something.
    pub fn is_retryable(&self) -> bool {
        match self {
            // A missing topic is often being created at this moment by somebody else.
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
            Error::Settings(reason) => write!(f, "kafka: cannot make a producer: {reason}"),
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
