//! Lines 35 and 37: what goes wrong, and the control endpoint.

use std::io::Read;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use servicenow_sim::{Fault, Options, Rule, Sim, Target};

use crate::client::{Answer, BASIC, connect, get, query, request, row, send, start};

const LIST: &str = "/api/now/table/incident";

fn filled(rows: usize) -> Sim {
    let sim = start();
    sim.insert_many("incident", (0..rows).map(|n| row(&format!("{n:03}"))))
        .unwrap();
    sim
}

/// The answer while `fault` strikes once; afterwards all is well.
fn struck(fault: &Fault) -> Answer {
    let sim = filled(10);
    let id = sim
        .faults()
        .on_next(1, Target::table("incident"), fault.clone());
    let answer = send(&sim, "GET", LIST, BASIC, "");
    assert_eq!(sim.faults().fired(id), 1);
    assert_eq!(sim.requests()[0].fault, Some(fault.name()));
    assert_eq!(get(&sim, LIST).rows().len(), 10, "after {}", fault.name());
    answer
}

#[test]
fn line_37_html_and_redirects() {
    for (fault, status, text) in [
        (Fault::BadGateway, 502, "Bad Gateway"),
        (Fault::Unavailable, 503, "Service Temporarily Unavailable"),
        (Fault::Hibernating, 200, "Instance Hibernating page"),
    ] {
        let answer = struck(&fault);
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("Content-Type"),
            Some("text/html;charset=UTF-8")
        );
        assert!(answer.text().contains(text));
    }
    let answer = struck(&Fault::RedirectToLogin);
    assert_eq!(
        (answer.status, answer.header("Location")),
        (302, Some("/login.do"))
    );
}

#[test]
fn line_37_bodies_that_are_no_result() {
    assert_eq!(struck(&Fault::NullBody).text(), "null");
    let empty = struck(&Fault::EmptyBody);
    assert_eq!(
        (empty.status, empty.text().as_str(), empty.complete),
        (200, "", true)
    );
    let cut = struck(&Fault::CutJson);
    assert!(cut.complete);
    assert!(serde_json::from_slice::<serde_json::Value>(&cut.body).is_err());
    let gzip = struck(&Fault::CutGzip);
    assert!(gzip.complete);
    let mut text = String::new();
    assert!(
        GzDecoder::new(gzip.body.as_slice())
            .read_to_string(&mut text)
            .is_err()
    );
}

#[test]
fn line_37_breaks_at_socket_level() {
    assert_eq!(struck(&Fault::Reset).status, 0);
    for fault in [
        Fault::ResetMidBody { after: None },
        Fault::CutChunks { after: None },
        Fault::StallMidBody(Duration::from_millis(50)),
    ] {
        let answer = struck(&fault);
        assert_eq!(answer.status, 200);
        assert!(!answer.complete);
        assert!(answer.body.len() > 1000);
    }
    let answer = struck(&Fault::CutChunks { after: Some(17) });
    assert_eq!(answer.body.len(), 17);
    let begin = Instant::now();
    assert_eq!(struck(&Fault::Hang(Duration::from_millis(200))).status, 0);
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(struck(&Fault::Delay(Duration::from_millis(10))).status, 200);
}

#[test]
fn line_37_a_reset_is_a_reset() {
    let sim = filled(10);
    sim.faults()
        .on(Target::Any, Fault::ResetMidBody { after: None });
    let mut stream = connect(&sim);
    request(&mut stream, "GET", LIST, BASIC, "");
    let mut rest = Vec::new();
    // The client's reader has met the error already, or meets it now.
    let end = stream.read_to_end(&mut rest);
    assert!(end.is_err() || stream.take_error().unwrap().is_some() || rest.is_empty());
}

#[test]
fn statuses_of_sections_1_and_7() {
    let rate = struck(&Fault::RateLimited { retry_after: 7 });
    assert_eq!((rate.status, rate.header("Retry-After")), (429, Some("7")));
    assert!(rate.header("X-RateLimit-Reset").is_some());
    assert_eq!(rate.json()["error"]["message"], "Rate limit exceeded");
    let full = struck(&Fault::SemaphoreFull);
    assert_eq!((full.status, full.header("Retry-After")), (429, None));
    assert_eq!(full.text(), "Too Many Requests");
    assert_eq!(struck(&Fault::Unauthorized).status, 401);
    assert_eq!(
        struck(&Fault::ApiAcl).json()["error"]["message"],
        "User Not Authorized"
    );
    let not_executed = struck(&Fault::NotExecuted);
    assert_eq!((not_executed.status, not_executed.body.len()), (202, 0));
    let error = struck(&Fault::Error {
        status: 500,
        message: "oops".to_owned(),
    });
    assert_eq!(
        (error.status, error.json()["error"]["message"].as_str()),
        (500, Some("oops"))
    );
}

#[test]
fn line_35_partial_results() {
    let message = "Transaction cancelled: maximum execution time exceeded";
    let answer = struck(&Fault::PartialResult {
        share: 0.5,
        malformed: false,
    });
    let json = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(json["result"].as_array().unwrap().len(), 5);
    assert_eq!(json["error"]["message"], message);
    assert_eq!(json["status"], "failure");
    let answer = struck(&Fault::PartialResult {
        share: 0.5,
        malformed: true,
    });
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
    assert!(answer.text().contains(message));
    let answer = struck(&Fault::QueuedTimeout);
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["error"]["message"], message);
}

