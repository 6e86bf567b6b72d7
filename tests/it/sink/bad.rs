//! Records that cannot be written: they go to the dead letter topic, whole, and the others go on.

use std::collections::BTreeMap;
use std::time::Duration;

use real_kafka::Draft;
use serde_json::{Value, json};
use servicenow_sim::{Operation, Options, Refusal};

use crate::support::sink::{SinkRig, TABLE, create, update};
use crate::support::wait_at_most;

const MISSING: &str = "00000000000000000000000000000bad";
const TIME: i64 = 1_700_000_000_123;

/// An instance that refuses rows by their description, and bodies of 20,000 bytes.
fn rig() -> SinkRig {
    let rig = SinkRig::with(Options {
        max_body: 20_000,
        ..Options::default()
    });
    for (words, refusal) in [
        ("rule", Refusal::business_rule("No such thing")),
        ("policy", Refusal::data_policy(&["Close code"])),
        ("acl", Refusal::Acl),
        (
            "script",
            Refusal::script_error("undefined is not a function"),
        ),
    ] {
        let refused = move |_: Operation, row: servicenow_sim::RowView<'_>| {
            row.get("short_description") == words
        };
        rig.sim.refuse_writes(TABLE, refusal, refused).unwrap();
    }
    rig
}

/// Records that are refused, with the kind and the status of each.
fn bad() -> Vec<(Draft, &'static str, Option<u16>)> {
    let described = |words: &str| json!({"short_description": words}).to_string();
    let missing = json!({"sys_id": MISSING, "state": "2"}).to_string();
    let large = described(&"x".repeat(30_000));
    vec![
        (Draft::new("no json"), "invalid_json", None),
        (
            Draft::new(b"{\"a\":\"\xff\xfe\"}".to_vec()),
            "invalid_json",
            None,
        ),
        (Draft::new("[1,2]"), "invalid_json", None),
        (Draft::new(described("rule")), "business_rule", Some(403)),
        (Draft::new(described("policy")), "data_policy", Some(403)),
        (Draft::new(described("acl")), "acl", Some(403)),
        (Draft::new(missing), "not_found", Some(404)),
        (Draft::new(large), "too_large", Some(400)),
        (Draft::new("{}"), "no_columns", None),
        (
            Draft::new(json!({"watch_list": ["Doe, John"]}).to_string()),
            "nested_value",
            None,
        ),
        (
            Draft::new(r#"{"schema":null,"payload":"x"}"#),
            "invalid_envelope",
            None,
        ),
        (
            Draft::new("{}").header("sn_operation", "merge"),
            "invalid_operation",
            None,
        ),
    ]
}

#[test]
fn good_records_among_bad_ones_are_all_written() {
    let rig = rig();
    let bad = bad();
    let (mut records, mut expected) = (Vec::new(), BTreeMap::new());
    for number in 0..500 {
        records.push(create(number));
        if number % 50 == 25 {
            for (at, (draft, kind, status)) in bad.iter().enumerate() {
                let draft = draft
                    .clone()
                    .key(format!("bad {number} {at}"))
                    .header("origin", "a test")
                    .header("bytes", vec![0xff, 0x00])
                    .null_header("nothing")
                    .time(TIME);
                expected.insert(records.len(), (*kind, *status));
                records.push(draft);
            }
        }
    }
    let places = rig.produce(records.clone());
    let sent = sent(&rig, &places);
    let bridge = rig.start(&rig.config());
    rig.finish(bridge);
    rig.assert_created_once(500);

    let letters = rig.letters();
    assert_eq!(letters.len(), expected.len());
    for (record, letter) in &letters {
        let place = |name: &str| letter[name].as_i64().unwrap();
        let place = (i32::try_from(place("partition")).unwrap(), place("offset"));
        let at = places.iter().position(|known| *known == place).unwrap();
        let (kind, status) = expected.remove(&at).expect("one letter for each");
        let original = &sent[&place];
        let value = original.value.as_deref().unwrap();
        match std::str::from_utf8(value) {
            Ok(text) => assert_eq!(letter["original_payload"], text),
            Err(_) => {
                use base64::Engine as _;
                let bytes = base64::engine::general_purpose::STANDARD.encode(value);
                assert_eq!(letter["original_payload"], Value::Null);
                assert_eq!(letter["original_payload_base64"], bytes);
            }
        }
        assert_eq!(letter["topic"], rig.topic());
        assert_eq!(letter["table"], TABLE);
        assert_eq!(letter["key"], original.key_text());
        assert_eq!(letter["record_timestamp"], TIME);
        let headers = letter["headers"].as_array().unwrap();
        let own = headers.len() - 3;
        assert_eq!(headers[own], json!({"key": "origin", "value": "a test"}));
        assert_eq!(
            headers[own + 1],
            json!({"key": "bytes", "value_base64": "/wA="})
        );
        assert_eq!(headers[own + 2], json!({"key": "nothing", "value": null}));
        assert_eq!(letter["error_kind"], kind, "{letter}");
        assert_eq!(letter["status"], json!(status), "{letter}");
        let attempts = letter["attempts"].as_u64().unwrap();
        assert_eq!(attempts > 0, status.is_some(), "{letter}");
        let operation = match kind {
            "invalid_json" | "invalid_operation" | "no_columns" | "nested_value"
            | "invalid_envelope" => Value::Null,
            "not_found" => json!("update"),
            _ => json!("insert"),
        };
        assert_eq!(letter["operation"], operation, "{letter}");
        let create_id = letter["create_id"].as_str();
        assert_eq!(create_id.is_some(), operation == "insert", "{letter}");
        assert!(create_id.is_none_or(|id| id.len() == 32), "{letter}");
        let error = letter["error"].as_str().unwrap();
        assert!(!error.is_empty() && !error.contains("short_description"));
        assert!(letter["timestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(letter.get("payload_omitted"), None);
        // The record that carries the letter has the key and the headers as well.
        assert_eq!(record.key, original.key);
        assert_eq!(record.header("origin").unwrap(), "a test");
        assert_eq!(record.header("sn_error_kind").unwrap(), kind);
        assert_eq!(record.header("sn_create_id").as_deref(), create_id);
    }
    assert!(expected.is_empty());
}

/// The records of the topic by their places.
fn sent(rig: &SinkRig, places: &[(i32, i64)]) -> BTreeMap<(i32, i64), real_kafka::Record> {
    let records = rig
        .reader()
        .read_to_end(&rig.topic(), crate::support::LONG)
        .unwrap();
    assert_eq!(records.len(), places.len());
    let place = |record: real_kafka::Record| ((record.partition, record.offset), record);
    records.into_iter().map(place).collect()
}

#[test]
fn a_letter_over_the_limit_goes_without_the_record() {
    let rig = rig();
    let value = json!({"short_description": "rule", "description": "\"".repeat(6_000)});
    let draft = Draft::new(value.to_string()).key("k").header("origin", "x");
    let places = rig.produce([draft]);
    let bridge = rig.start(&rig.config().kafka("max_message_bytes: 20000"));
    rig.finish(bridge);
    let letters = rig.letters();
    let (record, letter) = &letters[0];
    assert_eq!(letters.len(), 1);
    assert_eq!(letter["payload_omitted"], true);
    assert_eq!(letter["original_payload"], Value::Null);
    assert_eq!(letter["error_kind"], "business_rule");
    assert_eq!(letter["partition"], places[0].0);
    assert_eq!(letter["offset"], places[0].1);
    assert_eq!(record.header("sn_error_kind").unwrap(), "business_rule");
}

/// A script that fails for one record while others are written is that record's trouble.
#[test]
fn a_record_that_fails_alone_is_given_up() {
    let rig = rig();
    let id = rig.row("own");
    rig.produce([Draft::new(r#"{"short_description":"script"}"#).key("s")]);
    let config = rig.config().sink("record_retry_for: 2s");
    let mut bridge = rig.start(&config);
    let mut version = 0;
    wait_at_most(Duration::from_secs(60), "the letter", || {
        version += 1;
        rig.produce([update(&id, "state", version)]);
        (!rig.letters().is_empty()).then_some(())
    });
    rig.wait_done(&mut bridge);
    let letters = rig.letters();
    let (_, letter) = &letters[0];
    assert_eq!(letters.len(), 1);
    assert_eq!(letter["error_kind"], "server");
    assert_eq!(letter["status"], 500);
    assert!(letter["attempts"].as_u64().unwrap() > 1, "{letter}");
    assert_eq!(bridge.terminate(), 0);
}
