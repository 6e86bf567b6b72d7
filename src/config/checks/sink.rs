//! Checks of `sink` and its topics.

use super::schema;
use crate::config::key_table::{CheckKeys, FromKeys};
use crate::config::keys::{
    Config, CreateId, CreateIdKeys, CreateIdKind, OnError, SinkConfig, SinkFormat, SinkOperation,
    SinkTopicConfig, SinkTopicContext,
};
use crate::config::reader::Section;

/// The column of `create_id: field` unless `create_id_field` names another.
const DEFAULT_CREATE_ID_COLUMN: &str = "correlation_id";

impl CheckKeys for SinkConfig {
    fn check(section: &Section<'_>, mut sink: SinkConfig, _: &bool) -> SinkConfig {
        for topic in &mut sink.topics {
            if topic.concurrency == 0 {
                topic.concurrency = sink.concurrency;
            }
        }
        if sink.enabled && sink.topics.is_empty() && section.is_empty("topics") {
            let message =
                "is required: a list with a `topic` and a `table` for each topic to consume";
            section.problem("topics", message);
        }
        check_topics(section, &sink);
        check_dead_letters(section, &sink);
        sink
    }
}

impl CheckKeys for SinkTopicConfig {
    fn check(
        section: &Section<'_>,
        topic: SinkTopicConfig,
        sink: &SinkTopicContext,
    ) -> SinkTopicConfig {
        if sink.is_sink_enabled {
            section.require("topic", "");
            section.require("table", "");
        }
        schema::needs_registry(section, topic.format == SinkFormat::Avro, sink.avro);
        let needs_row = matches!(
            topic.operation,
            SinkOperation::Update | SinkOperation::Upsert
        );
        let has_other_identity = topic.key_field.is_some() || topic.create_id == CreateId::Key;
        if needs_row && !has_other_identity && !topic.key_is_sys_id {
            let message = "is not possible for a record without a `sys_id`, which is refused: set \
                           `key_field`, `key_is_sys_id` or `create_id: key`";
            section.warning("operation", message);
        }
        if topic.key_is_sys_id && topic.create_id == CreateId::Key {
            let message = "is for keys that are no sys_ids; remove it or `key_is_sys_id`";
            section.problem("create_id", message);
        }
        if topic.key_is_sys_id && topic.key_field.is_some() {
            let message = "is not used with `key_is_sys_id: true`, as the key names the row";
            section.warning("key_field", message);
        }
        if let Some(key) = &topic.key_field
            && !topic.fields.is_empty()
            && !topic.fields.contains(key)
        {
            let message = format!("must hold the `key_field` `{key}`, or new rows come without it");
            section.problem("fields", message);
        }
        topic
    }
}

impl FromKeys for CreateId {
    type Keys = CreateIdKeys;

    fn from_keys(section: &Section<'_>, keys: CreateIdKeys) -> CreateId {
        if keys.create_id_field.is_some() && keys.create_id != CreateIdKind::Field {
            let message = "is not used: set `create_id: field` or remove it";
            section.warning("create_id_field", message);
        }
        match keys.create_id {
            CreateIdKind::Record => CreateId::Record,
            CreateIdKind::Key => CreateId::Key,
            CreateIdKind::Field => {
                let column = keys.create_id_field;
                CreateId::Field(column.unwrap_or_else(|| DEFAULT_CREATE_ID_COLUMN.to_owned()))
            }
            CreateIdKind::None => {
                let message = "a create whose answer is lost is sent again, so that a row may be \
                               created twice";
                section.warning("create_id", message);
                CreateId::None
            }
        }
    }

    fn to_keys(&self) -> CreateIdKeys {
        let (create_id, column) = match self {
            CreateId::Record => (CreateIdKind::Record, None),
            CreateId::Key => (CreateIdKind::Key, None),
            CreateId::Field(column) => (CreateIdKind::Field, Some(column.clone())),
            CreateId::None => (CreateIdKind::None, None),
        };
        CreateIdKeys {
            create_id,
            create_id_field: column,
        }
    }
}

fn check_topics(section: &Section<'_>, sink: &SinkConfig) {
    for (index, topic) in sink.topics.iter().enumerate() {
        let name = &topic.topic;
        if name.is_empty() {
            continue;
        }
        let mut before = sink.topics.iter().take(index);
        if let Some(twin) = before.position(|other| other.topic == *name) {
            let message = format!("`{name}` is already in sink.topics[{twin}]; keep one of them");
            section.item_problem("topics", index, "topic", message);
        }
        if sink.dlq_topic.as_ref() == Some(name) {
            let message = "is the dead letter topic itself: a letter would make the next one";
            section.item_problem("topics", index, "topic", message);
        }
    }
}

fn check_dead_letters(section: &Section<'_>, sink: &SinkConfig) {
    if sink.dlq_topic.is_some() && !sink.commit_on_partial_failure {
        let message = "is not used with `commit_on_partial_failure: false`: a record that cannot be \
                       written holds its partition";
        section.warning("dlq_topic", message);
    }
    if sink.on_error == OnError::Skip {
        let message = if sink.dlq_topic.is_some() || !sink.commit_on_partial_failure {
            "is not used: it is for `commit_on_partial_failure: true` without `dlq_topic`"
        } else {
            "records that cannot be written are lost; a `dlq_topic` would keep them"
        };
        section.warning("on_error", message);
    }
}

/// Checks the sink against the source: no topic may feed what it is fed from.
pub(super) fn beside_source(root: &Section<'_>, config: &Config) {
    if !config.sink.enabled || !config.source.enabled {
        return;
    }
    for topic in &config.sink.topics {
        let tables = || config.source.tables.iter();
        if let Some(table) = tables().find(|table| table.topic == topic.topic) {
            let message = format!(
                "topic `{}` is written by source table `{}` and consumed by the sink: each change \
                 of a row would come back as a change",
                topic.topic, table.name
            );
            root.problem("sink.topics", message);
        }
        if tables().any(|table| table.name == topic.table && !table.skip_own_writes) {
            let message = format!(
                "table `{}` is read and written: set `skip_own_writes: true` in its source table, \
                 or what the sink writes comes out of the source again",
                topic.table
            );
            root.warning("sink.topics", message);
        }
    }
    let letters = config.sink.dlq_topic.as_ref();
    let mut tables = config.source.tables.iter();
    if tables.any(|table| Some(&table.topic) == letters) {
        root.problem("sink.dlq_topic", "is also the topic of a source table");
    }
}
