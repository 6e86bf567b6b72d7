//! Headers of a consumed record for one that is produced.

use rdkafka::message::{Header, OwnedHeaders};

use super::RecordHeaders;

impl RecordHeaders {
    /// Headers as they were received: in their order, null values kept.
    pub fn copied(headers: &[(String, Option<Vec<u8>>)]) -> RecordHeaders {
        if headers.is_empty() {
            return RecordHeaders(None);
        }
        let empty = OwnedHeaders::new_with_capacity(headers.len());
        let add = |list: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
            let value = value.as_deref();
            list.insert(Header { key, value })
        };
        RecordHeaders(Some(headers.iter().fold(empty, add)))
    }
}
