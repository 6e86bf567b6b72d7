//! The commands beside `run`: words, exit codes, what they leave alone.

mod checkpoint_files;
mod connect;
mod doctor;
mod doctor_faults;
mod doctor_setup;
mod files;
mod offline;
mod positions;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::bridge::{Bridge, run, texts};
use crate::support::config::Config;
use crate::support::rig::newest;

mod packaging;
mod probe;
mod readme;

/// Output, errors and exit code of a command.
fn call(folder: &Path, args: &[&str]) -> (String, String, i32) {
    texts(&run(folder, args))
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A folder with a good configuration whose instance and Kafka do not exist: nothing listens there.
fn alone() -> (TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new("http://127.0.0.1:9", "127.0.0.1:9");
    config.write(folder.path());
    (folder, config)
}

#[test]
fn help_and_version_go_to_standard_output() {
    let (folder, _) = alone();
    for args in [
        &["help"][..],
        &["--help"],
        &["-h"],
        &["help", "checkpoint"],
        &["checkpoint", "--help"],
        &["check", "-h"],
    ] {
        let (output, errors, code) = call(folder.path(), args);
        assert_eq!((errors.as_str(), code), ("", 0), "{args:?}");
        assert!(
            output.contains("usage: servicenow-kafka-bridge"),
            "{args:?}: {output}"
        );
    }
    for args in [&["version"][..], &["--version"], &["-version"], &["-V"]] {
        let (output, errors, code) = call(folder.path(), args);
        assert_eq!((errors.as_str(), code), ("", 0), "{args:?}");
        let start = format!("servicenow-kafka-bridge {} (", env!("CARGO_PKG_VERSION"));
        assert!(
            output.starts_with(&start) && output.lines().count() == 1,
            "{output}"
        );
    }
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    let (folder, _) = alone();
    for (args, words) in [
        (&["frob"][..], "unknown command `frob`"),
        (&["chekc"], "did you mean `check`?"),
        (&["--frob"], "unknown option `--frob`"),
        (&["check", "--conect"], "did you mean `--connect`?"),
        (&["--config"], "config"),
        (&["run", "more"], "one argument too many"),
        (&["run", "--connect"], "`--connect` belongs to `check`"),
        (&["config.yaml"], "--config config.yaml"),
        (&["checkpoint"], "needs show, set, reset, export or import"),
        (
            &["checkpoint", "set", "incident"],
            "needs `--timestamp TIME`",
        ),
        (&["checkpoint", "reset"], "needs the name of a table"),
    ] {
        let (output, errors, code) = call(folder.path(), args);
        assert_eq!((output.as_str(), code), ("", 64), "{args:?}: {errors}");
        assert!(errors.contains(words), "{args:?}: {errors}");
        assert!(
            errors.contains("try `servicenow-kafka-bridge help"),
            "{args:?}: {errors}"
        );
    }
}

#[test]
fn a_configuration_is_found_by_each_spelling_of_the_option() {
    let (folder, config) = alone();
    fs::rename(
        folder.path().join("config.yaml"),
        folder.path().join("other.yaml"),
    )
    .unwrap();
    for option in [
        &["-c", "other.yaml"][..],
        &["--config", "other.yaml"],
        &["-config", "other.yaml"],
        &["-config=other.yaml"],
        &["--config=other.yaml"],
    ] {
        let args = [&["check"], option].concat();
        let (output, errors, code) = call(folder.path(), &args);
        assert_eq!(code, 0, "{args:?}: {errors}");
        assert!(output.starts_with("other.yaml: configuration is valid"));
    }
    let (_, errors, code) = call(folder.path(), &["check"]);
    assert_eq!(code, 78);
    assert!(
        errors.contains("config.yaml") && errors.contains("there is no such file"),
        "{errors}"
    );
    config.write(folder.path());
    assert_eq!(call(folder.path(), &["check"]).2, 0);
}

#[test]
fn a_warning_is_called_one() {
    let (folder, config) = alone();
    let text = config.text().replace("127.0.0.1:9\n", "dev1.example.com\n");
    fs::write(folder.path().join("config.yaml"), text).unwrap();
    let (output, errors, code) = call(folder.path(), &["check"]);
    assert_eq!(code, 0, "{errors}");
    // One more warning where every user of the machine may read a file with a password.
    let valid = "config.yaml: configuration is valid, with ";
    assert!(output.starts_with(valid) && output.contains(" warning"));
    let start = "servicenow-kafka-bridge: warning: config.yaml:2: servicenow.base_url: is http";
    assert!(errors.starts_with(start), "{errors}");
}

/// The messages themselves are held by the tests of the configuration.
#[test]
fn bad_configurations_are_refused_with_all_that_is_wrong() {
    let (folder, good) = alone();
    let text = good.text();
    for (from, to, words) in [
        (
            "enabled: true",
            "enabld: true",
            &["enabld", "did you mean `enabled`?"][..],
        ),
        (
            "password: secret",
            "password: '${NOT_SET_HERE}'",
            &["NOT_SET_HERE"],
        ),
        (
            "http://127.0.0.1:9",
            "127.0.0.1:9",
            &["servicenow.base_url"],
        ),
        (
            "flush_interval: 100ms",
            "flush_interval: soon",
            &["offset.flush_interval"],
        ),
        (
            "offset:\n",
            "sink:\n  enabled: true\noffset:\n",
            &["sink.topics"],
        ),
        (
            "offset:\n",
            "offset:\n  storage: kafkaa\n",
            &["offset.storage"],
        ),
        ("kafka:\n", "kafka:\n  properties: {acks: '0'}\n", &["acks"]),
        (
            "- name: incident",
            "- name: incident\n    - name: incident",
            &["incident"],
        ),
        (
            "- name: incident",
            "- name: incident\n      query: ORDERBYnumber",
            &["query"],
        ),
        (
            "log_level: debug",
            "log_level: loud\nwhat: 1",
            &["log_level", "what"],
        ),
        ("source:", "source: [", &["config.yaml:10: not valid YAML"]),
    ] {
        let bad = text.replace(from, to);
        assert_ne!(bad, text, "{from}");
        fs::write(folder.path().join("config.yaml"), bad).unwrap();
        for command in ["check", "run", "show-config"] {
            let (output, errors, code) = call(folder.path(), &[command]);
            assert_eq!((output.as_str(), code), ("", 78), "{to}: {errors}");
            for word in words {
                assert!(errors.contains(word), "{to}: no `{word}` in {errors}");
            }
        }
    }
    assert!(!folder.path().join("offsets.json").exists());
}

#[test]
fn show_config_has_everything_but_secrets() {
    let (folder, mut config) = alone();
    config.servicenow = "base_url: https://example.service-now.com\nauth:\n  type: oauth\n  oauth: \
                         {client_id: the-id, client_secret: hidden-1, username: bridge, password: hidden-2}"
        .to_owned();
    config
        .kafka("sasl: {mechanism: PLAIN, username: alice, password: hidden-3}\ntls: {enabled: true}\nproperties: {client.id: seen}")
        .write(folder.path());
    let (output, errors, code) = call(folder.path(), &["show-config"]);
    assert_eq!(code, 0, "{errors}");
    assert!(!output.contains("hidden"), "{output}");
    assert!(output.matches("[redacted]").count() >= 3, "{output}");
    for words in [
        "the-id",
        "bridge",
        "alice",
        "batch_size: 1000",
        "compression: lz4",
        "servicenow.incident",
    ] {
        assert!(output.contains(words), "no `{words}` in {output}");
    }
    assert!(!errors.contains("hidden"), "{errors}");
}

#[test]
fn checkpoints_are_shown_set_and_reset() {
    let (folder, _) = alone();
    let file = folder.path().join("offsets.json");
    let (output, errors, code) = call(folder.path(), &["checkpoint", "show"]);
    assert_eq!((output.as_str(), code), ("", 0));
    assert!(
        errors.contains("no checkpoint of any table yet"),
        "{errors}"
    );
    assert!(!file.exists());

    let other = r#"{"problem":{"timestamp":1706140800,"last_identifier":"abc"}}"#;
    fs::write(&file, other).unwrap();
    let time = ["--timestamp", "2026-01-31 08:15:00"];
    let set = [&["checkpoint", "set", "incident"], &time[..]].concat();
    let (output, errors, code) = call(folder.path(), &set);
    assert_eq!(
        (output.as_str(), code),
        ("incident\t2026-01-31T08:15:00Z\n", 0),
        "{errors}"
    );
    let (output, _, _) = call(folder.path(), &["checkpoint", "show"]);
    assert_eq!(
        output,
        "incident\t2026-01-31T08:15:00Z\nproblem\t2024-01-25T00:00:00Z\tabc\n"
    );
    let (output, _, _) = call(folder.path(), &["checkpoint", "show", "problem"]);
    assert_eq!(output, "problem\t2024-01-25T00:00:00Z\tabc\n");
    let (_, errors, code) = call(
        folder.path(),
        &[
            "checkpoint",
            "set",
            "incident",
            "--timestamp",
            "1706140800",
            "--last-identifier",
            "xyz",
        ],
    );
    assert_eq!(code, 0, "{errors}");
    let (output, _, _) = call(folder.path(), &["checkpoint", "show", "incident"]);
    assert_eq!(output, "incident\t2024-01-25T00:00:00Z\txyz\n");

    let (output, _, code) = call(folder.path(), &["checkpoint", "reset", "incident"]);
    assert_eq!(
        (output.as_str(), code),
        ("incident: will be read from the beginning\n", 0)
    );
    let (output, _, _) = call(folder.path(), &["checkpoint", "show"]);
    assert_eq!(output, "problem\t2024-01-25T00:00:00Z\tabc\n");
    let (_, errors, code) = call(folder.path(), &["checkpoint", "reset", "incident"]);
    assert_eq!(code, 64);
    assert!(
        errors.contains("no checkpoint of table `incident`"),
        "{errors}"
    );
    let unknown = [&["checkpoint", "set", "incidnet"], &time[..]].concat();
    let (_, errors, code) = call(folder.path(), &unknown);
    assert_eq!(code, 64);
    assert!(
        errors.contains("`incidnet` is not in the configuration"),
        "{errors}"
    );
}

#[test]
fn checkpoints_of_a_running_bridge_are_shown_but_not_changed() {
    let (sim, kafka, folder, config) = connect::instance_and_kafka();
    config.write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    let newest = newest(&sim, "incident");
    let position = "bridge_checkpoint_timestamp_seconds{table=\"incident\"}";
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
    bridge.wait_metric(position, newest as f64);
    let (output, errors, code) = call(folder.path(), &["checkpoint", "show"]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("incident\t20"), "{output}");
    for args in [
        &["checkpoint", "set", "incident", "--timestamp", "1706140800"][..],
        &["checkpoint", "reset", "incident"],
    ] {
        let (_, errors, code) = call(folder.path(), args);
        assert_eq!(code, 75, "{errors}");
        assert!(
            errors.contains(&format!("(pid {})", bridge.pid())),
            "{errors}"
        );
    }
    assert_eq!(call(folder.path(), &["checkpoint", "show"]).0, output);
    assert_eq!(bridge.terminate(), 0);
    // Set back, the rows from there on come again; reset, all do.
    let time = output.split('\t').nth(1).unwrap();
    let set = ["checkpoint", "set", "incident", "--timestamp", time];
    assert_eq!(call(folder.path(), &set).2, 0);
    let produced = "bridge_source_produce_total{table=\"incident\",topic=\"servicenow.incident\"}";
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(produced, 10.0);
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(kafka.reader().count("servicenow.incident").unwrap(), 20);
    assert_eq!(
        call(folder.path(), &["checkpoint", "reset", "incident"]).2,
        0
    );
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(produced, 10.0);
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(kafka.reader().count("servicenow.incident").unwrap(), 30);
}
