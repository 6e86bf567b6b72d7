//! Letters there and back.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::kafka::ConsumerRecord;
use crate::sink::record::CREATE_ID_HEADER;
use crate::sink::refusal::{Refusal, RefusalKind};
use jiff::Timestamp;

fn record() -> ConsumerRecord {
    ConsumerRecord {
        topic: Arc::from("sn.incident"),
        partition: 3,
        offset: 42,
        timestamp: Some(1_700_000_000_123),
        key: Some(b"INC1".to_vec()),
        value: Some(b"{\"a\": \"\xc3\xa4\"}".to_vec()),
        headers: vec![
            ("trace".to_owned(), Some(b"\xff\x00".to_vec())),
            ("none".to_owned(), None),
            ("text".to_owned(), Some(b"t".to_vec())),
        ],
        unreadable_headers: false,
    }
}

fn letter(record: &ConsumerRecord) -> DeadLetter {
    let refusal = Refusal {
        kind: RefusalKind::Forbidden,
        status: Some(403),
        error: "insert into incident: 403".to_owned(),
        attempts: 2,
    };
    let now = Timestamp::from_second(1_706_140_800).unwrap();
    let id = "00112233445566778899aabbccddeeff";
    DeadLetter::new(record, "incident", Some("insert"), Some(id), &refusal, now)
}

fn text(letter: &DeadLetter) -> String {
    String::from_utf8(letter.encode()).unwrap()
}

