//! Reads Avro records of any writer, straight to the JSON that the sink reads.
//!
//! Both the writers' schemas ([`WriterSchema`]) and the bytes are read by code of our own, because the
//! library refuses schemas that registries accept, and takes a string, boolean or union that is cut
//! off for null (apache-avro 0.22, `decode.rs`). A null would clear a column of the instance. See
//! docs/decisions/0008.

mod plan;
mod reader;

pub use self::plan::{WriterSchema, WriterSchemaError};
pub use self::reader::DecodeError;

use self::reader::RecordReader;
use super::wire::{WIRE_MAGIC_BYTE, WIRE_PREFIX_BYTES};

/// The bytes of a key or a value, told apart by their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFrame<'a> {
    /// They begin with the id of a schema. The schema's type says what the body is: AVRO is for
    /// [`to_json`], JSON is JSON already, PROTOBUF is not read here.
    Framed {
        /// The id that the registry knows the schema by.
        id: u32,
        /// The bytes behind the id.
        body: &'a [u8],
    },
    /// They name no schema. JSON never begins with a zero byte, so it is always plain.
    Plain,
}

/// Tells the bytes of a key or a value apart: a zero byte and an id of four bytes, big-endian, stand
/// in front of what was written with a schema of the registry (Confluent, "Wire format").
///
/// ```
/// use servicenow_kafka_bridge::avro::decode::{WireFrame, frame};
///
/// assert_eq!(frame(b"\0\0\0\0\x07..."), WireFrame::Framed { id: 7, body: b"..." });
/// assert_eq!(frame(b"{}"), WireFrame::Plain);
/// ```
pub fn frame(bytes: &[u8]) -> WireFrame<'_> {
    match bytes.split_first_chunk::<WIRE_PREFIX_BYTES>() {
        Some(([WIRE_MAGIC_BYTE, id @ ..], body)) => WireFrame::Framed {
            id: u32::from_be_bytes(*id),
            body,
        },
        _ => WireFrame::Plain,
    }
}

/// The JSON object that the body of a framed record stands for, in ServiceNow's own forms.
///
/// Every value of the record itself is a string, as the Table API gives and takes it, or null:
///
/// - Numbers are plain digits, decimals have all digits of their scale. Booleans are `true` and
///   `false`.
/// - Timestamps of any resolution are `YYYY-MM-DD HH:MM:SS`, in UTC where they have a zone; dates
///   are `YYYY-MM-DD`, times of day `HH:MM:SS`. Fractions of a second are left out, because the
///   instance stores none.
/// - A duration is the time that lies as far from 1970, as the instance stores it.
/// - `bytes` and `fixed` are Base64; a `uuid`, which has 16 of them, is written with hyphens.
/// - A union is the value in it. Records, maps and arrays inside are JSON, the numbers in them too.
///
/// A field has the name in its property `servicenow.name`, if it has one. In a record of this bridge
/// the field [`RAW_FIELD`](super::RAW_FIELD) holds texts of values that did not fit their types.
/// They become the columns they came from, at the end of the object: the last value of a repeated
/// name counts.
///
/// ```
/// use servicenow_kafka_bridge::avro::decode::{WriterSchema, to_json};
///
/// let text = r#"{"type":"record","name":"t","fields":[{"name":"n","type":["null","long"]}]}"#;
/// let schema = WriterSchema::parse(text, &[]).expect("a schema");
/// assert_eq!(to_json(&schema, &[2, 14]).expect("a record"), br#"{"n":"7"}"#);
/// assert!(to_json(&schema, &[]).is_err());
/// ```
///
/// # Errors
/// The bytes are not, or not only, a value of this schema; the schema is neither a record nor a map;
/// or a value has no form in ServiceNow, such as a NaN or a date after the year 9999.
pub fn to_json(schema: &WriterSchema, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    RecordReader::new(schema, body).into_json()
}

/// The text that the body of a framed key stands for: a string is itself, another scalar has its text
/// as in [`to_json`], a record, map or array is its JSON, null is the empty text. A union is the
/// value in it.
///
/// The text says nothing of the schema, so a key stays the same when its schema gets another id.
///
/// ```
/// use servicenow_kafka_bridge::avro::decode::{WriterSchema, to_text};
///
/// let schema = WriterSchema::parse(r#""string""#, &[]).expect("a schema");
/// assert_eq!(to_text(&schema, b"\x06abc").expect("a key"), b"abc");
/// ```
///
/// # Errors
/// As for [`to_json`], except that the schema may be a scalar.
pub fn to_text(schema: &WriterSchema, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    RecordReader::new(schema, body).into_text()
}

#[cfg(test)]
mod tests;
