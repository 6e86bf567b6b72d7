//! Deleted rows: tombstones for those that are gone, and for no others.

use real_kafka::Record;
use servicenow_sim::{CascadeTrace, LiteralTz, Options, Removal};
use std::collections::BTreeSet;
use std::fs;

use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A table that looks for deletes in this way, with short waits and an admin token.
pub(crate) fn config(rig: &Rig, lines: &str) -> Config {
    let token = rig.folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let mut config = rig.config().table(lines);
    config.top = format!("  admin_token_file: {}\n{}", token.display(), config.top);
    config.source("delete_compare_interval: 2s")
}

/// The last record of each key of `incident`, and which of them are tombstones.
fn tombstones(rig: &Rig) -> BTreeSet<String> {
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    let mut gone = BTreeSet::new();
    for record in &records {
        if record.value.is_none() {
            gone.insert(record.key_text());
        } else {
            gone.remove(&record.key_text());
        }
    }
    gone
}

pub(crate) fn wait_tombstones(rig: &Rig, expected: &[&String]) -> Vec<Record> {
    let expected: BTreeSet<String> = expected.iter().map(|id| (*id).clone()).collect();
    wait_for("the tombstones of the rows that are gone", || {
        (tombstones(rig) == expected).then_some(())
    });
    rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap()
}

/// Comparisons that came to their end.
fn comparisons(bridge: &Bridge) -> usize {
    let words = "the table was compared with what was delivered";
    bridge.log().matches(words).count()
}

/// Waits for `count` further comparisons.
pub(crate) fn wait_comparisons(bridge: &Bridge, count: usize) {
    let before = comparisons(bridge);
    wait_for("a further comparison", || {
        (comparisons(bridge) >= before + count).then_some(())
    });
}

