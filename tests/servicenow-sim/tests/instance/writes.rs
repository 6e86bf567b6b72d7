//! Lines 27 to 29 and 31: inserts, updates and deletes over HTTP, and the journal of writes.

use std::time::Duration;

use serde_json::{Value, json};
use servicenow_sim::{Operation, Options, Sim, User, format_stamp};

use crate::client::{Answer, BASIC, connect, get, request, row, send, start};

pub(crate) const LIST: &str = "/api/now/table/incident";

/// A write with Basic credentials.
pub(crate) fn write(sim: &Sim, method: &str, target: &str, body: &Value) -> Answer {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    send(sim, method, target, BASIC, &text)
}

/// The error of an answer: status, message and detail.
pub(crate) fn error(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    assert_eq!(json["status"], "failure");
    let text = |key: &str| json["error"][key].as_str().unwrap().to_owned();
    (answer.status, text("message"), text("detail"))
}

/// A row with an old stamp, so that every change shows.
fn old_row(sim: &Sim) -> String {
    let old = "2024-01-25 00:00:00";
    let row = row("a")
        .set("state", "1")
        .set("sys_updated_on", old)
        .set("sys_updated_by", "somebody");
    sim.insert("incident", row).unwrap();
    format!("{LIST}/a")
}

const MISSING: &str = "Record doesn't exist or ACL restricts the record retrieval";

