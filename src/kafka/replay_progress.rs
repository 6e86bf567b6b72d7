//! Remembers which records of a dead letter topic were replayed or dropped: in Kafka, as the committed
//! offsets of a consumer group that no consumer joins.
//!
//! The committed offset of a partition is its lowest record that is not done. The records that are done
//! above it are written into the commit's metadata. Kafka forgets both `offsets.retention.minutes`
//! (7 days by default) after the last commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::offset_set::OffsetSet;
use super::read_error::TopicReadError;
use super::reader_client::{READER_QUERY_TIMEOUT, ReaderClient, new_reader_client};
use crate::config::KafkaConfig;

/// Bound on the look for a refusal after a question was not answered in time.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(100);

/// The progress of one topic. It has a client of its own, beside the one that reads the topic.
pub struct ReplayProgress {
    client: ReaderClient,
    group: String,
    topic: String,
    sets: BTreeMap<i32, OffsetSet>,
    /// Partitions that have a commit in Kafka.
    committed: BTreeSet<i32>,
    /// Partitions whose progress is not committed yet.
    changed: BTreeSet<i32>,
}

impl ReplayProgress {
    /// Reads the progress of a topic whose partitions hold these offsets.
    ///
    /// # Errors
    /// Kafka does not answer or refuses.
    pub fn load(
        config: &KafkaConfig,
        group: &str,
        topic: &str,
        partitions: &BTreeMap<i32, Range<i64>>,
    ) -> Result<ReplayProgress, TopicReadError> {
        let client = new_reader_client(config, group)?;
        let mut progress = ReplayProgress {
            client,
            group: group.to_owned(),
            topic: topic.to_owned(),
            sets: BTreeMap::new(),
            committed: BTreeSet::new(),
            changed: BTreeSet::new(),
        };
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions.keys() {
            asked.add_partition(topic, *partition);
        }
        let committed = progress
            .client
            .committed_offsets(asked, READER_QUERY_TIMEOUT);
        let committed = committed.map_err(|error| {
            let refusal = progress.coordinator_refusal();
            progress.failed(&refusal.unwrap_or(error))
        })?;
        for element in committed.elements() {
            element.error().map_err(|error| progress.failed(&error))?;
            if let Some(offsets) = partitions.get(&element.partition()) {
                let set = progress.parse(element.offset(), element.metadata(), offsets)?;
                progress.sets.insert(element.partition(), set);
                if matches!(element.offset(), Offset::Offset(_)) {
                    progress.committed.insert(element.partition());
                }
            }
        }
        Ok(progress)
    }

    fn parse(
        &self,
        offset: Offset,
        metadata: &str,
        offsets: &Range<i64>,
    ) -> Result<OffsetSet, TopicReadError> {
        let mut set = match offset {
            // An offset beyond the end was committed before the topic was deleted and made again.
            Offset::Offset(base) if base <= offsets.end => OffsetSet::parse(base, metadata)
                .ok_or_else(|| {
                    self.refused("what they say makes no sense; reset the group's offsets")
                })?,
            _ => OffsetSet::default(),
        };
        // Records that retention has deleted count as done.
        set.insert_all(0..offsets.start);
        Ok(set)
    }

    /// Whether a record is done.
    pub fn is_done(&self, partition: i32, offset: i64) -> bool {
        let set = self.sets.get(&partition);
        set.is_some_and(|set| set.contains(offset))
    }

    /// The lowest offset of a partition that is not done.
    pub fn lowest_open(&self, partition: i32) -> i64 {
        self.sets.get(&partition).map_or(0, OffsetSet::base)
    }

    /// Marks offsets as done: those of records, and those of gaps that compaction or a transaction left.
    /// [`ReplayProgress::commit`] stores it in Kafka.
    pub fn mark_done(&mut self, partition: i32, offsets: Range<i64>) {
        if offsets.is_empty() {
            return;
        }
        let set = self.sets.entry(partition).or_default();
        set.insert_all(offsets);
        self.changed.insert(partition);
    }

    /// Checks, before these records are sent, that they can be marked as done as well.
    ///
    /// # Errors
    /// There would be more runs of done records than the metadata of a commit can hold.
    pub fn check_room(&self, records: &[(i32, i64)]) -> Result<(), TopicReadError> {
        let mut sets = self.sets.clone();
        for (partition, offset) in records {
            sets.entry(*partition).or_default().insert(*offset);
        }
        let full = sets.iter().find(|(_, set)| !set.fits());
        full.map_or(Ok(()), |(partition, set)| {
            Err(TopicReadError::Scattered {
                partition: *partition,
                base: set.base(),
            })
        })
    }

    /// Marks these records as done and commits. Empties the list.
    ///
    /// # Errors
    /// As [`ReplayProgress::check_room`] and [`ReplayProgress::commit`].
    pub fn finish(&mut self, records: &mut Vec<(i32, i64)>) -> Result<(), TopicReadError> {
        self.check_room(records)?;
        for (partition, offset) in records.drain(..) {
            self.mark_done(partition, offset..offset.saturating_add(1));
        }
        self.commit()
    }

    /// Commits everything again, so that Kafka keeps it for another `offsets.retention.minutes`.
    ///
    /// # Errors
    /// As [`ReplayProgress::commit`].
    pub fn renew(&mut self) -> Result<(), TopicReadError> {
        self.changed.extend(&self.committed);
        self.commit()
    }

    /// Commits what has changed and waits for the answer.
    ///
    /// # Errors
    /// Kafka does not answer or refuses; the commit can be tried again.
    pub fn commit(&mut self) -> Result<(), TopicReadError> {
        let mut list = TopicPartitionList::with_capacity(self.changed.len());
        for partition in &self.changed {
            let Some(set) = self.sets.get(partition) else {
                continue;
            };
            let mut element = list.add_partition(&self.topic, *partition);
            let offset = Offset::Offset(set.base());
            element
                .set_offset(offset)
                .map_err(|error| self.failed(&error))?;
            element.set_metadata(set.metadata());
        }
        if list.count() == 0 {
            return Ok(());
        }
        // rdkafka gives the outcome of no other kind of commit. `ClientSettings::reader` bounds the wait
        // for the group's coordinator and for its answer.
        let outcome = self.client.commit(&list, CommitMode::Sync);
        outcome.map_err(|error| self.failed(&error))?;
        self.committed.append(&mut self.changed);
        Ok(())
    }

    /// Why the group's coordinator was not found, if a broker has said so: librdkafka goes on asking for it
    /// until the time is over, and tells the refusal to a poll only.
    fn coordinator_refusal(&self) -> Option<KafkaError> {
        self.client.poll(REFUSAL_TIMEOUT)?.err()
    }

    fn failed(&self, error: &KafkaError) -> TopicReadError {
        match self.client.context().read_error(error, &self.topic) {
            TopicReadError::Refused(reason) => self.refused(&reason),
            other => other,
        }
    }

    fn refused(&self, reason: &str) -> TopicReadError {
        let group = &self.group;
        TopicReadError::Refused(format!("the marks in consumer group {group}: {reason}"))
    }
}
