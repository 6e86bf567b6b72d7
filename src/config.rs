//! The configuration: `config.yaml` to a checked tree, and everything that follows from an edit.
//!
//! [`load()`] reads the file, replaces `${VAR}` inside scalars, checks everything and reports all
//! problems at once. The keys are declared once, in the table in `keys`; `key_table` says what is
//! made from it. Only the checked tree ([`Config`]) leaves this module, and no other module
//! reads configuration from files or from the environment.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

mod checks;
mod current;
mod diff;
mod duration;
mod env;
mod files;
mod key_table;
mod keys;
mod kinds;
mod load;
pub(crate) mod names;
mod problem;
mod reader;
mod show;
mod systemd;
#[cfg(test)]
mod tests;
mod url;
mod watch;
mod yaml;

pub use current::CurrentConfig;
pub use diff::{ConfigDiff, LoadedConfig, TableChange};
pub use files::ConfigFiles;
pub use key_table::{KeyEffect, KeyInfo, KeyShape};
pub use keys::{
    AdminAccess, CheckpointStorage, Compression, Config, CreateId, CreateTopics, Decimals,
    DisplayValue, KafkaConfig, KeyFormat, LogFormat, Nulls, OAuthConfig, OAuthGrant,
    ObservabilityConfig, OffsetConfig, OnError, OnMissing, OnTypeError, Partitioner, ProxyConfig,
    QueryTimeZone, RegistryAuth, SaslConfig, SchemaRegistryConfig, SchemaStyle, ServiceNowAuth,
    ServiceNowConfig, SinkConfig, SinkFormat, SinkKeyFormat, SinkOperation, SinkTopicConfig,
    SourceConfig, SubjectStrategy, TableConfig, TableFormat, TableSchemaConfig, TlsFiles, keys,
};
pub use load::{load, load_observability, load_with_files, parse};
pub use problem::{ConfigProblem, ConfigProblems, ConfigWarning};
pub use show::{show, show_tree};
pub use systemd::SystemdEnvironment;
pub use watch::ConfigWatcher;
pub(crate) use watch::folder_of;

impl Config {
    /// The tables that are polled: none while `source.enabled` is false.
    pub fn active_tables(&self) -> &[TableConfig] {
        if self.source.enabled {
            &self.source.tables
        } else {
            &[]
        }
    }

    /// The topics that are consumed: none while `sink.enabled` is false.
    pub fn active_topics(&self) -> &[SinkTopicConfig] {
        if self.sink.enabled {
            &self.sink.topics
        } else {
            &[]
        }
    }

    /// All topics that must exist, each once, sorted.
    pub fn topics(&self) -> Vec<String> {
        let mut topics = BTreeSet::new();
        topics.extend(self.active_tables().iter().map(|table| &table.topic));
        topics.extend(self.active_topics().iter().map(|topic| &topic.topic));
        if self.sink.enabled {
            topics.extend(&self.sink.dlq_topic);
        }
        topics.into_iter().cloned().collect()
    }
}

impl KafkaConfig {
    /// The files that `kafka.properties` names, as certificates. Edits of them are edits of the
    /// configuration.
    pub fn property_files(&self) -> impl Iterator<Item = &Path> {
        let properties = self.properties.iter();
        let files = properties.filter(|(name, _)| name.ends_with(".location"));
        files.map(|(_, file)| Path::new(file.expose()))
    }
}

/// A text that must never be printed. `Debug` redacts; there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Whether `text` is YAML of the shape that a configuration has; looks up the line of its last node,
/// too. For the fuzz target `yaml`.
#[doc(hidden)]
pub fn is_yaml(text: &str) -> bool {
    yaml::parse(text).is_ok_and(|(node, _)| yaml::line_of(text, node.id).is_some())
}
