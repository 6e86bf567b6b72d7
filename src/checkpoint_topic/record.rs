//! Records of the topic: from and to their bytes (pure).
//!
//! A key is `{"instance":"https://acme.service-now.com","table":"incident"}`; without a table it is that of the
//! process that writes the positions of the instance. A value names both again, beside its format and what
//! the checkpoint file has of the table.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::checkpoint::StoredEntry;

/// The format of values that this version writes, and the newest that it reads.
const RECORD_FORMAT: u64 = 1;
/// A longer key or value was not written by this program.
const MAX_STATE_RECORD_BYTES: usize = 512 * 1024;

/// The key of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateKey {
    /// `servicenow.base_url` of the bridge.
    pub instance: String,
    /// The table; `None`: the record of the process that writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

/// The process that writes the positions of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Chosen at random by each process.
    pub session: String,
    /// The name of the host that it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// What each value has, whatever its format.
#[derive(Debug, Deserialize)]
struct ValueHead {
    format: u64,
    instance: String,
    table: Option<String>,
}

/// A value as it is written.
#[derive(Debug, Serialize)]
struct WrittenValue<'a, T> {
    format: u64,
    #[serde(flatten)]
    key: &'a StateKey,
    #[serde(flatten)]
    content: &'a T,
}

/// Reads a key; `None`: it is none of this program's.
pub fn decode_key(bytes: Option<&[u8]>) -> Option<StateKey> {
    let bytes = bytes.filter(|bytes| bytes.len() <= MAX_STATE_RECORD_BYTES)?;
    serde_json::from_slice(bytes).ok()
}

/// The bytes of a key: always the same ones of the same key, as Kafka compares them.
pub fn encode_key(key: &StateKey) -> Vec<u8> {
    // Texts always have a JSON form.
    serde_json::to_vec(key).unwrap_or_default()
}

/// Reads the position of a table.
///
/// # Errors
/// What is wrong with the value: it is none of this program's, belongs to another table or instance, or is of
/// a later version.
pub fn decode_entry(key: &StateKey, value: &[u8]) -> Result<StoredEntry, String> {
    let fields = checked_fields(key, value)?;
    let stored: StoredEntry = content(fields)?;
    if stored.lacks_timestamp() {
        return Err("it has no timestamp".to_owned());
    }
    Ok(stored)
}

/// The value with the position of a table.
///
/// # Errors
/// It is too large.
pub fn encode_entry(key: &StateKey, entry: &StoredEntry) -> Result<Vec<u8>, String> {
    let value = encode(key, entry);
    if value.len() > MAX_STATE_RECORD_BYTES {
        return Err(format!("its record would have {} bytes", value.len()));
    }
    Ok(value)
}

/// Reads who writes. Errors as of [`decode_entry`].
pub(super) fn decode_owner(key: &StateKey, value: &[u8]) -> Result<Owner, String> {
    content(checked_fields(key, value)?)
}

pub(super) fn encode_owner(key: &StateKey, owner: &Owner) -> Vec<u8> {
    encode(key, owner)
}

fn encode(key: &StateKey, content: &impl Serialize) -> Vec<u8> {
    // Texts, numbers and maps with text keys always have a JSON form.
    serde_json::to_vec(&WrittenValue {
        format: RECORD_FORMAT,
        key,
        content,
    })
    .unwrap_or_default()
}

type Fields = serde_json::Map<String, serde_json::Value>;

/// The fields of a value but those of its head, which were checked.
fn checked_fields(key: &StateKey, value: &[u8]) -> Result<Fields, String> {
    if value.len() > MAX_STATE_RECORD_BYTES {
        return Err(format!("it has {} bytes", value.len()));
    }
    let head: ValueHead = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    if head.format > RECORD_FORMAT {
        return Err(format!(
            "it was written by a later version of this program (format {}, known up to {RECORD_FORMAT}); use \
             that version",
            head.format
        ));
    }
    if head.instance != key.instance || head.table != key.table {
        let table = head.table.unwrap_or_default();
        return Err(format!(
            "it belongs to table `{table}` of {}, and not to its key",
            head.instance
        ));
    }
    let mut fields: Fields = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    fields.retain(|name, _| !["format", "instance", "table"].contains(&name.as_str()));
    Ok(fields)
}