#[test]
fn line_27_post_makes_a_row() {
    let sim = start();
    let from = format_stamp(sim.now());
    let body = json!({ "short_description": "printer", "impact": 2, "active": true, "u_no": "x",
        "assigned_to": null, "u_cost": 1.5, "description": { "a": [1] }, "category": "" });
    let answer = write(&sim, "POST", LIST, &body);
    assert_eq!(answer.status, 201);
    let row = answer.json()["result"].clone();
    let id = row["sys_id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    let place = format!("{}{LIST}/{id}", sim.url());
    assert_eq!(answer.header("Location"), Some(place.as_str()));
    for (column, value) in [
        ("number", "INC0010001"),
        ("short_description", "printer"),
        ("impact", "2"),
        ("active", "true"),
        ("u_cost", "1.5"),
        ("description", "{\"a\":[1]}"),
        ("assigned_to", ""),
        ("correlation_id", ""),
        ("sys_class_name", "incident"),
        ("sys_created_by", "bridge"),
        ("sys_updated_by", "bridge"),
        ("sys_mod_count", "0"),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    assert!(row.get("u_no").is_none());
    assert_eq!(row["sys_created_on"], row["sys_updated_on"]);
    assert!(row["sys_created_on"].as_str().unwrap() >= from.as_str());
    assert_eq!(get(&sim, &format!("{LIST}/{id}")).json()["result"], row);
    let next = write(&sim, "POST", LIST, &json!({}));
    assert_eq!(next.json()["result"]["number"], "INC0010002");
}

#[test]
fn line_27_the_sys_id_of_the_client() {
    let sim = start();
    let id = "0123456789abcdef0123456789abcdef";
    let body = json!({ "sys_id": id });
    let first = write(&sim, "POST", "/api/now/v2/table/incident", &body);
    let place = format!("{}/api/now/v2/table/incident/{id}", sim.url());
    assert_eq!(first.header("Location"), Some(place.as_str()));
    let second = write(&sim, "POST", LIST, &body);
    let detail = format!(
        "Error during insert of incident ({id}): Unique Key violation detected by database"
    );
    assert_eq!(error(&second), (403, "Operation Failed".into(), detail));
    // An id is unique along the class chain.
    assert_eq!(
        write(&sim, "POST", "/api/now/table/task", &body).status,
        403
    );
    assert_eq!(sim.count("task").unwrap(), 1);
    let sim = Sim::start(Options {
        honour_client_sys_id: false,
        ..Options::default()
    })
    .unwrap();
    let row = write(&sim, "POST", LIST, &body).json();
    assert_ne!(row["result"]["sys_id"], id);
}

#[test]
fn line_19_parameters_shape_write_answers() {
    let sim = start();
    let target = format!("{LIST}?sysparm_fields=state,sys_class_name&sysparm_display_value=true");
    let answer = write(&sim, "POST", &target, &json!({ "state": "2" }));
    assert_eq!(
        answer.json()["result"],
        json!({ "state": "In Progress", "sys_class_name": "incident" })
    );
    let silent = format!("{BASIC}X-no-response-body: true\r\n");
    let answer = send(&sim, "POST", LIST, &silent, "{\"sys_id\":\"a\"}");
    assert_eq!((answer.status, answer.body.len()), (201, 0));
    assert!(answer.header("Location").unwrap().ends_with("/a"));
    let user = sim.options().users[0].sys_id.clone();
    let body = json!({ "assigned_to": user }).to_string();
    let answer = send(&sim, "PATCH", &format!("{LIST}/a"), BASIC, &body);
    let link = format!("{}/api/now/table/sys_user/{user}", sim.url());
    assert_eq!(
        answer.json()["result"]["assigned_to"],
        json!({ "link": link, "value": user })
    );
    let bare = format!("{LIST}/a?sysparm_exclude_reference_link=true");
    let answer = write(&sim, "PATCH", &bare, &json!({}));
    assert_eq!(answer.json()["result"]["assigned_to"], user.as_str());
}

#[test]
fn line_28_put_and_patch_merge() {
    for method in ["PUT", "PATCH"] {
        let sim = start();
        let place = old_row(&sim);
        let from = format_stamp(sim.now());
        let answer = write(&sim, method, &place, &json!({ "impact": "3" }));
        assert_eq!(answer.status, 200);
        let row = answer.json()["result"].clone();
        assert_eq!((&row["state"], &row["impact"]), (&json!("1"), &json!("3")));
        assert_eq!(row["sys_mod_count"], "1");
        assert_eq!(row["sys_updated_by"], "bridge");
        assert!(row["sys_updated_on"].as_str().unwrap() >= from.as_str());
        let again = write(&sim, method, &place, &json!({ "impact": "3", "u_no": "x" }));
        assert_eq!((again.status, again.json()["result"].clone()), (200, row));
        let missing = write(
            &sim,
            method,
            &format!("{LIST}/b"),
            &json!({ "impact": "3" }),
        );
        let want = (404, "No Record found".to_owned(), MISSING.to_owned());
        assert_eq!(error(&missing), want);
        assert_eq!(sim.count("incident").unwrap(), 1, "no upsert");
    }
}

#[test]
fn line_28_a_change_of_nothing_leaves_the_stamps() {
    let sim = start();
    let place = old_row(&sim);
    for body in [json!({}), json!({ "state": 1, "sys_mod_count": "9" })] {
        let row = write(&sim, "PATCH", &place, &body).json();
        assert_eq!(row["result"]["sys_updated_on"], "2024-01-25 00:00:00");
        assert_eq!(row["result"]["sys_updated_by"], "somebody");
        assert_eq!(row["result"]["sys_mod_count"], "0");
    }
}

#[test]
fn line_28_delete_is_204_then_404() {
    let sim = start();
    let place = old_row(&sim);
    let mut stream = connect(&sim);
    let first = request(&mut stream, "DELETE", &place, BASIC, "");
    assert_eq!((first.status, first.body.len()), (204, 0));
    // The connection goes on.
    let second = request(&mut stream, "DELETE", &place, BASIC, "");
    assert_eq!(error(&second).0, 404);
    assert_eq!(sim.count("task").unwrap(), 0);
}

#[test]
fn hidden_rows_are_missing() {
    let sim = start();
    let place = old_row(&sim);
    sim.hide("incident", |row| row.get("state") == "1").unwrap();
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let answer = write(&sim, method, &place, &json!({ "state": "2" }));
        assert_eq!(error(&answer).2, MISSING, "{method}");
    }
    assert_eq!(sim.get("incident", "a").unwrap().get("state"), Some("1"));
}

#[test]
fn a_row_is_reached_through_its_parent_table() {
    let sim = start();
    old_row(&sim);
    let place = "/api/now/table/task/a";
    let body = json!({ "state": "2", "close_code": "unknown to task" });
    let row = write(&sim, "PATCH", place, &body).json();
    assert_eq!(row["result"]["sys_class_name"], "incident");
    assert!(row["result"].get("close_code").is_none());
    let row = sim.get("incident", "a").unwrap();
    assert_eq!(
        (row.get("state"), row.get("close_code")),
        (Some("2"), Some(""))
    );
    assert_eq!(write(&sim, "DELETE", place, &Value::Null).status, 204);
    assert_eq!(sim.count("incident").unwrap(), 0);
}

#[test]
fn line_29_system_fields_belong_to_the_platform() {
    let sim = start();
    let stamp = "2020-02-02 02:02:02";
    let body = json!({ "sys_created_on": stamp, "sys_updated_on": stamp, "sys_created_by": "x",
        "sys_mod_count": "7", "sys_class_name": "problem", "sys_id": "a" });
    let row = write(&sim, "POST", LIST, &body).json()["result"].clone();
    assert_ne!(row["sys_created_on"], stamp);
    assert_ne!(row["sys_updated_on"], stamp);
    assert_eq!(row["sys_created_by"], "bridge");
    assert_eq!(
        (&row["sys_mod_count"], &row["sys_class_name"]),
        (&json!("0"), &json!("incident"))
    );
    let suppress = format!("{LIST}/a?sysparm_suppress_auto_sys_field=true");
    let row = write(&sim, "PATCH", &suppress, &body).json()["result"].clone();
    assert_eq!(
        (&row["sys_created_on"], &row["sys_updated_on"]),
        (&json!(stamp), &json!(stamp))
    );
    assert_eq!(
        (&row["sys_mod_count"], &row["sys_class_name"]),
        (&json!("7"), &json!("incident"))
    );
    // What the body leaves out does not move.
    let row = write(&sim, "PATCH", &suppress, &json!({ "state": "2" })).json()["result"].clone();
    assert_eq!(
        (&row["sys_updated_on"], &row["sys_mod_count"]),
        (&json!(stamp), &json!("7"))
    );
}

#[test]
fn line_29_the_admin_switch() {
    let stamp = "2020-02-02 02:02:02";
    for admin in [false, true] {
        let sim = Sim::start(Options {
            admin_only_sys_fields: true,
            users: vec![User {
                admin,
                ..User::new("bridge", "secret")
            }],
            ..Options::default()
        })
        .unwrap();
        let target = format!("{LIST}?sysparm_suppress_auto_sys_field=true");
        let row = write(&sim, "POST", &target, &json!({ "sys_updated_on": stamp })).json();
        assert_eq!(row["result"]["sys_updated_on"] == stamp, admin);
    }
}

#[test]
fn line_29_input_display_values() {
    let sim = Sim::start(Options {
        user_zone: "Australia/Sydney".to_owned(),
        user_date_format: "dd/MM/yyyy HH:mm:ss".to_owned(),
        ..Options::default()
    })
    .unwrap();
    sim.insert("sys_user_group", row("g1").set("name", "Network"))
        .unwrap();
    let body = json!({ "opened_at": "26/01/2024 00:30:05", "closed_at": "2024-01-26 00:30:05",
        "u_due": "26/01/2024", "state": "in progress", "priority": "4",
        "assignment_group": "Network", "short_description": "26/01/2024" });
    let plain = format!("{LIST}?sysparm_exclude_reference_link=true");
    let shown = format!("{plain}&sysparm_input_display_value=true");
    let row = write(&sim, "POST", &shown, &body).json()["result"].clone();
    for (column, value) in [
        ("opened_at", "2024-01-25 13:30:05"),
        ("closed_at", "2024-01-25 13:30:05"),
        ("u_due", "2024-01-26"),
        ("state", "2"),
        ("priority", "4"),
        ("assignment_group", "g1"),
        ("short_description", "26/01/2024"),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    let body = json!({ "opened_at": "2024-01-25 13:30:05", "state": "2" });
    let row = write(&sim, "POST", &plain, &body).json()["result"].clone();
    assert_eq!(row["opened_at"], "2024-01-25 13:30:05");
}

#[test]
fn line_31_bodies_that_cannot_be_read() {
    let sim = start();
    let reading = "Exception while reading request";
    for bad in ["", "{", "7", "[]", "{\"a\":1}}"] {
        let want = (
            400,
            reading.to_owned(),
            "The payload is not valid JSON.".to_owned(),
        );
        assert_eq!(error(&send(&sim, "POST", LIST, BASIC, bad)), want, "{bad}");
    }
    let long = json!({ "description": "x".repeat(10 << 20) }).to_string();
    let detail = format!(
        "Rejected large REST payload with content-length = {} bytes. Max allowed: 10485760 bytes.",
        long.len()
    );
    let answer = send(&sim, "POST", LIST, BASIC, &long);
    assert_eq!(error(&answer), (400, reading.to_owned(), detail));
    let xml = format!("{BASIC}Content-Type: application/xml\r\n");
    assert_eq!(
        error(&send(&sim, "PATCH", &format!("{LIST}/a"), &xml, "{}")).0,
        415
    );
    assert_eq!(sim.count("incident").unwrap(), 0);
    let fits = json!({ "description": "x".repeat((10 << 20) - 100) }).to_string();
    assert_eq!(send(&sim, "POST", LIST, BASIC, &fits).status, 201);
}

#[test]
fn line_31_only_the_first_record_of_an_array() {
    let sim = start();
    let body = json!([{ "sys_id": "a" }, { "sys_id": "b" }]);
    let answer = write(&sim, "POST", LIST, &body);
    assert_eq!(answer.json()["result"]["sys_id"], "a");
    assert_eq!(sim.count("incident").unwrap(), 1);
}

#[test]
fn methods_tables_and_overrides() {
    let sim = start();
    let place = old_row(&sim);
    for (method, target) in [("POST", place.as_str()), ("PATCH", LIST), ("DELETE", LIST)] {
        let answer = write(&sim, method, target, &json!({}));
        let message = answer.json()["error"]["message"].clone();
        assert_eq!(
            (answer.status, message),
            (405, json!("Method not supported"))
        );
    }
    let answer = write(&sim, "POST", "/api/now/table/nope", &json!({}));
    assert_eq!(answer.json()["error"]["message"], "Invalid table nope");
    let instead = |method: &str| format!("{BASIC}X-HTTP-Method-Override: {method}\r\n");
    let answer = send(&sim, "POST", &place, &instead("PATCH"), "{\"state\":\"3\"}");
    assert_eq!(
        (answer.status, answer.json()["result"]["state"].clone()),
        (200, json!("3"))
    );
    assert_eq!(send(&sim, "POST", &place, &instead("GET"), "").status, 200);
    assert_eq!(
        send(&sim, "POST", &place, &instead("DELETE"), "").status,
        204
    );
    assert_eq!(
        send(&sim, "PATCH", &place, &instead("GET"), "{}").status,
        404
    );
    assert_eq!(send(&sim, "POST", LIST, "", "{}").status, 401);
}

#[test]
fn the_journal_shows_every_write() {
    let sim = start();
    let body = "{\"sys_id\":\"a\",\"state\":1,\"correlation_id\":\"k1\"}";
    send(&sim, "POST", LIST, BASIC, body);
    write(
        &sim,
        "PATCH",
        "/api/now/table/task/a",
        &json!({ "state": "1" }),
    );
    write(&sim, "DELETE", &format!("{LIST}/b"), &Value::Null);
    send(&sim, "POST", LIST, "", "{");
    get(&sim, LIST);
    let writes = sim.writes();
    let seen: Vec<_> = writes
        .iter()
        .map(|it| {
            (
                it.id,
                it.operation,
                it.sys_id.as_str(),
                it.status,
                it.sequence,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, Operation::Insert, "a", 201, 1),
            (2, Operation::Update, "a", 200, 2),
            (3, Operation::Delete, "b", 404, 0),
            (4, Operation::Insert, "", 401, 0),
        ]
    );
    let first = &writes[0];
    let fields = [("sys_id", "a"), ("state", "1"), ("correlation_id", "k1")];
    assert_eq!(
        *first.fields,
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(first.field("correlation_id"), Some("k1"));
    assert_eq!(
        (first.table.as_str(), first.user.as_str()),
        ("incident", "bridge")
    );
    assert_eq!((first.applied, first.fault), (true, None));
    assert!(first.ended >= first.began && writes[1].began >= first.ended);
    assert_eq!((writes[3].applied, writes[3].user.as_str()), (false, ""));
    sim.clear_writes();
    assert!(sim.writes().is_empty());
    write(&sim, "POST", LIST, &json!({ "correlation_id": "k1" }));
    write(&sim, "POST", LIST, &json!({ "correlation_id": "k1" }));
    write(&sim, "POST", LIST, &json!({ "correlation_id": "k2" }));
    assert_eq!(sim.writes()[0].id, 5);
    assert_eq!(sim.duplicates("incident", "correlation_id").unwrap(), 2);
    assert_eq!(sim.duplicates("incident", "close_code").unwrap(), 0);
    assert!(sim.duplicates("incident", "nope").is_err());
}

#[test]
fn the_journal_is_bounded() {
    let sim = Sim::start(Options {
        write_capacity: 2,
        ..Options::default()
    })
    .unwrap();
    for _ in 0..3 {
        write(&sim, "POST", LIST, &json!({}));
    }
    let ids: Vec<u64> = sim.writes().iter().map(|it| it.id).collect();
    assert_eq!(ids, [2, 3]);
}

#[test]
fn slow_writes_run_side_by_side() {
    const CLIENTS: usize = 100;
    let slow = |latency: Duration| {
        Sim::start(Options {
            write_latency: latency,
            ..Options::default()
        })
        .unwrap()
    };
    let latency = Duration::from_millis(50);
    let sim = slow(latency);
    assert_eq!(write(&sim, "POST", LIST, &json!({})).status, 201);
    let first = sim.writes()[0].clone();
    assert!(first.ended - first.began >= latency);
    let sim = slow(Duration::from_secs(600));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| write(&sim, "POST", LIST, &json!({})));
        }
        // All are under way at the same time, and the table is free.
        let under_way = || sim.writes().iter().filter(|it| !it.user.is_empty()).count();
        while under_way() < CLIENTS {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        assert_eq!(get(&sim, LIST).rows().len(), 0);
        sim.insert("incident", row("a")).unwrap();
        sim.drop_connections();
    });
    assert!(sim.writes().iter().all(|it| it.status == 0 && !it.applied));
}
