//! Confluent's sink connector, for Platform and in Confluent Cloud (docs.confluent.io: "ServiceNow Sink
//! Connector for Confluent Platform", "ServiceNow Sink Connector for Confluent Cloud").

use super::confluent_source::{CONFLUENT_CONNECTION_RULES, read_timeout};
use crate::commands::migrate::connect::CONFLUENT_RULES;
use crate::commands::migrate::connector::{Connector, no_table};
use crate::commands::migrate::draft::RemarkKind;
use crate::commands::migrate::foreign::ConnectorConfig;
use crate::commands::migrate::rules::{Conversion, Fate, SettingRule, Translation, items};

const REPORTS: &str =
    "what is written is not reported to a topic: `bridge_sink_*` metrics count it";
const ERROR_REPORTS: &str = "records that are refused are dead letters in `sink.dlq_topic`, which \
    `dead-letters list` reads; without one they hold their partition";

pub(super) static CONFLUENT_SINK: Connector = Connector {
    title: "Confluent's sink",
    classes: &[
        "io.confluent.connect.servicenow.ServiceNowSinkConnector",
        "ServiceNowSink",
    ],
    marker: "servicenow.table",
    rules: &[
        CONFLUENT_SINK_RULES,
        CONFLUENT_CONNECTION_RULES,
        CONFLUENT_RULES,
    ],
    table_rules: &[],
    table_setting: no_table,
    places: topics,
    list: "sink.topics",
    finish,
    offsets: None,
};

const CONFLUENT_SINK_RULES: &[SettingRule] = &[
    ("servicenow.table", Fate::To("@.table", Conversion::Text)),
    (
        "topics.regex",
        Fate::Decide("", "each topic is named here: list them in `sink.topics`"),
    ),
    (
        "write.timeout.ms",
        Fate::To("servicenow.timeout_seconds", Conversion::MillisToSeconds),
    ),
    (
        "read.timeout.ms",
        Fate::Unneeded("`servicenow.timeout_seconds` holds for every request"),
    ),
    (
        "max.poll.*",
        Fate::Unneeded("the consumer polls apart from the writers, and never too seldom"),
    ),
    ("behavior.on.*", Fate::Unneeded(ERROR_REPORTS)),
    ("reporter.error.*", Fate::Differs(ERROR_REPORTS)),
    ("reporter.result.*", Fate::Differs(REPORTS)),
    (
        "reporter.*",
        Fate::Unneeded("is about the reporter's own client; brokers and log-in were taken from it"),
    ),
];

pub(super) fn topics(config: &ConnectorConfig) -> Vec<String> {
    let topics = config.get("topics").unwrap_or_default();
    items(topics).map(str::to_owned).collect()
}

/// Names the topics of the sink's list.
pub(super) fn name_topics(translation: &mut Translation<'_>) {
    let topics = topics(translation.config);
    for (topic, place) in topics.iter().zip(translation.places.clone()) {
        let topic = crate::commands::migrate::draft::literal(topic);
        translation.set_text(&format!("{place}.topic"), &topic, "topics");
    }
}

/// A record without a key, or whose key has no `sysId`, makes a row; with one it changes or deletes that
/// row (overview of the connector, "Features").
fn finish(translation: &mut Translation<'_>) {
    translation.draft.set_text("servicenow.auth.type", "basic");
    name_topics(translation);
    translation.set_text("@.deletes", "true", "");
    let words = "a record's row was `sysId` of its key, which is not looked for here. If no key has \
                 it (all records make new rows), or the value has `sys_id`, it is right as it is; if the \
                 keys are sys_ids, set `key_is_sys_id: true`; else let the producer write `sys_id` into \
                 the value, or a column that `key_field` names";
    read_timeout(translation);
    translation.finish_sink();
    translation.enable_sink(Some(("key.converter", words)));
    let words = "an update changes the columns of the record and no others (PATCH), as the Table \
                 API does for PUT";
    translation.remark(RemarkKind::Differs, "connector.class", words);
}
