//! Rows that access rules hide: they shorten pages, and must not end a load or swallow a row.

use servicenow_sim::{Generator, Row};

use crate::support::rig::Rig;
use crate::support::wait_for;

const HIDDEN: &str = "not for everybody";

/// Adds rows from `second` on (seconds ago) and hides them if told so.
fn add(rig: &Rig, ago: i64, count: usize, per_second: u64, hidden: bool) {
    let rows = Generator::new(fastrand::u64(..), 0, rig.sim.now() - ago);
    let rows = rows.rows_per_second(per_second).take(count);
    let rows = rows.map(|row| {
        if hidden {
            row.set("short_description", HIDDEN)
        } else {
            row
        }
    });
    rig.sim.insert_many("incident", rows).unwrap();
}

fn is_visible(row: &Row) -> bool {
    row.get("short_description") != Some(HIDDEN)
}

fn hide(rig: &Rig) {
    rig.sim
        .hide("incident", |row| row.get("short_description") == HIDDEN)
        .unwrap();
}

/// Loads everything visible, without a duplicate; the gauge tells how many rows are hidden.
fn load(rig: &Rig, batch: u32, hidden: usize) {
    hide(rig);
    let rows = rig.rows_where("incident", is_visible);
    let config = rig.config().source(&format!("batch_size: {batch}"));
    let mut bridge = rig.start(&config);
    bridge.wait_metric(
        "bridge_source_hidden_rows{table=\"incident\"}",
        hidden as f64,
    );
    rig.wait_rows(&mut bridge, &rows);
    bridge.wait_ready();
    let gauge = bridge.metric("bridge_source_hidden_rows{table=\"incident\"}");
    assert_eq!(gauge, hidden as f64, "the gauge keeps what was seen last");
    let log = bridge.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains("rows are hidden from the integration user"));
    assert_eq!(warnings.count(), 1, "{log}");
    rig.finish(bridge, &rows, 0);
}

#[test]
fn four_thousand_hidden_rows_in_the_middle() {
    let rig = Rig::new();
    add(&rig, 5_000, 350, 10, false);
    add(&rig, 4_000, 4_000, 10, true);
    add(&rig, 2_000, 350, 10, false);
    load(&rig, 100, 4_000);
}

#[test]
fn four_thousand_hidden_rows_of_one_second_among_visible_ones() {
    let rig = Rig::new();
    add(&rig, 5_000, 350, 350, false);
    add(&rig, 5_000, 4_000, 4_000, true);
    add(&rig, 4_999, 50, 50, false);
    load(&rig, 100, 4_000);
}

#[test]
fn three_hundred_rows_behind_two_thousand_hidden_ones() {
    let rig = Rig::new();
    add(&rig, 5_000, 2_000, 10, true);
    add(&rig, 3_000, 300, 10, false);
    load(&rig, 1_000, 2_000);
}

#[test]
fn a_hidden_row_here_and_there() {
    let rig = Rig::new();
    for second in 0..300 {
        add(&rig, 5_000 - second, 3, 3, false);
        add(&rig, 5_000 - second, 1, 1, true);
    }
    load(&rig, 100, 300);
}

#[test]
fn a_table_that_is_hidden_as_a_whole_is_no_trouble() {
    let rig = Rig::new();
    add(&rig, 5_000, 500, 10, true);
    hide(&rig);
    let mut bridge = rig.start(&rig.config().source("batch_size: 100"));
    bridge.wait_metric("bridge_source_hidden_rows{table=\"incident\"}", 500.0);
    bridge.wait_ready();
    // Access that is granted later brings the rows that change from then on.
    rig.sim.show_all("incident").unwrap();
    let id = rig.insert("incident");
    let rows = rig.rows("incident");
    wait_for("the row that is visible", || {
        let records = rig.kafka.reader().read_to_end(super::TOPIC, super::LONG);
        records
            .unwrap()
            .iter()
            .any(|record| record.key_text() == id)
            .then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(super::TOPIC, super::LONG);
    for record in records.unwrap() {
        assert_eq!(record.value_text(), rows[&record.key_text()]);
    }
}
