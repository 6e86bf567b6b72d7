//! Decodes the bytes of a record: they are JSON as they stand, or begin with the id of a schema in a
//! registry (the wire format of Confluent's serializers: a zero byte, then four bytes of id).
//!
//! Pure: the caller says what is known of a schema, and asks the registry where a record needs more.
//! The record itself is left as it came, for dead letters and for identities that are hashed from it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::avro::decode;
use crate::avro::decode::WireFrame;
use crate::config::{CreateId, SinkFormat, SinkKeyFormat, SinkTopicConfig};
use crate::kafka::ConsumerRecord;
use crate::registry;
use crate::registry::{RegisteredSchema, RegistryFailure, SchemaFormat};
use crate::sink::refusal::{Refusal, RefusalKind};

/// A record's key and value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordContent<'r> {
    /// The key's text without the id of its schema, so that the row that it identifies stays the same
    /// when keys are written with a new schema. A key that cannot be decoded is given as its bytes.
    pub key: Option<Cow<'r, [u8]>>,
    /// Why the key cannot be decoded, if it identifies the row: taken as it is, it would identify
    /// another row with each schema.
    pub unread_key: Option<Refusal>,
    /// The value's JSON, which is not checked yet; `None` is a tombstone. Or why it cannot be decoded.
    pub value: Result<Option<Cow<'r, [u8]>>, Refusal>,
}

/// The registry must be asked for a schema before a record can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) struct SchemaRequest {
    /// The schema's id.
    pub(in crate::sink) schema: u32,
    /// The record can be decoded without the schema, too, if the registry lacks it or does not answer.
    pub(in crate::sink) or_none: bool,
}

/// What is known of a schema in the registry.
#[derive(Debug, Clone)]
pub(in crate::sink) enum SchemaLookup {
    /// The schema itself.
    Known(Arc<RegisteredSchema>),
    /// The registry has the schema, but it cannot be used.
    Unusable(Refusal),
    /// The registry lacks the schema, or a schema that it refers to. The registry may only be behind.
    Absent {
        why: Refusal,
        /// The registry has lacked it for so long that it is not behind.
        sure: bool,
    },
    /// The registry does not answer at the moment.
    RegistryUnavailable,
}

/// Gives what is known of the schema with an id; `None`: the registry must be asked.
pub(in crate::sink) type LookUpSchema<'l> = dyn Fn(u32) -> Option<SchemaLookup> + 'l;

impl<'r> RecordContent<'r> {
    /// The content of a record whose bytes are taken as they are.
    pub fn plain(record: &'r ConsumerRecord) -> RecordContent<'r> {
        RecordContent {
            key: record.key.as_deref().map(Cow::Borrowed),
            unread_key: None,
            value: Ok(record.value.as_deref().map(json_text)),
        }
    }

    /// Bytes in memory that decoding has added to those of the record.
    pub(in crate::sink) fn made(&self) -> usize {
        let len = |bytes: Option<&Cow<'r, [u8]>>| match bytes {
            Some(Cow::Owned(bytes)) => bytes.len(),
            Some(Cow::Borrowed(_)) | None => 0,
        };
        let value = self.value.as_ref().ok().and_then(Option::as_ref);
        len(self.key.as_ref()) + len(value)
    }
}

/// Decodes `record` of `topic`. Without `look` no registry is configured. `held`: records of the topic
/// that cannot be written are held, so a schema that the registry lacks is waited for.
///
/// # Errors
/// The registry must be asked for this schema first.
pub(in crate::sink) fn decode_content<'r>(
    record: &'r ConsumerRecord,
    topic: &SinkTopicConfig,
    look: Option<&LookUpSchema<'_>>,
    held: bool,
) -> Result<RecordContent<'r>, SchemaRequest> {
    let (mut key, mut unread_key) = (None, None);
    if let Some(bytes) = record.key.as_deref() {
        let decides = key_decides(record, topic);
        let read = key_of(bytes, topic, look, decides, held)?;
        // A key that does not identify the row is taken as it is if it cannot be decoded.
        if decides {
            unread_key = read.as_ref().err().cloned();
        }
        key = Some(read.unwrap_or(Cow::Borrowed(bytes)));
    }
    let value = match record.value.as_deref() {
        None => Ok(None),
        Some(bytes) => value_of(bytes, topic.format, look, held)?.map(Some),
    };
    Ok(RecordContent {
        key,
        unread_key,
        value,
    })
}

