//! `kafka.properties`: which librdkafka properties may be set.
//!
//! Free are those that tune ([`TUNING_PROPERTIES`]). Refused are those that the guarantees rest on, those
//! that have a key of their own, those that would run foreign code, and those that take a pointer
//! instead of a text. Any other name is passed on with a warning in this release, and refused in the
//! next: a property that a later librdkafka brings may do anything.

use crate::config::kinds::{self, ValueKind};
use crate::config::reader::Section;
use crate::config::secret::Secret;
use crate::config::yaml::Value;

/// Properties with a key of ours. A trailing `*` stands for any end.
const PROPERTIES_WITH_OWN_KEY: [(&str, &str); 32] = [
    ("bootstrap.servers", "kafka.brokers"),
    ("metadata.broker.list", "kafka.brokers"),
    (
        "security.protocol",
        "kafka.tls.enabled` and `kafka.sasl.mechanism",
    ),
    ("sasl.mechanism", "kafka.sasl.mechanism"),
    ("sasl.mechanisms", "kafka.sasl.mechanism"),
    ("sasl.username", "kafka.sasl.username"),
    ("sasl.password", "kafka.sasl.password"),
    ("ssl.ca.location", "kafka.tls.ca_cert"),
    ("ssl.ca.pem", "kafka.tls.ca_cert"),
    ("ssl_ca", "kafka.tls.ca_cert"),
    ("ssl.certificate.location", "kafka.tls.cert_file"),
    ("ssl.certificate.pem", "kafka.tls.cert_file"),
    ("ssl_certificate", "kafka.tls.cert_file"),
    (
        "ssl.keystore.*",
        "kafka.tls.cert_file` and `kafka.tls.key_file",
    ),
    ("ssl.key.location", "kafka.tls.key_file"),
    ("ssl.key.pem", "kafka.tls.key_file"),
    ("ssl_key", "kafka.tls.key_file"),
    ("compression.codec", "kafka.compression"),
    ("compression.type", "kafka.compression"),
    ("linger.ms", "kafka.linger"),
    ("queue.buffering.max.ms", "kafka.linger"),
    ("queue.buffering.max.kbytes", "kafka.queue_bytes"),
    ("queue.buffering.max.messages", "kafka.queue_bytes"),
    ("message.max.bytes", "kafka.max_message_bytes"),
    ("allow.auto.create.topics", "kafka.create_topics"),
    ("log_level", "log_level"),
    ("log.queue", "log_level"),
    ("group.id", "sink.group_id"),
    ("group.instance.id", "cluster.instance_id"),
    ("schema.registry.url", "kafka.schema_registry_url"),
    ("key.serializer", "source.tables[].partitioner"),
    ("value.serializer", "kafka.schema_registry_url"),
];

/// Properties that keep their values, with the guarantee that rests on each.
const FIXED_PROPERTIES: [(&str, &str); 30] = [
    ("acks", WHY_NO_LOSS),
    ("request.required.acks", WHY_NO_LOSS),
    ("enable.idempotence", WHY_NO_LOSS),
    ("max.in.flight", WHY_ORDER),
    ("max.in.flight.requests.per.connection", WHY_ORDER),
    ("enable.gapless.guarantee", WHY_ORDER),
    ("queuing.strategy", WHY_ORDER),
    ("msg_order_cmp", WHY_ORDER),
    ("retries", WHY_NO_LOSS),
    ("message.send.max.retries", WHY_NO_LOSS),
    ("message.timeout.ms", WHY_NO_LOSS),
    ("delivery.timeout.ms", WHY_NO_LOSS),
    ("partitioner", WHY_KEYS),
    ("delivery.report.only.error", WHY_REPORTS),
    ("enabled_events", WHY_REPORTS),
    ("transactional.id", WHY_NO_TRANSACTIONS),
    ("transaction.timeout.ms", WHY_NO_TRANSACTIONS),
    ("enable.auto.commit", WHY_COMMITS),
    ("auto.commit.*", WHY_COMMITS),
    ("enable.auto.offset.store", WHY_COMMITS),
    ("auto.offset.reset", WHY_COMMITS),
    ("offset.store.*", WHY_COMMITS),
    ("isolation.level", WHY_COMMITS),
    ("sasl.kerberos.*", WHY_FOREIGN_COMMAND),
    ("sasl.*", WHY_SASL_KEY),
    ("enable.sasl.*", WHY_SASL_KEY),
    ("plugin.library.paths", WHY_FOREIGN_CODE),
    ("interceptors", WHY_FOREIGN_CODE),
    ("ssl.engine.*", WHY_FOREIGN_CODE),
    // OpenSSL loads a module of that name.
    ("ssl.providers", WHY_FOREIGN_CODE),
];

