//! `content_cycle` of tables whose records are Avro.

use std::collections::BTreeMap;

use real_kafka::Record;
use servicenow_sim::Row;

use super::{produced, with_registry};
use crate::support::registry::FakeRegistry;
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

/// The records of each key.
fn records(rig: &Rig) -> BTreeMap<String, Vec<Record>> {
    let mut records: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap() {
        records.entry(record.key_text()).or_default().push(record);
    }
    records
}

fn wait_records(rig: &Rig, count: usize) {
    wait_for("records", || {
        let all: usize = records(rig).values().map(Vec::len).sum();
        (all >= count).then_some(())
    });
}

#[test]
fn records_tell_their_content_whatever_their_schema() {
    let registry = FakeRegistry::start();
    let rig = Rig::new();
    rig.fill("incident", 30);
    let config = |lines: &str| {
        let config = rig.config().source(lines);
        with_registry(config, &registry.url(), "style: strings")
    };
    let mut bridge = rig.start(&config("batch_size: 10"));
    bridge.wait_metric(&produced("incident"), 30.0);
    rig.wait_checkpoint("incident", rig.newest("incident"));
    assert_eq!(bridge.terminate(), 0);
    // Of records without the header is not known what they hold: they come again, once.
    let mut bridge = rig.start(&config("batch_size: 10\ncontent_cycle: 1s"));
    let row_series =
        |state: &str| format!("bridge_content_rows_total{{table=\"incident\",state=\"{state}\"}}");
    bridge.wait_metric(&row_series("unknown"), 30.0);
    bridge.wait_metric(&row_series("equal"), 60.0);
    let id = records(&rig).into_keys().next().unwrap();
    let row = Row::new().set("short_description", "silently");
    rig.sim.update_silently("incident", &id, row).unwrap();
    bridge.wait_metric(&row_series("changed"), 1.0);
    wait_records(&rig, 61);
    let equal = bridge.metric(&row_series("equal"));
    bridge.wait_metric(&row_series("equal"), equal + 90.0);
    let records = records(&rig);
    for (key, of_row) in &records {
        let expected = if *key == id { 3 } else { 2 };
        assert_eq!(of_row.len(), expected, "{key}");
        assert!(of_row[0].header("sn_content").is_none());
        assert!(of_row[1].header("sn_content").is_some());
    }
    assert_eq!(bridge.terminate(), 0);
}
