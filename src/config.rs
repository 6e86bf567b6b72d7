//! The checked configuration: what the rest of the program sees.
//!
//! [`load()`] reads `config.yaml`, expands `${VAR}` inside scalars, checks everything and reports all
//! problems at once. Only this tree leaves the module; the shape of the file stays in `raw`.
//! Every default is stated once, in `defaults`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

mod checks;
mod current;
mod defaults;
mod diff;
mod duration;
mod env;
mod files;
mod load;
pub(crate) mod names;
mod problem;
mod reader;
mod schema;
mod show;
mod sink;
#[cfg(test)]
mod tests;
mod url;
mod watch;
mod yaml;

pub use self::diff::{ConfigDiff, LoadedConfig, TableChange};
pub use current::CurrentConfig;
pub use files::ConfigFiles;
pub use load::{load, load_observability, load_with_files, parse};
pub use problem::{ConfigProblem, ConfigProblems, ConfigWarning};
pub use schema::{
    Decimals, KeyFormat, OnTypeError, RegistryAuth, SchemaRegistryConfig, SchemaStyle, SinkFormat,
    SinkKeyFormat, SubjectStrategy, TableFormat, TableSchemaConfig,
};
pub use show::{show, show_tree};
pub use sink::{CreateId, Nulls, OnError, OnMissing, SinkConfig, SinkOperation, SinkTopicConfig};
pub use watch::ConfigWatcher;

/// The whole configuration, checked, with every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How to reach the ServiceNow instance.
    pub servicenow: ServiceNowConfig,
    /// How to reach Kafka.
    pub kafka: KafkaConfig,
    /// Where Avro schemas are kept, if anywhere.
    pub schema_registry: SchemaRegistryConfig,
    /// ServiceNow tables to Kafka topics.
    pub source: SourceConfig,
    /// Kafka topics to ServiceNow tables.
    pub sink: SinkConfig,
    /// Where checkpoints are kept.
    pub offset: OffsetConfig,
    /// The port for health and metrics.
    pub observability: ObservabilityConfig,
    /// `log_level`: least severe level that is logged.
    pub log_level: log::LevelFilter,
    /// `log_format`: text or JSON lines.
    pub log_format: LogFormat,
    /// `shutdown_timeout`: how long a stop may take before undelivered work is left behind.
    pub shutdown_timeout: Duration,
    /// `reload_rollback`: keep what runs when the credentials of an edit do not work.
    pub reload_rollback: bool,
}

impl Config {
    /// All topics that must exist, each once, sorted.
    pub fn topics(&self) -> Vec<String> {
        let mut topics = BTreeSet::new();
        if self.source.enabled {
            topics.extend(self.source.tables.iter().map(|table| &table.topic));
        }
        if self.sink.enabled {
            topics.extend(self.sink.topics.iter().map(|topic| &topic.topic));
            topics.extend(&self.sink.dlq_topic);
        }
        topics.into_iter().cloned().collect()
    }
}

/// A text that must never be printed. `Debug` redacts; there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `servicenow`: the instance and how to talk to it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceNowConfig {
    /// `base_url`: scheme, host, optional port and optional path, no trailing slash.
    pub base_url: String,
    /// `table_api_path`: begins with `/`, no trailing slash.
    pub table_api_path: String,
    /// `auth`: how requests are authenticated.
    pub auth: ServiceNowAuth,
    /// `timeout_seconds`: bound on a whole request including its body.
    pub timeout: Duration,
    /// `read_timeout_seconds`: bound on the wait for the next bytes.
    pub read_timeout: Duration,
    /// `conn_timeout_seconds`: bound on resolve, connect and TLS.
    pub conn_timeout: Duration,
    /// `max_retries`: `None` is unlimited (`-1`, and `0` as in the Go program).
    pub max_retries: Option<u32>,
    /// `retry_backoff_seconds`, else 100 ms: the first back-off.
    pub retry_backoff: Duration,
    /// `rate_limit_rps`: requests per second of all threads together; `None` is unlimited.
    pub rate_limit_rps: Option<f64>,
    /// `max_response_bytes`: a larger body is an error.
    pub max_response_bytes: u64,
    /// `proxy`: an HTTP proxy; the environment is not consulted.
    pub proxy: Option<ProxyConfig>,
    /// `tls`: certificates for the instance.
    pub tls: TlsFiles,
    /// `query_time_zone`: how the instance reads times in queries.
    pub query_time_zone: QueryTimeZone,
}

/// How requests to the instance are authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceNowAuth {
    /// `type: oauth`.
    OAuth(OAuthConfig),
    /// `type: basic`.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// `type: api_key`: a fixed header.
    ApiKey {
        /// Header name, `x-sn-apikey` unless set.
        header: String,
        /// The key.
        key: Secret,
    },
}

/// OAuth client settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthConfig {
    /// Client id of the application registry record.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Path of the token endpoint on the instance.
    pub token_path: String,
    /// How the first token is got.
    pub grant: OAuthGrant,
}

/// `grant_type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuthGrant {
    /// `password`.
    Password {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// `refresh_token`: a refresh token made elsewhere.
    RefreshToken {
        /// The refresh token.
        refresh_token: Secret,
    },
    /// `client_credentials`.
    ClientCredentials,
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// `http://host:port`, without credentials.
    pub url: String,
    /// User name for the proxy, if it wants one.
    pub username: Option<String>,
    /// Password for the proxy.
    pub password: Option<Secret>,
}

/// Certificates of an HTTPS client. All files are PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// CA certificates: for the instance trusted beside the system's, for Kafka instead of them.
    pub ca_cert: Option<PathBuf>,
    /// Client certificate chain.
    pub cert_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
}

