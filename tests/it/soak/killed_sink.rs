//! How soon a sink that was killed writes again.

use std::time::{Duration, Instant};

use real_kafka::require_or_skip;
use servicenow_sim::{Options, Write};

use crate::support::bridge::Bridge;
use crate::support::sink::{SinkRig, TABLE, alive, by_row, create, update};
use crate::support::{wait_at_most, wait_for};

const KILLS: usize = 10;
/// Rows that records of the backlog change, each through all of its states.
const CHANGED: usize = 50;
const STATES: usize = 60;
/// Records of the backlog that make a row.
const CREATES: usize = 4_000;
/// Writes of one life before its kill.
const WRITES_OF_A_LIFE: usize = 100;
/// Five times what is promised, as the machine may be busy.
const MEDIAN_BOUND: Duration = Duration::from_secs(15);

fn backlog(rig: &SinkRig) -> Vec<String> {
    let ids: Vec<String> = (0..CHANGED).map(|number| rig.row(number)).collect();
    let share = CREATES / STATES + 1;
    for state in 0..STATES {
        let creates = (state * share..((state + 1) * share).min(CREATES)).map(create);
        rig.produce(
            ids.iter()
                .map(|id| update(id, "state", state))
                .chain(creates),
        );
    }
    ids
}

/// Waits until `count` writes that began after `since` went well, and gives when the first of them ended.
fn first_of_writes(rig: &SinkRig, bridge: &mut Bridge, since: Instant, count: usize) -> Instant {
    wait_for("the writes of a life", || {
        alive(bridge);
        let writes = rig.applied();
        let good = |write: &&Write| since < write.began && (200..300).contains(&write.status);
        let ends: Vec<Instant> = writes.iter().filter(good).map(|it| it.ended).collect();
        ends.iter().min().copied().filter(|_| count <= ends.len())
    })
}

/// What a kill leaves unknown is written again. Beside that each row went through its states in their order, and has
/// the last one.
fn assert_in_order(rig: &SinkRig, ids: &[String]) {
    let writes = rig.applied();
    let rows = by_row(&writes);
    for id in ids {
        let states = rows[id.as_str()].iter();
        let states = states.map(|write| write.field("state").unwrap().parse::<usize>().unwrap());
        let mut next = 0;
        for state in states {
            assert!(state <= next, "row {id}: {state} before {next}");
            next = next.max(state + 1);
        }
        assert_eq!(next, STATES, "row {id}");
        assert_eq!(
            rig.column(id, "state"),
            (STATES - 1).to_string(),
            "row {id}"
        );
    }
}

/// The session time-out is the default.
#[test]
#[ignore = "minutes: make soak"]
fn a_killed_sink_is_back() {
    if !require_or_skip() {
        return;
    }
    let options = Options {
        write_latency: Duration::from_millis(20),
        ..Options::default()
    };
    let rig = SinkRig::shared("soak-killed", options);
    let ids = backlog(&rig);
    let mut began = Instant::now();
    let config = rig.config().sink("concurrency: 4\ntransaction_time: 4s");
    let mut bridge = rig.start(&config);
    first_of_writes(&rig, &mut bridge, began, WRITES_OF_A_LIFE);
    let mut times = Vec::new();
    for _ in 0..KILLS {
        bridge.kill();
        assert!(
            rig.sim.count(TABLE).unwrap() < CREATES + CHANGED,
            "no backlog"
        );
        began = Instant::now();
        bridge = rig.restart();
        // What the instance still had of the process before does not count.
        let served = Instant::now();
        let first = first_of_writes(&rig, &mut bridge, served, WRITES_OF_A_LIFE);
        times.push(first - began);
    }
    wait_at_most(Duration::from_secs(300), "all rows", || {
        alive(&mut bridge);
        (rig.sim.count(TABLE).unwrap() == CREATES + CHANGED).then_some(())
    });
    rig.finish(bridge);
    rig.assert_created_once(CREATES + CHANGED);
    assert_in_order(&rig, &ids);
    assert_eq!(rig.letters().len(), 0);
    println!("killed sink: from the start to the first write {times:.2?}");
    times.sort();
    let median = (times[KILLS / 2 - 1] + times[KILLS / 2]) / 2;
    println!("killed sink: median {median:.2?}");
    assert!(median <= MEDIAN_BOUND, "{median:?}");
}
