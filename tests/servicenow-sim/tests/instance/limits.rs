//! Line 36: rate rules by the hour and the semaphore.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use servicenow_sim::{Options, Sim};

use crate::client::{Answer, BASIC, connect, get, request, send, start_mid_hour};
use crate::writes::{LIST, write};

const HEADERS: [&str; 3] = ["X-RateLimit-Limit", "X-RateLimit-Reset", "X-RateLimit-Rule"];

fn number(answer: &Answer, name: &str) -> i64 {
    answer.header(name).unwrap().parse().unwrap()
}

#[test]
fn line_36_a_rate_rule_counts_by_the_hour() {
    let sim = start_mid_hour();
    assert!(
        HEADERS
            .iter()
            .all(|name| get(&sim, LIST).header(name).is_none())
    );
    sim.rate_rule(2);
    assert_eq!(get(&sim, LIST).status, 200);
    let last = write(&sim, "POST", LIST, &json!({}));
    assert_eq!(last.status, 201);
    assert_eq!(last.header("X-RateLimit-Limit"), Some("2"));
    assert_eq!(number(&last, "X-RateLimit-Reset") % 3600, 0);
    assert!(number(&last, "X-RateLimit-Reset") > sim.now());
    assert_eq!(last.header("X-RateLimit-Rule").unwrap().len(), 32);
    assert_eq!(last.header("Retry-After"), None);
    let denied = write(&sim, "POST", LIST, &json!({}));
    assert_eq!(denied.status, 429);
    assert!(HEADERS.iter().all(|name| denied.header(name).is_some()));
    assert!((1..=3600).contains(&number(&denied, "Retry-After")));
    assert_eq!(
        denied.json(),
        json!({ "error": { "message": "Rate limit exceeded",
            "detail": "Rate limit of 2 requests per hour for Table API exceeded" },
            "status": "failure" })
    );
    assert_eq!(sim.count("incident").unwrap(), 1);
    assert!(!sim.writes()[1].applied);
    // Other resources and strangers are not counted.
    assert_eq!(
        get(&sim, "/api/now/stats/incident?sysparm_count=true").status,
        200
    );
    sim.reset_rate_limit();
    assert_eq!(send(&sim, "GET", LIST, "", "").status, 401);
    assert_eq!([get(&sim, LIST).status, get(&sim, LIST).status], [200, 200]);
    assert_eq!(get(&sim, LIST).status, 429);
    sim.remove_rate_rule();
    assert_eq!(get(&sim, LIST).status, 200);
}

#[test]
fn line_36_the_rule_is_an_option() {
    let sim = Sim::start(Options {
        rate_limit_per_hour: Some(0),
        ..Options::default()
    })
    .unwrap();
    assert_eq!(get(&sim, LIST).status, 429);
}

#[test]
fn line_36_a_full_semaphore_queue_is_a_plain_429() {
    let sim = Sim::start(Options {
        semaphore: Some((2, 1)),
        write_latency: Duration::from_secs(600),
        ..Options::default()
    })
    .unwrap();
    sim.rate_rule(100);
    let (sender, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            let mut stream = connect(&sim);
            let sender = sender.clone();
            scope.spawn(move || sender.send(request(&mut stream, "POST", LIST, BASIC, "{}")));
        }
        // Two run, one waits; two are refused, in whatever order they come.
        for _ in 0..2 {
            let answer = answers.recv().unwrap();
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (429, "Too Many Requests")
            );
            assert_eq!(answer.header("Retry-After"), None);
            assert!(HEADERS.iter().all(|name| answer.header(name).is_none()));
        }
        sim.drop_connections();
    });
    assert_eq!(sim.writes().iter().filter(|it| it.status == 429).count(), 2);
    assert_eq!(sim.count("incident").unwrap(), 0);
}

#[test]
fn line_36_who_waits_gets_its_turn() {
    let sim = Sim::start(Options {
        semaphore: Some((1, 10)),
        write_latency: Duration::from_millis(20),
        ..Options::default()
    })
    .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(write(&sim, "POST", LIST, &json!({})).status, 201));
        }
    });
    assert_eq!(sim.count("incident").unwrap(), 5);
    let timing = get(&sim, LIST).header("Server-Timing").unwrap().to_owned();
    assert!(timing.starts_with("sem_wait;dur="), "{timing}");
}
