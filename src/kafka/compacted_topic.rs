//! A compacted topic of this program's own: made if it is missing, with what it needs, and looked at if it
//! is there.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client_settings::{CLIENT_ID, ClientSettings};
use super::cluster_survey::{ClusterSurveyor, TopicSurvey};
use super::error::Error;
use super::read_error::TopicReadError;
use super::reader_client::ReaderContext;
use super::topic_admin::{block_on, refusal, retryable};
use crate::config::KafkaConfig;
use crate::stop::Stop;

/// Bound on making a topic, and on waiting until the brokers know it.
const CREATION_DEADLINE: Duration = Duration::from_secs(30);
/// Between two questions for a topic that was just created.
const CREATED_RECHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Settings of a topic that is made: only whole segments are compacted, so that large ones would be read at
/// each start.
const COMPACTED_SETTINGS: [(&str, &str); 2] =
    [("cleanup.policy", "compact"), ("segment.bytes", "16777216")];

/// What is known of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompactedTopic {
    /// It is compacted, and nothing else is done with its records.
    Compacted,
    /// Kafka does not tell this user its settings.
    NotTold,
    /// Kafka deletes its records after a while: it has this `cleanup.policy`.
    Deleting(String),
}

/// Makes the topic with one partition if it is missing, and tells whether it is compacted.
///
/// # Errors
/// Kafka does not answer, or refuses.
pub fn ensure_compacted_topic(
    config: &KafkaConfig,
    topic: &str,
    stop: &Stop,
) -> Result<CompactedTopic, TopicReadError> {
    let surveyor = ClusterSurveyor::start(config, CLIENT_ID, stop)?;
    let names = [topic.to_owned()];
    let mut deadline = None;
    loop {
        let found = surveyor.topics(&names)?.pop().map(|(_, found)| found);
        match found {
            Some(TopicSurvey::Found(found)) => {
                let policy = found.settings.and_then(|it| it.cleanup_policy);
                return Ok(match policy {
                    None => CompactedTopic::NotTold,
                    Some(policy) if policy.trim() == "compact" => CompactedTopic::Compacted,
                    Some(policy) => CompactedTopic::Deleting(policy),
                });
            }
            Some(TopicSurvey::Forbidden) => return Err(TopicReadError::forbidden_topic(topic)),
            Some(TopicSurvey::Missing) | None => {}
        }
        match deadline {
            None => {
                let until = Instant::now() + CREATION_DEADLINE;
                create(config, topic, until)?;
                deadline = Some(until);
            }
            Some(deadline) if deadline <= Instant::now() => {
                return Err(Error::MissingTopics(vec![topic.to_owned()]).into());
            }
            Some(_) => {
                stop.wait(CREATED_RECHECK_INTERVAL);
            }
        }
    }
}

fn create(config: &KafkaConfig, topic: &str, deadline: Instant) -> Result<(), Error> {
    let settings = ClientSettings::producer(config)?;
    let failed = |reason: &str, retryable| Error::CreateTopic {
        topic: topic.to_owned(),
        reason: settings.scrub(reason),
        retryable,
    };
    let context = ReaderContext::new(settings.clone(), "");
    let admin: Result<AdminClient<ReaderContext>, KafkaError> =
        AdminClient::from_config_and_context(&settings.client, context);
    let admin = admin.map_err(|error| settings.creation_error(error))?;
    let how = config.create_topics.as_ref();
    let replication = how
        .and_then(|it| it.replication_factor)
        .map_or(-1, i32::from); // -1: the broker's default
    let mut wanted = NewTopic::new(topic, 1, TopicReplication::Fixed(replication));
    for (name, value) in COMPACTED_SETTINGS {
        wanted = wanted.set(name, value);
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let options = AdminOptions::new()
        .request_timeout(Some(left))
        .operation_timeout(Some(left / 2));
    let results = match block_on(admin.create_topics([&wanted], &options), deadline) {
        None => return Err(failed("no answer in time", true)),
        Some(Err(error)) => return Err(failed(&error.to_string(), true)),
        Some(Ok(results)) => results,
    };
    for result in results {
        match result {
            Ok(topic) => {
                log::info!(target: "kafka", topic = topic.as_str(), cleanup_policy = "compact";
                    "created a topic");
            }
            // Another process was faster.
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(&refusal(code), retryable(code))),
        }
    }
    Ok(())
}
