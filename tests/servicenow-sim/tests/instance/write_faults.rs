//! Faults on writes: which are carried out although the client cannot know, and which are not.

use std::time::Duration;

use serde_json::{Value, json};
use servicenow_sim::{Fault, Operation, Options, Rule, Sim, Target};

use crate::client::{Answer, BASIC, connect, get, request, row, send, start};
use crate::writes::{LIST, error, write};

const ID: &str = "0123456789abcdef0123456789abcdef";

/// A POST while `fault` strikes once; checks that the journal knows.
fn posted(sim: &Sim, fault: &Fault) -> Answer {
    sim.faults()
        .on_next(1, Target::writes("incident"), fault.clone());
    get(sim, LIST);
    let answer = write(sim, "POST", LIST, &json!({ "sys_id": ID }));
    let last = sim.writes().last().cloned().unwrap();
    assert_eq!(last.fault, Some(fault.name()), "not the GET");
    assert_eq!(last.status, answer.status);
    answer
}

fn rows(sim: &Sim) -> usize {
    sim.count("incident").unwrap()
}

#[test]
fn applied_faults_are_carried_out() {
    for (fault, status) in [
        (Fault::AppliedTimeout504, 504),
        (Fault::AppliedReset, 0),
        (Fault::AppliedHang(Duration::from_millis(20)), 201),
        (Fault::InsertedBut403, 403),
        (Fault::BrokenBody201, 201),
        (Fault::ResetMidBody { after: None }, 201),
        (Fault::CutJson, 201),
    ] {
        let sim = start();
        assert_eq!(posted(&sim, &fault).status, status, "{}", fault.name());
        let last = sim.writes().pop().unwrap();
        assert!(last.applied, "{}", fault.name());
        assert_eq!((last.sys_id.as_str(), last.sequence), (ID, 1));
        assert_eq!(rows(&sim), 1, "{}", fault.name());
        assert_eq!(get(&sim, &format!("{LIST}/{ID}")).status, 200);
    }
}

#[test]
fn other_faults_are_not_carried_out() {
    for (fault, status) in [
        (Fault::BadGateway, 502),
        (Fault::Unavailable, 503),
        (Fault::RateLimited { retry_after: 1 }, 429),
        (Fault::SemaphoreFull, 429),
        (Fault::Hibernating, 200),
        (Fault::RedirectToLogin, 302),
        (Fault::Unauthorized, 401),
        (Fault::ApiAcl, 403),
        (Fault::QueuedTimeout, 500),
        (Fault::NotExecuted, 202),
        (Fault::NullBody, 200),
        (Fault::EmptyBody, 200),
        (Fault::Reset, 0),
        (Fault::Hang(Duration::from_millis(20)), 0),
        (
            Fault::Error {
                status: 500,
                message: "m".to_owned(),
            },
            500,
        ),
    ] {
        let sim = start();
        assert_eq!(posted(&sim, &fault).status, status, "{}", fault.name());
        assert_eq!(rows(&sim), 0, "{}", fault.name());
        let last = sim.writes().pop().unwrap();
        assert_eq!((last.applied, last.sequence), (false, 0));
        assert_eq!(last.field("sys_id"), Some(ID));
        assert_eq!(write(&sim, "POST", LIST, &json!({})).status, 201);
    }
    // A delay is only slow.
    let sim = start();
    assert_eq!(
        posted(&sim, &Fault::Delay(Duration::from_millis(20))).status,
        201
    );
    assert_eq!(rows(&sim), 1);
}

#[test]
fn revoked_tokens_refuse_the_write() {
    let sim = start();
    let form = "grant_type=password&client_id=client-id&client_secret=client-secret\
                &username=bridge&password=secret";
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let token = send(&sim, "POST", "/oauth_token.do", kind, form).json();
    let token = token["access_token"].as_str().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(send(&sim, "POST", LIST, &bearer, "{}").status, 201);
    sim.faults()
        .on_next(1, Target::writes("incident"), Fault::RevokeTokens);
    assert_eq!(send(&sim, "POST", LIST, &bearer, "{}").status, 401);
    assert_eq!(rows(&sim), 1);
}

#[test]
fn applied_504_is_the_gateways_page() {
    let sim = start();
    let answer = posted(&sim, &Fault::AppliedTimeout504);
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html;charset=UTF-8")
    );
    assert!(answer.text().contains("504 Gateway Time-out"));
    assert_eq!(answer.header("Location"), None);
    // Updates and deletes, too.
    sim.faults()
        .on(Target::writes("incident"), Fault::AppliedTimeout504);
    let place = format!("{LIST}/{ID}");
    assert_eq!(
        write(&sim, "PATCH", &place, &json!({ "state": "3" })).status,
        504
    );
    assert_eq!(sim.get("incident", ID).unwrap().get("state"), Some("3"));
    assert_eq!(write(&sim, "DELETE", &place, &Value::Null).status, 504);
    assert_eq!(rows(&sim), 0);
    assert_eq!(get(&sim, LIST).status, 200);
}

