//! The written tree to the checked one. Each section has a function that reads its keys, checks
//! them against each other, and gives a stand-in where a value is wrong: everything that is wrong
//! is found in one pass, and a tree with a stand-in in it never leaves `config`.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::{KeyNeed, Section};
use super::{
    AdminAccess, Config, LogFormat, ObservabilityConfig, OffsetConfig, defaults, names, url,
};

/// A token with less than this many characters is no secret.
const MIN_ADMIN_TOKEN_CHARS: usize = 16;

mod kafka;
mod properties;
mod schema;
mod servicenow;
mod sink;
mod source;

pub(super) use self::properties::is_private as property_is_private;

/// Reads the whole file.
pub(super) fn config(root: &Section<'_>) -> Config {
    let servicenow = root.section("servicenow", servicenow::servicenow);
    let (kafka, registry_urls) = root.section("kafka", kafka::kafka);
    let schema_registry = root.section("schema_registry", |section| {
        schema::registry(section, &registry_urls)
    });
    let avro = !schema_registry.urls.is_empty();
    let config = Config {
        servicenow,
        kafka,
        schema_registry,
        source: root.section("source", |section| source::source(section, avro)),
        sink: root.section("sink", |section| sink::sink(section, avro)),
        offset: root.section("offset", offset),
        observability: root.section("observability", observability),
        log_level: log_level(root),
        log_format: root
            .choice(
                "log_format",
                &[("json", LogFormat::Json), ("text", LogFormat::Text)],
            )
            .unwrap_or(LogFormat::Json),
        shutdown_timeout: root.duration("shutdown_timeout", &defaults::SHUTDOWN_TIMEOUT),
        reload_rollback: root.boolean("reload_rollback").unwrap_or(true),
    };
    if !config.source.enabled && !config.sink.enabled {
        root.problem(
            "source.enabled",
            "nothing to do: set `source.enabled: true` or `sink.enabled: true`",
        );
    }
    sink::beside_source(root, &config);
    schema::shared_topics(root, &config);
    if config.shutdown_timeout < Duration::from_secs(2) {
        let message = "is very short: a stop that ends before Kafka has acknowledged reads those \
                       rows again at the next start";
        root.warning("shutdown_timeout", message);
    }
    config
}

fn log_level(root: &Section<'_>) -> log::LevelFilter {
    let words = [
        ("debug", log::LevelFilter::Debug),
        ("info", log::LevelFilter::Info),
        ("warn", log::LevelFilter::Warn),
        ("error", log::LevelFilter::Error),
        ("trace", log::LevelFilter::Trace),
    ];
    root.choice("log_level", &words)
        .unwrap_or(log::LevelFilter::Info)
}

fn offset(section: &Section<'_>) -> OffsetConfig {
    let kafka = section
        .choice("storage", &[("file", false), ("kafka", true)])
        .unwrap_or(false);
    if kafka {
        let message = "checkpoints in Kafka are not part of this version yet: use `storage: file`";
        section.problem("storage", message);
    }
    let topic_name = |text: &str| names::check_topic(text).map(|()| text.to_owned());
    OffsetConfig {
        file_path: section
            .text("file_path", KeyNeed::Optional)
            .map_or_else(|| PathBuf::from(defaults::OFFSET_FILE), PathBuf::from),
        kafka_topic: section
            .parsed("kafka_topic", KeyNeed::Optional, topic_name)
            .unwrap_or_else(|| defaults::OFFSET_TOPIC.to_owned()),
        flush_interval: section.duration("flush_interval", &defaults::FLUSH_INTERVAL),
    }
}

pub(super) fn observability(section: &Section<'_>) -> ObservabilityConfig {
    let addr = section.parsed("addr", KeyNeed::Optional, |text| {
        let (host, port) = url::split_port(text)?;
        if port.is_none() {
            return Err("has no port; write for example `:8080` or `127.0.0.1:8080`".to_owned());
        }
        if !host.is_empty() {
            url::check_host(host, "127.0.0.1:8080")?;
        }
        Ok(text.to_owned())
    });
    ObservabilityConfig {
        addr: addr.unwrap_or_else(|| defaults::ADDR.to_owned()),
        admin: admin(section),
    }
}

fn admin(section: &Section<'_>) -> Option<AdminAccess> {
    let key = "admin_token_file";
    let (token_file, token) = section.secret_file(key)?;
    // What goes into a header as it is.
    if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        section.problem(
            key,
            "names a file with a blank or a special character in it",
        );
        return None;
    }
    if token.expose().len() < MIN_ADMIN_TOKEN_CHARS {
        let message = "names a file with a token that can be guessed; make one with \
                       `openssl rand -hex 32`";
        section.warning(key, message);
    }
    Some(AdminAccess { token_file, token })
}
