//! `kafka.properties`: which librdkafka properties may be set.
//!
//! Free are those that tune. Refused are those that the guarantees rest on, those that have a key
//! of their own, and those that take a pointer instead of a text.

/// Properties with a key of ours. A trailing `*` stands for any end.
const OWN_KEYS: [(&str, &str); 31] = [
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
    ("schema.registry.url", "kafka.schema_registry_url"),
    ("key.serializer", "source.tables[].partitioner"),
    ("value.serializer", "kafka.schema_registry_url"),
];

/// Properties that nobody may change, with the promise that would break.
const FIXED: [(&str, &str); 28] = [
    ("acks", NO_LOSS),
    ("request.required.acks", NO_LOSS),
    ("enable.idempotence", NO_LOSS),
    ("max.in.flight", ORDER),
    ("max.in.flight.requests.per.connection", ORDER),
    ("enable.gapless.guarantee", ORDER),
    ("queuing.strategy", ORDER),
    ("msg_order_cmp", ORDER),
    ("retries", NO_LOSS),
    ("message.send.max.retries", NO_LOSS),
    ("message.timeout.ms", NO_LOSS),
    ("delivery.timeout.ms", NO_LOSS),
    ("partitioner", KEYS),
    ("delivery.report.only.error", REPORTS),
    ("enabled_events", REPORTS),
    ("transactional.id", TRANSACTIONS),
    ("transaction.timeout.ms", TRANSACTIONS),
    ("enable.auto.commit", COMMITS),
    ("auto.commit.*", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    ("auto.offset.reset", COMMITS),
    ("offset.store.*", COMMITS),
    ("isolation.level", COMMITS),
    ("sasl.*", SASL),
    ("enable.sasl.*", SASL),
    ("plugin.library.paths", FOREIGN),
    ("interceptors", FOREIGN),
    ("ssl.engine.*", FOREIGN),
];

const NO_LOSS: &str = "cannot be changed: that no row is lost rests on it";
const ORDER: &str = "cannot be changed: that records of one key stay in order rests on it";
const KEYS: &str = "cannot be changed: keys keep their partitions by it; see \
                    `source.tables[].partitioner` for how keys are made";
const REPORTS: &str = "cannot be changed: checkpoints follow the delivery reports";
const TRANSACTIONS: &str = "cannot be set: transactions are not part of this version";
const COMMITS: &str = "cannot be changed: when positions are committed is decided here";
const SASL: &str = "is not known here: use `kafka.sasl` with PLAIN or SCRAM";
const FOREIGN: &str = "cannot be set: it would load foreign code";

/// Whether a property may be set.
pub(super) fn check(name: &str) -> Result<(), String> {
    if let Some((_, key)) = OWN_KEYS.iter().find(|(pattern, _)| matches(pattern, name)) {
        return Err(format!("has a key of its own: use `{key}`"));
    }
    if let Some((_, why)) = FIXED.iter().find(|(pattern, _)| matches(pattern, name)) {
        return Err((*why).to_owned());
    }
    let pointer = ["opaque", "default_topic_conf", "ssl_engine_callback_data"];
    if pointer.contains(&name) || name.ends_with("_cb") {
        return Err("cannot be set in a file: it takes code, not text".to_owned());
    }
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic()) {
        return Err("is not the name of a librdkafka property".to_owned());
    }
    Ok(())
}

/// A word of care about a property that may be set.
pub(super) fn caution(name: &str) -> Option<&'static str> {
    match name {
        "enable.ssl.certificate.verification" | "ssl.endpoint.identification.algorithm" => {
            Some("can switch off the check of who the broker is")
        }
        _ => None,
    }
}

/// Whether a property's value is a secret.
pub(in crate::config) fn is_private(name: &str) -> bool {
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
