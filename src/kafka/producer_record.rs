//! A record to produce, and its headers.

use rdkafka::message::{Header, OwnedHeaders};

/// One record to produce. librdkafka copies the bytes when the record is enqueued.
#[derive(Debug, Clone, Copy)]
pub struct ProducerRecord<'a> {
    /// Topic to produce to.
    pub topic: &'a str,
    /// The murmur2 hash of the key decides the partition; without a key the partition is random.
    pub key: Option<&'a [u8]>,
    /// The body; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, which are the same for each record of a table.
    pub headers: &'a RecordHeaders,
    /// Headers of this record alone, behind the others.
    pub own_headers: &'a [(&'a str, &'a [u8])],
}

/// Record headers, made once per table and copied into each record by librdkafka.
#[derive(Debug, Clone, Default)]
pub struct RecordHeaders(Option<OwnedHeaders>);

impl RecordHeaders {
    /// Headers in the given order; names may repeat.
    pub fn new(headers: &[(&str, &[u8])]) -> RecordHeaders {
        let headers = headers.iter().map(|(key, value)| (*key, Some(*value)));
        RecordHeaders::collect(headers)
    }

    /// The headers of a consumed record: in their order, null values kept.
    pub fn copied(headers: &[(String, Option<Vec<u8>>)]) -> RecordHeaders {
        let headers = headers
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref()));
        RecordHeaders::collect(headers)
    }

    fn collect<'h>(
        headers: impl ExactSizeIterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> RecordHeaders {
        if headers.len() == 0 {
            return RecordHeaders(None);
        }
        let empty = OwnedHeaders::new_with_capacity(headers.len());
        let add = |list: OwnedHeaders, (key, value)| list.insert(Header { key, value });
        RecordHeaders(Some(headers.fold(empty, add)))
    }

    /// The copy that goes with one record, with these headers of its own behind.
    pub(super) fn copy_with(&self, own: &[(&str, &[u8])]) -> Option<OwnedHeaders> {
        if own.is_empty() {
            return self.0.clone();
        }
        let copy = self.0.clone().unwrap_or_default();
        let add = |list: OwnedHeaders, (key, value): &(&str, &[u8])| {
            let value = Some(*value);
            list.insert(Header { key, value })
        };
        Some(own.iter().fold(copy, add))
    }
}
