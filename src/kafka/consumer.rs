//! The consumer of a group: cooperative assignment, commits of positions that the owner stores, and no
//! jump over records that Kafka has lost.
//!
//! librdkafka's own reset of offsets (`auto.offset.reset`) is off, as it knows one rule for two cases:
//! a new group begins with the oldest record, but a partition whose committed record is gone must be
//! held and reported. Where to begin is decided here. All calls, the callbacks among them, run on the
//! one thread that polls.

mod commit_note;
mod context;
mod coverage;
mod offset_commit;
mod positions;
mod rebalance_listener;
mod start_position;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode as Code;

use self::context::{GroupContext, note_opened};
use self::coverage::coverage;
use self::positions::OFFSET_QUERY_TIMEOUT;
use super::client_context::ClientSignals;
use super::client_settings::ClientSettings;
use super::consumer_record::ConsumerRecord;
use super::error::Error;
use super::group_membership::GroupMembership;
use super::librdkafka_words::code_words;
use super::topic_partition::{TopicPartition, partition_list, partitions_in};
use crate::config::KafkaConfig;
use crate::metrics::Metrics;

pub use self::commit_note::CommitNote;
pub use self::coverage::GroupCoverage;
pub use self::offset_commit::OffsetCommit;
pub use self::rebalance_listener::RebalanceListener;
pub use self::start_position::{PartitionStart, StartPosition};

/// Bound on one question of [`Consumer::check`]; the group waits for this member meanwhile.
const RECOVERY_QUERY_TIMEOUT: Duration = Duration::from_secs(1);

/// The result of one poll.
#[derive(Debug)]
pub enum PollResult {
    /// A record.
    Record(ConsumerRecord),
    /// Nothing came in time, or an event that needs nothing of the caller.
    Nothing,
    /// An error, in words, after which librdkafka goes on trying.
    Trouble(String),
    /// A position is outside of its partition: the caller is to call
    /// [`Consumer::restart_lost_positions`].
    OutOfRange,
    /// An error, in words, which ends this consumer. A new one may work.
    Fatal(String),
    /// A younger process has taken this member's name in the group, and its partitions with it.
    Fenced,
}

/// A static member of a consumer group. Dropping it calls [`RebalanceListener::revoked`] and commits, for
/// which it waits for the coordinator, at most about `session.timeout.ms`. It does not leave the group:
/// its partitions wait for its next start until the session time-out is over.
pub struct Consumer {
    base: BaseConsumer<GroupContext>,
    topics: BTreeMap<String, Arc<str>>,
    group_id: String,
    settings: ClientSettings,
}