fn refused(text: &str) -> String {
    DeadLetter::decode(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn the_format() {
    assert_eq!(
        text(&letter(&record())),
        concat!(
            r#"{"original_payload":"{\"a\": \"ä\"}","error":"insert into incident: 403","#,
            r#""timestamp":"2024-01-25T00:00:00Z","topic":"sn.incident","table":"incident","#,
            r#""partition":3,"offset":42,"record_timestamp":1700000000123,"key":"INC1","#,
            r#""headers":[{"key":"trace","value_base64":"/wA="},{"key":"none","value":null},"#,
            r#"{"key":"text","value":"t"}],"operation":"insert","status":403,"#,
            r#""error_kind":"forbidden","attempts":2,"#,
            r#""create_id":"00112233445566778899aabbccddeeff"}"#,
        )
    );
}

#[test]
fn what_is_no_text_is_base64_and_a_tombstone_is_null() {
    let mut record = record();
    (record.key, record.value) = (Some(vec![0xff]), Some(vec![0xfe, 0]));
    let letter_text = text(&letter(&record));
    let expected = r#""table":"incident","original_payload_base64":"/gA=","partition":3"#;
    assert!(letter_text.contains(expected), "{letter_text}");
    assert!(letter_text.starts_with(r#"{"original_payload":null,"#));
    assert!(letter_text.contains(r#""key_base64":"/w==""#));

    record.value = None;
    let tombstone = letter(&record);
    assert!(text(&tombstone).starts_with(r#"{"original_payload":null,"error""#));
    assert_eq!(DeadLetter::decode(&tombstone.encode()), Ok(tombstone));
}

#[test]
fn letters_of_the_go_program() {
    let text = r#"{"original_payload":"{\"a\":1}","error":"boom","timestamp":
        "2024-01-25T01:00:00.5+01:00","topic":"t","table":"incident"}"#;
    let letter = DeadLetter::decode(text.as_bytes()).unwrap();
    assert_eq!(letter.value.as_deref(), Some(&b"{\"a\":1}"[..]));
    assert_eq!(letter.time.as_millisecond(), 1_706_140_800_500);
    assert_eq!(
        (letter.partition, letter.offset, letter.key),
        (None, None, None)
    );
    assert!(letter.headers.is_empty() && letter.error_kind.is_none());
}

#[test]
fn unknown_fields_are_passed_over() {
    let text = text(&letter(&record())).replacen('{', r#"{"later":[{"x":[]}],"#, 1);
    assert_eq!(DeadLetter::decode(text.as_bytes()), Ok(letter(&record())));
}

#[test]
fn what_is_no_letter() {
    let good = text(&letter(&record()));
    for (from, to, words) in [
        (
            "original_payload",
            "payload",
            "`original_payload` is missing",
        ),
        (r#""topic""#, r#""topics""#, "missing field `topic`"),
        ("sn.incident", "", "`topic` is empty"),
        ("2024-01-25T", "soon", "`timestamp` is no time"),
        ("/wA=", "/wA", "`headers` is no Base64"),
        ("001122", "zz1122", "`create_id` is not 32"),
        (":42", ":-42", "is below 0"),
        (":403", r#":"secret""#, "a field has the wrong type"),
    ] {
        let error = refused(&good.replacen(from, to, 1));
        assert!(error.contains(words), "{from}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    for text in ["", "secret", "{", "[]", "null", "\u{0}", "{}"] {
        let error = refused(text);
        assert!(error.starts_with("not a dead letter: "), "{text}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn without_its_payload_it_says_where_the_record_is() {
    let bare = letter(&record()).without_payload();
    assert!(bare.payload_omitted && bare.value.is_none() && bare.key.is_none());
    assert_eq!((bare.partition, bare.offset), (Some(3), Some(42)));
    let names: Vec<&str> = bare.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["trace", "none", "text"]);
    assert!(bare.headers.iter().all(|(_, value)| value.is_none()));
    assert!(text(&bare).contains(r#""payload_omitted":true"#));
    assert_eq!(DeadLetter::decode(&bare.encode()), Ok(bare));
}

#[test]
fn headers_carry_the_kind_and_the_identity_once() {
    let mut record = record();
    for name in [
        CREATE_ID_HEADER,
        "after",
        ERROR_KIND_HEADER,
        CREATE_ID_HEADER,
    ] {
        record
            .headers
            .push((name.to_owned(), Some(b"old".to_vec())));
    }
    let headers = letter(&record).headers();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "trace",
        "none",
        "text",
        "after",
        ERROR_KIND_HEADER,
        CREATE_ID_HEADER,
    ];
    assert_eq!(names, expected);
    let value = |index: usize| headers[index].1.as_deref().unwrap();
    assert_eq!(value(4), b"forbidden");
    assert_eq!(value(5), b"00112233445566778899aabbccddeeff");
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    let text = ".{0,20}".prop_map(String::into_bytes);
    option::of(prop_oneof![vec(any::<u8>(), 0..40), text])
}

proptest! {
    #[test]
    fn comes_back_as_it_was(
        (key, value) in (bytes(), bytes()),
        headers in vec((".{0,8}", bytes()), 0..5),
        timestamp in option::of(any::<i64>()),
        (partition, offset) in (0..i32::MAX, 0..i64::MAX),
        (topic, table, error) in (".{1,9}", ".{0,9}", ".{0,30}"),
        operation in option::of("[a-z]{1,8}"),
        create_id in option::of("[0-9a-f]{32}"),
        (status, attempts) in (option::of(any::<u16>()), any::<u32>()),
        (second, nanosecond) in (0_i64..4_000_000_000, 0..1_000_000_000),
        (kind, bare) in (select(RefusalKind::ALL), any::<bool>()),
    ) {
        let topic = Arc::from(topic);
        let record = ConsumerRecord { topic, partition, offset, timestamp, key, value, headers, unreadable_headers: false };
        let refusal = Refusal { kind, status, error, attempts };
        let (operation, id) = (operation.as_deref(), create_id.as_deref());
        let now = Timestamp::new(second, nanosecond).unwrap();
        let mut letter = DeadLetter::new(&record, &table, operation, id, &refusal, now);
        if bare {
            letter = letter.without_payload();
        }
        let back = DeadLetter::decode(&letter.encode()).unwrap();
        prop_assert_eq!(&back, &letter);
        if !bare {
            prop_assert_eq!(&back.value, &record.value);
            prop_assert_eq!(&back.key, &record.key);
            prop_assert_eq!(&back.headers, &record.headers);
        }
    }

    #[test]
    fn no_input_is_a_panic(bytes in vec(any::<u8>(), 0..80), text in "[{}\\[\\]\":,a-z_0-9\\\\]*") {
        DeadLetter::decode(&bytes).ok();
        DeadLetter::decode(text.as_bytes()).ok();
    }
}
