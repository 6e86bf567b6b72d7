use proptest::prelude::*;

use super::*;
use crate::config::{YamlKind, YamlNode, parse_yaml};

fn migrated(settings: &[(&str, &str)]) -> Migration {
    let object: serde_json::Map<String, serde_json::Value> = settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    let text = serde_json::Value::Object(object).to_string();
    let Ok(ForeignConfig::Connect(configs)) = foreign::read(&text) else {
        panic!("{text}");
    };
    let mut migration = Migration::default();
    for config in &configs {
        let done = connectors::translate(config, &mut migration.draft).unwrap();
        migration.connectors.push(done);
    }
    connect::brokers_of_worker(&mut migration.draft);
    migration.note_starts();
    migration.check();
    migration
}

/// The scalar at a path of keys.
fn scalar<'a>(node: &'a YamlNode, path: &[&str]) -> Option<&'a str> {
    match (&node.kind, path) {
        (YamlKind::Scalar(text), []) => Some(text),
        (YamlKind::Mapping(entries), [key, rest @ ..]) => {
            let entry = entries.iter().find(|entry| entry.key == *key)?;
            scalar(&entry.value, rest)
        }
        (YamlKind::Sequence(items), rest) => scalar(items.first()?, rest),
        _ => None,
    }
}

const SOURCE: [(&str, &str); 6] = [
    ("connector.class", "ServiceNowSource"),
    ("servicenow.url", "https://example.service-now.com"),
    ("servicenow.user", "integration"),
    ("servicenow.password", "hunter2"),
    ("servicenow.table", "incident"),
    ("kafka.topic", "incidents"),
];

fn source_with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = SOURCE.to_vec();
    all.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
    all.extend(more);
    all
}

/// What is to be decided, but for where the table begins.
fn decisions(migration: &Migration) -> Vec<String> {
    let remarks = migration.draft.remarks(RemarkKind::Decide);
    let lines = remarks.map(render::remark_line);
    lines.filter(|it| !it.contains("`--offsets`")).collect()
}

