//! What librdkafka says to a client that reads: errors and log lines.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::topic_reader::TopicReadError;
use crate::kafka::Error;
use crate::kafka::client_settings::ClientSettings;
use crate::sync::Mutex;

/// The context of one client.
pub(in crate::kafka) struct ReaderContext {
    settings: ClientSettings,
    group: String,
    /// The error that says most about why brokers do not answer.
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

    /// No answer: with what is known about the connections, or `otherwise`.
    pub(in crate::kafka) fn unreachable(&self, otherwise: &str) -> Error {
        let cause = self.cause.lock().clone();
        Error::Unreachable {
            brokers: self.settings.brokers.clone(),
            reason: cause.unwrap_or_else(|| otherwise.to_owned()),
        }
    }

    /// Words for an error that ends what was asked for.
    pub(in crate::kafka) fn judge(&self, error: &KafkaError, topic: &str) -> TopicReadError {
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
                    "somebody has joined consumer group {group}, which belongs to this program"
                ))
            }
            Code::OffsetMetadataTooLarge => {
                let reason = "the brokers' offset.metadata.max.bytes is below Kafka's 4096";
                TopicReadError::Refused(reason.to_owned())
            }
            code if is_passing(code) => self.unreachable(&format!("{code:?}")).into(),
            code => TopicReadError::Refused(format!("{code:?}")),
        }
    }

    /// Gives back the errors that waiting does not mend.
    pub(super) fn endure(&self, error: &KafkaError, topic: &str) -> Result<(), TopicReadError> {
        match error.rdkafka_error_code() {
            None => Ok(()),
            Some(code) if is_passing(code) => Ok(()),
            Some(_) => Err(self.judge(error, topic)),
        }
    }
}

/// Errors that librdkafka itself goes on from.
fn is_passing(code: Code) -> bool {
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
        // A handshake that fails is told here in full, and by its code only where it is an error.
        if matches!(facility, "FAIL" | "ERROR") {
            let text = self.settings.scrub(text);
            self.cause.lock().get_or_insert(text);
        }
        log::debug!(target: "kafka", level:debug = level, facility = facility,
            text = self.settings.scrub(text).as_str(); "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let known = [Code::PartitionEOF, Code::AllBrokersDown].map(Some);
        if !known.contains(&error.rdkafka_error_code()) {
            *self.cause.lock() = Some(self.settings.scrub(reason));
        }
    }
}

impl ConsumerContext for ReaderContext {}
