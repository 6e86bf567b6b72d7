//! Answers of a registry (Confluent Schema Registry API reference).

use std::sync::OnceLock;

use serde::{Deserialize, Deserializer};

use crate::avro::decode::{WriterSchema, WriterSchemaError};

/// The language of a schema: `schemaType`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum SchemaFormat {
    /// `AVRO`, and what an answer without `schemaType` means.
    #[default]
    Avro,
    /// `JSON`: JSON Schema.
    Json,
    /// `PROTOBUF`.
    Protobuf,
    /// Any other, as it is called.
    Other(String),
}

impl From<String> for SchemaFormat {
    fn from(name: String) -> SchemaFormat {
        match name.as_str() {
            "AVRO" => SchemaFormat::Avro,
            "JSON" => SchemaFormat::Json,
            "PROTOBUF" => SchemaFormat::Protobuf,
            _ => SchemaFormat::Other(name),
        }
    }
}

/// A schema under a subject.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SubjectSchema {
    /// Subject.
    pub subject: String,
    /// The id that records carry.
    pub id: u32,
    /// Version within the subject; `None` where it was not asked for.
    pub version: Option<u32>,
    /// The schema's text.
    pub schema: String,
    /// Its language.
    #[serde(default, rename = "schemaType", deserialize_with = "or_default")]
    pub format: SchemaFormat,
}

/// The schema that a record was written with.
#[derive(Debug)]
pub struct RegisteredSchema {
    /// Its id.
    pub id: u32,
    /// Its language.
    pub format: SchemaFormat,
    /// Its text.
    pub schema: String,
    /// The schemas it refers to, each behind those that it refers to itself. Only of Avro.
    pub references: Vec<ReferencedSchema>,
    read: OnceLock<Result<WriterSchema, WriterSchemaError>>,
}

impl RegisteredSchema {
    /// A schema by its text; it is not taken apart yet.
    pub fn new(
        id: u32,
        kind: SchemaFormat,
        schema: String,
        references: Vec<ReferencedSchema>,
    ) -> RegisteredSchema {
        RegisteredSchema {
            id,
            format: kind,
            schema,
            references,
            read: OnceLock::new(),
        }
    }

    /// The schema, to read records with; of [`SchemaFormat::Avro`] only. It is taken apart once.
    ///
    /// # Errors
    /// It is not Avro, or one that cannot be read.
    pub fn avro(&self) -> Result<&WriterSchema, &WriterSchemaError> {
        let read = || {
            let references: Vec<&str> = self
                .references
                .iter()
                .map(|reference| reference.schema.as_str())
                .collect();
            WriterSchema::parse(&self.schema, &references)
        };
        self.read.get_or_init(read).as_ref()
    }
}

/// A schema that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencedSchema {
    /// The name it is referred to by; of Avro the full name.
    pub name: String,
    /// Its text.
    pub schema: String,
}

/// The verdict on whether a schema fits to those that are registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompatibilityReport {
    /// It does.
    pub compatible: bool,
    /// If not, why, as far as the registry says; Apicurio 3 says nothing.
    pub reasons: Vec<String>,
}

/// Of `POST /subjects/{subject}/versions`.
#[derive(Debug, Deserialize)]
pub(super) struct SchemaIdAnswer {
    pub(super) id: u32,
}

/// Of `GET /schemas/ids/{id}`, and of a version.
#[derive(Debug, Deserialize)]
pub(super) struct StoredSchemaAnswer {
    pub(super) schema: String,
    #[serde(default, rename = "schemaType", deserialize_with = "or_default")]
    pub(super) kind: SchemaFormat,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) references: Vec<ReferenceLink>,
}

/// One of `references`.
#[derive(Debug, Deserialize)]
pub(super) struct ReferenceLink {
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) version: u32,
}

/// Of `POST /compatibility/subjects/{subject}/versions`.
#[derive(Debug, Deserialize)]
pub(super) struct CompatibilityAnswer {
    pub(super) is_compatible: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) messages: Vec<String>,
}

/// Of `GET /config`. Some versions answer with the name of the request's field.
#[derive(Debug, Deserialize)]
pub(super) struct LevelAnswer {
    #[serde(rename = "compatibilityLevel", alias = "compatibility")]
    pub(super) level: String,
}

/// Of `GET /mode`.
#[derive(Debug, Deserialize)]
pub(super) struct ModeAnswer {
    pub(super) mode: String,
}

/// Some registries write null for what they leave out at other times.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
