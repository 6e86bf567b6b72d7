//! Envelopes that other programs put around a row: Kafka Connect's JSON with schemas, and the change events
//! of Debezium.
//!
//! Connect's `JsonConverter` with `schemas.enable` writes `{"schema": .., "payload": ..}` and nothing else
//! (org.apache.kafka.connect.json.JsonSchema.envelope). A change event has the row before and after the
//! change, what was done (`op`), and where and when (Debezium's Envelope.FieldName). Both are recognised by
//! all their members, so that a table with a column of one of these names is not taken for them.

use serde_json::value::RawValue;

use super::fields::{self, RecordField};
use crate::sink::refusal::{Refusal, RefusalKind};

/// Members of a change event.
const CHANGE_EVENT_MEMBERS: [&str; 8] = [
    "before",
    "after",
    "op",
    "source",
    "ts_ms",
    "ts_us",
    "ts_ns",
    "transaction",
];

/// What an envelope holds, or a value without one.
#[derive(Debug)]
pub(super) enum OpenedValue {
    /// A row.
    Row(Vec<RecordField>),
    /// The row after a change that was no insert.
    ChangedRow(Vec<RecordField>),
    /// Nothing, as in a record without a value.
    Tombstone,
    /// The removal of a row, as it was before if that is known.
    RemovedRow(Vec<RecordField>),
}

/// Takes the envelopes away from a record's value.
///
/// # Errors
/// An envelope holds no row.
pub(super) fn open(value: Vec<RecordField>) -> Result<OpenedValue, Refusal> {
    if !is_connect_envelope(&value) {
        return open_change_event(value);
    }
    match member(value, "payload") {
        None => Ok(OpenedValue::Tombstone),
        Some(payload) => match fields::members(&payload) {
            Some(payload) => open_change_event(payload),
            None => Err(invalid("its `payload` is no object")),
        },
    }
}

/// The text of a key that Connect wrote as JSON, with an envelope or without: of a record's key only what
/// names a row is wanted.
pub(super) fn key_text(key: &[u8]) -> Option<String> {
    let json: Box<RawValue> = serde_json::from_slice(key).ok()?;
    match fields::members(&json) {
        Some(envelope) if is_connect_envelope(&envelope) => {
            fields::string(member(envelope, "payload")?.as_ref())
        }
        Some(_) => None,
        None => fields::string(&json),
    }
}

fn open_change_event(value: Vec<RecordField>) -> Result<OpenedValue, Refusal> {
    let Some(op) = operation_of_change_event(&value) else {
        return Ok(OpenedValue::Row(value));
    };
    let of = |value, name| member(value, name).map(|row| fields::members(&row));
    match op.as_str() {
        "d" => match of(value, "before") {
            None => Ok(OpenedValue::RemovedRow(Vec::new())),
            Some(Some(before)) => Ok(OpenedValue::RemovedRow(before)),
            Some(None) => Err(invalid("its `before` is no object")),
        },
        "c" | "r" | "u" => match of(value, "after").flatten() {
            Some(after) if op == "u" => Ok(OpenedValue::ChangedRow(after)),
            Some(after) => Ok(OpenedValue::Row(after)),
            None => Err(invalid("its `after` is no object")),
        },
        _ => Err(invalid("its `op` is none of c, r, u and d")),
    }
}

/// The operation of a change event; `None`: the value is none.
fn operation_of_change_event(value: &[RecordField]) -> Option<String> {
    let is_known = |(name, _): &RecordField| CHANGE_EVENT_MEMBERS.contains(&name.as_str());
    let has = |wanted: &str| value.iter().any(|(name, _)| name == wanted);
    if !value.iter().all(is_known) || !(has("before") || has("after")) {
        return None;
    }
    let (_, op) = value.iter().find(|(name, _)| name == "op")?;
    fields::string(op)
}

fn is_connect_envelope(value: &[RecordField]) -> bool {
    let is_schema = |(name, value): &RecordField| {
        name == "schema" && matches!(value.get().as_bytes().first(), Some(b'{' | b'n'))
    };
    value.len() == 2
        && value.iter().any(is_schema)
        && value.iter().any(|(name, _)| name == "payload")
}

/// The value of a member; `None` where it is absent or null.
fn member(value: Vec<RecordField>, wanted: &str) -> Option<Box<RawValue>> {
    let (_, value) = value.into_iter().find(|(name, _)| name == wanted)?;
    Some(value).filter(|value| value.get() != "null")
}

fn invalid(why: &str) -> Refusal {
    Refusal::unsent(
        RefusalKind::InvalidEnvelope,
        format!(
            "the record's value is in an envelope without a row: {why}; if these are columns of the \
             table, set `format: json`, which takes values as they are"
        ),
    )
}
