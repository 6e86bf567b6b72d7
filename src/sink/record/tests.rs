//! What records ask for, and what is refused.

mod envelopes;
mod hostile;
mod identities;
mod nulls;
mod values;

use std::sync::Arc;

use super::*;
use crate::config::{CreateId, OnMissing, SinkOperation, SinkTopicConfig};
use crate::kafka::ConsumerRecord;
use crate::sink::Refusal;

const ID: &str = "0123456789abcdef0123456789abcdef";
/// A row of one column.
const ROW: &str = r#"{"a":"1"}"#;

fn topic() -> SinkTopicConfig {
    SinkTopicConfig {
        topic: "orders".to_owned(),
        table: "incident".to_owned(),
        concurrency: 1,
        ..SinkTopicConfig::default()
    }
}

fn keyed() -> SinkTopicConfig {
    SinkTopicConfig {
        key_field: Some("u_key".to_owned()),
        ..topic()
    }
}

fn deleting() -> SinkTopicConfig {
    SinkTopicConfig {
        deletes: true,
        ..topic()
    }
}

fn place() -> IdentityScope {
    IdentityScope {
        instance: "https://dev1.service-now.com".to_owned(),
        cluster: "c1".to_owned(),
    }
}

/// A record whose key is `k`.
fn record(value: Option<&str>) -> ConsumerRecord {
    ConsumerRecord {
        topic: Arc::from("orders"),
        partition: 2,
        offset: 7,
        timestamp: Some(1_700_000_000_000),
        key: Some(b"k".to_vec()),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: Vec::new(),
        unreadable_headers: false,
    }
}

fn asking(word: &str, value: Option<&str>) -> ConsumerRecord {
    let mut record = record(value);
    let header = ("sn_operation".to_owned(), Some(word.as_bytes().to_vec()));
    record.headers.push(header);
    record
}

fn written(record: &ConsumerRecord, topic: &SinkTopicConfig) -> WriteOperation {
    match read(record, topic, &place()) {
        Ok(RecordAction::Write(operation)) => operation,
        other => panic!("{other:?}"),
    }
}

fn skipped(record: &ConsumerRecord, topic: &SinkTopicConfig) -> &'static str {
    match read(record, topic, &place()) {
        Ok(RecordAction::Skip(why)) => why.label(),
        other => panic!("{other:?}"),
    }
}

fn refused(record: &ConsumerRecord, topic: &SinkTopicConfig) -> &'static str {
    let refusal = read(record, topic, &place()).unwrap_err();
    assert_eq!((refusal.attempts, refusal.status), (0, None));
    refusal.kind.label()
}

/// A record that is JSON as it came.
fn read(
    record: &ConsumerRecord,
    topic: &SinkTopicConfig,
    place: &IdentityScope,
) -> Result<RecordAction, Refusal> {
    parse_action(record, &RecordContent::plain(record), topic, place)
}

