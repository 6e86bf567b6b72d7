//! The `sink` section.

use serde_yaml::Value;

use super::{map, optional, schema, text, texts, time};
use crate::config::{
    CreateId, Nulls, OnError, OnMissing, SinkConfig, SinkKeyFormat, SinkOperation, SinkTopicConfig,
};

pub(super) fn sink(sink: &SinkConfig) -> Value {
    let on_error = match sink.on_error {
        OnError::Hold => "hold",
        OnError::Skip => "skip",
    };
    map([
        ("enabled", Value::from(sink.enabled)),
        (
            "topics",
            sink.topics.iter().map(topic).collect::<Vec<Value>>().into(),
        ),
        ("concurrency", Value::from(sink.concurrency)),
        ("dlq_topic", optional(sink.dlq_topic.as_deref(), text)),
        ("group_id", text(&sink.group_id)),
        (
            "commit_on_partial_failure",
            Value::from(sink.commit_on_partial_failure),
        ),
        ("on_error", text(on_error)),
        (
            "retry_for",
            sink.retry_for.map_or_else(|| text("unlimited"), time),
        ),
        ("record_retry_for", time(sink.record_retry_for)),
        ("transaction_time", time(sink.transaction_time)),
    ])
}

fn topic(topic: &SinkTopicConfig) -> Value {
    let operation = match topic.operation {
        SinkOperation::Auto => "auto",
        SinkOperation::Insert => "insert",
        SinkOperation::Update => "update",
        SinkOperation::Upsert => "upsert",
    };
    let nulls = match topic.nulls {
        Nulls::Clear => "clear",
        Nulls::Ignore => "ignore",
    };
    let key_format = match topic.key_format {
        SinkKeyFormat::Auto => "auto",
        SinkKeyFormat::Bytes => "bytes",
    };
    let on_missing = match topic.on_missing {
        OnMissing::DeadLetter => "dead_letter",
        OnMissing::Insert => "insert",
        OnMissing::Skip => "skip",
    };
    let (create_id, field) = match &topic.create_id {
        CreateId::Record => ("record", None),
        CreateId::Key => ("key", None),
        CreateId::Field(field) => ("field", Some(field.as_str())),
        CreateId::None => ("none", None),
    };
    map([
        ("topic", text(&topic.topic)),
        ("table", text(&topic.table)),
        ("concurrency", Value::from(topic.concurrency)),
        ("format", text(schema::sink_format(topic.format))),
        ("key_format", text(key_format)),
        ("operation", text(operation)),
        ("key_field", optional(topic.key_field.as_deref(), text)),
        ("fields", texts(&topic.fields)),
        ("nulls", text(nulls)),
        ("deletes", Value::from(topic.deletes)),
        ("on_missing", text(on_missing)),
        ("create_id", text(create_id)),
        ("create_id_field", optional(field, text)),
    ])
}
