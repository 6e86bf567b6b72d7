//! A registry whose store is lost while the bridge runs.

use super::{produced, with_registry};
use crate::support::avro::framed;
use crate::support::registry::{FakeRegistry, Kind};
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

const SUBJECT: &str = "servicenow.incident-value";
const KEYS: &str = "servicenow.incident-key";

/// The ids that it gave out mean other schemas now, or none.
#[test]
fn a_table_that_starts_again_registers_again() {
    let (rig, registry) = (Rig::new(), FakeRegistry::start());
    rig.fill("incident", 5);
    let mut config = with_registry(rig.config(), &registry.url(), "key: avro");
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("incident"), 5.0);
    let before = registry.registered(SUBJECT);
    registry.wipe();
    for number in 1..=3 {
        let text = format!(r#"{{"type":"fixed","name":"other","size":{number}}}"#);
        registry.add("other", &text, Kind::Avro);
    }
    config.tables[0].push_str("\nbatch_size: 50");
    config.write(rig.folder.path());
    wait_for("the table to start again", || {
        let last = rig.asked("incident").pop()?;
        let limit = ("sysparm_limit".to_owned(), "50".to_owned());
        last.params.contains(&limit).then_some(())
    });
    rig.insert("incident");
    bridge.wait_metric(&produced("incident"), 6.0);
    assert_eq!(bridge.terminate(), 0);

    let (values, keys) = (registry.registered(SUBJECT), registry.registered(KEYS));
    assert_eq!((values.len(), keys.len()), (1, 1));
    assert_eq!(values[0].1, before[0].1);
    assert_ne!(values[0].0, before[0].0);
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    let new = records.iter().map(|record| {
        let (value, key) = (record.value.as_deref(), record.key.as_deref());
        (framed(value).0, framed(key).0)
    });
    let new = new.filter(|ids| *ids == (values[0].0, keys[0].0));
    assert_eq!((records.len(), new.count()), (6, 1));
}
