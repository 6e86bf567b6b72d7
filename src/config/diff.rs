//! What has to happen so that a running bridge does what an edited configuration says. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{
    Config, ConfigFiles, KafkaConfig, SchemaRegistryConfig, ServiceNowConfig, SinkConfig,
    SinkFormat, SinkTopicConfig, TableConfig, TableFormat, TlsFiles,
};

/// A configuration and the files it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedConfig {
    /// The checked tree.
    pub config: Config,
    /// What it was read from.
    pub files: ConfigFiles,
}

/// What happens to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableChange {
    /// It is new: it starts.
    Added,
    /// It is gone: it ends, its checkpoint stays.
    Removed,
    /// It ends and starts again at its checkpoint.
    Edited,
}

/// The difference between what runs and what is to run.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigDiff {
    /// What is to run: the new configuration, less what cannot change while running.
    pub config: Config,
    /// The instance is reached in another way: all pipelines move to a new client.
    pub servicenow: bool,
    /// Kafka is reached in another way: all pipelines move to a new producer.
    pub kafka: bool,
    /// The schema registry is reached in another way: what uses it starts again with a new client.
    pub registry: bool,
    /// Tables that change, by name.
    pub tables: BTreeMap<String, TableChange>,
    /// The sink changes: it starts, ends or starts again.
    pub sink: bool,
    /// `offset.flush_interval` changes.
    pub flush_interval: bool,
    /// The log changes.
    pub log: bool,
    /// What changes, in words, one line each; empty when nothing does.
    pub summary: Vec<String>,
    /// What was edited but cannot change while running, in words.
    pub needs_restart: Vec<String>,
}

impl ConfigDiff {
    /// Compares what runs with what was read.
    pub fn between(old: &LoadedConfig, new: &LoadedConfig) -> ConfigDiff {
        let mut words = DiffLines::default();
        let kept = words.kept(&old.config, &new.config);
        let mut config = new.config.clone();
        config.observability.addr = old.config.observability.addr.clone();
        config.offset.file_path = old.config.offset.file_path.clone();
        let before = &old.config;
        let servicenow = words.servicenow(old, new);
        let kafka = words.kafka(old, new);
        let registry = words.registry(old, new);
        let tables = words.tables(before, &config, registry);
        let sink = words.sink(before, &config, registry);
        let flush = words.value(
            "offset.flush_interval",
            &before.offset.flush_interval,
            &config.offset.flush_interval,
        );
        let level = words.value("log_level", &before.log_level, &config.log_level);
        let format = words.value("log_format", &before.log_format, &config.log_format);
        if before.observability.admin != config.observability.admin {
            words.say(
                "observability.admin_token_file: from now on what is in it opens the admin API",
            );
        }
        words.value(
            "shutdown_timeout",
            &before.shutdown_timeout,
            &config.shutdown_timeout,
        );
        words.value(
            "reload_rollback",
            &before.reload_rollback,
            &config.reload_rollback,
        );
        if before.source.initial_query_hours_ago != config.source.initial_query_hours_ago {
            words.say("source.initial_query_hours_ago: for tables that are not read yet");
        }
        ConfigDiff {
            config,
            servicenow,
            kafka,
            registry,
            tables,
            sink,
            flush_interval: flush,
            log: level || format,
            summary: words.0,
            needs_restart: kept,
        }
    }

    /// Whether what runs goes on as it is.
    pub fn is_empty(&self) -> bool {
        self.summary.is_empty()
    }
}

/// The lines of a plan.
#[derive(Default)]
struct DiffLines(Vec<String>);

impl DiffLines {
    fn say(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }

    fn value<T: PartialEq + std::fmt::Debug>(&mut self, key: &str, old: &T, new: &T) -> bool {
        if old != new {
            self.say(format!("{key}: {old:?} becomes {new:?}").to_lowercase());
        }
        old != new
    }

    fn kept(&self, old: &Config, new: &Config) -> Vec<String> {
        let pairs = [
            (
                "observability.addr",
                old.observability.addr.clone(),
                new.observability.addr.clone(),
            ),
            (
                "offset.file_path",
                old.offset.file_path.display().to_string(),
                new.offset.file_path.display().to_string(),
            ),
        ];
        let edited = pairs.into_iter().filter(|(_, old, new)| old != new);
        let words = edited.map(|(key, old, new)| {
            format!(
                "{key} cannot change while the bridge runs: it stays `{old}`; restart to use `{new}`"
            )
        });
        words.collect()
    }

