//! A consumed record.

use std::sync::Arc;

use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use crate::expected_panic;

/// A consumed record. It owns its bytes, so that it can wait in a queue while librdkafka reuses its own
/// memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970 UTC at which it was created or appended, depending on the topic's
    /// `message.timestamp.type`. `None`: the broker has none.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The body; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order; names may repeat, values may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The name of a header is not UTF-8; then `headers` is empty.
    pub unreadable_headers: bool,
}

impl ConsumerRecord {
    /// Copies a message of librdkafka.
    pub(super) fn of(message: &BorrowedMessage<'_>, topic: Arc<str>) -> ConsumerRecord {
        // The only way of rdkafka 0.39 to read a header's name panics when the name is not UTF-8, and
        // every program that may write to the topic can send such a record.
        let headers = expected_panic::catch(|| headers(message));
        ConsumerRecord {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            unreadable_headers: headers.is_none(),
            headers: headers.unwrap_or_default(),
        }
    }

    /// The value of the last header of this name (as `Headers.lastHeader` of Kafka's Java client).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter().rev();
        let (_, value) = headers.find(|(known, _)| known == name)?;
        value.as_deref()
    }

    /// Bytes of key, value and headers: about what the record holds in memory.
    pub fn size(&self) -> usize {
        let len = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let header = |(name, value): &(String, Option<Vec<u8>>)| name.len() + len(value);
        len(&self.key) + len(&self.value) + self.headers.iter().map(header).sum::<usize>()
    }
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Option<Vec<u8>>)> {
    let headers = message.headers().into_iter().flat_map(|list| list.iter());
    headers
        .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
        .collect()
}
