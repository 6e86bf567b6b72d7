//! librdkafka's callbacks of a group's consumer: rebalances, commits, and the lag from its statistics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;

use super::offset_commit::OffsetCommit;
use super::positions::{forget_stored, open, start_positions, store, without_commit};
use super::rebalance_listener::RebalanceListener;
use super::start_position::{PartitionStart, StartPosition};
use crate::kafka::client_context::{ClientCallbacks, ClientSignals};
use crate::kafka::librdkafka_words::NO_BROKER_WORDS;
use crate::kafka::topic_partition::{TopicPartition, partition_list, partitions_in};
use crate::metrics::{GaugeVec, Metrics};
use crate::sync::{Mutex, MutexGuard};

/// Bound on one look whether what the group has committed is still there.
const COMMIT_LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// What is known of an assigned partition.
struct KnownPartition {
    /// Where it began: librdkafka gives no lag before the first commit, which is then counted from here.
    start: StartPosition,
    commit: CommitPresence,
}

/// Whether the group has committed an offset of an assigned partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommitPresence {
    /// Not that this process knows.
    Unknown,
    /// It has, so that the offset is gone if Kafka has none.
    Present,
    /// It had, and the offset was found to be gone.
    Vanished,
}

/// The context of one consumer.
pub(super) struct GroupContext {
    callbacks: ClientCallbacks,
    listener: Arc<dyn RebalanceListener>,
    lag: GaugeVec,
    /// The group has dropped this member, and it has no assignment since.
    dropped: AtomicBool,
    assigned: Mutex<BTreeMap<TopicPartition, KnownPartition>>,
    closing: AtomicBool,
    created: Instant,
}

impl GroupContext {
    pub(super) fn new(
        signals: Arc<ClientSignals>,
        listener: Arc<dyn RebalanceListener>,
        metrics: &Arc<Metrics>,
    ) -> GroupContext {
        GroupContext {
            callbacks: ClientCallbacks(signals),
            listener,
            lag: metrics.sink_lag.clone(),
            dropped: AtomicBool::new(false),
            assigned: Mutex::default(),
            closing: AtomicBool::new(false),
            created: Instant::now(),
        }
    }

    /// For these assigned partitions the group has committed an offset.
    pub(super) fn note_committed(&self, partitions: &[TopicPartition]) {
        self.note(partitions, CommitPresence::Present);
    }

    fn note(&self, partitions: &[TopicPartition], commit: CommitPresence) {
        let mut assigned = self.assigned();
        for partition in partitions {
            if let Some(known) = assigned.get_mut(partition) {
                known.commit = commit;
            }
        }
    }

