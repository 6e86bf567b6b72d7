//! The control endpoint, as far as writes are concerned.

use serde_json::{Value, json};
use servicenow_sim::Sim;

use crate::client::{get, send, start, start_mid_hour};
use crate::writes::{LIST, write};

fn control(sim: &Sim, method: &str, path: &str, body: &Value) -> Value {
    let answer = send(sim, method, path, "", &body.to_string());
    assert!(answer.status < 300, "{path}: {}", answer.text());
    answer.json()
}

#[test]
fn rows_are_seeded_and_writes_are_shown() {
    let sim = start();
    let rows = json!({ "table": "incident",
        "rows": [{ "sys_id": "a", "state": 2, "correlation_id": "k" }, { "correlation_id": "k" }] });
    let ids = control(&sim, "POST", "/sim/rows", &rows);
    assert_eq!(ids["sys_ids"][0], "a");
    assert_eq!(
        get(&sim, &format!("{LIST}/a")).json()["result"]["state"],
        "2"
    );
    let found = control(
        &sim,
        "GET",
        "/sim/duplicates?table=incident&column=correlation_id",
        &Value::Null,
    );
    assert_eq!(found, json!({ "duplicates": 1 }));
    write(
        &sim,
        "PATCH",
        &format!("{LIST}/a"),
        &json!({ "state": "3" }),
    );
    write(&sim, "DELETE", &format!("{LIST}/a"), &Value::Null);
    let back = json!({ "table": "incident", "sys_id": "a" });
    control(&sim, "POST", "/sim/undelete", &back);
    assert_eq!(sim.get("incident", "a").unwrap().get("state"), Some("3"));
    let writes = control(&sim, "GET", "/sim/writes", &Value::Null);
    let first = &writes["writes"][0];
    assert_eq!(first["fields"], json!([["state", "3"]]));
    for (key, value) in [
        ("id", json!(1)),
        ("operation", json!("update")),
        ("sys_id", json!("a")),
        ("status", json!(200)),
        ("applied", json!(true)),
        ("fault", Value::Null),
        ("user", json!("bridge")),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!(writes["writes"][1]["operation"], "delete");
    control(&sim, "DELETE", "/sim/writes", &Value::Null);
    assert!(sim.writes().is_empty());
}

#[test]
fn faults_of_writes_are_scripted() {
    let sim = start();
    for (script, status, applied) in [
        (json!({ "fault": "applied_504" }), 504, true),
        (json!({ "fault": "applied_reset" }), 0, true),
        (json!({ "fault": "applied_hang", "ms": 1 }), 201, true),
        (
            json!({ "fault": "late_apply_504", "after_ms": 0 }),
            504,
            true,
        ),
        (json!({ "fault": "inserted_but_403" }), 403, true),
        (json!({ "fault": "broken_body_201" }), 201, true),
        (
            json!({ "fault": "unavailable", "method": "POST" }),
            503,
            false,
        ),
        (
            json!({ "fault": "unavailable", "method": "PUT" }),
            201,
            true,
        ),
        (
            json!({ "fault": "reset", "chance": 1.0, "seed": 3 }),
            0,
            false,
        ),
        (json!({ "fault": "reset", "chance": 0.0 }), 201, true),
    ] {
        let mut script = script;
        script["table"] = json!("incident");
        script["writes"] = json!(true);
        control(&sim, "POST", "/sim/faults", &script);
        assert_eq!(get(&sim, LIST).status, 200);
        assert_eq!(
            write(&sim, "POST", LIST, &json!({})).status,
            status,
            "{script}"
        );
        assert_eq!(sim.writes().pop().unwrap().applied, applied, "{script}");
        control(&sim, "DELETE", "/sim/faults", &Value::Null);
    }
    for bad in [
        json!({ "fault": "date_scatter", "seconds": -1 }),
        json!({ "fault": "applied_hang" }),
        json!({ "fault": "late_apply_504" }),
    ] {
        assert_eq!(
            send(&sim, "POST", "/sim/faults", "", &bad.to_string()).status,
            400
        );
    }
}

#[test]
fn refusals_and_rates_are_scripted() {
    let sim = start_mid_hour();
    let only = json!({ "table": "incident", "refusal": "acl", "operation": "insert",
        "column": "state", "value": "7" });
    control(&sim, "POST", "/sim/refusals", &only);
    assert_eq!(
        write(&sim, "POST", LIST, &json!({ "state": "7", "sys_id": "a" })).status,
        403
    );
    assert_eq!(
        write(&sim, "POST", LIST, &json!({ "state": "1", "sys_id": "a" })).status,
        201
    );
    assert_eq!(
        write(
            &sim,
            "PATCH",
            &format!("{LIST}/a"),
            &json!({ "state": "7" })
        )
        .status,
        200
    );
    control(&sim, "DELETE", "/sim/refusals?table=incident", &Value::Null);
    for (refusal, status) in [
        (json!({ "refusal": "business_rule", "name": "R" }), 403),
        (
            json!({ "refusal": "data_policy", "fields": ["Close code"] }),
            403,
        ),
        (json!({ "refusal": "script_error", "message": "m" }), 500),
    ] {
        let mut refusal = refusal;
        refusal["table"] = json!("incident");
        control(&sim, "POST", "/sim/refusals", &refusal);
        assert_eq!(write(&sim, "POST", LIST, &json!({})).status, status);
        control(&sim, "DELETE", "/sim/refusals?table=incident", &Value::Null);
    }
    assert_eq!(write(&sim, "POST", LIST, &json!({})).status, 201);
    control(&sim, "POST", "/sim/rate", &json!({ "limit_per_hour": 1 }));
    assert_eq!([get(&sim, LIST).status, get(&sim, LIST).status], [200, 429]);
    control(&sim, "POST", "/sim/rate/reset", &Value::Null);
    assert_eq!(get(&sim, LIST).status, 200);
    control(&sim, "POST", "/sim/rate", &json!({}));
    assert_eq!(get(&sim, LIST).status, 200);
}

#[test]
fn what_cannot_be_understood_is_400() {
    let sim = start();
    for (method, path, body) in [
        ("GET", "/sim/duplicates?table=incident", ""),
        ("GET", "/sim/duplicates?table=incident&column=nope", ""),
        ("POST", "/sim/rows", "{"),
        ("POST", "/sim/rows", "{\"table\":\"incident\",\"rows\":[1]}"),
        ("POST", "/sim/rows", "{\"table\":\"nope\",\"rows\":[]}"),
        (
            "POST",
            "/sim/undelete",
            "{\"table\":\"incident\",\"sys_id\":\"x\"}",
        ),
        (
            "POST",
            "/sim/refusals",
            "{\"table\":\"incident\",\"refusal\":\"no\"}",
        ),
        ("DELETE", "/sim/refusals", ""),
    ] {
        let answer = send(&sim, method, path, "", body);
        assert_eq!(answer.status, 400, "{path} {body}");
        assert!(answer.json()["error"].is_string());
    }
}
