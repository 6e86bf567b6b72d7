//! `schema_registry`, and what tables and topics say about their format.

use std::collections::BTreeMap;

use super::servicenow::tls;
use crate::config::reader::{KeyNeed, Section};
use crate::config::{
    Config, Decimals, KeyFormat, OnTypeError, RegistryAuth, SchemaRegistryConfig, SchemaStyle,
    Secret, SinkFormat, SubjectStrategy, TableConfig, TableFormat, TableSchemaConfig, TlsFiles,
    defaults, url,
};

/// The addresses of one text, with commas between them as Confluent's clients take them.
pub(super) fn urls(text: &str) -> Result<Vec<String>, String> {
    const EXAMPLE: &str = "https://registry.example.com:8081";
    text.split(',')
        .map(|one| url::parse(one.trim(), EXAMPLE).map(|url| url.to_text()))
        .collect()
}

/// Reads the section. `other` are the addresses of `kafka.schema_registry_url`.
pub(super) fn registry(section: &Section<'_>, other: &[String]) -> SchemaRegistryConfig {
    let strategies = [
        ("topic", SubjectStrategy::Topic),
        ("record", SubjectStrategy::Record),
        ("topic_record", SubjectStrategy::TopicRecord),
    ];
    let own = section.parsed("url", KeyNeed::Optional, urls);
    if own.as_ref().is_some_and(|own| own != other) && !other.is_empty() {
        let message = "differs from `kafka.schema_registry_url`; keep one of them";
        section.problem("url", message);
    }
    let registry = SchemaRegistryConfig {
        urls: own.unwrap_or_else(|| other.to_vec()),
        auth: section.section("auth", auth),
        tls: section.section("tls", tls),
        auto_register: section.boolean("auto_register").unwrap_or(true),
        normalize: section.boolean("normalize").unwrap_or(false),
        subject_strategy: section
            .choice("subject_strategy", &strategies)
            .unwrap_or(SubjectStrategy::Topic),
        timeout: section.duration("timeout", &defaults::REGISTRY_TIMEOUT),
    };
    warn(section, &registry);
    registry
}