#[test]
fn where_a_table_without_an_offset_begins_is_to_be_decided() {
    for (since, command) in [
        (
            "2026-08-19",
            "set incident --timestamp '2026-08-19 00:00:00'",
        ),
        (
            "2026-08-19 01:02:03",
            "set incident --timestamp '2026-08-19 01:02:03'",
        ),
        ("'; reboot #", ""),
        ("", ""),
    ] {
        let migration = migrated(&source_with(&[("servicenow.since", since)]));
        let text = render::config_yaml(&migration.draft, &[]).replace("\n#   ", " ");
        assert!(
            text.contains("incident: is read from its oldest row on, with all"),
            "{text}"
        );
        assert!(text.contains(command), "{text}");
        assert_eq!(
            text.contains("--timestamp '"),
            !command.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn a_setting_that_is_not_known_is_to_be_decided() {
    assert_eq!(decisions(&migrated(&SOURCE)), [""; 0]);
    for (setting, value, words) in [
        ("servicenow.custom", "1", "is no setting of this connector"),
        ("transforms", "a", "records are not transformed here"),
        ("batch.max.rows", "many", "is no whole number"),
        ("servicenow.table", "In cident", "In cident"),
        ("servicenow.user", "a\nb", "control characters"),
        ("proxy.url", "https://proxy:1", "must begin with `http://`"),
        ("servicenow.ssl.keystore.path", "/k.p12", "PEM files"),
        ("output.data.format", "PROTOBUF", "this format is not sent"),
        ("csfle.enabled", "true", "not encrypted"),
    ] {
        let found = decisions(&migrated(&source_with(&[(setting, value)])));
        assert!(
            found.iter().any(|it| it.contains(words)),
            "{setting}: {found:?}"
        );
    }
    for harmless in [
        ("csfle.enabled", "false"),
        ("transforms", ""),
        ("errors.tolerance", "none"),
    ] {
        assert_eq!(decisions(&migrated(&source_with(&[harmless]))), [""; 0]);
    }
}

#[test]
fn references_to_config_providers_become_variables() {
    for (value, expected) in [
        ("${env:MY_USER}", "${MY_USER}"),
        ("${file:/secrets/sn.properties:user}", "${SN_USERNAME}"),
        ("${env:my-user}", "${SN_USERNAME}"),
        ("pa${ss", "pa$${ss"),
    ] {
        let migration = migrated(&source_with(&[("servicenow.user", value)]));
        let path = "servicenow.auth.basic.username";
        assert_eq!(migration.draft.text(path), Some(expected), "{value}");
    }
    let migration = migrated(&source_with(&[(
        "servicenow.password",
        "${env:THE_PASSWORD}",
    )]));
    let path = "servicenow.auth.basic.password";
    assert_eq!(migration.draft.text(path), Some("${THE_PASSWORD}"));
}

proptest! {
    /// Whatever a value is, it comes out of the YAML as it went in, and the password does not.
    #[test]
    fn values_survive_the_writer(user in "[^\\p{C}\u{2028}\u{2029}]{1,20}", key in "[a-z.#: \"']{1,12}") {
        prop_assume!(!user.trim().is_empty() && !rules::is_provider_reference(&user));
        prop_assume!(user.trim().chars().all(|c| !is_active(c)));
        let name = format!("x{key}");
        let settings = source_with(&[
            ("servicenow.user", &user),
            (&name, "hunter2"),
            ("servicenow.url", "https://user:hunter2@example.service-now.com"),
            ("proxy.url", "user:hunter2@proxy.example.com:3128"),
            ("value.converter.schema.registry.url", "http://a,https://user:hunter2@registry.example.com"),
            ("confluent.topic.bootstrap.servers", "SASL_SSL://user:hunter2@kafka.example.com:9092"),
            ("kafka.topic", "https://user:hunter2@example.com"),
            ("poll.interval.s", "hunter2"),
        ]);
        let migration = migrated(&settings);
        let text = render::config_yaml(&migration.draft, &["a file".to_owned()]);
        let (node, _) = parse_yaml(&text).map_err(|error| TestCaseError::fail(error.message))?;
        let read = scalar(&node, &["servicenow", "auth", "basic", "username"]);
        let expected = draft::literal(user.trim());
        prop_assert_eq!(read, Some(expected.as_str()), "{}", text);
        let table = scalar(&node, &["source", "tables", "name"]);
        prop_assert_eq!(table, Some("incident"));
        prop_assert!(!text.contains("hunter2"));
    }
}

/// Of the Go program only what is a reference and nothing else is copied where a secret may stand.
#[test]
fn secrets_of_the_go_program_are_not_copied() {
    for (password, expected) in [
        ("$SECRET", "${SECRET}"),
        ("${SECRET}", "${SECRET}"),
        ("pa$word", "${SN_PASSWORD}"),
        ("${A}pa$word", "${SN_PASSWORD}"),
        ("pa$$word", "${SN_PASSWORD}"),
    ] {
        let text = format!(
            "servicenow:\n  base_url: https://user:hunter2@example.com\n  auth:\n    basic:\n      \
             password: '{password}'\nkafka:\n  brokers: ['SSL://user:hunter2@kafka:9092']\n  \
             'brokers[hunter2]': x\n"
        );
        let Ok(ForeignConfig::Go(config)) = foreign::read(&text) else {
            panic!("{text}");
        };
        let mut migration = Migration::default();
        go::translate(&config, &mut migration.draft);
        migration.check();
        let path = "servicenow.auth.basic.password";
        assert_eq!(migration.draft.text(path), Some(expected));
        let key = migration.draft.text("servicenow.base_url");
        assert_eq!(key, Some("${SN_BASE_URL}"));
        let text = render::config_yaml(&migration.draft, &[]);
        assert!(
            text.contains("kafka.brokers[hunter2]: the Go program ignored"),
            "{text}"
        );
        let text = text.replace("[hunter2]", "");
        assert!(!text.contains("hunter2") && !text.contains("pa$"), "{text}");
    }
}

/// OSO's connector reads the last seconds again, and so does `source.settle`, which is longer.
#[test]
fn an_overlap_counts_only_where_it_is_longer_than_settle() {
    for (overlap, expected) in [("2", None), ("600", None), ("3600", Some("3600s"))] {
        let migration = migrated(&[
            (
                "connector.class",
                "sh.oso.servicenow.source.ServiceNowSourceConnector",
            ),
            ("snow.url", "https://example.service-now.com"),
            ("snow.tables", "t"),
            ("snow.table.t.name", "incident"),
            ("snow.source.overlap.seconds", overlap),
        ]);
        let draft = &migration.draft;
        assert_eq!(draft.text("source.settle"), expected, "{overlap}");
        assert_eq!(draft.text("source.timestamp_delay_seconds"), None);
    }
}