#[test]
fn applied_hang_writes_first() {
    let sim = start();
    sim.faults().on_next(
        1,
        Target::writes("incident"),
        Fault::AppliedHang(Duration::from_secs(600)),
    );
    let mut stream = connect(&sim);
    std::thread::scope(|scope| {
        let client = scope.spawn(move || request(&mut stream, "POST", LIST, BASIC, "{}").status);
        while rows(&sim) == 0 {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let last = sim.writes().pop().unwrap();
        assert_eq!((last.status, last.applied), (0, true));
        sim.drop_connections();
        assert_eq!(client.join().unwrap(), 0);
    });
}

#[test]
fn late_apply_504_writes_after_its_answer() {
    let sim = start();
    let after = Duration::from_millis(700);
    let answer = posted(&sim, &Fault::LateApply504 { after });
    assert_eq!(answer.status, 504);
    let last = sim.writes().pop().unwrap();
    // The answer came before the row, unless this machine slept for most of a second.
    assert!(!last.applied || last.began.elapsed() >= after);
    while rows(&sim) == 0 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(last.began.elapsed() >= after);
    let last = sim.writes().pop().unwrap();
    assert_eq!(
        (last.status, last.applied, last.sys_id.as_str()),
        (504, true, ID)
    );
}

#[test]
fn late_apply_504_meets_the_second_try() {
    let sim = start();
    let after = Duration::from_secs(2);
    posted(&sim, &Fault::LateApply504 { after });
    let again = write(&sim, "POST", LIST, &json!({ "sys_id": ID, "state": "2" }));
    assert_eq!(again.status, 201);
    let first = sim.writes()[0].clone();
    while first.began.elapsed() < after + Duration::from_millis(100) {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    // The first request fails for itself: the id is taken.
    assert!(!sim.writes()[0].applied);
    assert_eq!(sim.get("incident", ID).unwrap().get("state"), Some("2"));
}

#[test]
fn line_30_inserted_but_403() {
    let sim = start();
    let answer = posted(&sim, &Fault::InsertedBut403);
    let detail = "ACL Exception Insert Failed due to security constraints";
    let want = (403, "Operation Failed".to_owned(), detail.to_owned());
    assert_eq!(error(&answer), want);
    assert_eq!(answer.header("Location"), None);
    // The same without a fault: the rules hide what was inserted.
    sim.hide("incident", |row| row.get("state") == "7").unwrap();
    let answer = write(&sim, "POST", LIST, &json!({ "state": "7" }));
    assert_eq!(error(&answer), want);
    assert_eq!(rows(&sim), 2);
    assert!(sim.writes().pop().unwrap().applied);
}

#[test]
fn line_30_a_201_that_cannot_be_parsed() {
    let sim = start();
    let answer = posted(&sim, &Fault::BrokenBody201);
    assert!(answer.complete);
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    assert!(answer.header("Location").is_some());
}

#[test]
fn rules_choose_methods_and_chances() {
    let sim = start();
    sim.insert("incident", row("a")).unwrap();
    let rule = Rule::new(Target::table("incident"), Fault::Unavailable);
    sim.faults().add(rule.method("POST").method("DELETE"));
    let place = format!("{LIST}/a");
    assert_eq!(get(&sim, LIST).status, 200);
    assert_eq!(write(&sim, "PATCH", &place, &json!({})).status, 200);
    assert_eq!(write(&sim, "POST", LIST, &json!({})).status, 503);
    assert_eq!(write(&sim, "DELETE", &place, &Value::Null).status, 503);
    let instead = format!("{BASIC}X-HTTP-Method-Override: DELETE\r\n");
    assert_eq!(send(&sim, "POST", &place, &instead, "").status, 503);
    sim.faults().clear();
    let lost = |seed: u64| -> Vec<bool> {
        let sim = start();
        let rule = Rule::new(Target::writes("incident"), Fault::AppliedReset);
        let id = sim.faults().add(rule.chance(0.3).seed(seed));
        let lost: Vec<bool> = (0..100)
            .map(|_| write(&sim, "POST", LIST, &json!({})).status == 0)
            .collect();
        let count = lost.iter().filter(|lost| **lost).count();
        assert_eq!(sim.faults().fired(id), count);
        assert!((10..=50).contains(&count), "{count}");
        assert_eq!(rows(&sim), 100);
        lost
    };
    assert_eq!(lost(7), lost(7));
    assert_ne!(lost(7), lost(8));
}

#[test]
fn line_6_a_busy_session_does_not_write() {
    let sim = Sim::start(Options {
        session_waiters: 0,
        write_latency: Duration::from_secs(600),
        ..Options::default()
    })
    .unwrap();
    let headers = format!("{BASIC}Cookie: JSESSIONID=ABC\r\n");
    let mut stream = connect(&sim);
    std::thread::scope(|scope| {
        let held = headers.clone();
        scope.spawn(move || request(&mut stream, "POST", LIST, &held, "{}"));
        // The first one is past the session's door once its user is known.
        while sim.writes().first().is_none_or(|it| it.user.is_empty()) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let second = send(&sim, "POST", LIST, &headers, "{}");
        assert_eq!((second.status, second.body.len()), (202, 0));
        let last = sim.writes().pop().unwrap();
        assert_eq!((last.operation, last.applied), (Operation::Insert, false));
        sim.drop_connections();
    });
}
