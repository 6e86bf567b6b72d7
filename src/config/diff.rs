//! The difference between the running configuration and an edited one: which clients, tables and
//! threads have to be exchanged. Pure: nothing is done here.
//!
//! Which keys differ, and what a change of each leads to, comes from the table of keys.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::ConfigFiles;
use super::key_info::KeyEffect;
use super::key_table::{KeyChange, KeyGroup as _};
use super::keys::{
    Config, SinkConfig, SinkFormat, SinkTopicConfig, TableConfig, TableFormat, TlsFiles,
};

/// A configuration and the files it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedConfig {
    /// The checked tree.
    pub config: Config,
    /// The files that it was read from.
    pub files: ConfigFiles,
}

/// Consequence of an edit for one table.
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
    /// The configuration to run: the new one, with the old values of keys that cannot change while
    /// the bridge runs.
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
    /// The changes in words, one line each; empty when there are none.
    pub summary: Vec<String>,
    /// Edits, in words, that have no effect until the bridge is started again.
    pub needs_restart: Vec<String>,
}

impl ConfigDiff {
    /// Compares what runs with what was read.
    pub fn between(old: &LoadedConfig, new: &LoadedConfig) -> ConfigDiff {
        let (before, mut config) = (&old.config, new.config.clone());
        let mut lines = DiffLines::default();
        let needs_restart = kept_until_next_start(before, &config);
        config.offset.keep_until_next_start(&before.offset);
        config
            .observability
            .keep_until_next_start(&before.observability);
        let servicenow = lines.servicenow(old, new);
        let kafka = lines.kafka(old, new);
        let registry = lines.registry(old, new);
        let tables = lines.tables(before, &config, registry);
        let sink = lines.sink(before, &config, registry);
        let at_once = lines.at_once(before, &config);
        if before.source.initial_query_hours_ago != config.source.initial_query_hours_ago {
            lines.push("source.initial_query_hours_ago: for tables that are not read yet");
        }
        ConfigDiff {
            config,
            servicenow,
            kafka,
            registry,
            tables,
            sink,
            flush_interval: at_once.contains(&"flush_interval"),
            log: at_once.iter().any(|key| key.starts_with("log_")),
            summary: lines.0,
            needs_restart,
        }
    }

    /// True if the edit changes nothing.
    pub fn is_empty(&self) -> bool {
        self.summary.is_empty()
    }
}

/// The keys outside of the pipelines that differ, with the section they stand in.
fn process_changes(old: &Config, new: &Config) -> Vec<(&'static str, KeyChange)> {
    let mut top = old.changes(new);
    // At the top of the file there are sections and single keys. Sections are compared each by a
    // method of its own; the table of keys gives an effect to each of them, and to no single key.
    top.retain(|change| change.effect.is_none());
    let sections = [
        ("offset.", old.offset.changes(&new.offset)),
        (
            "observability.",
            old.observability.changes(&new.observability),
        ),
        ("", top),
    ];
    let named =
        |(section, keys): (_, Vec<KeyChange>)| keys.into_iter().map(move |key| (section, key));
    sections.into_iter().flat_map(named).collect()
}

/// Edits, in words, of keys that keep their values until the process is started again.
fn kept_until_next_start(old: &Config, new: &Config) -> Vec<String> {
    let mut kept = Vec::new();
    for (section, change) in process_changes(old, new) {
        if change.effect == Some(KeyEffect::NextStart) {
            let [old, new] = change.values;
            kept.push(format!(
                "{section}{} cannot change while the bridge runs: it stays `{}`; restart to use `{}`",
                change.key,
                old.trim_matches('"'),
                new.trim_matches('"'),
            ));
        }
    }
    kept.sort();
    kept
}

/// The lines of a [`ConfigDiff`].
#[derive(Default)]
struct DiffLines(Vec<String>);

impl DiffLines {
    fn push(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }

    /// Notes which keys of `section` changed and what follows. False if there are none.
    fn section(&mut self, section: &str, keys: &[impl AsRef<str>], consequence: &str) -> bool {
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        if !keys.is_empty() {
            self.push(format!("{section}: {}{consequence}", keys.join(", ")));
        }
        !keys.is_empty()
    }

    fn servicenow(&mut self, old: &LoadedConfig, new: &LoadedConfig) -> bool {
        let (before, now) = (&old.config.servicenow, &new.config.servicenow);
        let mut keys = fields(before.changes(now));
        add_replaced_files(&mut keys, old, new, Some(&now.tls));
        let consequence = ": every pipeline moves to a new client, one after the other";
        self.section("servicenow", &keys, consequence)
    }

    fn kafka(&mut self, old: &LoadedConfig, new: &LoadedConfig) -> bool {
        let (before, now) = (&old.config.kafka, &new.config.kafka);
        let mut keys = fields(before.changes(now));
        add_replaced_files(&mut keys, old, new, now.tls.as_ref());
        let is_replaced = |file: &Path| old.files.differs(&new.files, file);
        if now.property_files().any(is_replaced) && !keys.contains(&"properties") {
            keys.push("properties (the files)");
        }
        let consequence = ": every pipeline moves to a new producer, one after the other";
        self.section("kafka", &keys, consequence)
    }

