//! kill -9 again and again: no record is lost, no row is made twice.

use std::time::Duration;

use crossbeam_channel::after;
use real_kafka::require_or_skip;
use servicenow_sim::{Fault, Options, Rule, Target};

use crate::support::sink::{SinkRig, TABLE, alive, create};
use crate::support::wait_for;

/// What makes a group notice a member that was killed in less than a life.
pub(super) const SOON: &str = "properties: {session.timeout.ms: 1500, heartbeat.interval.ms: 300}";

#[test]
fn killed_again_and_again_it_makes_each_row_once() {
    const ROWS: usize = 3_000;
    /// What one life gets done at most, whatever its kill is late by.
    const SHARE: usize = 700;
    if !require_or_skip() {
        return;
    }
    let options = Options {
        write_latency: Duration::from_millis(25),
        ..Options::default()
    };
    let rig = SinkRig::shared("crash", options);
    rig.produce((0..ROWS).map(create));
    let config = rig.config().kafka(SOON).sink("concurrency: 30");
    config.write(rig.folder.path());
    let rows = || rig.sim.count(TABLE).unwrap();
    let (mut kills, mut before) = (0, 0);
    loop {
        // Each record before is sent once more, then comes what is new, and then nothing goes.
        let refused = Rule::new(Target::writes(TABLE), Fault::Unavailable);
        rig.sim.faults().clear();
        rig.sim.faults().add(refused.skip(before + SHARE));
        let mut bridge = rig.restart();
        wait_for("further rows", || {
            alive(&mut bridge);
            (before < rows()).then_some(())
        });
        // In the middle of its work.
        let life = after(Duration::from_millis(400));
        wait_for("its end", || {
            (life.is_full() || rows() == ROWS).then_some(())
        });
        before = rows();
        if before == ROWS {
            rig.finish(bridge);
            break;
        }
        bridge.kill();
        kills += 1;
    }
    assert!(kills >= 4, "only {kills} kills");
    rig.assert_created_once(ROWS);
    assert_eq!(rig.letters().len(), 0);
}