/// Gives the status of the answer.
fn decide(bridge: &Bridge, decision: &str) -> u16 {
    let body = format!(r#"{{"name": "incident", "decision": "{decision}"}}"#);
    let request = ureq::post(bridge.url("/api/deletes"));
    let request = request.config().http_status_as_error(false).build();
    let request = request.header("Authorization", format!("Bearer {TOKEN}"));
    request.send(&body).unwrap().status().as_u16()
}

pub(crate) fn filled(options: Options, rows: usize) -> (Rig, Vec<String>) {
    let rig = Rig::with(options);
    rig.fill("incident", rows);
    let ids = rig.rows("incident").into_keys().collect();
    (rig, ids)
}

#[test]
fn deletes_that_the_instance_lists_arrive_with_who_and_when() {
    let (rig, ids) = filled(Options::default(), 60);
    let rows = rig.rows("incident");
    let mut bridge = rig.start(&config(&rig, "deletes: audit"));
    rig.wait_rows(&mut bridge, &rows);
    // By a user, and by a script, which only `sys_audit` has.
    rig.sim.delete("incident", &ids[0]).unwrap();
    rig.sim
        .delete_as("incident", &ids[1], Removal::Silent)
        .unwrap();
    rig.sim
        .update("incident", &ids[2], [("short_description", "still there")])
        .unwrap();
    let records = wait_tombstones(&rig, &[&ids[0], &ids[1]]);
    let first = records
        .iter()
        .find(|it| it.value.is_none() && it.key_text() == ids[0])
        .unwrap();
    assert_eq!(first.header("sn_operation").unwrap(), "delete");
    assert_eq!(first.header("sn_table").unwrap(), "incident");
    assert!(first.header("sn_deleted_by").is_some() && first.header("sn_deleted_at").is_some());
    let of_row = records.iter().filter(|it| it.key_text() == ids[0]);
    let partitions: BTreeSet<i32> = of_row.map(|record| record.partition).collect();
    assert_eq!(
        partitions.len(),
        1,
        "a tombstone is in the partition of its row"
    );
    // It comes back with its old timestamp, behind the poller.
    rig.sim.undelete("incident", &ids[0]).unwrap();
    let records = wait_tombstones(&rig, &[&ids[1]]);
    let told = records.iter().filter(|it| it.value.is_none()).count();
    assert_eq!(
        told, 2,
        "both lists tell a delete, and one tombstone is sent"
    );
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_comparison_finds_what_no_list_has_and_deletes_nothing_else() {
    let options = Options {
        audit_marks: false,
        no_audit_delete: vec!["incident".to_owned()],
        ..Options::default()
    };
    let (rig, ids) = filled(options, 80);
    for (id, state) in ids
        .iter()
        .zip(["1", "1", "1", "1", "1", "1"].iter().cycle())
    {
        rig.sim.update("incident", id, [("state", *state)]).unwrap();
    }
    let rows = rig.rows("incident");
    let bridge = rig.start(&config(&rig, "deletes: compare\nquery: state=1"));
    wait_for("all rows", || {
        let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
        let keys: BTreeSet<String> = records.iter().map(Record::key_text).collect();
        rows.keys().all(|id| keys.contains(id)).then_some(())
    });
    let hidden = ids[4].clone();
    rig.sim
        .hide("incident", move |row| row.get("sys_id") == hidden.as_str())
        .unwrap();
    rig.sim
        .delete_as("incident", &ids[0], Removal::Cleaner)
        .unwrap();
    rig.sim
        .delete_as("incident", &ids[1], Removal::Archive)
        .unwrap();
    rig.sim
        .update("incident", &ids[2], [("state", "7")])
        .unwrap();
    rig.sim
        .change_class("incident", &ids[3], "problem")
        .unwrap();
    wait_tombstones(&rig, &[&ids[0], &ids[1]]);
    wait_comparisons(&bridge, 1);
    assert_eq!(
        tombstones(&rig),
        BTreeSet::from([ids[0].clone(), ids[1].clone()])
    );
    let missing = |fate: &str| {
        bridge.metric(&format!(
            "bridge_source_missing_rows{{table=\"incident\",fate=\"{fate}\"}}"
        ))
    };
    assert_eq!(
        (missing("left"), missing("hidden"), missing("unknown")),
        (2.0, 1.0, 0.0)
    );
    // No mark says that it came back, and its timestamp is old.
    rig.sim.undelete("incident", &ids[0]).unwrap();
    wait_tombstones(&rig, &[&ids[1]]);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn rows_that_leave_the_query_are_deleted_where_that_is_asked_for() {
    let (rig, ids) = filled(Options::default(), 40);
    for id in &ids {
        rig.sim.update("incident", id, [("state", "1")]).unwrap();
    }
    let lines = "deletes: compare\non_leave: tombstone\nquery: state=1";
    let mut bridge = rig.start(&config(&rig, lines));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.sim
        .update("incident", &ids[2], [("state", "7")])
        .unwrap();
    rig.sim
        .change_class("incident", &ids[3], "problem")
        .unwrap();
    wait_tombstones(&rig, &[&ids[2], &ids[3]]);
    rig.sim
        .update("incident", &ids[2], [("state", "1")])
        .unwrap();
    wait_tombstones(&rig, &[&ids[3]]);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn children_that_go_with_their_parent_are_found_by_the_comparison() {
    let (rig, ids) = filled(Options::default(), 30);
    rig.fill("problem", 1);
    let problem = rig.rows("problem").into_keys().next().unwrap();
    rig.sim
        .cascade("problem", "incident", "problem_id", CascadeTrace::Nothing)
        .unwrap();
    for id in ids.iter().take(3) {
        rig.sim
            .update("incident", id, [("problem_id", problem.as_str())])
            .unwrap();
    }
    let mut bridge = rig.start(&config(&rig, "deletes: all"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.sim.delete("problem", &problem).unwrap();
    wait_tombstones(&rig, &[&ids[0], &ids[1], &ids[2]]);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn too_many_deletes_wait_for_a_decision_over_a_restart() {
    for (lines, removal) in [
        ("deletes: audit\ndelete_guard: 5", Removal::User),
        ("deletes: compare\ndelete_guard: 5", Removal::Cleaner),
    ] {
        let (rig, ids) = filled(Options::default(), 60);
        let config = config(&rig, lines);
        let mut bridge = rig.start(&config);
        rig.wait_rows(&mut bridge, &rig.rows("incident"));
        for id in ids.iter().take(20) {
            rig.sim.delete_as("incident", id, removal).unwrap();
        }
        bridge.wait_not_ready("deletes accept incident");
        assert!(tombstones(&rig).len() <= 5, "{lines}");
        bridge.kill();
        let bridge = rig.start(&config);
        bridge.wait_not_ready("deletes accept incident");
        assert!(tombstones(&rig).len() <= 5, "{lines}");
        assert_eq!(decide(&bridge, "accept"), 200);
        // The decision is kept before it is answered.
        bridge.kill();
        let bridge = rig.start(&config);
        wait_tombstones(&rig, &ids.iter().take(20).collect::<Vec<_>>());
        assert_eq!(bridge.terminate(), 0);
    }
}

#[test]
fn what_is_rejected_stays_and_is_not_asked_again() {
    let (rig, ids) = filled(Options::default(), 60);
    let mut bridge = rig.start(&config(&rig, "deletes: compare\ndelete_guard: 5"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    for id in ids.iter().take(20) {
        rig.sim.delete_as("incident", id, Removal::Cleaner).unwrap();
    }
    bridge.wait_not_ready("deletes reject incident");
    assert_eq!(decide(&bridge, "reject"), 200);
    assert_eq!(decide(&bridge, "accept"), 409, "nothing is held any more");
    bridge.wait_ready();
    wait_comparisons(&bridge, 2);
    assert_eq!(tombstones(&rig), BTreeSet::new());
    rig.sim
        .delete_as("incident", &ids[30], Removal::Cleaner)
        .unwrap();
    wait_tombstones(&rig, &[&ids[30]]);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_comparison_that_finds_no_row_deletes_none() {
    let (rig, ids) = filled(Options::default(), 12);
    let mut bridge = rig.start(&config(&rig, "deletes: compare\ndelete_guard: 100"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    for id in &ids {
        rig.sim.delete_as("incident", id, Removal::Cleaner).unwrap();
    }
    bridge.wait_not_ready("found no row at all");
    wait_comparisons(&bridge, 1);
    assert_eq!(tombstones(&rig), BTreeSet::new());
    assert_eq!(bridge.terminate(), 0);
}

/// More entries than a page has room for that the integration user may not read, before those it may.
#[test]
fn entries_that_are_hidden_are_not_the_end_of_a_list() {
    let options = Options {
        audit_marks: false,
        ..Options::default()
    };
    let (rig, ids) = filled(options, 1_300);
    let shown: BTreeSet<String> = ids.iter().skip(1_200).take(5).cloned().collect();
    let rule = shown.clone();
    rig.sim
        .hide("sys_audit_delete", move |row| {
            !rule.contains(row.get("documentkey").as_ref())
        })
        .unwrap();
    let mut bridge = rig.start(&config(&rig, "deletes: audit"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    for id in ids.iter().take(1_200) {
        rig.sim.delete("incident", id).unwrap();
    }
    // Entries of one second stand in any order.
    let second = rig.sim.now();
    wait_for("the next second", || (rig.sim.now() > second).then_some(()));
    for id in &shown {
        rig.sim.delete("incident", id).unwrap();
    }
    wait_tombstones(&rig, &shown.iter().collect::<Vec<_>>());
    assert_eq!(bridge.terminate(), 0);
}

/// Half past two in the night of 25 October 2026, which comes twice in Berlin: conditions of time are wider
/// than what is wanted, so that a page cannot begin behind a row.
#[test]
fn a_list_is_read_to_its_end_in_the_hour_that_repeats() {
    const FIRST_HALF_PAST_TWO: i64 = 1_792_888_200;
    let now = jiff::Timestamp::now().as_second();
    let options = Options {
        literal_tz: LiteralTz::User,
        user_zone: "Europe/Berlin".to_owned(),
        skew_seconds: FIRST_HALF_PAST_TWO - now,
        audit_marks: false,
        ..Options::default()
    };
    let (rig, ids) = filled(options, 1_300);
    let lines = "deletes: audit\ndelete_guard: 100000";
    let mut bridge = rig.start(&config(&rig, lines));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    for id in ids.iter().take(1_205) {
        rig.sim.delete("incident", id).unwrap();
    }
    wait_tombstones(&rig, &ids.iter().take(1_205).collect::<Vec<_>>());
    assert_eq!(bridge.terminate(), 0);
}
