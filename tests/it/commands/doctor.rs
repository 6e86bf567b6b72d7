//! `doctor`: a healthy set-up, its forms, and what it leaves alone. What it finds is in `doctor_faults`.

use std::fs;

use super::{alone, call, connect};
use crate::support::bridge::Bridge;

#[test]
fn a_healthy_set_up_has_no_warning() {
    let (sim, kafka, folder, config) = connect::instance_and_kafka();
    config.write(folder.path());
    private(folder.path());
    let (output, errors, code) = call(folder.path(), &["doctor"]);
    assert_eq!((errors.as_str(), code), ("", 0), "{output}");
    for words in [
        "configuration\n  ok      config.yaml: valid; tables to read: 1, topics to write from: 0\n",
        "this host\n",
        " MiB free\n",
        "a file is on the disk after ",
        "\ninstance\n  ok      way to 127.0.0.1:",
        "ok      log-in: accepted (basic, as `bridge`)",
        "ok      table `incident`: 10 rows, 10 of the first 10 readable",
        "ok      table `incident`: a poll takes ",
        "ok      conditions that make no sense: dropped",
        "ok      clock: the instance's clock is 0 s from this host's",
        "ok      requests per hour: no rule limits them for this user",
        "ok      semaphores: a request waited up to 0 ms",
        "ok      topic servicenow.incident: 3 partitions",
        ", warnings: 0, failures: 0\n",
    ] {
        assert!(output.contains(words), "no `{words}` in {output}");
    }
    // It looks, and leaves nothing.
    assert!(sim.requests().iter().all(|request| request.method == "GET"));
    assert!(sim.writes().is_empty());
    assert_eq!(kafka.reader().count("servicenow.incident").unwrap(), 0);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only config.yaml: {left:?}");
}

#[test]
fn json_has_every_finding() {
    let (_sim, _kafka, folder, config) = connect::instance_and_kafka();
    let mut config = config;
    config
        .tables
        .push("name: u_no_such_table\ntopic: servicenow.incident".to_owned());
    config.write(folder.path());
    private(folder.path());
    let (output, errors, code) = call(folder.path(), &["doctor", "--json"]);
    assert_eq!((errors.as_str(), code), ("", 2), "{output}");
    let report: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(report["level"], "failure");
    assert_eq!(
        (&report["warnings"], &report["failures"]),
        (&0.into(), &1.into())
    );
    let findings = report["findings"].as_array().unwrap();
    let failure = findings.iter().find(|it| it["level"] == "failure").unwrap();
    assert_eq!(failure["area"], "instance");
    assert_eq!(failure["subject"], "table `u_no_such_table`");
    assert!(
        failure["seen"].as_str().unwrap().contains("Invalid table"),
        "{failure}"
    );
    assert_eq!(failure["cure"], "check the table name");
    let well = findings
        .iter()
        .find(|it| it["subject"] == "log-in")
        .unwrap();
    assert_eq!(
        (&well["level"], &well["cure"]),
        (&"ok".into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_broken_configuration_is_all_that_is_looked_at() {
    let (folder, config) = alone();
    let text = config.text().replace("enabled: true", "enabld: true");
    fs::write(folder.path().join("config.yaml"), text).unwrap();
    let (output, _, code) = call(folder.path(), &["doctor"]);
    assert_eq!(code, 2, "{output}");
    for words in ["did you mean `enabled`?", "nothing else was looked at"] {
        assert!(output.contains(words), "no `{words}` in {output}");
    }
    assert!(!output.contains("\ninstance\n"), "{output}");
}

/// Neither its lock nor its place in anything is touched.
#[test]
fn a_running_bridge_is_not_disturbed() {
    let (_sim, _kafka, folder, config) = connect::instance_and_kafka();
    config.write(folder.path());
    private(folder.path());
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric("bridge_checkpoint_writes_total{result=\"ok\"}", 1.0);
    bridge.wait_ready();
    let (output, _, code) = call(folder.path(), &["doctor"]);
    assert_eq!(code, 0, "{output}");
    assert_eq!(bridge.get("/readyz").0, 200);
    assert_eq!(bridge.terminate(), 0);
}

/// A configuration with a password that other users may read is warned of.
fn private(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(folder.join("config.yaml"), mode).unwrap();
}

/// With a sink, against a real Kafka: its settings are told, and no member joins the group.
#[test]
fn a_healthy_sink_on_a_real_kafka_has_no_warning() {
    if !real_kafka::require_or_skip() {
        return;
    }
    let kafka = real_kafka::shared().unwrap();
    for topic in ["doctor.out", "doctor.in", "doctor.letters"] {
        kafka.create_topic(topic, 2, &[]).unwrap();
    }
    let (sim, _mock, folder, config) = connect::instance_and_kafka();
    let mut config = config.topic("doctor.out");
    config.kafka = format!("brokers: ['{}']", kafka.plain_addr());
    config
        .consume("doctor.in", "problem", "doctor.group")
        .sink("dlq_topic: doctor.letters")
        .write(folder.path());
    private(folder.path());
    let (output, errors, code) = call(folder.path(), &["doctor"]);
    assert_eq!((errors.as_str(), code), ("", 0), "{output}");
    for words in [
        "ok      way to broker 1 (127.0.0.1:",
        "ok      topic doctor.out: 2 partitions, max.message.bytes 1048588",
        "ok      topic doctor.letters: 2 partitions",
        "ok      protocol of broker 1 (127.0.0.1:",
        "what is needed (Produce up to ",
        "ok      topic doctor.out: may be written to by this Kafka user",
        "ok      topic doctor.in: may be read by this Kafka user",
        "ok      topic doctor.in: may be read",
        "ok      group doctor.group: ",
        "ok      table `problem` (sink, from doctor.in): answers",
    ] {
        assert!(output.contains(words), "no `{words}` in {output}");
    }
    assert!(
        output.contains(", 0 members, committed partitions: 0"),
        "{output}"
    );
    assert!(sim.writes().is_empty());
}
