//! Writing requests: what counts as done, and what may have been.

use std::time::{Duration, Instant};

use super::server::{
    ClientBench, JSON_HEADER, ScriptedServer, ServerAction, answer, bench, password, token,
    unauthorized,
};
use crate::servicenow::table_write;
use crate::servicenow::table_write::{RowAfterWrite, TableWrite};
use crate::servicenow::{Error, InstanceFailure, OutageSign};

const TABLE_API: &str = "/api/now/table";
const ROW_SYS_ID: &str = "0123456789abcdef0123456789abcdef";

fn post(bench: &ClientBench) -> Result<RowAfterWrite, Error> {
    let write = TableWrite::insert(TABLE_API, "incident", br#"{"a":"b"}"#);
    bench.client.write(&write, &bench.stop)
}

fn patch(bench: &ClientBench) -> Result<RowAfterWrite, Error> {
    let write = TableWrite::update(TABLE_API, "incident", ROW_SYS_ID, b"{}");
    bench.client.write(&write, &bench.stop)
}

fn delete(bench: &ClientBench) -> Result<RowAfterWrite, Error> {
    let write = TableWrite::delete(TABLE_API, "incident", ROW_SYS_ID);
    bench.client.write(&write, &bench.stop)
}

type WriteCall = fn(&ClientBench) -> Result<RowAfterWrite, Error>;

const WRITE_CALLS: [WriteCall; 3] = [post, patch, delete];

/// What one write makes of one answer.
fn made_of(call: WriteCall, acts: &[ServerAction]) -> Result<RowAfterWrite, Error> {
    let acts = acts.to_vec();
    let server = ScriptedServer::start(move |_, _| acts.clone());
    let result = call(&bench(&server, |config| {
        config.read_timeout = Duration::from_millis(200);
    }));
    assert_eq!(server.seen().len(), 1, "nothing is sent twice");
    result
}

#[test]
fn what_is_sent() {
    let server = ScriptedServer::start(|_, _| answer("201 Created", &[JSON_HEADER], "{}"));
    let bench = bench(&server, |_| {});
    for call in WRITE_CALLS {
        call(&bench).unwrap();
    }
    let seen = server.seen();
    let params = "sysparm_fields=sys_id%2Csys_mod_count%2Csys_updated_by&sysparm_exclude_reference_link=true";
    assert_eq!(
        seen[0].line,
        format!("POST /api/now/table/incident?{params} HTTP/1.1")
    );
    assert_eq!(seen[0].body, r#"{"a":"b"}"#);
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].header("content-length"), Some("9"));
    assert_eq!(seen[0].header("transfer-encoding"), None);
    assert_eq!(
        seen[1].line,
        format!("PATCH /api/now/table/incident/{ROW_SYS_ID}?{params} HTTP/1.1")
    );
    assert_eq!(
        seen[2].line,
        format!("DELETE /api/now/table/incident/{ROW_SYS_ID} HTTP/1.1")
    );
    assert_eq!(seen[2].header("content-type"), None);
    for seen in &seen {
        assert_eq!(seen.connection, 1, "the connection is kept");
        assert!(seen.header("authorization").is_some());
    }
    let endpoint = "/api/now/table/{table}/{sys_id}";
    let requests = bench.metrics.api_requests.with(&["PATCH", endpoint]);
    assert_eq!(requests.get(), 1);
}

