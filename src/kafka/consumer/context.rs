//! What librdkafka calls back for a member of a group.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;

use super::{
    RebalanceListener, StartPosition, TopicPartition, partitions_of, positions_list, start_position,
};
use crate::kafka::client_context::{ClientCallbacks, ClientSignals};
use crate::metrics::{GaugeVec, Metrics};
use crate::sync::{Mutex, MutexGuard};

/// The context of one consumer.
pub(super) struct GroupContext {
    callbacks: ClientCallbacks,
    group: Arc<dyn RebalanceListener>,
    lag: GaugeVec,
    /// What is ours and where it began: librdkafka tells no lag before the first commit.
    starts: Mutex<BTreeMap<TopicPartition, StartPosition>>,
}

impl GroupContext {
    pub(super) fn new(
        signals: Arc<ClientSignals>,
        group: Arc<dyn RebalanceListener>,
        metrics: &Arc<Metrics>,
    ) -> GroupContext {
        GroupContext {
            callbacks: ClientCallbacks(signals),
            group,
            lag: metrics.sink_lag.clone(),
            starts: Mutex::default(),
        }
    }

    /// These begin there, anew or again.
    pub(super) fn begin(&self, starts: &[(TopicPartition, StartPosition)]) {
        for (partition, start) in starts {
            // Nothing is fetched, so that the statistics will not tell.
            if let StartPosition::Gone { low, high, .. } = start {
                self.show_lag(partition, as_f64(high.saturating_sub(*low)));
            }
        }
        self.starts().extend(starts.iter().cloned());
    }

    fn show_lag(&self, partition: &TopicPartition, records: f64) {
        let number = partition.number.to_string();
        self.lag.with(&[&partition.topic, &number]).set(records);
    }

    fn starts(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, StartPosition>> {
        self.starts.lock()
    }

    fn assign(&self, base: &BaseConsumer<GroupContext>, list: &TopicPartitionList) {
        let partitions = partitions_of(list);
        let starts = start_position::starts(base, &partitions);
        let mut wanted = TopicPartitionList::new();
        for (partition, start) in &starts {
            let offset = match start {
                StartPosition::Committed(offset) => Offset::Offset(*offset),
                StartPosition::Oldest => Offset::Beginning,
                StartPosition::Unknown => Offset::Stored,
                StartPosition::Gone { .. } => Offset::End,
            };
            // The list is librdkafka's own; it takes what it gave.
            wanted
                .add_partition_offset(&partition.topic, partition.number, offset)
                .ok();
        }
        // librdkafka remembers the pause of a partition that went away while it was paused.
        if let Err(error) = base.resume(&wanted) {
            log::error!(target: "kafka", error:% = error; "new partitions cannot be resumed");
        }
        let done = match base.rebalance_protocol() {
            RebalanceProtocol::Cooperative => base.incremental_assign(&wanted),
            RebalanceProtocol::Eager | RebalanceProtocol::None => base.assign(&wanted),
        };
        if let Err(error) = done {
            log::error!(target: "kafka", error:% = error; "an assignment was not taken");
            return;
        }
        let gone = starts.iter().filter(|(_, start)| start.is_gone());
        let gone = super::list(gone.map(|(partition, _)| partition));
        if gone.count() > 0
            && let Err(error) = base.pause(&gone)
        {
            log::error!(target: "kafka", error:% = error; "a partition cannot be held");
        }
        self.begin(&starts);
        self.group.assigned(&starts);
    }

    fn revoke(&self, base: &BaseConsumer<GroupContext>, list: &TopicPartitionList) {
        let partitions = partitions_of(list);
        // Another member may work on them already: a commit would overwrite its progress.
        if base.assignment_lost() {
            self.group.lost(&partitions);
        } else {
            // They are committed while the partitions are taken away.
            store(base, &self.group.revoked(&partitions));
        }
        let done = match base.rebalance_protocol() {
            RebalanceProtocol::Cooperative => base.incremental_unassign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => base.unassign(),
        };
        if let Err(error) = done {
            log::error!(target: "kafka", error:% = error; "a revocation was not taken");
        }
        for partition in &partitions {
            self.starts().remove(partition);
            // Another member may know.
            self.show_lag(partition, f64::NAN);
        }
    }
}

/// Stores positions; librdkafka commits them.
pub(super) fn store(base: &BaseConsumer<GroupContext>, positions: &[(TopicPartition, i64)]) {
    if positions.is_empty() {
        return;
    }
    if let Err(error) = base.store_offsets(&positions_list(positions)) {
        log::warn!(target: "kafka", error:% = error; "positions cannot be stored");
    }
}

fn commit_words(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => format!("{code:?}: {code}"),
        None => error.to_string(),
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.callbacks.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // A position outside of its partition is told by the poll, with more to say.
        let told = [Some(Code::AutoOffsetReset), Some(Code::OffsetOutOfRange)];
        if !told.contains(&error.rdkafka_error_code()) {
            self.callbacks.error(error, reason);
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(ConsumerStatistics { topics }) = serde_json::from_slice(statistics) else {
            return;
        };
        for (partition, start) in self.starts().iter() {
            let topic = topics.get(&*partition.topic);
            let number = partition.number.to_string();
            let found = topic.and_then(|topic| topic.partitions.get(number.as_str()));
            if let Some(records) = found.and_then(|found| found.lag(start)) {
                self.show_lag(partition, as_f64(records));
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric may round above 2^53 records"
)]
fn as_f64(records: i64) -> f64 {
    records as f64
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        base: &BaseConsumer<GroupContext>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(base, list),
            _ => self.revoke(base, list),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            // There was nothing to commit.
            Err(KafkaError::ConsumerCommit(Code::NoOffset)) => {}
            Err(error) => self.group.committed(Err(commit_words(&error))),
            Ok(()) => {
                self.group.committed(Ok(&committed(offsets)));
                // librdkafka speaks of a failure when no partition went well.
                let elements = offsets.elements();
                let failed = elements.iter().find_map(|element| element.error().err());
                if let Some(error) = failed {
                    self.group.committed(Err(commit_words(&error)));
                }
            }
        }
    }
}

/// The positions of a commit that went well.
fn committed(offsets: &TopicPartitionList) -> Vec<(TopicPartition, i64)> {
    let elements = offsets.elements();
    let position = |element: &TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(offset) if element.error().is_ok() => {
            let topic = Arc::from(element.topic());
            let number = element.partition();
            Some((TopicPartition { topic, number }, offset))
        }
        _ => None,
    };
    elements.iter().filter_map(position).collect()
}