impl Consumer {
    /// Joins the group for `topics`. The brokers are contacted by polls.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn start(
        config: &KafkaConfig,
        membership: &GroupMembership,
        topics: &[Arc<str>],
        listener: Arc<dyn RebalanceListener>,
        metrics: &Arc<Metrics>,
    ) -> Result<Consumer, Error> {
        let settings = ClientSettings::consumer(config, membership)?;
        let signals = ClientSignals::new(settings.clone(), metrics);
        let context = GroupContext::new(signals, listener, metrics);
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
            group_id: membership.group_id.clone(),
            settings,
        })
    }

    /// The cluster's id; `None` while no broker answers, or if the cluster has none.
    pub fn cluster_id(&self) -> Option<String> {
        self.base.client().fetch_cluster_id(OFFSET_QUERY_TIMEOUT)
    }

    /// Whether a broker answers.
    pub fn is_broker_reachable(&self) -> bool {
        let topic = self.topics.keys().next().map(String::as_str);
        self.base
            .fetch_metadata(topic, OFFSET_QUERY_TIMEOUT)
            .is_ok()
    }

    /// Checks that the topics exist and that the group takes this member.
    ///
    /// # Errors
    /// In words: what is wrong, and what to do. `None`: no answer in time, as while the group's coordinator
    /// refuses this user, which librdkafka tells to a poll only. What was wrong before is so still.
    pub fn check(&self) -> Result<(), Option<String>> {
        let in_words = |error: KafkaError| match error.rdkafka_error_code() {
            Some(Code::OperationTimedOut) => None,
            Some(code) => Some(self.words(code)),
            None => Some(error.to_string()),
        };
        for topic in self.topics.keys() {
            let metadata = self
                .base
                .fetch_metadata(Some(topic), RECOVERY_QUERY_TIMEOUT)
                .map_err(in_words)?;
            let mut topics = metadata.topics().iter();
            let error = topics.find_map(|topic| topic.error());
            if let Some(error) = error.map(Code::from) {
                return Err(Some(format!("topic {topic}: {}", self.words(error))));
            }
        }
        let mut any = TopicPartitionList::new();
        if let Some(topic) = self.topics.keys().next() {
            any.add_partition(topic, 0);
        }
        self.base
            .committed_offsets(any, RECOVERY_QUERY_TIMEOUT)
            .map(drop)
            .map_err(in_words)
    }

    /// Whether this member has a partition.
    pub fn has_partitions(&self) -> bool {
        self.base.assignment().is_ok_and(|list| list.count() > 0)
    }

    /// Whether the members of the group have all partitions of the topics among them, and this one none of
    /// other topics. Blocks for some seconds at most; for one while no records come, as the broker then takes
    /// requests up only between two fetches.
    pub fn group_coverage(&self) -> GroupCoverage {
        let assigned = self.base.assignment().map(|list| partitions_in(&list));
        let mut assigned = assigned.unwrap_or_default().into_iter();
        if let Some(other) = assigned.find(|it| !self.topics.contains_key(&*it.topic)) {
            return GroupCoverage::Incomplete(format!(
                "{other} is of a topic that is not consumed"
            ));
        }
        let mut counts = BTreeMap::new();
        for topic in self.topics.keys() {
            let metadata = self
                .base
                .fetch_metadata(Some(topic), RECOVERY_QUERY_TIMEOUT);
            let metadata = match metadata {
                Ok(metadata) => metadata,
                Err(error) => return GroupCoverage::Unknown(error.to_string()),
            };
            let mut found = metadata.topics().iter();
            let partitions = found.next().map_or(0, |topic| topic.partitions().len());
            counts.insert(topic.clone(), partitions);
        }
        let client = self.base.client();
        let groups = client.fetch_group_list(Some(&self.group_id), OFFSET_QUERY_TIMEOUT);
        let groups = match groups {
            Ok(groups) => groups,
            Err(error) => return GroupCoverage::Unknown(error.to_string()),
        };
        let group = groups.groups().iter().find(|it| it.name() == self.group_id);
        match group {
            Some(group) if group.state() == "Stable" => {
                let members = group.members().iter();
                coverage(
                    members.map(|member| member.assignment().unwrap_or_default()),
                    &counts,
                )
            }
            Some(group) => {
                GroupCoverage::Unknown(format!("the group is in state {}", group.state()))
            }
            None => GroupCoverage::Unknown("there is no such group".to_owned()),
        }
    }

    /// Leaves the group and joins it again, so that it distributes all partitions anew.
    ///
    /// # Errors
    /// In words: librdkafka refuses.
    pub fn rejoin(&self) -> Result<(), String> {
        let names: Vec<&str> = self.topics.keys().map(String::as_str).collect();
        self.base.unsubscribe();
        self.base
            .subscribe(&names)
            .map_err(|error| self.settings.scrub(&error.to_string()))
    }

    /// Waits for the next record, for `timeout` at most.
    pub fn poll(&self, timeout: Duration) -> PollResult {
        match self.base.poll(timeout) {
            None => PollResult::Nothing,
            Some(Ok(message)) => PollResult::Record(self.received(&message)),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => self.fatal(code),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset) => {
                    PollResult::OutOfRange
                }
                Some(code) => PollResult::Trouble(self.words(code)),
                None => PollResult::Nothing,
            },
        }
    }

    /// An error that librdkafka retries, in words, and what to do about it.
    fn words(&self, code: Code) -> String {
        let advice = match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                "; a topic of sink.topics does not exist: create it, or correct its name"
            }
            Code::TopicAuthorizationFailed => {
                "; grant the Kafka user Read on the topics of the sink"
            }
            Code::GroupAuthorizationFailed => {
                "; grant the Kafka user Read on the group sink.group_id"
            }
            _ => "",
        };
        code_words(code, &self.settings.brokers) + advice
    }

    /// librdkafka says "fatal" and keeps the cause apart.
    fn fatal(&self, reported: Code) -> PollResult {
        let cause = self.base.client().fatal_error();
        let code = cause.map_or(reported, |(code, _)| code);
        if self.base.context().is_fenced(code) {
            PollResult::Fenced
        } else {
            PollResult::Fatal(format!("{code:?}: {code}"))
        }
    }

    fn received(&self, message: &BorrowedMessage<'_>) -> ConsumerRecord {
        let topic = self.topics.get(message.topic());
        ConsumerRecord::of(
            message,
            topic.map_or_else(|| Arc::from(message.topic()), Arc::clone),
        )
    }

    /// Fetches no more records of these partitions until [`Consumer::resume`].
    pub fn pause<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        if let Err(error) = self.base.pause(&partition_list(partitions)) {
            log::warn!(target: "kafka", error:% = error; "partitions cannot be paused");
        }
    }

    /// Fetches records of these partitions again.
    pub fn resume<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        if let Err(error) = self.base.resume(&partition_list(partitions)) {
            log::warn!(target: "kafka", error:% = error; "partitions cannot be resumed");
        }
    }

    /// Has these positions committed within 250 ms; [`RebalanceListener::committed`] gets the outcome.
    pub fn store(&self, commits: &[OffsetCommit]) {
        positions::store(&self.base, commits);
    }

    /// Commits what must be committed before partitions begin. Gives the partitions for which that is done.
    /// Blocks for some seconds at most.
    pub fn open(&self, commits: &[OffsetCommit]) -> Vec<TopicPartition> {
        let opened = positions::open(&self.base, commits);
        self.base.context().note_committed(&opened);
        opened
    }

    /// The partitions for which the group has committed an offset that Kafka does not have any more: their topic
    /// was deleted, and may have been made anew. Blocks for a second at most.
    ///
    /// # Errors
    /// In words: Kafka does not answer.
    pub fn vanished_commits(&self) -> Result<Vec<TopicPartition>, String> {
        let vanished = self.base.context().vanished(&self.base);
        vanished.map_err(|error| self.settings.scrub(&error.to_string()))
    }

    /// One of the wanted partitions that ends before the position in it, if Kafka answers and there is
    /// one. librdkafka does not always notice that a topic was deleted and made again, and then waits
    /// for records that never come.
    pub fn position_beyond_end(
        &self,
        wanted: impl Fn(&TopicPartition) -> bool,
    ) -> Option<TopicPartition> {
        positions::ends_before(&self.base, wanted).ok().flatten()
    }

    /// Finds the partitions whose position lies outside of them. Those without a committed offset begin
    /// anew: their topic was deleted and made again. The others are paused and given as
    /// [`StartPosition::Gone`].
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn restart_lost_positions(&self) -> Result<Vec<PartitionStart>, String> {
        let mut starts = positions::restart_lost_positions(&self.base)
            .map_err(|error| self.settings.scrub(&error.to_string()))?;
        let opening: Vec<OffsetCommit> =
            starts.iter().filter_map(PartitionStart::opening).collect();
        let opened = self.open(&opening);
        note_opened(&mut starts, &opened);
        let unopened = starts.iter().filter(|start| start.open_at.is_some());
        self.pause(unopened.map(|start| &start.partition));
        self.base.context().remember_starts(&starts);
        Ok(starts)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.base.context().close();
    }
}