/// Whether the key identifies the row.
fn key_decides(record: &ConsumerRecord, topic: &SinkTopicConfig) -> bool {
    topic.create_id == CreateId::Key
        || topic.key_is_sys_id
        || (topic.deletes && record.value.is_none())
}

/// What the registry's answer says of the schema with this id.
///
/// # Errors
/// The answer says nothing of the schema, so its record waits.
pub(in crate::sink) fn schema_lookup_of(
    id: u32,
    answer: Result<Arc<RegisteredSchema>, registry::Error>,
) -> Result<SchemaLookup, registry::Error> {
    match answer {
        Ok(writer) => {
            // Parsed on the thread that asks the registry, not on the one that decodes records.
            let avro = writer.format == SchemaFormat::Avro;
            let error = avro.then(|| writer.avro().err().map(ToString::to_string));
            Ok(match error.flatten() {
                Some(error) => {
                    let error = format!("schema {id}: {error}");
                    SchemaLookup::Unusable(Refusal::unsent(RefusalKind::InvalidSchema, error))
                }
                None => SchemaLookup::Known(writer),
            })
        }
        Err(error) if error.is_about_the_schema() => {
            let kind = match error.cause() {
                Some(RegistryFailure::NoSchema { .. }) => RefusalKind::UnknownSchema,
                _ => RefusalKind::InvalidSchema,
            };
            let why = Refusal::unsent(kind, error.to_string());
            Ok(SchemaLookup::Absent { why, sure: false })
        }
        Err(error) => Err(error),
    }
}

fn value_of<'r>(
    bytes: &'r [u8],
    format: SinkFormat,
    look: Option<&LookUpSchema<'_>>,
    held: bool,
) -> Result<Result<Cow<'r, [u8]>, Refusal>, SchemaRequest> {
    let (id, body) = match (format, decode::frame(bytes)) {
        (SinkFormat::Json, _) | (SinkFormat::Auto, WireFrame::Plain) => {
            return Ok(Ok(json_text(bytes)));
        }
        (SinkFormat::JsonSchema, WireFrame::Framed { body, .. }) => {
            return Ok(Ok(json_text(body)));
        }
        (SinkFormat::Avro | SinkFormat::JsonSchema, WireFrame::Plain) => {
            let error = "the record's value does not begin with the id of a schema, as the \
                         `format` of its topic says; with `format: auto` it may be plain JSON";
            return Ok(Err(unsupported(error)));
        }
        (SinkFormat::Auto | SinkFormat::Avro, WireFrame::Framed { id, body }) => (id, body),
    };
    let Some(look) = look else {
        return Ok(Err(unsupported(format!(
            "the record's value is behind schema {id}, and there is no registry: set \
             `schema_registry.url`"
        ))));
    };
    if !is_id(id) {
        let error = format!("no registry has a schema {id}: is this a record with a schema id?");
        return Ok(Err(Refusal::unsent(RefusalKind::UnknownSchema, error)));
    }
    let needs = SchemaRequest {
        schema: id,
        or_none: false,
    };
    Ok(find(needs, look, held)?.and_then(|writer| with_schema(&writer, format, body)))
}

/// JSON without the mark of its encoding, which some programs put in front of it and a parser may ignore
/// (RFC 8259, section 8.1).
fn json_text(bytes: &[u8]) -> Cow<'_, [u8]> {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    Cow::Borrowed(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes))
}

/// The schema, or why the record is refused without it.
fn find(
    needs: SchemaRequest,
    look: &LookUpSchema<'_>,
    held: bool,
) -> Result<Result<Arc<RegisteredSchema>, Refusal>, SchemaRequest> {
    let found = look(needs.schema).filter(|found| needs.are_met_by(found, held));
    Ok(match found.ok_or(needs)? {
        SchemaLookup::Known(writer) => Ok(writer),
        SchemaLookup::Unusable(why) | SchemaLookup::Absent { why, .. } => Err(why),
        SchemaLookup::RegistryUnavailable => Err(unsupported("the registry says nothing")),
    })
}