    fn servicenow(&mut self, old: &LoadedConfig, new: &LoadedConfig) -> bool {
        let (before, now) = (&old.config.servicenow, &new.config.servicenow);
        let mut keys = servicenow_keys(before, now);
        if !keys.contains(&"tls") && replaced(old, new, &now.tls) {
            keys.push("tls (the files)");
        }
        if !keys.is_empty() {
            let keys = keys.join(", ");
            self.say(format!(
                "servicenow: {keys}: every pipeline moves to a new client, one after the other"
            ));
        }
        !keys.is_empty()
    }

    fn kafka(&mut self, old: &LoadedConfig, new: &LoadedConfig) -> bool {
        let (before, now) = (&old.config.kafka, &new.config.kafka);
        let mut keys = kafka_keys(before, now);
        let tls = now.tls.as_ref();
        if !keys.contains(&"tls") && tls.is_some_and(|tls| replaced(old, new, tls)) {
            keys.push("tls (the files)");
        }
        let locations = now.properties.iter();
        let mut locations = locations.filter(|(name, _)| name.ends_with(".location"));
        if locations.any(|(_, file)| old.files.differs(&new.files, Path::new(file)))
            && !keys.contains(&"properties")
        {
            keys.push("properties (the files)");
        }
        if !keys.is_empty() {
            let keys = keys.join(", ");
            self.say(format!(
                "kafka: {keys}: every pipeline moves to a new producer, one after the other"
            ));
        }
        !keys.is_empty()
    }

    fn registry(&mut self, old: &LoadedConfig, new: &LoadedConfig) -> bool {
        let (before, now) = (&old.config.schema_registry, &new.config.schema_registry);
        if before.urls.is_empty() && now.urls.is_empty() {
            // Nothing uses it.
            return false;
        }
        let mut keys = registry_keys(before, now);
        if !keys.contains(&"tls") && replaced(old, new, &now.tls) {
            keys.push("tls (the files)");
        }
        if !keys.is_empty() {
            let keys = keys.join(", ");
            self.say(format!("schema_registry: {keys}"));
        }
        !keys.is_empty()
    }

    fn tables(
        &mut self,
        old: &Config,
        new: &Config,
        registry: bool,
    ) -> BTreeMap<String, TableChange> {
        let (before, now) = (tables(old), tables(new));
        let mut changes = BTreeMap::new();
        for (name, table) in &now {
            let Some(was) = before.get(name) else {
                self.say(format!("table {name}: added, to topic {}", table.topic));
                changes.insert((*name).to_owned(), TableChange::Added);
                continue;
            };
            let mut keys = table_keys(was, table);
            if old.source.timestamp_delay != new.source.timestamp_delay {
                keys.push("timestamp_delay_seconds");
            }
            if skips(old, was) != skips(new, table) && !keys.contains(&"skip_own_writes") {
                keys.push("skip_own_writes");
            }
            if registry && table.format == TableFormat::Avro {
                keys.push("schema_registry");
            }
            if !keys.is_empty() {
                let keys = keys.join(", ");
                self.say(format!(
                    "table {name}: {keys}: it goes on at its checkpoint"
                ));
                changes.insert((*name).to_owned(), TableChange::Edited);
            }
        }
        for name in before.keys().filter(|name| !now.contains_key(*name)) {
            self.say(format!("table {name}: removed; its checkpoint is kept"));
            changes.insert((*name).to_owned(), TableChange::Removed);
        }
        changes
    }

    fn sink(&mut self, old: &Config, new: &Config, registry: bool) -> bool {
        let (before, now) = (&old.sink, &new.sink);
        match (before.enabled, now.enabled) {
            (false, false) => return false,
            (false, true) => {
                self.say("sink: starts");
                return true;
            }
            (true, false) => {
                self.say("sink: ends");
                return true;
            }
            (true, true) => {}
        }
        let mut parts = sink_parts(before, now);
        let guarded = |config: &Config, topic: &SinkTopicConfig| {
            let mut tables = config.source.tables.iter();
            tables.any(|table| table.name == topic.table && skips(config, table))
        };
        if now
            .topics
            .iter()
            .any(|it| guarded(old, it) != guarded(new, it))
        {
            parts.push("skip_own_writes of the source".to_owned());
        }
        if registry && now.topics.iter().any(|it| it.format != SinkFormat::Json) {
            parts.push("schema_registry".to_owned());
        }
        if !parts.is_empty() {
            let parts = parts.join(", ");
            self.say(format!(
                "sink: {parts}: it starts again at what is committed"
            ));
        }
        !parts.is_empty()
    }
}

