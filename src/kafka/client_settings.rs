//! librdkafka's settings, made from the configuration: first defaults that suit the bridge, then
//! `kafka.properties`, and last the properties on which its guarantees rest.

use std::path::{Path, PathBuf};

use rdkafka::config::{ClientConfig, FromClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use super::error::Error;
use super::group_membership::GroupMembership;
use super::librdkafka_words::without_repetitions;
use crate::config::{self, Compression, KafkaConfig};
use crate::http::redaction::{HiddenSecret, hide, hide_password, redact};

/// The name of this client in the brokers' logs and quotas, unless `kafka.properties` gives another.
pub const CLIENT_ID: &str = "servicenow-kafka-bridge";

/// The size from which on records count with their bytes alone. The queue's number of records is limited
/// to `kafka.queue_bytes` divided by this, as librdkafka needs a few hundred bytes for each record
/// beside its body.
const MIN_RECORD_BYTES_OF_QUEUE: u64 = 256;

/// Properties, with their aliases, that no entry of `kafka.properties` may set. `config` refuses more
/// and says why; this list is a second safeguard. It has the aliases because rdkafka applies a hash map:
/// of two names of one property either could win.
const GUARDED_PROPERTIES: [&str; 24] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "partitioner",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "queuing.strategy",
    "transactional.id",
    "group.instance.id",
    "delivery.report.only.error",
    "bootstrap.servers",
    "metadata.broker.list",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "compression.type",
    "queue.buffering.max.ms",
    "enabled_events",
];

/// Defaults of every client, which `kafka.properties` may change.
const COMMON_DEFAULTS: [(&str, &str); 7] = [
    ("client.id", CLIENT_ID),
    // A mistyped name must not create a topic.
    ("allow.auto.create.topics", "false"),
    // The default backs off up to 10 s; a broker that comes back is to be found within 2 s. librdkafka
    // adds a jitter of up to a half.
    ("reconnect.backoff.max.ms", "1000"),
    // The default of 30 s is one attempt that hangs where packets are dropped without a word.
    ("socket.connection.setup.timeout.ms", "5000"),
    ("socket.keepalive.enable", "true"),
    // Brokers close idle connections, which needs no log line.
    ("log.connection.close", "false"),
    ("enable.metrics.push", "false"),
];

/// Properties on which the producer's guarantees rest: no loss, no reordering, keys keep their partition.
const PRODUCER_GUARANTEES: [(&str, &str); 5] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // 0 means no limit: a record waits for a broker that is down and is never given up because of time.
    // librdkafka allows it for idempotent producers.
    ("message.timeout.ms", "0"),
    // The hash of the Java client and of the bridge's predecessor in Go, so that a key keeps its
    // partition.
    ("partitioner", "murmur2_random"),
    ("delivery.report.only.error", "false"),
];

/// Properties on which a transactional producer relies, beside those of every producer.
const TRANSACTION_GUARANTEES: [(&str, &str); 2] = [
    // Kafka aborts a transaction whose process has died after this, and readers wait for that.
    ("transaction.timeout.ms", "10000"),
    // A record that waits longer than its transaction may last has failed; it is written again in the next.
    ("message.timeout.ms", "10000"),
];

/// Defaults of a group's consumer. ServiceNow is the slow side, so that little is fetched ahead.
const CONSUMER_DEFAULTS: [(&str, &str); 7] = [
    // How long a member's partitions wait for its next start before others take them over.
    ("session.timeout.ms", "10000"),
    ("queued.min.messages", "1000"),
    ("queued.max.messages.kbytes", "4096"),
    ("fetch.message.max.bytes", "1048576"),
    ("fetch.max.bytes", "4194304"),
    // How soon a topic that is created later is found.
    ("topic.metadata.refresh.interval.ms", "30000"),
    // The metric of the lag comes from the statistics.
    ("statistics.interval.ms", "5000"),
];

/// Properties on which the sink's guarantees rest.
const CONSUMER_GUARANTEES: [(&str, &str); 7] = [
    ("partition.assignment.strategy", "cooperative-sticky"),
    // librdkafka commits the positions that the sink has stored and no others: every 250 ms, before
    // partitions go, and at the end. A commit by a call would either give no outcome or wait for it
    // without a bound.
    ("enable.auto.commit", "true"),
    ("auto.commit.interval.ms", "250"),
    ("enable.auto.offset.store", "false"),
    ("isolation.level", "read_committed"),
    // `consumer::StartPosition` decides where to begin.
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "false"),
];

