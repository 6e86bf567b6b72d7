//! `kafka.properties`: which librdkafka properties may be set.
//!
//! Free are those that tune. Refused are those that the guarantees rest on, those that have a key
//! of their own, and those that take a pointer instead of a text.

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
const FIXED_PROPERTIES: [(&str, &str); 28] = [
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
    ("sasl.*", WHY_SASL_KEY),
    ("enable.sasl.*", WHY_SASL_KEY),
    ("plugin.library.paths", WHY_FOREIGN_CODE),
    ("interceptors", WHY_FOREIGN_CODE),
    ("ssl.engine.*", WHY_FOREIGN_CODE),
];

const WHY_NO_LOSS: &str = "cannot be changed: that no row is lost rests on it";
const WHY_ORDER: &str = "cannot be changed: that records of one key stay in order rests on it";
const WHY_KEYS: &str = "cannot be changed: keys keep their partitions by it; see \
                    `source.tables[].partitioner` for how keys are made";
const WHY_REPORTS: &str = "cannot be changed: checkpoints follow the delivery reports";
const WHY_NO_TRANSACTIONS: &str = "cannot be set: transactions are not part of this version";
const WHY_COMMITS: &str = "cannot be changed: when positions are committed is decided here";
const WHY_SASL_KEY: &str = "is not known here: use `kafka.sasl` with PLAIN or SCRAM";
const WHY_FOREIGN_CODE: &str = "cannot be set: it would load foreign code";

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
        _ => None,
    }
}

/// Tells by the name of a property that its value is a secret.
fn is_private(name: &str) -> bool {
    ["password", "passphrase", "secret", "token", ".pem"]
        .iter()
        .any(|part| name.contains(part))
}

fn matches(pattern: &str, name: &str) -> bool {
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
