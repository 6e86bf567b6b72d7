//! What a consumer group has committed.

use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::error::{Context, Error};
use crate::read::{Reader, partitions};

/// Bound on a question about offsets.
const ANSWER: Duration = Duration::from_secs(30);

impl Reader {
    /// What the group has committed of each partition; `None` is nothing.
    pub fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>, Error> {
        let consumer = self.member(group)?;
        let mut list = TopicPartitionList::new();
        for partition in partitions(&consumer, topic)? {
            list.add_partition(topic, partition);
        }
        let what = "ask what is committed";
        let found = consumer.committed_offsets(list, ANSWER).context(what)?;
        let mut all = Vec::new();
        for element in found.elements() {
            element.error().context(what)?;
            all.push((element.partition(), element.offset()));
        }
        all.sort_unstable_by_key(|(partition, _)| *partition);
        let offset = |(_, offset)| match offset {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        Ok(all.into_iter().map(offset).collect())
    }

    /// Commits a position for a group that has no member.
    pub fn commit(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), Error> {
        let consumer = self.member(group)?;
        let mut list = TopicPartitionList::new();
        let what = "commit a position";
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .context(what)?;
        consumer.commit(&list, CommitMode::Sync).context(what)
    }

    fn member(&self, group: &str) -> Result<BaseConsumer, Error> {
        let mut config = self.config.clone();
        config.set("group.id", group); // never joined
        config.create().context("make a consumer")
    }
}