/// Defaults of a reader, which reads one partition at a time while a user waits.
const READER_DEFAULTS: [(&str, &str); 3] = [
    ("fetch.wait.max.ms", "100"),
    ("fetch.max.bytes", "4194304"),
    ("queued.max.messages.kbytes", "8192"),
];

/// Properties on which a reader relies.
const READER_GUARANTEES: [(&str, &str); 7] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("isolation.level", "read_committed"),
    // Records that retention has deleted are passed over.
    ("auto.offset.reset", "earliest"),
    // These two bound a commit: the wait for the group's coordinator, and the wait for its answer.
    ("session.timeout.ms", "10000"),
    ("socket.timeout.ms", "10000"),
];

/// librdkafka's settings. The secrets among them are kept out of messages while this lives.
#[derive(Clone)]
pub(super) struct ClientSettings {
    pub(super) client: ClientConfig,
    /// `kafka.brokers`, for messages.
    pub(super) brokers: String,
    /// The names in `kafka.properties`.
    properties: Vec<String>,
    _hidden: Vec<HiddenSecret>,
}

impl ClientSettings {
    /// Settings of a producer.
    pub(super) fn producer(kafka: &KafkaConfig) -> Result<ClientSettings, Error> {
        ClientSettings::new(
            kafka,
            |settings| settings.producer_defaults(kafka),
            &PRODUCER_GUARANTEES,
        )
    }

    /// Settings of a producer whose records are in transactions; Kafka knows it by `id`.
    pub(super) fn transactional(kafka: &KafkaConfig, id: &str) -> Result<ClientSettings, Error> {
        let mut settings = ClientSettings::producer(kafka)?;
        settings.set(&TRANSACTION_GUARANTEES);
        settings.client.set("transactional.id", id);
        settings.client.set("linger.ms", "0");
        settings.client.remove("sticky.partitioning.linger.ms");
        Ok(settings)
    }

    /// Settings of a static member of a consumer group (KIP-345).
    pub(super) fn consumer(
        kafka: &KafkaConfig,
        membership: &GroupMembership,
    ) -> Result<ClientSettings, Error> {
        let mut settings = ClientSettings::new(
            kafka,
            |settings| settings.set(&CONSUMER_DEFAULTS),
            &CONSUMER_GUARANTEES,
        )?;
        settings.client.set("group.id", &membership.group_id);
        settings
            .client
            .set("group.instance.id", &membership.instance_id);
        Ok(settings)
    }

    /// Settings of a consumer that reads without joining a group.
    pub(super) fn reader(kafka: &KafkaConfig, group: &str) -> Result<ClientSettings, Error> {
        let mut settings = ClientSettings::new(
            kafka,
            |settings| settings.set(&READER_DEFAULTS),
            &READER_GUARANTEES,
        )?;
        settings.client.set("group.id", group);
        Ok(settings)
    }

    /// The same for a reader that also sees what is in transactions that are not committed.
    pub(super) fn uncommitted_reader(kafka: &KafkaConfig) -> Result<ClientSettings, Error> {
        let mut settings = ClientSettings::reader(kafka, CLIENT_ID)?;
        settings.client.set("isolation.level", "read_uncommitted");
        Ok(settings)
    }

    /// Sets the defaults of `tune`, then `kafka.properties`, then the properties in `fixed`.
    fn new(
        kafka: &KafkaConfig,
        tune: impl FnOnce(&mut ClientSettings),
        fixed: &[(&str, &str)],
    ) -> Result<ClientSettings, Error> {
        let mut settings = ClientSettings {
            client: ClientConfig::new(),
            brokers: kafka.brokers.join(","),
            properties: kafka
                .properties
                .iter()
                .map(|(name, _)| name.clone())
                .collect(),
            _hidden: secrets(kafka),
        };
        settings.client.set_log_level(RDKafkaLogLevel::Info);
        settings.set(&COMMON_DEFAULTS);
        tune(&mut settings);
        for (name, value) in &kafka.properties {
            if GUARDED_PROPERTIES.contains(&name.as_str()) {
                return Err(Error::Property(name.clone()));
            }
            settings.client.set(name, value.expose());
        }
        settings.connection(kafka)?;
        settings.set(fixed);
        Ok(settings)
    }

    fn set(&mut self, properties: &[(&str, &str)]) {
        for (name, value) in properties {
            self.client.set(*name, *value);
        }
    }

