//! Headers of a consumed record for one that is produced.

use rdkafka::message::{Header, OwnedHeaders};

use super::Headers;

impl Headers {
    /// Headers as they were received: in their order, null values kept.
    pub fn copied(headers: &[(String, Option<Vec<u8>>)]) -> Headers {
        if headers.is_empty() {
            return Headers(None);
        }
        let empty = OwnedHeaders::new_with_capacity(headers.len());
        let add = |list: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
            let value = value.as_deref();
            list.insert(Header { key, value })
        };
        Headers(Some(headers.iter().fold(empty, add)))
    }
}
