//! The configuration that the README shows, as a newcomer copies it.

use std::fs;

use real_kafka::{require_or_skip, shared};
use servicenow_sim::{Generator, Options, Sim};

use crate::support::LONG;
use crate::support::bridge::Bridge;

/// The first block of YAML in README.md.
fn smallest() -> String {
    let text = include_str!("../../../README.md");
    let (_, rest) = text.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_smallest_configuration_starts_on_a_fresh_kafka() {
    if !require_or_skip() {
        return;
    }
    let (broker, folder) = (shared().unwrap(), tempfile::tempdir().unwrap());
    let sim = Sim::start(Options::default()).unwrap();
    let rows = Generator::new(1, 500, sim.now() - 3600).take(10);
    sim.insert_many("incident", rows).unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "secret").unwrap();
    let mut config = smallest();
    // The user's own values, and names that no other test on this broker uses.
    for (shown, own) in [
        ("https://example.service-now.com", sim.url()),
        ("${SN_CLIENT_ID}", "client-id"),
        ("${SN_CLIENT_SECRET}", "client-secret"),
        ("${SN_USERNAME}", "bridge"),
        (
            "/run/secrets/servicenow-password",
            password.to_str().unwrap(),
        ),
        ("localhost:9092", &broker.plain_addr()),
        ("topic_prefix: servicenow", "topic_prefix: readme"),
    ] {
        assert!(config.contains(shown), "no {shown} in {config}");
        config = config.replace(shown, own);
    }
    config.push_str("observability: {addr: '127.0.0.1:0'}\n");
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_ready();
    let sent = "bridge_source_produce_total{table=\"incident\",topic=\"readme.incident\"}";
    bridge.wait_metric(sent, 10.0);
    assert_eq!(bridge.terminate(), 0);
    let records = broker.reader().read_to_end("readme.incident", LONG);
    assert_eq!(records.unwrap().len(), 10);
}