    /// The producer's defaults; docs/performance.md has the measurements behind them.
    fn producer_defaults(&mut self, kafka: &KafkaConfig) {
        // A record that is larger than the whole queue would never find room.
        let queue = kafka.queue_bytes.max(u64::from(kafka.max_message_bytes));
        let records = (queue / MIN_RECORD_BYTES_OF_QUEUE).clamp(1_000, 10_000_000);
        let compression = match kafka.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        };
        let text: [(&str, String); 6] = [
            ("compression.codec", compression.to_owned()),
            ("linger.ms", kafka.linger.as_millis().to_string()),
            (
                "queue.buffering.max.kbytes",
                queue.div_ceil(1024).to_string(),
            ),
            ("queue.buffering.max.messages", records.to_string()),
            ("message.max.bytes", kafka.max_message_bytes.to_string()),
            // The default of 10 ms is shorter than a batch lingers.
            (
                "sticky.partitioning.linger.ms",
                kafka.linger.as_millis().saturating_mul(2).to_string(),
            ),
        ];
        for (name, value) in text {
            self.client.set(name, value);
        }
    }

    fn connection(&mut self, kafka: &KafkaConfig) -> Result<(), Error> {
        self.client.set("bootstrap.servers", &self.brokers);
        let protocol = match (&kafka.tls, &kafka.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        self.client.set("security.protocol", protocol);
        if let Some(tls) = &kafka.tls {
            // The vendored OpenSSL would look for CA certificates in the folder of its build, and
            // librdkafka's own search (`probe`) does not know SSL_CERT_FILE.
            let system = || config::system_ca_bundle().unwrap_or_else(|| PathBuf::from("probe"));
            let ca = tls.ca_cert.clone().unwrap_or_else(system);
            self.client.set("ssl.ca.location", utf8(&ca)?);
            let files = [
                ("ssl.certificate.location", &tls.cert_file),
                ("ssl.key.location", &tls.key_file),
            ];
            for (name, file) in files {
                if let Some(file) = file {
                    self.client.set(name, utf8(file)?);
                }
            }
        }
        if let Some(sasl) = &kafka.sasl {
            self.client.set("sasl.mechanism", &sasl.mechanism);
            self.client.set("sasl.username", &sasl.username);
            self.client.set("sasl.password", sasl.password.expose());
        }
        Ok(())
    }

    /// Lets librdkafka make a client without a broker to connect to, and ends it again: everything of
    /// the settings is looked at, certificates too.
    pub(super) fn check<C: FromClientConfig>(&self) -> Result<(), Error> {
        let mut offline = self.client.clone();
        offline.remove("bootstrap.servers");
        let client: Result<C, KafkaError> = offline.create();
        client.map(drop).map_err(|error| self.creation_error(error))
    }

    /// What librdkafka or a broker says, without any secret and without a count of repetitions.
    #[expect(clippy::unused_self, reason = "the settings keep their secrets hidden")]
    pub(super) fn scrub(&self, text: &str) -> String {
        redact(&without_repetitions(text)).into_owned()
    }

    /// The error for a client that librdkafka did not make.
    pub(super) fn creation_error(&self, error: KafkaError) -> Error {
        Error::Settings(match error {
            // Its `Display` also has the value, which may be a secret.
            KafkaError::ClientConfig(_, description, name, _) => {
                let key = if self.properties.contains(&name) {
                    "kafka.properties."
                } else {
                    ""
                };
                self.scrub(&format!("{key}{name}: {description}"))
            }
            KafkaError::ClientCreation(text) => self.scrub(&text),
            other => self.scrub(&other.to_string()),
        })
    }
}

/// The secrets in the settings: the SASL password, and properties whose name speaks of one.
fn secrets(kafka: &KafkaConfig) -> Vec<HiddenSecret> {
    let password = kafka
        .sasl
        .iter()
        .map(|sasl| hide_password(&sasl.username, sasl.password.expose()));
    let private = |name: &str| {
        ["password", "passphrase", "secret", "token", ".pem"]
            .iter()
            .any(|part| name.contains(part))
    };
    let properties = kafka
        .properties
        .iter()
        .filter(|(name, _)| private(name))
        .map(|(_, value)| hide(value.expose()));
    password.chain(properties).collect()
}

