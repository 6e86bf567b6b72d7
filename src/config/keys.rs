//! The table of configuration keys: the top of the file. Each section has a table of its own below
//! this module; how a table is read is described at `declare`.
//!
//! To add a key, add its entry here or below, use the new field, and run
//! `UPDATE_EXPECT=1 cargo test --workspace --lib config::tests::reference`, which writes the key into
//! `config.example.yaml` and `docs/configuration.md`. A test of what the key does belongs to its user.

use std::collections::BTreeSet;
use std::time::Duration;

use super::declare::{config_keys, words};
use super::duration::{ms, secs};
use super::key_info::{KeyEffect, KeyInfo};
use super::key_table::{KeyGroup as _, KeyParent};
use super::kinds::{Nested, Words, flag, time, word};

mod cluster;
mod deletes;
mod kafka;
mod schema_registry;
mod servicenow;
mod sink;
mod source;
mod state;

pub use crate::config::values::time_zone::QueryTimeZone;
pub use cluster::ClusterConfig;
pub use deletes::{DeleteConfig, DeleteDetection, OnLeave};
pub use kafka::{Compression, CreateTopics, KafkaConfig, SaslConfig};
pub use schema_registry::{RegistryAuth, SchemaRegistryConfig, SubjectStrategy};
pub use servicenow::{
    OAuthConfig, OAuthGrant, ProxyConfig, ServiceNowAuth, ServiceNowConfig, TlsFiles,
};
pub use sink::{
    CreateId, NestedValues, Nulls, OnError, OnMissing, OnUnknownColumn, SinkConfig, SinkFormat,
    SinkKeyFormat, SinkOperation, SinkTopicConfig,
};
pub use source::{
    Decimals, DisplayValue, KeyFormat, OnBadRow, OnOversize, OnTypeError, Partitioner, SchemaStyle,
    SourceConfig, TableConfig, TableFormat, TableSchemaConfig,
};
pub use state::{AdminAccess, CheckpointStorage, ObservabilityConfig, OffsetConfig};

pub(super) use kafka::{CreateTopicsKeys, KafkaTlsKeys, SaslKeys};
pub(super) use schema_registry::{RegistryAuthKeys, RegistryAuthType};
pub(super) use servicenow::{
    ApiKeyKeys, AuthType, BasicAuthKeys, GrantType, OAuthKeys, ProxyKeys, ServiceNowAuthKeys,
};
pub(super) use sink::{CreateIdKeys, CreateIdKind, SinkTopicContext};
pub(super) use source::{PartitionerKeys, PartitionerKind, TableContext};

config_keys! {
    /// The whole configuration, checked, with every default filled in.
    pub struct Config check(CheckKeys) {
        /// The instance, and how to log in to it.
        servicenow: ServiceNowConfig = (), Nested, effect: Some(KeyEffect::NewClient);

        /// The Kafka cluster.
        kafka: KafkaConfig = (), Nested, effect: Some(KeyEffect::NewProducer);

        /// Where Avro schemas are kept. With a url, tables are sent as Avro.
        schema_registry: SchemaRegistryConfig => kafka.schema_registry_url.clone(), Nested,
            effect: Some(KeyEffect::RegistryUsersRestart);

        /// ServiceNow tables to Kafka topics.
        source: SourceConfig => !schema_registry.urls.is_empty(), Nested,
            effect: Some(KeyEffect::TablesRestart);

        /// The way back, from Kafka topics to ServiceNow tables.
        sink: SinkConfig => !schema_registry.urls.is_empty(), Nested,
            effect: Some(KeyEffect::SinkRestarts);

        /// Where checkpoints are kept: how far each table is delivered.
        offset: OffsetConfig = (), Nested, effect: Some(KeyEffect::AtOnce);

        /// This bridge among those that share the work of the sink.
        cluster: ClusterConfig = (), Nested, effect: Some(KeyEffect::SinkRestarts);

        /// The HTTP port: status page, health, metrics, admin API.
        observability: ObservabilityConfig = (), Nested, effect: Some(KeyEffect::AtOnce);

        /// The least severe level that is logged.
        log_level: log::LevelFilter = log::LevelFilter::Info, word();

        /// How log lines are written to stderr, one for each event.
        log_format: LogFormat = LogFormat::Json, word();

        /// How long a stop may take before undelivered rows are left to the next start.
        shutdown_timeout: Duration = secs(25), time(ms(100), secs(3_600));

        /// Every setting but observability.addr and where offset says that positions are kept takes effect while the bridge
        /// runs, as soon as this file or one that it names changes. With true an edit whose
        /// credentials the instance or Kafka does not take is left aside.
        reload_rollback: bool = true, flag();
    }
}

impl Config {
    /// The tables that are polled: none while `source.enabled` is false.
    pub fn active_tables(&self) -> &[TableConfig] {
        if self.source.enabled {
            &self.source.tables
        } else {
            &[]
        }
    }

    /// The topics that are consumed: none while `sink.enabled` is false.
    pub fn active_topics(&self) -> &[SinkTopicConfig] {
        if self.sink.enabled {
            &self.sink.topics
        } else {
            &[]
        }
    }

    /// All topics that must exist, each once, sorted.
    pub fn topics(&self) -> Vec<String> {
        let mut topics = BTreeSet::new();
        topics.extend(self.active_tables().iter().map(|table| &table.topic));
        let letters = self.active_tables().iter();
        topics.extend(letters.filter_map(TableConfig::letter_topic));
        let proofs = self.active_tables().iter();
        topics.extend(proofs.filter_map(|table| table.proof_topic.as_ref()));
        topics.extend(self.active_topics().iter().map(|topic| &topic.topic));
        if self.sink.enabled {
            topics.extend(&self.sink.dlq_topic);
        }
        topics.into_iter().cloned().collect()
    }
}

words! {
    /// `log_format`.
    pub enum LogFormat {
        /// One JSON object per event.
        Json = "json",
        /// One readable line per event.
        Text = "text",
    }
}

impl Words for log::LevelFilter {
    const WORDS: &'static [(&'static str, log::LevelFilter)] = &[
        ("debug", log::LevelFilter::Debug),
        ("info", log::LevelFilter::Info),
        ("warn", log::LevelFilter::Warn),
        ("error", log::LevelFilter::Error),
        ("trace", log::LevelFilter::Trace),
    ];
}

/// Every key of the file, in the order of the table.
pub fn keys() -> Vec<KeyInfo> {
    let mut keys = Vec::new();
    let top = KeyParent {
        path: String::new(),
        effect: KeyEffect::AtOnce,
    };
    Config::describe(&top, &mut keys);
    keys
}
