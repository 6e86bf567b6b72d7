//! librdkafka's consumer for reading outside of a group, with its callbacks: errors and log lines.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client_settings::ClientSettings;
use super::error::Error;
use super::librdkafka_words::NO_BROKER_WORDS;
use super::read_error::TopicReadError;
use crate::config::KafkaConfig;
use crate::name_lookup::LOOKUP_SOURCES;
use crate::sync::Mutex;

/// Bound on the answer to one request.
pub(super) const READER_QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// librdkafka's consumer with our callbacks.
pub(super) type ReaderClient = BaseConsumer<ReaderContext>;

/// Makes a client that never joins `group`; only Kafka's access rules and committed offsets use the
/// group's name.
pub(super) fn new_reader_client(
    config: &KafkaConfig,
    group: &str,
) -> Result<ReaderClient, TopicReadError> {
    let settings = ClientSettings::reader(config, group)?;
    let context = ReaderContext::new(settings.clone(), group);
    let client = ReaderClient::from_config_and_context(&settings.client, context);
    Ok(client.map_err(|error| settings.creation_error(error))?)
}

/// The callbacks of one client, and what they have heard.
pub(super) struct ReaderContext {
    settings: ClientSettings,
    group: String,
    /// The error that best explains why brokers do not answer.
    cause: Mutex<Option<String>>,
}

impl ReaderContext {
    pub(super) fn new(settings: ClientSettings, group: &str) -> ReaderContext {
        ReaderContext {
            settings,
            group: group.to_owned(),
            cause: Mutex::default(),
        }
    }

    /// The error for "no broker answers", with the last error of a connection, or else with this
    /// reason.
    pub(super) fn unreachable(&self, reason: &str) -> Error {
        let cause = self.cause.lock().clone();
        Error::Unreachable {
            brokers: self.settings.brokers.clone(),
            reason: cause.unwrap_or_else(|| reason.to_owned()),
        }
    }

    /// Says why a request about `topic` failed.
    pub(super) fn read_error(&self, error: &KafkaError, topic: &str) -> TopicReadError {
        let Some(code) = error.rdkafka_error_code() else {
            return TopicReadError::Refused(self.settings.scrub(&error.to_string()));
        };
        match code {
            Code::TopicAuthorizationFailed => TopicReadError::forbidden_topic(topic),
            Code::GroupAuthorizationFailed => TopicReadError::Forbidden {
                what: format!("consumer group {}", self.group),
                rights: "Describe and Read on the group",
            },
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                Error::MissingTopics(vec![topic.to_owned()]).into()
            }
            Code::UnknownMemberId | Code::IllegalGeneration | Code::RebalanceInProgress => {
                let group = &self.group;
                TopicReadError::Refused(format!(
                    "a consumer has joined consumer group {group}, which belongs to this program"
                ))
            }
            Code::OffsetMetadataTooLarge => {
                let reason = "the brokers' offset.metadata.max.bytes is below Kafka's 4096";
                TopicReadError::Refused(reason.to_owned())
            }
            Code::AllBrokersDown => self.unreachable(NO_BROKER_WORDS).into(),
            code if is_transient(code) => self.unreachable(&format!("{code:?}")).into(),
            code => TopicReadError::Refused(format!("{code:?}")),
        }
    }

    /// Lets errors pass from which librdkafka recovers by itself.
    ///
    /// # Errors
    /// All others.
    pub(super) fn pass_transient(
        &self,
        error: &KafkaError,
        topic: &str,
    ) -> Result<(), TopicReadError> {
        match error.rdkafka_error_code() {
            None => Ok(()),
            Some(code) if is_transient(code) => Ok(()),
            Some(_) => Err(self.read_error(error, topic)),
        }
    }
}

/// Whether librdkafka tries again by itself after this error.
fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::TimedOutQueue
            | Code::NetworkException
            | Code::WaitingForCoordinator
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::ReplicaNotAvailable
            | Code::BrokerNotAvailable
            | Code::OffsetNotAvailable
            | Code::UnknownLeaderEpoch
            | Code::FencedLeaderEpoch
            | Code::UnstableOffsetCommit
            | Code::Authentication
            | Code::SSL
    )
}

impl ClientContext for ReaderContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // A failed handshake is described in full in the log line, but by its code alone in the error.
        if matches!(facility, "FAIL" | "ERROR") {
            let text = self.settings.scrub(text);
            self.cause.lock().get_or_insert(text);
        }
        log::debug!(target: "kafka", level:debug = level, facility = facility,
            text = self.settings.scrub(text).as_str(); "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if ![Code::PartitionEOF, Code::AllBrokersDown]
            .map(Some)
            .contains(&code)
        {
            let mut cause = self.settings.scrub(reason);
            if code == Some(Code::Resolve) {
                cause.push_str(LOOKUP_SOURCES);
            }
            *self.cause.lock() = Some(cause);
        }
    }
}

impl ConsumerContext for ReaderContext {}
