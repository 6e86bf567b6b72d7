//! Ends of all kinds: kill -9, a broker that dies, SIGTERM in the middle, an instance that hangs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam_channel::after;
use real_kafka::{Broker, Embedded, Options, require_or_skip, shared};
use servicenow_sim::{Fault, Row, Rule, Sim, Target};

use crate::support::bridge::Bridge;
use crate::support::small::{self, SMALL};
use crate::support::{LONG, wait_at_most, wait_for};

fn sim() -> Sim {
    Sim::start(servicenow_sim::Options::default()).unwrap()
}

/// One life's share of a load: so many requests take a while each, so that something can happen in
/// the middle; those after them are refused, so that no machine is too slow to be interrupted.
fn allow(sim: &Sim, requests: usize, millis: u64) {
    let (table, delay) = (Target::table(SMALL), Duration::from_millis(millis));
    sim.faults().clear();
    let refused = Rule::new(table.clone(), Fault::Unavailable);
    sim.faults().add(refused.skip(requests));
    sim.faults().on(table, Fault::Delay(delay));
}

/// Whether everything that was there is acknowledged: the stamps are an hour old and more.
fn caught_up(bridge: &Bridge) -> bool {
    let lag = bridge.metric(&small::series("bridge_offset_lag_seconds"));
    (0.5..3000.0).contains(&lag)
}

/// A load that is killed every 1.5 s, while each answer takes 150 ms.
pub(crate) struct KilledLoad {
    pub(crate) topic: &'static str,
    pub(crate) rows: usize,
    /// Rows of a page.
    pub(crate) page: usize,
}

/// What became of a [`KilledLoad`] of which nothing is missing.
pub(crate) struct KilledLoadOutcome {
    pub(crate) kills: usize,
    pub(crate) repeated: usize,
}

impl KilledLoad {
    /// Runs it on the shared broker. No interval moves the checkpoint: it follows the
    /// acknowledgements.
    pub(crate) fn run(&self) -> KilledLoadOutcome {
        let (broker, topic) = (shared().unwrap(), self.topic);
        broker.create_topic(topic, 3, &[]).unwrap();
        let sim = sim();
        let ids = small::fill(&sim, self.rows);
        let folder = tempfile::tempdir().unwrap();
        let mut config = small::config(&sim, &broker.plain_addr(), topic)
            .source(&format!("batch_size: {}", self.page));
        config.offset = "flush_interval: 1h".to_owned();
        config.write(folder.path());
        let file = folder.path().join("offsets.json");
        let (mut kills, mut before) = (0, None);
        loop {
            allow(&sim, 14, 150);
            let bridge = Bridge::start(folder.path());
            let life = after(Duration::from_millis(1500));
            let now = wait_for("the checkpoint to move", || {
                let now = small::position(&file);
                let moved = now > before && life.is_full();
                (moved || caught_up(&bridge)).then_some(now)
            });
            if caught_up(&bridge) {
                assert_eq!(bridge.terminate(), 0);
                break;
            }
            bridge.kill();
            kills += 1;
            before = now;
        }
        let records = broker.reader().read_to_end(topic, LONG).unwrap();
        let repeated = small::assert_all(&ids, &records);
        // A page that is acknowledged and not in the checkpoint yet, and one on its way: what
        // docs/tutorial.md allows for.
        assert!(
            repeated <= kills * 2 * self.page,
            "{repeated} repeated rows after {kills} kills"
        );
        KilledLoadOutcome { kills, repeated }
    }
}

#[test]
fn killed_every_1500_ms_it_gets_on_and_loses_nothing() {
    if !require_or_skip() {
        return;
    }
    let load = KilledLoad {
        topic: "crash.kill",
        rows: 20_000,
        page: 500,
    };
    let KilledLoadOutcome { kills, .. } = load.run();
    assert!(kills >= 3, "only {kills} kills");
}

