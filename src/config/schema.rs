//! The checked settings of Avro: the schema registry, and how tables and topics use it.

use std::time::Duration;

use super::{Secret, TlsFiles};

/// `schema_registry`: where schemas are kept, and how records refer to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRegistryConfig {
    /// `url`, or `kafka.schema_registry_url`: the addresses of one registry, tried in turn. Each is
    /// scheme, host, optional port and optional path, no trailing slash. Empty: there is no Avro.
    pub urls: Vec<String>,
    /// `auth`: how requests are authenticated, the same at each address.
    pub auth: RegistryAuth,
    /// `tls`: certificates for the registry; `ca_cert` is trusted beside the system's.
    pub tls: TlsFiles,
    /// `auto_register`: whether a schema that the registry does not have is registered. If not, the
    /// latest one of the subject is used.
    pub auto_register: bool,
    /// `normalize`: whether the registry is to compare schemas in their normal form.
    pub normalize: bool,
    /// `subject_strategy`: the names under which schemas are registered.
    pub subject_strategy: SubjectStrategy,
    /// `timeout`: bound on one request to one address, including its body.
    pub timeout: Duration,
}

/// `schema_registry.auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryAuth {
    /// `type: none`.
    None,
    /// `type: basic`.
    Basic {
        /// User name, or an API key.
        username: String,
        /// Password, or the key's secret.
        password: Secret,
    },
    /// `type: bearer`: a fixed token.
    Bearer {
        /// The token.
        token: Secret,
    },
}

/// `schema_registry.subject_strategy`: as Confluent's strategies of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectStrategy {
    /// `{topic}-value` and `{topic}-key`.
    Topic,
    /// `{namespace}.{name}` of the record.
    Record,
    /// `{topic}-{namespace}.{name}`.
    TopicRecord,
}

/// `format` of a table's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// The row as the instance sent it.
    Json,
    /// Avro with a schema of the registry.
    Avro,
}

/// `source.schema`: how a table becomes an Avro schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSchemaConfig {
    /// `style`: what the fields are.
    pub style: SchemaStyle,
    /// `decimals`: what a typed decimal is.
    pub decimals: Decimals,
    /// `on_type_error`: what becomes of a value that its type cannot hold.
    pub on_type_error: OnTypeError,
    /// `key`: what the record key is.
    pub key: KeyFormat,
}

/// `source.schema.style`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaStyle {
    /// Each field is a nullable text, as in the Go program.
    Strings,
    /// Each field has the type of its column.
    Typed,
}

/// `source.schema.decimals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimals {
    /// Avro's logical type `decimal` on bytes.
    Bytes,
    /// Texts.
    String,
}

/// `source.schema.on_type_error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTypeError {
    /// The field is null, counted.
    Null,
    /// The field is null, and the text goes into a field of its own.
    StringField,
    /// The table waits at the row.
    Hold,
}

/// `source.schema.key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// The text itself, as without Avro.
    String,
    /// Avro's `string`, registered under the key's subject.
    Avro,
}

/// `sink.topics[].key_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkKeyFormat {
    /// Behind a schema id its text, else its bytes.
    Auto,
    /// Its bytes.
    Bytes,
}

/// `sink.topics[].format`: what the values of a topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkFormat {
    /// By the first byte of each record: with a schema id as the registry says, else JSON.
    Auto,
    /// JSON.
    Json,
    /// Avro with a schema id.
    Avro,
    /// JSON behind a schema id.
    JsonSchema,
}
