//! Instances and tables that choose the sys_ids of new rows themselves, and creates that come again.

use std::time::Duration;

use real_kafka::Draft;
use serde_json::json;
use servicenow_sim::{Fault, Operation, Options, Rule, Target};

use crate::support::sink::{SinkRig, TABLE, alive, create};
use crate::support::wait_for;

/// An instance that ignores the sys_id of a new row (servicenow_api.md section 2.1 has the opposite as seen
/// on one instance; tables with a rule of their own and other releases differ).
fn choosing_rig() -> SinkRig {
    SinkRig::with(Options {
        honour_client_sys_id: false,
        ..Options::default()
    })
}

/// The create whose answer names another sys_id is the last one until the settings are changed: with a
/// dead letter topic, with several workers, whatever the sys_id comes from.
#[test]
fn an_instance_that_chooses_sys_ids_holds_the_topic_before_the_second_row() {
    let named = |number: usize| {
        let value = json!({"sys_id": format!("employee-{number}"), "correlation_id": number});
        Draft::new(value.to_string()).key(number.to_string())
    };
    let made: fn(usize) -> Draft = |number| create(number);
    let cases = [
        ("create_id: record", made, "`create_id: field`"),
        ("create_id: key", made, "`create_id: none`"),
        ("on_missing: insert", named, "`on_missing: dead_letter`"),
    ];
    for (topic, record, words) in cases {
        let rig = choosing_rig();
        rig.produce((0..20).map(record));
        let config = rig.config().sink("concurrency: 5");
        let mut bridge = rig.start(&config.clone().sink_topic(topic));
        bridge.wait_not_ready(words);
        // Workers have come to the records behind the first one.
        bridge.wait_metric("bridge_sink_held{topic=\"sink.in\"}", 1.0);
        bridge.wait_not_ready(words);
        let sent = |rig: &SinkRig| {
            let writes = rig.sim.writes();
            let inserts = writes.iter().filter(|it| it.operation == Operation::Insert);
            inserts.count()
        };
        assert_eq!((sent(&rig), rig.letters().len()), (1, 0), "{topic}");
        if topic == "create_id: record" {
            let edited = config.sink("transaction_time: 1s");
            edited
                .sink_topic("create_id: field\ncreate_id_field: correlation_display")
                .write(rig.folder.path());
            bridge.signal("HUP");
            rig.wait_done(&mut bridge);
            bridge.wait_ready();
            rig.assert_created_once(20);
        }
        assert_eq!(bridge.terminate(), 0);
    }
}

/// After an end in the middle of the work a create is not sent before its row was looked up.
#[test]
fn creates_that_may_have_been_sent_are_looked_up_first() {
    let rig = SinkRig::new();
    let mut bridge = rig.start(&rig.config().sink("concurrency: 5"));
    rig.produce([create(0).partition(0)]);
    rig.wait_done(&mut bridge);
    let hang = Fault::AppliedHang(Duration::from_secs(600));
    rig.sim.faults().add(Rule::new(Target::writes(TABLE), hang));
    rig.produce((1..6).map(|number| create(number).partition(1)));
    wait_for("rows whose answers are under way", || {
        alive(&mut bridge);
        (rig.sim.count(TABLE).unwrap() == 6).then_some(())
    });
    bridge.kill();
    rig.sim.faults().clear();
    rig.finish(rig.restart());
    rig.assert_created_once(6);
    let writes = rig.sim.writes();
    assert!(writes.iter().all(|write| write.applied), "{writes:?}");
    assert_eq!(writes.len(), 6);
}