    /// The assigned partitions for which the group has committed an offset that Kafka does not have any more: their
    /// topic was deleted, and with it what was committed for it. The positions in it are committed no more.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub(super) fn vanished(
        &self,
        base: &BaseConsumer<GroupContext>,
    ) -> KafkaResult<Vec<TopicPartition>> {
        let known: Vec<TopicPartition> = {
            let assigned = self.assigned();
            let committed = assigned
                .iter()
                .filter(|(_, it)| it.commit != CommitPresence::Unknown);
            committed.map(|(partition, _)| partition.clone()).collect()
        };
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let vanished = without_commit(base, &known, COMMIT_LOOK_TIMEOUT)?;
        forget_stored(base, &vanished);
        self.note(&vanished, CommitPresence::Vanished);
        Ok(vanished)
    }

    /// The consumer is about to be dropped.
    pub(super) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    /// What may be committed of these positions: a topic that was made anew must not get those of the old one.
    fn still_valid(
        &self,
        base: &BaseConsumer<GroupContext>,
        mut commits: Vec<OffsetCommit>,
    ) -> Vec<OffsetCommit> {
        // A consumer that is being dropped gets no answer any more.
        if !self.closing.load(Relaxed)
            && let Err(error) = self.vanished(base)
        {
            log::debug!(target: "kafka", error:% = error; "Kafka does not say what is committed");
        }
        let assigned = self.assigned();
        commits.retain(|commit| {
            let known = assigned.get(&commit.partition);
            known.is_none_or(|known| known.commit != CommitPresence::Vanished)
        });
        commits
    }

    /// Whether Kafka refuses this member because a younger process has its name. A commit that was held back
    /// while the session ran out is refused in the same words when the member has joined anew, as it
    /// bears the member's old number.
    pub(super) fn is_fenced(&self, cause: Code) -> bool {
        cause == Code::FencedInstanceId && !self.dropped.load(Relaxed)
    }

    /// Remembers where partitions begin, for the lag.
    pub(super) fn remember_starts(&self, starts: &[PartitionStart]) {
        for start in starts {
            // Such a partition is not fetched from, so that the statistics have no lag of it.
            if let StartPosition::Gone { low, high, .. } = start.position {
                self.show_lag(&start.partition, as_f64(high.saturating_sub(low)));
            }
        }
        let mut assigned = self.assigned();
        for start in starts {
            let known = assigned.entry(start.partition.clone());
            let known = known.or_insert(KnownPartition {
                start: StartPosition::Unknown,
                commit: CommitPresence::Unknown,
            });
            known.start = start.position.clone();
            if start.offset.is_some() && start.open_at.is_none() {
                known.commit = CommitPresence::Present;
            }
        }
    }

    fn show_lag(&self, partition: &TopicPartition, records: f64) {
        let number = partition.number.to_string();
        self.lag.with(&[&partition.topic, &number]).set(records);
    }

    fn assigned(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, KnownPartition>> {
        self.assigned.lock()
    }

    fn assign(&self, base: &BaseConsumer<GroupContext>, list: &TopicPartitionList) {
        let partitions = partitions_in(list);
        let mut starts = start_positions(base, &partitions);
        let opening: Vec<OffsetCommit> =
            starts.iter().filter_map(PartitionStart::opening).collect();
        let opened = open(base, &opening);
        note_opened(&mut starts, &opened);
        let mut wanted = TopicPartitionList::new();
        for PartitionStart {
            partition,
            position,
            ..
        } in &starts
        {
            let offset = match position {
                StartPosition::Committed(offset) => Offset::Offset(*offset),
                StartPosition::Oldest => Offset::Beginning,
                StartPosition::Unknown => Offset::Stored,
                StartPosition::Gone { .. } => Offset::End,
            };
            // Only a negative offset is refused, and these came from librdkafka.
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
        let kept_back =
            |start: &&PartitionStart| start.position.is_gone() || start.open_at.is_some();
        let kept_back = starts.iter().filter(kept_back);
        let kept_back = partition_list(kept_back.map(|start| &start.partition));
        if kept_back.count() > 0
            && let Err(error) = base.pause(&kept_back)
        {
            log::error!(target: "kafka", error:% = error; "a partition cannot be held");
        }
        self.dropped.store(false, Relaxed);
        self.remember_starts(&starts);
        self.listener.assigned(&starts);
    }

    fn revoke(&self, base: &BaseConsumer<GroupContext>, list: &TopicPartitionList) {
        let partitions = partitions_in(list);
        // If the group dropped this member, another one may work on the partitions already, and a
        // commit would overwrite its progress.
        if base.assignment_lost() {
            if base.client().fatal_error().is_none() {
                self.dropped.store(true, Relaxed);
            }
            self.listener.lost(&partitions);
        } else {
            // librdkafka commits what is stored while it takes the partitions away, also where the position is
            // committed already and only the note beside it is new.
            let commits = self.listener.revoked(&partitions);
            store(base, &self.still_valid(base, commits));
        }
        let done = match base.rebalance_protocol() {
            RebalanceProtocol::Cooperative => base.incremental_unassign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => base.unassign(),
        };
        if let Err(error) = done {
            log::error!(target: "kafka", error:% = error; "a revocation was not taken");
        }
        for partition in &partitions {
            self.assigned().remove(partition);
            // The lag is the next owner's to know.
            self.show_lag(partition, f64::NAN);
        }
    }
}

/// These partitions have nothing to be committed first any more.
pub(super) fn note_opened(starts: &mut [PartitionStart], opened: &[TopicPartition]) {
    for start in starts {
        if opened.contains(&start.partition) {
            start.open_at = None;
        }
    }
}

fn commit_words(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(Code::AllBrokersDown) => NO_BROKER_WORDS.to_owned(),
        Some(code) => format!("{code:?}: {code}"),
        None => error.to_string(),
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.callbacks.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The poll reports a position outside of its partition as well, and its caller logs more.
        let told = [Some(Code::AutoOffsetReset), Some(Code::OffsetOutOfRange)];
        if !told.contains(&error.rdkafka_error_code()) {
            self.callbacks.error(error, reason);
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(ConsumerStatistics { age, topics }) = serde_json::from_slice(statistics) else {
            return;
        };
        let made_at = self.created + Duration::from_micros(age);
        for (partition, known) in self.assigned().iter() {
            let topic = topics.get(&*partition.topic);
            let number = partition.number.to_string();
            let found = topic.and_then(|topic| topic.partitions.get(number.as_str()));
            if let Some(records) = found.and_then(|found| found.lag(&known.start)) {
                self.show_lag(partition, as_f64(records));
            }
            if let Some(offset) = found.and_then(PartitionStatistics::read_up_to) {
                self.listener.read_up_to(partition, offset, made_at);
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
            Err(error) => self.listener.committed(Err(commit_words(&error))),
            Ok(()) => {
                self.listener.committed(Ok(&committed(offsets)));
                // librdkafka reports a failure only when the commit of every partition failed.
                let elements = offsets.elements();
                let failed = elements.iter().find_map(|element| element.error().err());
                if let Some(error) = failed {
                    self.listener.committed(Err(commit_words(&error)));
                }
            }
        }
    }
}

/// The positions that a commit has stored.
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

/// The part of librdkafka's statistics that tells the lag (see STATISTICS.md of librdkafka).
#[derive(Debug, Deserialize)]
struct ConsumerStatistics<'a> {
    /// Microseconds since the client was made.
    #[serde(default)]
    age: u64,
    #[serde(borrow, default)]
    topics: BTreeMap<&'a str, TopicStatistics<'a>>,
}

#[derive(Debug, Deserialize)]
struct TopicStatistics<'a> {
    #[serde(borrow, default)]
    partitions: BTreeMap<&'a str, PartitionStatistics>,
}

/// Of one partition; a negative number is not known.
#[derive(Debug, Deserialize)]
struct PartitionStatistics {
    /// Records between the last offset that this process has committed and the end.
    consumer_lag: i64,
    lo_offset: i64,
    /// The last stable offset: the end, without records of transactions that are still open.
    ls_offset: i64,
    /// The next offset to fetch.
    #[serde(default)]
    next_offset: i64,
    /// Records that were fetched and not polled yet, of all partitions.
    #[serde(default)]
    fetchq_cnt: i64,
}

impl PartitionStatistics {
    /// The offset before which all records have been polled, if none waits for that.
    fn read_up_to(&self) -> Option<i64> {
        (self.fetchq_cnt == 0 && self.next_offset > 0).then_some(self.next_offset)
    }

    /// The number of records from the committed offset to the end; while this process has committed
    /// nothing, from where the partition began.
    fn lag(&self, start: &StartPosition) -> Option<i64> {
        let known = |number: i64| (number >= 0).then_some(number);
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
            next_offset: 0,
            fetchq_cnt: 0,
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
