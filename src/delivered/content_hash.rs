//! A hash of what a row holds, whatever the form of its JSON: pure, without I/O.
//!
//! The order of columns, white space and escapes do not count, and neither do empty columns: a new column of
//! the table is empty in each row, which changes none of them. `sys_mod_count` does not count either, as
//! it is the version's and is fetched or not by other settings.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::servicenow::page::MOD_COUNT_COLUMN;

/// Header with the hash of the row's content, in records that are not JSON.
pub const CONTENT_HEADER: &str = "sn_content";

/// The first 32 bits of the SHA-256 of what a row in JSON holds, never 0: the same in every build and release.
/// Two contents have the same hash once in four billion times.
pub fn content_hash(row: &[u8]) -> u32 {
    let mut digest = Sha256::new();
    match serde_json::from_slice::<Value>(row) {
        Ok(Value::Object(mut columns)) => {
            columns.remove(MOD_COUNT_COLUMN);
            add(&mut digest, &Value::Object(columns));
        }
        _ => digest.update(row),
    }
    let first = digest.finalize().into_iter().take(4);
    first
        .fold(0, |hash, byte| hash << 8 | u32::from(byte))
        .max(1)
}

/// The header of a hash.
pub fn content_header(hash: u32) -> String {
    format!("{hash:08x}")
}

/// The hash in a header, if it is one.
pub(super) fn hash_of_header(header: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(header).ok()?;
    u32::from_str_radix(text, 16).ok().filter(|hash| *hash > 0)
}

/// Adds a value: a letter for its kind, its length, what it holds.
fn add(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Object(members) => {
            // A map of serde_json's is in the order of its names.
            for (name, member) in members.iter().filter(|(_, member)| !is_empty(member)) {
                add_text(digest, b'n', name);
                add(digest, member);
            }
            digest.update(b"}");
        }
        Value::Array(items) => {
            items.iter().for_each(|item| add(digest, item));
            digest.update(b"]");
        }
        Value::String(text) => add_text(digest, b's', text),
        Value::Number(number) => add_text(digest, b'#', &number.to_string()),
        Value::Bool(flag) => digest.update(if *flag { b"t" } else { b"f" }),
        Value::Null => digest.update(b"0"),
    }
}

fn add_text(digest: &mut Sha256, kind: u8, text: &str) {
    digest.update([kind]);
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text);
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_row_does_not_count() {
        let row =
            content_hash(br#"{"number":"INC1","state":"2","caller":{"value":"u","link":"l"}}"#);
        for same in [
            &br#"{"state":"2","caller":{"link":"l","value":"u"},"number":"INC1"}"#[..],
            br#" { "number" : "INC\u0031", "state":"2","caller":{"value":"u","link":"l"} }"#,
            br#"{"number":"INC1","state":"2","caller":{"value":"u","link":"l"},"u_new":"","u_ref":{"value":""}}"#,
            br#"{"number":"INC1","state":"2","caller":{"value":"u","link":"l"},"sys_mod_count":"4"}"#,
        ] {
            assert_eq!(content_hash(same), row, "{}", String::from_utf8_lossy(same));
        }
        for other in [
            &br#"{"number":"INC1","state":"","caller":{"value":"u","link":"l"}}"#[..],
            br#"{"number":"INC1","caller":"2","state":{"value":"u","link":"l"}}"#,
            br#"{"number":"INC1s","state":"2","caller":{"value":"u","link":"l"}}"#,
            br#"{"number":"INC1","state":2,"caller":{"value":"u","link":"l"}}"#,
            br#"{"number":"INC1","state":"2","caller":{"value":"u"},"link":"l"}"#,
            br#"{"number":"INC1","state":"2"#,
        ] {
            assert_ne!(
                content_hash(other),
                row,
                "{}",
                String::from_utf8_lossy(other)
            );
        }
    }

    /// `printf 'n\0\0\0\0\0\0\0\1as\0\0\0\0\0\0\0\1b}' | sha256sum`
    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(content_hash(br#"{"a":"b"}"#), 0xe068_4ea7);
    }

    #[test]
    fn a_header_has_the_hash() {
        assert_eq!(hash_of_header(content_header(0xab).as_bytes()), Some(0xab));
        for none in [&b""[..], b"0", b"xyz", b"123456789", b"\xff"] {
            assert_eq!(hash_of_header(none), None);
        }
    }
}
