//! Where a partition begins, and what becomes of it when its records or its topic go away.

use std::time::Duration;

use crossbeam_channel::after;
use real_kafka::{Writer, require_or_skip};
use servicenow_sim::{Fault, Options, Rule, Target};

use crate::support::bridge::Bridge;
use crate::support::sink::{SinkRig, TABLE, alive, create};
use crate::support::{wait_at_most, wait_for};

const PATIENT: Duration = Duration::from_secs(120);

fn wait_rows(rig: &SinkRig, bridge: &mut Bridge, count: usize) {
    wait_at_most(PATIENT, &format!("{count} rows"), || {
        assert!(bridge.try_exit().is_none(), "{}", bridge.log());
        (count <= rig.sim.count(TABLE).unwrap()).then_some(())
    });
}

fn wait_ready(bridge: &Bridge) {
    wait_at_most(PATIENT, "readiness", || {
        (bridge.get("/readyz").0 == 200).then_some(())
    });
}

#[test]
fn a_position_that_is_not_there_holds_its_partition() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("offsets-held", Options::default());
    rig.produce((0..40).map(|number| create(number).partition(number % 4)));
    let (topic, group) = (rig.topic(), rig.group());
    let reader = rig.reader();
    reader.commit(&group, &topic, 0, 50).unwrap();
    reader.commit(&group, &topic, 1, 2).unwrap();
    rig.broker().delete_records(&topic, 1, 5).unwrap();
    let mut bridge = rig.start(&rig.config());
    bridge.wait_not_ready(&format!(
        "{topic}/0: held: the group has committed offset 50"
    ));
    bridge.wait_not_ready(&format!(
        "{topic}/1: held: the group has committed offset 2"
    ));
    wait_rows(&rig, &mut bridge, 20);
    // What comes later is not written either.
    rig.produce((40..80).map(|number| create(number).partition(number % 4)));
    wait_rows(&rig, &mut bridge, 40);
    wait_for("the commits of the others", || {
        let committed = rig.committed();
        (committed == [Some(50), Some(2), Some(20), Some(20)]).then_some(())
    });
    rig.assert_created_once(40);
    assert_eq!(bridge.get("/healthz").0, 200);
    assert_eq!(bridge.terminate(), 0);
}

/// An instance that takes nothing, a sink with as much in hand as it may have, and Kafka without that
/// and more. Gives the metric of what is in hand, too.
fn cut_off(name: &str, fault: Fault) -> (SinkRig, Bridge, String) {
    let rig = SinkRig::shared(name, Options::default());
    let faults = rig.sim.faults();
    // One create is tried alone, to see whether the instance takes the sys_id that is sent.
    let rule = faults.add(Rule::new(Target::writes(TABLE), fault).skip(1));
    rig.produce((0..1_000).map(|number| create(number).partition(0)));
    let patient = "timeout_seconds: 300\nread_timeout_seconds: 300";
    let bridge = rig.start(&rig.config().servicenow(patient));
    let out = format!("bridge_sink_in_flight_records{{topic=\"{}\"}}", rig.topic());
    wait_for("a full pipe", || {
        (80.0 <= bridge.metric(&out) && 3 <= faults.fired(rule)).then_some(())
    });
    rig.broker().delete_records(&rig.topic(), 0, 900).unwrap();
    (rig, bridge, out)
}

