//! The rights on Kafka that docs/kafka.md asks for are enough, and one that is missing is named.

use std::fs;
use std::time::{Duration, Instant};

use real_kafka::{Broker, Draft, PASSWORD, USER, require_or_skip, with_access_rules};
use servicenow_sim::Sim;

use crate::support::bridge::{Bridge, run, texts};
use crate::support::{small, wait_for};

const GROUP: &str = "access-sink";

#[test]
fn the_rights_of_the_handbook_are_enough_and_a_missing_one_is_named() {
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&with_access_rules()).unwrap();
    for topic in ["rows", "in", "letters"] {
        broker.create_topic(topic, 1, &[]).unwrap();
    }
    broker
        .allow("Write", "--topic rows --topic letters")
        .unwrap();
    broker.allow("Read", "--topic in").unwrap();
    let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    small::fill(&sim, 50);
    let password = folder.path().join("password");
    fs::write(&password, PASSWORD).unwrap();
    small::config(&sim, &broker.sasl_addr(), "rows")
        .kafka(&format!(
            "tls: {{enabled: true, ca_cert: {}}}\n\
             sasl: {{mechanism: SCRAM-SHA-512, username: {USER}, password_file: {}}}",
            broker.ca_pem().display(),
            password.display(),
        ))
        .sink("dlq_topic: letters")
        .consume("in", "incident", GROUP)
        .write(folder.path());
    let writer = broker.writer().unwrap();
    writer
        .write(
            "in",
            [r#"{"short_description": "x"}"#, "no JSON"].map(Draft::new),
        )
        .unwrap();

    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced("rows"), 50.0);
    // Longer than until the sink's consumer looks whether the trouble is over.
    let look_until = Instant::now() + Duration::from_secs(6);
    let words = "grant the Kafka user Read on the group";
    bridge.wait_not_ready(words);
    wait_for("the time of the look", || {
        let (_, reasons) = bridge.get("/readyz");
        assert!(reasons.contains(words), "{reasons}");
        (Instant::now() >= look_until).then_some(())
    });
    broker.allow("Read", &format!("--group {GROUP}")).unwrap();
    let letters = "bridge_sink_dead_letters_total{table=\"incident\",error_kind=\"invalid_json\"}";
    bridge.wait_metric(letters, 1.0);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(sim.count("incident").unwrap(), 1);

    let list = || texts(&run(folder.path(), &["dead-letters", "list"]));
    broker.allow("Read", "--topic letters").unwrap();
    let (_, errors, code) = list();
    assert_eq!(code, 75, "{errors}");
    let named = "consumer group access-sink-dead-letters";
    assert!(
        errors.contains(named) && errors.contains("Read on the group"),
        "{errors}"
    );
    broker
        .allow("Read", &format!("--group {GROUP}-dead-letters"))
        .unwrap();
    let (output, errors, code) = list();
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("invalid_json"), "{output}");
}
