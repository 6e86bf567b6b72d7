//! Requests that the instance carries out after their repetition: what is written later stays.

use std::time::Duration;

use real_kafka::Draft;
use serde_json::json;
use servicenow_sim::{Fault, Operation, Row, Rule, Target, Write};

use crate::support::sink::{SinkRig, TABLE};
use crate::support::wait_for;

/// From the answer of a late request to its change.
const AFTER: Duration = Duration::from_secs(1);
const ID: &str = "0123456789abcdef0123456789abcdef";

/// Writes records of one key, of which the first request of `method` comes late, and waits until it
/// has come. The writes, in the order in which they were sent.
fn written(rig: &SinkRig, method: &str, topic: &str, records: &[Draft]) -> Vec<Write> {
    let late = Fault::LateApply504 { after: AFTER };
    let rule = Rule::new(Target::writes(TABLE), late);
    rig.sim.faults().add(rule.method(method).times(1));
    rig.produce(records.iter().cloned());
    let config = rig.config().sink_topic(topic).sink("transaction_time: 3s");
    let bridge = rig.start(&config);
    rig.finish(bridge);
    assert_eq!(rig.letters().len(), 0);
    wait_for("the late request", || {
        let writes = rig.sim.writes();
        let late = writes.iter().find(|write| write.fault.is_some())?;
        (AFTER * 2 < late.began.elapsed()).then_some(writes)
    })
}

/// What was carried out, in that order.
fn states(rig: &SinkRig) -> Vec<String> {
    let applied = rig.applied();
    let state = |write: &Write| write.field("state").unwrap_or_default().to_owned();
    applied.iter().map(state).collect()
}

#[test]
fn an_update_of_a_row_that_is_found_by_its_key_field() {
    let rig = SinkRig::new();
    let id = rig.row(1);
    let record = |state: &str| {
        let value = json!({"correlation_id": "row-1", "state": state});
        Draft::new(value.to_string()).key("k")
    };
    let topic = "key_field: correlation_id\noperation: update";
    let writes = written(&rig, "PATCH", topic, &[record("1"), record("6")]);
    assert_eq!(writes.len(), 3);
    assert_eq!(
        states(&rig),
        ["1", "1", "6"],
        "the late one is not the last"
    );
    assert_eq!(rig.column(&id, "state"), "6");
}

/// A delete and an upsert of one row.
fn delete() -> Draft {
    Draft::tombstone().key(ID)
}

fn upsert(state: &str) -> Draft {
    let value = json!({"sys_id": ID, "state": state}).to_string();
    Draft::new(value).key(ID).header("sn_operation", "upsert")
}

#[test]
fn a_delete_of_a_row_that_is_made_again() {
    let rig = SinkRig::new();
    let row = Row::new().set("sys_id", ID);
    rig.sim.insert(TABLE, row).unwrap();
    let writes = written(&rig, "DELETE", "deletes: true", &[delete(), upsert("6")]);
    let operations = writes.iter().map(|write| write.operation);
    assert!(operations.eq([
        Operation::Delete,
        Operation::Delete,
        Operation::Update,
        Operation::Insert,
    ]));
    assert_eq!(rig.sim.count(TABLE).unwrap(), 1);
    assert_eq!(rig.column(ID, "state"), "6");
}

#[test]
fn a_create_of_a_row_that_is_deleted() {
    let rig = SinkRig::new();
    let writes = written(&rig, "POST", "deletes: true", &[upsert("1"), delete()]);
    let operations = writes.iter().map(|write| write.operation);
    assert!(operations.eq([
        Operation::Update,
        Operation::Insert,
        Operation::Insert,
        Operation::Delete,
    ]));
    assert_eq!(rig.sim.count(TABLE).unwrap(), 0, "it is back");
}
