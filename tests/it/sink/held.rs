//! Records that cannot be written and have no dead letter topic: they hold their partition, or are
//! passed over.

use real_kafka::Draft;
use serde_json::json;
use servicenow_sim::{Operation, Refusal, RowView};

use crate::support::bridge::Bridge;
use crate::support::sink::{SinkRig, TABLE, alive, create};
use crate::support::wait_for;

fn refuse(rig: &SinkRig) {
    let refused = |_: Operation, row: RowView<'_>| row.get("short_description") == "not now";
    rig.sim
        .refuse_writes(TABLE, Refusal::business_rule("Change freeze"), refused)
        .unwrap();
}

/// A record that is refused for now.
fn refused() -> Draft {
    let value = json!({"short_description": "not now", "correlation_id": "refused"});
    Draft::new(value.to_string()).key("refused")
}

/// Ten records in partition 0, then one that is refused and ten behind it; ten in another one.
fn fill(rig: &SinkRig) {
    let inside = |range: std::ops::Range<u32>| range.map(|number| create(number).partition(0));
    rig.produce(inside(0..10));
    assert_eq!(rig.produce([refused().partition(0)]), [(0, 10)]);
    rig.produce(inside(10..20));
    rig.produce((20..30).map(|number| create(number).partition(1)));
}

/// Waits until nothing but the refused record is left, and checks that its partition holds.
fn wait_held(rig: &SinkRig, bridge: &mut Bridge) {
    rig.wait_rows(bridge, 30);
    bridge.wait_not_ready("record is held: sink.in/0 offset 10");
    let (_, body) = bridge.get("/readyz");
    assert!(body.contains("Change freeze"), "{body}");
    wait_for("the commits of both partitions", || {
        alive(bridge);
        (rig.committed()[..2] == [Some(10), Some(10)]).then_some(())
    });
    assert_eq!(bridge.metric("bridge_sink_held{topic=\"sink.in\"}"), 1.0);
}

#[test]
fn a_record_without_a_dead_letter_topic_holds_its_partition_until_the_cause_is_gone() {
    let rig = SinkRig::new();
    refuse(&rig);
    fill(&rig);
    let mut bridge = rig.start(&rig.config_alone());
    wait_held(&rig, &mut bridge);
    // Records that come later are written as well.
    rig.produce([create(30).partition(0), create(31).partition(2)]);
    rig.wait_rows(&mut bridge, 32);
    assert_eq!(rig.committed()[0], Some(10));
    rig.sim.accept_writes(TABLE).unwrap();
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(33);
}

/// After a stop the record is still the first that is not done.
#[test]
fn a_held_record_does_not_keep_the_bridge_from_stopping() {
    let rig = SinkRig::new();
    refuse(&rig);
    fill(&rig);
    let mut bridge = rig.start(&rig.config_alone());
    wait_held(&rig, &mut bridge);
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(rig.committed()[0], Some(10));
    rig.sim.accept_writes(TABLE).unwrap();
    let bridge = rig.restart();
    rig.finish(bridge);
    rig.assert_created_once(31);
}

#[test]
fn with_commit_on_partial_failure_off_it_holds_although_there_is_a_dead_letter_topic() {
    let rig = SinkRig::new();
    refuse(&rig);
    fill(&rig);
    let config = rig.config().sink("commit_on_partial_failure: false");
    let mut bridge = rig.start(&config);
    wait_held(&rig, &mut bridge);
    assert_eq!(rig.letters().len(), 0);
    rig.sim.accept_writes(TABLE).unwrap();
    rig.finish(bridge);
    rig.assert_created_once(31);
}

#[test]
fn it_is_passed_over_where_that_is_wanted() {
    let rig = SinkRig::new();
    refuse(&rig);
    fill(&rig);
    let mut bridge = rig.start(&rig.config_alone().sink("on_error: skip"));
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    let skipped = "bridge_sink_skipped_total{table=\"incident\",reason=\"business_rule\"}";
    assert_eq!(bridge.metric(skipped), 1.0);
    assert!(bridge.log().contains("a record cannot be written"));
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(30);
    assert_eq!(rig.letters().len(), 0);
}

/// Also while the group has committed nothing.
#[test]
fn what_waits_behind_a_held_record_is_told() {
    let rig = SinkRig::new();
    refuse(&rig);
    rig.produce([refused().partition(0)]);
    rig.produce((0..50).map(|number| create(number).partition(0)));
    let lag = "bridge_sink_lag_records{topic=\"sink.in\",partition=\"0\"}";
    let mut bridge = rig.start(&rig.config_alone());
    bridge.wait_metric(lag, 51.0);
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(rig.committed()[0], Some(0), "where it began");

    rig.produce([create(50).partition(0)]);
    let mut bridge = rig.restart();
    bridge.wait_metric(lag, 52.0);
    assert_eq!(bridge.terminate(), 0);
}

/// The instance says of each record that there is nothing under the path. That is no fault of the records,
/// though there is a topic for letters.
#[test]
fn a_mistyped_path_of_the_table_api_makes_no_dead_letters() {
    let rig = SinkRig::new();
    rig.produce((0..10).map(create));
    let mistyped = rig.config().servicenow("table_api_path: /api/now/tabel");
    let mut bridge = rig.start(&mistyped);
    bridge.wait_not_ready("check servicenow.table_api_path");
    let errors = "bridge_sink_errors_total{table=\"incident\",error_type=\"bad_request\"}";
    wait_for("a record that is tried again", || {
        alive(&mut bridge);
        let retries = bridge.metric_if_any(errors).unwrap_or_default();
        (retries >= 5.0).then_some(())
    });
    assert!(rig.letters().is_empty());
    assert_eq!(bridge.terminate(), 75);
    let bridge = rig.start(&rig.config());
    rig.finish(bridge);
    rig.assert_created_once(10);
    assert!(rig.letters().is_empty());
}