/// The tables that are read, by name.
fn tables(config: &Config) -> BTreeMap<&str, &TableConfig> {
    let tables = config.source.tables.iter();
    let tables = tables.filter(|_| config.source.enabled);
    tables.map(|table| (table.name.as_str(), table)).collect()
}

/// Whether writes of our own are left out.
fn skips(config: &Config, table: &TableConfig) -> bool {
    table.skip_own_writes && config.sink.enabled && config.source.enabled
}

/// Whether a certificate file has another content under the same name.
fn replaced(old: &LoadedConfig, new: &LoadedConfig, tls: &TlsFiles) -> bool {
    let files = [&tls.ca_cert, &tls.cert_file, &tls.key_file];
    let mut files = files.into_iter().flatten();
    files.any(|file: &PathBuf| old.files.differs(&new.files, file))
}

/// The names of what differs. Each struct is taken apart without `..`, so that a new field cannot be
/// forgotten.
macro_rules! differing {
    ($type:ident { $($field:ident),* $(,)? }, $old:expr, $new:expr) => {{
        let $type { $($field),* } = $old;
        let mut keys: Vec<&'static str> = Vec::new();
        $(if *$field != $new.$field { keys.push(stringify!($field)); })*
        keys
    }};
}

#[rustfmt::skip] // A list of names reads as one.
fn servicenow_keys(old: &ServiceNowConfig, new: &ServiceNowConfig) -> Vec<&'static str> {
    differing!(ServiceNowConfig {
        base_url, table_api_path, auth, timeout, read_timeout, conn_timeout, max_retries,
        retry_backoff, rate_limit_rps, max_response_bytes, proxy, tls, query_time_zone,
    }, old, new)
}

#[rustfmt::skip]
fn kafka_keys(old: &KafkaConfig, new: &KafkaConfig) -> Vec<&'static str> {
    differing!(KafkaConfig {
        brokers, tls, sasl, compression, linger, queue_bytes, max_message_bytes, create_topics,
        properties,
    }, old, new)
}

#[rustfmt::skip]
fn registry_keys(old: &SchemaRegistryConfig, new: &SchemaRegistryConfig) -> Vec<&'static str> {
    differing!(SchemaRegistryConfig {
        urls, auth, tls, auto_register, normalize, subject_strategy, timeout,
    }, old, new)
}

#[rustfmt::skip]
fn table_keys(old: &TableConfig, new: &TableConfig) -> Vec<&'static str> {
    differing!(TableConfig {
        name, timestamp_field, identifier_field, fields, topic, partitioner, fast_poll_interval,
        slow_poll_interval, batch_size, query, display_value, skip_own_writes,
        format, schema,
    }, old, new)
}

/// What differs between two sinks that run.
fn sink_parts(old: &SinkConfig, new: &SinkConfig) -> Vec<String> {
    #[rustfmt::skip]
    let keys = differing!(SinkConfig {
        enabled, topics, concurrency, dlq_topic, group_id, commit_on_partial_failure, on_error,
        retry_for, record_retry_for, transaction_time,
    }, old, new);
    let by_name = |sink: &'_ SinkConfig| -> BTreeMap<String, SinkTopicConfig> {
        let topics = sink.topics.iter();
        topics.map(|it| (it.topic.clone(), it.clone())).collect()
    };
    let (before, now) = (by_name(old), by_name(new));
    let mut parts = Vec::new();
    for (name, topic) in &now {
        match before.get(name) {
            None => parts.push(format!("topic {name} added")),
            Some(was) if was != topic => parts.push(format!("topic {name} edited")),
            Some(_) => {}
        }
    }
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    parts.extend(gone.map(|name| format!("topic {name} removed")));
    // The default of the topics has no effect of its own.
    let keys = keys.into_iter();
    parts.extend(
        keys.filter(|key| !["topics", "concurrency"].contains(key))
            .map(str::to_owned),
    );
    parts
}
