//! The configuration: `config.yaml` to a checked tree, and everything that follows from an edit.
//!
//! [`load()`] reads the file, replaces `${VAR}` inside scalars, checks everything and reports all
//! problems at once. The keys are declared once, in the table in `keys`; `key_table` says what is
//! made from it. Only the checked tree ([`Config`]) leaves this module, and no other module
//! reads configuration from files or from the environment.

mod ca_store;
mod checks;
mod current;
mod declare;
mod diff;
mod duration;
mod env;
mod files;
mod key_info;
mod key_table;
mod keys;
mod kinds;
mod load;
pub(crate) mod names;
mod problem;
mod reader;
mod secret;
mod show;
mod systemd;
#[cfg(test)]
mod tests;
mod url;
mod values;
mod watch;
mod yaml;
mod yaml_hint;

pub(crate) use ca_store::system_ca_bundle;
pub use current::CurrentConfig;
pub use diff::{ConfigDiff, LoadedConfig, TableChange};
pub(crate) use duration::{parse as parse_duration, whole_seconds};
pub use files::ConfigFiles;
pub use key_info::{KeyEffect, KeyInfo, KeyShape};
pub use keys::{
    AdminAccess, CheckpointStorage, ClusterConfig, Compression, Config, CreateId, CreateTopics,
    Decimals, DeleteConfig, DeleteDetection, DisplayValue, KafkaConfig, KeyFormat, LogFormat,
    NestedValues, Nulls, OAuthConfig, OAuthGrant, ObservabilityConfig, OffsetConfig, OnBadRow,
    OnError, OnLeave, OnMissing, OnOversize, OnTypeError, OnUnknownColumn, Partitioner,
    ProxyConfig, QueryTimeZone, RegistryAuth, SaslConfig, SchemaRegistryConfig, SchemaStyle,
    ServiceNowAuth, ServiceNowConfig, SinkConfig, SinkFormat, SinkKeyFormat, SinkOperation,
    SinkTopicConfig, SourceConfig, SubjectStrategy, TableConfig, TableFormat, TableSchemaConfig,
    TlsFiles, keys,
};
pub use load::{load, load_needed, load_observability, load_with_files, parse};
pub use problem::{ConfigProblem, ConfigProblems, ConfigWarning};
pub use secret::Secret;
pub use show::{show, show_tree};
pub use systemd::SystemdEnvironment;
pub(crate) use values::source::encoded_query;
pub use watch::ConfigWatcher;
#[doc(hidden)]
pub use yaml::is_yaml;
pub(crate) use yaml::{
    YamlKind, YamlNode, line_of as yaml_line, parse as parse_yaml, scalar as yaml_scalar,
};