fn key_of(record: &ConsumerRecord, read: &Result<RecordAction, Refusal>) -> Option<u64> {
    ordering_key(record.key.as_deref(), read)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn by_id(id: &str) -> TargetRow {
    TargetRow::SysId(id.to_owned())
}

fn by_key(value: &str) -> TargetRow {
    TargetRow::Field {
        field: "u_key".to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn auto_looks_at_the_record() {
    let named = format!(r#"{{"sys_id":"{ID}","a":"1"}}"#);
    let operation = written(&record(Some(&named)), &keyed());
    assert_eq!(
        (operation.kind, operation.row),
        (OperationKind::Update, by_id(ID))
    );
    let operation = written(&record(Some(r#"{"sys_id":"","u_key":"x"}"#)), &keyed());
    assert_eq!(
        (operation.kind, operation.row),
        (OperationKind::Upsert, by_key("x"))
    );
    let operation = written(&record(Some(ROW)), &topic());
    assert_eq!(text(operation.update_body(&[])), ROW);
    assert_eq!(
        (operation.kind, operation.row),
        (OperationKind::Insert, TargetRow::None)
    );
    let tombstone = ConsumerRecord {
        key: Some(ID.into()),
        ..record(None)
    };
    let operation = written(&tombstone, &deleting());
    assert_eq!(
        (operation.kind, operation.row),
        (OperationKind::Delete, by_id(ID))
    );
}

#[test]
fn the_header_wins_over_the_configuration() {
    let named = format!(r#"{{"sys_id":"{ID}","a":"1"}}"#);
    for (word, kind) in [
        ("insert", OperationKind::Insert),
        ("UPDATE", OperationKind::Update),
        ("Upsert", OperationKind::Upsert),
        ("delete", OperationKind::Delete),
    ] {
        let topic = SinkTopicConfig {
            operation: SinkOperation::Upsert,
            ..deleting()
        };
        let operation = written(&asking(word, Some(&named)), &topic);
        assert_eq!((operation.kind, operation.row), (kind, by_id(ID)));
    }
    for (configured, kind) in [
        (SinkOperation::Insert, OperationKind::Insert),
        (SinkOperation::Update, OperationKind::Update),
        (SinkOperation::Upsert, OperationKind::Upsert),
    ] {
        let topic = SinkTopicConfig {
            operation: configured,
            ..topic()
        };
        assert_eq!(written(&record(Some(&named)), &topic).kind, kind);
    }
    let kind = refused(&asking("merge", Some(ROW)), &topic());
    assert_eq!(kind, "invalid_operation");
}

#[test]
fn without_its_headers_a_record_cannot_be_understood() {
    let damaged = ConsumerRecord {
        unreadable_headers: true,
        ..record(Some(ROW))
    };
    assert_eq!(refused(&damaged, &topic()), "invalid_headers");
}

#[test]
fn deletes_must_be_enabled() {
    assert_eq!(skipped(&record(None), &topic()), "tombstone");
    for value in [None, Some(ROW), Some("no json")] {
        let why = skipped(&asking("delete", value), &topic());
        assert_eq!(why, "delete_not_enabled");
    }
    let without_key = ConsumerRecord {
        key: None,
        ..record(None)
    };
    assert_eq!(refused(&without_key, &deleting()), "no_identity");
    for key in ["", "..", "a/b", "a b", "x^y"] {
        let record = ConsumerRecord {
            key: Some(key.into()),
            ..record(None)
        };
        assert_eq!(refused(&record, &deleting()), "no_identity", "{key}");
    }
    assert_eq!(
        refused(&asking("update", None), &deleting()),
        "invalid_operation"
    );
    let by_key_field = SinkTopicConfig {
        deletes: true,
        ..keyed()
    };
    let operation = written(&asking("delete", Some(r#"{"u_key":7}"#)), &by_key_field);
    assert_eq!(operation.row, by_key("7"));
    assert!(operation.fields.is_empty());
    let kind = refused(&asking("delete", Some(r#"{"a":7}"#)), &by_key_field);
    assert_eq!(kind, "no_identity");
}

#[test]
fn values_that_are_no_objects() {
    for (value, words) in [
        ("", "ends early"),
        ("{", "ends early"),
        ("[]", "is not an object"),
        ("null", "is not an object"),
        (r#""secret text""#, "is not an object"),
        (r#"{"a":secret}"#, "is not JSON"),
        (r#"{"a":1} {"b":2}"#, "is not JSON"),
        (r#"{"a":1,}"#, "is not JSON"),
    ] {
        let refusal = read(&record(Some(value)), &topic(), &place()).unwrap_err();
        assert_eq!(refusal.kind.label(), "invalid_json");
        assert!(refusal.error.contains(words), "{value}: {refusal}");
        assert!(refusal.error.contains("line 1, column"), "{refusal}");
        assert!(!refusal.error.contains("secret"), "{refusal}");
    }
}

#[test]
fn a_sys_id_that_is_a_path_is_refused() {
    for id in [
        r#""..""#,
        r#"".""#,
        r#""a/b""#,
        r#""a?b""#,
        r#""a^b""#,
        r#"" ""#,
        r#""ü""#,
        r#""\ud800""#,
        "7",
        "true",
        "[]",
        "{}",
        r#"{"link":"x"}"#,
    ] {
        let value = format!(r#"{{"sys_id":{id}}}"#);
        assert_eq!(refused(&record(Some(&value)), &topic()), "invalid_identity");
    }
    let long = format!(r#"{{"sys_id":"{}"}}"#, "a".repeat(65));
    assert_eq!(refused(&record(Some(&long)), &topic()), "invalid_identity");
    for id in [r#""a.b-C_9""#, r#"{"value":"a.b-C_9","display_value":"x"}"#] {
        let value = format!(r#"{{"sys_id":{id},"a":"1"}}"#);
        assert_eq!(
            written(&record(Some(&value)), &topic()).row,
            by_id("a.b-C_9")
        );
    }
    for id in ["null", r#""""#, r#"{"value":null}"#] {
        let value = format!(r#"{{"sys_id":{id},"a":"1"}}"#);
        assert_eq!(
            written(&record(Some(&value)), &topic()).kind,
            OperationKind::Insert
        );
    }
}

#[test]
fn business_keys() {
    for (json, value) in [
        (r#""x y""#, "x y"),
        ("7.50", "7.50"),
        ("true", "true"),
        (r#"{"value":"v","link":"l"}"#, "v"),
    ] {
        let body = format!(r#"{{"u_key":{json}}}"#);
        assert_eq!(written(&record(Some(&body)), &keyed()).row, by_key(value));
    }
    for json in [
        r#""a^NQactive=true""#,
        r#""a\nb""#,
        r#""\u0000""#,
        "[1]",
        "{}",
    ] {
        let body = format!(r#"{{"u_key":{json}}}"#);
        assert_eq!(refused(&record(Some(&body)), &keyed()), "invalid_key");
    }
    for json in [r#""""#, r#"" ""#, "null"] {
        let body = format!(r#"{{"u_key":{json}}}"#);
        assert_eq!(refused(&record(Some(&body)), &keyed()), "no_identity");
    }
    for word in ["update", "upsert"] {
        assert_eq!(
            refused(&asking(word, Some(r#"{"a":1}"#)), &topic()),
            "no_identity"
        );
    }
}

#[test]
fn fields_are_sent_as_they_are_written() {
    let value = r#"{"sys_id":"","n":1.50e3,"t":"ü\u00e9\\","l":[1, 2],
        "sys_created_on":"x","sys_created_by":"x","sys_updated_on":"x","sys_updated_by":"x",
        "sys_mod_count":"x","sys_tags":"x","sys_domain":"global","sys_class_name":"task",
        "e":null,"r":{"link":"https://x","value":"v"},"d":{"display_value":"D","value":null},
        "m":{"value":"v","link":"l","more":1},"a":1,"a":2,"q\"":true}"#;
    let operation = written(&record(Some(value)), &topic());
    let expected = r#""n":1.50e3,"t":"ü\u00e9\\","l":"1,2","sys_domain":"global","sys_class_name":"task","e":"","r":"v","d":"","m":"v","a":2,"q\"":true"#;
    assert_eq!(text(operation.update_body(&[])), format!("{{{expected}}}"));
    let NewRowIdentity::Record {
        id,
        replayed: false,
    } = &operation.create
    else {
        panic!("{operation:?}")
    };
    assert_eq!(
        text(operation.insert_body()),
        format!(r#"{{"sys_id":"{id}",{expected}}}"#)
    );
    assert_eq!(operation.create_id(), Some(id.as_str()));
}

#[test]
fn only_allowed_columns_are_sent() {
    let topic = SinkTopicConfig {
        fields: vec!["a".to_owned(), "sys_updated_on".to_owned()],
        ..topic()
    };
    let value = r#"{"a":1,"b":2,"sys_updated_on":"x"}"#;
    let operation = written(&record(Some(value)), &topic);
    assert_eq!(text(operation.update_body(&[])), r#"{"a":1}"#);
    let value = format!(r#"{{"sys_id":"{ID}","b":2}}"#);
    assert_eq!(skipped(&record(Some(&value)), &topic), "nothing_to_write");
}

#[test]
fn journal_entries_are_named_and_can_be_left_out() {
    let value = format!(
        r#"{{"sys_id":"{ID}","work_notes":"n","comments":" ","a":1,"comments_and_work_notes":null}}"#
    );
    let operation = written(&record(Some(&value)), &topic());
    assert_eq!(operation.journal, ["work_notes"]);
    assert_eq!(operation.text("work_notes").as_deref(), Some("n"));
    assert_eq!(
        text(operation.update_body(&["work_notes"])),
        r#"{"comments":" ","a":1,"comments_and_work_notes":""}"#
    );
}

#[test]
fn records_of_one_row_share_a_lane() {
    let lane = |record: &ConsumerRecord, topic: &SinkTopicConfig| {
        key_of(record, &read(record, topic, &place()))
    };
    let keyless = |value: &str| ConsumerRecord {
        key: None,
        ..record(Some(value))
    };
    let named = format!(r#"{{"sys_id":"{ID}","a":"1"}}"#);
    let upper = named.replace("abcdef", "ABCDEF");
    let mut insert = asking("insert", Some(&named));
    insert.key = Some(b"other".to_vec());
    let tombstone = ConsumerRecord {
        key: Some(ID.into()),
        ..record(None)
    };
    let expected = lane(&keyless(&named), &topic());
    assert!(expected.is_some());
    for record in [&keyless(&upper), &insert, &tombstone] {
        assert_eq!(lane(record, &deleting()), expected);
    }
    assert_eq!(lane(&keyless(ROW), &topic()), None);
    assert_eq!(lane(&keyless("no json"), &topic()), None);
    let key = lane(&record(Some(ROW)), &topic());
    assert!(key.is_some() && key != expected);
    assert_eq!(lane(&record(Some("no json")), &topic()), key);
    assert_eq!(lane(&record(None), &topic()), key);
    let other_key = ConsumerRecord {
        key: Some(b"other".to_vec()),
        ..record(Some(r#"{"u_key":"X"}"#))
    };
    let same = record(Some(r#"{"u_key":"x"}"#));
    assert_eq!(lane(&other_key, &keyed()), lane(&same, &keyed()));
}

#[test]
fn deep_and_wide_values_are_read() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(refused(&record(Some(&deep)), &topic()), "nested_value");
    let wide: Vec<String> = (0..50_000).map(|n| format!(r#""f{n}":{n}"#)).collect();
    let wide = format!("{{{},{}}}", wide.join(","), wide.join(","));
    let operation = written(&record(Some(&wide)), &topic());
    assert_eq!(operation.fields.len(), 50_000);
}
