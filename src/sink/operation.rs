//! What a record asks for.

use serde_json::value::RawValue;

use super::Refusal;
use crate::config::SinkTopic;
use crate::kafka::Received;

/// Where records come from and go to; part of what identities are hashed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The instance's base URL.
    pub instance: String,
    /// The Kafka cluster's id.
    pub cluster: String,
}

/// What becomes of a record.
#[derive(Debug, Clone)]
pub enum Decision {
    /// It is written.
    Write(Operation),
    /// There is nothing to do, for this reason (a bounded label): `tombstone`, `delete_not_enabled`,
    /// `nothing_to_write`.
    Skip(&'static str),
}

/// One write.
#[derive(Debug, Clone)]
pub struct Operation {
    /// What is asked for.
    pub kind: Kind,
    /// The row it is asked for.
    pub row: Row,
    /// Columns and their values as JSON, in the record's order; never `sys_id`.
    pub fields: Vec<(String, Box<RawValue>)>,
    /// How a row that this operation creates is found again.
    pub create: Create,
    /// Journal columns that `fields` adds an entry to.
    pub journal: Vec<&'static str>,
    /// The record's timestamp, milliseconds since 1970 UTC.
    pub record_time: Option<i64>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Makes a row.
    Insert,
    /// Changes a row.
    Update,
    /// Changes a row, or makes it.
    Upsert,
    /// Removes a row.
    Delete,
}

/// What identifies the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// Its sys_id.
    SysId(String),
    /// A column that holds a value.
    Field {
        /// The column.
        field: String,
        /// Its value: fit for an encoded query.
        value: String,
    },
    /// Nothing: it is made.
    None,
}

/// The identity of a new row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Create {
    /// A sys_id hashed from the record: nobody else makes this row.
    Record {
        /// The sys_id.
        id: String,
        /// It came with the record, which was tried before.
        replayed: bool,
    },
    /// A sys_id hashed from the record's key: other records with this key mean this row.
    Key(String),
    /// The sys_id that the record names.
    Given(String),
    /// A column holds the identity; the instance chooses the sys_id.
    Field {
        /// The column.
        field: String,
        /// Its value: fit for an encoded query.
        value: String,
        /// It is hashed from the record, not one of its values.
        hashed: bool,
    },
    /// None.
    None,
}

/// Says what `record` of `topic` asks for.
///
/// # Errors
/// It cannot be written, whatever the instance says.
pub fn read(record: &Received, topic: &SinkTopic, place: &Place) -> Result<Decision, Refusal> {
    let _ = (record, topic, place);
    Err(Refusal::unsent(
        "invalid_json",
        "the record is no JSON object",
    ))
}

/// A number that is the same for records that must be written in their order: those of one row.
/// `None`: in any order.
pub fn lane_of(record: &Received, read: &Result<Decision, Refusal>) -> Option<u64> {
    match read {
        Ok(Decision::Write(operation)) => operation.lane(record),
        Ok(Decision::Skip(_)) | Err(_) => None,
    }
}

impl Operation {
    /// See [`lane_of`].
    pub fn lane(&self, record: &Received) -> Option<u64> {
        let _ = record;
        None
    }

    /// The hash that a new row would get. It must travel with the record when that is tried again
    /// elsewhere, in the header `sn_create_id`.
    pub fn create_id(&self) -> Option<&str> {
        None
    }

    /// The JSON to send: `fields` but those in `without`, and with the identity of a new row if
    /// `create`.
    pub fn body(&self, create: bool, without: &[&str]) -> Vec<u8> {
        let _ = (create, without);
        Vec::new()
    }
}
