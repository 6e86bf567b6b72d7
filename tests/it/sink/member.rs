//! The sink as a static member of its group: it is back at once, and there is only one of its name.

use std::fs;

use real_kafka::require_or_skip;
use servicenow_sim::Options;

use crate::support::bridge::Bridge;
use crate::support::sink::{SinkRig, TABLE, create};
use crate::support::wait_for;

/// So long that a test which waits for it fails.
const LONG_SESSION: &str = "properties: {session.timeout.ms: 300000}";

/// Whether the sink has been given partitions.
fn wait_partitions(bridge: &mut Bridge) {
    wait_for("partitions", || {
        assert!(bridge.try_exit().is_none(), "{}", bridge.log());
        bridge.log().contains("partitions are ours").then_some(())
    });
}

#[test]
fn of_two_processes_of_one_name_the_older_ends() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("member-two", Options::default());
    rig.produce((0..40).map(create));
    let mut older = rig.start(&rig.config().kafka(LONG_SESSION));
    rig.wait_rows(&mut older, 40);
    rig.wait_done(&mut older);
    // As an operator does who copies the folder of a bridge to another host.
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(rig.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if !name.to_string_lossy().ends_with(".lock") {
            fs::copy(&path, copy.path().join(name)).unwrap();
        }
    }
    let mut younger = Bridge::start(copy.path());
    wait_partitions(&mut younger);
    assert_eq!(older.wait_exit(), 79, "{}", older.log_tail());
    let log = older.log();
    assert!(log.contains("the sink is fenced"), "{log}");
    assert!(log.contains("`cluster.instance_id`"), "{log}");
    rig.produce((40..60).map(create));
    rig.wait_rows(&mut younger, 60);
    rig.finish(younger);
    rig.assert_created_once(60);
}

/// The group keeps the partitions of a static member, and with them the list of topics and partitions that
/// it had. What came meanwhile is to be read, what went is not.
#[test]
fn topics_and_partitions_that_came_or_went_during_a_stop() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("member-topics", Options::default());
    let more = "member-topics.more";
    rig.create_topic(more, 2);
    let config = rig.config().kafka(LONG_SESSION);
    rig.produce((0..40).map(create));
    rig.finish(rig.start(&config));

    rig.broker().grow_topic(&rig.topic(), 6).unwrap();
    // The old writer knows four of them.
    let writer = rig.broker().writer().unwrap();
    let grown = (0..6).map(|number| create(number + 40).partition(number));
    writer.write(&rig.topic(), grown).unwrap();
    let mut bridge = rig.restart();
    rig.wait_rows(&mut bridge, 46);
    rig.finish(bridge);

    let mut both = config.clone();
    both.sink_topics
        .push(format!("topic: {more}\ntable: {TABLE}"));
    rig.writer.write(more, (46..56).map(create)).unwrap();
    let mut bridge = rig.start(&both);
    rig.wait_rows(&mut bridge, 56);
    rig.wait_done_of(&mut bridge, more);
    rig.finish(bridge);

    rig.writer.write(more, (56..66).map(create)).unwrap();
    rig.produce((66..70).map(create));
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, 60);
    wait_for("the other topic to be given back", || {
        let words = format!("{more}/0 is of a topic that is not consumed");
        bridge.log().contains(&words).then_some(())
    });
    rig.finish(bridge);
    rig.assert_created_once(60);
}
