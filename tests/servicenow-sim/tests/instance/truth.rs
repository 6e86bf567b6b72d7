//! The truth that tests compare with: readable rows, and every version with its time.

use std::time::{Duration, Instant};

use servicenow_sim::{End, Options, Removal, Sim};

use crate::client::{ids, row, send, start};

fn with_history(history: usize) -> Sim {
    Sim::start(Options {
        history,
        ..Options::default()
    })
    .unwrap()
}

/// `id count end` of every version.
fn lives(sim: &Sim, table: &str) -> Vec<String> {
    let truth = sim.truth(table).unwrap();
    let lives = truth.history.iter().map(|life| {
        let end = life.until.map(|(_, end)| format!("{end:?}"));
        let version = &life.version;
        format!(
            "{} {} {}",
            version.sys_id,
            version.sys_mod_count,
            end.unwrap_or_default()
        )
    });
    lives.collect()
}

#[test]
fn rows_are_what_a_client_can_read() {
    let sim = start();
    for (id, state) in [("a", "1"), ("b", "2"), ("c", "1")] {
        sim.insert(
            "incident",
            row(id).set("state", state).set("caller_id", "x"),
        )
        .unwrap();
    }
    sim.hide("incident", |row| row.get("state") == "2").unwrap();
    sim.hide_field_where("incident", "caller_id", |row| row.sys_id() == "c")
        .unwrap();
    let truth = sim.truth("incident").unwrap();
    let found: Vec<&str> = truth.rows.iter().map(|row| row.sys_id.as_str()).collect();
    assert_eq!(found.join(","), ids(&sim, "incident", ""));
    let (a, c) = (truth.row("a").unwrap(), truth.row("c").unwrap());
    assert_eq!(
        (a.values.get("caller_id"), c.values.get("caller_id")),
        (Some("x"), None)
    );
    assert_eq!(a.class, "incident");
    assert_eq!(
        Some(a.sys_updated_on.as_str()),
        a.values.get("sys_updated_on")
    );
    // A parent shows its own columns only.
    let above = sim.truth("task").unwrap();
    assert_eq!(above.row("a").unwrap().values.get("caller_id"), None);
    assert!(truth.history.is_empty(), "off by default");
    assert!(sim.truth("nope").is_err());
}

#[test]
fn history_has_every_version_and_how_it_ended() {
    let sim = with_history(1000);
    for id in ["a", "b", "c"] {
        sim.insert("incident", row(id).set("state", "1")).unwrap();
    }
    let old = [("state", "2"), ("sys_updated_on", "2024-01-25 00:00:00")];
    sim.update("incident", "a", old).unwrap();
    sim.update_silently("incident", "a", [("state", "3")])
        .unwrap();
    sim.bulk_update_one_second("incident", 1).unwrap();
    sim.delete_as("incident", "b", Removal::Cleaner).unwrap();
    sim.change_class("incident", "c", "problem").unwrap();
    assert_eq!(
        lives(&sim, "incident"),
        [
            "a 0 Updated",
            "b 0 Deleted",
            "c 0 Reclassified",
            "a 1 Updated",
            "a 1 Updated",
            "a 2 "
        ]
    );
    assert_eq!(lives(&sim, "problem"), ["c 1 "]);
    let truth = sim.truth("task").unwrap();
    assert_eq!(truth.deleted(), ["b"]);
    let states = truth
        .history
        .iter()
        .filter(|life| life.version.sys_id == "a");
    let states: Vec<_> = states
        .map(|life| life.version.values.get("state").unwrap())
        .collect();
    assert_eq!(states, ["1", "2", "3", "3"]);
    sim.undelete("incident", "b").unwrap();
    assert!(sim.truth("task").unwrap().deleted().is_empty());
    for life in sim.truth("task").unwrap().history {
        assert!(life.until.is_none_or(|(at, _)| at >= life.from));
    }
}

#[test]
fn a_late_commit_becomes_visible_when_it_is_due() {
    let sim = with_history(1000);
    let delay = Duration::from_secs(2);
    let before = Instant::now();
    sim.insert_visible_later("incident", row("a"), sim.now() - 60, delay)
        .unwrap();
    let after = Instant::now();
    assert!(lives(&sim, "incident").is_empty());
    // Found only by the first look after its time.
    std::thread::park_timeout(delay + Duration::from_secs(1));
    let life = sim.truth("incident").unwrap().history.remove(0);
    assert!((before + delay..=after + delay).contains(&life.from));
    sim.delete("incident", "a").unwrap();
    let life = sim.truth("incident").unwrap().history.remove(0);
    assert!(matches!(life.until, Some((at, End::Deleted)) if at >= life.from));
}

#[test]
fn the_oldest_versions_are_forgotten() {
    let sim = with_history(4);
    for at in 0..6 {
        sim.insert("incident", row(&at.to_string())).unwrap();
    }
    // The beginning of the first is gone; the end of the last is not lost.
    sim.delete_as("incident", "0", Removal::Cleaner).unwrap();
    sim.delete_as("incident", "5", Removal::Cleaner).unwrap();
    assert_eq!(
        lives(&sim, "incident"),
        ["2 0 ", "3 0 ", "4 0 ", "5 0 Deleted"]
    );
    let truth = sim.truth("incident").unwrap();
    // Rows of other tables count as well: the user's.
    assert_eq!(truth.forgotten, 3);
    assert_eq!(truth.rows.len(), 4);
}

#[test]
fn another_process_reads_it_as_json() {
    let sim = with_history(1000);
    sim.insert("incident", row("a").set("state", "1")).unwrap();
    sim.insert("incident", row("b")).unwrap();
    sim.delete("incident", "b").unwrap();
    let answer = send(&sim, "GET", "/sim/truth?table=incident", "", "").json();
    assert_eq!(answer["table"], "incident");
    let row = &answer["rows"][0];
    assert_eq!(
        (&row["sys_id"], &row["values"]["state"]),
        (&"a".into(), &"1".into())
    );
    let gone = &answer["history"][1];
    assert_eq!(
        (&gone["sys_id"], &gone["end"]),
        (&"b".into(), &"deleted".into())
    );
    assert!(gone["from_age_ms"].as_u64() >= gone["until_age_ms"].as_u64());
    assert_eq!(send(&sim, "GET", "/sim/truth", "", "").status, 400);
}
