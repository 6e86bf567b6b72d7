//! Looks at a cluster without changing anything: brokers, topics with their settings, the state of a
//! group, whether topics may be read.
//!
//! No group is joined, and nothing is written or committed.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::client_settings::ClientSettings;
use super::read_error::TopicReadError;
use super::reader_client::{READER_QUERY_TIMEOUT, ReaderClient, ReaderContext, new_reader_client};
use super::topic_admin::block_on;
use crate::config::KafkaConfig;
use crate::stop::Stop;

/// How long one partition is read from for proof that this is allowed.
const READ_PROOF_TIMEOUT: Duration = Duration::from_secs(8);
/// Bound on the answer about the settings of all topics. A cluster that does not know the request, or
/// refuses it, answers sooner.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(5);

/// Bound on serving what librdkafka has to tell after a failure, and on the wait for more of it.
const CALLBACKS_TIMEOUT: Duration = Duration::from_secs(1);
const CALLBACK_INTERVAL: Duration = Duration::from_millis(100);

/// A broker as the cluster names it to its clients (`advertised.listeners`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Its id.
    pub id: i32,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What is known of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicSurvey {
    /// It does not exist.
    Missing,
    /// The Kafka user may not describe it.
    Forbidden,
    /// It is there.
    Found(FoundTopic),
}

/// A topic that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundTopic {
    /// How many partitions it has, and how many of these have no leader now.
    pub partitions: usize,
    /// See there.
    pub leaderless: usize,
    /// Of the partition that has the fewest: replicas that have all its records.
    pub fewest_in_sync: usize,
    /// Its settings, as far as the Kafka user may see them (DescribeConfigs).
    pub settings: Option<TopicSettings>,
}

/// Settings of a topic that matter to the bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// `max.message.bytes`
    pub max_message_bytes: Option<u64>,
    /// `min.insync.replicas`
    pub min_in_sync: Option<usize>,
    /// `cleanup.policy`
    pub cleanup_policy: Option<String>,
}

/// A consumer group as its coordinator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSurvey {
    /// The coordinator's word: `Stable`, `Empty`, `Dead` for a group that is not there.
    pub state: String,
    /// The client's name and host of each member.
    pub members: Vec<String>,
    /// Partitions of the asked topics with a committed offset.
    pub committed: usize,
}

/// Asks a cluster. Each question has a bound of ten seconds, and none is asked after a stop.
pub struct ClusterSurveyor<'a> {
    config: &'a KafkaConfig,
    client: ReaderClient,
    stop: &'a Stop,
}

