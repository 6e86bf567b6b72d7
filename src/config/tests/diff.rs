//! The difference of two configurations, in words.

use std::path::Path;
use std::sync::LazyLock;

use expect_test::{Expect, expect};

use super::*;

/// Both ways: what [`LEAST`] reads, another table, and a sink.
static BOTH: LazyLock<String> = LazyLock::new(|| {
    let more = "    - name: problem
      skip_own_writes: true
sink:
  enabled: true
  topics:
    - {topic: in, table: problem}
    - {topic: other, table: u_other}
";
    format!("{LEAST}{more}")
});

fn loaded(text: &str) -> LoadedConfig {
    LoadedConfig {
        config: good(text),
        files: ConfigFiles::default(),
    }
}

/// The plan for `BOTH` with pieces replaced.
fn plan(pieces: &[(&str, &str)]) -> ConfigDiff {
    let mut text = BOTH.clone();
    for (from, to) in pieces {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    ConfigDiff::between(&loaded(&BOTH), &loaded(&text))
}

#[track_caller]
fn says(plan: &ConfigDiff, expected: &Expect) {
    let lines: Vec<&str> = plan
        .summary
        .iter()
        .chain(&plan.needs_restart)
        .map(String::as_str)
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn nothing_changes_nothing() {
    let same = plan(&[("enabled: true", "enabled: yes")]);
    assert!(same.is_empty());
    assert!(!same.servicenow && !same.kafka && !same.sink && !same.log && !same.flush_interval);
    assert_eq!(same.config, loaded(&BOTH).config);
}

#[test]
fn tables_come_change_and_go() {
    let plan = plan(&[
        ("- name: incident", "- name: change_request"),
        (
            "- name: problem",
            "- name: problem\n      batch_size: 7\n      query: active=true",
        ),
    ]);
    assert!(!plan.servicenow && !plan.kafka && !plan.sink);
    let changes: Vec<_> = plan
        .tables
        .iter()
        .map(|(name, it)| (name.as_str(), *it))
        .collect();
    assert_eq!(
        changes,
        [
            ("change_request", TableChange::Added),
            ("incident", TableChange::Removed),
            ("problem", TableChange::Edited)
        ]
    );
    says(
        &plan,
        &expect![[r"
            table change_request: added, to topic sn.change_request
            table problem: batch_size, query: it goes on at its checkpoint
            table incident: removed; its checkpoint is kept"]],
    );
}

#[test]
fn a_setting_for_all_tables_edits_those_that_have_none_of_their_own() {
    let one = plan(&[(
        "  tables:\n    - name: incident\n",
        "  batch_size: 50\n  tables:\n    - name: incident\n      batch_size: 1000\n",
    )]);
    assert_eq!(one.tables.keys().collect::<Vec<_>>(), ["problem"]);
    let both = plan(&[(
        "  topic_prefix: sn",
        "  topic_prefix: sn\n  timestamp_delay_seconds: 5",
    )]);
    assert_eq!(both.tables.len(), 2);
}

#[test]
fn switched_off_is_removed() {
    let plan = plan(&[("source:\n  enabled: true", "source:\n  enabled: false")]);
    assert_eq!(plan.tables.len(), 2);
    assert!(
        plan.tables
            .values()
            .all(|change| *change == TableChange::Removed)
    );
    // Nothing comes back to a source that does not read.
    says(
        &plan,
        &expect![[r"
            table incident: removed; its checkpoint is kept
            table problem: removed; its checkpoint is kept
            sink: skip_own_writes of the source: it starts again at what is committed"]],
    );
}

#[test]
fn secrets_change_without_being_told() {
    let plan = plan(&[
        ("password: p", "password: hunter2"),
        (
            "localhost:9092]",
            "localhost:9092]\n  sasl: {mechanism: PLAIN, username: u, password: hunter3}",
        ),
    ]);
    assert!(plan.servicenow && plan.kafka && plan.tables.is_empty() && !plan.sink);
    says(
        &plan,
        &expect![[r"
            servicenow: auth: every pipeline moves to a new client, one after the other
            kafka: sasl: every pipeline moves to a new producer, one after the other"]],
    );
    assert!(!plan.summary.concat().contains("hunter"));
}

#[test]
fn the_sink_is_one() {
    let plan = plan(&[
        ("    - {topic: in, table: problem}\n", ""),
        (
            "table: u_other}",
            "table: u_other, concurrency: 3}\n    - {topic: new, table: u_new}",
        ),
        ("sink:\n", "sink:\n  group_id: g\n"),
    ]);
    assert!(plan.sink && plan.tables.is_empty());
    says(
        &plan,
        &expect![[r"
            sink: topic new added, topic other edited, topic in removed, group_id: it starts again at what is committed"]],
    );
}

#[test]
fn without_a_restart_and_only_with_one() {
    let more = "log_level: debug\nshutdown_timeout: 30s\noffset: {flush_interval: 1s, file_path: b.json}\n\
                observability: {addr: ':1'}\n";
    let plan = ConfigDiff::between(&loaded(&BOTH), &loaded(&format!("{}{more}", *BOTH)));
    assert!(plan.log && plan.flush_interval && plan.tables.is_empty() && !plan.sink);
    assert_eq!(plan.config.observability.addr, ":8080");
    assert_eq!(plan.config.offset.file_path, Path::new("offsets.json"));
    says(
        &plan,
        &expect![[r"
            offset.flush_interval: 5s becomes 1s
            log_level: info becomes debug
            shutdown_timeout: 25s becomes 30s
            observability.addr cannot change while the bridge runs: it stays `:8080`; restart to use `:1`
            offset.file_path cannot change while the bridge runs: it stays `offsets.json`; restart to use `b.json`"]],
    );
}

#[test]
fn a_certificate_with_a_new_content_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "one").unwrap();
    let text = BOTH.replace(
        "brokers: [localhost:9092]",
        &format!(
            "brokers: [localhost:9092]\n  tls: {{enabled: true, ca_cert: {}}}",
            file.display()
        ),
    );
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, &text).unwrap();
    let load = || {
        let (loaded, files) = load_with_files(&path);
        LoadedConfig {
            config: loaded.unwrap().0,
            files,
        }
    };
    let before = load();
    assert_eq!(before.files.paths().count(), 2);
    assert!(ConfigDiff::between(&before, &load()).is_empty());
    std::fs::write(&file, "two").unwrap();
    let plan = ConfigDiff::between(&before, &load());
    assert!(plan.kafka && !plan.servicenow);
    says(
        &plan,
        &expect![
            "kafka: tls (the files): every pipeline moves to a new producer, one after the other"
        ],
    );
}

#[test]
fn another_registry_moves_what_uses_it() {
    let with = |auth: &str| {
        let registry = format!("schema_registry: {{url: 'https://r', auth: {auth}}}\n");
        let text = BOTH.replace("- name: incident", "- name: incident\n      format: json");
        loaded(&format!("{text}{registry}"))
    };
    let old = with("{type: bearer, token: a}");
    let plan = ConfigDiff::between(&old, &with("{type: bearer, token: hunter2}"));
    assert!(plan.registry && plan.sink && !plan.kafka && !plan.servicenow);
    let tables: Vec<&String> = plan.tables.keys().collect();
    assert_eq!(tables, ["problem"], "incident is JSON");
    says(
        &plan,
        &expect![[r"
            schema_registry: auth
            table problem: schema_registry: it goes on at its checkpoint
            sink: schema_registry: it starts again at what is committed"]],
    );
}
