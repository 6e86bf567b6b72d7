//! Logging in to a real Kafka over TLS, from the configuration file on.

use std::fs;
use std::time::{Duration, Instant};

use real_kafka::{Broker, Options, PASSWORD, USER, require_or_skip, shared};
use servicenow_sim::Sim;
use tempfile::TempDir;

use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::{LONG, small};

const ROWS: usize = 50;

/// An instance with rows and a configuration for the SASL listener of `broker`.
fn world(broker: &Broker, topic: &str, mechanism: &str, password: &str) -> (Sim, TempDir, Config) {
    let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), format!("{password}\n")).unwrap();
    let config = small::config(&sim, &broker.sasl_addr(), topic).kafka(&format!(
        "tls:\n  enabled: true\n  ca_cert: {}\n\
         sasl: {{mechanism: {mechanism}, username: {USER}, password_file: {}}}",
        broker.ca_pem().display(),
        folder.path().join("password").display(),
    ));
    (sim, folder, config)
}

fn moves_rows_with(mechanism: &str) {
    if !require_or_skip() {
        return;
    }
    let (broker, topic) = (shared().unwrap(), format!("secure.{mechanism}"));
    broker.create_topic(&topic, 2, &[]).unwrap();
    let (sim, folder, config) = world(broker, &topic, mechanism, PASSWORD);
    let ids = small::fill(&sim, ROWS);
    config.write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced(&topic), 50.0);
    bridge.wait_ready();
    let log = bridge.log();
    assert_eq!(bridge.terminate(), 0);
    assert!(!log.contains(PASSWORD), "{log}");
    let records = broker.reader().read_to_end(&topic, LONG).unwrap();
    assert_eq!(small::assert_all(&ids, &records), 0);
}

#[test]
fn plain_over_tls() {
    moves_rows_with("PLAIN");
}

#[test]
fn scram_sha_256_over_tls() {
    moves_rows_with("SCRAM-SHA-256");
}

#[test]
fn scram_sha_512_over_tls() {
    moves_rows_with("SCRAM-SHA-512");
}

#[test]
fn a_client_certificate_opens_the_door() {
    if !require_or_skip() {
        return;
    }
    let options = Options {
        require_client_certificate: true,
        ..Options::default()
    };
    let broker = Broker::start(&options).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    let (sim, folder, config) = world(&broker, "t", "SCRAM-SHA-512", PASSWORD);
    let ids = small::fill(&sim, ROWS);
    config.write(folder.path());
    let bridge = Bridge::start(folder.path());
    bridge.wait_not_ready("kafka: no broker answers: ");
    assert_eq!(bridge.terminate(), 0);
    let (certificate, key) = broker.client_pem();
    let mut config = config;
    config.kafka = config.kafka.replace(
        "  enabled: true\n",
        &format!(
            "  enabled: true\n  cert_file: {}\n  key_file: {}\n",
            certificate.display(),
            key.display()
        ),
    );
    config.write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced("t"), 50.0);
    assert_eq!(bridge.terminate(), 0);
    let records = broker.reader().read_to_end("t", LONG).unwrap();
    assert_eq!(small::assert_all(&ids, &records), 0);
}

#[test]
fn a_wrong_password_is_said_without_the_password() {
    if !require_or_skip() {
        return;
    }
    let (broker, wrong) = (shared().unwrap(), "not-alices-secret");
    let (sim, folder, config) = world(broker, "secure.wrong", "SCRAM-SHA-256", wrong);
    small::fill(&sim, 1);
    config.write(folder.path());
    let bridge = Bridge::start(folder.path());
    bridge.wait_not_ready("Authentication failed");
    let (_, reasons) = bridge.get("/readyz");
    let log = bridge.log();
    assert!(log.contains("Authentication failed"), "{log}");
    assert!(
        !log.contains(wrong) && !reasons.contains(wrong),
        "{log}{reasons}"
    );
    // There is nothing to deliver, so there is nothing to wait for.
    let start = Instant::now();
    assert_eq!(bridge.terminate(), 0);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?} of 25 s");
}
