//! Records that cannot be handed out before their schema is known, at most one of each partition.
//!
//! Such a record is treated as not consumed: it is not in flight, so that no position passes it, and it
//! goes away with its partition. The partition stays paused, which keeps the records behind it away.

use std::time::Instant;

use crate::kafka::{ConsumerRecord, TopicPartition};
use crate::sink::record::SchemaRequest;

/// A record that waits, with the reason.
#[derive(Debug)]
pub(super) struct DeferredRecord {
    pub(super) record: ConsumerRecord,
    pub(super) request: SchemaRequest,
    /// Since when it waits, for this schema or another one.
    pub(super) since: Instant,
}

/// Which record waits for which schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink) struct SchemaWait {
    pub(in crate::sink) partition: TopicPartition,
    /// Index of the topic in `sink.topics`.
    pub(in crate::sink) topic: usize,
    pub(in crate::sink) offset: i64,
    pub(in crate::sink) request: SchemaRequest,
    pub(in crate::sink) since: Instant,
}

impl DeferredRecord {
    pub(super) fn wait(&self, partition: &TopicPartition, topic: usize) -> SchemaWait {
        SchemaWait {
            partition: partition.clone(),
            topic,
            offset: self.record.offset,
            request: self.request,
            since: self.since,
        }
    }
}
