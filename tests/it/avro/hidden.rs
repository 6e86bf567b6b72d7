//! A dictionary that the integration user may not read.

use servicenow_sim::{Fault, Rule, Target};

use super::{produced, with_registry};
use crate::support::bridge::{run, texts};
use crate::support::registry::FakeRegistry;
use crate::support::rig::{Rig, TOPIC};

const SUBJECT: &str = "servicenow.incident-value";
const RIGHT: &str = "give the integration user read access to sys_db_object and sys_dictionary";

/// A subject keeps the types it begins with.
#[test]
fn types_wait_until_they_may_be_read() {
    let registry = FakeRegistry::start();
    let rig = Rig::new();
    rig.fill("incident", 3);
    rig.sim.hide("sys_dictionary", |_| true).unwrap();
    let config = with_registry(rig.config(), &registry.url(), "style: typed");
    let mut bridge = rig.start(&config);
    bridge.wait_not_ready(RIGHT);
    bridge.wait_not_ready("or set `schema.style: strings`");
    assert_eq!(bridge.get("/healthz").0, 200);
    let folder = rig.folder.path();
    let (_, errors, code) = texts(&run(folder, &["schema", "show", "incident"]));
    assert_eq!(code, 78, "{errors}");
    assert!(errors.contains(RIGHT), "{errors}");
    let (output, _, code) = texts(&run(folder, &["check", "--connect"]));
    assert_eq!(code, 75, "{output}");
    let failed = output.lines().find(|line| line.starts_with("FAILED  "));
    assert!(failed.unwrap().contains(RIGHT), "{output}");
    assert_eq!(registry.registered(SUBJECT), []);

    rig.sim.show_all("sys_dictionary").unwrap();
    bridge.wait_metric(&produced("incident"), 3.0);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    let registered = registry.registered(SUBJECT);
    assert_eq!(registered.len(), 1);
    assert!(registered[0].1.contains("timestamp-millis"));
}

/// Texts need no dictionary: a refusal is told once, and the rows go on.
#[test]
fn texts_do_without() {
    let registry = FakeRegistry::start();
    let rig = Rig::new();
    rig.fill("incident", 3);
    for table in ["sys_db_object", "sys_dictionary"] {
        rig.sim
            .faults()
            .add(Rule::new(Target::table(table), Fault::ApiAcl));
    }
    let mut bridge = rig.start(&with_registry(rig.config(), &registry.url(), ""));
    bridge.wait_metric(&produced("incident"), 3.0);
    bridge.wait_ready();
    assert_eq!(bridge.log().matches(RIGHT).count(), 1);
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(
        rig.kafka
            .reader()
            .read_to_end(TOPIC, crate::support::LONG)
            .unwrap()
            .len(),
        3
    );
}
