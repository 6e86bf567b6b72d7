//! Reads dead letters: those of this program, and those of the Go program that it replaces.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;

use super::record::DeadLetter;

/// The longest letter that is read. It is far above the largest record that Kafka takes.
const MAX_DEAD_LETTER_BYTES: usize = 256 << 20;
/// The most headers, and the longest text of anything but payload, key and headers.
const MAX_DEAD_LETTER_HEADERS: usize = 100_000;
const MAX_DEAD_LETTER_TEXT_BYTES: usize = 1 << 20;

impl DeadLetter {
    /// Reads a letter of ours or of the Go program. Fields that are not known are passed over.
    ///
    /// # Errors
    /// When it is no letter; what is wrong is said without a piece of it.
    pub fn decode(bytes: &[u8]) -> Result<DeadLetter, InvalidDeadLetter> {
        letter(bytes)
    }
}

/// Why some bytes are no letter. No text of it holds a piece of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDeadLetter(String);

impl fmt::Display for InvalidDeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a dead letter: {}", self.0)
    }
}

impl std::error::Error for InvalidDeadLetter {}

/// The fields of a letter as they stand in its JSON. Those that the Go program does not write are
/// optional.
#[derive(Deserialize)]
struct RawDeadLetter {
    #[serde(default, deserialize_with = "present")]
    original_payload: Option<Option<String>>,
    original_payload_base64: Option<String>,
    #[serde(default)]
    payload_omitted: bool,
    error: Option<String>,
    timestamp: String,
    topic: String,
    table: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    record_timestamp: Option<i64>,
    key: Option<String>,
    key_base64: Option<String>,
    headers: Option<Vec<RawDeadLetterHeader>>,
    operation: Option<String>,
    status: Option<u16>,
    error_kind: Option<String>,
    attempts: Option<u32>,
    create_id: Option<String>,
}

#[derive(Deserialize)]
struct RawDeadLetterHeader {
    key: String,
    value: Option<String>,
    value_base64: Option<String>,
}

/// Tells a field that is null from one that is absent.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

fn letter(bytes: &[u8]) -> Result<DeadLetter, InvalidDeadLetter> {
    if bytes.len() > MAX_DEAD_LETTER_BYTES {
        return Err(wrong("it is too large"));
    }
    let raw: RawDeadLetter = serde_json::from_slice(bytes).map_err(|error| foreign(&error))?;
    check(&raw)?;
    let value = match (raw.original_payload, raw.original_payload_base64) {
        (_, Some(base64)) => Some(bytes_of(&base64, "original_payload_base64")?),
        (Some(text), None) => text.map(String::into_bytes),
        (None, None) if raw.payload_omitted => None,
        // Taken for a tombstone, it would delete a row.
        (None, None) => return Err(wrong("`original_payload` is missing")),
    };
    let headers = raw.headers.unwrap_or_default().into_iter().map(|header| {
        let value = binary(header.value, header.value_base64, "headers")?;
        Ok((header.key, value))
    });
    Ok(DeadLetter {
        value: if raw.payload_omitted { None } else { value },
        payload_omitted: raw.payload_omitted,
        error: raw.error.unwrap_or_default(),
        time: raw
            .timestamp
            .parse::<Timestamp>()
            .map_err(|_| wrong("`timestamp` is no time"))?,
        topic: raw.topic,
        table: raw.table.unwrap_or_default(),
        partition: raw.partition,
        offset: raw.offset,
        record_timestamp: raw.record_timestamp,
        key: binary(raw.key, raw.key_base64, "key_base64")?,
        headers: headers.collect::<Result<_, _>>()?,
        operation: raw.operation,
        status: raw.status,
        error_kind: raw.error_kind,
        attempts: raw.attempts,
        create_id: raw.create_id,
    })
}

fn check(raw: &RawDeadLetter) -> Result<(), InvalidDeadLetter> {
    if raw.topic.is_empty() {
        return Err(wrong("`topic` is empty"));
    }
    let texts = [
        Some(&raw.topic),
        raw.error.as_ref(),
        raw.table.as_ref(),
        raw.operation.as_ref(),
        raw.error_kind.as_ref(),
    ];
    if texts
        .iter()
        .flatten()
        .any(|text| text.len() > MAX_DEAD_LETTER_TEXT_BYTES)
    {
        return Err(wrong("a text is too long"));
    }
    if raw.headers.as_ref().map_or(0, Vec::len) > MAX_DEAD_LETTER_HEADERS {
        return Err(wrong("it has too many headers"));
    }
    if raw.partition.is_some_and(|partition| partition < 0)
        || raw.offset.is_some_and(|offset| offset < 0)
    {
        return Err(wrong("`partition` or `offset` is below 0"));
    }
    // It becomes the identity of a row.
    let digits = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match &raw.create_id {
        Some(id) if !digits(id) => Err(wrong("`create_id` is not 32 hexadecimal digits")),
        Some(_) | None => Ok(()),
    }
}

fn binary(
    text: Option<String>,
    base64: Option<String>,
    name: &str,
) -> Result<Option<Vec<u8>>, InvalidDeadLetter> {
    match base64 {
        Some(base64) => bytes_of(&base64, name).map(Some),
        None => Ok(text.map(String::into_bytes)),
    }
}

fn bytes_of(base64: &str, name: &str) -> Result<Vec<u8>, InvalidDeadLetter> {
    STANDARD
        .decode(base64)
        .map_err(|_| wrong(format!("`{name}` is no Base64")))
}

fn wrong(what: impl Into<String>) -> InvalidDeadLetter {
    InvalidDeadLetter(what.into())
}

/// The words of serde, unless they quote the letter.
fn foreign(error: &serde_json::Error) -> InvalidDeadLetter {
    let text = error.to_string();
    match error.classify() {
        serde_json::error::Category::Data if !text.starts_with("missing field") => wrong(format!(
            "a field has the wrong type, line {} column {}",
            error.line(),
            error.column()
        )),
        _ => wrong(text),
    }
}
