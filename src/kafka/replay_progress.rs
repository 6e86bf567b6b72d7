//! Which records of a topic are done, kept in Kafka: as the committed offsets of a group that
//! nobody joins.
//!
//! The offset of a partition is the lowest record that is not done. What is done above it travels as
//! the offset's metadata. Kafka forgets both `offsets.retention.minutes` (7 days by default) after
//! the last commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::topic_reader::{READER_QUERY_TIMEOUT, ReaderClient, TopicReadError, client};
use crate::config::KafkaConfig;
use crate::kafka::offset_set::OffsetSet;

/// The marks of one topic. It has a client of its own, so that what is read elsewhere goes on.
pub struct ReplayProgress {
    client: ReaderClient,
    group: String,
    topic: String,
    sets: BTreeMap<i32, OffsetSet>,
    /// Partitions that have marks in Kafka.
    kept: BTreeSet<i32>,
    /// Partitions whose marks are not in Kafka yet.
    changed: BTreeSet<i32>,
}

impl ReplayProgress {
    /// Reads the marks of a topic whose partitions hold these offsets.
    ///
    /// # Errors
    /// When Kafka does not answer or refuses.
    pub fn load(
        config: &KafkaConfig,
        group: &str,
        topic: &str,
        partitions: &BTreeMap<i32, Range<i64>>,
    ) -> Result<ReplayProgress, TopicReadError> {
        let client = client(config, group)?;
        let mut marks = ReplayProgress {
            client,
            group: group.to_owned(),
            topic: topic.to_owned(),
            sets: BTreeMap::new(),
            kept: BTreeSet::new(),
            changed: BTreeSet::new(),
        };
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions.keys() {
            asked.add_partition(topic, *partition);
        }
        let committed = marks.client.committed_offsets(asked, READER_QUERY_TIMEOUT);
        let committed = committed.map_err(|error| marks.failed(&error))?;
        for element in committed.elements() {
            element.error().map_err(|error| marks.failed(&error))?;
            if let Some(offsets) = partitions.get(&element.partition()) {
                let set = marks.read(element.offset(), element.metadata(), offsets)?;
                marks.sets.insert(element.partition(), set);
                if matches!(element.offset(), Offset::Offset(_)) {
                    marks.kept.insert(element.partition());
                }
            }
        }
        Ok(marks)
    }

    fn read(
        &self,
        offset: Offset,
        metadata: &str,
        offsets: &Range<i64>,
    ) -> Result<OffsetSet, TopicReadError> {
        let mut set = match offset {
            // Beyond the end, it is from before the topic was made anew.
            Offset::Offset(base) if base <= offsets.end => OffsetSet::parse(base, metadata)
                .ok_or_else(|| {
                    self.refused("what they say makes no sense; reset the group's offsets")
                })?,
            _ => OffsetSet::default(),
        };
        // What retention took is no longer waited for.
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

    /// Marks offsets as done: of records, or such that never held one (a gap that compaction or a
    /// transaction left). [`ReplayProgress::commit`] makes it last.
    pub fn mark_done(&mut self, partition: i32, offsets: Range<i64>) {
        if offsets.is_empty() {
            return;
        }
        let set = self.sets.entry(partition).or_default();
        set.insert_all(offsets);
        self.changed.insert(partition);
    }

    /// Whether these records can be marked as done as well. To be asked before they are sent.
    ///
    /// # Errors
    /// When there would be more runs of done records than Kafka takes.
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

    /// Marks these records as done, if there is room, and commits; the list is empty then.
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

    /// Commits all marks again, so that Kafka keeps them for another while.
    ///
    /// # Errors
    /// As [`ReplayProgress::commit`].
    pub fn renew(&mut self) -> Result<(), TopicReadError> {
        self.changed.extend(&self.kept);
        self.commit()
    }

    /// Writes what has changed and waits for the answer.
    ///
    /// # Errors
    /// When Kafka does not answer or refuses; the marks can be committed again.
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
        // rdkafka tells the outcome of no other kind of commit. It ends: `Settings::browser` bounds
        // how long the coordinator is waited for and how long its answer.
        let outcome = self.client.commit(&list, CommitMode::Sync);
        outcome.map_err(|error| self.failed(&error))?;
        self.kept.append(&mut self.changed);
        Ok(())
    }

    fn failed(&self, error: &KafkaError) -> TopicReadError {
        match self.client.context().judge(error, &self.topic) {
            TopicReadError::Refused(reason) => self.refused(&reason),
            other => other,
        }
    }

    fn refused(&self, reason: &str) -> TopicReadError {
        let group = &self.group;
        TopicReadError::Refused(format!("the marks in consumer group {group}: {reason}"))
    }
}
