//! What deletes, moves and silent changes leave behind (servicenow_api.md section 6; capture.md
//! section 4).

use servicenow_sim::{CascadeTrace, Options, Removal, Sim};

use crate::client::{ids, query, row, start};

/// `documentkey user` of the marks of this kind in `sys_audit`.
fn marks(sim: &Sim, what: &str) -> Vec<String> {
    let text = format!("fieldname={what}^ORDERBYdocumentkey");
    let rows = query(sim, "sys_audit", &text, "").rows();
    let words = |row: &serde_json::Value| {
        assert_eq!(row["newvalue"], what);
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        format!(
            "{} {} {}",
            text("tablename"),
            text("documentkey"),
            text("user")
        )
    };
    rows.iter().map(words).collect()
}

/// `documentkey sys_created_by` of the rows of `sys_audit_delete`.
fn records(sim: &Sim) -> Vec<String> {
    let rows = query(sim, "sys_audit_delete", "ORDERBYdocumentkey", "").rows();
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| {
            format!(
                "{} {}",
                text(row, "documentkey"),
                text(row, "sys_created_by")
            )
        })
        .collect()
}

#[test]
fn every_way_to_go_leaves_its_own_traces() {
    for (removal, cleaner_recorded, record, mark) in [
        (Removal::User, false, true, true),
        (Removal::Silent, false, false, true),
        (Removal::Cleaner, false, false, false),
        (Removal::Cleaner, true, true, false),
        (Removal::Archive, false, false, false),
    ] {
        let sim = Sim::start(Options {
            cleaner_recorded,
            ..Options::default()
        })
        .unwrap();
        sim.insert("incident", row("a").set("sys_mod_count", "4"))
            .unwrap();
        sim.delete_as("task", "a", removal).unwrap();
        assert!(sim.get("incident", "a").is_err());
        let recorded = if record { vec!["a admin"] } else { Vec::new() };
        assert_eq!(records(&sim), recorded, "{removal:?}");
        let marked = if mark {
            vec!["incident a admin"]
        } else {
            Vec::new()
        };
        assert_eq!(marks(&sim, "DELETED"), marked, "{removal:?}");
    }
}

#[test]
fn marks_do_not_ask_whether_a_table_is_audited() {
    let sim = Sim::start(Options {
        no_audit_delete: vec!["problem".to_owned()],
        no_audit_marks: vec!["change_request".to_owned()],
        ..Options::default()
    })
    .unwrap();
    for (id, table) in [
        ("p", "problem"),
        ("c", "change_request"),
        ("j", "sys_journal_field"),
    ] {
        sim.insert(table, row(id)).unwrap();
        sim.delete(table, id).unwrap();
    }
    assert_eq!(records(&sim), ["c admin"]);
    assert_eq!(
        marks(&sim, "DELETED"),
        ["sys_journal_field j admin", "problem p admin"]
    );
    // Nothing marks the marks.
    let id = query(&sim, "sys_audit", "", "").column("sys_id").remove(0);
    sim.delete("sys_audit", &id).unwrap();
    assert_eq!(marks(&sim, "DELETED").len(), 1);
    let off = Sim::start(Options {
        audit_marks: false,
        ..Options::default()
    })
    .unwrap();
    off.insert("incident", row("a")).unwrap();
    off.delete("incident", "a").unwrap();
    assert!(marks(&off, "DELETED").is_empty());
}

#[test]
fn a_cascade_is_the_systems_or_leaves_nothing() {
    for (trace, recorded, marked) in [
        (
            CascadeTrace::System,
            vec!["i1 system", "i2 system", "p admin", "t system"],
            4,
        ),
        (CascadeTrace::Nothing, vec!["p admin"], 1),
    ] {
        let sim = start();
        sim.insert("problem", row("p")).unwrap();
        for (id, problem) in [("i1", "p"), ("i2", "p"), ("i3", "other")] {
            sim.insert("incident", row(id).set("problem_id", problem))
                .unwrap();
        }
        sim.insert("task", row("t").set("parent", "i2")).unwrap();
        sim.cascade("problem", "incident", "problem_id", trace)
            .unwrap();
        // The children of children go, too.
        sim.cascade("incident", "task", "parent", trace).unwrap();
        sim.delete("problem", "p").unwrap();
        assert_eq!(ids(&sim, "task", ""), "i3");
        assert_eq!(records(&sim), recorded);
        assert_eq!(marks(&sim, "DELETED").len(), marked);
        assert!(sim.cascade("problem", "incident", "nope", trace).is_err());
    }
}