fn warn(section: &Section<'_>, registry: &SchemaRegistryConfig) {
    let used = registry.auth != RegistryAuth::None || registry.tls != TlsFiles::default();
    if registry.urls.is_empty() {
        if used && section.is_empty("url") {
            section.warning(
                "url",
                "is not set: there is no Avro, and nothing here is used",
            );
        }
        return;
    }
    let urls = || {
        registry
            .urls
            .iter()
            .filter_map(|url| url::parse(url, "").ok())
    };
    if registry.auth != RegistryAuth::None
        && urls().any(|url| url.scheme == "http" && !url.is_loopback())
    {
        let message = "is http: the credentials travel unprotected; use https";
        section.warning("url", message);
    }
    if registry.tls != TlsFiles::default() && urls().all(|url| url.scheme == "http") {
        section.warning("tls", "is not used, as `url` is http");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthType {
    None,
    Basic,
    Bearer,
}

fn auth(section: &Section<'_>) -> RegistryAuth {
    let words = [
        ("none", AuthType::None),
        ("basic", AuthType::Basic),
        ("bearer", AuthType::Bearer),
    ];
    let chosen = section.choice("type", &words);
    let need = |this: AuthType, when| match chosen == Some(this) {
        true => KeyNeed::Required(when),
        false => KeyNeed::Optional,
    };
    let basic = need(AuthType::Basic, "with `type: basic`");
    let username = section.text("username", basic);
    let password = section.secret("password", "password_file", basic);
    let bearer = need(AuthType::Bearer, "with `type: bearer`");
    let token = section.secret("token", "token_file", bearer);
    if username.as_ref().is_some_and(|name| name.contains(':')) {
        let message = "must not hold `:`, which ends the name in basic auth";
        section.problem("username", message);
    }
    let graphic = |token: &Secret| token.expose().chars().all(|c| c.is_ascii_graphic());
    if token.as_ref().is_some_and(|token| !graphic(token)) {
        let message = "must be printable ASCII without blanks, as it goes into a header";
        section.problem("token", message);
    }
    let named = username.is_some() || password.is_some();
    if section.is_empty("type") && (named || token.is_some()) {
        section.warning("type", "is not set: nobody logs in to the registry");
    } else if chosen == Some(AuthType::Bearer) && named {
        section.warning("username", "is not used with `type: bearer`");
    } else if chosen == Some(AuthType::Basic) && token.is_some() {
        section.warning("token", "is not used with `type: basic`");
    }
    let or_stand_in = |secret: Option<Secret>| secret.unwrap_or_else(|| Secret::new(""));
    match chosen {
        None | Some(AuthType::None) => RegistryAuth::None,
        Some(AuthType::Basic) => RegistryAuth::Basic {
            username: username.unwrap_or_default(),
            password: or_stand_in(password),
        },
        Some(AuthType::Bearer) => RegistryAuth::Bearer {
            token: or_stand_in(token),
        },
    }
}

/// `format` of a table; `avro`: there is a schema registry.
pub(super) fn format(section: &Section<'_>, avro: bool) -> TableFormat {
    let words = [("avro", TableFormat::Avro), ("json", TableFormat::Json)];
    let chosen = section.choice("format", &words);
    if chosen == Some(TableFormat::Avro) && !avro {
        section.problem("format", "needs a registry: set `schema_registry.url`");
    }
    chosen.unwrap_or(if avro {
        TableFormat::Avro
    } else {
        TableFormat::Json
    })
}

/// `schema` of the source, or of a table with the source's as `default`.
pub(super) fn table(section: &Section<'_>, default: TableSchemaConfig) -> TableSchemaConfig {
    let styles = [
        ("strings", SchemaStyle::Strings),
        ("typed", SchemaStyle::Typed),
    ];
    let decimals = [("bytes", Decimals::Bytes), ("string", Decimals::String)];
    let errors = [
        ("null", OnTypeError::Null),
        ("string_field", OnTypeError::StringField),
        ("hold", OnTypeError::Hold),
    ];
    let keys = [("string", KeyFormat::String), ("avro", KeyFormat::Avro)];
    let empty = section.has("on_type_error") && section.is_empty("on_type_error");
    if empty && default.on_type_error != OnTypeError::Null {
        let message = "is empty, as a bare `null` is nothing in YAML: write `'null'`, or remove it";
        section.problem("on_type_error", message);
    }
    TableSchemaConfig {
        style: section.choice("style", &styles).unwrap_or(default.style),
        decimals: section
            .choice("decimals", &decimals)
            .unwrap_or(default.decimals),
        on_type_error: section
            .choice("on_type_error", &errors)
            .unwrap_or(default.on_type_error),
        key: section.choice("key", &keys).unwrap_or(default.key),
    }
}

/// Tables that share a topic would share a schema with all their columns.
pub(super) fn shared_topics(root: &Section<'_>, config: &Config) {
    if config.schema_registry.subject_strategy != SubjectStrategy::Topic {
        return;
    }
    let mut tables: BTreeMap<&str, &TableConfig> = BTreeMap::new();
    let avro = |table: &&TableConfig| table.format == TableFormat::Avro && !table.topic.is_empty();
    for table in config.source.tables.iter().filter(avro) {
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

/// `format` of a sink's topic; `avro`: there is a schema registry.
pub(super) fn sink_format(section: &Section<'_>, avro: bool) -> SinkFormat {
    let words = [
        ("auto", SinkFormat::Auto),
        ("json", SinkFormat::Json),
        ("avro", SinkFormat::Avro),
        ("json_schema", SinkFormat::JsonSchema),
    ];
    let format = section.choice("format", &words).unwrap_or(SinkFormat::Auto);
    if format == SinkFormat::Avro && !avro {
        section.problem("format", "needs a registry: set `schema_registry.url`");
    }
    format
}
