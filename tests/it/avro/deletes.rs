//! Tombstones of tables whose keys are Avro.

use servicenow_sim::Removal;

use super::{produced, with_registry};
use crate::support::registry::FakeRegistry;
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

/// After a restart there is no row to take a schema from: that of the key is looked up.
#[test]
fn a_tombstone_has_the_framed_key_of_the_row() {
    let registry = FakeRegistry::start();
    let rig = Rig::new();
    rig.fill("incident", 30);
    let config = rig
        .config()
        .table("deletes: compare\ndelete_compare_interval: 1s");
    let config = with_registry(config, &registry.url(), "key: avro");
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("incident"), 30.0);
    assert_eq!(bridge.terminate(), 0);
    let id = rig.rows("incident").into_keys().next().unwrap();
    rig.sim
        .delete_as("incident", &id, Removal::Cleaner)
        .unwrap();
    let bridge = rig.start(&config);
    let records = wait_for("the tombstone", || {
        let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
        let is_there = records.iter().any(|record| record.value.is_none());
        is_there.then_some(records)
    });
    assert_eq!(bridge.terminate(), 0);
    let gone = records
        .iter()
        .find(|record| record.value.is_none())
        .unwrap();
    assert!(gone.key_text().ends_with(&id) && gone.key.as_ref().unwrap()[0] == 0);
    let of_row = records.iter().filter(|record| record.key == gone.key);
    let values = of_row.map(|record| (record.partition, record.value.is_some()));
    assert_eq!(
        values.collect::<Vec<_>>(),
        [(gone.partition, true), (gone.partition, false)]
    );
}