/// Of librdkafka's statistics, what says how far we are behind.
#[derive(Debug, Deserialize)]
struct ConsumerStatistics<'a> {
    #[serde(borrow, default)]
    topics: BTreeMap<&'a str, TopicStatistics<'a>>,
}

#[derive(Debug, Deserialize)]
struct TopicStatistics<'a> {
    #[serde(borrow, default)]
    partitions: BTreeMap<&'a str, PartitionStatistics>,
}

/// What is negative is not known.
#[derive(Debug, Deserialize)]
struct PartitionStatistics {
    /// Records between the last commit of this process and the end.
    consumer_lag: i64,
    lo_offset: i64,
    /// The end, without what is not committed by its producer.
    ls_offset: i64,
}

impl PartitionStatistics {
    /// Records behind the committed position, or all that are there while the group has none.
    fn lag(&self, start: &StartPosition) -> Option<i64> {
        let known = |number: i64| Some(number).filter(|number| 0 <= *number);
        known(self.consumer_lag).or_else(|| {
            let begun = match start {
                StartPosition::Committed(offset) => *offset,
                StartPosition::Oldest => known(self.lo_offset)?,
                StartPosition::Unknown | StartPosition::Gone { .. } => return None,
            };
            known(self.ls_offset)?.checked_sub(begun).and_then(known)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_counts_from_where_the_partition_began_until_there_is_a_commit() {
        let offsets = |consumer_lag, lo_offset, ls_offset| PartitionStatistics {
            consumer_lag,
            lo_offset,
            ls_offset,
        };
        let begun = StartPosition::Committed(40);
        assert_eq!(offsets(7, 0, 90).lag(&begun), Some(7));
        assert_eq!(offsets(-1, 0, 90).lag(&begun), Some(50));
        assert_eq!(offsets(-1, 0, 90).lag(&StartPosition::Oldest), Some(90));
        assert_eq!(offsets(-1, 20, 90).lag(&StartPosition::Oldest), Some(70));
        for unknown in [offsets(-1, 0, -1001), offsets(-1, -1001, 30)] {
            assert_eq!(unknown.lag(&StartPosition::Unknown), None);
        }
        assert_eq!(offsets(-1, 0, -1001).lag(&begun), None);
        assert_eq!(offsets(-1, -1001, 90).lag(&StartPosition::Oldest), None);
    }
}