/// What the other partition has got comes again, so the load does not run far ahead of it.
#[test]
fn a_partition_without_a_leader_lets_few_pages_of_the_others_come_again() {
    const PAGES: usize = 60;
    const PAGE: usize = 100;
    /// The pages of a second, the two that always may be on their way, and one being sent.
    const AHEAD: usize = 5 + 2 + 1;
    let (sim, kafka) = (sim(), Embedded::start(2).unwrap());
    kafka.create_topic("t").unwrap();
    let leader = |broker| {
        let set = kafka.with(move |cluster| cluster.partition_leader("t", 0, broker));
        set.unwrap().unwrap();
    };
    leader(None);
    let ids = small::fill(&sim, PAGES * PAGE);
    let delay = Fault::Delay(Duration::from_millis(200));
    let pages = sim.faults().on(Target::table(SMALL), delay);
    let folder = tempfile::tempdir().unwrap();
    let config = small::config(&sim, kafka.bootstrap(), "t");
    config
        .source(&format!("batch_size: {PAGE}"))
        .write(folder.path());
    let bridge = Bridge::start(folder.path());
    let (mut asked, mut still) = (0, after(LONG));
    wait_for("the load to wait for the partition", || {
        let now = sim.faults().fired(pages);
        if now != asked {
            (asked, still) = (now, after(Duration::from_secs(2)));
        }
        (asked >= PAGES || asked > 0 && still.is_full()).then_some(())
    });
    assert!(asked < PAGES, "all pages were asked for");
    bridge.kill();
    leader(Some(1));
    let bridge = Bridge::start(folder.path());
    wait_for("the rows", || caught_up(&bridge).then_some(()));
    assert_eq!(bridge.terminate(), 0);
    let records = kafka.reader().read_to_end("t", LONG).unwrap();
    let repeated = small::assert_all(&ids, &records);
    assert!(
        repeated <= AHEAD * PAGE,
        "{repeated} repeated rows, {asked} pages asked for"
    );
}

/// Rows change while the broker is away; a key's versions must stay in order.
#[test]
fn a_broker_that_dies_and_comes_back_loses_nothing_and_keeps_the_order() {
    const KEYS: usize = 2_000;
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&Options::default()).unwrap();
    broker.create_topic("t", 3, &[]).unwrap();
    let sim = sim();
    let ids = small::fill(&sim, KEYS);
    let folder = tempfile::tempdir().unwrap();
    small::config(&sim, &broker.plain_addr(), "t").write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    let list: Vec<&String> = ids.iter().collect();
    let mut version = KEYS;
    let mut change = |count: usize| {
        for _ in 0..count {
            let id = list[version % KEYS];
            sim.update(SMALL, id, Row::new().set("name", version.to_string()))
                .unwrap();
            version += 1;
        }
        version
    };
    bridge.wait_metric(&small::produced("t"), 500.0);
    let outage = |change: &mut dyn FnMut(usize) -> usize, time: u64| {
        let end = after(Duration::from_secs(time));
        while !end.is_full() {
            change(40);
            after(Duration::from_millis(20)).recv().unwrap();
        }
    };
    outage(&mut change, 1);
    broker.kill();
    outage(&mut change, 5);
    bridge.wait_not_ready("kafka");
    assert_eq!(bridge.get("/healthz").0, 200, "a restart would not help");
    broker.restart().unwrap();
    let last = change(100);
    bridge.wait_ready();
    let reader = broker.reader();
    let newest: HashMap<&String, String> = (last - KEYS..last)
        .map(|version| (list[version % KEYS], version.to_string()))
        .collect();
    let mut seen: HashMap<String, Vec<u64>> = HashMap::new();
    wait_for("the last version of each row", || {
        seen.clear();
        for record in reader.read_to_end("t", LONG).unwrap() {
            let row: serde_json::Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
            let version = row["name"].as_str().unwrap().parse().unwrap();
            let key = String::from_utf8(record.key.unwrap()).unwrap();
            seen.entry(key).or_default().push(version);
        }
        let done = newest.iter().all(|(id, version)| {
            let versions = seen.get(*id);
            versions
                .and_then(|list| list.last())
                .map(u64::to_string)
                .as_ref()
                == Some(version)
        });
        done.then_some(())
    });
    for (key, versions) in &seen {
        assert!(versions.is_sorted(), "{key}: {versions:?}");
    }
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn stopped_in_the_middle_of_a_load_it_goes_on_without_a_repeated_row() {
    if !require_or_skip() {
        return;
    }
    let (broker, topic) = (shared().unwrap(), "crash.term");
    broker.create_topic(topic, 3, &[]).unwrap();
    let sim = sim();
    let ids = small::fill(&sim, 20_000);
    let folder = tempfile::tempdir().unwrap();
    let mut config = small::config(&sim, &broker.plain_addr(), topic);
    config.offset = "flush_interval: 1h".to_owned();
    config.write(folder.path());
    let mut stops = 0;
    loop {
        allow(&sim, 6, 50);
        let mut bridge = Bridge::start(folder.path());
        let (produced, least) = (small::produced(topic), 2_000.0);
        wait_for("rows", || {
            (bridge.metric(&produced) >= least || caught_up(&bridge)).then_some(())
        });
        let over = caught_up(&bridge);
        assert!(bridge.try_exit().is_none());
        assert_eq!(bridge.terminate(), 0);
        stops += 1;
        if over {
            break;
        }
    }
    assert!(stops >= 3, "only {stops} stops");
    let records = broker.reader().read_to_end(topic, LONG).unwrap();
    assert_eq!(small::assert_all(&ids, &records), 0, "after {stops} stops");
}

