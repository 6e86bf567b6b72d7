//! Checks of `schema_registry`, and of what tables and topics say about their format.

use std::collections::BTreeMap;

use super::servicenow::basic_username;
use crate::config::key_table::{CheckKeys, FromKeys};
use crate::config::keys::{
    Config, OnTypeError, RegistryAuth, RegistryAuthKeys, RegistryAuthType, SchemaRegistryConfig,
    SubjectStrategy, TableConfig, TableFormat, TableSchemaConfig, TlsFiles,
};
use crate::config::reader::Section;
use crate::config::secret::Secret;
use crate::config::url;

/// The keys that name the registry.
const REGISTRY_URL_KEYS: [&str; 2] = ["schema_registry.url", "kafka.schema_registry_url"];

impl CheckKeys for SchemaRegistryConfig {
    fn check(
        section: &Section<'_>,
        mut registry: SchemaRegistryConfig,
        other_urls: &Vec<String>,
    ) -> SchemaRegistryConfig {
        if registry.urls.is_empty() {
            registry.urls.clone_from(other_urls);
        } else if !other_urls.is_empty() && registry.urls != *other_urls {
            let message = "differs from `kafka.schema_registry_url`; keep one of them";
            section.problem("url", message);
        }
        let has_login = registry.auth != RegistryAuth::None;
        let has_tls = registry.tls != TlsFiles::default();
        if registry.urls.is_empty() {
            if (has_login || has_tls) && section.is_empty("url") {
                let message = "is not set: there is no Avro, and nothing here is used";
                section.warning("url", message);
            }
            return registry;
        }
        let is_http = |url: &&String| url.starts_with("http://");
        let mut plain = registry.urls.iter().filter(is_http);
        if has_login && plain.any(|url| !url::is_loopback(url)) {
            let message = "is http: the credentials travel unprotected; use https";
            section.warning("url", message);
        }
        if has_tls && registry.urls.iter().all(|url| is_http(&url)) {
            section.warning("tls", "is not used, as `url` is http");
        }
        registry
    }
}

impl FromKeys for RegistryAuth {
    type Keys = RegistryAuthKeys;

    fn from_keys(section: &Section<'_>, keys: RegistryAuthKeys) -> RegistryAuth {
        match keys.kind {
            Some(RegistryAuthType::Basic) => {
                section.require("username", "with `type: basic`");
                section.require_secret("password", "password_file", "with `type: basic`");
            }
            Some(RegistryAuthType::Bearer) => {
                section.require_secret("token", "token_file", "with `type: bearer`");
            }
            Some(RegistryAuthType::None) | None => {}
        }
        basic_username(section, keys.username.as_deref());
        let token = keys.token.as_ref().map_or("", Secret::expose);
        if !token.chars().all(|c| c.is_ascii_graphic()) {
            let message = "must be printable ASCII without blanks, as it goes into a header";
            section.problem("token", message);
        }
        warn_of_unused(section, &keys);
        match keys.kind {
            None | Some(RegistryAuthType::None) => RegistryAuth::None,
            Some(RegistryAuthType::Basic) => RegistryAuth::Basic {
                username: keys.username.unwrap_or_default(),
                password: keys.password.unwrap_or_default(),
            },
            Some(RegistryAuthType::Bearer) => RegistryAuth::Bearer {
                token: keys.token.unwrap_or_default(),
            },
        }
    }

    fn to_keys(&self) -> RegistryAuthKeys {
        let (kind, username, password, token) = match self.clone() {
            RegistryAuth::None => (RegistryAuthType::None, None, None, None),
            RegistryAuth::Basic { username, password } => (
                RegistryAuthType::Basic,
                Some(username),
                Some(password),
                None,
            ),
            RegistryAuth::Bearer { token } => (RegistryAuthType::Bearer, None, None, Some(token)),
        };
        RegistryAuthKeys {
            kind: Some(kind),
            username,
            password,
            token,
        }
    }
}

fn warn_of_unused(section: &Section<'_>, keys: &RegistryAuthKeys) {
    let has_name = keys.username.is_some() || keys.password.is_some();
    if section.is_empty("type") && (has_name || keys.token.is_some()) {
        section.warning("type", "is not set: nobody logs in to the registry");
    } else if keys.kind == Some(RegistryAuthType::Bearer) && has_name {
        section.warning("username", "is not used with `type: bearer`");
    } else if keys.kind == Some(RegistryAuthType::Basic) && keys.token.is_some() {
        section.warning("token", "is not used with `type: basic`");
    }
}

impl CheckKeys for TableSchemaConfig {
    fn check(
        section: &Section<'_>,
        schema: TableSchemaConfig,
        inherited: &TableSchemaConfig,
    ) -> TableSchemaConfig {
        let is_bare = section.has("on_type_error") && section.is_empty("on_type_error");
        if is_bare && inherited.on_type_error != OnTypeError::Null {
            let message =
                "is empty, as a bare `null` is nothing in YAML: write `'null'`, or remove it";
            section.problem("on_type_error", message);
        }
        schema
    }
}

/// Avro of a table or a topic needs a registry. One whose address is wrong is no matter of the table.
pub(super) fn needs_registry(section: &Section<'_>, is_avro: bool, has_registry: bool) {
    let is_wrong = |path: &&str| section.is_wrong_elsewhere(path);
    if is_avro && !has_registry && !REGISTRY_URL_KEYS.iter().any(is_wrong) {
        section.problem("format", "needs a registry: set `schema_registry.url`");
    }
}

/// Tables that share a topic would share a schema with all their columns.
pub(super) fn shared_topics(root: &Section<'_>, config: &Config) {
    if config.schema_registry.subject_strategy != SubjectStrategy::Topic {
        return;
    }
    let mut tables: BTreeMap<&str, &TableConfig> = BTreeMap::new();
    for table in &config.source.tables {
        if table.format != TableFormat::Avro || table.topic.is_empty() {
            continue;
        }
        if let Some(other) = tables.insert(&table.topic, table) {
            let message = format!(
                "is topic, so the tables `{}` and `{}` share one schema, as they share the topic \
                 `{}`; with topic_record each has its own",
                other.name, table.name, table.topic
            );
            root.warning("schema_registry.subject_strategy", message);
        }
    }
}
