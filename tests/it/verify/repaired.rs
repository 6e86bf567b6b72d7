//! `--repair`: which rows the running bridge is told of.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::{fs, thread};

use serde_json::Value;

use super::{copied, named, unseen_rows, with_headers};
use crate::support::bridge::{run, texts};
use crate::support::rig::Rig;

/// Names a bridge at this address to the command.
fn name_port(rig: &Rig, addr: &str) {
    let token = rig.folder.path().join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
    let mut config = with_headers(rig);
    config.top = format!("  admin_token_file: {}", token.display());
    let text = config
        .text()
        .replace("addr: 127.0.0.1:0", &format!("addr: {addr}"));
    fs::write(rig.folder.path().join("config.yaml"), text).unwrap();
}

/// Answers requests like a port of the bridge; gives the body of the one to `/api/reread`.
fn answer_as_bridge(listener: &TcpListener) -> Value {
    loop {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let lower = line.to_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&lower);
        }
        assert!(
            head.contains("authorization: bearer 0123456789abcdef"),
            "{head}"
        );
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let done = r#"{"done":"read again soon"}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{done}",
            done.len()
        );
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        if head.starts_with("post /api/reread ") {
            return serde_json::from_slice(&body).unwrap();
        }
    }
}

#[test]
fn the_bridge_is_told_of_the_rows_that_differ_and_of_no_others() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), 60);
    assert_eq!(bridge.terminate(), 0);
    let missing = unseen_rows(&rig, 5);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    name_port(&rig, &addr);
    let told = thread::Builder::new()
        .spawn(move || answer_as_bridge(&listener))
        .unwrap();
    let args = [
        "verify", "incident", "--full", "--json", "--wait", "1s", "--repair",
    ];
    let (out, errors, code) = texts(&run(rig.folder.path(), &args));
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("5 rows: read again soon"), "{errors}");
    let told = told.join().unwrap();
    assert_eq!(told["name"], "incident");
    let mut ids: Vec<&str> = told["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(ids, named(&report).into_keys().collect::<Vec<_>>());
    assert_eq!(ids.len(), missing.len());
}

#[test]
fn without_a_running_bridge_nothing_is_compared() {
    let rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    name_port(&rig, &addr);
    let (_, errors, code) = texts(&run(rig.folder.path(), &["verify", "incident", "--repair"]));
    assert_eq!(code, 75, "{errors}");
    assert!(
        errors.contains("--repair needs the running bridge"),
        "{errors}"
    );
    assert!(rig.asked("incident").is_empty());
}
