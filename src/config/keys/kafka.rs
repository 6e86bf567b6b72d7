//! Keys of `kafka`: brokers, protection, the producer's levers.

use std::path::Path;
use std::time::Duration;

use super::servicenow::TlsFiles;
use crate::config::declare::{config_keys, words};
use crate::config::duration::{ms, secs};
use crate::config::key_info::KeyEffect;
use crate::config::kinds::{
    Inline, Nested, any, flag, integer, normal_text, secret, text, texts, time, up_to, word,
};
use crate::config::secret::Secret;
use crate::config::values;

config_keys! {
    /// `kafka`: the cluster, and how records are produced to it.
    pub struct KafkaConfig check(CheckKeys) default(()) {
        /// Some brokers to start from, as host:port; the others are learned.
        brokers: Vec<String> = Vec::new(), texts(values::kafka::brokers),
            default: "required", example: "- localhost:9092";

        /// TLS to the brokers.
        tls: Option<TlsFiles> = (), Nested;

        /// The log-in. Without a mechanism there is none.
        sasl: Option<SaslConfig> = (), Nested;

        /// How batches of records are compressed.
        compression: Compression = Compression::Lz4, word();

        /// How long a batch may wait for more rows.
        linger: Duration = ms(50), time(Duration::ZERO, secs(60));

        /// Rows that may wait for Kafka, in bytes (8 MiB). When it is full, polling waits.
        queue_bytes: u64 = 8 << 20, integer(64 << 10, 1 << 40);

        /// The largest record. Raise it together with max.message.bytes of the topic.
        max_message_bytes: u32 = 1_000_000, integer(1_000, 1_000_000_000);

        /// Make missing topics at start. Off: a missing topic is an error.
        create_topics: Option<CreateTopics> = (), Nested;

        /// Further librdkafka properties, as socket.keepalive.enable: true. Those that the
        /// guarantees rest on, those that load code, and those with a key of their own, are
        /// refused; a name that is not known to tune and nothing else is warned of, and will be
        /// refused in the next release.
        properties: Vec<(String, Secret)> = Vec::new(), values::properties::properties();

        /// The same as schema_registry.url.
        schema_registry_url: Vec<String> = Vec::new(), values::registry::registry_urls(),
            effect: Some(KeyEffect::RegistryUsersRestart);
    }
}

impl KafkaConfig {
    /// The files that `kafka.properties` names, as certificates. Edits of them are edits of the
    /// configuration.
    pub fn property_files(&self) -> impl Iterator<Item = &Path> {
        let properties = self.properties.iter();
        let files = properties.filter(|(name, _)| name.ends_with(".location"));
        files.map(|(_, file)| Path::new(file.expose()))
    }
}

words! {
    /// Compression of produced batches.
    #[expect(missing_docs, reason = "the names are the codecs")]
    pub enum Compression {
        None = "none",
        Gzip = "gzip",
        Snappy = "snappy",
        Lz4 = "lz4",
        Zstd = "zstd",
    }
}

config_keys! {
    /// `kafka.tls` as it is written.
    pub(in crate::config) struct KafkaTlsKeys check(CheckKeys) {
        /// Whether the connection is protected.
        enabled: bool = false, flag();

        /// Certificates.
        files: TlsFiles = (), Inline;
    }
}

config_keys! {
    /// `kafka.sasl` as it is written.
    pub(in crate::config) struct SaslKeys {
        /// How to log in. Without a value nothing logs in.
        mechanism: Option<String> = None, normal_text(values::kafka::mechanism).optional(),
            values: "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512";

        /// User name.
        username: Option<String> = None, text(any).optional();

        /// Password.
        password: Option<Secret> = None, secret("password_file");
    }
}

/// SASL log-in to Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslConfig {
    /// PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, upper case.
    pub mechanism: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

config_keys! {
    /// `kafka.create_topics` as it is written.
    pub(in crate::config) struct CreateTopicsKeys {
        /// Whether missing topics are made.
        enabled: bool = false, flag();

        /// Partitions of a new topic.
        partitions: u16 = 3, integer(1, 10_000);

        /// Copies of each partition. Without a value the broker decides.
        replication_factor: Option<u16> = None, up_to(100).optional();

        /// What Kafka removes: delete, compact or "compact,delete".
        cleanup_policy: String = "delete", normal_text(values::kafka::cleanup_policy),
            values: "delete, compact, compact,delete";
    }
}

/// `kafka.create_topics`, when it is enabled: missing topics are made at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopics {
    /// Partitions of a new topic.
    pub partitions: u16,
    /// Replicas; `None` takes the broker's default.
    pub replication_factor: Option<u16>,
    /// `delete`, `compact` or `compact,delete`.
    pub cleanup_policy: String,
}
