//! The header `Date` of the instance's answers is wrong: once, now and then, for good.

use real_kafka::{require_or_skip, shared};
use servicenow_sim::{Fault, Options, Target};

use crate::support::bridge::{Bridge, run, texts};
use crate::support::config::Config;
use crate::support::rig::Rig;
use crate::support::wait_for;

const BACK: i64 = -7_200;

/// A rig with a running bridge that has read everything.
fn running() -> (Rig, Bridge) {
    let rig = Rig::new();
    rig.fill("incident", 30);
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    (rig, bridge)
}

/// Rows come, and all arrive once; what the bridge was told before does not hold it up.
fn goes_on(rig: &Rig, mut bridge: Bridge) {
    rig.insert("incident");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.wait_polls("incident", 3);
    bridge.wait_ready();
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn a_date_that_is_wrong_once_changes_nothing() {
    let (rig, mut bridge) = running();
    for shift in [BACK, -rig.sim.now(), -10, 10, -BACK] {
        let rule = rig
            .sim
            .faults()
            .on_next(1, Target::Any, Fault::DateShift(shift));
        wait_for("the wrong answer", || {
            (rig.sim.faults().fired(rule) > 0).then_some(())
        });
        rig.insert("incident");
        rig.wait_rows(&mut bridge, &rig.rows("incident"));
        let (code, words) = bridge.get("/readyz");
        assert_eq!(code, 200, "after {shift}: {words}");
    }
    assert!(
        bridge
            .log()
            .contains("a Date header of the instance is far off"),
        "{}",
        bridge.log_tail()
    );
    goes_on(&rig, bridge);
}

#[test]
fn the_first_date_of_all_is_the_wrong_one() {
    for shift in [BACK, -BACK] {
        let rig = Rig::new();
        rig.fill("incident", 30);
        rig.sim
            .faults()
            .on_next(1, Target::Any, Fault::DateShift(shift));
        let bridge = rig.start(&rig.config());
        goes_on(&rig, bridge);
    }
}

#[test]
fn dates_that_differ_at_each_answer_are_not_believed() {
    let (rig, mut bridge) = running();
    for fault in [Fault::DateScatter(7_200), Fault::DateScatter(30)] {
        let rule = rig.sim.faults().on(Target::Any, fault);
        for _ in 0..2 {
            rig.insert("incident");
            rig.wait_rows(&mut bridge, &rig.rows("incident"));
            rig.wait_polls("incident", 5);
        }
        rig.sim.faults().remove(rule);
    }
    goes_on(&rig, bridge);
}

/// Rows go on to arrive while the `Date` of every answer is off, and those that come late as well; afterwards
/// nothing has to be made up for.
#[test]
fn dates_that_stay_off_by_hours_hold_up_nothing_and_lose_nothing() {
    for shift in [BACK, -600, 600, -BACK] {
        let (rig, mut bridge) = running();
        let rule = rig.sim.faults().on(Target::Any, Fault::DateShift(shift));
        for _ in 0..3 {
            rig.insert("incident");
            rig.wait_rows(&mut bridge, &rig.rows("incident"));
            rig.wait_polls("incident", 5);
        }
        bridge.wait_ready();
        let position = rig.checkpoint()["incident"]["timestamp"].as_i64();
        assert!(position <= Some(rig.sim.now()), "{shift}: {position:?}");
        rig.sim.faults().remove(rule);
        goes_on(&rig, bridge);
    }
}

#[test]
fn dates_that_stay_back_by_more_are_told_and_nothing_is_lost() {
    let (rig, mut bridge) = running();
    // The position is now.
    rig.insert("incident");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.wait_checkpoint("incident", rig.newest("incident"));
    let rule = rig.sim.faults().on(Target::Any, Fault::DateShift(2 * BACK));
    rig.insert("incident");
    bridge.wait_not_ready("no rows were asked for");
    assert_eq!(bridge.get("/healthz").0, 200, "a restart would not help");
    let (_, reasons) = bridge.get("/readyz");
    assert!(reasons.contains("behind this host's"), "{reasons}");
    rig.wait_polls("incident", 2);
    rig.sim.faults().remove(rule);
    goes_on(&rig, bridge);
}

#[test]
fn a_position_ahead_of_the_clock_from_the_start_on_is_logged_and_counted_once() {
    let rig = Rig::new();
    rig.fill("incident", 3);
    let ahead = rig.sim.now() + 10 * 86_400;
    let checkpoint = format!(r#"{{"incident":{{"timestamp":{ahead},"last_identifier":"x"}}}}"#);
    std::fs::write(rig.folder.path().join("offsets.json"), checkpoint).unwrap();
    let mut bridge = rig.start(&rig.config());
    let errors = "bridge_source_errors_total{table=\"incident\",error_type=\"position\"}";
    bridge.wait_metric(errors, 1.0);
    bridge.wait_not_ready("s ahead of the instance's clock");
    rig.wait_polls("incident", 2);
    assert_eq!(bridge.log().matches("the table stands still").count(), 1);
    assert!((bridge.metric(errors) - 1.0).abs() < 0.5, "told once");
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_clock_that_differs_from_this_hosts_is_told() {
    for (skew_seconds, words) in [
        (-60, "s behind this host's"),
        (60, "s ahead of this host's"),
    ] {
        let rig = Rig::with(Options {
            skew_seconds,
            ..Options::default()
        });
        rig.fill("incident", 3);
        let config = rig.config();
        config.write(rig.folder.path());
        let (output, errors, code) = texts(&run(rig.folder.path(), &["check", "--connect"]));
        assert_eq!(code, 0, "{output}{errors}");
        assert!(output.contains(words), "{output}");
        let mut bridge = rig.start(&config);
        bridge.wait_ready();
        let (code, page) = bridge.get("/readyz");
        assert!(code == 200 && page.contains("clock: "), "{page}");
        assert!(page.contains(words), "{page}");
        assert!(bridge.log().contains(words), "{}", bridge.log_tail());
        rig.finish(bridge, &rig.rows("incident"), 0);
    }
}

/// The broker refuses the time of the records; which of the two clocks is wrong is known.
#[test]
fn a_host_that_is_hours_ahead_is_named_when_kafka_refuses_the_time() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    for (skew_seconds, topic, words) in [
        (
            BACK,
            "dates.ahead",
            "this host's clock, which gives records their time, is 2.0 h ahead",
        ),
        (0, "dates.right", "check this host's clock"),
    ] {
        // Each record is older than that when it arrives.
        broker
            .create_topic(topic, 1, &[("message.timestamp.before.max.ms", "0")])
            .unwrap();
        let rig = Rig::with(Options {
            skew_seconds,
            ..Options::default()
        });
        rig.fill("incident", 3);
        let mut config = Config::new(rig.sim.url(), &broker.plain_addr());
        config = config.topic(topic);
        let bridge = rig.start(&config);
        bridge.wait_not_ready(words);
        assert_eq!(bridge.terminate(), 0, "nothing is on its way");
    }
}
