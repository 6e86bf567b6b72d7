//! The consumer of a group: cooperative assignments, commits of what is done, no jump over lost records.
//!
//! librdkafka's own reset of offsets is off: where to begin is decided here, so that "a new group"
//! (begin with the oldest record) and "the committed record is gone" (hold, and say so) are two
//! things. All calls, the callbacks among them, run on the one thread that polls.

mod context;
mod start_position;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use self::context::GroupContext;
pub use self::start_position::StartPosition;
use super::client_context::ClientSignals;
use super::client_settings::ClientSettings;
use super::{ConsumerRecord, Error};
use crate::config::KafkaConfig;
use crate::metrics::Metrics;

/// Bound on one question about offsets.
const OFFSET_QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bound on one look whether trouble is over; the group waits for us meanwhile.
const RECOVERY_QUERY_TIMEOUT: Duration = Duration::from_secs(1);

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Topic.
    pub topic: Arc<str>,
    /// Number, from 0.
    pub number: i32,
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// What the owner of a group does when partitions come and go. Called on the polling thread, inside
/// of [`Consumer::poll`] and when the consumer is dropped.
pub trait RebalanceListener: Send + Sync + 'static {
    /// These are ours from now on, and where they begin. What begins with [`StartPosition::Gone`] is paused.
    fn assigned(&self, partitions: &[(TopicPartition, StartPosition)]);

    /// These go to another member. Gives the positions to commit before they go: of each, the first
    /// offset that is not done. May take its time, within a bound.
    fn revoked(&self, partitions: &[TopicPartition]) -> Vec<(TopicPartition, i64)>;

    /// These were taken from us; another member may have them already. Nothing is committed.
    fn lost(&self, partitions: &[TopicPartition]);

    /// These positions are committed, or why not; then they are committed again.
    fn committed(&self, result: Result<&[(TopicPartition, i64)], String>);
}

/// What a poll brought.
#[derive(Debug)]
pub enum PollResult {
    /// A record.
    Record(ConsumerRecord),
    /// Nothing in time, or an event that is dealt with.
    Nothing,
    /// Something is wrong that librdkafka goes on trying, in words.
    Trouble(String),
    /// A position is outside of its partition: [`Consumer::restart_lost_positions`] is due.
    OutOfRange,
    /// This consumer can do nothing any more; a new one may.
    Fatal(String),
}

/// A member of a consumer group. Dropping it leaves the group, after [`RebalanceListener::revoked`]; it waits for
/// the coordinator, at most about `session.timeout.ms` (45 s).
pub struct Consumer {
    base: BaseConsumer<GroupContext>,
    topics: BTreeMap<String, Arc<str>>,
    settings: ClientSettings,
}