#[test]
fn records_that_are_deleted_while_it_is_behind_hold_their_partition() {
    if !require_or_skip() {
        return;
    }
    let (rig, bridge, out) = cut_off("offsets-behind", Fault::Unavailable);
    let topic = rig.topic();
    rig.sim.faults().clear();
    bridge.wait_not_ready(&format!("{topic}/0: held: the group has committed offset"));
    let status = bridge.status();
    assert_eq!(status["topics"][0]["state"], "held", "{status}");
    rig.produce((1_000..1_010).map(|number| create(number).partition(1)));
    wait_for("the other partition", || {
        (rig.committed()[1] == Some(10)).then_some(())
    });
    // Nothing behind the gap is written. What had been fetched before may be, as far as it had begun
    // when the gap was noticed, and how much of that is committed depends on the same moment.
    wait_for("nothing to be out", || {
        (bridge.metric(&out) == 0.0).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
    let rows = rig.sim.count(TABLE).unwrap();
    let committed = rig.committed()[0].and_then(|offset| usize::try_from(offset).ok());
    assert!(
        committed.unwrap_or(0) + 10 <= rows && rows < 900,
        "{committed:?} of {rows}"
    );
}

/// What was fetched before is written, though Kafka has it no more; then the gap is told of.
#[test]
fn records_that_are_deleted_while_nothing_can_be_written_are_not_thrown_away() {
    if !require_or_skip() {
        return;
    }
    let (rig, mut bridge, out) = cut_off("offsets-outage", Fault::Hold);
    let topic = rig.topic();
    // Positions are looked at each half a minute.
    let looked = after(Duration::from_secs(40));
    wait_for("a look at the positions", || {
        alive(&mut bridge);
        looked.is_full().then_some(())
    });
    assert!(80.0 <= bridge.metric(&out), "they are still there");
    rig.sim.faults().clear();
    wait_rows(&rig, &mut bridge, 80);
    bridge.wait_not_ready(&format!("{topic}/0: held: the group has committed offset"));
    wait_for("their commit", || {
        (rig.committed()[0] >= Some(80)).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_topic_that_is_made_anew_during_a_stop_begins_anew() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("offsets-anew", Options::default());
    rig.produce((0..40).map(create));
    rig.finish(rig.start(&rig.config()));
    rig.broker().delete_topic(&rig.topic()).unwrap();
    rig.create_topic(&rig.topic(), 4);
    rig.produce((0..20).map(create));
    let mut bridge = rig.restart();
    wait_rows(&rig, &mut bridge, 60);
    wait_ready(&bridge);
    rig.finish(bridge);
    assert_eq!(
        rig.sim.count(TABLE).unwrap(),
        60,
        "other records, other rows"
    );
}

#[test]
fn a_topic_that_is_made_anew_while_it_is_consumed_begins_anew() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("offsets-live", Options::default());
    rig.produce((0..40).map(create));
    let mut bridge = rig.start(&rig.config());
    rig.wait_done(&mut bridge);
    rig.broker().delete_topic(&rig.topic()).unwrap();
    rig.create_topic(&rig.topic(), 4);
    rig.produce((0..20).map(create));
    wait_rows(&rig, &mut bridge, 60);
    wait_ready(&bridge);
    rig.finish(bridge);
    assert_eq!(
        rig.sim.count(TABLE).unwrap(),
        60,
        "other records, other rows"
    );
}

/// Filled past the position in the old one, so that a consumer could go on in its middle without an error.
#[test]
fn a_topic_that_is_made_anew_and_longer_begins_anew_too() {
    if !require_or_skip() {
        return;
    }
    for (name, is_running) in [("offsets-longer", true), ("offsets-longer-stop", false)] {
        let rig = SinkRig::shared(name, Options::default());
        let spread = |numbers: std::ops::Range<i32>| {
            numbers.map(|number| create(number).partition(number.rem_euclid(4)))
        };
        rig.produce(spread(0..20));
        let mut running = Some(rig.start(&rig.config()));
        if let Some(bridge) = &mut running {
            rig.wait_done(bridge);
        }
        if !is_running && let Some(bridge) = running.take() {
            assert_eq!(bridge.terminate(), 0);
        }
        rig.broker().delete_topic(&rig.topic()).unwrap();
        rig.create_topic(&rig.topic(), 4);
        rig.produce(spread(20..80));
        let mut bridge = running.unwrap_or_else(|| rig.restart());
        wait_rows(&rig, &mut bridge, 80);
        wait_ready(&bridge);
        rig.wait_done(&mut bridge);
        let log = bridge.log();
        assert_eq!(bridge.terminate(), 0);
        rig.assert_created_once(80);
        let told = log.contains("the topic was deleted");
        assert_eq!(told, is_running, "{log}");
    }
}

/// What a transaction ends with is no record, and neither is what was aborted. Nothing is behind them that would
/// take the position past them.
#[test]
fn a_position_passes_the_end_of_the_last_transaction() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("offsets-marker", Options::default());
    let writer = Writer::transactional(&rig.broker().plain_addr(), "offsets-marker").unwrap();
    let in_first =
        |numbers: std::ops::Range<i32>| numbers.map(|number| create(number).partition(0));
    let topic = rig.topic();
    writer.transaction(&topic, in_first(0..5), true).unwrap();
    let config = rig
        .config()
        .kafka("properties: {statistics.interval.ms: 1000}");
    let mut bridge = rig.start(&config);
    wait_rows(&rig, &mut bridge, 5);
    rig.wait_done(&mut bridge);
    assert_eq!(rig.committed()[0], Some(6), "five records and a marker");
    let lag = format!("bridge_sink_lag_records{{topic=\"{topic}\",partition=\"0\"}}");
    wait_for("no lag", || {
        (bridge.metric_if_any(&lag) == Some(0.0)).then_some(())
    });
    writer.transaction(&topic, in_first(5..8), false).unwrap();
    rig.wait_done(&mut bridge);
    writer.transaction(&topic, in_first(8..10), true).unwrap();
    wait_rows(&rig, &mut bridge, 7);
    rig.finish(bridge);
    rig.assert_created_once(7);
}

#[test]
fn a_topic_that_comes_later_is_found() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("offsets-later", Options::default());
    let topic = "offsets-later.second";
    let mut config = rig.config();
    config
        .sink_topics
        .push(format!("topic: {topic}\ntable: problem"));
    let mut bridge = rig.start(&config);
    bridge.wait_not_ready(topic);
    rig.create_topic(topic, 2);
    rig.writer.write(topic, (0..10).map(create)).unwrap();
    rig.produce((0..10).map(create));
    wait_at_most(PATIENT, "rows of both", || {
        assert!(bridge.try_exit().is_none(), "{}", bridge.log());
        let count = |table| rig.sim.count(table).unwrap();
        // A problem is a task, as an incident is.
        (count(TABLE) == 10 && count("problem") == 10).then_some(())
    });
    wait_ready(&bridge);
    rig.wait_done_of(&mut bridge, topic);
    rig.finish(bridge);
}

#[test]
fn aborted_transactions_are_not_written() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("offsets-transactions", Options::default());
    let writer = Writer::transactional(&rig.broker().plain_addr(), "offsets-transactions").unwrap();
    let topic = rig.topic();
    writer
        .transaction(&topic, (0..10).map(create), false)
        .unwrap();
    writer
        .transaction(&topic, (10..20).map(create), true)
        .unwrap();
    writer
        .transaction(&topic, (20..30).map(create), false)
        .unwrap();
    rig.produce((30..40).map(create));
    let mut bridge = rig.start(&rig.config());
    wait_rows(&rig, &mut bridge, 20);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(20);
    let aborted = |name: &str| {
        let number: usize = name.strip_prefix("c-").unwrap().parse().unwrap();
        number < 10 || (20..30).contains(&number)
    };
    let rows = rig.sim.rows(TABLE).unwrap();
    assert!(
        !rows
            .iter()
            .any(|row| aborted(row.get("correlation_id").unwrap()))
    );
}
