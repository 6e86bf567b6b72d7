//! Rows that become visible after rows with later timestamps: their transactions took long.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crossbeam_channel::after;
use servicenow_sim::{Generator, Options};

use crate::support::rig::{Rig, TOPIC, check};
use crate::support::{LONG, wait_at_most};

/// How long after it became visible a row may take: a minute is promised.
const PROMISED: Duration = Duration::from_secs(60);
/// Rows that are there from the start.
const ROWS_BEFORE: usize = 60;
/// Rows between two ends of the bridge, and how many of them come late.
const ROWS_OF_ROUND: usize = 75;
const LATE_OF_ROUND: usize = 10;
/// How the bridge ends between two rounds.
const ENDS: [&str; 3] = ["kill", "term", "kill"];

const SWEEPS: &str = "bridge_source_sweep_requests_total{table=\"incident\"}";

/// What the last process of a trial did.
#[derive(Debug)]
pub(crate) struct LateFigures {
    /// The longest time from a row's becoming visible to its record.
    pub(crate) longest: Duration,
    /// Requests of the sweep.
    pub(crate) sweeps: f64,
    /// All requests for the table.
    pub(crate) requests: usize,
}

/// As long as nothing changes there is nothing to look for, however long that is.
#[test]
fn a_settled_quiet_table_is_not_listed() {
    // As many polls as fit between two sweeps, and more.
    const POLLS_OF_A_SWEEP: usize = 300;
    let rig = Rig::with(Options::default());
    rig.insert("incident");
    let mut bridge = rig.start(&rig.config().source("settle: 3s"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    wait_at_most(LONG, "the row to settle", || {
        let left = bridge.metric("bridge_source_unsettled_rows{table=\"incident\"}");
        (bridge.metric(SWEEPS) > 0.0 && left == 0.0).then_some(())
    });
    let before = bridge.metric(SWEEPS);
    rig.wait_polls("incident", POLLS_OF_A_SWEEP);
    assert_eq!(bridge.metric(SWEEPS), before);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn they_arrive_over_restarts_and_kills() {
    late_rows(fastrand::u64(..), Duration::from_secs(60));
}

/// Three hundred rows, of which forty become visible up to `latest` after their timestamps; the bridge is ended
/// now and then.
pub(crate) fn late_rows(seed: u64, latest: Duration) -> LateFigures {
    let mut random = fastrand::Rng::with_seed(seed);
    let rig = Rig::with(Options::default());
    let config = rig.config();
    rig.fill("incident", ROWS_BEFORE);
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    // When each late row becomes visible, in milliseconds.
    let mut late: HashMap<String, i64> = HashMap::new();
    let mut ends = ENDS.iter();
    let all = ROWS_OF_ROUND * (ENDS.len() + 1);
    for number in 1..=all {
        if number % ROWS_OF_ROUND < LATE_OF_ROUND {
            let row = Generator::new(random.u64(..), 0, 0).content();
            let delay = Duration::from_millis(random.u64(500..latest.as_secs() * 1_000));
            let visible = jiff::Timestamp::now() + delay;
            let stamp = rig.sim.now();
            let id = rig
                .sim
                .insert_visible_later("incident", row, stamp, delay)
                .unwrap();
            late.insert(id, visible.as_millisecond());
        } else {
            rig.insert("incident");
        }
        after(Duration::from_millis(random.u64(0..60))).recv().ok();
        if number % ROWS_OF_ROUND == 0
            && let Some(end) = ends.next()
        {
            match *end {
                "kill" => bridge.kill(),
                _ => assert_eq!(bridge.terminate(), 0),
            }
            bridge = rig.start(&config);
        }
    }
    assert_eq!(late.len(), 40, "seed {seed}");
    let all = ROWS_BEFORE + all;
    wait_at_most(latest + LONG, "half of the late rows", || {
        let visible = rig.rows("incident").len();
        (visible >= all - late.len() / 2).then_some(())
    });
    bridge.kill();
    rig.sim.clear_requests();
    bridge = rig.start(&config);
    wait_at_most(latest + PROMISED + LONG, "the late rows", || {
        let rows = rig.rows("incident");
        if rows.len() < all {
            return None;
        }
        let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
        let keys: HashSet<String> = records.iter().map(|it| it.key_text()).collect();
        rows.keys().all(|id| keys.contains(id)).then_some(())
    });
    let swept = bridge.metric("bridge_source_late_rows_total{table=\"incident\"}");
    let (sweeps, requests) = (bridge.metric(SWEEPS), rig.asked("incident").len());
    assert!(
        swept > 0.0 && sweeps > 0.0 && sweeps * 10.0 <= requests as f64,
        "seed {seed}: {swept} rows, {sweeps} of {requests} requests"
    );
    // What was acknowledged in the last instants before a kill may come again.
    assert_eq!(bridge.terminate(), 0);
    let records = check(&rig.kafka.reader(), TOPIC, &rig.rows("incident"), 60);
    let waits = late.iter().map(|(id, visible)| {
        let first = records.iter().find(|it| it.key_text() == *id).unwrap();
        u64::try_from(first.time - visible).unwrap_or(0)
    });
    let longest = Duration::from_millis(waits.max().unwrap());
    assert!(longest <= PROMISED, "seed {seed}: {longest:?}");
    LateFigures {
        longest,
        sweeps,
        requests,
    }
}
