//! A table moves to another format, and so to another topic.

use super::{produced, with_registry};
use crate::support::LONG;
use crate::support::avro::framed;
use crate::support::bridge::{run, texts};
use crate::support::registry::FakeRegistry;
use crate::support::rig::{self, Rig, TOPIC};

const NEW: &str = "servicenow.incident.typed";

/// The checkpoint is the table's, whatever its topic: docs/avro.md says what to do.
#[test]
fn a_new_topic_has_all_rows_after_a_reset() {
    let (rig, registry) = (Rig::new(), FakeRegistry::start());
    rig.fill("incident", 3);
    let mut config = with_registry(rig.config(), &registry.url(), "style: typed");
    config.tables = vec!["name: incident\nformat: json".to_owned()];
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("incident"), 3.0);
    assert_eq!(bridge.terminate(), 0);

    // Without the reset it begins where the old one ended.
    rig.kafka.create_topic(NEW).unwrap();
    config.tables = vec![format!("name: incident\ntopic: {NEW}")];
    rig.insert("incident");
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&rig::produced("incident", NEW), 1.0);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);

    let (_, errors, code) = texts(&run(
        rig.folder.path(),
        &["checkpoint", "reset", "incident"],
    ));
    assert_eq!(code, 0, "{errors}");
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&rig::produced("incident", NEW), 4.0);
    assert_eq!(bridge.terminate(), 0);
    let read = |topic: &str| rig.kafka.reader().read_to_end(topic, LONG).unwrap();
    assert_eq!(read(TOPIC).len(), 3);
    let records = read(NEW);
    assert_eq!(records.len(), 5);
    let id = registry.registered(&format!("{NEW}-value"))[0].0;
    assert!(records.iter().all(|it| framed(it.value.as_deref()).0 == id));
}
