//! What librdkafka calls back for a member of a group.

use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;

use super::{Group, Partition, Start, partitions_of, positions_list, start};
use crate::kafka::context::{Callbacks, Signals};
use crate::metrics::{GaugeVec, Metrics};

/// The context of one consumer.
pub(super) struct Context {
    callbacks: Callbacks,
    group: Arc<dyn Group>,
    lag: GaugeVec,
}

impl Context {
    pub(super) fn new(
        signals: Arc<Signals>,
        group: Arc<dyn Group>,
        metrics: &Arc<Metrics>,
    ) -> Context {
        Context {
            callbacks: Callbacks(signals),
            group,
            lag: metrics.sink_lag.clone(),
        }
    }

    fn assign(&self, base: &BaseConsumer<Context>, list: &TopicPartitionList) {
        let partitions = partitions_of(list);
        let starts = start::starts(base, &partitions);
        let mut wanted = TopicPartitionList::new();
        for (partition, start) in &starts {
            let offset = match start {
                Start::Committed(offset) => Offset::Offset(*offset),
                Start::Oldest => Offset::Beginning,
                Start::Unknown => Offset::Stored,
                Start::Gone { .. } => Offset::End,
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
        self.group.assigned(&starts);
    }

    fn revoke(&self, base: &BaseConsumer<Context>, list: &TopicPartitionList) {
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
            let number = partition.number.to_string();
            self.lag.with(&[&partition.topic, &number]).set(0.0);
        }
    }
}

/// Stores positions; librdkafka commits them.
pub(super) fn store(base: &BaseConsumer<Context>, positions: &[(Partition, i64)]) {
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

impl ClientContext for Context {
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
        if let Ok(Statistics { topics }) = serde_json::from_slice(statistics) {
            for (topic, TopicStatistics { partitions }) in &topics {
                for (number, lag) in partitions {
                    if *number != "-1" && 0 <= lag.consumer_lag {
                        self.lag
                            .with(&[topic, number])
                            .set(as_f64(lag.consumer_lag));
                    }
                }
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

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        base: &BaseConsumer<Context>,
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
fn committed(offsets: &TopicPartitionList) -> Vec<(Partition, i64)> {
    let elements = offsets.elements();
    let position = |element: &TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(offset) if element.error().is_ok() => {
            let topic = Arc::from(element.topic());
            let number = element.partition();
            Some((Partition { topic, number }, offset))
        }
        _ => None,
    };
    elements.iter().filter_map(position).collect()
}

/// Of librdkafka's statistics, what says how far we are behind.
#[derive(Debug, Deserialize)]
struct Statistics<'a> {
    #[serde(borrow, default)]
    topics: std::collections::BTreeMap<&'a str, TopicStatistics<'a>>,
}

#[derive(Debug, Deserialize)]
struct TopicStatistics<'a> {
    #[serde(borrow, default)]
    partitions: std::collections::BTreeMap<&'a str, Lag>,
}

#[derive(Debug, Deserialize)]
struct Lag {
    /// Records between the committed position and the end; -1 is unknown.
    consumer_lag: i64,
}
