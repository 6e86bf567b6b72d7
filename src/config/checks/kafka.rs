//! Checks of `kafka`: brokers, log-in, topics to make.

use super::properties;
use crate::config::key_table::{FromKeys, KeyGroup as _};
use crate::config::keys::{CreateTopicsKeys, KafkaTlsKeys, SaslKeys};
use crate::config::reader::Section;
use crate::config::{CreateTopics, KafkaConfig, SaslConfig, TlsFiles, names, url};

/// The log-ins to Kafka that there are.
const SASL_MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Checks the keys of `kafka` against each other.
pub(in crate::config) fn kafka(
    section: &Section<'_>,
    mut kafka: KafkaConfig,
    (): &(),
) -> KafkaConfig {
    if section.is_empty("brokers") {
        section.problem("brokers", "is required: a list of `host:port`");
    }
    // One text may hold several, as a variable is one text.
    let brokers = kafka.brokers.iter().flat_map(|text| text.split(','));
    kafka.brokers = brokers.map(|one| one.trim().to_owned()).collect();
    let sends_password = |sasl: &SaslConfig| sasl.mechanism == "PLAIN";
    if kafka.tls.is_none() && kafka.sasl.as_ref().is_some_and(sends_password) {
        let message = "sends the password unprotected, as `kafka.tls.enabled` is false";
        section.warning("sasl.mechanism", message);
    }
    if kafka.queue_bytes < u64::from(kafka.max_message_bytes) {
        let message = "is smaller than `max_message_bytes`: the largest record would never fit";
        section.problem("queue_bytes", message);
    }
    for (name, _) in &kafka.properties {
        if let Some(message) = properties::caution(name) {
            section.warning(&format!("properties.{name}"), message);
        }
    }
    kafka
}

/// Checks a text of `kafka.brokers`, which may hold several with commas between them.
pub(in crate::config) fn brokers(text: &str) -> Result<(), String> {
    text.split(',').try_for_each(broker)
}

fn broker(text: &str) -> Result<(), String> {
    const EXAMPLE: &str = "broker1.example.com:9092";
    let text = text.trim();
    if text.contains("://") {
        return Err(format!(
            "must not hold a scheme; write for example `{EXAMPLE}`"
        ));
    }
    let (host, port) = url::split_port(text)?;
    url::check_host(host, EXAMPLE)?;
    if port == Some(0) {
        return Err("the port cannot be 0".to_owned());
    }
    Ok(())
}

/// Checks `kafka.tls`.
pub(in crate::config) fn tls(section: &Section<'_>, keys: KafkaTlsKeys, (): &()) -> KafkaTlsKeys {
    if !keys.enabled && keys.files != TlsFiles::default() {
        section.warning("enabled", "is false: the certificates are not used");
    }
    keys
}

impl FromKeys for Option<TlsFiles> {
    type Keys = KafkaTlsKeys;

    fn from_keys(_: &Section<'_>, keys: KafkaTlsKeys) -> Option<TlsFiles> {
        keys.enabled.then_some(keys.files)
    }

    fn to_keys(&self) -> KafkaTlsKeys {
        KafkaTlsKeys {
            enabled: self.is_some(),
            files: self.clone().unwrap_or_default(),
        }
    }
}

/// Brings `kafka.sasl.mechanism` into upper case.
pub(in crate::config) fn mechanism(text: &str) -> Result<String, String> {
    let known = SASL_MECHANISMS.iter();
    match known.copied().find(|it| it.eq_ignore_ascii_case(text)) {
        Some(mechanism) => Ok(mechanism.to_owned()),
        None => Err(names::not_one_of(text, &SASL_MECHANISMS)),
    }
}

impl FromKeys for Option<SaslConfig> {
    type Keys = SaslKeys;

    fn from_keys(section: &Section<'_>, keys: SaslKeys) -> Option<SaslConfig> {
        if keys.mechanism.is_some() {
            section.require("username", "with a mechanism");
            section.require_secret("password", "password_file", "with a mechanism");
        }
        let has_login = keys.username.is_some() || keys.password.is_some();
        if has_login && section.is_empty("mechanism") {
            section.warning("mechanism", "is not set: nobody logs in to Kafka");
        }
        Some(SaslConfig {
            mechanism: keys.mechanism?,
            username: keys.username?,
            password: keys.password?,
        })
    }

    fn to_keys(&self) -> SaslKeys {
        let sasl = self.as_ref();
        SaslKeys {
            mechanism: sasl.map(|sasl| sasl.mechanism.clone()),
            username: sasl.map(|sasl| sasl.username.clone()),
            password: sasl.map(|sasl| sasl.password.clone()),
        }
    }
}

/// Brings `kafka.create_topics.cleanup_policy` into the form that Kafka takes.
pub(in crate::config) fn cleanup_policy(text: &str) -> Result<String, String> {
    match text.replace(' ', "").as_str() {
        policy @ ("delete" | "compact" | "compact,delete") => Ok(policy.to_owned()),
        "delete,compact" => Ok("compact,delete".to_owned()),
        _ => {
            let quoted = names::quoted(text);
            Err(format!(
                "{quoted} is not one of delete, compact, compact,delete"
            ))
        }
    }
}

impl FromKeys for Option<CreateTopics> {
    type Keys = CreateTopicsKeys;

    fn from_keys(_: &Section<'_>, keys: CreateTopicsKeys) -> Option<CreateTopics> {
        keys.enabled.then_some(CreateTopics {
            partitions: keys.partitions,
            replication_factor: keys.replication_factor,
            cleanup_policy: keys.cleanup_policy,
        })
    }

    fn to_keys(&self) -> CreateTopicsKeys {
        match self.clone() {
            None => CreateTopicsKeys::defaults(()),
            Some(topics) => CreateTopicsKeys {
                enabled: true,
                partitions: topics.partitions,
                replication_factor: topics.replication_factor,
                cleanup_policy: topics.cleanup_policy,
            },
        }
    }
}
