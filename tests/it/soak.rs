//! Long trials, run by `make soak`: outages as long as real ones, and many seeds.
//!
//! `SOAK_MINUTES` (5) is how long an outage lasts, `SOAK_SEEDS` (20) how many loads a trial has. Each
//! trial prints what it did.

#![expect(clippy::print_stdout, reason = "one reads along for an hour")]

mod broker_return;
mod checkpoint;
mod deletes;
mod killed_sink;
mod late;
mod registry_return;
mod verify;

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::after;
use real_kafka::{Broker, Embedded, Options as Own, require_or_skip};
use servicenow_sim::{Fault, Options, Row, Rule, Sim, Target};

use crate::outage::{Outage, SHORT_TOKEN, Trial};
use crate::support::bridge::Bridge;
use crate::support::rig::{self, Rig};
use crate::support::sink::{Kafka, SinkRig, TABLE, alive, create, update};
use crate::support::wire;
use crate::support::{small, wait_at_most, wait_for};

/// A whole number in the environment, or `default`.
fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var_os(name).map(|text| text.into_string().unwrap());
    value.map_or(default, |text| text.parse().unwrap())
}

fn minutes() -> Duration {
    Duration::from_secs(60 * number("SOAK_MINUTES", 5))
}

fn seeds() -> std::ops::Range<u64> {
    0..number("SOAK_SEEDS", 20)
}

/// Lets `time` pass, doing `each` every second; the bridge stays alive, healthy, unready and small.
fn outage(bridge: &mut Bridge, time: Duration, mut each: impl FnMut(u64)) {
    let (end, mut second) = (after(time), 0);
    while !end.is_full() {
        alive(bridge);
        assert_eq!(bridge.get("/healthz").0, 200, "{}", bridge.log_tail());
        let kib = bridge.memory_kib("VmRSS");
        assert!(kib < 64 << 10, "{kib} KiB after {second} s");
        each(second);
        second += 1;
        after(Duration::from_secs(1)).recv().unwrap();
    }
    assert_eq!(bridge.get("/readyz").0, 503);
}

/// The pauses between attempts have grown by then: how long everything may take to go on.
const RECOVERY: Duration = Duration::from_secs(600);

/// An outage of this length in the middle of a first load, live polls and a backlog of the sink: little is
/// asked meanwhile, all are at work again at once, nothing is lost. The token ends meanwhile, so that the log-in
/// comes first.
fn away_for(time: Duration, outage: Outage) {
    if !wire::require_or_skip() {
        return;
    }
    let mut trial = Trial::start(SHORT_TOKEN);
    trial.begin(outage);
    let requests = trial.last(time);
    let (status, reasons) = trial.bridge.get("/readyz");
    assert_eq!(status, 503);
    let ended = Instant::now();
    trial.end();
    let back = trial.wait_back();
    let log_in = trial.log_ins().into_iter().find(|at| *at > ended);
    let log_in = log_in.expect("a new token").duration_since(ended);
    let ready = Instant::now();
    trial.bridge.wait_ready();
    let ready = ready.elapsed();
    println!(
        "{outage:?} for {time:?}: {requests} requests meanwhile; token {log_in:?}; at work again: \
         {back:?}; ready {ready:?} after the last of them; before: {reasons}"
    );
    assert!(requests <= 40.0 + time.as_secs_f64(), "{requests} requests");
    trial.finish();
}

#[test]
#[ignore = "minutes: make soak"]
fn ninety_seconds_away() {
    for outage in [
        Outage::Unavailable,
        Outage::Refused,
        Outage::BlackHole,
        Outage::Slow,
    ] {
        away_for(Duration::from_secs(90), outage);
    }
}

#[test]
#[ignore = "minutes: make soak"]
fn fifteen_minutes_away() {
    thread::scope(|scope| {
        for outage in [
            Outage::Unavailable,
            Outage::Refused,
            Outage::BlackHole,
            Outage::Slow,
        ] {
            scope.spawn(move || away_for(Duration::from_secs(15 * 60), outage));
        }
    });
}

