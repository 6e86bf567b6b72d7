//! The checked tree back to YAML, secrets redacted.
//!
//! The output has the shape of the file and loads again, so it shows what a key left out means.
//! Of the ways to log in only the one in use is shown, as the others have no effect.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_yaml::{Mapping, Value};

use super::checks::property_is_private;
use super::{
    Compression, Config, DisplayValue, KafkaConfig, LogFormat, OAuthGrant, ObservabilityConfig,
    Partitioner, QueryTimeZone, ServiceNowAuth, ServiceNowConfig, SourceConfig, TableConfig,
    TlsFiles, defaults, duration,
};

mod schema;
mod sink;

const REDACTED: &str = "[redacted]";

/// Every key with its effective value, as YAML. Null is "not set".
pub fn show(config: &Config) -> String {
    // A tree of texts and numbers always has a YAML form.
    serde_yaml::to_string(&show_tree(config)).unwrap_or_default()
}

/// The same, for another form than YAML.
pub fn show_tree(config: &Config) -> impl Serialize + use<> {
    let offset = [
        ("storage", text("file")),
        ("file_path", path(&config.offset.file_path)),
        ("kafka_topic", text(&config.offset.kafka_topic)),
        ("flush_interval", time(config.offset.flush_interval)),
    ];
    map([
        ("servicenow", servicenow(&config.servicenow)),
        (
            "kafka",
            kafka(&config.kafka, schema::urls(&config.schema_registry)),
        ),
        ("schema_registry", schema::registry(&config.schema_registry)),
        ("source", source(&config.source)),
        ("sink", sink::sink(&config.sink)),
        ("offset", map(offset)),
        ("observability", observability(&config.observability)),
        (
            "log_level",
            text(&config.log_level.as_str().to_ascii_lowercase()),
        ),
        ("log_format", text(log_format(config.log_format))),
        ("shutdown_timeout", time(config.shutdown_timeout)),
        ("reload_rollback", Value::from(config.reload_rollback)),
    ])
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Mapping(
        entries
            .into_iter()
            .map(|(key, value)| (Value::from(key), value))
            .collect(),
    )
}

/// A text that is a text again when it is read: `${` is escaped.
fn text(text: &str) -> Value {
    Value::from(text.replace("${", "$${"))
}

fn texts(list: &[String]) -> Value {
    list.iter()
        .map(|item| text(item))
        .collect::<Vec<Value>>()
        .into()
}

fn optional<T>(value: Option<T>, write: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, write)
}

fn path(path: &Path) -> Value {
    text(&path.to_string_lossy())
}

fn time(time: Duration) -> Value {
    Value::from(duration::format(time))
}

/// Whole seconds without a point, as they are usually written.
fn seconds(time: Duration) -> Value {
    match time.subsec_nanos() {
        0 => Value::from(time.as_secs()),
        _ => Value::from(time.as_secs_f64()),
    }
}

/// -1 is "unlimited" or "everything" in the Go program's file.
fn or_minus_one(number: Option<u32>) -> Value {
    number.map_or(Value::from(-1), Value::from)
}

fn redacted() -> Value {
    Value::from(REDACTED)
}

fn servicenow(servicenow: &ServiceNowConfig) -> Value {
    let proxy = servicenow.proxy.as_ref();
    let zone = match &servicenow.query_time_zone {
        QueryTimeZone::Auto => "auto",
        QueryTimeZone::Utc => "utc",
        QueryTimeZone::Zone(name) => name,
    };
    map([
        ("base_url", text(&servicenow.base_url)),
        ("table_api_path", text(&servicenow.table_api_path)),
        ("auth", auth(&servicenow.auth)),
        ("timeout_seconds", seconds(servicenow.timeout)),
        ("read_timeout_seconds", seconds(servicenow.read_timeout)),
        ("conn_timeout_seconds", seconds(servicenow.conn_timeout)),
        ("max_retries", or_minus_one(servicenow.max_retries)),
        ("retry_backoff_seconds", seconds(servicenow.retry_backoff)),
        (
            "rate_limit_rps",
            Value::from(servicenow.rate_limit_rps.unwrap_or(0.0)),
        ),
        (
            "max_response_bytes",
            Value::from(servicenow.max_response_bytes),
        ),
        (
            "proxy",
            map([
                ("url", optional(proxy, |proxy| text(&proxy.url))),
                (
                    "username",
                    optional(proxy.and_then(|proxy| proxy.username.as_deref()), text),
                ),
                (
                    "password",
                    optional(proxy.and_then(|proxy| proxy.password.as_ref()), |_| {
                        redacted()
                    }),
                ),
            ]),
        ),
        ("tls", Value::Mapping(tls(&servicenow.tls))),
        ("query_time_zone", text(zone)),
    ])
}

fn auth(auth: &ServiceNowAuth) -> Value {
    match auth {
        ServiceNowAuth::Basic {
            username,
            password: _,
        } => map([
            ("type", text("basic")),
            (
                "basic",
                map([("username", text(username)), ("password", redacted())]),
            ),
        ]),
        ServiceNowAuth::ApiKey { header, key: _ } => map([
            ("type", text("api_key")),
            (
                "api_key",
                map([("header", text(header)), ("key", redacted())]),
            ),
        ]),
        ServiceNowAuth::OAuth(oauth) => {
            let grant = match &oauth.grant {
                OAuthGrant::Password {
                    username,
                    password: _,
                } => vec![
                    ("grant_type", text("password")),
                    ("username", text(username)),
                    ("password", redacted()),
                ],
                OAuthGrant::RefreshToken { refresh_token: _ } => {
                    vec![
                        ("grant_type", text("refresh_token")),
                        ("refresh_token", redacted()),
                    ]
                }
                OAuthGrant::ClientCredentials => vec![("grant_type", text("client_credentials"))],
            };
            let mut entries = Mapping::new();
            entries.extend(
                grant
                    .into_iter()
                    .map(|(key, value)| (Value::from(key), value)),
            );
            entries.insert(Value::from("client_id"), text(&oauth.client_id));
            entries.insert(Value::from("client_secret"), redacted());
            entries.insert(Value::from("token_path"), text(&oauth.token_path));
            map([("type", text("oauth")), ("oauth", Value::Mapping(entries))])
        }
    }
}