fn utf8(path: &Path) -> Result<&str, Error> {
    path.to_str()
        .ok_or_else(|| Error::Settings(format!("kafka.tls: {} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::config::{SaslConfig, TlsFiles};

    fn kafka() -> KafkaConfig {
        KafkaConfig {
            brokers: vec!["a:9092".to_owned(), "b:9092".to_owned()],
            ..KafkaConfig::default()
        }
    }

    fn sasl() -> SaslConfig {
        SaslConfig {
            mechanism: "SCRAM-SHA-512".to_owned(),
            username: "alice".to_owned(),
            password: Secret::new("alice-secret"),
        }
    }

    #[test]
    fn guarantees_and_defaults() {
        let settings = ClientSettings::producer(&kafka()).unwrap();
        let expected = [
            ("bootstrap.servers", "a:9092,b:9092"),
            ("security.protocol", "plaintext"),
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "0"),
            ("partitioner", "murmur2_random"),
            ("compression.codec", "lz4"),
            ("linger.ms", "50"),
            ("queue.buffering.max.kbytes", "8192"),
            ("queue.buffering.max.messages", "32768"),
            ("allow.auto.create.topics", "false"),
        ];
        for (name, value) in expected {
            assert_eq!(settings.client.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn the_protocol_follows_tls_and_sasl() {
        let protocol = |tls: Option<TlsFiles>, sasl: Option<SaslConfig>| {
            let mut kafka = kafka();
            (kafka.tls, kafka.sasl) = (tls, sasl);
            let settings = ClientSettings::producer(&kafka).unwrap();
            let get = |name| settings.client.get(name).unwrap_or("-").to_owned();
            (get("security.protocol"), get("ssl.ca.location"))
        };
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        // What stands for the host's certificates is tried with the binary (tests/it/ca_stores.rs).
        let tls = || {
            Some(TlsFiles {
                ca_cert: Some(PathBuf::from("/ca.pem")),
                ..TlsFiles::default()
            })
        };
        assert_eq!(protocol(tls(), None), pair("ssl", "/ca.pem"));
        assert_eq!(protocol(None, Some(sasl())), pair("sasl_plaintext", "-"));
        assert_eq!(protocol(tls(), Some(sasl())), pair("sasl_ssl", "/ca.pem"));
    }

    #[test]
    fn properties_tune_but_do_not_touch_guarantees() {
        let mut kafka = kafka();
        kafka.properties = vec![("socket.timeout.ms".to_owned(), Secret::new("12345"))];
        let settings = ClientSettings::producer(&kafka).unwrap();
        assert_eq!(settings.client.get("socket.timeout.ms"), Some("12345"));
        for name in GUARDED_PROPERTIES {
            kafka.properties = vec![(name.to_owned(), Secret::new("1"))];
            assert!(
                matches!(ClientSettings::producer(&kafka), Err(Error::Property(refused)) if refused == name)
            );
        }
    }

    #[test]
    fn a_reader_joins_no_group_and_commits_nothing_by_itself() {
        let mut kafka = kafka();
        kafka.properties = vec![
            ("socket.keepalive.enable".to_owned(), Secret::new("true")),
            ("session.timeout.ms".to_owned(), Secret::new("600000")),
        ];
        let settings = ClientSettings::reader(&kafka, "g").unwrap();
        for (name, value) in [
            ("bootstrap.servers", "a:9092,b:9092"),
            ("group.id", "g"),
            ("enable.auto.commit", "false"),
            ("isolation.level", "read_committed"),
            ("allow.auto.create.topics", "false"),
            ("socket.keepalive.enable", "true"),
            ("session.timeout.ms", "10000"),
        ] {
            assert_eq!(settings.client.get(name), Some(value), "{name}");
        }
        kafka.properties = vec![("sasl.password".to_owned(), Secret::new("x"))];
        assert!(matches!(
            ClientSettings::reader(&kafka, "g"),
            Err(Error::Property(name)) if name == "sasl.password"
        ));
    }

    #[test]
    fn no_error_text_holds_a_secret() {
        let mut kafka = kafka();
        kafka.sasl = Some(sasl());
        kafka.properties = vec![("ssl.key.password".to_owned(), Secret::new("key-secret"))];
        let settings = ClientSettings::producer(&kafka).unwrap();
        let shown = settings.scrub("log-in alice:alice-secret with key-secret");
        assert_eq!(shown, "log-in alice:[redacted] with [redacted]");

        kafka.properties = vec![("no.such.password".to_owned(), Secret::new("other-secret"))];
        let settings = ClientSettings::producer(&kafka).unwrap();
        let error = settings.client.create_native_config().err().unwrap();
        let text = settings.creation_error(error).to_string();
        assert!(
            text.contains("no.such.password") && !text.contains("other-secret"),
            "{text}"
        );
    }
}
