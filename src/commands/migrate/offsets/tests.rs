use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::commands::migrate::connectors::translate;
use crate::commands::migrate::foreign::{self, ConnectorConfig, ForeignConfig};

fn config(text: &str) -> ConnectorConfig {
    match foreign::read(text) {
        Ok(ForeignConfig::Connect(found)) => found.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// 2026-01-01 00:00:00.
const NOW: i64 = 1_767_225_600;

/// Positions as pairs of table and second, and the notes.
fn migrated(config: &ConnectorConfig, text: &str) -> (Vec<(String, i64)>, Vec<String>) {
    let mut draft = ConfigDraft::default();
    let translated = translate(config, &mut draft).unwrap();
    let offsets = read(text).unwrap();
    let (positions, notes) = positions(&offsets, &translated, &draft, NOW);
    let pairs = positions.into_iter().map(|it| (it.table, it.second));
    (pairs.collect(), notes)
}

fn ibm() -> ConnectorConfig {
    config(
        "name=n\nconnector.class=com.ibm.ingestion.connect.servicenow.ServiceNowSourceConnector\n\
         servicenow.client.base.uri=https://example.service-now.com\ntopic.prefix=p\n\
         table.whitelist=case,change\ntable.whitelist.case.name=sn_case\n\
         table.whitelist.change.name=change_request\n",
    )
}

#[test]
fn ibm_names_tables_by_their_keys() {
    let rest = r#"{"offsets": [
        {"partition": {"partition": "case"}, "offset": {"timestamp": 1700000000, "last_identifier": "CS1"}},
        {"partition": {"partition": "other"}, "offset": {"timestamp": 1, "last_identifier": ""}}]}"#;
    let (found, notes) = migrated(&ibm(), rest);
    assert_eq!(found, [("sn_case".to_owned(), 1_700_000_000)]);
    assert_eq!(notes, ["change_request: has no offset, and begins anew"]);
}

#[test]
fn of_the_topic_the_last_record_of_a_key_counts_and_only_those_of_the_connector() {
    let dump = "[\"n\",{\"partition\":\"case\"}]\t{\"timestamp\":5,\"last_identifier\":\"a\"}\n\
        [\"other\",{\"partition\":\"case\"}]\t{\"timestamp\":9,\"last_identifier\":\"a\"}\n\
        [\"n\",{\"partition\":\"change\"}] {\"timestamp\":6,\"last_identifier\":null}\n\n\
        [\"n\",{\"partition\":\"case\"}]\t{\"timestamp\":7,\"last_identifier\":\"b\"}\n\
        [\"n\",{\"partition\":\"change\"}]\tnull\n";
    let (found, notes) = migrated(&ibm(), dump);
    assert_eq!(found, [("sn_case".to_owned(), 7)]);
    assert_eq!(notes.len(), 1);
}

fn oso() -> ConnectorConfig {
    config(
        "name=n\nconnector.class=sh.oso.servicenow.source.ServiceNowSourceConnector\n\
         snow.url=https://Example.service-now.com/\nsnow.tables=t\nsnow.table.t.name=incident\n",
    )
}

fn oso_offset(instance: &str, field: &str, version: &str, time: &str) -> Value {
    json!({
        "partition": {"instance": instance, "table": "incident", "query_fingerprint": time,
            "timestamp_field": field},
        "offset": {"version": version, "timestamp": time, "sys_id": "x", "phase": "stream"},
    })
}

#[test]
fn oso_offsets_are_of_one_instance_column_and_version() {
    let here = "example.service-now.com";
    let good = |time: &str| oso_offset(here, "sys_updated_on", "1", time);
    for (offsets, expected) in [
        (vec![good("2024-01-25 00:00:00")], Some(1_706_140_800)),
        (
            vec![good("2024-01-25 00:00:09"), good("2024-01-25 00:00:00")],
            Some(1_706_140_800),
        ),
        (
            vec![oso_offset(
                "other.service-now.com",
                "sys_updated_on",
                "1",
                "2024-01-25 00:00:00",
            )],
            None,
        ),
        (
            vec![oso_offset(
                here,
                "sys_created_on",
                "1",
                "2024-01-25 00:00:00",
            )],
            None,
        ),
        (
            vec![oso_offset(
                here,
                "sys_updated_on",
                "2",
                "2024-01-25 00:00:00",
            )],
            None,
        ),
        (vec![good("2024-01-25 00:00:00.123")], Some(1_706_140_800)),
        (vec![good("2024-01-25 00:00:00 PST")], None),
        (vec![good("2024-01-25 00:00:00.+02")], None),
        (vec![good("1706140800")], None),
        (vec![good("yesterday")], None),
        (vec![good("2026-01-01 00:00:01")], None),
        // One that cannot be read might be the earliest.
        (vec![good("yesterday"), good("2024-01-25 00:00:00")], None),
    ] {
        let text = json!({ "offsets": offsets }).to_string();
        let (found, notes) = migrated(&oso(), &text);
        let seconds: Vec<i64> = found.iter().map(|it| it.1).collect();
        assert_eq!(seconds, Vec::from_iter(expected), "{text}");
        assert_eq!(
            notes.is_empty(),
            offsets.len() == 1 && expected.is_some(),
            "{notes:?}"
        );
    }
}

