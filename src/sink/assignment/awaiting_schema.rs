//! Records that cannot be handed out before their schema is known, one of each partition.
//!
//! A parked record is as good as not consumed: it is not begun, so that no position passes it, and
//! it goes away with its partition. That its partition stays paused keeps those behind it away.

use std::time::Instant;

use super::{AssignedPartition, Assignment};
use crate::kafka::{ConsumerRecord, TopicPartition};
use crate::sink::record::SchemaRequest;

/// A record that waits.
#[derive(Debug)]
pub(super) struct DeferredRecord {
    record: ConsumerRecord,
    needs: SchemaRequest,
    since: Instant,
}

/// A record that waits for a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink) struct SchemaWait {
    pub(in crate::sink) partition: TopicPartition,
    /// Which of the topics.
    pub(in crate::sink) topic: usize,
    pub(in crate::sink) offset: i64,
    pub(in crate::sink) needs: SchemaRequest,
    pub(in crate::sink) since: Instant,
}

impl Assignment {
    /// The next record of `partition` waits for a schema. [`Assignment::flow`] pauses the partition,
    /// which must happen before the next poll. A record of a partition that is not ours is dropped:
    /// it comes again, to us or to another member. `since` when it waits, for whatever schema.
    pub(in crate::sink) fn park(
        &self,
        partition: &TopicPartition,
        record: ConsumerRecord,
        needs: SchemaRequest,
        since: Instant,
    ) {
        let mut state = self.state();
        let assigned = state.partitions.get_mut(partition);
        if let Some(assigned) = assigned.filter(|assigned| !assigned.barred) {
            assigned.parked = Some(DeferredRecord {
                record,
                needs,
                since,
            });
        }
    }

    /// Whether a record of this partition waits, so that no other one may be handed out.
    pub(in crate::sink) fn is_parked(&self, partition: &TopicPartition) -> bool {
        let state = self.state();
        let assigned = state.partitions.get(partition);
        assigned.is_some_and(|assigned| assigned.parked.is_some())
    }

    /// Takes back a record that need not wait any longer, if its topic has room for it, and since
    /// when it waited. Until it is handed out, nothing else of its partition may be.
    pub(in crate::sink) fn unpark(
        &self,
        is_settled: impl Fn(&SchemaWait) -> bool,
    ) -> Option<(ConsumerRecord, Instant)> {
        let mut state = self.state();
        let state = &mut *state;
        state
            .partitions
            .iter_mut()
            .find_map(|(partition, assigned)| {
                let topic = state.topics.get(assigned.topic)?;
                let waiting = assigned.waiting(partition)?;
                let ready = topic.has_room(state.bytes) && is_settled(&waiting);
                let parked = assigned.parked.take_if(|_| ready)?;
                Some((parked.record, parked.since))
            })
    }

    /// The records that wait, and for what.
    pub(in crate::sink) fn waiting(&self) -> Vec<SchemaWait> {
        let state = self.state();
        let waiting = state.partitions.iter();
        let waiting = waiting.filter_map(|(partition, assigned)| assigned.waiting(partition));
        waiting.collect()
    }
}

impl AssignedPartition {
    fn waiting(&self, partition: &TopicPartition) -> Option<SchemaWait> {
        let parked = self.parked.as_ref()?;
        Some(SchemaWait {
            partition: partition.clone(),
            topic: self.topic,
            offset: parked.record.offset,
            needs: parked.needs,
            since: parked.since,
        })
    }
}
