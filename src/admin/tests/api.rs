//! The admin API: who may, what they may, and in which words they are refused.

use log::LevelFilter;
use serde_json::{Value, json};

use super::*;
use crate::control::{AdminCommand, DeleteDecision, TableCommand};

const ADMIN_TOKEN: &str = "0123456789abcdef";

/// A server with the token, and a supervisor that repeats what it was asked.
fn open() -> (AdminServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, ADMIN_TOKEN).unwrap();
    let more = format!("observability: {{admin_token_file: {}}}\n", file.display());
    let (shown, requests) = shown(config(&more));
    let supervisor = thread::Builder::new().spawn(move || {
        for request in requests {
            let answer = match &request.command {
                AdminCommand::Pause(name) if name == "nothing" => {
                    Err("no table `nothing`".to_owned())
                }
                command => Ok(format!("{command:?}")),
            };
            request.answer(answer);
        }
    });
    drop(supervisor.unwrap());
    (AdminServer::start("127.0.0.1:0", shown).unwrap(), folder)
}

fn ask(
    server: &AdminServer,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, Value) {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let token = token.unwrap_or_default();
    let length = body.len();
    let request = format!(
        "{method} /api/{path} HTTP/1.1\r\n{token}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let answer = exchange(server, &request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("\r\nContent-Type: application/json\r\n"),
        "{answer}"
    );
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[track_caller]
fn refused(answer: (u16, Value), status: u16, words: &str) {
    let (found, body) = answer;
    assert_eq!(found, status, "{body}");
    let error = body["error"].as_str().unwrap();
    assert!(error.contains(words), "{error}");
}

#[test]
fn without_a_token_file_nothing_is_open() {
    let (server, _) = server();
    for path in ["pause", "config", "threads", "nothing"] {
        refused(
            ask(&server, "POST", path, Some(""), ""),
            403,
            "set observability.admin_token_file",
        );
    }
}

#[test]
fn only_the_token_opens() {
    let (server, _folder) = open();
    for token in [
        "0",
        "0123456789abcdeX",
        "0123456789abcdef0",
        "0123456789ABCDEF",
    ] {
        refused(
            ask(&server, "POST", "reload", Some(token), ""),
            401,
            "is not that of",
        );
    }
    refused(
        ask(&server, "POST", "reload", None, ""),
        401,
        "Authorization: Bearer",
    );
    let basic = "POST /api/reload HTTP/1.1\r\nAuthorization: Basic 0123456789abcdef\r\nConnection: close\r\n\r\n";
    let answer = exchange(&server, basic);
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.contains("\r\nWWW-Authenticate: Bearer\r\n")
    );
}

#[test]
fn commands_reach_the_supervisor() {
    let (server, _folder) = open();
    for (path, body, command) in [
        (
            "pause",
            r#"{"name":"incident"}"#,
            AdminCommand::Pause("incident".to_owned()),
        ),
        (
            "resume",
            r#"{"name":"incident"}"#,
            AdminCommand::Resume("incident".to_owned()),
        ),
        (
            "poll",
            r#"{"name":"incident"}"#,
            AdminCommand::PollNow("incident".to_owned()),
        ),
        (
            "deletes",
            r#"{"name":"incident","decision":"reject"}"#,
            AdminCommand::ForTable {
                table: "incident".to_owned(),
                command: TableCommand::DecideDeletes(DeleteDecision::Reject),
            },
        ),
        (
            "log-level",
            r#"{"level":"debug"}"#,
            AdminCommand::LogLevel(LevelFilter::Debug),
        ),
        ("refresh-token", "", AdminCommand::RefreshToken),
        ("reload", "", AdminCommand::Reload),
    ] {
        let answer = ask(&server, "POST", path, Some(ADMIN_TOKEN), body);
        assert_eq!(answer, (200, json!({"done": format!("{command:?}")})));
        refused(
            ask(&server, "GET", path, Some(ADMIN_TOKEN), ""),
            405,
            "POST only",
        );
    }
    let nothing = ask(
        &server,
        "POST",
        "pause",
        Some(ADMIN_TOKEN),
        r#"{"name":"nothing"}"#,
    );
    refused(nothing, 409, "no table `nothing`");
}

#[test]
fn what_makes_no_sense_is_refused_with_words() {
    let (server, _folder) = open();
    for (path, body, words) in [
        ("pause", "", r#"not JSON as {"name": "incident"}"#),
        ("pause", r#"{"table":"x"}"#, "unknown field `table`"),
        ("pause", r#"{"name":5}"#, "invalid type"),
        (
            "log-level",
            r#"{"level":"loud"}"#,
            "one of error, warn, info",
        ),
    ] {
        refused(
            ask(&server, "POST", path, Some(ADMIN_TOKEN), body),
            400,
            words,
        );
    }
    refused(
        ask(&server, "POST", "stop", Some(ADMIN_TOKEN), ""),
        404,
        "the admin API has",
    );
    refused(
        ask(&server, "POST", "config", Some(ADMIN_TOKEN), ""),
        405,
        "GET, HEAD only",
    );
    let long = format!(
        "POST /api/pause HTTP/1.1\r\nContent-Length: 5000\r\n\r\n{}",
        "x".repeat(5000)
    );
    assert!(exchange(&server, &long).starts_with("HTTP/1.1 413 "));
}

#[test]
fn what_there_is_to_see() {
    let (server, _folder) = open();
    let (status, config) = ask(&server, "GET", "config", Some(ADMIN_TOKEN), "");
    assert_eq!(status, 200);
    assert_eq!(
        config["servicenow"]["auth"]["basic"]["password"],
        "[redacted]"
    );
    assert_eq!(config["source"]["tables"][0]["name"], "incident");
    assert!(!config.to_string().contains(ADMIN_TOKEN));
    let (status, threads) = ask(&server, "GET", "threads", Some(ADMIN_TOKEN), "");
    assert_eq!(status, 200);
    let threads = threads["threads"].as_array().unwrap();
    assert!(
        threads.iter().any(|thread| thread["name"] == "admin"),
        "{threads:?}"
    );
}

#[test]
fn others_are_served_while_the_supervisor_thinks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, ADMIN_TOKEN).unwrap();
    let more = format!("observability: {{admin_token_file: {}}}\n", file.display());
    let (shown, requests) = shown(config(&more));
    let server = AdminServer::start("127.0.0.1:0", shown).unwrap();
    let mut waiting = connect(&server);
    let head = format!(
        "POST /api/reload HTTP/1.1\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\nConnection: close\r\n\r\n"
    );
    waiting.write_all(head.as_bytes()).unwrap();
    let request = requests.recv().unwrap();
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
    request.answer(Ok("done at last".to_owned()));
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"{"done":"done at last"}"#), "{answer}");
    // A supervisor that has ended takes nothing.
    drop(requests);
    refused(
        ask(&server, "POST", "reload", Some(ADMIN_TOKEN), ""),
        503,
        "takes no commands",
    );
}
