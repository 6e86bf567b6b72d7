//! Records that cannot be handed out before their schema is known, one of each partition.
//!
//! A parked record is as good as not consumed: it is not begun, so that no position passes it, and
//! it goes away with its partition. That its partition stays paused keeps those behind it away.

use std::time::Instant;

use super::Assignment;
use crate::kafka::{Partition, Received};

/// A record that waits.
#[derive(Debug)]
pub(super) struct Parked {
    record: Received,
    schema: u32,
    since: Instant,
}

/// A record that waits for a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink) struct Waiting {
    pub(in crate::sink) partition: Partition,
    /// Which of the topics.
    pub(in crate::sink) topic: usize,
    pub(in crate::sink) offset: i64,
    pub(in crate::sink) schema: u32,
    pub(in crate::sink) since: Instant,
}

impl Assignment {
    /// The next record of `partition` waits for a schema. [`Assignment::flow`] pauses the partition,
    /// which must happen before the next poll. A record of a partition that is not ours is dropped:
    /// it comes again, to us or to another member.
    pub(in crate::sink) fn park(&self, partition: &Partition, record: Received, schema: u32) {
        let mut state = self.state();
        let assigned = state.partitions.get_mut(partition);
        if let Some(assigned) = assigned.filter(|assigned| assigned.gone.is_none()) {
            assigned.parked = Some(Parked {
                record,
                schema,
                since: Instant::now(),
            });
        }
    }

    /// Whether a record of this partition waits, so that no other one may be handed out.
    pub(in crate::sink) fn is_parked(&self, partition: &Partition) -> bool {
        let state = self.state();
        let assigned = state.partitions.get(partition);
        assigned.is_some_and(|assigned| assigned.parked.is_some())
    }

    /// Takes back a record whose schema is known by now, if its topic has room for it. Until it is
    /// handed out, nothing else of its partition may be.
    pub(in crate::sink) fn unpark(&self, is_known: impl Fn(u32) -> bool) -> Option<Received> {
        let mut state = self.state();
        let state = &mut *state;
        state.partitions.values_mut().find_map(|assigned| {
            let topic = state.topics.get(assigned.topic)?;
            let ready =
                |parked: &mut Parked| topic.has_room(state.bytes) && is_known(parked.schema);
            assigned.parked.take_if(ready).map(|parked| parked.record)
        })
    }

    /// The records that wait, and for what.
    pub(in crate::sink) fn waiting(&self) -> Vec<Waiting> {
        let state = self.state();
        let waiting = state.partitions.iter().filter_map(|(partition, assigned)| {
            let parked = assigned.parked.as_ref()?;
            Some(Waiting {
                partition: partition.clone(),
                topic: assigned.topic,
                offset: parked.record.offset,
                schema: parked.schema,
                since: parked.since,
            })
        });
        waiting.collect()
    }
}
