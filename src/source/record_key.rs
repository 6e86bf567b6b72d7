//! Record keys, as the Go program makes them, so that a row keeps its partition.

use sha2::{Digest, Sha256};

use crate::config::Partitioner;
use crate::servicenow::page::row;

/// Makes the key of each row of a table.
#[derive(Debug)]
pub(super) enum KeyStrategy {
    /// The identifier.
    Identifier,
    /// No key.
    None,
    /// SHA-256 over the values of these columns, sorted by name.
    Fields(Vec<String>),
}

impl KeyStrategy {
    pub(super) fn new(partitioner: &Partitioner) -> KeyStrategy {
        match partitioner {
            Partitioner::Default => KeyStrategy::Identifier,
            Partitioner::RoundRobin => KeyStrategy::None,
            Partitioner::FieldBased(fields) => {
                let mut fields = fields.clone();
                fields.sort_unstable();
                KeyStrategy::Fields(fields)
            }
        }
    }
}

/// Key of a row from the stored values of `fields`: their SHA-256, joined by a zero byte, in hex.
///
/// # Errors
/// The row is not a JSON object.
pub(super) fn field_key(row: &[u8], fields: &[String]) -> Result<String, serde_json::Error> {
    let names: Vec<&str> = fields.iter().map(String::as_str).collect();
    let values = row::raw_values(row, &names)?;
    let values: Vec<String> = values.into_iter().map(Option::unwrap_or_default).collect();
    Ok(hex(&Sha256::digest(values.join("\0"))))
}

/// Bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_key_is_the_hash_of_the_sorted_fields() {
        let KeyStrategy::Fields(fields) = KeyStrategy::new(&Partitioner::FieldBased(vec![
            "state".into(),
            "caller".into(),
        ])) else {
            panic!("not fields")
        };
        let key = field_key(br#"{"state":"1","x":"y","caller":"ab"}"#, &fields).unwrap();
        // printf 'ab\0001' | sha256sum
        assert_eq!(key, hex(&Sha256::digest(b"ab\x001")));
        assert_eq!(key.len(), 64);
        let missing = field_key(br#"{"state":"1"}"#, &fields).unwrap();
        assert_eq!(missing, hex(&Sha256::digest(b"\x001")));
    }
}
