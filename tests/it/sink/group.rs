//! Members of a group come, go and die; the broker dies and comes back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use real_kafka::{Broker, Options as Own, require_or_skip};
use servicenow_sim::{Fault, Operation, Options, Target};
use tempfile::TempDir;

use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::sink::{Kafka, SinkRig, TABLE, create, update};
use crate::support::{wait_at_most, wait_for};

/// Records of each partition that come again after a crash, with five workers.
const EXPOSED: usize = 64 * 5;
const ROWS: usize = 20;

/// An instance of the bridge with a folder of its own.
struct Member {
    _folder: TempDir,
    bridge: Bridge,
}

impl Member {
    fn start(config: &Config) -> Member {
        let folder = tempfile::tempdir().unwrap();
        config.write(folder.path());
        let bridge = Bridge::start(folder.path());
        Member {
            _folder: folder,
            bridge,
        }
    }

    /// Waits until it was given partitions `times` times.
    fn wait_partitions(&mut self, times: usize) {
        wait_at_most(Duration::from_secs(90), "partitions", || {
            assert!(self.bridge.try_exit().is_none(), "{}", self.bridge.log());
            let log = self.bridge.log();
            let ours = log
                .lines()
                .filter(|line| line.contains("partitions are ours") && line.contains(".in/"));
            (times <= ours.count()).then_some(())
        });
    }
}

/// The death of a member is noticed soon.
fn config(rig: &SinkRig) -> Config {
    rig.config()
        .kafka("properties: {session.timeout.ms: '6000'}")
}

fn slow(latency: u64) -> Options {
    Options {
        write_latency: Duration::from_millis(latency),
        ..Options::default()
    }
}

/// Writes versions of the rows and creates until `end`; gives how many rounds there were.
fn load(rig: &SinkRig, ids: &[String], end: &AtomicBool, rounds: &AtomicUsize) {
    let (_trigger, pause) = crossbeam_channel::bounded::<()>(0);
    while !end.load(Relaxed) {
        let round = rounds.load(Relaxed);
        let updates = ids.iter().map(|id| update(id, "short_description", round));
        rig.produce(updates.chain([create(round)]));
        rounds.fetch_add(1, Relaxed);
        pause.recv_timeout(Duration::from_millis(100)).unwrap_err();
    }
}

/// Writes by what they wrote: how often each was carried out.
fn counts(rig: &SinkRig) -> HashMap<(Operation, String, String), usize> {
    let mut counts = HashMap::new();
    for write in rig.applied() {
        let what = match write.operation {
            Operation::Insert => write.field("correlation_id").unwrap().to_owned(),
            _ => write.field("short_description").unwrap().to_owned(),
        };
        let row = match write.operation {
            Operation::Insert => String::new(),
            _ => write.sys_id.clone(),
        };
        *counts.entry((write.operation, row, what)).or_insert(0) += 1;
    }
    counts
}

#[test]
fn members_die_come_and_go() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("group-members", slow(5));
    let ids: Vec<String> = (0..ROWS).map(|number| rig.row(number)).collect();
    let (end, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let config = config(&rig);
    let mut last = thread::scope(|scope| {
        let loading = thread::Builder::new()
            .spawn_scoped(scope, || load(&rig, &ids, &end, &rounds))
            .unwrap();
        let mut first = Member::start(&config);
        first.wait_partitions(1);
        let mut second = Member::start(&config);
        second.wait_partitions(1);
        first.bridge.kill();
        second.wait_partitions(2);
        let mut third = Member::start(&config);
        third.wait_partitions(1);
        assert_eq!(second.bridge.terminate(), 0);
        third.wait_partitions(2);
        end.store(true, Relaxed);
        loading.join().unwrap();
        third
    });
    let rounds = rounds.into_inner();
    rig.wait_done(&mut last.bridge);
    last.bridge.wait_ready();
    assert_eq!(last.bridge.terminate(), 0);

    rig.assert_created_once(ROWS + rounds);
    for id in &ids {
        let last = rig.column(id, "short_description");
        assert_eq!(last, (rounds - 1).to_string(), "row {id}");
    }
    let counts = counts(&rig);
    assert_eq!(counts.len(), (ROWS + 1) * rounds, "each was written");
    let again: usize = counts.values().map(|count| count - 1).sum();
    assert!(again <= EXPOSED * 4, "{again} came again");
    assert_eq!(rig.letters().len(), 0);
}

/// One of two members is stopped in the middle: nothing is written twice.
fn hand_over(name: &str, latency: u64, records: usize) {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared(name, slow(latency));
    let config = config(&rig);
    let mut first = Member::start(&config);
    first.wait_partitions(1);
    let mut second = Member::start(&config);
    second.wait_partitions(1);
    rig.produce((0..records).map(create));
    rig.wait_rows(&mut second.bridge, records / 10);
    assert_eq!(first.bridge.terminate(), 0);
    assert!(
        rig.sim.count(TABLE).unwrap() < records,
        "it was over already"
    );
    rig.wait_done(&mut second.bridge);
    assert_eq!(second.bridge.terminate(), 0);
    let writes = rig.sim.writes();
    assert_eq!(writes.len(), records, "each was sent once");
    rig.assert_created_once(records);
}

#[test]
fn a_hand_over_repeats_nothing() {
    hand_over("group-hand-over", 20, 2_000);
}

#[test]
fn a_hand_over_waits_for_slow_writes() {
    hand_over("group-slow", 500, 200);
}

/// Partitions that were given away while the member had its hands full come back to it.
#[test]
fn a_partition_that_comes_back_is_read_again() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("group-back", Options::default());
    rig.produce((0..500).map(create));
    let away = rig
        .sim
        .faults()
        .on(Target::writes(TABLE), Fault::Unavailable);
    let config = config(&rig);
    let mut first = Member::start(&config);
    first.wait_partitions(1);
    let out = format!("bridge_sink_in_flight_records{{topic=\"{}\"}}", rig.topic());
    wait_for("a full pipe", || {
        (80.0 <= first.bridge.metric(&out)).then_some(())
    });
    let mut second = Member::start(&config);
    second.wait_partitions(1);
    rig.sim.faults().remove(away);
    rig.wait_done(&mut second.bridge);
    assert_eq!(second.bridge.terminate(), 0);
    // The first has nothing to do now, and no reason to wait with what comes.
    first.wait_partitions(2);
    rig.produce((500..700).map(create));
    rig.wait_done(&mut first.bridge);
    assert_eq!(first.bridge.terminate(), 0);
    rig.assert_created_once(700);
}

#[test]
fn a_broker_dies_and_comes_back() {
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&Own::default()).unwrap();
    let rig = SinkRig::on(Kafka::Own(broker), "group-broker", slow(20));
    rig.produce((0..600).map(create));
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, 100);
    rig.broker().kill();
    wait_for("/readyz to say so", || {
        (bridge.get("/readyz").0 == 503).then_some(())
    });
    assert_eq!(bridge.get("/healthz").0, 200);
    rig.broker().restart().unwrap();
    rig.produce((600..800).map(create));
    wait_at_most(Duration::from_secs(120), "all rows", || {
        (rig.sim.count(TABLE).unwrap() == 800).then_some(())
    });
    wait_at_most(Duration::from_secs(90), "readiness", || {
        (bridge.get("/readyz").0 == 200).then_some(())
    });
    rig.finish(bridge);
    rig.assert_created_once(800);
}