fn confluent() -> ConnectorConfig {
    config(
        "name=n\nconnector.class=ServiceNowSource\nservicenow.url=https://example.service-now.com\n\
         servicenow.table=incident\nkafka.topic=t\n",
    )
}

#[test]
fn of_confluent_the_earliest_time_counts() {
    let time = 1_706_140_800;
    for (partition, offset, expected) in [
        (
            json!({"table": "incident"}),
            json!({"time": "2024-01-25 00:00:00"}),
            Some(time),
        ),
        (
            json!({"tableName": "incident"}),
            json!({"time": time}),
            Some(time),
        ),
        (
            json!({"x": "incident"}),
            json!({"time": time * 1000, "offset": 10_000}),
            Some(time),
        ),
        (
            json!({"x": "incident"}),
            json!({"time": (time * 1000).to_string()}),
            Some(time),
        ),
        (
            json!({"url": "https://example.service-now.com/api/now/table/incident?a=b"}),
            json!({"a": ["2024-01-25T00:00:00Z", {"b": "2025-01-25 00:00:00.5"}]}),
            Some(time),
        ),
        (
            json!({"t": "incident"}),
            json!({
                "time": "2025-01-25 00:00:00",
                "url": "https://x/incident?sysparm_query=sys_updated_on%3E%3D2024-01-25%2000%3A00%3A00&sysparm_offset=1"
            }),
            Some(time),
        ),
        (
            json!({"t": "incident"}),
            json!({"q": "sys_updated_on>javascript:gs.dateGenerate('2024-01-25','00:00:00')"}),
            Some(time),
        ),
        (
            json!({"t": "incident"}),
            json!({"offset": 10_000, "done": true}),
            None,
        ),
        (
            json!({"t": "incident"}),
            json!({"time": "2024-01-25 02:00:00+02:00", "next": time}),
            Some(time),
        ),
        (
            json!({"t": "incident"}),
            json!({"time": "2024-01-25 00:00:00 PST", "next": time}),
            None,
        ),
        (json!({"t": "incident_task"}), json!({"time": time}), None),
    ] {
        let text = json!({"offsets": [{"partition": partition, "offset": offset}]}).to_string();
        let (found, notes) = migrated(&confluent(), &text);
        let seconds: Vec<i64> = found.iter().map(|it| it.1).collect();
        assert_eq!(seconds, Vec::from_iter(expected), "{text}");
        assert_eq!(notes.len(), 1, "what was assumed is told");
    }
}

#[test]
fn what_is_no_offsets_is_told() {
    for (text, words) in [
        ("", "holds no offsets"),
        ("{}", "it has no list `offsets`"),
        ("{\"offsets\": []}", "holds no offsets"),
        ("{", "is no JSON"),
        ("hello\n", "line 1: is no record of the offsets topic"),
        ("{\"a\": 1}\tx", "is no JSON"),
        ("[\"n\",{}]\t[]", "line 1: the value behind the key"),
        ("[\"n\",{}]\tnull", "holds no offsets"),
    ] {
        let why = read(text).unwrap_err();
        assert!(why.contains(words), "{text}: {why}");
    }
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in ".{0,200}", json in "[\\[\\]{}\":,a0-9 \t\n]{0,80}") {
        read(&text).ok();
        read(&json).ok();
    }

    /// No time is later than any that stands in the offset.
    #[test]
    fn never_later_than_what_was_read(times in proptest::collection::vec(OLDEST_SECOND..4_000_000_000, 1..5)) {
        let texts = times.iter().map(|time| match time % 3 {
            0 => json!(time),
            1 => json!(time * 1000 + 999),
            _ => json!(jiff::Timestamp::from_second(*time).unwrap().to_string()),
        });
        let offset = json!({"a": texts.collect::<Vec<_>>()});
        let found = second(OffsetForm::Confluent, offset.as_object().unwrap());
        prop_assert_eq!(found, times.iter().copied().min());
    }
}