fn content<T: DeserializeOwned>(fields: Fields) -> Result<T, String> {
    serde_json::from_value(fields.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn key(table: &str) -> StateKey {
        StateKey {
            instance: "https://acme.service-now.com".to_owned(),
            table: Some(table.to_owned()),
        }
    }

    fn entry(text: &str) -> StoredEntry {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_position_has_this_look() {
        let stored = entry(
            r#"{"timestamp": 1706140800, "last_identifier": "abc", "fingerprint": "f00", "lane": [1]}"#,
        );
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        expect![[r#"{"instance":"https://acme.service-now.com","table":"incident"}"#]]
            .assert_eq(&text(encode_key(&key("incident"))));
        expect![[r#"{"format":1,"instance":"https://acme.service-now.com","table":"incident","timestamp":1706140800,"last_identifier":"abc","fingerprint":"f00","lane":[1]}"#]]
            .assert_eq(&text(encode_entry(&key("incident"), &stored).unwrap()));
        let owner = Owner {
            session: "s".to_owned(),
            host: "h".to_owned(),
            pid: 7,
        };
        let of_instance = StateKey {
            table: None,
            ..key("")
        };
        let value = encode_owner(&of_instance, &owner);
        expect![[r#"{"format":1,"instance":"https://acme.service-now.com","session":"s","host":"h","pid":7}"#]]
            .assert_eq(&text(value.clone()));
        assert_eq!(decode_owner(&of_instance, &value), Ok(owner));
    }

    #[test]
    fn what_is_none_of_ours_is_refused_with_words() {
        let words = |value: &str| decode_entry(&key("incident"), value.as_bytes()).unwrap_err();
        expect!["EOF while parsing a value at line 1 column 0"].assert_eq(&words(""));
        expect!["missing field `format` at line 1 column 2"].assert_eq(&words("{}"));
        expect!["it was written by a later version of this program (format 2, known up to 1); use that version"]
            .assert_eq(&words(
                r#"{"format":2,"instance":"https://acme.service-now.com","table":"incident","cursor":{}}"#,
            ));
        expect!["it belongs to table `incident` of https://other, and not to its key"].assert_eq(
            &words(r#"{"format":1,"instance":"https://other","table":"incident","timestamp":1}"#),
        );
        expect!["it belongs to table `problem` of https://acme.service-now.com, and not to its key"]
            .assert_eq(&words(
                r#"{"format":1,"instance":"https://acme.service-now.com","table":"problem","timestamp":1}"#,
            ));
        expect!["it has no timestamp"].assert_eq(&words(
            r#"{"format":1,"instance":"https://acme.service-now.com","table":"incident","last_identifier":"a"}"#,
        ));
        expect![[r#"invalid type: string "now", expected i64"#]].assert_eq(&words(
            r#"{"format":1,"instance":"https://acme.service-now.com","table":"incident","timestamp":"now"}"#,
        ));
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_STATE_RECORD_BYTES));
        expect!["it has 524296 bytes"].assert_eq(&words(&long));
        for key in [
            &b""[..],
            b"incident",
            b"[\"a\",{}]",
            b"{\"instance\":\"i\",\"x\":1}",
            b"\xff",
        ] {
            assert_eq!(decode_key(Some(key)), None);
        }
        assert_eq!(decode_key(None), None);
    }

    #[test]
    fn a_position_that_does_not_fit_is_not_written() {
        let stored = entry(&format!(
            r#"{{"timestamp": 1, "last_identifier": "{}"}}"#,
            "x".repeat(MAX_STATE_RECORD_BYTES)
        ));
        assert!(encode_entry(&key("incident"), &stored).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(instance in ".*", table in ".*", seconds in any::<i64>(), id in ".*") {
            let key = StateKey { instance, table: Some(table) };
            prop_assert_eq!(decode_key(Some(&encode_key(&key))), Some(key.clone()));
            let json = serde_json::json!({"timestamp": seconds, "last_identifier": id, "other": {"a": [1, null]}});
            let stored: StoredEntry = serde_json::from_value(json).unwrap();
            let value = encode_entry(&key, &stored).unwrap();
            prop_assert_eq!(decode_entry(&key, &value), Ok(stored));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decode_entry(&key("incident"), &bytes).ok();
            decode_key(Some(&bytes));
        }
    }
}
