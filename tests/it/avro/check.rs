//! `check --connect` with a registry.

use super::with_registry;
use crate::support::bridge::{run, texts};
use crate::support::config::Config;
use crate::support::registry::{FakeRegistry, Kind};
use crate::support::rig::Rig;

const SUBJECT: &str = "servicenow.incident-value";

fn check(rig: &Rig, config: &Config) -> (String, i32) {
    config.write(rig.folder.path());
    let (output, _, code) = texts(&run(rig.folder.path(), &["check", "--connect"]));
    (output, code)
}

#[test]
fn it_says_what_will_become_of_schemas() {
    let registry = FakeRegistry::start();
    let rig = Rig::new();
    rig.fill("incident", 3);
    let config = with_registry(rig.config(), &registry.url(), "style: typed");
    let (output, code) = check(&rig, &config);
    assert_eq!(code, 0, "{output}");
    assert!(
        output.contains("ok      schema registry: answers; its mode is READWRITE"),
        "{output}"
    );
    let words = format!("ok      schema of `incident`: subject {SUBJECT}: nothing is registered");
    assert!(output.contains(&words), "{output}");
    assert_eq!(registry.registered(SUBJECT), [], "it only looks");

    let mut pinned = config.clone();
    pinned.top = pinned.top.replace("timeout: 5s", "auto_register: false");
    let (output, code) = check(&rig, &pinned);
    assert_eq!(code, 75, "{output}");
    assert!(
        output.contains("use `schema register incident`"),
        "{output}"
    );

    registry.add(SUBJECT, r#""string""#, Kind::Avro);
    let (output, code) = check(&rig, &pinned);
    assert_eq!(code, 75, "{output}");
    assert!(output.contains("not a schema of this bridge"), "{output}");
    assert!(
        output.contains("use another topic, or register ours on top"),
        "{output}"
    );

    registry.down(true);
    let (output, code) = check(&rig, &config);
    assert_eq!(code, 75, "{output}");
    let failed = output.lines().find(|line| line.starts_with("FAILED  "));
    assert!(
        failed.unwrap().contains("schema registry: GET "),
        "{output}"
    );
}
