//! Keys of records, made as the Go bridge makes them, so that a row stays in its partition.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::config::Partitioner;
use crate::servicenow::page::row;

/// The way in which the keys of a table's records are made.
#[derive(Debug)]
pub(super) enum KeyStrategy {
    /// The row's identifier.
    Identifier,
    /// Records have no key, so librdkafka spreads them over the partitions.
    None,
    /// The hash of the values of these columns, which are sorted by name.
    Columns(Vec<String>),
}

impl KeyStrategy {
    pub(super) fn new(partitioner: &Partitioner) -> KeyStrategy {
        match partitioner {
            Partitioner::Default => KeyStrategy::Identifier,
            Partitioner::RoundRobin => KeyStrategy::None,
            Partitioner::FieldBased(columns) => {
                let mut columns = columns.clone();
                columns.sort_unstable();
                KeyStrategy::Columns(columns)
            }
        }
    }

    /// The key of a row with this identifier, or `None` where records have no key.
    ///
    /// # Errors
    /// Columns are hashed and the row is no JSON object.
    pub(super) fn key<'a>(
        &self,
        id: &'a [u8],
        row: &[u8],
    ) -> Result<Option<Cow<'a, [u8]>>, serde_json::Error> {
        match self {
            KeyStrategy::Identifier => Ok(Some(Cow::Borrowed(id))),
            KeyStrategy::None => Ok(None),
            KeyStrategy::Columns(columns) => {
                let key = hash_of_columns(row, columns)?;
                Ok(Some(Cow::Owned(key.into_bytes())))
            }
        }
    }
}

/// SHA-256 over the stored values of `columns`, joined by a zero byte, as hex.
fn hash_of_columns(row: &[u8], columns: &[String]) -> Result<String, serde_json::Error> {
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let values = row::raw_values(row, &names)?;
    let values: Vec<String> = values.into_iter().map(Option::unwrap_or_default).collect();
    let digest = Sha256::digest(values.join("\0"));
    Ok(base16ct::lower::encode_string(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_columns_is_the_hash_of_their_values_sorted_by_name() {
        let strategy = KeyStrategy::new(&Partitioner::FieldBased(vec![
            "state".into(),
            "caller".into(),
        ]));
        let key = |row: &[u8]| strategy.key(b"id", row).unwrap().unwrap().into_owned();
        let hash = |text: &[u8]| base16ct::lower::encode_string(&Sha256::digest(text)).into_bytes();
        // printf 'ab\0001' | sha256sum
        let whole = key(br#"{"state":"1","x":"y","caller":"ab"}"#);
        assert_eq!(whole, hash(b"ab\x001"));
        assert_eq!(whole.len(), 64);
        assert_eq!(key(br#"{"state":"1"}"#), hash(b"\x001"));
        assert!(strategy.key(b"id", b"no JSON").is_err());
    }
}