#[test]
fn the_status_says_that_it_was_done() {
    let location = format!("Location: https://x/api/now/table/incident/{ROW_SYS_ID}?a=b");
    for body in ["", "<html>", r#"{"result":"#, "null", r#"{"error":{}}"#] {
        let written = made_of(post, &answer("201 Created", &[&location], body)).unwrap();
        assert_eq!(written.sys_id.as_deref(), Some(ROW_SYS_ID), "{body}");
    }
    // The last segment of these is a table's name.
    for table in ["incident", "cafe"] {
        let location = format!("Location: https://x/api/now/table/{table}");
        let written = made_of(post, &answer("201 Created", &[&location], "")).unwrap();
        assert_eq!(written, RowAfterWrite::default());
    }
    let row = format!(
        r#"{{"result":{{"sys_id":"{ROW_SYS_ID}","sys_mod_count":"4","sys_updated_by":"me"}}}}"#
    );
    let known = RowAfterWrite {
        sys_id: Some(ROW_SYS_ID.to_owned()),
        mod_count: Some(4),
        updated_by: Some("me".to_owned()),
    };
    for status in ["200 OK", "201 Created"] {
        for call in WRITE_CALLS {
            let written = made_of(call, &answer(status, &[JSON_HEADER], &row)).unwrap();
            assert_eq!(written, known);
        }
    }
    let head = ServerAction::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    assert_eq!(made_of(delete, &[head]).unwrap(), RowAfterWrite::default());
    // The connection breaks inside the answer.
    let head = b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{".to_vec();
    made_of(post, &[ServerAction::Send(head), ServerAction::Close]).unwrap();
    // An answer that is longer than what was asked for.
    let long = format!(r#"{{"result":{{"a":"{}"}}}}"#, "x".repeat(100_000));
    made_of(patch, &answer("200 OK", &[JSON_HEADER], &long)).unwrap();
}

#[test]
fn a_200_must_be_the_instances() {
    let html = "Content-Type: text/html";
    let failure = r#"{"result":{},"error":{"message":"Transaction cancelled"},"status":"failure"}"#;
    for call in WRITE_CALLS {
        for (header, body, kind) in [
            (html, "<html>Hibernating", "not_json"),
            (JSON_HEADER, failure, "failed"),
            (JSON_HEADER, "", "body"),
            (JSON_HEADER, r#"{"result":{"#, "body"),
            (JSON_HEADER, "null", "body"),
        ] {
            let error = made_of(call, &answer("200 OK", &[header], body)).unwrap_err();
            assert_eq!(error.metric_label(), kind, "{body}");
            assert!(error.possibly_executed_at().is_some() && error.is_retryable());
        }
    }
}

#[test]
fn what_may_have_happened() {
    let status =
        |status: &str| answer(status, &[JSON_HEADER], r#"{"error":{"message":"Because"}}"#);
    let long = vec![ServerAction::Wait(Duration::from_secs(60))];
    for (acts, happened) in [
        (vec![ServerAction::Close], true),
        (long, true),
        (status("500 Error"), true),
        (status("502 Gateway"), true),
        (status("503 Unavailable"), true),
        (status("504 Gateway"), true),
        (status("202 Accepted"), false),
        (status("302 Found"), false),
        (status("400 Bad"), false),
        (status("401 Unauthorized"), false),
        (status("403 Forbidden"), false),
        (status("404 Not Found"), false),
        (status("409 Conflict"), false),
        (status("413 Too Large"), false),
        (status("429 Too Many"), false),
        (
            answer("503 Unavailable", &[JSON_HEADER, "Retry-After: 1"], "{}"),
            false,
        ),
    ] {
        for call in WRITE_CALLS {
            let before = Instant::now();
            let error = made_of(call, &acts).unwrap_err();
            let sent = error.possibly_executed_at();
            assert_eq!(sent.is_some(), happened, "{error}");
            assert!(sent.is_none_or(|sent| before <= sent));
        }
    }
}

#[test]
fn without_a_connection_nothing_happened() {
    let server = ScriptedServer::start(|_, _| vec![]);
    let addr = server.addr;
    drop(server);
    let other = ScriptedServer::start(|_, _| vec![]);
    for url in [
        format!("http://{addr}"),
        "http://no.such.host.invalid".into(),
    ] {
        let bench = bench(&other, |config| config.base_url = url);
        let error = post(&bench).unwrap_err();
        assert_eq!(error.metric_label(), "network");
        assert_eq!(error.possibly_executed_at(), None);
    }
    // A handshake that fails: the head is never sent.
    let plain = ScriptedServer::start(|_, _| vec![ServerAction::Close]);
    let addr = plain.addr;
    let bench = bench(&other, |config| {
        config.base_url = format!("https://{addr}");
        config.read_timeout = Duration::from_millis(200);
    });
    // The server waits for the end of a head that never comes; the client gives up.
    let error = post(&bench).unwrap_err();
    assert_eq!(error.possibly_executed_at(), None, "{error}");
}

#[test]
fn a_kept_connection_that_breaks_is_no_reason_to_send_again() {
    let server = ScriptedServer::start(|number, _| match number {
        0 => answer("201 Created", &[JSON_HEADER], "{}"),
        _ => vec![ServerAction::Close],
    });
    let bench = bench(&server, |_| {});
    post(&bench).unwrap();
    let error = post(&bench).unwrap_err();
    assert!(error.possibly_executed_at().is_some());
    assert_eq!(server.count("POST"), 2);
    assert_eq!(server.seen()[1].connection, 1);
}

#[test]
fn after_a_401_it_is_sent_again_with_a_new_token() {
    let server = ScriptedServer::start(|_, seen| {
        if seen.line.contains("oauth") {
            return if seen.body.contains("refresh_token") {
                token("new", 1800)
            } else {
                token("old", 1800)
            };
        }
        match seen.header("authorization") {
            Some("Bearer new") => answer("201 Created", &[JSON_HEADER], "{}"),
            _ => unauthorized(),
        }
    });
    let bench = bench(&server, |config| config.auth = password());
    post(&bench).unwrap();
    let seen = server.seen();
    let posts = seen.iter().filter(|seen| seen.line.contains("incident"));
    let bodies: Vec<&str> = posts.map(|seen| seen.body.as_str()).collect();
    assert_eq!(bodies, [r#"{"a":"b"}"#; 2]);
}

#[test]
fn a_refused_record_is_no_trouble_of_the_instance() {
    let body = r#"{"error":{"message":"Operation Failed","detail":"ACL Exception Insert Failed due to security constraints"},"status":"failure"}"#;
    let server = ScriptedServer::start(move |_, _| answer("403 Forbidden", &[JSON_HEADER], body));
    let bench = bench(&server, |_| {});
    let error = post(&bench).unwrap_err();
    assert!(bench.health.readiness().ok);
    assert!(error.is_api_verdict() && !error.is_instance_wide());
    let words = error.to_string();
    assert!(words.contains("ACL Exception Insert Failed"), "{words}");
    assert!(
        words.contains("give the integration user create"),
        "{words}"
    );
    assert!(!words.contains("read access"), "{words}");
    assert!(!words.contains("\"a\""), "{words}");
}

#[test]
fn the_door_is_the_instances_trouble() {
    let body = r#"{"error":{"message":"User Not Authorized","detail":"Failed API level ACL Validation"},"status":"failure"}"#;
    let error = made_of(post, &answer("403 Forbidden", &[JSON_HEADER], body)).unwrap_err();
    assert!(error.is_instance_wide() && !error.is_api_verdict());
    let body = r#"{"error":{"message":"Requested URI does not represent any resource","detail":null},"status":"failure"}"#;
    let error = made_of(post, &answer("400 Bad Request", &[JSON_HEADER], body)).unwrap_err();
    assert!(error.is_instance_wide() && !error.is_api_verdict());
    // A gateway's, not the API's.
    let error = made_of(patch, &answer("404 Not Found", &[], "<html>")).unwrap_err();
    assert_eq!(error.outage(), OutageSign::Certain);
    assert_eq!(error.metric_label(), "foreign");
}

#[test]
fn bodies_that_are_too_large() {
    let words = "Rejected large REST payload with content-length = 9 bytes. Max allowed: 5 bytes.";
    let body = format!(r#"{{"error":{{"message":"Exception","detail":"{words}"}}}}"#);
    for answer in [
        answer("413 Too Large", &[], ""),
        answer("400 Bad Request", &[JSON_HEADER], &body),
    ] {
        let error = made_of(post, &answer).unwrap_err();
        assert!(error.is_too_large());
        assert!(error.to_string().contains("glide.rest.max_content_length"));
    }
}

#[test]
fn what_is_searched_for_is_not_shown() {
    let server = ScriptedServer::start(|_, _| answer("400 Bad Request", &[JSON_HEADER], "{}"));
    let bench = bench(&server, |_| {});
    let find = table_write::find_rows(TABLE_API, "incident", "u_key=secret".into(), "sys_id", 2);
    let error = bench
        .client
        .get_result_once(&find, &bench.stop)
        .unwrap_err();
    assert!(matches!(
        error.cause(),
        Some(InstanceFailure::BadRequest { .. })
    ));
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(
        server.seen()[0].line,
        "GET /api/now/table/incident?sysparm_query=u_key%3Dsecret&sysparm_fields=sys_id&sysparm_limit=2&sysparm_exclude_reference_link=true&sysparm_suppress_pagination_header=true&sysparm_no_count=true HTTP/1.1"
    );
}
