//! Rows that become visible after rows with later timestamps: their transactions took long.

use std::time::Duration;

use crossbeam_channel::after;
use servicenow_sim::{Generator, Options};

use crate::support::rig::{Rig, TOPIC, check};
use crate::support::{LONG, wait_at_most};

/// Longest time after its timestamp at which a row of these tests becomes visible.
const LATEST: u64 = 30;
/// How long after it became visible a row may take: a minute is promised.
const PROMISED: Duration = Duration::from_secs(60);

/// Puts a row into the table that carries the present second and becomes visible later.
fn insert_late(rig: &Rig, random: &mut fastrand::Rng) {
    let row = Generator::new(random.u64(..), 0, 0).content();
    let delay = Duration::from_millis(random.u64(500..LATEST * 1000));
    rig.sim
        .insert_visible_later("incident", row, rig.sim.now(), delay)
        .unwrap();
}

/// Rows come for a while, one in seven of them late. The bridge is ended by `end` now and then.
fn load(settle: &str, ends: &[&str]) -> (Rig, crate::support::bridge::Bridge) {
    let mut random = fastrand::Rng::new();
    let rig = Rig::with(Options::default());
    rig.fill("incident", 60);
    let config = rig.config().source(&format!("settle: {settle}"));
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    for round in 0..=ends.len() {
        for number in 0..60 {
            if number % 7 == 0 {
                insert_late(&rig, &mut random);
            } else {
                rig.insert("incident");
            }
            after(Duration::from_millis(random.u64(0..60))).recv().ok();
        }
        match ends.get(round) {
            Some(&"kill") => bridge.kill(),
            Some(_) => assert_eq!(bridge.terminate(), 0),
            None => return (rig, bridge),
        }
        bridge = rig.start(&config);
    }
    unreachable!("the last round returns");
}

#[test]
fn they_arrive_over_restarts_and_kills() {
    let (rig, bridge) = load("10m", &["kill", "term", "kill"]);
    after(Duration::from_secs(LATEST)).recv().ok();
    let rows = rig.rows("incident");
    wait_at_most(PROMISED + LONG, "the late rows", || {
        let late = bridge.metric("bridge_source_late_rows_total{table=\"incident\"}");
        let records = rig.kafka.reader().read_to_end(TOPIC, LONG);
        let keys: std::collections::HashSet<String> =
            records.unwrap().iter().map(|it| it.key_text()).collect();
        (late > 0.0 && rows.keys().all(|id| keys.contains(id))).then_some(())
    });
    let requests = bridge.metric("bridge_source_sweep_requests_total{table=\"incident\"}");
    assert!(requests > 0.0);
    // What was acknowledged in the last instants before a kill may come again.
    assert_eq!(bridge.terminate(), 0);
    check(&rig.kafka.reader(), TOPIC, &rows, 60);
}
