//! `kafka`: brokers, protection, the producer's levers.

use super::servicenow::tls;
use super::{properties, schema};
use crate::config::reader::{KeyNeed, Section};
use crate::config::{
    Compression, CreateTopics, KafkaConfig, SaslConfig, TlsFiles, defaults, names, url,
};

/// With the addresses of `schema_registry_url`, the Go program's key.
pub(super) fn kafka(section: &Section<'_>) -> (KafkaConfig, Vec<String>) {
    let brokers = brokers(section);
    let tls = section.section("tls", |tls_section| {
        let enabled = tls_section.boolean("enabled").unwrap_or(false);
        let tls = tls(tls_section);
        if !enabled && tls != TlsFiles::default() {
            tls_section.warning("enabled", "is false: the certificates are not used");
        }
        enabled.then_some(tls)
    });
    let sasl = section.section("sasl", sasl);
    if tls.is_none() && sasl.as_ref().is_some_and(|sasl| sasl.mechanism == "PLAIN") {
        let message = "sends the password unprotected, as `kafka.tls.enabled` is false";
        section.warning("sasl.mechanism", message);
    }
    let kafka = KafkaConfig {
        brokers,
        tls,
        sasl,
        compression: compression(section),
        linger: section.duration("linger", &defaults::LINGER),
        queue_bytes: section.whole("queue_bytes", &defaults::QUEUE_BYTES),
        max_message_bytes: narrow(section.whole("max_message_bytes", &defaults::MAX_MESSAGE_BYTES)),
        create_topics: section.section("create_topics", create_topics),
        properties: section.pairs("properties", |name, _| properties::check(name)),
    };
    if kafka.queue_bytes < u64::from(kafka.max_message_bytes) {
        let message = "is smaller than `max_message_bytes`: the largest record would never fit";
        section.problem("queue_bytes", message);
    }
    for (name, _) in &kafka.properties {
        if let Some(message) = properties::caution(name) {
            section.warning(&format!("properties.{name}"), message);
        }
    }
    let urls = section.parsed("schema_registry_url", KeyNeed::Optional, schema::urls);
    (kafka, urls.unwrap_or_default())
}

fn brokers(section: &Section<'_>) -> Vec<String> {
    let texts = section.texts("brokers", |text| text.split(',').try_for_each(check_broker));
    if texts.is_empty() && section.is_empty("brokers") {
        section.problem("brokers", "is required: a list of `host:port`");
    }
    // One text may hold several, as a variable is one text.
    texts
        .iter()
        .flat_map(|text| text.split(','))
        .map(|one| one.trim().to_owned())
        .collect()
}

fn check_broker(text: &str) -> Result<(), String> {
    const EXAMPLE: &str = "broker1.example.com:9092";
    let text = text.trim();
    if text.contains("://") {
        return Err(format!(
            "must not hold a scheme; write for example `{EXAMPLE}`"
        ));
    }
    let (host, port) = url::split_port(text)?;
    url::check_host(host, EXAMPLE)?;
    match port {
        Some(0) => Err("the port cannot be 0".to_owned()),
        Some(_) | None => Ok(()),
    }
}

fn sasl(section: &Section<'_>) -> Option<SaslConfig> {
    let words = [
        ("PLAIN", "PLAIN"),
        ("SCRAM-SHA-256", "SCRAM-SHA-256"),
        ("SCRAM-SHA-512", "SCRAM-SHA-512"),
    ];
    let mechanism = section.choice("mechanism", &words);
    let need = match mechanism {
        Some(_) => KeyNeed::Required("with a mechanism"),
        None => KeyNeed::Optional,
    };
    let username = section.text("username", need);
    let password = section.secret("password", "password_file", need);
    if section.is_empty("mechanism") && (username.is_some() || password.is_some()) {
        section.warning("mechanism", "is not set: nobody logs in to Kafka");
    }
    Some(SaslConfig {
        mechanism: mechanism?.to_owned(),
        username: username?,
        password: password?,
    })
}

fn compression(section: &Section<'_>) -> Compression {
    let words = [
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ];
    section
        .choice("compression", &words)
        .unwrap_or(Compression::Lz4)
}

fn create_topics(section: &Section<'_>) -> Option<CreateTopics> {
    let enabled = section.boolean("enabled").unwrap_or(false);
    let partitions = section.whole("partitions", &defaults::PARTITIONS);
    let replication = section.whole_or_none("replication_factor", defaults::REPLICATION_MOST);
    let cleanup_policy = section.parsed("cleanup_policy", KeyNeed::Optional, |text| {
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
    });
    enabled.then(|| CreateTopics {
        partitions: u16::try_from(partitions).unwrap_or(u16::MAX),
        replication_factor: replication.and_then(|factor| u16::try_from(factor).ok()),
        cleanup_policy: cleanup_policy.unwrap_or_else(|| defaults::CLEANUP_POLICY.to_owned()),
    })
}

/// The bounds of the key are below 2^32.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
