//! What the bytes of a record are: JSON, or something behind the id of a schema.
//!
//! Pure: whoever calls knows schemas or does not. The record itself is left as it came, for dead
//! letters and for identities that are hashed from it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::avro::decode;
use crate::avro::decode::WireFrame;
use crate::config::{CreateId, SinkFormat, SinkKeyFormat, SinkTopicConfig};
use crate::kafka::ConsumerRecord;
use crate::registry;
use crate::registry::{RegisteredSchema, RegistryFailure, SchemaFormat};
use crate::sink::refusal::{Refusal, RefusalKind};

/// A record's key and value, readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordContent<'r> {
    /// The key's text, whatever schema it was written with: what identifies a row must not change
    /// with the id of a schema. A key that cannot be read is its bytes.
    pub key: Option<Cow<'r, [u8]>>,
    /// The key decides about the row, and its schema is of no use: its bytes would be another row's
    /// name with each schema.
    pub unread_key: Option<Refusal>,
    /// JSON, as far as one can tell; `None` is a tombstone. Or why it cannot be read.
    pub value: Result<Option<Cow<'r, [u8]>>, Refusal>,
}

/// A schema must be asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) struct SchemaRequest {
    /// Its id.
    pub(in crate::sink) schema: u32,
    /// That there is none will do as well, and so will no answer.
    pub(in crate::sink) or_none: bool,
}

/// What is known of a schema.
#[derive(Debug, Clone)]
pub(in crate::sink) enum SchemaLookup {
    /// The schema.
    Known(Arc<RegisteredSchema>),
    /// It is there, and of no use.
    Unusable(Refusal),
    /// The registry does not have it, or not all of it. It may only be behind.
    Absent {
        why: Refusal,
        /// It is not.
        sure: bool,
    },
    /// The registry says nothing at the moment.
    RegistryUnavailable,
}

/// Gives what is known of the schema with an id; `None`: it must be asked for.
pub(in crate::sink) type LookUpSchema<'l> = dyn Fn(u32) -> Option<SchemaLookup> + 'l;

impl<'r> RecordContent<'r> {
    /// A record whose bytes are taken as they are.
    pub fn plain(record: &'r ConsumerRecord) -> RecordContent<'r> {
        RecordContent {
            key: record.key.as_deref().map(Cow::Borrowed),
            unread_key: None,
            value: Ok(record.value.as_deref().map(Cow::Borrowed)),
        }
    }

    /// Bytes that were made of the record and are held beside it.
    pub(in crate::sink) fn made(&self) -> usize {
        let len = |bytes: Option<&Cow<'r, [u8]>>| match bytes {
            Some(Cow::Owned(bytes)) => bytes.len(),
            Some(Cow::Borrowed(_)) | None => 0,
        };
        let value = self.value.as_ref().ok().and_then(Option::as_ref);
        len(self.key.as_ref()) + len(value)
    }
}

/// Reads `record` of `topic`. Without `look` no registry is configured. `held`: a record that cannot
/// be written is not passed over, so that its schema can be waited for.
///
/// # Errors
/// It cannot be read before a schema is known.
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
        // Where it decides nothing, what cannot be read is taken as it is.
        unread_key = read.as_ref().err().filter(|_| decides).cloned();
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

/// Whether the key says which row is meant.
fn key_decides(record: &ConsumerRecord, topic: &SinkTopicConfig) -> bool {
    topic.create_id == CreateId::Key || (topic.deletes && record.value.is_none())
}

/// What an answer of the registry says of the schema that was asked for.
///
/// # Errors
/// It says nothing of the schema: the record waits.
pub(in crate::sink) fn schema_lookup_of(
    id: u32,
    answer: Result<Arc<RegisteredSchema>, registry::Error>,
) -> Result<SchemaLookup, registry::Error> {
    match answer {
        Ok(writer) => {
            // Taken apart here, so that it is not where records are read.
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
            return Ok(Ok(Cow::Borrowed(bytes)));
        }
        (SinkFormat::JsonSchema, WireFrame::Framed { body, .. }) => {
            return Ok(Ok(Cow::Borrowed(body)));
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

/// The schema, or why there is none.
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
    /// Whether it is known enough of the schema to go on.
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
        (SchemaFormat::Json, SinkFormat::Auto) => Ok(Cow::Borrowed(body)),
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

/// Keys need not be what values are: numbers in binary form begin with zeros as well. So one that is
/// not what its schema says is taken as it is.
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
    if bytes || !is_id(id) {
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

/// Registries count from 1, in an `int` of Java.
fn is_id(id: u32) -> bool {
    (1..=i32::MAX.cast_unsigned()).contains(&id)
}

fn unsupported(error: impl Into<String>) -> Refusal {
    Refusal::unsent(RefusalKind::UnsupportedFormat, error)
}

#[cfg(test)]
mod tests;
