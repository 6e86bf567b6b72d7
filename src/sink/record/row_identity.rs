//! The sys_id that a new row is sent with, so that a second attempt to make it meets the first.
//!
//! It is a hash of what stays the same whenever the record is consumed again: where the record is,
//! and its time, key and value, as a topic that is made anew begins again at offset 0. Instances hold
//! rows under these ids, so what is hashed and how must never change.

use sha2::{Digest, Sha256};

use crate::kafka::ConsumerRecord;
use crate::sink::refusal::{Refusal, RefusalKind};

/// Header with the identity of a new row. It travels with a record that is tried again elsewhere, so
/// that a second attempt makes no second row.
pub const CREATE_ID_HEADER: &str = "sn_create_id";

/// Bytes of the hash that make a sys_id: 32 hexadecimal digits.
const SYS_ID_HASH_BYTES: usize = 16;

/// The two ends of the sink, within which identities are unique. An identity from a record's place
/// hashes both, one from its key the instance only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityScope {
    /// The instance's base URL.
    pub instance: String,
    /// The Kafka cluster's id.
    pub cluster: String,
}

/// The identity of a row that only `record` makes.
pub(super) fn of_record(record: &ConsumerRecord, table: &str, scope: &IdentityScope) -> String {
    let mut hash = IdentityHasher::new(scope, table);
    hash.part(scope.cluster.as_bytes());
    hash.part(record.topic.as_bytes());
    hash.part(&record.partition.to_be_bytes());
    hash.part(&record.offset.to_be_bytes());
    let timestamp = record.timestamp.map(i64::to_be_bytes);
    hash.optional(timestamp.as_ref().map(<[u8; 8]>::as_slice));
    hash.optional(record.key.as_deref());
    hash.optional(record.value.as_deref());
    hash.sys_id()
}

/// The identity of the row that all records with this key stand for.
pub(super) fn of_key(key: &[u8], table: &str, scope: &IdentityScope) -> String {
    let mut hash = IdentityHasher::new(scope, table);
    hash.part(key);
    hash.sys_id()
}

/// The identity in the record's header, if there is one.
///
/// # Errors
/// It was not made here: with another one the row could be made twice.
pub(super) fn carried(record: &ConsumerRecord) -> Result<Option<String>, Refusal> {
    let Some(text) = record.header(CREATE_ID_HEADER) else {
        return Ok(None);
    };
    let ours = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    match std::str::from_utf8(text) {
        Ok(id) if id.len() == 2 * SYS_ID_HASH_BYTES && text.iter().all(ours) => {
            Ok(Some(id.to_owned()))
        }
        _ => Err(Refusal::unsent(
            RefusalKind::InvalidIdentity,
            format!(
                "the header `{CREATE_ID_HEADER}` does not hold 32 lower-case hexadecimal digits"
            ),
        )),
    }
}

/// A hash over parts. Each is preceded by its length, so that different lists of parts never are the
/// same bytes.
struct IdentityHasher(Sha256);

impl IdentityHasher {
    fn new(scope: &IdentityScope, table: &str) -> IdentityHasher {
        let mut parts = IdentityHasher(Sha256::new());
        parts.part(scope.instance.as_bytes());
        parts.part(table.as_bytes());
        parts
    }

    fn part(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(bytes);
    }

