//! Two members of one group, of which one dies or is stopped, and a broker that dies.

use std::path::Path;
use std::time::Duration;

use real_kafka::{Broker, require_or_skip};
use servicenow_sim::Options;

use super::crash::SOON;
use crate::support::bridge::Bridge;
use crate::support::sink::{Kafka, SinkRig, alive, by_row, create, update};
use crate::support::{wait_at_most, wait_for};

const CREATES: usize = 1_000;
const ROWS: usize = 20;
const VERSIONS: usize = 50;

/// An instance that takes its time, and a load of creates and of versions of rows.
fn load(kafka: Kafka, name: &str) -> (SinkRig, Vec<String>) {
    let options = Options {
        write_latency: Duration::from_millis(10),
        ..Options::default()
    };
    let rig = SinkRig::on(kafka, name, options);
    let ids: Vec<String> = (0..ROWS).map(|number| rig.row(number)).collect();
    let changes = (0..VERSIONS).flat_map(|version| ids.iter().map(move |id| (id, version)));
    let mut records: Vec<_> = changes
        .map(|(id, version)| update(id, "state", version))
        .collect();
    records.extend((0..CREATES).map(create));
    interleave(&mut records);
    rig.produce(records);
    (rig, ids)
}

/// Puts creates between the changes, which keep their order.
fn interleave<T>(records: &mut Vec<T>) {
    let tail = records.split_off(records.len() - CREATES);
    let head = std::mem::take(records);
    for (change, create) in head.into_iter().zip(tail) {
        records.extend([change, create]);
    }
}

/// A member that has partitions.
fn member(rig: &SinkRig, folder: &Path) -> Bridge {
    rig.config()
        .kafka(SOON)
        .sink("concurrency: 20")
        .write(folder);
    Bridge::start(folder)
}

fn wait_assigned(bridge: &mut Bridge) {
    wait_for("partitions", || {
        alive(bridge);
        bridge.log().contains("partitions are ours").then_some(())
    });
}

/// Every create once; each row has its last version, and no more than `again` writes were repeated.
fn check(rig: &SinkRig, ids: &[String], again: usize) {
    rig.assert_created_once(CREATES + ROWS);
    let writes = rig.applied();
    let rows = by_row(&writes);
    let mut changes = 0;
    for id in ids {
        let last = (VERSIONS - 1).to_string();
        assert_eq!(rig.column(id, "state"), last);
        changes += rows[id.as_str()].len();
    }
    let repeated = changes - ROWS * VERSIONS;
    assert!(repeated <= again, "{repeated} changes came again");
    assert_eq!(rig.letters().len(), 0);
}

#[test]
fn a_member_that_is_killed_loses_nothing() {
    if !require_or_skip() {
        return;
    }
    let shared = Kafka::Shared(real_kafka::shared().unwrap());
    let (rig, ids) = load(shared, "group-kill");
    let second = tempfile::tempdir().unwrap();
    let mut first = member(&rig, rig.folder.path());
    let mut other = member(&rig, second.path());
    wait_assigned(&mut first);
    wait_assigned(&mut other);
    rig.wait_rows(&mut first, ROWS + 100);
    other.kill();
    rig.finish(first);
    // 64 x 20 of each of its two partitions, as the README allows.
    check(&rig, &ids, 2 * 64 * 20);
}

#[test]
fn a_member_that_is_stopped_repeats_nothing() {
    if !require_or_skip() {
        return;
    }
    let shared = Kafka::Shared(real_kafka::shared().unwrap());
    let (rig, ids) = load(shared, "group-stop");
    let second = tempfile::tempdir().unwrap();
    let mut first = member(&rig, rig.folder.path());
    wait_assigned(&mut first);
    let mut other = member(&rig, second.path());
    wait_assigned(&mut other);
    rig.wait_rows(&mut first, ROWS + 100);
    assert_eq!(other.terminate(), 0);
    rig.finish(first);
    check(&rig, &ids, 0);
    assert_eq!(
        rig.sim.writes().len(),
        CREATES + ROWS * VERSIONS,
        "no create was sent again either"
    );
}

#[test]
fn a_broker_that_dies_and_comes_back_costs_nothing() {
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&real_kafka::Options::default()).unwrap();
    let (rig, ids) = load(Kafka::Own(broker), "t");
    let mut bridge = member(&rig, rig.folder.path());
    rig.wait_rows(&mut bridge, ROWS + 100);
    rig.broker().kill();
    wait_at_most(Duration::from_secs(60), "readiness to go", || {
        (bridge.get("/readyz").0 == 503).then_some(())
    });
    assert_eq!(bridge.get("/healthz").0, 200, "a restart would not help");
    rig.broker().restart().unwrap();
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    check(&rig, &ids, 4 * 64 * 20);
}
