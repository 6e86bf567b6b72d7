//! Values in the envelopes of Kafka Connect and Debezium, and rows without a column.

use super::*;
use crate::config::SinkFormat;

const SCHEMA: &str = r#"{"type":"struct","optional":false,"fields":[]}"#;

fn connect(payload: &str) -> String {
    format!(r#"{{"schema":{SCHEMA},"payload":{payload}}}"#)
}

fn change(op: &str, before: &str, after: &str) -> String {
    format!(
        r#"{{"before":{before},"after":{after},"source":{{"db":"x"}},"op":"{op}","ts_ms":1,"transaction":null}}"#
    )
}

/// Everything in both envelopes, one in the other too.
fn in_envelopes(op: &str, before: &str, after: &str) -> [String; 2] {
    let plain = change(op, before, after);
    [plain.clone(), connect(&plain)]
}

#[test]
fn the_row_in_an_envelope_is_written() {
    let row = format!(r#"{{"sys_id":"{ID}","state":"2"}}"#);
    let mut values = vec![
        connect(&row),
        format!(r#"{{"payload":{row},"schema":null}}"#),
    ];
    for op in ["c", "r", "u"] {
        values.extend(in_envelopes(op, "null", &row));
    }
    values.push(format!(r#"{{"before":null,"after":{row},"op":"u"}}"#));
    for value in &values {
        let operation = written(&record(Some(value)), &topic());
        assert_eq!(operation.kind, OperationKind::Update, "{value}");
        assert_eq!(operation.row, by_id(ID), "{value}");
        assert_eq!(text(operation.update_body(&[])), r#"{"state":"2"}"#);
        let operation = written(&asking("upsert", Some(value)), &topic());
        assert_eq!(operation.kind, OperationKind::Upsert, "the header wins");
    }
    // Without a sys_id the row is found as that of any other record.
    for value in in_envelopes("c", "null", r#"{"u_key":"x"}"#) {
        let operation = written(&record(Some(&value)), &topic());
        assert_eq!(operation.kind, OperationKind::Insert);
        let operation = written(&record(Some(&value)), &keyed());
        assert_eq!(operation.row, by_key("x"));
    }
}

/// Each update would make a row.
#[test]
fn a_change_of_a_row_that_nothing_names_makes_none() {
    for value in in_envelopes("u", "null", r#"{"state":"2"}"#) {
        assert_eq!(refused(&record(Some(&value)), &topic()), "no_identity");
        let by_record_key = SinkTopicConfig {
            create_id: CreateId::Key,
            ..topic()
        };
        let operation = written(&record(Some(&value)), &by_record_key);
        assert_eq!(operation.kind, OperationKind::Upsert);
        let inserting = SinkTopicConfig {
            operation: SinkOperation::Insert,
            ..topic()
        };
        let operation = written(&record(Some(&value)), &inserting);
        assert_eq!(operation.kind, OperationKind::Insert);
    }
}

#[test]
fn a_removal_deletes_its_row() {
    let before = format!(r#"{{"sys_id":"{ID}","state":"2"}}"#);
    for value in in_envelopes("d", &before, "null") {
        let operation = written(&record(Some(&value)), &deleting());
        assert_eq!(
            (operation.kind, operation.row),
            (OperationKind::Delete, by_id(ID))
        );
        assert_eq!(
            skipped(&record(Some(&value)), &topic()),
            "delete_not_enabled"
        );
        let insert = asking("insert", Some(&value));
        assert_eq!(refused(&insert, &deleting()), "invalid_operation");
    }
    for value in in_envelopes("d", r#"{"u_key":"x"}"#, "null") {
        let both = SinkTopicConfig {
            deletes: true,
            ..keyed()
        };
        assert_eq!(written(&record(Some(&value)), &both).row, by_key("x"));
    }
    // The row is named by the key, in whatever form Connect writes it.
    for value in in_envelopes("d", "null", "null")
        .iter()
        .chain([&connect("null")])
    {
        for key in [
            ID.to_owned(),
            format!(r#""{ID}""#),
            format!(r#"{{"schema":{{"type":"string"}},"payload":"{ID}"}}"#),
        ] {
            let named = ConsumerRecord {
                key: Some(key.into_bytes()),
                ..record(Some(value))
            };
            assert_eq!(written(&named, &deleting()).row, by_id(ID), "{value}");
        }
        let named_otherwise = ConsumerRecord {
            key: Some(b"{\"id\":1}".to_vec()),
            ..record(Some(value))
        };
        assert_eq!(refused(&named_otherwise, &deleting()), "no_identity");
    }
    assert_eq!(
        skipped(&record(Some(&connect("null"))), &topic()),
        "tombstone"
    );
}

#[test]
fn an_envelope_without_a_row_is_refused() {
    for value in [
        connect("1"),
        connect("[]"),
        change("u", "null", "null"),
        change("c", "{}", "[]"),
        change("d", "7", "null"),
        change("t", "null", "null"),
        change("update", "{}", "{}"),
    ] {
        assert_eq!(
            refused(&record(Some(&value)), &deleting()),
            "invalid_envelope",
            "{value}"
        );
    }
}

#[test]
fn columns_of_these_names_are_no_envelope() {
    for value in [
        r#"{"payload":"1"}"#,
        r#"{"schema":"x","payload":"1"}"#,
        r#"{"schema":null,"payload":"1","state":"2"}"#,
        r#"{"op":"u"}"#,
        r#"{"op":"u","after":"1","state":"2"}"#,
        r#"{"before":"1","after":"2"}"#,
    ] {
        let operation = written(&record(Some(value)), &topic());
        let columns: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(value).unwrap();
        assert_eq!(operation.fields.len(), columns.len(), "{value}");
    }
    let json = SinkTopicConfig {
        format: SinkFormat::Json,
        ..topic()
    };
    for value in [
        r#"{"schema":null,"payload":"x"}"#,
        r#"{"op":"u","after":"x"}"#,
    ] {
        assert_eq!(written(&record(Some(value)), &json).fields.len(), 2);
        assert_eq!(refused(&record(Some(value)), &topic()), "invalid_envelope");
    }
}

/// The row would be empty.
#[test]
fn a_new_row_has_a_column() {
    let named = format!(r#"{{"sys_id":"{ID}"}}"#);
    for value in [
        "{}",
        r#"{"sys_mod_count":"1"}"#,
        r#"{"Short Description":"x"}"#,
        &named,
    ] {
        for word in ["insert", "upsert"] {
            let kind = refused(&asking(word, Some(value)), &topic());
            let nothing_names_it = word == "upsert" && value != named;
            assert_eq!(
                kind,
                if nothing_names_it {
                    "no_identity"
                } else {
                    "no_columns"
                }
            );
        }
    }
    let fields = SinkTopicConfig {
        fields: vec!["b".to_owned()],
        ..topic()
    };
    assert_eq!(refused(&record(Some(ROW)), &fields), "no_columns");
}
