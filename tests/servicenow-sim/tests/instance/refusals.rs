//! Lines 30 and 32: writes that rules refuse, and journal fields.

use serde_json::{Value, json};
use servicenow_sim::{Operation, Refusal, Table};

use crate::client::{get, query, row, start};
use crate::writes::{LIST, error, write};

const FAILED: &str = "Operation Failed";

#[test]
fn line_30_business_rules_abort() {
    let sim = start();
    let refusal = Refusal::business_rule("No fires");
    let Refusal::BusinessRule { sys_id, .. } = refusal.clone() else {
        panic!("{refusal:?}");
    };
    sim.refuse_writes("incident", refusal, |operation, row| {
        operation == Operation::Insert && row.get("short_description").contains("fire")
    })
    .unwrap();
    let body = json!({ "sys_id": "a", "short_description": "printer on fire" });
    let detail = format!(
        "Operation against file 'incident' was aborted by Business Rule 'No fires^{sys_id}'. \
         Business Rule Stack:No fires"
    );
    let answer = write(&sim, "POST", LIST, &body);
    assert_eq!(error(&answer), (403, FAILED.to_owned(), detail));
    assert!(!sim.writes()[0].applied);
    assert_eq!(sim.count("incident").unwrap(), 0);
    // Other rows and other operations pass, and the handle's own changes do.
    sim.insert("incident", row("a").set("short_description", "no fire"))
        .unwrap();
    let place = format!("{LIST}/a");
    assert_eq!(
        write(&sim, "PATCH", &place, &json!({ "state": "2" })).status,
        200
    );
    assert_eq!(
        write(&sim, "POST", LIST, &json!({ "state": "2" })).status,
        201
    );
    sim.accept_writes("incident").unwrap();
    assert_eq!(write(&sim, "DELETE", &place, &Value::Null).status, 204);
    assert_eq!(write(&sim, "POST", LIST, &body).status, 201);
    assert!(sim.accept_writes("nope").is_err());
    assert!(
        sim.refuse_writes("nope", Refusal::Acl, |_, _| true)
            .is_err()
    );
}

#[test]
fn line_30_data_policies_see_the_row_as_it_would_be() {
    let sim = start();
    let refusal = Refusal::data_policy(&["Close code", "Close notes"]);
    sim.refuse_writes("incident", refusal, |_, row| {
        row.get("state") == "7"
            && (row.get("close_code").is_empty() || row.get("close_notes").is_empty())
    })
    .unwrap();
    sim.insert("incident", row("a").set("close_code", "Solved"))
        .unwrap();
    let place = format!("{LIST}/a");
    let answer = write(&sim, "PATCH", &place, &json!({ "state": "7" }));
    let detail =
        "Data Policy Exception: The following fields are mandatory: Close code, Close notes";
    assert_eq!(error(&answer), (403, FAILED.to_owned(), detail.to_owned()));
    let kept = sim.get("incident", "a").unwrap();
    assert_eq!(
        (kept.get("state"), kept.get("sys_mod_count")),
        (Some(""), Some("0"))
    );
    let body = json!({ "state": "7", "close_notes": "done" });
    assert_eq!(write(&sim, "PATCH", &place, &body).status, 200);
}

#[test]
fn line_30_access_rules_name_the_operation() {
    let sim = start();
    sim.insert("incident", row("a")).unwrap();
    // Rules of a parent are for its classes.
    sim.refuse_writes("task", Refusal::Acl, |_, _| true)
        .unwrap();
    let place = format!("{LIST}/a");
    for (method, target, word) in [
        ("POST", LIST, "Insert"),
        ("PATCH", place.as_str(), "Update"),
        ("PUT", place.as_str(), "Update"),
        ("DELETE", place.as_str(), "Delete"),
    ] {
        let answer = write(&sim, method, target, &json!({ "state": "2" }));
        let detail = format!("ACL Exception {word} Failed due to security constraints");
        assert_eq!(error(&answer), (403, FAILED.to_owned(), detail));
    }
    assert_eq!(sim.get("incident", "a").unwrap().get("state"), Some(""));
    sim.create_table(Table::new("u_view").view()).unwrap();
    let answer = write(&sim, "POST", "/api/now/table/u_view", &json!({}));
    assert_eq!(error(&answer).0, 403, "views are read-only");
}

#[test]
fn scripts_that_throw_are_500() {
    let sim = start();
    let message = "TypeError: Cannot read property \"x\" from null";
    sim.refuse_writes("incident", Refusal::script_error(message), |_, _| true)
        .unwrap();
    let (status, said, detail) = error(&write(&sim, "POST", LIST, &json!({})));
    assert_eq!((status, said.as_str()), (500, message));
    let end = "Check logs for error trace or enable glide.rest.debug property to verify REST \
               request processing";
    assert!(detail.ends_with(end), "{detail}");
    assert_eq!(sim.count("incident").unwrap(), 0);
}

#[test]
fn line_32_work_notes_are_journal_rows() {
    let sim = start();
    let body = json!({ "sys_id": "a", "comments": "hello" });
    let created = write(&sim, "POST", LIST, &body).json()["result"].clone();
    assert_eq!(created["comments"], "");
    sim.update("incident", "a", [("sys_updated_on", "2024-01-25 00:00:00")])
        .unwrap();
    // Through the parent: the journal names the class.
    let place = "/api/now/table/task/a";
    for (value, count) in [("first", "2"), ("", "2"), ("second", "3"), ("second", "4")] {
        let answer = write(&sim, "PATCH", place, &json!({ "work_notes": value })).json();
        let row = &answer["result"];
        assert_eq!(
            (&row["work_notes"], &row["sys_mod_count"]),
            (&json!(""), &json!(count))
        );
        assert_ne!(row["sys_updated_on"], "2024-01-25 00:00:00", "{value}");
    }
    let entries = get(&sim, "/api/now/table/sys_journal_field").rows();
    let mut seen: Vec<(String, String)> = entries
        .iter()
        .map(|entry| {
            assert_eq!(
                (&entry["name"], &entry["element_id"]),
                (&json!("incident"), &json!("a"))
            );
            assert_eq!(entry["sys_created_by"], "bridge");
            assert!(!entry["sys_created_on"].as_str().unwrap().is_empty());
            let text = |key: &str| entry[key].as_str().unwrap().to_owned();
            (text("element"), text("value"))
        })
        .collect();
    seen.sort();
    let want = [
        ("comments", "hello"),
        ("work_notes", "first"),
        ("work_notes", "second"),
        ("work_notes", "second"),
    ];
    assert_eq!(
        seen,
        want.map(|(name, text)| (name.to_owned(), text.to_owned()))
    );
    let found = query(&sim, "incident", "sys_id=a", "").rows();
    assert_eq!(found[0]["work_notes"], "");
}
