//! A partition of a topic, alone and in librdkafka's lists.

use std::fmt;
use std::sync::Arc;

use rdkafka::TopicPartitionList;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub number: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// A list of partitions without offsets, as librdkafka takes it.
pub(super) fn partition_list<'a>(
    partitions: impl Iterator<Item = &'a TopicPartition>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.number);
    }
    list
}

/// The partitions in a list of librdkafka.
pub(super) fn partitions_in(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let each = |topic: &str, number| TopicPartition {
        topic: Arc::from(topic),
        number,
    };
    let elements = list.elements();
    elements
        .iter()
        .map(|element| each(element.topic(), element.partition()))
        .collect()
}
