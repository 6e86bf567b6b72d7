//! What a dead letter holds: a record that could not be written, and why.
//!
//! Its JSON begins with the five fields that the Go program wrote, so that tools for those letters
//! read these, too.

use jiff::Timestamp;

use crate::kafka::ConsumerRecord;
use crate::sink::record::CREATE_ID_HEADER;
use crate::sink::refusal::Refusal;

/// Header of a letter with [`DeadLetter::error_kind`].
pub const ERROR_KIND_HEADER: &str = "sn_error_kind";

/// A record that could not be written, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The body of the record; `None`: it is a tombstone, or the letter is without payload.
    pub value: Option<Vec<u8>>,
    /// The record is too large for a letter: its body, key and values of headers are left out.
    pub payload_omitted: bool,
    /// What was tried, why it failed, what to do.
    pub error: String,
    /// When the letter was written.
    pub time: Timestamp,
    /// Topic of the record.
    pub topic: String,
    /// Table it was to be written to.
    pub table: String,
    /// Partition of the record; `None` in letters of the Go program.
    pub partition: Option<i32>,
    /// Offset of the record; `None` in letters of the Go program.
    pub offset: Option<i64>,
    /// The record's own time, milliseconds since 1970 UTC.
    pub record_timestamp: Option<i64>,
    /// Key of the record.
    pub key: Option<Vec<u8>>,
    /// Headers of the record in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// `insert`, `update`, `upsert` or `delete`; `None`: it failed before that was known.
    pub operation: Option<String>,
    /// HTTP status of the instance's answer, if there was one.
    pub status: Option<u16>,
    /// [`Refusal::kind`]; `None` in letters of the Go program.
    pub error_kind: Option<String>,
    /// Requests that were made for the record; `None` in letters of the Go program.
    pub attempts: Option<u32>,
    /// 32 hexadecimal digits: the identity under which a new row was tried.
    pub create_id: Option<String>,
}

impl DeadLetter {
    /// The letter about a record that was refused.
    pub fn new(
        record: &ConsumerRecord,
        table: &str,
        operation: Option<&str>,
        create_id: Option<&str>,
        refusal: &Refusal,
        now: Timestamp,
    ) -> DeadLetter {
        DeadLetter {
            value: record.value.clone(),
            payload_omitted: false,
            error: refusal.error.clone(),
            time: now,
            topic: record.topic.to_string(),
            table: table.to_owned(),
            partition: Some(record.partition),
            offset: Some(record.offset),
            record_timestamp: record.timestamp,
            key: record.key.clone(),
            headers: record.headers.clone(),
            operation: operation.map(str::to_owned),
            status: refusal.status,
            error_kind: Some(refusal.kind.label().to_owned()),
            attempts: Some(refusal.attempts),
            create_id: create_id.map(str::to_owned),
        }
    }

    /// The letter without body, key and values of headers, for a record that makes it exceed the
    /// broker's limit. It still says where the record is.
    #[must_use]
    pub fn without_payload(&self) -> DeadLetter {
        let bare = |(name, _): &(String, Option<Vec<u8>>)| (name.clone(), None);
        DeadLetter {
            value: None,
            payload_omitted: true,
            key: None,
            headers: self.headers.iter().map(bare).collect(),
            ..self.clone()
        }
    }

    /// Headers of the record that carries the letter: those of the original, with the kind of the
    /// error and the create id, each once.
    pub fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let added = [
            (ERROR_KIND_HEADER, self.error_kind.as_deref()),
            (CREATE_ID_HEADER, self.create_id.as_deref()),
        ];
        let mut headers = self.headers.clone();
        for (name, value) in added {
            if let Some(value) = value {
                headers.retain(|(known, _)| known != name);
                headers.push((name.to_owned(), Some(value.as_bytes().to_vec())));
            }
        }
        headers
    }
}