    fn registry(&mut self, old: &LoadedConfig, new: &LoadedConfig) -> bool {
        let (before, now) = (&old.config.schema_registry, &new.config.schema_registry);
        if before.urls.is_empty() && now.urls.is_empty() {
            // Nothing uses it.
            return false;
        }
        let mut keys = fields(before.changes(now));
        add_replaced_files(&mut keys, old, new, Some(&now.tls));
        self.section("schema_registry", &keys, "")
    }

    fn tables(
        &mut self,
        old: &Config,
        new: &Config,
        registry: bool,
    ) -> BTreeMap<String, TableChange> {
        let (before, now) = (tables_by_name(old), tables_by_name(new));
        let mut changes = BTreeMap::new();
        for (name, table) in &now {
            let Some(was) = before.get(name) else {
                self.push(format!("table {name}: added, to topic {}", table.topic));
                changes.insert((*name).to_owned(), TableChange::Added);
                continue;
            };
            let mut keys = fields(was.changes(table));
            if old.source.timestamp_delay != new.source.timestamp_delay {
                keys.push("timestamp_delay_seconds");
            }
            if skips_own_writes(old, was) != skips_own_writes(new, table)
                && !keys.contains(&"skip_own_writes")
            {
                keys.push("skip_own_writes");
            }
            if registry && table.format == TableFormat::Avro {
                keys.push("schema_registry");
            }
            let section = format!("table {name}");
            if self.section(&section, &keys, ": it goes on at its checkpoint") {
                changes.insert((*name).to_owned(), TableChange::Edited);
            }
        }
        for name in before.keys().filter(|name| !now.contains_key(*name)) {
            self.push(format!("table {name}: removed; its checkpoint is kept"));
            changes.insert((*name).to_owned(), TableChange::Removed);
        }
        changes
    }

    fn sink(&mut self, old: &Config, new: &Config, registry: bool) -> bool {
        let (before, now) = (&old.sink, &new.sink);
        if before.enabled != now.enabled {
            self.push(if now.enabled {
                "sink: starts"
            } else {
                "sink: ends"
            });
            return true;
        }
        if !now.enabled {
            return false;
        }
        let mut parts = sink_parts(before, now);
        let cluster = fields(old.cluster.changes(&new.cluster)).into_iter();
        parts.extend(cluster.map(|key| format!("cluster.{key}")));
        let is_guarded = |config: &Config, topic: &SinkTopicConfig| {
            let mut tables = config.source.tables.iter();
            tables.any(|table| table.name == topic.table && skips_own_writes(config, table))
        };
        let is_guard_changed =
            |topic: &SinkTopicConfig| is_guarded(old, topic) != is_guarded(new, topic);
        if now.topics.iter().any(is_guard_changed) {
            parts.push("skip_own_writes of the source".to_owned());
        }
        if registry && now.topics.iter().any(|it| it.format != SinkFormat::Json) {
            parts.push("schema_registry".to_owned());
        }
        self.section("sink", &parts, ": it starts again at what is committed")
    }

    /// Notes the keys of which the new value counts at once, and names them.
    fn at_once(&mut self, old: &Config, new: &Config) -> Vec<&'static str> {
        let mut keys = Vec::new();
        for (section, change) in process_changes(old, new) {
            if change
                .effect
                .is_some_and(|effect| effect != KeyEffect::AtOnce)
            {
                continue;
            }
            keys.push(change.key);
            self.push(if change.key == "admin_token_file" {
                "observability.admin_token_file: from now on what is in it opens the admin API"
                    .to_owned()
            } else {
                let [old, new] = change.values;
                format!("{section}{}: {old} becomes {new}", change.key).to_lowercase()
            });
        }
        keys
    }
}

/// The names of the fields that differ, of those that concern the section itself.
fn fields(changes: Vec<KeyChange>) -> Vec<&'static str> {
    let changes = changes.into_iter();
    let own = changes.filter(|change| change.effect.is_none());
    own.map(|change| change.field).collect()
}

/// Adds the certificates, if a file has another content under the same name.
fn add_replaced_files(
    keys: &mut Vec<&'static str>,
    old: &LoadedConfig,
    new: &LoadedConfig,
    tls: Option<&TlsFiles>,
) {
    let Some(tls) = tls else {
        return;
    };
    let files = [&tls.ca_cert, &tls.cert_file, &tls.key_file];
    let mut files = files.into_iter().flatten();
    if files.any(|file| old.files.differs(&new.files, file)) && !keys.contains(&"tls") {
        keys.push("tls (the files)");
    }
}

/// The tables that are read, by name.
fn tables_by_name(config: &Config) -> BTreeMap<&str, &TableConfig> {
    let tables = config.active_tables().iter();
    tables.map(|table| (table.name.as_str(), table)).collect()
}

/// True if the source leaves out changes of this table that the sink made.
fn skips_own_writes(config: &Config, table: &TableConfig) -> bool {
    table.skip_own_writes && config.sink.enabled && config.source.enabled
}

/// The parts that differ between two configurations of a running sink.
fn sink_parts(old: &SinkConfig, new: &SinkConfig) -> Vec<String> {
    let by_name = |sink: &SinkConfig| -> BTreeMap<String, SinkTopicConfig> {
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
    // The topics are named one by one, and the default of their concurrency has no effect of its own.
    let keys = fields(old.changes(new)).into_iter();
    let others = keys.filter(|key| !["topics", "concurrency"].contains(key));
    parts.extend(others.map(str::to_owned));
    parts
}