impl Consumer {
    /// Joins `group_id` for `topics`. Brokers are contacted while polling.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn start(
        config: &KafkaConfig,
        group_id: &str,
        topics: &[Arc<str>],
        group: Arc<dyn RebalanceListener>,
        metrics: &Arc<Metrics>,
    ) -> Result<Consumer, Error> {
        let settings = ClientSettings::consumer(config, group_id)?;
        let signals = ClientSignals::new(settings.clone(), metrics);
        let context = GroupContext::new(signals, group, metrics);
        let base: BaseConsumer<GroupContext> = settings
            .client
            .create_with_context(context)
            .map_err(|error| settings.creation_error(error))?;
        let names: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        base.subscribe(&names)
            .map_err(|error| settings.creation_error(error))?;
        let named = |topic: &Arc<str>| (topic.to_string(), Arc::clone(topic));
        Ok(Consumer {
            base,
            topics: topics.iter().map(named).collect(),
            settings,
        })
    }

    /// The cluster's id; `None` while no broker answers, or if the cluster has none.
    pub fn cluster_id(&self) -> Option<String> {
        self.base.client().fetch_cluster_id(OFFSET_QUERY_TIMEOUT)
    }

    /// Whether a broker answers.
    pub fn answers(&self) -> bool {
        let topic = self.topics.keys().next().map(String::as_str);
        self.base
            .fetch_metadata(topic, OFFSET_QUERY_TIMEOUT)
            .is_ok()
    }

    /// Whether the topics are there and the group lets us in.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check(&self) -> Result<(), String> {
        let told = |error: &KafkaError| error.rdkafka_error_code().map(words);
        for topic in self.topics.keys() {
            let found = self
                .base
                .fetch_metadata(Some(topic), RECOVERY_QUERY_TIMEOUT);
            let found = found.map_err(|error| told(&error).unwrap_or_else(|| error.to_string()))?;
            let mut topics = found.topics().iter();
            let error = topics.find_map(|topic| topic.error());
            if let Some(error) = error.map(Code::from) {
                return Err(format!("topic {topic}: {}", words(error)));
            }
        }
        let mut any = TopicPartitionList::new();
        if let Some(topic) = self.topics.keys().next() {
            any.add_partition(topic, 0);
        }
        let committed = self.base.committed_offsets(any, RECOVERY_QUERY_TIMEOUT);
        committed
            .map(|_| ())
            .map_err(|error| told(&error).unwrap_or_else(|| error.to_string()))
    }

    /// Waits for the next record, at most `timeout`.
    pub fn poll(&self, timeout: Duration) -> PollResult {
        match self.base.poll(timeout) {
            None => PollResult::Nothing,
            Some(Ok(message)) => PollResult::Record(self.received(&message)),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                PollResult::Fatal(format!("{code:?}: {code}"))
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset) => {
                    PollResult::OutOfRange
                }
                Some(code) => PollResult::Trouble(words(code)),
                None => PollResult::Nothing,
            },
        }
    }

    fn received(&self, message: &BorrowedMessage<'_>) -> ConsumerRecord {
        let topic = self.topics.get(message.topic());
        ConsumerRecord::of(
            message,
            topic.map_or_else(|| Arc::from(message.topic()), Arc::clone),
        )
    }

    /// Takes no more records of these partitions until [`Consumer::resume`].
    pub fn pause<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        if let Err(error) = self.base.pause(&list(partitions)) {
            log::warn!(target: "kafka", error:% = error; "partitions cannot be paused");
        }
    }

    /// Takes records of these partitions again.
    pub fn resume<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        if let Err(error) = self.base.resume(&list(partitions)) {
            log::warn!(target: "kafka", error:% = error; "partitions cannot be resumed");
        }
    }

    /// Has these positions committed soon; [`RebalanceListener::committed`] tells.
    pub fn store(&self, positions: &[(TopicPartition, i64)]) {
        context::store(&self.base, positions);
    }

    /// A partition that ends before the position in it, as far as Kafka says: librdkafka does not
    /// always notice that a topic was made anew, and waits for records that never come.
    pub fn lost_position(
        &self,
        wanted: impl Fn(&TopicPartition) -> bool,
    ) -> Option<TopicPartition> {
        start_position::ends_before(&self.base, wanted)
            .ok()
            .flatten()
    }

    /// Finds the partitions whose position lies outside of them, and moves those that may begin
    /// anew: a topic that was deleted and made again has no commit. The others are paused and given
    /// as [`StartPosition::Gone`].
    ///
    /// # Errors
    /// Kafka does not answer; to be tried again.
    pub fn restart_lost_positions(&self) -> Result<Vec<(TopicPartition, StartPosition)>, String> {
        let starts = start_position::restart_lost_positions(&self.base)
            .map_err(|error| self.settings.scrub(&error.to_string()))?;
        self.base.context().begin(&starts);
        Ok(starts)
    }
}

/// What to say about an error that librdkafka retries.
fn words(code: Code) -> String {
    let advice = match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            "; a topic of sink.topics does not exist: create it, or correct its name"
        }
        Code::TopicAuthorizationFailed => "; grant the Kafka user Read on the topics of the sink",
        Code::GroupAuthorizationFailed => "; grant the Kafka user Read on the group sink.group_id",
        _ => "",
    };
    format!("{code:?}: {code}{advice}")
}

fn list<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.number);
    }
    list
}

/// Offsets as librdkafka wants them; an offset is never negative here.
fn positions_list(positions: &[(TopicPartition, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        let added =
            list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(*offset));
        if let Err(error) = added {
            log::error!(target: "kafka", partition:% = partition, error:% = error;
                "a position cannot be committed");
        }
    }
    list
}

/// The partitions of a list of librdkafka.
fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
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
