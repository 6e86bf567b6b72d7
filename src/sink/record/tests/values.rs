//! What of a value is sent, and which values no column keeps.

use super::*;
use crate::config::NestedValues;

fn sent(value: &str, nested: NestedValues) -> Result<String, Refusal> {
    let topic = SinkTopicConfig { nested, ..topic() };
    let value = format!(r#"{{"sys_id":"{ID}","a":{value}}}"#);
    match read(&record(Some(&value)), &topic, &place())? {
        RecordAction::Write(operation) => Ok(text(operation.update_body(&[]))),
        RecordAction::Skip(why) => panic!("{why:?}"),
    }
}

#[test]
fn a_value_in_the_forms_of_the_table_api_is_its_stored_value() {
    for (value, expected) in [
        (r#"{"value":"1"}"#, r#""1""#),
        (r#"{"display_value":"$1.00","value":"1.00"}"#, r#""1.00""#),
        (
            r#"{"display_value":"$1.00","value":"1.00","currency_display_value":"USD;1.00"}"#,
            r#""1.00""#,
        ),
        (
            r#"{"link":"https://x/y","value":"abc","extra":{"b":1}}"#,
            r#""abc""#,
        ),
        (r#"{"display_value":"","value":null}"#, r#""""#),
        (r#"{"display_value":"a,b","value":["x","y"]}"#, r#""x,y""#),
    ] {
        for nested in [NestedValues::Refuse, NestedValues::Stringify] {
            let body = sent(value, nested).unwrap();
            assert_eq!(body, format!(r#"{{"a":{expected}}}"#), "{value}");
        }
    }
}

#[test]
fn a_list_of_plain_values_is_written_with_commas() {
    for (value, expected) in [
        ("[]", ""),
        (r#"["a","b"]"#, "a,b"),
        (r#"[1, true, "x y"]"#, "1,true,x y"),
        (
            r#"[{"value":"a","display_value":"A"},{"value":"b","link":"l"}]"#,
            "a,b",
        ),
    ] {
        let body = sent(value, NestedValues::Refuse).unwrap();
        assert_eq!(body, format!(r#"{{"a":"{expected}"}}"#), "{value}");
    }
}

#[test]
fn what_no_column_keeps_is_refused_or_written_as_its_json() {
    for (value, words) in [
        (r#"{"b":"1"}"#, "column `a` is an object"),
        (r#"{"value":"1","unit":"kg"}"#, "column `a` is an object"),
        (r#"{"value":{"b":1},"link":"x"}"#, "column `a` is an object"),
        (r#"["a",["b"]]"#, "more than texts"),
        (r#"["a",{"b":1}]"#, "more than texts"),
        (r#"["a",null]"#, "more than texts"),
        (r#"["Doe, John","x"]"#, "has a comma"),
    ] {
        let refusal = sent(value, NestedValues::Refuse).unwrap_err();
        assert_eq!(refusal.kind.label(), "nested_value", "{value}");
        assert!(refusal.error.contains(words), "{refusal}");
        assert!(refusal.error.contains("`nested: stringify`"), "{refusal}");
        assert!(!refusal.error.contains("John"), "{refusal}");
        let body: serde_json::Value =
            serde_json::from_str(&sent(value, NestedValues::Stringify).unwrap()).unwrap();
        let kept: serde_json::Value = serde_json::from_str(body["a"].as_str().unwrap()).unwrap();
        assert!(kept.is_object() || kept.is_array(), "{kept}");
    }
    // Columns that are not written may hold anything.
    let some = SinkTopicConfig {
        fields: vec!["b".to_owned()],
        ..topic()
    };
    let value = format!(r#"{{"sys_id":"{ID}","a":{{"x":1}},"b":"1"}}"#);
    assert_eq!(
        text(written(&record(Some(&value)), &some).update_body(&[])),
        r#"{"b":"1"}"#
    );
    // A name that no column has is not shown.
    let value = format!(r#"{{"sys_id":"{ID}","4111 1111":{{"x":1}}}}"#);
    let refusal = read(&record(Some(&value)), &topic(), &place()).unwrap_err();
    assert!(!refusal.error.contains("4111"), "{refusal}");
}
