//! The sink connector of OSO (`osodevops/kafka-connect-servicenow-oss`, "Sink configuration").

use super::confluent_sink::{name_topics, topics};
use super::confluent_source::read_timeout;
use super::oso_source::{SHARED_RULES, log_in};
use crate::commands::migrate::connector::{Connector, no_table};
use crate::commands::migrate::draft::{RemarkKind, literal};
use crate::commands::migrate::rules::{Conversion, Fate, SettingRule, Translation};

const NO_WRITE_REPORTS: &str = "writes are not reported to a topic: metrics count them, and `sink.dlq_topic` has \
    what is refused";
const SYS_ID_PLACES: &str = "a record's row is named by `sys_id` in its value, or with `key_is_sys_id` \
    by its whole key";
const NO_FIELD_CHANGES: &str = "columns are not renamed or left out by a list here; `fields` names \
    those that are written";

pub(super) static OSO_SINK: Connector = Connector {
    title: "OSO's sink",
    classes: &["sh.oso.servicenow.sink.ServiceNowSinkConnector"],
    marker: "snow.url",
    rules: &[OSO_SINK_RULES, SHARED_RULES],
    table_rules: &[],
    table_setting: no_table,
    places: topics,
    list: "sink.topics",
    finish,
    offsets: None,
};

const OSO_SINK_RULES: &[SettingRule] = &[
    (
        "topics.regex",
        Fate::Decide("", "each topic is named here: list them in `sink.topics`"),
    ),
    ("snow.sink.routing.mode", Fate::Finished),
    ("snow.sink.table", Fate::Finished),
    ("snow.sink.table.header", Fate::Finished),
    ("snow.sink.table.allowlist", Fate::Finished),
    ("snow.sink.topic.*", Fate::Finished),
    ("snow.sink.operation.mode", Fate::Finished),
    ("snow.sink.operation.fixed", Fate::Finished),
    (
        "snow.sink.operation.header",
        Fate::Decide(
            "",
            "the header is `sn_operation` here, with insert, update, upsert or delete",
        ),
    ),
    (
        "snow.sink.operation.header.required",
        Fate::Decide(
            "false",
            "a record without the header is taken by `operation` of its topic",
        ),
    ),
    (
        "snow.sink.update.method",
        Fate::Unneeded(
            "an update changes the columns of the record and no others, by either method",
        ),
    ),
    (
        "snow.sink.null.behavior",
        Fate::Words("@.nulls", &[("omit", "ignore"), ("clear", "clear")]),
    ),
    (
        "snow.sink.unknown.field.behavior",
        Fate::Words(
            "@.on_unknown_column",
            &[
                ("fail", "dead_letter"),
                ("drop", "ignore"),
                ("report", "warn"),
                ("passthrough", "ignore"),
            ],
        ),
    ),
    (
        "snow.sink.nested.behavior",
        Fate::Words(
            "@.nested",
            &[("reject", "refuse"), ("stringify", "stringify")],
        ),
    ),
    (
        "snow.sink.nested.flatten.delimiter",
        Fate::Unneeded("nested values are not flattened"),
    ),
    (
        "snow.sink.not.found.behavior",
        Fate::Words(
            "@.on_missing",
            &[
                ("fail", "dead_letter"),
                ("ignore", "skip"),
                ("create", "insert"),
            ],
        ),
    ),
    (
        "snow.sink.max.in.flight",
        Fate::To("sink.concurrency", Conversion::Whole),
    ),
    ("snow.sink.create.ambiguous.behavior", Fate::Finished),
    ("snow.sink.correlation.field", Fate::Finished),
    (
        "snow.sink.sys.id.key.field",
        Fate::Decide("sys_id", SYS_ID_PLACES),
    ),
    (
        "snow.sink.sys.id.value.field",
        Fate::Decide("sys_id", SYS_ID_PLACES),
    ),
    ("snow.sink.sys.id.precedence", Fate::Differs(SYS_ID_PLACES)),
    (
        "snow.sink.field.allowlist",
        Fate::To("@.fields", Conversion::Texts),
    ),
    (
        "snow.sink.field.denylist",
        Fate::Decide("", NO_FIELD_CHANGES),
    ),
    ("snow.sink.field.rename", Fate::Decide("", NO_FIELD_CHANGES)),
    (
        "snow.sink.reporter.bootstrap.servers",
        Fate::Unneeded("brokers were taken from it"),
    ),
    ("snow.sink.reporter.*", Fate::Differs(NO_WRITE_REPORTS)),
    ("behavior.on.api.errors", Fate::Finished),
];