const WHY_NO_LOSS: &str = "cannot be changed: that no row is lost rests on it";
const WHY_ORDER: &str = "cannot be changed: that records of one key stay in order rests on it";
const WHY_KEYS: &str = "cannot be changed: keys keep their partitions by it; see \
                    `source.tables[].partitioner` for how keys are made";
const WHY_REPORTS: &str = "cannot be changed: checkpoints follow the delivery reports";
const WHY_NO_TRANSACTIONS: &str =
    "cannot be set: the bridge names and bounds its transactions itself";
const WHY_COMMITS: &str = "cannot be changed: when positions are committed is decided here";
const WHY_SASL_KEY: &str = "is not known here: use `kafka.sasl` with PLAIN or SCRAM";
const WHY_FOREIGN_CODE: &str = "cannot be set: it would load foreign code";
const WHY_FOREIGN_COMMAND: &str = "cannot be set: it would run a command";

/// Properties that tune a client and touch nothing else (librdkafka 2.x, CONFIGURATION.md). A trailing `*`
/// stands for any end.
const TUNING_PROPERTIES: [&str; 53] = [
    "api.version.*",
    "batch.num.messages",
    "batch.size",
    "broker.address.*",
    "broker.version.fallback",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "client.software.*",
    "compression.level",
    "connections.max.idle.ms",
    "coordinator.query.interval.ms",
    "debug",
    "enable.metrics.push",
    "enable.partition.eof",
    "enable.random.seed",
    "enable.ssl.certificate.verification",
    "fetch.*",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "https.ca.location",
    "log.connection.close",
    "log.thread.name",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "message.copy.max.bytes",
    "metadata.max.age.ms",
    "metadata.recovery.*",
    "partition.assignment.strategy",
    "queue.buffering.backpressure.threshold",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.buffer.bytes",
    "receive.message.max.bytes",
    "reconnect.backoff.*",
    "request.timeout.ms",
    "retry.backoff.*",
    "send.buffer.bytes",
    "session.timeout.ms",
    "socket.*",
    "ssl.ca.certificate.stores",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.password",
    "ssl.sigalgs.list",
    "statistics.interval.ms",
    "sticky.partitioning.linger.ms",
    "topic.blacklist",
    "topic.metadata.*",
];

/// Checks whether a property may be set.
fn check(name: &str) -> Result<(), String> {
    let mut own = PROPERTIES_WITH_OWN_KEY.iter();
    if let Some((_, key)) = own.find(|(pattern, _)| matches(pattern, name)) {
        return Err(format!("has a key of its own: use `{key}`"));
    }
    let mut fixed = FIXED_PROPERTIES.iter();
    if let Some((_, why)) = fixed.find(|(pattern, _)| matches(pattern, name)) {
        return Err((*why).to_owned());
    }
    let takes_pointer = ["opaque", "default_topic_conf", "ssl_engine_callback_data"];
    if takes_pointer.contains(&name) || name.ends_with("_cb") {
        return Err("cannot be set in a file: it takes code, not text".to_owned());
    }
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic()) {
        return Err("is not the name of a librdkafka property".to_owned());
    }
    Ok(())
}

/// A word of care about a property that may be set.
pub(in crate::config) fn caution(name: &str) -> Option<&'static str> {
    match name {
        "enable.ssl.certificate.verification" | "ssl.endpoint.identification.algorithm" => {
            Some("can switch off the check of who the broker is")
        }
        name if TUNING_PROPERTIES.iter().any(|known| matches(known, name)) => None,
        _ => Some(
            "is none of the properties that are known to tune a client and do nothing else: it is \
             passed on in this release, and will be refused in the next",
        ),
    }
}

/// Tells by the name of a property that its value is a secret.
fn is_private(name: &str) -> bool {
    ["password", "passphrase", "secret", "token", ".pem"]
        .iter()
        .any(|part| name.contains(part))
}

/// Whether `name` is `pattern`, or begins with it where that ends with `*`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// Further librdkafka properties. Only their names are checked, and some of their values are
/// secrets.
pub(in crate::config) fn properties() -> ValueKind<Vec<(String, Secret)>> {
    let read = |section: &Section<'_>, key| {
        let pairs = section.pairs(key, check).into_iter();
        Some(
            pairs
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        )
    };
    let shown = |value: &Vec<(String, Secret)>| {
        let property = |(name, value): &(String, Secret)| {
            let shown = if is_private(name) {
                Value::from(kinds::REDACTED)
            } else {
                kinds::text_value(value.expose())
            };
            (Value::from(name.as_str()), shown)
        };
        Value::Mapping(value.iter().map(property).collect())
    };
    ValueKind::new("names and values", read, shown)
}
