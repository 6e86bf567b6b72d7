//! The Batch API (servicenow_api.md lines 337 to 340; capture.md section 6).

use std::time::Duration;

use serde_json::{Value, json};
use servicenow_sim::{BatchLimits, Fault, Options, Sim, Target};

use crate::client::{Answer, BASIC, row, send, start, start_mid_hour};

const INCIDENT: &str = "/api/now/table/incident?sysparm_fields=sys_id";
const STATS: &str = "/api/now/stats/incident?sysparm_count=true";

fn item(id: &str, url: &str) -> Value {
    json!({ "id": id, "url": url, "method": "GET", "exclude_response_headers": true,
        "headers": [{ "name": "Accept", "value": "application/json" }] })
}

fn post(sim: &Sim, headers: &str, items: &[Value]) -> Answer {
    let body = json!({ "batch_request_id": "7", "rest_requests": items });
    let headers = format!("{BASIC}Content-Type: application/json\r\n{headers}");
    send(
        sim,
        "POST",
        "/api/now/v1/batch",
        &headers,
        &body.to_string(),
    )
}

fn batch(sim: &Sim, items: &[Value]) -> Value {
    let answer = post(sim, "", items);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Statuses of the serviced items, then the ids of the others.
fn outcome(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().unwrap().clone();
    let served = list("serviced_requests");
    let mut words: Vec<String> = served
        .iter()
        .map(|it| it["status_code"].to_string())
        .collect();
    words.extend(
        list("unserviced_requests")
            .iter()
            .map(|id| id.as_str().unwrap().to_owned()),
    );
    words.join(" ")
}

/// The decoded body of an item's answer.
fn body(answer: &Value, at: usize) -> String {
    let text = answer["serviced_requests"][at]["body"].as_str().unwrap();
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').chars() {
        bits = bits << 6 | u32::try_from(digits.find(letter).unwrap()).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn items_are_answered_one_after_the_other() {
    let sim = start();
    sim.insert("incident", row("a")).unwrap();
    let mut with_headers = item("3", "/api/now/v2/table/incident");
    with_headers["exclude_response_headers"] = json!(false);
    let answer = batch(
        &sim,
        &[
            item("1", INCIDENT),
            item("two", STATS),
            with_headers,
            item("4", "/api/now/table/incident/zz"),
            item("5", "/api/now/table/nope"),
            item("6", "/api/now/v1/batch"),
        ],
    );
    assert_eq!(outcome(&answer), "200 200 200 404 400 400");
    assert_eq!(answer["batch_request_id"], "7");
    assert_eq!(body(&answer, 0), r#"{"result":[{"sys_id":"a"}]}"#);
    assert_eq!(body(&answer, 1), r#"{"result":{"stats":{"count":"1"}}}"#);
    let first = &answer["serviced_requests"][0];
    assert_eq!(
        (&first["id"], &first["status_text"]),
        (&json!("1"), &json!("OK"))
    );
    assert_eq!(first["headers"], json!([]));
    assert!(first["execution_time"].is_u64());
    let headers = answer["serviced_requests"][2]["headers"]
        .as_array()
        .unwrap();
    assert!(headers.contains(&json!({ "name": "X-Total-Count", "value": "1" })));
    assert!(body(&answer, 5).contains("Nested"));
}

#[test]
fn items_are_logged_with_the_batch_they_came_in() {
    let sim = start();
    sim.insert("incident", row("a")).unwrap();
    batch(&sim, &[item("1", INCIDENT), item("2", STATS)]);
    let log = sim.requests();
    let outer = &log[0];
    assert!(outer.is_batch() && outer.batch.is_none());
    assert_eq!(outer.status, 200);
    let inner: Vec<_> = log[1..]
        .iter()
        .map(|it| (it.batch, it.path.as_str()))
        .collect();
    assert_eq!(
        inner,
        [
            (Some(outer.id), "/api/now/table/incident"),
            (Some(outer.id), "/api/now/stats/incident"),
        ]
    );
    let request = &sim.table_requests("incident")[0];
    assert_eq!(
        (request.status, request.rows, request.is_batch()),
        (200, 1, false)
    );
    assert_eq!(request.header("accept"), Some("application/json"));
}

#[test]
fn what_meets_a_limit_is_unserviced_with_all_that_follows() {
    let sim = Sim::start(Options {
        batch: BatchLimits {
            max_input: 300,
            max_output: 200,
            ..BatchLimits::default()
        },
        ..Options::default()
    })
    .unwrap();
    let rows = (0..9).map(|n| row(&n.to_string()));
    sim.insert_many("incident", rows).unwrap();
    let small = item("s", STATS);
    let long = item(
        "l",
        &format!("{STATS}&sysparm_query=sys_id={}", "x".repeat(300)),
    );
    let large = item("o", "/api/now/table/incident");
    assert_eq!(
        outcome(&batch(&sim, &[small.clone(), long, small.clone()])),
        "200 l s"
    );
    assert_eq!(
        outcome(&batch(&sim, &[small.clone(), large, small.clone()])),
        "200 o s"
    );
    // The client's own limit can only be lower (batch-api.md).
    for (limit, expected) in [("20", "s"), ("100000", "200")] {
        let header = format!("X-BATCHREQUEST-MAX-OUTPUT-SIZE: {limit}\r\n");
        let answer = post(&sim, &header, std::slice::from_ref(&small)).json();
        assert_eq!(outcome(&answer), expected, "{limit}");
    }
}

#[test]
fn what_is_not_done_in_time_is_unserviced() {
    let time = Duration::from_secs(2);
    let sim = Sim::start(Options {
        batch: BatchLimits {
            time,
            ..BatchLimits::default()
        },
        ..Options::default()
    })
    .unwrap();
    let slow = Fault::Delay(time + Duration::from_millis(100));
    sim.faults()
        .on_next(1, Target::Stats("incident".to_owned()), slow);
    let items = [item("1", INCIDENT), item("2", STATS), item("3", INCIDENT)];
    assert_eq!(outcome(&batch(&sim, &items)), "200 2 3");
    // The third never began.
    assert_eq!(sim.table_requests("incident").len(), 1);
}

#[test]
fn faults_and_rate_rules_reach_into_a_batch() {
    let sim = start_mid_hour();
    sim.faults()
        .on_next(1, Target::table("incident"), Fault::Unavailable);
    sim.rate_rule(1);
    let items = [
        item("1", INCIDENT),
        item("2", INCIDENT),
        item("3", INCIDENT),
        item("4", STATS),
    ];
    assert_eq!(outcome(&batch(&sim, &items)), "503 200 429 200");
    sim.faults()
        .on_next(1, Target::table("incident"), Fault::Reset);
    assert_eq!(
        post(&sim, "", &items).status,
        0,
        "a lost node takes the batch along"
    );
}

#[test]
fn a_batch_that_cannot_be_read_is_refused() {
    let sim = start();
    let json = format!("{BASIC}Content-Type: application/json\r\n");
    let path = "/api/now/batch";
    let whole = json!({ "rest_requests": [] }).to_string();
    for (method, headers, text, status) in [
        ("POST", json.as_str(), whole.as_str(), 200),
        ("HEAD", BASIC, "", 200),
        ("GET", BASIC, "", 405),
        ("POST", json.as_str(), "{", 400),
        ("POST", json.as_str(), "{}", 400),
        (
            "POST",
            json.as_str(),
            r#"{"rest_requests":[{"id":"1","method":"GET"}]}"#,
            400,
        ),
        (
            "POST",
            "Content-Type: application/json\r\n",
            whole.as_str(),
            401,
        ),
    ] {
        let answer = send(&sim, method, path, headers, text);
        assert_eq!(answer.status, status, "{method} {text}");
    }
}
