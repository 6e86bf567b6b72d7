//! Line 33: the trace of deletes, and the way back.

use std::time::Duration;

use serde_json::Value;
use servicenow_sim::{Options, Sim};

use crate::client::{ids, query, row, start};
use crate::writes::write;

fn delete(sim: &Sim, table: &str, id: &str) {
    let place = format!("/api/now/table/{table}/{id}");
    assert_eq!(write(sim, "DELETE", &place, &Value::Null).status, 204);
}

/// Keys of the recorded deletes of a table.
fn recorded(sim: &Sim, table: &str) -> Vec<String> {
    let text = format!("tablename={table}^ORDERBYsys_created_on^ORDERBYdocumentkey");
    query(sim, "sys_audit_delete", &text, "").column("documentkey")
}

#[test]
fn line_33_deletes_are_recorded_by_class() {
    let sim = start();
    let number = [("sys_id", "a"), ("number", "INC7")];
    sim.insert("incident", number).unwrap();
    sim.insert("incident", row("b")).unwrap();
    delete(&sim, "task", "a");
    sim.delete("incident", "b").unwrap();
    assert_eq!(recorded(&sim, "incident"), ["a", "b"]);
    assert!(recorded(&sim, "task").is_empty());
    let entry = query(&sim, "sys_audit_delete", "documentkey=a", "").rows()[0].clone();
    assert_eq!(entry["display_value"], "INC7");
    assert_eq!(entry["sys_created_by"], "bridge");
    assert!(!entry["sys_created_on"].as_str().unwrap().is_empty());
}

#[test]
fn line_33_some_tables_leave_no_trace() {
    let sim = Sim::start(Options {
        no_audit_delete: vec!["problem".to_owned()],
        ..Options::default()
    })
    .unwrap();
    for (table, traces) in [
        ("problem", 0),
        ("sys_journal_field", 0),
        ("sys_user_group", 1),
    ] {
        sim.insert(table, row("x")).unwrap();
        delete(&sim, table, "x");
        assert_eq!(recorded(&sim, table).len(), traces, "{table}");
    }
}

#[test]
fn line_33_records_are_late_or_lost() {
    let late = Sim::start(Options {
        audit_delete_delay: Duration::from_millis(400),
        ..Options::default()
    })
    .unwrap();
    late.insert("incident", row("a")).unwrap();
    delete(&late, "incident", "a");
    let began = late.writes()[0].began;
    while recorded(&late, "incident").is_empty() {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(began.elapsed() >= Duration::from_millis(400));
    let lossy = Sim::start(Options {
        audit_delete_loss: 0.5,
        ..Options::default()
    })
    .unwrap();
    for at in 0..40 {
        let id = format!("{at:02}");
        lossy.insert("incident", row(&id)).unwrap();
        delete(&lossy, "incident", &id);
    }
    let kept = recorded(&lossy, "incident").len();
    assert!((5..=35).contains(&kept), "{kept}");
}

#[test]
fn line_33_undelete_brings_the_same_row_back() {
    let sim = start();
    let old = row("a")
        .set("state", "2")
        .set("sys_updated_on", "2024-01-25 00:00:00");
    sim.insert("incident", old).unwrap();
    let before = sim.get("incident", "a").unwrap();
    assert!(sim.undelete("incident", "a").is_err(), "not deleted yet");
    delete(&sim, "incident", "a");
    sim.undelete("task", "a").unwrap();
    assert_eq!(sim.get("incident", "a").unwrap(), before);
    assert_eq!(ids(&sim, "task", "state=2"), "a");
    assert!(sim.undelete("incident", "a").is_err(), "only once");
    assert!(sim.undelete("nope", "a").is_err());
}