    /// An absent part is not the same as an empty one.
    fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.part(bytes),
            None => self.0.update(u64::MAX.to_be_bytes()),
        }
    }

    fn sys_id(self) -> String {
        let digest = self.0.finalize();
        let bytes = digest.get(..SYS_ID_HASH_BYTES).unwrap_or_default();
        base16ct::lower::encode_string(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn scope() -> IdentityScope {
        IdentityScope {
            instance: "https://dev1.service-now.com".to_owned(),
            cluster: "c1".to_owned(),
        }
    }

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: Arc::from("orders"),
            partition: 2,
            offset: 7,
            timestamp: Some(1_700_000_000_000),
            key: Some(b"k".to_vec()),
            value: Some(b"{}".to_vec()),
            headers: Vec::new(),
            unreadable_headers: false,
        }
    }

    /// The same bytes, put together by hand.
    fn by_hand(parts: &[&[u8]]) -> String {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        let digest = Sha256::digest(bytes);
        digest[..16].iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn ids_never_change() {
        let id = of_record(&record(), "incident", &scope());
        let expected = by_hand(&[
            b"https://dev1.service-now.com",
            b"incident",
            b"c1",
            b"orders",
            &[0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 7],
            &1_700_000_000_000_i64.to_be_bytes(),
            b"k",
            b"{}",
        ]);
        assert_eq!(id, expected);
        assert_eq!(id, "a01a2a4b5ef8bea7186b9fc0a63ec375");
        let id = of_key(b"k", "incident", &scope());
        assert_eq!(
            id,
            by_hand(&[b"https://dev1.service-now.com", b"incident", b"k"])
        );
        assert_eq!(id, "80d499ab0b44c59ffd0ca0802e4825da");
    }

    #[test]
    fn every_part_counts() {
        let mut ids = vec![of_record(&record(), "incident", &scope())];
        let mut with = |change: &dyn Fn(&mut ConsumerRecord)| {
            let mut changed = record();
            change(&mut changed);
            ids.push(of_record(&changed, "incident", &scope()));
        };
        with(&|r| r.topic = Arc::from("other"));
        with(&|r| r.partition = 3);
        with(&|r| r.offset = 8);
        with(&|r| r.timestamp = None);
        with(&|r| r.timestamp = Some(1));
        with(&|r| r.key = None);
        with(&|r| r.key = Some(Vec::new()));
        with(&|r| r.value = None);
        with(&|r| r.value = Some(b"{ }".to_vec()));
        ids.push(of_record(&record(), "problem", &scope()));
        let other = IdentityScope {
            instance: "https://dev2.service-now.com".to_owned(),
            ..scope()
        };
        ids.push(of_record(&record(), "incident", &other));
        let other = IdentityScope {
            cluster: "c2".to_owned(),
            ..scope()
        };
        ids.push(of_record(&record(), "incident", &other));
        ids.push(of_key(b"k", "incident", &scope()));
        ids.push(of_key(b"l", "incident", &scope()));
        ids.push(of_key(b"k", "problem", &scope()));
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn headers_do_not_count_but_a_carried_id_does() {
        let mut other = record();
        other
            .headers
            .push(("trace".to_owned(), Some(b"x".to_vec())));
        assert_eq!(
            of_record(&other, "incident", &scope()),
            of_record(&record(), "incident", &scope())
        );
        assert_eq!(carried(&other), Ok(None));
        let id = "0123456789abcdef0123456789abcdef";
        let mut carry = |text: &str| {
            let header = (CREATE_ID_HEADER.to_owned(), Some(text.as_bytes().to_vec()));
            other.headers.push(header);
            carried(&other)
        };
        assert_eq!(carry(id), Ok(Some(id.to_owned())));
        for wrong in ["", "0123", &id.to_uppercase(), &format!("{id}0"), "../x"] {
            assert_eq!(carry(wrong).unwrap_err().kind, RefusalKind::InvalidIdentity);
        }
    }

    proptest! {
        #[test]
        fn moving_a_border_makes_another_id(text in "[a-c]{1,6}", at in 0_usize..6) {
            let at = at.min(text.len());
            let id = |key: &str, value: &str| {
                let record = ConsumerRecord {
                    key: Some(key.as_bytes().to_vec()),
                    value: Some(value.as_bytes().to_vec()),
                    ..record()
                };
                of_record(&record, "incident", &scope())
            };
            let (key, value) = text.split_at(at);
            prop_assert_eq!(id(key, value), id(key, value));
            if !value.is_empty() {
                prop_assert_ne!(id(key, value), id(&text, ""));
            }
        }
    }
}
