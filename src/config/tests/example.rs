//! `config.example.yaml` is complete, true and loads; so does what `show` prints.

use std::collections::BTreeSet;

use super::*;
use crate::config::yaml::{self, YamlKind, YamlNode};

const EXAMPLE: &str = include_str!("../../../config.example.yaml");

fn example_env(name: &str) -> Option<String> {
    match name {
        "SN_BASE_URL" => Some("https://dev1.service-now.com".to_owned()),
        _ if name.starts_with("SN_OAUTH_") => Some("[redacted]".to_owned()),
        _ => None,
    }
}

fn example(text: &str) -> Config {
    parse(text, &example_env)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .0
}

/// The example with every key switched on. A comment is a key if it begins like one, which no
/// comment in words does.
fn switched_on() -> String {
    let line = |line: &str| {
        let body = line.trim_start();
        let indent = line.strip_suffix(body).unwrap();
        let Some(comment) = body.strip_prefix("# ") else {
            return format!("{line}\n");
        };
        let key = comment
            .strip_prefix("- ")
            .or(comment.strip_prefix("  "))
            .unwrap_or(comment);
        let is_key = key.split_once(':').is_some_and(|(key, rest)| {
            !key.is_empty()
                && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
                && (rest.is_empty() || rest.starts_with(' '))
        });
        if is_key {
            format!("{indent}{comment}\n")
        } else {
            String::new()
        }
    };
    EXAMPLE.lines().map(line).collect()
}

/// Patterns of all keys without keys below them, as `source.tables[].name`.
fn leaves(node: &YamlNode, pattern: &str, all: &mut BTreeSet<String>) {
    match &node.kind {
        YamlKind::Mapping(entries) if !entries.is_empty() => {
            for entry in entries {
                let dot = if pattern.is_empty() { "" } else { "." };
                leaves(&entry.value, &format!("{pattern}{dot}{}", entry.key), all);
            }
        }
        YamlKind::Sequence(items)
            if items.iter().any(|i| matches!(i.kind, YamlKind::Mapping(_))) =>
        {
            items
                .iter()
                .for_each(|item| leaves(item, &format!("{pattern}[]"), all));
        }
        YamlKind::Null | YamlKind::Scalar(_) | YamlKind::Mapping(_) | YamlKind::Sequence(_) => {
            all.insert(pattern.to_owned());
        }
    }
}

fn keys_of(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    leaves(&yaml::parse(text).unwrap().0, "", &mut all);
    all
}

fn known_keys() -> BTreeSet<String> {
    let values = keys()
        .into_iter()
        .filter(|info| info.shape == KeyShape::Value);
    values.map(|info| info.path).collect()
}

#[test]
fn the_example_names_every_key() {
    let known: Vec<String> = known_keys().into_iter().collect();
    let named: Vec<String> = keys_of(&switched_on()).into_iter().collect();
    assert_eq!(named, known);
}

#[test]
fn the_defaults_in_the_example_are_the_defaults() {
    let mut stated = example(&switched_on());
    assert_eq!(stated.sink.topics.len(), 1);
    stated.sink.topics.clear();
    assert_eq!(stated, example(EXAMPLE));
}

#[test]
fn the_example_gives_no_warning() {
    assert_eq!(parse(EXAMPLE, &example_env).unwrap().1, []);
}

#[test]
fn what_is_shown_loads_again() {
    let mut config = example(EXAMPLE);
    config.servicenow.proxy = Some(ProxyConfig {
        url: "http://proxy:3128".to_owned(),
        username: Some("${me}".to_owned()),
        password: Some(Secret::new("[redacted]")),
    });
    config.servicenow.rate_limit_rps = Some(2.5);
    config.servicenow.max_retries = Some(7);
    config.servicenow.query_time_zone = QueryTimeZone::Zone("Europe/Berlin".to_owned());
    config.kafka.tls = Some(TlsFiles::default());
    config.kafka.sasl = Some(SaslConfig {
        mechanism: "SCRAM-SHA-512".to_owned(),
        username: "1e3".to_owned(),
        password: Secret::new("[redacted]"),
    });
    config.kafka.create_topics = Some(CreateTopics {
        partitions: 6,
        replication_factor: Some(3),
        cleanup_policy: "compact,delete".to_owned(),
    });
    config.kafka.properties = vec![("socket.keepalive.enable".to_owned(), Secret::new("true"))];
    config.source.tables[0].partitioner = Partitioner::FieldBased(vec!["number".to_owned()]);
    config.source.tables[0].query = Some("active=true^a=$b".to_owned());
    config.source.tables[0].display_value = DisplayValue::All;
    config.source.initial_query_hours_ago = Some(24);
    config.log_level = log::LevelFilter::Debug;
    for auth in [
        config.servicenow.auth.clone(),
        ServiceNowAuth::Basic {
            username: "null".to_owned(),
            password: Secret::new("[redacted]"),
        },
        ServiceNowAuth::ApiKey {
            header: "x-key".to_owned(),
            key: Secret::new("[redacted]"),
        },
    ] {
        config.servicenow.auth = auth;
        let shown = show(&config);
        let (again, _) = parse(&shown, &|_| None).unwrap_or_else(|p| panic!("{p}\n{shown}"));
        assert_eq!(again, config, "{shown}");
    }
}

/// Every key but those of the ways to log in that are not in use, and the `*_file` twins, whose
/// content is shown as the secret itself.
#[test]
fn every_key_is_shown() {
    let known = known_keys().into_iter().filter(|key| {
        let unused = ["auth.basic.", "auth.api_key.", "refresh_token"];
        let twins = ["secret_file", "password_file", "auth.token_file"];
        !unused.iter().any(|part| key.contains(part)) && !twins.iter().any(|end| key.ends_with(end))
    });
    let shown = show(&example(&switched_on()));
    assert_eq!(
        keys_of(&shown).into_iter().collect::<Vec<_>>(),
        known.collect::<Vec<_>>()
    );
}

#[test]
fn no_secret_is_shown_or_debugged() {
    let text = LEAST.replace("password: p", "password: hunter2").replace(
        "kafka:\n",
        "kafka:\n  properties: {ssl.key.password: hunter2}\n",
    );
    let config = good(&text);
    assert_eq!(config.kafka.properties[0].1.expose(), "hunter2");
    for text in [show(&config), format!("{config:?}"), format!("{config:#?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(
        show(&config).contains("ssl.key.password: '[redacted]'"),
        "{}",
        show(&config)
    );
}
