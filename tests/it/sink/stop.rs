//! A stop ends inside its time, whatever is away, and what was written is not written again.

use std::time::{Duration, Instant};

use real_kafka::{Broker, Options as Own, require_or_skip};
use servicenow_sim::{Fault, Options, Target};

use crate::support::bridge::Bridge;
use crate::support::sink::{Kafka, SinkRig, TABLE, create};
use crate::support::{wait_at_most, wait_for};

fn slow(latency: u64) -> Options {
    Options {
        write_latency: Duration::from_millis(latency),
        ..Options::default()
    }
}

/// SIGTERM; the exit code and how long it took.
fn stop(bridge: Bridge) -> (i32, Duration) {
    let began = Instant::now();
    (bridge.terminate(), began.elapsed())
}

#[test]
fn a_stop_in_a_backlog_repeats_nothing() {
    let rig = SinkRig::with(slow(200));
    rig.produce((0..150).map(create));
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, 20);
    let (code, time) = stop(bridge);
    assert_eq!(code, 0);
    assert!(time < Duration::from_secs(25), "{time:?}");
    let before = rig.sim.count(TABLE).unwrap();
    assert!(before < 150, "there was no backlog any more");
    rig.finish(rig.restart());
    assert_eq!(rig.sim.writes().len(), 150, "each was sent once");
    rig.assert_created_once(150);
}

#[test]
fn an_instance_that_hangs_does_not_hold_up_a_stop() {
    let rig = SinkRig::new();
    let hang = Fault::Hang(Duration::from_secs(120));
    let rule = rig.sim.faults().on(Target::writes(TABLE), hang);
    rig.produce((0..20).map(create));
    let mut config = rig.config();
    config.top.push_str("\nshutdown_timeout: 5s");
    let bridge = rig.start(&config);
    wait_for("requests that hang", || {
        (3 <= rig.sim.faults().fired(rule)).then_some(())
    });
    let (code, time) = stop(bridge);
    assert_eq!(code, 75);
    assert!(time < Duration::from_secs(15), "{time:?}");
    rig.sim.faults().clear();
    rig.finish(rig.restart());
    rig.assert_created_once(20);
}

#[test]
fn an_instance_that_is_down_does_not_hold_up_a_stop() {
    let rig = SinkRig::new();
    let rule = rig
        .sim
        .faults()
        .on(Target::writes(TABLE), Fault::Unavailable);
    rig.produce((0..20).map(create));
    let bridge = rig.start(&rig.config());
    wait_for("requests that fail", || {
        (5 <= rig.sim.faults().fired(rule)).then_some(())
    });
    let (code, time) = stop(bridge);
    assert_eq!(code, 75, "it had begun");
    assert!(time < Duration::from_secs(15), "{time:?}");
    rig.sim.faults().clear();
    rig.finish(rig.restart());
    rig.assert_created_once(20);
}

fn stopped_without_kafka(name: &str, session_ms: u32) {
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&Own::default()).unwrap();
    let rig = SinkRig::on(Kafka::Own(broker), name, slow(100));
    rig.produce((0..300).map(create));
    let session =
        format!("properties: {{session.timeout.ms: {session_ms}, heartbeat.interval.ms: 500}}");
    let mut config = rig.config().kafka(&session);
    config.top.push_str("\nshutdown_timeout: 8s");
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, 50);
    rig.broker().kill();
    let (code, time) = stop(bridge);
    assert_eq!(code, 75, "what was written is not committed");
    assert!(time < Duration::from_secs(20), "{time:?}");
    rig.broker().restart().unwrap();
    rig.finish(rig.restart());
    rig.assert_created_once(300);
}

#[test]
fn a_kafka_that_is_down_does_not_hold_up_a_stop() {
    stopped_without_kafka("stop-kafka", 15_000);
}

/// The member loses its partitions meanwhile, and with them what it could have committed.
#[test]
fn a_session_that_ends_during_a_stop_leaves_work_behind() {
    stopped_without_kafka("stop-session", 2_000);
}

#[test]
fn a_backlog_does_not_fill_the_memory() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("stop-memory", slow(20));
    let text = "x".repeat(2_000);
    rig.produce((0..50_000).map(|number| {
        let value = serde_json::json!({"correlation_id": number.to_string(), "description": text});
        real_kafka::Draft::new(value.to_string()).key(number.to_string())
    }));
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, 1_000);
    let mib = bridge.peak_memory_mib();
    assert!(mib < 64, "{mib} MiB");
    wait_at_most(Duration::from_secs(1), "life", || {
        bridge.try_exit().is_none().then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
}
