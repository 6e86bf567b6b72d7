//! The checked `sink` section.

use std::time::Duration;

use super::{SinkFormat, SinkKeyFormat};

/// `sink`: Kafka topics to ServiceNow tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// Whether topics are consumed.
    pub enabled: bool,
    /// Topics and the tables they are written to; no topic twice.
    pub topics: Vec<SinkTopicConfig>,
    /// `concurrency`: for topics without their own.
    pub concurrency: u32,
    /// Dead letter topic.
    pub dlq_topic: Option<String>,
    /// Consumer group.
    pub group_id: String,
    /// False: a record that cannot be written holds its partition, whatever `dlq_topic` says.
    pub commit_on_partial_failure: bool,
    /// `on_error`: what becomes of a record that cannot be written, without a dead letter topic.
    pub on_error: OnError,
    /// `retry_for`: how long trouble of the instance is waited out for a record; `None` is without
    /// end.
    pub retry_for: Option<Duration>,
    /// `record_retry_for`: how long a record is tried that fails while others succeed.
    pub record_retry_for: Duration,
    /// `transaction_time`: how long the instance may go on executing a request whose answer was
    /// lost.
    pub transaction_time: Duration,
}

impl SinkConfig {
    /// The dead letter topic, if letters are written at all.
    pub fn dead_letter_topic(&self) -> Option<&str> {
        self.dlq_topic
            .as_deref()
            .filter(|_| self.commit_on_partial_failure)
    }

    /// What becomes of a record that cannot be written and has no dead letter topic to go to.
    pub fn effective_on_error(&self) -> OnError {
        match self.commit_on_partial_failure {
            true => self.on_error,
            false => OnError::Hold,
        }
    }
}

/// One topic of the sink, defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkTopicConfig {
    /// Topic to consume.
    pub topic: String,
    /// Table to write.
    pub table: String,
    /// Writers of this topic.
    pub concurrency: u32,
    /// What the values of the topic are.
    pub format: SinkFormat,
    /// What its keys are.
    pub key_format: SinkKeyFormat,
    /// What a record means that carries no `sn_operation` header.
    pub operation: SinkOperation,
    /// Column that identifies a row instead of its sys_id.
    pub key_field: Option<String>,
    /// The only columns that are written; empty is all.
    pub fields: Vec<String>,
    /// What a null does to its column.
    pub nulls: Nulls,
    /// Whether a record without a value deletes the row of its key.
    pub deletes: bool,
    /// What an update of a row does that is not there.
    pub on_missing: OnMissing,
    /// How a new row gets an identity before it is sent.
    pub create_id: CreateId,
}

/// `sink.topics[].operation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkOperation {
    /// With a sys_id an update; with a `key_field` an upsert; else an insert.
    Auto,
    /// Always a new row.
    Insert,
    /// Always a change of a row.
    Update,
    /// A change, or a new row where there is none.
    Upsert,
}

/// `sink.topics[].nulls`. An Avro record has all fields of its schema, so that null is its only word
/// for a column that is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// It clears the column.
    Clear,
    /// It leaves the column alone.
    Ignore,
}

/// `sink.topics[].on_missing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// The record cannot be written.
    DeadLetter,
    /// The row is created, with that sys_id.
    Insert,
    /// The record is passed over and counted.
    Skip,
}

/// `sink.topics[].create_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateId {
    /// A sys_id hashed from the record and its place.
    Record,
    /// A sys_id hashed from the record's key: one row for each key.
    Key,
    /// No sys_id of ours; this column (`create_id_field`) takes the identity.
    Field(String),
    /// None: a lost answer may create a row twice.
    None,
}

/// `sink.on_error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The partition waits at the record.
    Hold,
    /// The record is passed over, counted and logged.
    Skip,
}