#[test]
fn an_undelete_is_marked() {
    let sim = start();
    for (id, removal) in [("a", Removal::User), ("b", Removal::Silent)] {
        sim.insert("incident", row(id)).unwrap();
        sim.delete_as("incident", id, removal).unwrap();
        sim.undelete("incident", id).unwrap();
    }
    assert_eq!(
        marks(&sim, "RECOVERED"),
        ["incident a admin", "incident b admin"]
    );
    assert_eq!(ids(&sim, "incident", ""), "a,b");
}

#[test]
fn the_archive_takes_the_row_as_it_was() {
    let sim = start();
    sim.insert("incident", row("a").set("state", "7")).unwrap();
    let before = sim.get("incident", "a").unwrap();
    sim.delete_as("incident", "a", Removal::Archive).unwrap();
    let archived = sim.get("ar_incident", "a").unwrap();
    for column in [
        "state",
        "number",
        "sys_updated_on",
        "sys_mod_count",
        "sys_class_name",
    ] {
        assert_eq!(archived.get(column), before.get(column), "{column}");
    }
    let log = query(&sim, "sys_archive_log", "id=a", "").rows();
    assert_eq!(
        (&log[0]["from_table"], &log[0]["to_table"]),
        (&"incident".into(), &"ar_incident".into())
    );
    // A second row finds the table there.
    sim.insert("incident", row("b")).unwrap();
    sim.delete_as("incident", "b", Removal::Archive).unwrap();
    assert_eq!(sim.count("ar_incident").unwrap(), 2);
}

#[test]
fn a_change_of_class_is_no_delete() {
    let sim = start();
    let old = row("a")
        .set("short_description", "it")
        .set("caller_id", "c")
        .set("sys_updated_on", "2024-01-25 00:00:00");
    sim.insert("incident", old).unwrap();
    sim.change_class("task", "a", "problem").unwrap();
    assert_eq!(ids(&sim, "incident", ""), "");
    assert_eq!(
        [ids(&sim, "problem", ""), ids(&sim, "task", "")],
        ["a", "a"]
    );
    let row = sim.get("task", "a").unwrap();
    assert_eq!(row.get("sys_class_name"), Some("problem"));
    assert_eq!(row.get("short_description"), Some("it"));
    assert_eq!(row.get("caller_id"), None);
    assert_eq!(row.get("sys_mod_count"), Some("1"));
    assert_ne!(row.get("sys_updated_on"), Some("2024-01-25 00:00:00"));
    assert!(records(&sim).is_empty() && marks(&sim, "DELETED").is_empty());
    // To the parent and back; to another hierarchy never.
    sim.change_class("task", "a", "task").unwrap();
    assert_eq!(ids(&sim, "problem", ""), "");
    let unrelated = sim.change_class("task", "a", "cmdb_ci").unwrap_err();
    assert!(unrelated.to_string().contains("cmdb_ci"));
}

#[test]
fn a_silent_update_moves_nothing_else() {
    let sim = start();
    let old = row("a")
        .set("state", "1")
        .set("sys_mod_count", "3")
        .set("sys_updated_by", "ann")
        .set("sys_updated_on", "2024-01-25 00:00:00");
    sim.insert("incident", old).unwrap();
    let before = sim.get("incident", "a").unwrap();
    sim.update_silently("incident", "a", [("state", "7")])
        .unwrap();
    let after = sim.get("incident", "a").unwrap();
    assert_eq!(after, before.set("state", "7"));
    assert_eq!(
        ids(
            &sim,
            "incident",
            "sys_updated_on=2024-01-25 00:00:00^state=7"
        ),
        "a"
    );
}
