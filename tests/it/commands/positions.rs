//! Checkpoints that are new or in the future, and commands that need a part of the configuration.

use std::fs;

use super::{alone, call};
use crate::support::bridge::Bridge;
use crate::support::wait_for;

/// Secrets, variables and files of the rest may be missing where the command is called.
#[test]
fn a_command_asks_for_the_keys_that_it_uses() {
    let (folder, good) = alone();
    let place = folder.path();
    let without_secrets = good.text().replace(
        "password: secret",
        "password_file: '/not/there/${NOT_SET_HERE}'",
    );
    fs::write(place.join("config.yaml"), &without_secrets).unwrap();
    for (args, code) in [
        (&["check"][..], 78),
        (&["show-config"], 78),
        (&["checkpoint", "show"], 0),
        (&["checkpoint", "set", "incident", "--timestamp", "2h"], 0),
        (&["checkpoint", "reset", "incident"], 0),
    ] {
        let (_, errors, found) = call(place, args);
        assert_eq!(found, code, "{args:?}: {errors}");
        assert_eq!(
            errors.contains("NOT_SET_HERE"),
            code == 78,
            "{args:?}: {errors}"
        );
    }
    // What it uses must be right, and it comes to what it is about.
    let (_, errors, code) = call(place, &["dead-letters", "list"]);
    assert_eq!(code, 78);
    assert!(errors.contains("sink.dlq_topic is not set"), "{errors}");
    for (from, to, args, words) in [
        (
            "flush_interval: 100ms",
            "file_path: [x]",
            &["checkpoint", "show"][..],
            "offset.file_path",
        ),
        (
            "base_url: http",
            "base_url: htp",
            &["checkpoint", "set", "incident", "--timestamp", "1"],
            "base_url",
        ),
        (
            "brokers: ['127.0.0.1:9']",
            "broker: x",
            &["dead-letters", "list"],
            "kafka.brokers",
        ),
    ] {
        let bad = without_secrets.replace(from, to);
        assert_ne!(bad, without_secrets, "{from}");
        fs::write(place.join("config.yaml"), bad).unwrap();
        let (_, errors, code) = call(place, args);
        assert_eq!(code, 78, "{args:?}: {errors}");
        assert!(errors.contains(words), "{args:?}: {errors}");
        assert!(!errors.contains("NOT_SET_HERE"), "{args:?}: {errors}");
    }
}

#[test]
fn a_position_in_the_future_is_told_and_its_lag_is_not_known() {
    let (folder, mut config) = alone();
    config.tables.push("name: problem".to_owned());
    config.write(folder.path());
    let set = |table, time| {
        let args = ["checkpoint", "set", table, "--timestamp", time];
        let (_, errors, code) = call(folder.path(), &args);
        assert_eq!(code, 0, "{errors}");
        errors
    };
    assert_eq!(set("problem", "1h"), "");
    let errors = set("incident", "2099-01-01T00:00:00Z");
    assert!(
        errors.contains("2099-01-01T00:00:00Z is in the future"),
        "{errors}"
    );
    let bridge = Bridge::start(folder.path());
    let metrics = wait_for("the lag of the other table", || {
        let (_, metrics) = bridge.get("/metrics");
        let series = "bridge_offset_lag_seconds{table=\"problem\"} 36";
        metrics.contains(series).then_some(metrics)
    });
    // What is not known has no figure.
    assert!(
        !metrics.contains("bridge_offset_lag_seconds{table=\"incident\"}"),
        "{metrics}"
    );
    bridge.kill();
}

#[test]
fn a_new_checkpoint_file_is_told_once() {
    let (folder, config) = alone();
    let text = config.text().replace(
        "offset:\n",
        "offset:\n  file_path: not/there/yet/offsets.json\n",
    );
    fs::write(folder.path().join("config.yaml"), text).unwrap();
    let words = "a new checkpoint file";
    let bridge = Bridge::start(folder.path());
    let log = bridge.log();
    let line = log.lines().find(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("not told: {log}"));
    assert!(
        line.contains("WARN") && line.contains("not/there/yet/offsets.json"),
        "{line}"
    );
    bridge.kill();
    let args = ["checkpoint", "set", "incident", "--timestamp", "1"];
    assert_eq!(call(folder.path(), &args).2, 0);
    let bridge = Bridge::start(folder.path());
    assert!(!bridge.log().contains(words), "{}", bridge.log());
    bridge.kill();
}