fn finish(translation: &mut Translation<'_>) {
    log_in(translation);
    name_topics(translation);
    tables(translation);
    // The defaults of the connector, which are others than those of the bridge.
    for (key, path, default) in [
        ("snow.sink.null.behavior", "@.nulls", "ignore"),
        (
            "snow.sink.unknown.field.behavior",
            "@.on_unknown_column",
            "dead_letter",
        ),
    ] {
        if translation.get(key).is_none() {
            translation.set_text(path, default, "");
        }
    }
    read_timeout(translation);
    translation.finish_sink();
    errors(translation);
    let undecided = operation(translation);
    translation.enable_sink(undecided);
}

/// The table of each topic, by the routing mode.
fn tables(translation: &mut Translation<'_>) {
    let mode = translation
        .get("snow.sink.routing.mode")
        .unwrap_or_default();
    let topics = topics(translation.config);
    for (topic, place) in topics.iter().zip(translation.places.clone()) {
        let key = match mode.as_str() {
            "topic_map" => format!("snow.sink.topic.{topic}.table"),
            _ => "snow.sink.table".to_owned(),
        };
        match translation.get(&key).filter(|_| mode != "header") {
            Some(table) => translation.set_text(&format!("{place}.table"), &literal(&table), &key),
            None => {
                let words = "a topic belongs to one table here: set `table` of each";
                translation.remark(RemarkKind::Decide, "snow.sink.routing.mode", words);
            }
        }
    }
}

/// A refused record that the connector neither failed at nor kept.
fn errors(translation: &mut Translation<'_>) {
    let key = "behavior.on.api.errors";
    let passes = translation.get(key).is_some_and(|it| it != "fail");
    let has_place = ["sink.dlq_topic", "sink.on_error"];
    if passes && !has_place.iter().any(|path| translation.draft.has(path)) {
        translation.set_text("sink.on_error", "skip", key);
    }
}

/// What a record does; where that cannot be known, what is to be decided.
fn operation(translation: &mut Translation<'_>) -> Option<(&'static str, &'static str)> {
    let key = "snow.sink.operation.mode";
    match translation.get(key).as_deref() {
        Some("fixed") => {
            let fixed = "snow.sink.operation.fixed";
            match translation.get(fixed).as_deref() {
                Some("create") => {
                    translation.set_text("@.operation", "insert", fixed);
                    return None;
                }
                Some("patch" | "put") => {
                    translation.set_text("@.operation", "update", fixed);
                    translation.set_text("@.key_is_sys_id", "true", fixed);
                    translation
                        .draft
                        .set_text("sink.commit_on_partial_failure", "false");
                    let words = "keep `operation: update`, as the connector made no rows. If keys are no \
                                 sys_ids, take `key_is_sys_id` away: then the value's `sys_id` counts. \
                                 Until then a record that names no row holds its partition, by \
                                 `commit_on_partial_failure: false`: take that away when it is decided";
                    translation.remark(RemarkKind::Decide, fixed, words);
                    return None;
                }
                Some(_) | None => {
                    let words = "deletes are records without a value, with `deletes: true` and the \
                                 sys_id as key, or with the header sn_operation: the sink is off until \
                                 that is decided (`sink.enabled`)";
                    translation.undecided_sink(fixed, words);
                    return None;
                }
            }
        }
        Some("header") => {
            let words = "the header is `sn_operation` here, with insert, update, upsert or delete: the \
                         sink is off until the producer sends it (`sink.enabled`)";
            translation.undecided_sink(key, words);
            return None;
        }
        Some(_) | None => {}
    }
    translation.set_text("@.deletes", "true", "");
    if let Some(column) = translation.get("snow.sink.correlation.field")
        && translation
            .get("snow.sink.create.ambiguous.behavior")
            .as_deref()
            == Some("correlation_lookup")
    {
        let key = "snow.sink.correlation.field";
        translation.set_text("@.key_field", &literal(&column), key);
        let words = "rows are found by this column, as before; but if keys of records are sys_ids, \
                     decide: `key_is_sys_id: true` instead of `key_field`";
        return Some((key, words));
    }
    let words = "the row was named by the record's key, or by `sys_id` in the value. If no key is a \
                 sys_id, it is right as it is; if every record has one as its key, set \
                 `key_is_sys_id: true`; if only some have, let the producer write `sys_id` into the \
                 value";
    Some((key, words))
}
