//! `content_cycle`: changes that move neither timestamp nor count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use servicenow_sim::{Generator, Removal, Row};

use crate::support::bridge::Bridge;
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

fn rows(bridge: &Bridge, state: &str) -> f64 {
    let series = format!("bridge_content_rows_total{{table=\"incident\",state=\"{state}\"}}");
    bridge.metric_if_any(&series).unwrap_or(0.0)
}

/// Waits for the end of `count` cycles that begin later.
fn wait_cycles(bridge: &Bridge, count: usize) {
    let done = || {
        let log = bridge.log();
        log.matches("every row of the content cycle is read")
            .count()
    };
    let before = done();
    // One of them may be under way.
    wait_for("further content cycles", || {
        (done() > before + count).then_some(())
    });
}

/// The values of each key, oldest first.
fn values(rig: &Rig) -> BTreeMap<String, Vec<Option<Vec<u8>>>> {
    let mut values: BTreeMap<String, Vec<Option<Vec<u8>>>> = BTreeMap::new();
    for record in rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap() {
        values
            .entry(record.key_text())
            .or_default()
            .push(record.value);
    }
    values
}

fn wait_newest(rig: &Rig) {
    wait_for("each row as it is now", || {
        let rows = rig.rows("incident").into_iter();
        let rows: BTreeMap<String, Option<Vec<u8>>> =
            rows.map(|(id, row)| (id, Some(row.into_bytes()))).collect();
        let held = values(rig).into_iter();
        let held = held.map(|(id, mut values)| (id, values.pop().flatten()));
        let held = held.filter(|(_, value)| value.is_some());
        (held.collect::<BTreeMap<_, _>>() == rows).then_some(())
    });
}

/// No value of a row comes twice.
fn assert_nothing_again(rig: &Rig) {
    for (id, values) in values(rig) {
        let distinct: BTreeSet<_> = values.iter().collect();
        assert_eq!(distinct.len(), values.len(), "row {id} came again");
    }
}

fn change_silently(rig: &Rig, id: &str, text: &str) {
    let row = Row::new().set("short_description", text);
    rig.sim.update_silently("incident", id, row).unwrap();
}

#[test]
fn silent_changes_arrive_once_and_nothing_else_again() {
    let rig = Rig::new();
    rig.fill("incident", 400);
    let lines = "batch_size: 50\ncontent_cycle: 1s\nsettle: 2s\n\
                 deletes: compare\ndelete_compare_interval: 1s";
    let mut bridge = rig.start(&rig.config().source(lines));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let ids: Vec<String> = rig.rows("incident").into_keys().collect();
    for (number, id) in ids.iter().enumerate().skip(10) {
        match number % 10 {
            0 => change_silently(&rig, id, "silently"),
            // The stream reads at the same time.
            1 | 2 => rig
                .sim
                .update("incident", id, [("short_description", "by a user")])
                .unwrap(),
            _ => continue,
        }
    }
    rig.sim
        .delete_as("incident", &ids[0], Removal::Cleaner)
        .unwrap();
    wait_newest(&rig);
    // On top of a version that has not settled yet.
    let young = rig.insert("incident");
    wait_newest(&rig);
    change_silently(&rig, &young, "once more");
    wait_newest(&rig);
    wait_cycles(&bridge, 2);
    assert_nothing_again(&rig);
    assert_eq!(
        (rows(&bridge, "changed"), rows(&bridge, "unknown")),
        (40.0, 0.0)
    );
    assert_eq!(rows(&bridge, "missed"), 0.0);
    let status = bridge.status()["tables"][0]["content"].clone();
    assert_eq!(status["changed"], 40, "{status}");
    assert!(status["age"].as_f64().is_some(), "{status}");
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_kill_in_the_middle_is_gone_on_from_and_repeats_nothing() {
    let rig = Rig::new();
    rig.fill("incident", 400);
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.wait_checkpoint("incident", rig.newest("incident"));
    assert_eq!(bridge.terminate(), 0);
    let ids: Vec<String> = rig.rows("incident").into_keys().collect();
    for id in ids.iter().step_by(8) {
        change_silently(&rig, id, "silently");
    }
    // Forty pages, three in a second.
    let config = rig.config().source("batch_size: 10\ncontent_cycle: 12s");
    let kept = rig.folder.path().join("offsets.json.content/incident.json");
    let read = || {
        let state: Value = serde_json::from_slice(&fs::read(&kept).ok()?).ok()?;
        assert_eq!(state["is_over"], false, "it is not over");
        state["read"].as_u64()
    };
    for (end, enough) in [("kill", 60), ("term", 160), ("kill", 240)] {
        let bridge = rig.start(&config);
        wait_for("a state in the middle", || {
            read().filter(|rows| *rows >= enough)
        });
        match end {
            "kill" => bridge.kill(),
            _ => assert_eq!(bridge.terminate(), 0),
        }
    }
    let before = rig.asked("incident").len();
    let bridge = rig.start(&config);
    wait_newest(&rig);
    let asked = rig.asked("incident");
    let by_key = asked.iter().skip(before).filter_map(|request| {
        let query = request.param("sysparm_query")?;
        let is_by_key = query.ends_with("ORDERBYsys_id") && query.matches("ORDERBY").count() == 1;
        is_by_key.then_some(query)
    });
    let first = by_key.clone().next().unwrap();
    assert!(first.contains("sys_id>"), "it goes on: {first}");
    assert_nothing_again(&rig);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_row_that_never_came_is_found_where_the_topic_begins_before_it() {
    let rig = Rig::new();
    // As an import writes them, with the timestamps that they had.
    let insert = |age: i64, count: usize| {
        let rows = Generator::new(fastrand::u64(..), 0, rig.sim.now() - age);
        rig.sim.insert_many("incident", rows.take(count)).unwrap();
    };
    insert(20_000, 30);
    let mut bridge = rig.start(&rig.config().source("content_cycle: 1s"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.insert("incident");
    wait_newest(&rig);
    // The poller begins behind its position.
    rig.wait_checkpoint("incident", rig.newest("incident"));
    insert(12_000, 5);
    bridge.wait_metric(
        "bridge_content_rows_total{table=\"incident\",state=\"missed\"}",
        5.0,
    );
    wait_newest(&rig);
    insert(90_000, 5);
    wait_cycles(&bridge, 2);
    assert!(rows(&bridge, "left_out") >= 10.0);
    assert_eq!((rows(&bridge, "missed"), values(&rig).len()), (5.0, 36));
    assert_nothing_again(&rig);
    assert_eq!(bridge.terminate(), 0);
}