#[test]
fn line_35_large_pages_time_out_and_small_ones_succeed() {
    let sim = filled(40);
    let slow = Fault::Slow {
        per_row: Duration::from_millis(10),
        per_offset: Duration::from_millis(10),
        limit: Duration::from_millis(200),
        malformed: false,
    };
    sim.faults().on(Target::table("incident"), slow);
    let page = |limit: usize, offset: usize| {
        get(
            &sim,
            &format!("{LIST}?sysparm_limit={limit}&sysparm_offset={offset}"),
        )
        .json()
    };
    let large = page(40, 0);
    assert_eq!(large["status"], "failure");
    assert_eq!(large["result"].as_array().unwrap().len(), 20);
    assert!(page(10, 0).get("error").is_none());
    assert!(
        page(10, 30).get("error").is_some(),
        "a deep offset costs, too"
    );
}

#[test]
fn queries_that_are_not_obeyed() {
    let sim = filled(10);
    sim.faults()
        .on_next(1, Target::table("incident"), Fault::IgnoreConditions);
    let text = "sys_id>004^ORDERBYsys_id";
    assert_eq!(query(&sim, "incident", text, "").rows().len(), 10);
    assert_eq!(query(&sim, "incident", text, "").rows().len(), 5);
    sim.faults()
        .on_next(1, Target::table("incident"), Fault::NoTotalCount);
    assert_eq!(
        query(&sim, "incident", text, "").header("X-Total-Count"),
        None
    );
    let drop = Fault::DropColumns(vec!["sys_updated_on".to_owned()]);
    sim.faults().on_next(1, Target::table("incident"), drop);
    assert!(
        query(&sim, "incident", text, "").rows()[0]
            .get("sys_updated_on")
            .is_none()
    );
}

#[test]
fn rules_count_skip_and_choose() {
    let sim = filled(1);
    let rule = Rule::new(Target::Any, Fault::Unavailable).skip(1).times(2);
    sim.faults()
        .add(rule.when(|request| request.param("sysparm_limit") == Some("1")));
    let statuses: Vec<u16> = (0..5)
        .map(|_| {
            assert_eq!(get(&sim, LIST).status, 200);
            get(&sim, &format!("{LIST}?sysparm_limit=1")).status
        })
        .collect();
    assert_eq!(statuses, [200, 503, 503, 200, 200]);
    let id = sim.faults().on(Target::Token, Fault::Unavailable);
    assert_eq!(send(&sim, "POST", "/oauth_token.do", "", "").status, 503);
    sim.faults().remove(id);
    assert_eq!(send(&sim, "POST", "/oauth_token.do", "", "").status, 401);
}

#[test]
fn the_log_shows_what_was_sent() {
    let sim = filled(3);
    let mut stream = connect(&sim);
    let target = format!("{LIST}?sysparm_query=active%3Dtrue%5EORsys_id%3E0&sysparm_limit=2");
    let bytes = request(
        &mut stream,
        "GET",
        &target,
        &format!("{BASIC}X-Probe: 1\r\n"),
        "",
    )
    .body;
    // The next answer comes after the log entry of the first was completed.
    request(&mut stream, "GET", "/api/now/nonsense", BASIC, "");
    let log = sim.table_requests("incident");
    assert_eq!(log.len(), 1);
    let entry = &log[0];
    assert_eq!(entry.query(), "active=true^ORsys_id>0");
    assert_eq!((entry.status, entry.rows), (200, 2));
    assert_eq!(entry.bytes, bytes.len() as u64);
    assert_eq!(entry.header("x-probe"), Some("1"));
    assert_eq!(entry.header("cookie"), None);
    sim.clear_requests();
    assert!(sim.requests().is_empty());
}

#[test]
fn the_control_endpoint_scripts_faults() {
    let sim = filled(1);
    let script = r#"{"fault":"error","status":500,"message":"m","table":"incident","times":1}"#;
    assert_eq!(send(&sim, "POST", "/sim/faults", "", script).status, 201);
    assert_eq!(get(&sim, LIST).status, 500);
    assert_eq!(get(&sim, LIST).status, 200);
    assert_eq!(
        send(&sim, "POST", "/sim/faults", "", r#"{"fault":"nope"}"#).status,
        400
    );
    let log = send(&sim, "GET", "/sim/requests", "", "").json();
    assert_eq!(log["requests"].as_array().unwrap().len(), 2);
    assert_eq!(log["requests"][0]["fault"], "error");
    send(
        &sim,
        "POST",
        "/sim/faults",
        "",
        r#"{"fault":"unavailable"}"#,
    );
    send(&sim, "DELETE", "/sim/faults", "", "");
    assert_eq!(get(&sim, LIST).status, 200);
    send(&sim, "DELETE", "/sim/requests", "", "");
    assert!(sim.requests().is_empty());
}

#[test]
fn stopping_ends_hanging_requests_and_frees_the_port() {
    let sim = filled(1);
    sim.faults()
        .on(Target::Any, Fault::Hang(Duration::from_secs(600)));
    let addr = sim.url().strip_prefix("http://").unwrap().to_owned();
    let mut stream = connect(&sim);
    let client = std::thread::Builder::new()
        .name("client".to_owned())
        .spawn(move || request(&mut stream, "GET", LIST, BASIC, "").status)
        .unwrap();
    while sim.requests().is_empty() {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(sim.requests()[0].status, 0);
    let begin = Instant::now();
    sim.stop();
    assert_eq!(client.join().unwrap(), 0);
    assert!(begin.elapsed() < Duration::from_secs(60));
    let again = Sim::start(Options {
        addr,
        ..Options::default()
    });
    assert!(again.is_ok());
}