impl<'a> ClusterSurveyor<'a> {
    /// Makes a client that asks as `group`, of which it does not become a member.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn start(
        config: &'a KafkaConfig,
        group: &str,
        stop: &'a Stop,
    ) -> Result<ClusterSurveyor<'a>, TopicReadError> {
        Ok(ClusterSurveyor {
            config,
            client: new_reader_client(config, group)?,
            stop,
        })
    }

    /// All brokers, as the first that answers names them.
    ///
    /// # Errors
    /// No broker answers.
    pub fn brokers(&self, any_topic: &str) -> Result<Vec<BrokerAddress>, TopicReadError> {
        // Without a topic all topics of the cluster would be told as well.
        let metadata = self.metadata(any_topic)?;
        let brokers = metadata.brokers().iter().map(|broker| BrokerAddress {
            id: broker.id(),
            host: broker.host().to_owned(),
            port: u16::try_from(broker.port()).unwrap_or_default(),
        });
        Ok(brokers.collect())
    }

    /// Each of these topics, in their order.
    ///
    /// # Errors
    /// No broker answers.
    pub fn topics(&self, names: &[String]) -> Result<Vec<(String, TopicSurvey)>, TopicReadError> {
        let mut topics = Vec::new();
        for name in names {
            topics.push((name.clone(), self.topic(name)?));
        }
        let found: Vec<&str> = topics
            .iter()
            .filter(|(_, topic)| matches!(topic, TopicSurvey::Found(_)))
            .map(|(name, _)| name.as_str())
            .collect();
        let all_settings = self.settings(&found);
        for (name, topic) in &mut topics {
            if let TopicSurvey::Found(topic) = topic {
                let own = all_settings.iter().find(|(known, _)| known == name);
                topic.settings = own.map(|(_, settings)| settings.clone());
            }
        }
        Ok(topics)
    }

    fn topic(&self, name: &str) -> Result<TopicSurvey, TopicReadError> {
        let metadata = self.metadata(name)?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            return Ok(TopicSurvey::Missing);
        };
        let partitions = topic.partitions();
        Ok(match topic.error().map(Code::from) {
            Some(Code::TopicAuthorizationFailed) => TopicSurvey::Forbidden,
            None | Some(Code::LeaderNotAvailable) if !partitions.is_empty() => {
                let in_sync = partitions.iter().map(|partition| partition.isr().len());
                TopicSurvey::Found(FoundTopic {
                    partitions: partitions.len(),
                    leaderless: partitions.iter().filter(|it| it.leader() < 0).count(),
                    fewest_in_sync: in_sync.min().unwrap_or(0),
                    settings: None,
                })
            }
            None | Some(_) => TopicSurvey::Missing,
        })
    }

    fn metadata(&self, topic: &str) -> Result<Metadata, TopicReadError> {
        if self.stop.is_stopped() {
            let words = "not asked: the time for all checks together is up";
            return Err(TopicReadError::Refused(words.to_owned()));
        }
        let fetched = self
            .client
            .fetch_metadata(Some(topic), READER_QUERY_TIMEOUT);
        fetched.map_err(|error| {
            // Why connections failed is told by callbacks, which a poll serves.
            let deadline = Instant::now() + CALLBACKS_TIMEOUT;
            while Instant::now() < deadline && self.client.poll(CALLBACK_INTERVAL).is_some() {}
            self.client.context().read_error(&error, topic)
        })
    }

    /// The settings that may be seen, by topic.
    fn settings(&self, names: &[&str]) -> Vec<(String, TopicSettings)> {
        let wanted: Vec<ResourceSpecifier<'_>> = names
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let Ok(settings) = ClientSettings::producer(self.config) else {
            return Vec::new();
        };
        let context = ReaderContext::new(settings.clone(), "");
        let admin: Result<AdminClient<ReaderContext>, KafkaError> =
            AdminClient::from_config_and_context(&settings.client, context);
        let Ok(admin) = admin else {
            return Vec::new();
        };
        if wanted.is_empty() || self.stop.is_stopped() {
            return Vec::new();
        }
        let options = AdminOptions::new().request_timeout(Some(SETTINGS_TIMEOUT));
        let deadline = Instant::now() + SETTINGS_TIMEOUT;
        let answer = block_on(admin.describe_configs(&wanted, &options), deadline);
        let resources = answer.and_then(Result::ok).unwrap_or_default();
        let told = resources.into_iter().zip(names);
        told.filter_map(|(resource, name)| Some(((*name).to_owned(), read(&resource.ok()?))))
            .collect()
    }

    /// Whether the records of a topic may be fetched: asks for those behind the newest one of its first
    /// partition, of which there are none. False: this took too long to tell.
    ///
    /// # Errors
    /// It may not.
    pub fn prove_read(&self, topic: &str) -> Result<bool, TopicReadError> {
        let failed = |error: &KafkaError| self.client.context().read_error(error, topic);
        let mut place = TopicPartitionList::new();
        place
            .add_partition_offset(topic, 0, Offset::End)
            .map_err(|error| failed(&error))?;
        self.client.assign(&place).map_err(|error| failed(&error))?;
        let outcome = self.await_end(topic);
        self.client
            .assign(&TopicPartitionList::new())
            .map_err(|error| failed(&error))?;
        outcome
    }

    fn await_end(&self, topic: &str) -> Result<bool, TopicReadError> {
        let deadline = Instant::now() + READ_PROOF_TIMEOUT;
        while !self.stop.is_stopped() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.poll(left.min(Duration::from_millis(500))) {
                // A record that came just now proves it as well.
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(true),
                Some(Err(error)) => self.client.context().pass_transient(&error, topic)?,
                None => {}
            }
            if left.is_zero() {
                break;
            }
        }
        Ok(false)
    }

    /// The state of a group, and how much of these topics (with the number of their partitions) it has
    /// committed.
    ///
    /// # Errors
    /// The Kafka user may not see it, or its coordinator does not answer.
    pub fn group(
        &self,
        group: &str,
        topics: &[(String, usize)],
    ) -> Result<GroupSurvey, TopicReadError> {
        let failed = |error: &KafkaError| self.client.context().read_error(error, "");
        let mut places = TopicPartitionList::new();
        for (topic, partitions) in topics {
            for partition in 0..*partitions {
                places.add_partition(topic, i32::try_from(partition).unwrap_or(i32::MAX));
            }
        }
        let offsets = self.client.committed_offsets(places, READER_QUERY_TIMEOUT);
        let offsets = offsets.map_err(|error| failed(&error))?;
        let is_committed = |offset: Offset| matches!(offset, Offset::Offset(_));
        let elements = offsets.elements();
        let committed = elements.iter().filter(|it| is_committed(it.offset()));
        let committed = committed.count();
        let list = self
            .client
            .fetch_group_list(Some(group), READER_QUERY_TIMEOUT)
            .map_err(|error| failed(&error))?;
        let found = list.groups().iter().find(|found| found.name() == group);
        Ok(GroupSurvey {
            state: found
                .map_or("not there yet", |found| found.state())
                .to_owned(),
            members: found.map_or_else(Vec::new, |found| {
                let members = found.members().iter();
                members
                    .map(|it| format!("{} at {}", it.client_id(), it.client_host()))
                    .collect()
            }),
            committed,
        })
    }
}

fn read(resource: &ConfigResource) -> TopicSettings {
    let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
    TopicSettings {
        max_message_bytes: value("max.message.bytes").and_then(|it| it.parse().ok()),
        min_in_sync: value("min.insync.replicas").and_then(|it| it.parse().ok()),
        cleanup_policy: value("cleanup.policy"),
    }
}
