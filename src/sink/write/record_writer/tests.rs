//! The writer against scripted servers: what is on the wire, and how long it takes.

mod journals;
mod lost;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::{CreateId, SinkOperation};
use crate::kafka::ConsumerRecord;
use crate::servicenow::table_write::RowAfterWrite;
use crate::servicenow::tests::server::{
    self, JSON_HEADER, ScriptedServer, SeenRequest, ServerAction, answer, bench, spawn,
};
use crate::sink::RecordContent;
use crate::sink::record::{self, IdentityScope, RecordAction, SkipReason};

const ID: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "ffffffffffffffffffffffffffffffff";
/// A row of one column.
const ROW: &str = r#"{"a":"1"}"#;

fn topic() -> SinkTopicConfig {
    SinkTopicConfig {
        topic: "orders".to_owned(),
        table: "incident".to_owned(),
        concurrency: 1,
        deletes: true,
        ..SinkTopicConfig::default()
    }
}

fn settings() -> config::SinkConfig {
    config::SinkConfig {
        enabled: true,
        concurrency: 1,
        group_id: "g".to_owned(),
        transaction_time: Duration::from_millis(300),
        ..config::SinkConfig::default()
    }
}

fn record(offset: i64, value: &str) -> ConsumerRecord {
    ConsumerRecord {
        topic: Arc::from("orders"),
        partition: 0,
        offset,
        timestamp: Some(1_700_000_000_000),
        key: Some(b"k".to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: Vec::new(),
        unreadable_headers: false,
    }
}

/// An instance that follows a script: each line is the start of the request that is expected, with
/// what is done then.
struct Fake {
    server: ScriptedServer,
    bench: server::ClientBench,
    topic: SinkTopicConfig,
    writer: RecordWriter,
    expected: Vec<String>,
}

#[derive(Default)]
struct Watcher {
    heard: Mutex<Vec<String>>,
}

impl RetryObserver for Watcher {
    fn retry_scheduled(&self, error: &servicenow::Error, since: Instant) {
        assert!(since <= Instant::now());
        self.heard.lock().push(error.metric_label().to_owned());
    }

    fn retries_ended(&self) {
        self.heard.lock().push("fine".to_owned());
    }
}

fn fake(
    topic: SinkTopicConfig,
    sink: &config::SinkConfig,
    script: Vec<(&str, Vec<ServerAction>)>,
) -> Fake {
    let expected = script.iter().map(|(line, _)| (*line).to_owned()).collect();
    let acts: Vec<Vec<ServerAction>> = script.into_iter().map(|(_, acts)| acts).collect();
    let server = ScriptedServer::start(move |number, _| match acts.get(number) {
        Some(acts) => acts.clone(),
        None => answer("418 Not In The Script", &[], ""),
    });
    let bench = bench(&server, |config| {
        config.read_timeout = Duration::from_millis(200);
        config.retry_backoff = Duration::from_millis(5);
    });
    let successes = Arc::new(SuccessCounter::default());
    let client = Arc::clone(&bench.client);
    let writer = RecordWriter::new(client, "/api/now/table", &topic, sink, successes);
    Fake {
        server,
        bench,
        topic,
        writer,
        expected,
    }
}

/// With the usual topic and settings.
fn plain(script: Vec<(&str, Vec<ServerAction>)>) -> Fake {
    fake(topic(), &settings(), script)
}

impl Fake {
    fn operation(&self, record: &ConsumerRecord) -> WriteOperation {
        let place = IdentityScope {
            instance: "https://dev1.service-now.com".to_owned(),
            cluster: "c1".to_owned(),
        };
        match record::parse_action(record, &RecordContent::plain(record), &self.topic, &place) {
            Ok(RecordAction::Write(operation)) => operation,
            other => panic!("{other:?}"),
        }
    }

    fn write(&self, record: &ConsumerRecord) -> WriteOutcome {
        self.write_with(record, PriorAttempt::None).0
    }

    /// The outcome, and what the watch heard.
    fn write_with(
        &self,
        record: &ConsumerRecord,
        history: PriorAttempt,
    ) -> (WriteOutcome, Vec<String>) {
        let watcher = Watcher::default();
        let operation = self.operation(record);
        let outcome = self
            .writer
            .write(&operation, history, &self.bench.stop, &watcher);
        (outcome, watcher.heard.into_inner())
    }

    /// The requests, which must be those of the script.
    fn seen(&self) -> Vec<SeenRequest> {
        let seen = self.server.seen();
        let lines: Vec<&str> = seen.iter().map(|seen| seen.line.as_str()).collect();
        assert_eq!(lines.len(), self.expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(&self.expected) {
            assert!(line.starts_with(expected), "{line} instead of {expected}");
        }
        seen
    }
}

fn created(id: &str) -> Vec<ServerAction> {
    answer("201 Created", &[JSON_HEADER], &row(id, 0))
}

fn updated(id: &str, mod_count: u64) -> Vec<ServerAction> {
    answer("200 OK", &[JSON_HEADER], &row(id, mod_count))
}

fn row(id: &str, mod_count: u64) -> String {
    format!(
        r#"{{"result":{{"sys_id":"{id}","sys_mod_count":"{mod_count}","sys_updated_on":"2024-01-01 00:00:00","sys_updated_by":"bridge"}}}}"#
    )
}

/// A good answer with this result.
fn result(json: &str) -> Vec<ServerAction> {
    answer("200 OK", &[JSON_HEADER], &format!(r#"{{"result":{json}}}"#))
}

fn missing() -> Vec<ServerAction> {
    let body = r#"{"error":{"message":"No Record found","detail":"Record doesn't exist or ACL restricts the record retrieval"},"status":"failure"}"#;
    answer("404 Not Found", &[JSON_HEADER], body)
}

fn forbidden(detail: &str) -> Vec<ServerAction> {
    let body = format!(
        r#"{{"error":{{"message":"Operation Failed","detail":"{detail}"}},"status":"failure"}}"#
    );
    answer("403 Forbidden", &[JSON_HEADER], &body)
}

fn broken() -> Vec<ServerAction> {
    let body = r#"{"error":{"message":"x","detail":null},"status":"failure"}"#;
    answer("500 Internal Server Error", &[JSON_HEADER], body)
}

fn lost() -> Vec<ServerAction> {
    vec![ServerAction::Close]
}

fn word(outcome: &WriteOutcome) -> &str {
    match outcome {
        WriteOutcome::Written(kind, _) => kind.word(),
        other => panic!("{other:?}"),
    }
}

fn sys_id(outcome: &WriteOutcome) -> &str {
    match outcome {
        WriteOutcome::Written(_, Some(row)) => row.sys_id.as_deref().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn kind(outcome: &WriteOutcome) -> &'static str {
    match outcome {
        WriteOutcome::Refused(refusal) => refusal.kind.label(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_insert_and_an_update_and_a_delete() {
    let fake = plain(vec![
        ("POST /api/now/table/incident?", created(ID)),
        (
            "PATCH /api/now/table/incident/0123456789abcdef0123456789abcdef?",
            updated(ID, 3),
        ),
        (
            "DELETE /api/now/table/incident/0123456789abcdef0123456789abcdef HTTP",
            vec![ServerAction::Send(
                b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            )],
        ),
    ]);
    assert_eq!(word(&fake.write(&record(1, r#"{"a":1}"#))), "insert");
    let update = record(2, &format!(r#"{{"sys_id":"{ID}","a":2}}"#));
    let row = RowAfterWrite {
        sys_id: Some(ID.to_owned()),
        mod_count: Some(3),
        updated_by: Some("bridge".to_owned()),
    };
    assert_eq!(
        fake.write(&update),
        WriteOutcome::Written(WriteKind::Update, Some(row))
    );
    let delete = ConsumerRecord {
        key: Some(ID.into()),
        value: None,
        ..record(3, "")
    };
    assert_eq!(word(&fake.write(&delete)), "delete");
    let seen = fake.seen();
    assert!(
        seen[0].body.starts_with(r#"{"sys_id":""#),
        "{}",
        seen[0].body
    );
    assert!(seen[0].body.ends_with(r#"","a":1}"#), "{}", seen[0].body);
    assert_eq!(seen[1].body, r#"{"a":2}"#);
}

#[test]
fn an_upsert_by_key() {
    let topic = SinkTopicConfig {
        key_field: Some("u_key".to_owned()),
        ..topic()
    };
    let find = "GET /api/now/table/incident?sysparm_query=u_key%3DK%201&sysparm_fields=sys_id%2Cu_key&sysparm_limit=2&";
    let fake = fake(
        topic,
        &settings(),
        vec![
            (find, result("[]")),
            ("POST", created(ID)),
            (
                find,
                result(&format!(r#"[{{"sys_id":"{ID}","u_key":"k 1"}}]"#)),
            ),
            ("PATCH", updated(ID, 1)),
            (
                find,
                result(&format!(r#"[{{"sys_id":"{ID}","u_key":"x"}}]"#)),
            ),
            (find, result(&format!(r#"[{{"sys_id":"{ID}"}}]"#))),
            (find, result("{}")),
        ],
    );
    let record = record(1, r#"{"u_key":"K 1"}"#);
    let (outcome, _) = fake.write_with(&record, PriorAttempt::None);
    assert_eq!(word(&outcome), "insert");
    assert_eq!(word(&fake.write(&record)), "update");
    for _ in 0..3 {
        let outcome = fake.write(&record);
        assert_eq!(kind(&outcome), "key_field_ignored");
        let WriteOutcome::Refused(refusal) = outcome else {
            panic!()
        };
        assert!(!refusal.error.contains("K 1"), "{refusal}");
        assert_eq!(refusal.attempts, 1);
    }
    fake.seen();
}

#[test]
fn refusals_say_what_and_why_but_not_the_record() {
    let acl = "ACL Exception Update Failed due to security constraints";
    let fake = plain(vec![("PATCH", forbidden(acl)), ("PATCH", missing())]);
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":"private"}}"#));
    let WriteOutcome::Refused(refusal) = fake.write(&update) else {
        panic!()
    };
    assert_eq!(
        (refusal.kind.label(), refusal.status, refusal.attempts),
        ("acl", Some(403), 1)
    );
    for part in [acl, ID, "table `incident`", "write or delete access"] {
        assert!(refusal.error.contains(part), "{refusal}");
    }
    assert!(!refusal.error.contains("private"), "{refusal}");
    assert_eq!(kind(&fake.write(&update)), "not_found");
    assert!(fake.bench.health.readiness().ok);
}

#[test]
fn the_owner_hears_of_trouble_and_of_its_end() {
    let fake = plain(vec![
        ("PATCH", broken()),
        ("PATCH", broken()),
        ("PATCH", updated(ID, 1)),
        ("PATCH", updated(ID, 1)),
        ("PATCH", broken()),
        ("PATCH", forbidden("no")),
    ]);
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    let (_, heard) = fake.write_with(&update, PriorAttempt::None);
    assert_eq!(heard, ["server", "server", "fine"]);
    let (_, heard) = fake.write_with(&update, PriorAttempt::None);
    assert!(heard.is_empty());
    let (outcome, heard) = fake.write_with(&update, PriorAttempt::None);
    assert_eq!(
        (kind(&outcome), heard),
        ("forbidden", vec!["server".into(), "fine".into()])
    );
    fake.seen();
}

#[test]
fn a_rate_limit_is_obeyed_and_costs_nothing() {
    let limited = answer(
        "429 Too Many Requests",
        &[JSON_HEADER, "Retry-After: 1"],
        "{}",
    );
    let sink = config::SinkConfig {
        retry_for: Some(Duration::ZERO),
        ..settings()
    };
    let script = vec![("PATCH", limited), ("PATCH", updated(ID, 1))];
    let fake = fake(topic(), &sink, script);
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    let (outcome, heard) = fake.write_with(&update, PriorAttempt::None);
    assert_eq!(
        (word(&outcome), heard),
        ("update", vec!["rate_limited".into(), "fine".into()])
    );
    let seen = fake.seen();
    assert!(seen[1].at.duration_since(seen[0].at) >= Duration::from_secs(1));
}

#[test]
fn a_record_that_only_fails_itself_is_given_up() {
    let sink = config::SinkConfig {
        record_retry_for: Duration::from_millis(1),
        ..settings()
    };
    let probe = "GET /api/now/table/incident?sysparm_fields=sys_id&sysparm_limit=1 HTTP";
    let three = vec![("PATCH", broken()); 3];
    let works = vec![(probe, result("[]"))];
    let script = [three.clone(), works.clone(), three, works].concat();
    let fake = fake(topic(), &sink, script);
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    let WriteOutcome::Refused(refusal) = fake.write(&update) else {
        panic!()
    };
    assert_eq!(
        (refusal.kind.label(), refusal.status, refusal.attempts),
        ("server", Some(500), 6)
    );
    fake.seen();
}

#[test]
fn a_stop_ends_a_long_wait() {
    let server = ScriptedServer::start(|_, _| broken());
    let mut bench = bench(&server, |config| {
        config.retry_backoff = Duration::from_secs(3600);
    });
    let writer = RecordWriter::new(
        Arc::clone(&bench.client),
        "/api/now/table",
        &topic(),
        &settings(),
        Arc::default(),
    );
    let fake = plain(vec![]);
    let operation = fake.operation(&record(1, ROW));
    let stop = bench.stop.clone();
    let writing = spawn(move || {
        let watcher = Watcher::default();
        let outcome = writer.write(&operation, PriorAttempt::None, &stop, &watcher);
        (outcome, watcher.heard.into_inner())
    });
    while server.seen().is_empty() {
        std::thread::yield_now();
    }
    let started = Instant::now();
    drop(bench.trigger.take());
    let (outcome, heard) = writing.join().unwrap();
    assert_eq!(outcome, WriteOutcome::Stopped);
    assert!(!heard.contains(&"fine".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn an_abort_is_not_the_end_of_trouble() {
    let fake = Arc::new(plain(vec![
        ("POST", broken()),
        ("GET", vec![ServerAction::Wait(Duration::from_secs(60))]),
    ]));
    let writing = {
        let fake = Arc::clone(&fake);
        spawn(move || fake.write_with(&record(1, ROW), PriorAttempt::None))
    };
    while fake.server.seen().len() < 2 {
        std::thread::yield_now();
    }
    fake.bench.client.abort();
    let (outcome, heard) = writing.join().unwrap();
    assert_eq!(
        (outcome, heard),
        (WriteOutcome::Stopped, vec!["server".into()])
    );
}