/// How the instance reads times in encoded queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryTimeZone {
    /// Measured at start.
    Auto,
    /// Literals are UTC.
    Utc,
    /// Literals are in this IANA zone, the integration user's.
    Zone(String),
}

/// `kafka`.
#[derive(Clone, PartialEq)]
pub struct KafkaConfig {
    /// `brokers`: `host:port` each.
    pub brokers: Vec<String>,
    /// `tls`; `None` when `tls.enabled` is false.
    pub tls: Option<TlsFiles>,
    /// `sasl`; `None` without a mechanism.
    pub sasl: Option<SaslConfig>,
    /// `compression`: none, gzip, snappy, lz4 or zstd.
    pub compression: Compression,
    /// `linger`: how long a batch may wait for more rows.
    pub linger: Duration,
    /// `queue_bytes`: bound on what waits in the producer; the poller blocks when it is full.
    pub queue_bytes: u64,
    /// `max_message_bytes`: the largest record that is sent.
    pub max_message_bytes: u32,
    /// `create_topics`; `None` unless enabled.
    pub create_topics: Option<CreateTopics>,
    /// `properties`: further librdkafka properties, checked not to touch a guarantee.
    pub properties: Vec<(String, String)>,
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KafkaConfig {
            brokers,
            tls,
            sasl,
            compression,
            linger,
            queue_bytes,
            max_message_bytes,
            create_topics,
            properties,
        } = self;
        // A value here may be the password of a key.
        let properties: Vec<&str> = properties.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Kafka")
            .field("brokers", brokers)
            .field("tls", tls)
            .field("sasl", sasl)
            .field("compression", compression)
            .field("linger", linger)
            .field("queue_bytes", queue_bytes)
            .field("max_message_bytes", max_message_bytes)
            .field("create_topics", create_topics)
            .field("properties", &properties)
            .finish()
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

/// Compression of produced batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the codecs")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// `kafka.create_topics`: make missing topics at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopics {
    /// Partitions of a new topic.
    pub partitions: u16,
    /// Replicas; `None` takes the broker's default.
    pub replication_factor: Option<u16>,
    /// `delete`, `compact` or `compact,delete`.
    pub cleanup_policy: String,
}

/// `source`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Whether tables are polled.
    pub enabled: bool,
    /// Default topics are `{topic_prefix}.{table}`.
    pub topic_prefix: String,
    /// The tables.
    pub tables: Vec<TableConfig>,
    /// `fast_poll_interval`: for tables without their own.
    pub fast_poll_interval: Duration,
    /// `slow_poll_interval`: for tables without their own.
    pub slow_poll_interval: Duration,
    /// `batch_size`: for tables without their own.
    pub batch_size: u32,
    /// `initial_query_hours_ago`: `None` reads everything.
    pub initial_query_hours_ago: Option<u32>,
    /// `timestamp_delay_seconds`: how far to stay behind the instance's clock.
    pub timestamp_delay: Duration,
    /// `schema`: for tables without their own.
    pub schema: TableSchemaConfig,
}

/// One table to poll, overrides applied.
#[derive(Debug, Clone, PartialEq)]
pub struct TableConfig {
    /// Table name.
    pub name: String,
    /// Column that orders the rows in time.
    pub timestamp_field: String,
    /// Column that identifies a row.
    pub identifier_field: String,
    /// Columns to fetch; empty is all. The cursor columns are asked for in any case.
    pub fields: Vec<String>,
    /// Topic to produce to.
    pub topic: String,
    /// How the record key is made.
    pub partitioner: Partitioner,
    /// Wait after a poll that found rows.
    pub fast_poll_interval: Duration,
    /// Wait after a poll that found none.
    pub slow_poll_interval: Duration,
    /// Rows per request.
    pub batch_size: u32,
    /// Encoded query that restricts the table, without ORDERBY.
    pub query: Option<String>,
    /// Value form of the rows.
    pub display_value: DisplayValue,
    /// `skip_own_writes`: leave out rows whose last change is one of our sink's.
    pub skip_own_writes: bool,
    /// `format`: Avro if there is a registry, unless the table says otherwise.
    pub format: TableFormat,
    /// `schema`: how the table becomes a schema. Only used with [`TableFormat::Avro`].
    pub schema: TableSchemaConfig,
}

/// How the record key, and by it the partition, is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partitioner {
    /// Key is the identifier.
    Default,
    /// No key.
    RoundRobin,
    /// Key is the SHA-256 in hex of these fields' values.
    FieldBased(Vec<String>),
}

/// `display_value`: form in which the instance gives values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplayValue {
    /// Stored values, times in UTC.
    False,
    /// Display values of the integration user.
    True,
    /// Both.
    All,
}

/// `offset`: where checkpoints are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetConfig {
    /// The checkpoint file.
    pub file_path: PathBuf,
    /// `kafka_topic`: reserved for `storage: kafka`.
    pub kafka_topic: String,
    /// Longest time between an acknowledgement and its checkpoint on disk.
    pub flush_interval: Duration,
}

/// `observability`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservabilityConfig {
    /// Address as written: `:8080` is all addresses, v6 and v4.
    pub addr: String,
    /// Who may do more than look; `None`: nobody.
    pub admin: Option<AdminAccess>,
}

/// What opens the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminAccess {
    /// `admin_token_file`.
    pub token_file: PathBuf,
    /// What is in it.
    pub token: Secret,
}

/// `log_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line per event.
    Text,
    /// One JSON object per event.
    Json,
}
