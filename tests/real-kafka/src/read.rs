//! Reads topics from their beginning, without a consumer group.

use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::error::{Context, Error};

/// Bound on a question about metadata or offsets.
const ANSWER: Duration = Duration::from_secs(30);

/// A record as it stands in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Kafka's")]
pub struct Record {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub partition: i32,
    pub offset: i64,
    /// When it was made, in milliseconds since 1970; -1 where that is not known.
    pub time: i64,
}

impl Record {
    /// The key as text; empty without one.
    pub fn key_text(&self) -> String {
        String::from_utf8_lossy(self.key.as_deref().unwrap_or_default()).into_owned()
    }

    /// The value as text; empty without one.
    pub fn value_text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    /// The first header of this name, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

/// Reads the topics of one cluster.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(crate) config: ClientConfig,
}

impl Reader {
    /// For a plain listener.
    pub fn new(bootstrap: &str) -> Reader {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "reader") // never joined
            .set("enable.auto.commit", "false")
            .set("allow.auto.create.topics", "false")
            .set("fetch.wait.max.ms", "50")
            // A broker that is killed on purpose and comes back is found soon.
            .set("reconnect.backoff.max.ms", "500");
        Reader { config }
    }

    /// Reads from the beginning until there are `count` records or `time` is over; gives what there
    /// is then.
    pub fn read_all(
        &self,
        topic: &str,
        count: usize,
        time: Duration,
    ) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        self.each(topic, time, |message| {
            records.push(record(message));
            count <= records.len()
        })?;
        Ok(records)
    }

    /// Reads from the beginning up to the end as it is at the call; an error when `time` is over
    /// before.
    pub fn read_to_end(&self, topic: &str, time: Duration) -> Result<Vec<Record>, Error> {
        let mut left = self.ends(topic)?;
        left.retain(|(_, low, high)| low < high);
        let mut records = Vec::new();
        if !left.is_empty() {
            self.each(topic, time, |message| {
                left.retain(|(partition, _, high)| {
                    *partition != message.partition() || message.offset() + 1 < *high
                });
                records.push(record(message));
                left.is_empty()
            })?;
        }
        if left.is_empty() {
            Ok(records)
        } else {
            Err(Error::new(format!(
                "read {topic}: the end was not reached within {time:?}"
            )))
        }
    }

    /// How many records the topic holds by its offsets (compaction and transactions apart).
    pub fn count(&self, topic: &str) -> Result<u64, Error> {
        let ends = self.ends(topic)?;
        let records: i64 = ends.iter().map(|(_, low, high)| high - low).sum();
        Ok(u64::try_from(records).unwrap_or(0))
    }

    /// Partition, first offset and end of each partition.
    pub fn ends(&self, topic: &str) -> Result<Vec<(i32, i64, i64)>, Error> {
        let consumer = self.consumer()?;
        let ends = partitions(&consumer, topic)?.into_iter().map(|partition| {
            let (low, high) = consumer
                .fetch_watermarks(topic, partition, ANSWER)
                .context("ask for offsets")?;
            Ok((partition, low, high))
        });
        ends.collect()
    }

    /// Whether the cluster answers within `time`, with a broker that clients can use.
    pub fn answers(&self, time: Duration) -> bool {
        let consumer = self.consumer();
        consumer.is_ok_and(|consumer| {
            let metadata = consumer.fetch_metadata(Some("no.such.topic"), time);
            metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
        })
    }

    /// Calls `enough` with each record until it says so or `time` is over.
    pub fn each(
        &self,
        topic: &str,
        time: Duration,
        mut enough: impl FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + time;
        let consumer = self.consumer()?;
        let mut list = TopicPartitionList::new();
        for partition in partitions(&consumer, topic)? {
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .context("assign")?;
        }
        consumer.assign(&list).context("assign")?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Ok(());
            }
            // A broker may be away for a while in tests; only the deadline ends that.
            if let Some(Ok(message)) = consumer.poll(left)
                && enough(&message)
            {
                return Ok(());
            }
        }
    }

    fn consumer(&self) -> Result<BaseConsumer, Error> {
        self.config.create().context("make a consumer")
    }
}

pub(crate) fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, Error> {
    let metadata = consumer
        .fetch_metadata(Some(topic), ANSWER)
        .context("ask for metadata")?;
    let topics = metadata.topics().iter();
    let partitions: Vec<i32> = topics
        .flat_map(|topic| topic.partitions())
        .map(|partition| partition.id())
        .collect();
    if partitions.is_empty() {
        return Err(Error::new(format!("topic {topic} does not exist")));
    }
    Ok(partitions)
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().into_iter().flat_map(|list| list.iter());
    Record {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers
            .map(|header| {
                (
                    header.key.to_owned(),
                    header.value.unwrap_or_default().to_vec(),
                )
            })
            .collect(),
        partition: message.partition(),
        offset: message.offset(),
        time: message.timestamp().to_millis().unwrap_or(-1),
    }
}
