//! The sink as a static member of its group: it is back at once, and there is only one of its name.

use std::fs;

use std::time::Duration;

use real_kafka::{Draft, require_or_skip};
use serde_json::json;
use servicenow_sim::{Fault, Options, Rule, Target};

use super::crash::SOON;
use crate::support::bridge::Bridge;
use crate::support::sink::{SinkRig, TABLE, create, update};
use crate::support::{wait_at_most, wait_for};

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

/// The group would wait for the end of the session, which is minutes away. That it does not, is the cause of the
/// short time; the bound itself is five times what is promised.
#[test]
fn a_sink_that_was_killed_is_back_at_once() {
    const BOUND: Duration = Duration::from_secs(15);
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("member-kill", Options::default());
    let mut bridge = rig.start(&rig.config().kafka(LONG_SESSION));
    rig.produce((0..20).map(create));
    rig.wait_rows(&mut bridge, 20);
    for life in 1..4 {
        bridge.kill();
        rig.produce((life * 20..life * 20 + 20).map(create));
        bridge = rig.restart();
        wait_at_most(BOUND, "the rows of this life", || {
            (rig.sim.count(TABLE).unwrap() >= life * 20 + 20).then_some(())
        });
    }
    rig.finish(bridge);
    rig.assert_created_once(80);
}

/// A member is killed while the instance is at work on an update, which it carries out later, when the record has
/// been written again. What is written to the row after it must not be undone by it.
fn an_update_in_flight_at_the_kill(name: &str, is_other_member: bool) {
    const LATE: Duration = Duration::from_secs(4);
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared(name, Options::default());
    let (row, other) = (rig.row(1), rig.row(2));
    let config = rig.config().kafka(SOON).sink("transaction_time: 9s");
    let slow = Rule::new(Target::writes(TABLE), Fault::Delay(LATE));
    let slow = rig.sim.faults().add(slow.method("PATCH").times(1));
    let mut killed = rig.start(&config);
    let folder = tempfile::tempdir().unwrap();
    rig.produce([update(&row, "state", 1), update(&row, "state", 6)]);
    wait_for("a request under way", || {
        assert!(killed.try_exit().is_none(), "{}", killed.log());
        (rig.sim.faults().fired(slow) == 1).then_some(())
    });
    killed.kill();
    let mut next = if is_other_member {
        config.write(folder.path());
        Bridge::start(folder.path())
    } else {
        rig.restart()
    };
    rig.produce([update(&other, "state", 2)]);
    wait_for("the line about the end before", || {
        assert!(next.try_exit().is_none(), "{}", next.log());
        next.log().contains("did not end cleanly").then_some(())
    });
    let waiting = format!("bridge_sink_waiting_records{{topic=\"{}\"}}", rig.topic());
    let status = wait_for("a record that waits", || {
        let status = next.status();
        (status["topics"][0]["waiting"] == 1.0).then_some(status)
    });
    let member = &status["sink_member"];
    assert_eq!(member["group_id"], rig.group(), "{status}");
    let id = format!("\"instance_id\":{}", member["instance_id"]);
    assert!(next.log().contains(&id), "{id}");
    rig.wait_done(&mut next);
    wait_for("the end of the waits", || {
        (next.metric_if_any(&waiting) == Some(0.0)).then_some(())
    });
    assert_eq!(next.terminate(), 0);
    let states: Vec<String> = rig
        .applied()
        .iter()
        .map(|write| write.field("state").unwrap_or_default().to_owned())
        .collect();
    // The other row does not wait, and the two writes of the first record may come in any order.
    let mut sorted = states.clone();
    sorted.sort();
    assert_eq!(sorted, ["1", "1", "2", "6"]);
    assert_eq!(states.last().map(String::as_str), Some("6"), "{states:?}");
    assert_eq!(rig.column(&row, "state"), "6");
}

#[test]
fn an_update_in_flight_at_the_kill_is_not_carried_out_last() {
    an_update_in_flight_at_the_kill("member-late", false);
}

#[test]
fn nor_is_it_when_another_member_takes_over() {
    an_update_in_flight_at_the_kill("member-late-other", true);
}

/// The first life's update is still under way when the second one, which has written its record again and committed
/// it, is killed as well. The third one does not get that record any more, and must wait all the same.
#[test]
fn an_update_in_flight_at_the_kill_before_the_last_is_not_carried_out_last() {
    const LATE: Duration = Duration::from_secs(10);
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("member-late-twice", Options::default());
    let row = rig.row(1);
    let config = rig.config().kafka(SOON).sink("transaction_time: 14s");
    let slow = Rule::new(Target::writes(TABLE), Fault::Delay(LATE));
    let slow = rig.sim.faults().add(slow.method("PATCH").times(1));
    let mut first = rig.start(&config);
    let places = rig.produce([update(&row, "state", 1), update(&row, "state", 6)]);
    wait_for("a request under way", || {
        assert!(first.try_exit().is_none(), "{}", first.log());
        (rig.sim.faults().fired(slow) == 1).then_some(())
    });
    first.kill();
    let mut second = rig.restart();
    let (partition, offset) = places[0];
    wait_for("the commit of the first record", || {
        assert!(second.try_exit().is_none(), "{}", second.log());
        let committed = rig.committed()[usize::try_from(partition).unwrap()];
        (committed == Some(offset + 1)).then_some(())
    });
    second.kill();
    rig.finish(rig.restart());
    // The late one and its repetition may come in any order.
    let states = rig.applied();
    let states: Vec<_> = states.iter().map(|write| write.field("state")).collect();
    assert_eq!(states, [Some("1"), Some("1"), Some("6")]);
    assert_eq!(rig.column(&row, "state"), "6");
}

/// A clean end is known: nothing waits for a transaction of the process before, and nothing is looked up that it
/// may have written.
#[test]
fn after_a_clean_end_nothing_waits() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("member-clean", Options::default());
    let row = rig.row(1);
    let note = |text: &str| {
        let value = json!({"sys_id": row, "work_notes": text});
        Draft::new(value.to_string()).key(row.clone())
    };
    let config = rig.config().kafka(SOON);
    rig.produce([note("first"), note("second")]);
    rig.finish(rig.start(&config));
    rig.produce([note("third"), note("fourth")]);
    let mut bridge = rig.restart();
    rig.wait_done(&mut bridge);
    let log = bridge.log();
    assert_eq!(bridge.terminate(), 0);
    assert!(!log.contains("did not end cleanly"), "{log}");
    assert!(!log.contains("a record waits until"), "{log}");
    let looked_up = rig.sim.requests();
    let looked_up = looked_up
        .iter()
        .filter(|it| it.path.contains("sys_journal_field"));
    assert_eq!(looked_up.count(), 0, "no entry may be there already");

    // What the release before has committed says nothing about its end.
    let reader = rig.reader();
    for (partition, _, end) in reader.ends(&rig.topic()).unwrap() {
        wait_for("the group to be without a member", || {
            let committed = reader.commit(&rig.group(), &rig.topic(), partition, end);
            committed.ok()
        });
    }
    rig.produce([note("fifth")]);
    let mut bridge = rig.start(&config.sink("transaction_time: 3s"));
    rig.wait_done(&mut bridge);
    let log = bridge.log();
    assert_eq!(bridge.terminate(), 0);
    assert!(log.contains("did not end cleanly"), "{log}");
    assert!(log.contains("a record waits until"), "{log}");
    let notes = rig.applied();
    assert_eq!(notes.len(), 5, "each entry was written once");
}
