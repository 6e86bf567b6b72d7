//! How many records of each topic are in flight, and whether another one may be.

use std::sync::Arc;

use crate::metrics::{Gauge, Metrics};

/// A partition may have this many times its topic's limit in flight or uncommitted. These are the
/// records that come again after a crash.
const UNCOMMITTED_PER_IN_FLIGHT: usize = 4;
/// Bytes of all topics' records that may be in flight at once.
pub(super) const MAX_IN_FLIGHT_BYTES: usize = 16 << 20;

/// The records in flight: those that were handed out and have not come back.
pub(super) struct InFlight {
    /// In the order of `sink.topics`.
    topics: Vec<TopicInFlight>,
    /// About what all of them hold in memory.
    bytes: usize,
}

struct TopicInFlight {
    name: Arc<str>,
    limit: usize,
    records: usize,
    /// Records that wait for writes of the last owner of their partition. They are not in flight, but hold memory.
    waiting: usize,
    paused: bool,
    gauge: Gauge,
    waiting_gauge: Gauge,
}

impl InFlight {
    /// Nothing is in flight. `limits`: the name of each topic, and how many of its records may be in
    /// flight.
    pub(super) fn new(limits: &[(Arc<str>, usize)], metrics: &Metrics) -> InFlight {
        let topic = |(name, limit): &(Arc<str>, usize)| TopicInFlight {
            name: Arc::clone(name),
            limit: *limit,
            records: 0,
            waiting: 0,
            paused: false,
            gauge: metrics.sink_in_flight.with(&[name]),
            waiting_gauge: metrics.sink_waiting.with(&[name]),
        };
        InFlight {
            topics: limits.iter().map(topic).collect(),
            bytes: 0,
        }
    }

    /// The index of a topic in `sink.topics`.
    pub(super) fn topic_index(&self, name: &str) -> Option<usize> {
        self.topics.iter().position(|topic| *topic.name == *name)
    }

    /// How many records of a partition of this topic may be in flight or uncommitted.
    pub(super) fn max_uncommitted(&self, topic: usize) -> usize {
        let limit = self.topics.get(topic).map_or(0, |topic| topic.limit);
        limit.saturating_mul(UNCOMMITTED_PER_IN_FLIGHT)
    }

    /// A record was handed out.
    pub(super) fn add(&mut self, topic: usize, bytes: usize) {
        self.bytes += bytes;
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.records += 1;
        }
    }

    /// A record waits for writes of the last owner of its partition.
    pub(super) fn add_waiting(&mut self, topic: usize, bytes: usize) {
        self.bytes += bytes;
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.waiting += 1;
        }
    }

    /// A record that waited is in flight now.
    pub(super) fn start_waiting(&mut self, topic: usize) {
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.waiting = topic.waiting.saturating_sub(1);
            topic.records += 1;
        }
    }

    /// Records that waited went away with their partition.
    pub(super) fn drop_waiting(&mut self, topic: usize, records: usize, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.waiting = topic.waiting.saturating_sub(records);
        }
    }

    /// A record has come back.
    pub(super) fn remove(&mut self, topic: usize, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.records = topic.records.saturating_sub(1);
        }
    }

    /// Whether one more record of this topic may be handed out.
    pub(super) fn has_room(&self, topic: usize) -> bool {
        let topic = self.topics.get(topic);
        topic.is_some_and(|topic| topic.has_room(self.bytes))
    }

    /// Whether a record of this topic that waited may start. Its bytes are counted already.
    pub(super) fn may_start_waiting(&self, topic: usize) -> bool {
        let topic = self.topics.get(topic);
        topic.is_some_and(|topic| topic.records < topic.limit)
    }

    /// Whether any record is in flight.
    pub(super) fn is_any(&self) -> bool {
        self.topics.iter().any(|topic| topic.records > 0)
    }

    /// Whether the limit of this topic has been reached and not half of it has come back since.
    pub(super) fn is_paused(&self, topic: usize) -> bool {
        self.topics.get(topic).is_some_and(|topic| topic.paused)
    }

    /// Whether each of the topics with an assigned partition is at its limit and not paused yet. While
    /// one of them has room, the others are paused instead, so that it need not wait for them.
    pub(super) fn is_full(&self, is_assigned: impl Fn(usize) -> bool) -> bool {
        let mut topics = self.topics.iter().enumerate();
        topics.all(|(index, topic)| {
            !is_assigned(index) || (topic.records >= topic.limit && !topic.paused)
        })
    }

    /// Pauses the topics that have no room, and resumes those of which half has come back: early enough
    /// that the workers never run dry.
    pub(super) fn update_pauses(&mut self) {
        let bytes = self.bytes;
        for topic in &mut self.topics {
            let few_bytes = bytes <= MAX_IN_FLIGHT_BYTES / 2 || topic.is_empty();
            let is_low = topic.records <= topic.limit / 2 && few_bytes;
            topic.paused = if topic.paused {
                !is_low
            } else {
                !topic.has_room(bytes)
            };
        }
    }

    /// Sets the metric of each topic.
    pub(super) fn show(&self) {
        for topic in &self.topics {
            topic.gauge.set(as_f64(topic.records));
            topic.waiting_gauge.set(as_f64(topic.waiting));
        }
    }
}

impl TopicInFlight {
    /// Whether one more record may be handed out while records of all topics hold `bytes`. One record
    /// of each topic always may, so that no topic waits for another.
    fn has_room(&self, bytes: usize) -> bool {
        self.records < self.limit && (bytes < MAX_IN_FLIGHT_BYTES || self.is_empty())
    }

    /// Whether none of its records holds memory.
    fn is_empty(&self) -> bool {
        self.records + self.waiting == 0
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are never so many records"
)]
fn as_f64(records: usize) -> f64 {
    records as f64
}
