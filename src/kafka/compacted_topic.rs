//! A compacted topic of this program's own: made if it is missing, with what it needs, and looked at if it
//! is there.

use std::time::{Duration, Instant};

use rdkafka::admin::NewTopic;

use super::client_settings::{CLIENT_ID, ClientSettings};
use super::cluster_survey::{ClusterSurveyor, TopicSurvey};
use super::error::Error;
use super::read_error::TopicReadError;
use super::reader_client::ReaderContext;
use super::topic_admin::{create_topics, replication};
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
    let context = ReaderContext::new(settings.clone(), "");
    let mut wanted = NewTopic::new(topic, 1, replication(config.create_topics.as_ref()));
    for (name, value) in COMPACTED_SETTINGS {
        wanted = wanted.set(name, value);
    }
    for topic in create_topics(&settings, context, &[wanted], deadline)? {
        log::info!(target: "kafka", topic = topic.as_str(), cleanup_policy = "compact"; "created a topic");
    }
    Ok(())
}