impl SchemaRequest {
    /// Whether enough is known of the schema to decode the record.
    pub(in crate::sink) fn are_met_by(self, found: &SchemaLookup, held: bool) -> bool {
        match found {
            SchemaLookup::Known(_) | SchemaLookup::Unusable(_) => true,
            SchemaLookup::Absent { sure, .. } => self.or_none || (*sure && !held),
            SchemaLookup::RegistryUnavailable => self.or_none,
        }
    }
}

fn with_schema<'r>(
    writer: &RegisteredSchema,
    format: SinkFormat,
    body: &'r [u8],
) -> Result<Cow<'r, [u8]>, Refusal> {
    let id = writer.id;
    match (&writer.format, format) {
        (SchemaFormat::Avro, _) => {
            let schema = writer.avro().map_err(|error| {
                Refusal::unsent(RefusalKind::InvalidSchema, format!("schema {id}: {error}"))
            })?;
            let json = decode::to_json(schema, body).map_err(|error| {
                let error = format!("the record's value is not what schema {id} says: {error}");
                Refusal::unsent(RefusalKind::InvalidAvro, error)
            })?;
            Ok(Cow::Owned(json))
        }
        (SchemaFormat::Json, SinkFormat::Auto) => Ok(json_text(body)),
        (SchemaFormat::Json, _) => Err(unsupported(format!(
            "schema {id} is a JSON Schema, not Avro as the `format` of its topic says"
        ))),
        (SchemaFormat::Protobuf | SchemaFormat::Other(_), _) => Err(unread(writer)),
    }
}

fn unread(writer: &RegisteredSchema) -> Refusal {
    let which = match &writer.format {
        SchemaFormat::Protobuf => "type PROTOBUF, which",
        _ => "a type that",
    };
    unsupported(format!(
        "schema {} is of {which} is not read here",
        writer.id
    ))
}

/// The text of a key. Plain keys exist beside values with schemas, and a number in binary form may begin
/// with a zero byte as well: a key that is not what its schema says is taken as it is.
fn key_of<'r>(
    bytes: &'r [u8],
    topic: &SinkTopicConfig,
    look: Option<&LookUpSchema<'_>>,
    decides: bool,
    held: bool,
) -> Result<Result<Cow<'r, [u8]>, Refusal>, SchemaRequest> {
    let raw = Cow::Borrowed(bytes);
    let (Some(look), WireFrame::Framed { id, body }) = (look, decode::frame(bytes)) else {
        return Ok(Ok(raw));
    };
    let bytes = topic.format == SinkFormat::Json || topic.key_format == SinkKeyFormat::Bytes;
    if bytes || !is_id_of_key(id) {
        return Ok(Ok(raw));
    }
    let needs = SchemaRequest {
        schema: id,
        or_none: !decides,
    };
    let found = find(needs, look, held)?;
    let read = found.and_then(|writer| match &writer.format {
        SchemaFormat::Avro | SchemaFormat::Json => Ok(text(&writer, body).map_or(raw, Cow::Owned)),
        SchemaFormat::Protobuf | SchemaFormat::Other(_) => Err(unread(&writer)),
    });
    Ok(read.map_err(|why| {
        let error = format!(
            "the record's key: {why}; if keys of this topic are plain bytes, set `key_format: \
             bytes`"
        );
        Refusal::unsent(why.kind, error)
    }))
}

/// The text of a framed key, if it has one.
fn text(writer: &RegisteredSchema, body: &[u8]) -> Option<Vec<u8>> {
    match writer.format {
        SchemaFormat::Avro => decode::to_text(writer.avro().ok()?, body).ok(),
        SchemaFormat::Json => {
            if let Ok(text) = serde_json::from_slice::<String>(body) {
                return Some(text.into_bytes());
            }
            let json: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(body);
            json.ok().map(|_| body.to_vec())
        }
        SchemaFormat::Protobuf | SchemaFormat::Other(_) => None,
    }
}

/// Whether a registry can have this id, which is an `int` of Java. Some count from 0.
fn is_id(id: u32) -> bool {
    i32::try_from(id).is_ok()
}

/// The same for a key. A number of eight bytes begins as the id 0 does, and is far more usual as a key.
fn is_id_of_key(id: u32) -> bool {
    id > 0 && is_id(id)
}

fn unsupported(error: impl Into<String>) -> Refusal {
    Refusal::unsent(RefusalKind::UnsupportedFormat, error)
}

#[cfg(test)]
mod tests;
