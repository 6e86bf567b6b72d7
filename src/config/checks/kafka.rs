//! Checks of `kafka`: brokers, log-in, topics to make.

use crate::config::key_table::{CheckKeys, FromKeys, KeyGroup as _};
use crate::config::keys::{
    CreateTopics, CreateTopicsKeys, KafkaConfig, KafkaTlsKeys, SaslConfig, SaslKeys, TlsFiles,
};
use crate::config::reader::Section;
use crate::config::values::properties;

impl CheckKeys for KafkaConfig {
    fn check(section: &Section<'_>, mut kafka: KafkaConfig, (): &()) -> KafkaConfig {
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
}

impl CheckKeys for KafkaTlsKeys {
    fn check(section: &Section<'_>, keys: KafkaTlsKeys, (): &()) -> KafkaTlsKeys {
        if !keys.enabled && keys.files != TlsFiles::default() {
            section.warning("enabled", "is false: the certificates are not used");
        }
        keys
    }
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