fn tls(tls: &TlsFiles) -> Mapping {
    let TlsFiles {
        ca_cert,
        cert_file,
        key_file,
    } = tls;
    let files = [
        ("ca_cert", ca_cert),
        ("cert_file", cert_file),
        ("key_file", key_file),
    ];
    let entry =
        |(key, file): (&str, &Option<PathBuf>)| (Value::from(key), optional(file.as_deref(), path));
    files.into_iter().map(entry).collect()
}

fn kafka(kafka: &KafkaConfig, registry_urls: Value) -> Value {
    let mut tls_keys = Mapping::new();
    tls_keys.insert(Value::from("enabled"), Value::from(kafka.tls.is_some()));
    tls_keys.extend(tls(kafka.tls.as_ref().unwrap_or(&TlsFiles::default())));
    let sasl = kafka.sasl.as_ref();
    let topics = kafka.create_topics.as_ref();
    let partitions = topics.map_or(defaults::PARTITIONS.default, |topics| {
        topics.partitions.into()
    });
    let policy = topics.map_or(defaults::CLEANUP_POLICY, |topics| {
        topics.cleanup_policy.as_str()
    });
    let property = |(name, value): &(String, String)| {
        let shown = if property_is_private(name) {
            redacted()
        } else {
            text(value)
        };
        (Value::from(name.as_str()), shown)
    };
    map([
        ("brokers", texts(&kafka.brokers)),
        ("tls", Value::Mapping(tls_keys)),
        (
            "sasl",
            map([
                ("mechanism", optional(sasl, |sasl| text(&sasl.mechanism))),
                ("username", optional(sasl, |sasl| text(&sasl.username))),
                ("password", optional(sasl, |_| redacted())),
            ]),
        ),
        ("compression", text(compression(kafka.compression))),
        ("linger", time(kafka.linger)),
        ("queue_bytes", Value::from(kafka.queue_bytes)),
        ("max_message_bytes", Value::from(kafka.max_message_bytes)),
        (
            "create_topics",
            map([
                ("enabled", Value::from(topics.is_some())),
                ("partitions", Value::from(partitions)),
                (
                    "replication_factor",
                    optional(
                        topics.and_then(|topics| topics.replication_factor),
                        Value::from,
                    ),
                ),
                ("cleanup_policy", text(policy)),
            ]),
        ),
        (
            "properties",
            Value::Mapping(kafka.properties.iter().map(property).collect()),
        ),
        ("schema_registry_url", registry_urls),
    ])
}

fn source(source: &SourceConfig) -> Value {
    map([
        ("enabled", Value::from(source.enabled)),
        ("topic_prefix", text(&source.topic_prefix)),
        ("fast_poll_interval", time(source.fast_poll_interval)),
        ("slow_poll_interval", time(source.slow_poll_interval)),
        ("batch_size", Value::from(source.batch_size)),
        (
            "initial_query_hours_ago",
            or_minus_one(source.initial_query_hours_ago),
        ),
        (
            "timestamp_delay_seconds",
            Value::from(source.timestamp_delay.as_secs()),
        ),
        ("schema", schema::table(source.schema)),
        (
            "tables",
            source
                .tables
                .iter()
                .map(table)
                .collect::<Vec<Value>>()
                .into(),
        ),
    ])
}

fn table(table: &TableConfig) -> Value {
    let (partitioner, keys) = match &table.partitioner {
        Partitioner::Default => ("default", &[][..]),
        Partitioner::RoundRobin => ("round_robin", &[][..]),
        Partitioner::FieldBased(keys) => ("field_based", &keys[..]),
    };
    let display = match table.display_value {
        DisplayValue::False => "false",
        DisplayValue::True => "true",
        DisplayValue::All => "all",
    };
    map([
        ("name", text(&table.name)),
        ("timestamp_field", text(&table.timestamp_field)),
        ("identifier_field", text(&table.identifier_field)),
        ("fields", texts(&table.fields)),
        ("topic", text(&table.topic)),
        ("partitioner", text(partitioner)),
        ("partition_key_fields", texts(keys)),
        ("fast_poll_interval", time(table.fast_poll_interval)),
        ("slow_poll_interval", time(table.slow_poll_interval)),
        ("batch_size", Value::from(table.batch_size)),
        ("query", optional(table.query.as_deref(), text)),
        ("display_value", text(display)),
        ("skip_own_writes", Value::from(table.skip_own_writes)),
        ("format", text(schema::format(table.format))),
        ("schema", schema::table(table.schema)),
    ])
}

fn observability(observability: &ObservabilityConfig) -> Value {
    let token_file = observability.admin.as_ref().map(|admin| &*admin.token_file);
    map([
        ("addr", text(&observability.addr)),
        ("admin_token_file", optional(token_file, path)),
    ])
}

fn compression(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    }
}