#[test]
#[ignore = "minutes: make soak"]
fn an_instance_that_is_away_for_minutes_costs_the_sink_nothing() {
    let rig = SinkRig::new();
    let ids: Vec<String> = (0..10).map(|number| rig.row(number)).collect();
    let mut bridge = rig.start(&rig.config());
    bridge.wait_ready();
    let away = rig.sim.faults().on(Target::Any, Fault::Unavailable);
    let mut rounds = 0;
    outage(&mut bridge, minutes(), |second| {
        let versions = ids.iter().map(|id| update(id, "state", second));
        rig.produce(versions.chain([create(second)]));
        rounds = second + 1;
    });
    assert_eq!(rig.applied().len(), 0);
    rig.sim.faults().remove(away);
    let began = Instant::now();
    let rounds = usize::try_from(rounds).unwrap();
    wait_at_most(RECOVERY, "all rows", || {
        (rig.sim.count(TABLE).unwrap() == ids.len() + rounds).then_some(())
    });
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    println!(
        "sink: {rounds} rounds, over {:?} after the outage",
        began.elapsed()
    );
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(ids.len() + rounds);
    rig.assert_states_in_order(&ids, rounds);
    assert_eq!(rig.letters().len(), 0);
}

#[test]
#[ignore = "minutes: make soak"]
fn an_instance_that_is_away_for_minutes_costs_the_source_nothing() {
    let rig = Rig::new();
    rig.fill("incident", 1_000);
    let mut bridge = rig.start(&rig.config().source("batch_size: 100"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let away = rig.sim.faults().on(Target::Any, Fault::Unavailable);
    outage(&mut bridge, minutes(), |_| {
        rig.insert("incident");
    });
    rig.sim.faults().remove(away);
    let began = Instant::now();
    wait_at_most(RECOVERY, "readiness", || {
        (bridge.get("/readyz").0 == 200).then_some(())
    });
    println!("source: ready {:?} after the outage", began.elapsed());
    rig.finish(bridge, &rig.rows("incident"), 0);
}

/// Both directions at once, with the broker away: it dies without a word.
#[test]
#[ignore = "minutes: make soak"]
fn a_broker_that_is_away_for_minutes_costs_nothing() {
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&Own::default()).unwrap();
    let rig = SinkRig::on(Kafka::Own(broker), "soak", Options::default());
    rig.create_topic("soak.out", 3);
    let ids = small::fill(&rig.sim, 2_000);
    let mut config = rig.config();
    config.reads = true;
    config.tables = vec![format!("name: {}\ntopic: soak.out", small::SMALL)];
    let mut bridge = rig.start(&config);
    rig.produce((0..100).map(create));
    rig.wait_rows(&mut bridge, 100);
    rig.broker().kill();
    let mut list: Vec<&String> = ids.iter().collect();
    list.sort();
    let mut versions = 0;
    outage(&mut bridge, minutes(), |second| {
        let id = list[usize::try_from(second).unwrap() % list.len()];
        let row = Row::new().set("name", format!("version {second}"));
        rig.sim.update(small::SMALL, id, row).unwrap();
        versions = second + 1;
    });
    rig.broker().restart().unwrap();
    let began = Instant::now();
    rig.produce((100..200).map(create));
    wait_at_most(RECOVERY, "all rows", || {
        (rig.sim.count(TABLE).unwrap() == 200).then_some(())
    });
    let last = format!("version {}", versions - 1);
    wait_at_most(RECOVERY, "the last version", || {
        let records = rig.reader().read_to_end("soak.out", crate::support::LONG);
        let mut records = records.unwrap().into_iter();
        records
            .any(|it| it.value_text().contains(&last))
            .then_some(())
    });
    println!("broker: all there {:?} after the outage", began.elapsed());
    rig.finish(bridge);
    rig.assert_created_once(200);
    let records = rig.reader().read_to_end("soak.out", crate::support::LONG);
    let keys: HashSet<String> = records.unwrap().iter().map(|it| it.key_text()).collect();
    assert_eq!(keys, ids);
}

/// Answers are lost in every way, at random: creates happen once, rows keep their order.
#[test]
#[ignore = "minutes: make soak"]
fn lost_answers_of_many_seeds_make_no_second_row() {
    const ROUNDS: usize = 15;
    for seed in seeds() {
        let rig = SinkRig::new();
        let ids: Vec<String> = (0..10).map(|number| rig.row(number)).collect();
        let late = Fault::LateApply504 {
            after: Duration::from_millis(500),
        };
        let faults = [
            Fault::AppliedTimeout504,
            Fault::AppliedReset,
            Fault::BrokenBody201,
            Fault::Reset,
            Fault::Unavailable,
            late,
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let rule = Rule::new(Target::writes(TABLE), fault);
            let seed = seed * 100 + number as u64;
            rig.sim.faults().add(rule.chance(0.06).seed(seed));
        }
        let versions = (0..ROUNDS).flat_map(|version| {
            let updates = ids.iter().map(move |id| update(id, "state", version));
            updates.chain((0..10).map(move |number| create(version * 10 + number)))
        });
        rig.produce(versions);
        let bridge = rig.start(&rig.config().sink("transaction_time: 2s"));
        rig.finish(bridge);
        let struck = rig
            .sim
            .writes()
            .iter()
            .filter(|it| it.fault.is_some())
            .count();
        println!("lost answers: seed {seed}, {struck} faults");
        assert!(struck >= 20, "seed {seed}: only {struck} faults");
        rig.assert_created_once(ids.len() + ROUNDS * 10);
        rig.assert_states_in_order(&ids, ROUNDS);
        assert_eq!(rig.letters().len(), 0, "seed {seed}");
    }
}

/// Pages break in every way, at random: every row arrives once.
#[test]
#[ignore = "minutes: make soak"]
fn broken_pages_of_many_seeds_lose_and_repeat_nothing() {
    for seed in seeds() {
        let rig = Rig::new();
        rig.fill("incident", 2_000);
        let partial = Fault::PartialResult {
            share: 0.5,
            malformed: seed % 2 == 0,
        };
        let faults = [
            partial,
            Fault::CutJson,
            Fault::CutGzip,
            Fault::CutChunks { after: None },
            Fault::ResetMidBody { after: None },
            Fault::BadGateway,
            Fault::NotExecuted,
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let rule = Rule::new(Target::table("incident"), fault);
            let seed = seed * 100 + number as u64;
            rig.sim.faults().add(rule.chance(0.06).seed(seed));
        }
        let config = rig.config().servicenow("retry_backoff_seconds: 0.01");
        let bridge = rig.start(&config.source("batch_size: 50"));
        rig.finish(bridge, &rig.rows("incident"), 0);
        let asked = rig.asked("incident");
        let struck = asked.iter().filter(|it| it.fault.is_some()).count();
        println!(
            "broken pages: seed {seed}, {struck} of {} requests",
            asked.len()
        );
        assert!(struck >= 5, "seed {seed}: only {struck} faults");
    }
}

/// kill -9 at random moments of a load: nothing is lost.
#[test]
#[ignore = "minutes: make soak"]
fn kills_at_random_moments_lose_nothing() {
    const ROWS: usize = 20_000;
    for seed in seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let sim = Sim::start(Options::default()).unwrap();
        let kafka = Embedded::start(3).unwrap();
        kafka.create_topic("t").unwrap();
        let ids = small::fill(&sim, ROWS);
        let delay = Fault::Delay(Duration::from_millis(40));
        sim.faults().on(Target::table(small::SMALL), delay);
        let folder = tempfile::tempdir().unwrap();
        let config = small::config(&sim, kafka.bootstrap(), "t").source("batch_size: 500");
        config.write(folder.path());
        let mut kills = 0;
        loop {
            let bridge = Bridge::start(folder.path());
            let life = after(Duration::from_millis(random.u64(50..2_500)));
            let over = wait_for("the end of a life", || {
                let lag = bridge.metric(&small::series("bridge_offset_lag_seconds"));
                let caught_up = (0.5..3000.0).contains(&lag);
                (caught_up || life.is_full()).then_some(caught_up)
            });
            if over {
                assert_eq!(bridge.terminate(), 0);
                break;
            }
            bridge.kill();
            kills += 1;
        }
        let records = kafka
            .reader()
            .read_to_end("t", crate::support::LONG)
            .unwrap();
        let repeated = small::assert_all(&ids, &records);
        println!("kills: seed {seed}, {kills} kills, {repeated} repeated rows");
    }
}

/// A table's rows, as the instance has them, without a look at their order.
#[test]
#[ignore = "minutes: make soak"]
fn a_table_that_never_rests_arrives_as_it_is() {
    let rig = Rig::new();
    rig.fill("incident", 500);
    let churn = servicenow_sim::Churn::start(&rig.sim, "incident", 50.0, 200);
    let mut bridge = rig.start(&rig.config());
    let end = after(minutes());
    while !end.is_full() {
        alive(&mut bridge);
        assert!(bridge.memory_kib("VmRSS") < 64 << 10);
        after(Duration::from_secs(1)).recv().unwrap();
    }
    drop(churn);
    let rows = rig.rows("incident");
    let reader = rig.kafka.reader();
    wait_at_most(RECOVERY, "the last version of each row", || {
        let records = reader
            .read_to_end(rig::TOPIC, crate::support::LONG)
            .unwrap();
        let last: std::collections::BTreeMap<String, String> = records
            .iter()
            .map(|record| (record.key_text(), record.value_text()))
            .collect();
        println!("churn: {} records, {} rows", records.len(), rows.len());
        rows.iter()
            .all(|(id, text)| last.get(id) == Some(text))
            .then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
}
