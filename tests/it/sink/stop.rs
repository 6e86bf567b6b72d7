//! Stops in the middle of work, and how much memory a backlog takes.

use std::fs;
use std::time::{Duration, Instant};

use real_kafka::{Draft, require_or_skip};
use serde_json::json;
use servicenow_sim::{Fault, Options, Target};

use crate::support::bridge::Bridge;
use crate::support::sink::{Kafka, SinkRig, TABLE, alive, by_row, create, update};
use crate::support::{wait_at_most, wait_for};

#[test]
fn stopped_in_a_backlog_it_finishes_what_has_begun_and_repeats_nothing() {
    const ROWS: usize = 150;
    let rig = SinkRig::with(Options {
        write_latency: Duration::from_millis(200),
        ..Options::default()
    });
    let ids: Vec<String> = (0..ROWS).map(|number| rig.row(number)).collect();
    rig.produce(ids.iter().map(|id| update(id, "state", 2)));
    rig.config()
        .sink("concurrency: 10")
        .write(rig.folder.path());
    for share in [20, 60] {
        let mut bridge = rig.restart();
        wait_for("some writes", || {
            alive(&mut bridge);
            (rig.applied().len() >= share).then_some(())
        });
        assert_eq!(bridge.terminate(), 0);
        let writes = rig.sim.writes();
        assert!(writes.len() < ROWS, "there is something left");
        assert!(writes.iter().all(|write| write.status == 200));
    }
    let bridge = rig.restart();
    rig.finish(bridge);
    let writes = rig.sim.writes();
    assert_eq!(by_row(&writes).len(), ROWS);
    assert_eq!(writes.len(), ROWS, "each once, over three processes");
}

#[test]
fn an_instance_that_hangs_does_not_keep_it_from_stopping_in_time() {
    let rig = SinkRig::new();
    rig.produce((0..20).map(create));
    let hang = Fault::AppliedHang(Duration::from_secs(300));
    let fault = rig.sim.faults().on(Target::writes(TABLE), hang);
    let mut config = rig
        .config()
        .servicenow("timeout_seconds: 300\nread_timeout_seconds: 300");
    config.top.push_str("\nshutdown_timeout: 4s");
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, 5);
    let start = Instant::now();
    bridge.signal("TERM");
    let code = wait_at_most(Duration::from_secs(60), "the end", || bridge.try_exit());
    assert_eq!(code, 75, "{}", bridge.log());
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(bridge.log().contains("records written without an answer"));
    rig.sim.faults().remove(fault);
    rig.sim.drop_connections();
    let bridge = rig.restart();
    rig.finish(bridge);
    rig.assert_created_once(20);
}

/// The last commit has nobody to go to.
#[test]
fn a_stop_without_kafka_ends_in_time() {
    let rig = SinkRig::with(Options {
        write_latency: Duration::from_millis(50),
        ..Options::default()
    });
    rig.produce((0..200).map(create));
    let mut config = rig.config();
    config.top.push_str("\nshutdown_timeout: 4s");
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, 20);
    let Kafka::Embedded(kafka) = &rig.kafka else {
        panic!("the broker is embedded");
    };
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    bridge.signal("TERM");
    let start = Instant::now();
    wait_at_most(Duration::from_secs(90), "the end", || bridge.try_exit());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}: {}", bridge.log());
    kafka.with(|cluster| cluster.broker_up(1)).unwrap().unwrap();
    let bridge = rig.restart();
    rig.finish(bridge);
    rig.assert_created_once(200);
}

/// The most memory that a process has had, in bytes.
fn peak(bridge: &Bridge) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", bridge.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    words[1].parse::<u64>().unwrap() * 1024
}

#[test]
fn a_backlog_takes_no_more_memory_than_a_few_records() {
    const BACKLOG: u64 = 50_000;
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("memory", Options::default());
    let ids: Vec<String> = (0..500).map(|number| rig.row(number)).collect();
    let text = "x".repeat(2_000);
    let records = (0..BACKLOG).map(|number| {
        let id = &ids[usize::try_from(number).unwrap() % ids.len()];
        let value = json!({"sys_id": id, "description": text, "state": number.to_string()});
        Draft::new(value.to_string()).key(id.as_str())
    });
    rig.produce(records);
    let mut bridge = rig.start(&rig.config().sink("concurrency: 20"));
    bridge.wait_metric(
        "bridge_sink_records_total{table=\"incident\",operation=\"update\"}",
        3_000.0,
    );
    let peak = peak(&bridge);
    assert!(peak < 64 << 20, "{} MiB", peak >> 20);
    assert_eq!(bridge.terminate(), 0);
}
