//! How soon all are at work again when a broker comes back.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::tick;
use real_kafka::{Broker, Options as Own, require_or_skip};
use servicenow_sim::{Fault, Generator, Options, Target};

use crate::support::bridge::Bridge;
use crate::support::rig::{self, rows_of, topic_of};
use crate::support::sink::{Kafka, SinkRig, TABLE, alive, create};
use crate::support::{LONG, wait_at_most, wait_for};

/// The table of the first load.
const LOAD: &str = "problem";
/// The table in which rows appear all the time.
const LIVE: &str = "change_request";
/// More rows than the queue of the producer takes.
const LOADED_ROWS: usize = 10_000;
/// Records of the sink's backlog.
const CREATES: usize = 4_000;
/// How long the broker is away.
const AWAY: Duration = Duration::from_secs(30);
/// Five times what is promised, as the machine may be busy.
const BOUND: Duration = Duration::from_secs(10);

/// The count of acknowledged records of a table.
fn produced(table: &str) -> String {
    rig::produced(table, &topic_of(table))
}

/// A load, a table that is polled and a backlog, each begun and not at its end.
fn under_way(rig: &SinkRig) -> Bridge {
    for table in [LOAD, LIVE] {
        rig.create_topic(&topic_of(table), 4);
    }
    let rows = Generator::new(7, 0, rig.sim.now() - 7_200);
    rig.sim.insert_many(LOAD, rows.take(LOADED_ROWS)).unwrap();
    let slow = Fault::Delay(Duration::from_millis(25));
    rig.sim.faults().on(Target::table(LOAD), slow);
    // Small batches, of which little is fetched ahead: the backlog is the broker's.
    for batch in 0..CREATES / 40 {
        rig.produce((batch * 40..batch * 40 + 40).map(create));
    }
    let mut config = rig.config().sink("concurrency: 3").source("batch_size: 50");
    config =
        config.kafka("properties: {queued.min.messages: '20', fetch.message.max.bytes: '4096'}");
    config.reads = true;
    config.tables = vec![format!("name: {LOAD}"), format!("name: {LIVE}")];
    let mut bridge = rig.start(&config);
    rig::insert(&rig.sim, LIVE);
    bridge.wait_metric(&produced(LIVE), 1.0);
    bridge.wait_metric(&produced(LOAD), 100.0);
    wait_for("the first writes", || {
        (rig.applied().len() > 50).then_some(())
    });
    bridge
}

/// Starts the broker and gives when it took a connection, and when it told a client of itself.
fn restart(broker: &Broker) -> (Instant, Instant) {
    thread::scope(|scope| {
        let start = scope.spawn(|| broker.restart().unwrap());
        let address = broker.plain_addr();
        wait_for("the broker's port", || TcpStream::connect(&address).ok());
        let accepts = Instant::now();
        wait_for("metadata", || {
            broker
                .reader()
                .answers(Duration::from_secs(1))
                .then_some(())
        });
        let answers = Instant::now();
        start.join().unwrap();
        (accepts, answers)
    })
}

/// When each table had a further record acknowledged.
fn wait_acknowledged(bridge: &Bridge, before: [f64; 2]) -> [Instant; 2] {
    let mut at = [None; 2];
    wait_at_most(LONG * 2, "a record of each table", || {
        for ((at, table), before) in at.iter_mut().zip([LOAD, LIVE]).zip(before) {
            if at.is_none() && before < bridge.metric(&produced(table)) {
                *at = Some(Instant::now());
            }
        }
        Some([at[0]?, at[1]?])
    })
}

#[test]
#[ignore = "minutes: make soak"]
fn a_broker_that_comes_back() {
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&Own::default()).unwrap();
    let options = Options {
        write_latency: Duration::from_millis(20),
        ..Options::default()
    };
    let rig = SinkRig::on(Kafka::Own(broker), "soak-return", options);
    let mut bridge = under_way(&rig);
    rig.broker().kill();
    let (second, gone) = (tick(Duration::from_secs(1)), Instant::now());
    while gone.elapsed() < AWAY {
        second.recv().unwrap();
        alive(&mut bridge);
        rig::insert(&rig.sim, LIVE);
    }
    let before = [LOAD, LIVE].map(|table| bridge.metric(&produced(table)));
    let written = rig.applied();
    let last = written.last().unwrap().ended;
    assert!(
        last + AWAY / 3 < Instant::now(),
        "the sink still writes: too much was fetched ahead"
    );
    assert!(written.len() < CREATES && before[0] < LOADED_ROWS as f64);
    let ((accepts, answers), [load, live]) = thread::scope(|scope| {
        let acknowledged = scope.spawn(|| wait_acknowledged(&bridge, before));
        (restart(rig.broker()), acknowledged.join().unwrap())
    });
    let sink = wait_at_most(LONG, "a write", || {
        let writes = rig.applied();
        writes.get(written.len()).map(|write| write.ended)
    });
    let times = [
        ("the load", load),
        ("the live table", live),
        ("the sink", sink),
    ]
    .map(|(what, at)| (what, at.saturating_duration_since(answers)));
    println!(
        "broker back: it answered {:.2?} after it took connections; after that {times:.2?}",
        answers - accepts
    );
    for table in [LOAD, LIVE] {
        let rows = rows_of(&rig.sim, table);
        let (reader, topic) = (rig.reader(), topic_of(table));
        rig::wait_rows(&reader, &mut bridge, (table, &topic), &rows);
    }
    wait_at_most(LONG * 2, "all rows of the backlog", || {
        alive(&mut bridge);
        (rig.sim.count(TABLE).unwrap() == CREATES).then_some(())
    });
    rig.finish(bridge);
    for table in [LOAD, LIVE] {
        let rows = rows_of(&rig.sim, table);
        rig::check(&rig.reader(), &topic_of(table), &rows, 0);
    }
    rig.assert_created_once(CREATES);
    assert_eq!(rig.letters().len(), 0);
    for (what, time) in times {
        assert!(time <= BOUND, "{what}: {time:?}");
    }
}
