//! `--repair`: which rows the running bridge is told of, and what it does then.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::{fs, thread};

use real_kafka::Writer;
use serde_json::{Value, json};
use servicenow_sim::Options;

use super::found::{newest, with_version};
use super::{copied, count, has_compared, named, unseen_rows, verify, with_headers};
use crate::support::bridge::{Bridge, run, texts};
use crate::support::config::Config;
use crate::support::rig::{Rig, TOPIC, id_of};
use crate::support::wait_for;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A bridge that takes commands, and tells versions.
pub(crate) fn with_token(rig: &Rig) -> Config {
    let token = rig.folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let mut config = with_headers(rig);
    config.top = format!("  admin_token_file: {}", token.display());
    config
}

/// Writes a configuration that names a bridge at this address to the command.
fn name_port(rig: &Rig, file: &str, config: &Config, addr: &str) {
    let text = config
        .text()
        .replace("addr: 127.0.0.1:0", &format!("addr: {addr}"));
    fs::write(rig.folder.path().join(file), text).unwrap();
}

/// What `verify incident --full --repair` says beside a running bridge, and its exit code.
pub(crate) fn repair(rig: &Rig, bridge: &Bridge, config: &Config) -> (Value, String, i32) {
    name_port(rig, "beside.yaml", config, &bridge.addr().to_string());
    let args = [
        "verify",
        "incident",
        "--full",
        "--json",
        "--wait",
        "1s",
        "--repair",
        "-c",
        "beside.yaml",
    ];
    let (out, errors, code) = texts(&run(rig.folder.path(), &args));
    let report = serde_json::from_str(&out);
    let report = report.unwrap_or_else(|_| panic!("{code}: {errors}"));
    (report, errors, code)
}

fn decide(bridge: &Bridge, decision: &str) {
    let body = json!({"name": "incident", "decision": decision});
    let (status, answer) = bridge.post("/api/deletes", TOKEN, &body);
    assert_eq!(status, 200, "{answer}");
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
    name_port(&rig, "config.yaml", &with_token(&rig), &addr);
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
    name_port(&rig, "config.yaml", &with_token(&rig), &addr);
    let (_, errors, code) = texts(&run(rig.folder.path(), &["verify", "incident", "--repair"]));
    assert_eq!(code, 75, "{errors}");
    assert!(
        errors.contains("--repair needs the running bridge"),
        "{errors}"
    );
    assert!(rig.asked("incident").is_empty());
}

/// An instance that lists no deletes, so that the bridge hears of them from `verify` alone once it has made its first
/// comparison; and a bridge that has copied so many rows and made that.
fn compared(config: impl Fn(&Rig) -> Config, rows: usize) -> (Rig, Bridge, Config) {
    let rig = Rig::with(Options {
        audit_marks: false,
        no_audit_delete: vec!["incident".to_owned()],
        ..Options::default()
    });
    let config = config(&rig);
    let bridge = copied(&rig, &config, rows);
    if config.text().contains("deletes: compare") {
        wait_for("the first comparison", || has_compared(&rig));
    }
    (rig, bridge, config)
}

#[test]
fn each_planted_difference_is_repaired_and_found_equal() {
    let deletes = "deletes: compare\ndelete_guard: 100";
    let (rig, bridge, config) = compared(|rig| with_token(rig).table(deletes), 300);
    let records = newest(&rig);
    let writer = Writer::new(rig.kafka.bootstrap()).unwrap();
    let mut planted = BTreeMap::new();
    for record in &records[..5] {
        let draft = with_version(record, "2001-01-01 00:00:00", "77");
        writer.write(TOPIC, [draft]).unwrap();
        planted.insert(record.key_text(), "stale".to_owned());
    }
    let missing = unseen_rows(&rig, 6);
    // Each of these and a missing one have the same count of changes: they cancel out in sums.
    let rows = rig.sim.rows("incident").unwrap();
    let counts: BTreeMap<String, &str> = rows
        .iter()
        .map(|row| (id_of(row), row.get("sys_mod_count").unwrap()))
        .collect();
    for id in &missing {
        let mut others = records[5..].iter().map(|record| record.key_text());
        let twin = others.find(|other| !planted.contains_key(other) && counts[other] == counts[id]);
        let twin = twin.unwrap();
        rig.sim.delete("incident", &twin).unwrap();
        planted.insert(twin, "extra".to_owned());
    }
    planted.extend(missing.into_iter().map(|id| (id, "missing".to_owned())));

    let (report, errors, code) = repair(&rig, &bridge, &config);
    assert_eq!(code, 1, "{errors}");
    assert_eq!(named(&report), planted);
    assert!(errors.contains("11 rows are delivered again"), "{errors}");
    assert!(errors.contains("6 tombstones are sent"), "{errors}");
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(count(&report, "equal"), 300, "{report}");
    let found = "bridge_source_deletes_total{table=\"incident\",found_by=\"named\"}";
    assert_eq!(bridge.metric(found), 6.0);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn more_extra_rows_than_the_guard_lets_pass_wait_for_a_decision() {
    let deletes = "deletes: compare\ndelete_guard: 3";
    let (rig, bridge, config) = compared(|rig| with_token(rig).table(deletes), 400);
    let ids: Vec<String> = rig.rows("incident").into_keys().collect();
    // More than one request names.
    for id in &ids[..130] {
        rig.sim.delete("incident", id).unwrap();
    }
    let (report, errors, _) = repair(&rig, &bridge, &config);
    assert_eq!(count(&report, "extra"), 130, "{report}");
    assert!(errors.contains("3 tombstones are sent"), "{errors}");
    let held = "bridge_source_deletes_held{table=\"incident\"}";
    assert_eq!(bridge.metric(held), 127.0, "{errors}");
    let (report, _) = verify(&rig, &["--full"]);
    assert_eq!(count(&report, "extra"), 127, "{report}");

    decide(&bridge, "accept");
    wait_for("the tombstones that were held", || {
        let records = rig
            .kafka
            .reader()
            .read_to_end(TOPIC, crate::support::LONG)
            .unwrap();
        let tombstones = records.iter().filter(|record| record.value.is_none());
        (tombstones.count() == 130).then_some(())
    });
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!((code, count(&report, "equal")), (0, 270), "{report}");
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn extra_rows_stay_where_nothing_deletes() {
    let (rig, bridge, config) = compared(with_token, 20);
    let id = rig.rows("incident").into_keys().next().unwrap();
    rig.sim.delete("incident", &id).unwrap();
    let (report, errors, code) = repair(&rig, &bridge, &config);
    assert_eq!((code, count(&report, "extra")), (1, 1), "{report}");
    assert!(
        errors.contains("1 rows are extra, and their records stay"),
        "{errors}"
    );
    let body = json!({"name": "incident", "ids": [id]});
    let (status, answer) = bridge.post("/api/deletes", TOKEN, &body);
    assert_eq!(status, 409);
    assert!(
        answer["error"].as_str().unwrap().contains("deletes: none"),
        "{answer}"
    );
    assert_eq!(bridge.terminate(), 0);
}
