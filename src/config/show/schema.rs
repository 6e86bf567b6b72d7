//! The `schema_registry` section, and the formats of tables and topics.

use serde_yaml::Value;

use super::{map, redacted, text, time, tls};
use crate::config::{
    Decimals, KeyFormat, OnTypeError, RegistryAuth, SchemaRegistryConfig, SchemaStyle, SinkFormat,
    SubjectStrategy, TableFormat, TableSchemaConfig,
};

/// As one text. The key of `kafka` and the one of `schema_registry` mean the same.
pub(super) fn urls(registry: &SchemaRegistryConfig) -> Value {
    match registry.urls.is_empty() {
        true => Value::Null,
        false => text(&registry.urls.join(",")),
    }
}

pub(super) fn registry(registry: &SchemaRegistryConfig) -> Value {
    let strategy = match registry.subject_strategy {
        SubjectStrategy::Topic => "topic",
        SubjectStrategy::Record => "record",
        SubjectStrategy::TopicRecord => "topic_record",
    };
    map([
        ("url", urls(registry)),
        ("auth", auth(&registry.auth)),
        ("tls", Value::Mapping(tls(&registry.tls))),
        ("auto_register", Value::from(registry.auto_register)),
        ("normalize", Value::from(registry.normalize)),
        ("subject_strategy", text(strategy)),
        ("timeout", time(registry.timeout)),
    ])
}

fn auth(auth: &RegistryAuth) -> Value {
    let (kind, username, password, token) = match auth {
        RegistryAuth::None => ("none", Value::Null, Value::Null, Value::Null),
        RegistryAuth::Basic {
            username,
            password: _,
        } => ("basic", text(username), redacted(), Value::Null),
        RegistryAuth::Bearer { token: _ } => ("bearer", Value::Null, Value::Null, redacted()),
    };
    map([
        ("type", text(kind)),
        ("username", username),
        ("password", password),
        ("token", token),
    ])
}

pub(super) fn format(format: TableFormat) -> &'static str {
    match format {
        TableFormat::Json => "json",
        TableFormat::Avro => "avro",
    }
}

pub(super) fn table(schema: TableSchemaConfig) -> Value {
    let style = match schema.style {
        SchemaStyle::Strings => "strings",
        SchemaStyle::Typed => "typed",
    };
    let decimals = match schema.decimals {
        Decimals::Bytes => "bytes",
        Decimals::String => "string",
    };
    let on_type_error = match schema.on_type_error {
        OnTypeError::Null => "null",
        OnTypeError::StringField => "string_field",
        OnTypeError::Hold => "hold",
    };
    let key = match schema.key {
        KeyFormat::String => "string",
        KeyFormat::Avro => "avro",
    };
    map([
        ("style", text(style)),
        ("decimals", text(decimals)),
        ("on_type_error", text(on_type_error)),
        ("key", text(key)),
    ])
}

pub(super) fn sink_format(format: SinkFormat) -> &'static str {
    match format {
        SinkFormat::Auto => "auto",
        SinkFormat::Json => "json",
        SinkFormat::Avro => "avro",
        SinkFormat::JsonSchema => "json_schema",
    }
}
