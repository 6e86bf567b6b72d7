//! `sink`: topics and how their records are written.

use std::time::Duration;

use super::schema;
use crate::config::reader::{KeyNeed, Section};
use crate::config::{
    Config, CreateId, Nulls, OnError, OnMissing, SinkConfig, SinkKeyFormat, SinkOperation,
    SinkTopicConfig, defaults, duration, names,
};

/// Columns of which the platform keeps the content, so that nothing can be found by our value.
const PLATFORM_KEPT_COLUMNS: [&str; 6] = [
    "sys_id",
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
];

/// `avro`: there is a schema registry.
pub(super) fn sink(section: &Section<'_>, avro: bool) -> SinkConfig {
    let enabled = section.boolean("enabled").unwrap_or(false);
    let topic_name = |text: &str| names::check_topic(text).map(|()| text.to_owned());
    let mut sink = SinkConfig {
        enabled,
        topics: Vec::new(),
        concurrency: concurrency(section).unwrap_or(defaults::SINK_CONCURRENCY),
        dlq_topic: section.parsed("dlq_topic", KeyNeed::Optional, topic_name),
        group_id: section
            .text("group_id", KeyNeed::Optional)
            .unwrap_or_else(|| defaults::SINK_GROUP_ID.to_owned()),
        commit_on_partial_failure: section.boolean("commit_on_partial_failure").unwrap_or(true),
        on_error: section
            .choice(
                "on_error",
                &[("hold", OnError::Hold), ("skip", OnError::Skip)],
            )
            .unwrap_or(OnError::Hold),
        retry_for: section
            .parsed("retry_for", KeyNeed::Optional, retry_for)
            .flatten(),
        record_retry_for: section.duration("record_retry_for", &defaults::RECORD_RETRY_FOR),
        transaction_time: section.duration("transaction_time", &defaults::TRANSACTION_TIME),
    };
    sink.topics = section.sections("topics", |section| topic(section, &sink, avro));
    if enabled && sink.topics.is_empty() && section.is_empty("topics") {
        let message = "is required: a list with a `topic` and a `table` for each topic to consume";
        section.problem("topics", message);
    }
    check_topics(section, &sink);
    check_dead_letters(section, &sink);
    sink
}

fn concurrency(section: &Section<'_>) -> Option<u32> {
    section.whole_or_none("concurrency", defaults::SINK_CONCURRENCY_MOST)
}

fn retry_for(text: &str) -> Result<Option<Duration>, String> {
    if text == "unlimited" {
        return Ok(None);
    }
    let time = duration::parse(text)?;
    let (least, most) = (defaults::RETRY_FOR.least, defaults::RETRY_FOR.most);
    if (least..=most).contains(&time) {
        Ok(Some(time))
    } else {
        let [least, most] = [least, most].map(duration::format);
        Err(format!(
            "{text} is out of range: `unlimited`, or from {least} to {most}"
        ))
    }
}

fn topic(section: &Section<'_>, sink: &SinkConfig, avro: bool) -> SinkTopicConfig {
    let need = match sink.enabled {
        true => KeyNeed::Required(""),
        false => KeyNeed::Optional,
    };
    let checked = |key, check: fn(&str) -> Result<(), String>| {
        section
            .parsed(key, need, |text| check(text).map(|()| text.to_owned()))
            .unwrap_or_default()
    };
    let operations = [
        ("auto", SinkOperation::Auto),
        ("insert", SinkOperation::Insert),
        ("update", SinkOperation::Update),
        ("upsert", SinkOperation::Upsert),
    ];
    let key_formats = [
        ("auto", SinkKeyFormat::Auto),
        ("bytes", SinkKeyFormat::Bytes),
    ];
    let missing = [
        ("dead_letter", OnMissing::DeadLetter),
        ("insert", OnMissing::Insert),
        ("skip", OnMissing::Skip),
    ];
    let topic = SinkTopicConfig {
        topic: checked("topic", names::check_topic),
        table: checked("table", names::check_table),
        concurrency: concurrency(section).unwrap_or(sink.concurrency),
        format: schema::sink_format(section, avro),
        key_format: section
            .choice("key_format", &key_formats)
            .unwrap_or(SinkKeyFormat::Auto),
        operation: section
            .choice("operation", &operations)
            .unwrap_or(SinkOperation::Auto),
        key_field: section.parsed("key_field", KeyNeed::Optional, own_column),
        fields: section.texts("fields", names::check_column),
        nulls: section
            .choice(
                "nulls",
                &[("clear", Nulls::Clear), ("ignore", Nulls::Ignore)],
            )
            .unwrap_or(Nulls::Clear),
        deletes: section.boolean("deletes").unwrap_or(false),
        on_missing: section
            .choice("on_missing", &missing)
            .unwrap_or(OnMissing::DeadLetter),
        create_id: create_id(section),
    };
    if let Some(key) = &topic.key_field
        && !topic.fields.is_empty()
        && !topic.fields.contains(key)
    {
        let message = format!("must hold the `key_field` `{key}`, or new rows come without it");
        section.problem("fields", message);
    }
    topic
}

/// A column that may carry an identity of ours.
fn own_column(text: &str) -> Result<String, String> {
    names::check_column(text)?;
    if PLATFORM_KEPT_COLUMNS.contains(&text) {
        return Err(format!(
            "`{text}` is kept by the instance; name another column"
        ));
    }
    Ok(text.to_owned())
}

fn create_id(section: &Section<'_>) -> CreateId {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Record,
        Key,
        Field,
        None,
    }
    let words = [
        ("record", Kind::Record),
        ("key", Kind::Key),
        ("field", Kind::Field),
        ("none", Kind::None),
    ];
    let kind = section.choice("create_id", &words).unwrap_or(Kind::Record);
    let field = section.parsed("create_id_field", KeyNeed::Optional, own_column);
    if field.is_some() && kind != Kind::Field {
        let message = "is not used: set `create_id: field` or remove it";
        section.warning("create_id_field", message);
    }
    match kind {
        Kind::Record => CreateId::Record,
        Kind::Key => CreateId::Key,
        Kind::Field => {
            CreateId::Field(field.unwrap_or_else(|| defaults::CREATE_ID_FIELD.to_owned()))
        }
        Kind::None => {
            let message = "a create whose answer is lost is sent again, so that a row may be \
                           created twice";
            section.warning("create_id", message);
            CreateId::None
        }
    }
}

fn check_topics(section: &Section<'_>, sink: &SinkConfig) {
    for (index, topic) in sink.topics.iter().enumerate() {
        if topic.topic.is_empty() {
            continue;
        }
        let mut others = sink.topics.iter().take(index);
        let name = &topic.topic;
        if let Some(twin) = others.position(|other| other.topic == *name) {
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
    let skip = sink.on_error == OnError::Skip;
    if skip && (sink.dlq_topic.is_some() || !sink.commit_on_partial_failure) {
        let message =
            "is not used: it is for `commit_on_partial_failure: true` without `dlq_topic`";
        section.warning("on_error", message);
    }
    if skip && sink.dlq_topic.is_none() && sink.commit_on_partial_failure {
        let message = "records that cannot be written are lost; a `dlq_topic` would keep them";
        section.warning("on_error", message);
    }
}

/// What only shows when both directions are seen.
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
    if config
        .source
        .tables
        .iter()
        .any(|table| Some(&table.topic) == letters)
    {
        root.problem("sink.dlq_topic", "is also the topic of a source table");
    }
}
