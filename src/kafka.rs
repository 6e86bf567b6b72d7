//! Kafka: a producer, a member of a consumer group, a reader outside of any group, and the look-up of
//! topics.
//!
//! librdkafka speaks the protocol. Nothing of it leaves this module: callers see the types below,
//! none of which has a type of rdkafka in its signature.

mod batch;
mod broker_health;
mod broker_questions;
mod client_context;
mod client_settings;
mod cluster_survey;
mod committed_reader;
mod compacted_topic;
mod consumer;
mod consumer_record;
mod error;
mod group_membership;
mod librdkafka_words;
mod offset_set;
mod producer;
mod producer_record;
mod queue_drain;
mod read_error;
mod reader_client;
mod replay_progress;
mod scram;
mod settings_check;
mod topic_admin;
mod topic_partition;
mod topic_reader;
mod transactional_writer;

pub use self::batch::{Batch, DeliveryError};
pub use self::broker_questions::{
    ApiVersionRange, BrokerQuestions, METADATA_API, METADATA_WITH_RIGHTS, TopicRights,
};
pub use self::client_settings::CLIENT_ID;
pub use self::cluster_survey::{
    BrokerAddress, ClusterSurveyor, FoundTopic, GroupSurvey, TopicSettings, TopicSurvey,
};
pub use self::committed_reader::read_committed_to_end;
pub use self::compacted_topic::{CompactedTopic, ensure_compacted_topic};
pub use self::consumer::{
    CommitNote, Consumer, GroupCoverage, OffsetCommit, PartitionStart, PollResult,
    RebalanceListener, StartPosition,
};
pub use self::consumer_record::ConsumerRecord;
pub use self::error::Error;
pub use self::group_membership::GroupMembership;
pub use self::producer::{Producer, SendError};
pub use self::producer_record::{ProducerRecord, RecordHeaders};
pub use self::read_error::TopicReadError;
pub use self::replay_progress::ReplayProgress;
pub use self::settings_check::check_settings;
pub use self::topic_admin::TopicInfo;
pub use self::topic_partition::TopicPartition;
pub use self::topic_reader::TopicReader;
pub use self::transactional_writer::{TransactionError, TransactionRecord, TransactionalWriter};