/// A bridge that has read the first page and waits for an answer that does not come.
fn hanging(timeout: &str) -> (Sim, Embedded, tempfile::TempDir, Bridge) {
    let (sim, kafka) = (sim(), Embedded::start(1).unwrap());
    kafka.create_topic("t").unwrap();
    small::fill(&sim, 3_000);
    let hang = Fault::Hang(Duration::from_secs(300));
    let hang = Rule::new(Target::table(SMALL), hang).skip(1);
    let id = sim.faults().add(hang);
    let folder = tempfile::tempdir().unwrap();
    let mut config = small::config(&sim, kafka.bootstrap(), "t").source("batch_size: 1000");
    config
        .top
        .push_str(&format!("\nshutdown_timeout: {timeout}"));
    config
        .servicenow("timeout_seconds: 300\nread_timeout_seconds: 300")
        .write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced("t"), 1_000.0);
    wait_for("the request that hangs", || {
        (sim.faults().fired(id) > 0).then_some(())
    });
    (sim, kafka, folder, bridge)
}

#[test]
fn an_instance_that_hangs_does_not_keep_it_from_stopping_in_time() {
    let (_sim, kafka, folder, bridge) = hanging("4s");
    let start = Instant::now();
    assert_eq!(bridge.terminate(), 0, "what was read was delivered");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(kafka.reader().count("t").unwrap(), 1_000);
    assert!(small::position(&folder.path().join("offsets.json")).is_some());
}

#[test]
fn a_second_signal_ends_at_once() {
    let (_sim, _kafka, folder, mut bridge) = hanging("300s");
    let start = Instant::now();
    bridge.signal("TERM");
    wait_for("the stop", || {
        bridge.log().contains("stopping: ").then_some(())
    });
    assert!(bridge.get("/readyz").1.contains("stopping"));
    assert!(bridge.try_exit().is_none(), "{}", bridge.log());
    bridge.signal("INT");
    let code = wait_at_most(LONG, "the end", || bridge.try_exit());
    assert_eq!(code, 0, "what was read was delivered");
    // Of the 300 s that it may take for what it has begun.
    assert!(start.elapsed() < LONG);
    assert!(bridge.log().contains("second signal"));
    assert!(small::position(&folder.path().join("offsets.json")).is_some());
}

#[test]
fn a_stop_without_kafka_says_what_is_left_and_the_next_start_sends_it() {
    const ROWS: usize = 3_000;
    let (sim, kafka) = (sim(), Embedded::start(1).unwrap());
    kafka.create_topic("t").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = small::config(&sim, kafka.bootstrap(), "t");
    config.top.push_str("\nshutdown_timeout: 2s");
    config.write(folder.path());
    let ids = small::fill(&sim, ROWS);
    let pages = sim.faults().on(Target::table(SMALL), Fault::Unavailable);
    let mut bridge = Bridge::start(folder.path());
    wait_for("the first request", || {
        (sim.faults().fired(pages) > 0).then_some(())
    });
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    sim.faults().remove(pages);
    bridge.wait_metric(&small::series("bridge_source_records_total"), 1_000.0);
    let start = Instant::now();
    bridge.signal("TERM");
    assert_eq!(bridge.wait_exit(), 75);
    let (took, log) = (start.elapsed(), bridge.log());
    assert!(took < Duration::from_secs(15), "{took:?} of 25 s\n{log}");
    assert!(log.contains("read but not acknowledged"), "{log}");
    assert!(!log.contains("left behind"), "all threads ended: {log}");
    assert_eq!(small::position(&folder.path().join("offsets.json")), None);
    kafka.with(|cluster| cluster.broker_up(1)).unwrap().unwrap();
    let bridge = Bridge::start(folder.path());
    wait_for("the rows", || caught_up(&bridge).then_some(()));
    assert_eq!(bridge.terminate(), 0);
    let records = kafka.reader().read_to_end("t", LONG).unwrap();
    // The first process may have had a request under way when the broker went.
    assert!(small::assert_all(&ids, &records) <= ROWS);
}
