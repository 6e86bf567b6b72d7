//! What a null does to its column.

use super::*;
use crate::config::Nulls;

#[test]
fn a_null_clears_or_is_left_out() {
    let value = format!(
        r#"{{"sys_id":"{ID}","a":null,"b":"1","c":{{"value":null,"link":"x"}},"d":"","e":"null"}}"#
    );
    let clear = written(&record(Some(&value)), &topic());
    assert_eq!(
        text(clear.update_body(&[])),
        r#"{"a":"","b":"1","c":"","d":"","e":"null"}"#
    );
    let ignoring = SinkTopicConfig {
        nulls: Nulls::Ignore,
        ..topic()
    };
    let ignore = written(&record(Some(&value)), &ignoring);
    assert_eq!(
        text(ignore.update_body(&[])),
        r#"{"b":"1","d":"","e":"null"}"#
    );
    let made = written(&record(Some(r#"{"a":null,"b":"1"}"#)), &ignoring);
    assert!(!text(made.insert_body()).contains(r#""a""#));
    let nothing = format!(r#"{{"sys_id":"{ID}","a":null}}"#);
    let why = skipped(&record(Some(&nothing)), &ignoring);
    assert_eq!(why, "nothing_to_write");
}
