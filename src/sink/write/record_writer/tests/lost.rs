//! Answers that are lost.

use super::*;
use crate::sink::write::indeterminate::LateEffect;

fn body_id(seen: &SeenRequest) -> String {
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    body["sys_id"].as_str().unwrap().to_owned()
}

#[test]
fn the_row_is_there() {
    for (first, silence) in [
        (lost(), 0),
        (broken(), 0),
        (vec![ServerAction::Wait(Duration::from_secs(60))], 200),
    ] {
        let fake = plain(vec![
            ("POST", first),
            ("GET /api/now/table/incident/", result("{}")),
        ]);
        let started = Instant::now();
        let outcome = fake.write(&record(1, ROW));
        assert_eq!(word(&outcome), "insert");
        assert!(started.elapsed() >= Duration::from_millis(silence));
        let seen = fake.seen();
        let id = body_id(&seen[0]);
        assert_eq!(sys_id(&outcome), id);
        assert!(seen[1].line.contains(&format!("/incident/{id}?")));
    }
}

#[test]
fn the_row_is_not_there() {
    let fake = plain(vec![
        ("POST", lost()),
        ("GET", missing()),
        ("POST", lost()),
        ("GET", broken()),
        ("GET", missing()),
        ("POST", answer("201 Created", &[], "no json")),
    ]);
    let outcome = fake.write(&record(1, ROW));
    assert_eq!(outcome, WriteOutcome::Written(WriteKind::Insert, None));
    let seen = fake.seen();
    assert_eq!(seen[0].body, seen[2].body);
    assert_eq!(seen[0].body, seen[5].body);
}

#[test]
fn a_200_that_is_a_page_is_no_success() {
    let page = answer("200 OK", &["Content-Type: text/html"], "<html>hibernating");
    let fake = plain(vec![
        ("PATCH", page.clone()),
        ("PATCH", updated(ID, 1)),
        ("POST", page),
        ("GET", missing()),
        ("POST", created(ID)),
    ]);
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    assert_eq!(word(&fake.write(&update)), "update");
    assert_eq!(word(&fake.write(&record(2, ROW))), "insert");
    fake.seen();
}

#[test]
fn a_record_that_comes_again_meets_its_row() {
    let fake = plain(vec![
        ("GET", result("{}")),
        ("GET", missing()),
        ("POST", forbidden("Unique Key violation")),
        ("GET", result("{}")),
        ("GET", missing()),
        ("POST", forbidden("Unique Key violation")),
        ("GET", missing()),
    ]);
    let since = Instant::now();
    for _ in 0..3 {
        let (outcome, _) = fake.write_with(&record(1, ROW), PriorAttempt::Possible { since });
        assert_eq!(word(&outcome), "insert");
    }
    fake.seen();
}

#[test]
fn an_identity_in_a_column_waits_for_the_first_request() {
    let topic = || SinkTopicConfig {
        create_id: CreateId::Field("u_id".to_owned()),
        ..topic()
    };
    let find = "GET /api/now/table/incident?sysparm_query=u_id%3D";
    let fake_of = |found: &str| {
        let script = vec![
            ("POST", lost()),
            (find, result(found)),
            ("POST", created(OTHER)),
        ];
        fake(topic(), &settings(), script)
    };
    let fake = fake_of("[]");
    let begun = Instant::now();
    let outcome = fake.write(&record(1, r#"{"a":1}"#));
    assert_eq!((word(&outcome), sys_id(&outcome)), ("insert", OTHER));
    let seen = fake.seen();
    // Measured from before the request: the server may see it late.
    let waited = seen[1].at.duration_since(begun);
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert_eq!(seen[0].body, seen[2].body);
    let body: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    let hash = body["u_id"].as_str().unwrap();
    assert!(seen[1].line.contains(&format!("u_id%3D{hash}&")));
    assert!(body.get("sys_id").is_none());

    // An instance that drops the condition finds rows of others.
    let fake = fake_of(&format!(r#"[{{"sys_id":"{ID}","u_id":"other"}}]"#));
    let outcome = fake.write(&record(1, r#"{"a":1}"#));
    assert_eq!(kind(&outcome), "key_field_ignored");
    let found = format!(r#"[{{"sys_id":"{ID}","u_id":"{hash}"}}]"#);
    let fake = fake_of(&found);
    let outcome = fake.write(&record(1, r#"{"a":1}"#));
    assert_eq!((word(&outcome), sys_id(&outcome)), ("insert", ID));
    assert_eq!(fake.server.seen().len(), 2);

    // Another member of the group may have sent it just now.
    let fake = super::fake(topic(), &settings(), vec![(find, result(&found))]);
    let since = Instant::now();
    let (outcome, _) = fake.write_with(&record(1, r#"{"a":1}"#), PriorAttempt::Possible { since });
    assert_eq!(word(&outcome), "insert");
    let seen = fake.seen();
    assert!(seen[0].at.duration_since(since) >= Duration::from_millis(300));
}

#[test]
fn an_instance_that_chooses_ids_itself() {
    let fake = plain(vec![("POST", created(OTHER)), ("PATCH", updated(ID, 1))]);
    assert_eq!(fake.writer.client_ids.objection(), None);
    assert_eq!(sys_id(&fake.write(&record(1, ROW))), OTHER);
    let blocked = |outcome| match outcome {
        WriteOutcome::Blocked(why) => why,
        other => panic!("{other:?}"),
    };
    let why = blocked(fake.write(&record(2, ROW)));
    assert!(why.contains("`create_id: field`"), "{why}");
    assert_eq!(fake.writer.client_ids.objection(), Some(why));
    // Rows that are there are written as before.
    let update = record(3, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    assert_eq!(word(&fake.write(&update)), "update");
    fake.seen();
}

/// An instance may take sys_ids that look like its own, and no others.
#[test]
fn sys_ids_of_another_form_are_tried_by_themselves() {
    let topic = SinkTopicConfig {
        on_missing: config::OnMissing::Insert,
        ..topic()
    };
    let script = vec![
        ("PATCH", missing()),
        ("POST", created(ID)),
        ("PATCH", missing()),
        ("POST", created(OTHER)),
        ("PATCH", missing()),
        ("PATCH", missing()),
        ("POST", created(ID)),
    ];
    let fake = fake(topic, &settings(), script);
    let write = |offset, id: &str| {
        let value = format!(r#"{{"sys_id":"{id}","a":1}}"#);
        fake.write(&record(offset, &value))
    };
    assert_eq!(word(&write(1, ID)), "insert");
    assert_eq!(word(&write(2, "employee-1")), "insert");
    let WriteOutcome::Blocked(why) = write(3, "employee-2") else {
        panic!("a second one was sent");
    };
    assert!(why.contains("32 hexadecimal digits"), "{why}");
    assert_eq!(word(&write(4, ID)), "insert");
    fake.seen();
}

#[test]
fn a_row_of_a_key_is_updated() {
    let topic = SinkTopicConfig {
        create_id: CreateId::Key,
        ..topic()
    };
    let fake = fake(
        topic,
        &settings(),
        vec![
            ("POST", lost()),
            ("GET", result("{}")),
            ("PATCH", updated(ID, 1)),
        ],
    );
    assert_eq!(word(&fake.write(&record(1, r#"{"a":1}"#))), "update");
    let seen = fake.seen();
    let id = body_id(&seen[0]);
    assert!(seen[2].line.contains(&id));
    assert_eq!(seen[2].body, r#"{"a":1}"#);
}

#[test]
fn a_delete_that_was_lost() {
    let fake = plain(vec![
        ("DELETE", lost()),
        ("DELETE", missing()),
        ("DELETE", missing()),
    ]);
    let delete = ConsumerRecord {
        key: Some(ID.into()),
        value: None,
        ..record(3, "")
    };
    assert_eq!(word(&fake.write(&delete)), "delete");
    assert_eq!(
        fake.write(&delete),
        WriteOutcome::Skipped(SkipReason::Missing)
    );
    fake.seen();
}

/// The lost update may be executed after its repetition; the next record must not be overtaken.
#[test]
fn the_next_record_of_a_row_waits_for_a_lost_update() {
    let fake = plain(vec![
        ("PATCH", lost()),
        ("PATCH", updated(ID, 2)),
        ("PATCH", updated(OTHER, 1)),
        ("PATCH", updated(ID, 3)),
    ]);
    let began = Instant::now();
    let update = |id, offset| record(offset, &format!(r#"{{"sys_id":"{id}","a":{offset}}}"#));
    fake.write(&update(ID, 1));
    fake.write(&update(OTHER, 2));
    fake.write(&update(ID, 3));
    assert!(settings().transaction_time <= began.elapsed());
    assert!(fake.seen()[2].line.contains(OTHER));
}

/// A 503 says that nothing was taken: after an outage no record waits.
#[test]
fn an_update_that_was_turned_away_holds_up_no_record() {
    let unavailable = answer("503 Service Unavailable", &[], "");
    let fake = plain(vec![("PATCH", unavailable), ("PATCH", updated(ID, 2))]);
    fake.write(&record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#)));
    fake.seen();
    assert_eq!(
        fake.writer.indeterminate.until(ID, LateEffect::MayRecreate),
        None
    );
}

/// The row of a key is known only when it was found.
#[test]
fn the_next_record_of_a_key_waits_for_a_lost_update() {
    let topic = SinkTopicConfig {
        key_field: Some("number".to_owned()),
        operation: SinkOperation::Update,
        ..topic()
    };
    let find = "GET /api/now/table/incident?";
    let found = result(&format!(r#"[{{"sys_id":"{ID}","number":"N1"}}]"#));
    let script = vec![
        (find, found.clone()),
        ("PATCH", lost()),
        ("PATCH", updated(ID, 2)),
        (find, found),
        ("PATCH", updated(ID, 3)),
    ];
    let fake = fake(topic, &settings(), script);
    let began = Instant::now();
    for state in [1, 6] {
        let value = format!(r#"{{"number":"N1","state":"{state}"}}"#);
        assert_eq!(word(&fake.write(&record(state, &value))), "update");
    }
    assert!(settings().transaction_time <= began.elapsed());
    fake.seen();
}

/// The request ends with the lease, and so does the wait before it.
#[test]
fn a_stop_ends_the_wait_for_a_lost_update() {
    let sink = config::SinkConfig {
        transaction_time: Duration::from_secs(600),
        ..settings()
    };
    let script = vec![("PATCH", lost()), ("PATCH", updated(ID, 2))];
    let mut fake = fake(topic(), &sink, script);
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    assert_eq!(word(&fake.write(&update)), "update");
    let began = Instant::now();
    drop(fake.bench.trigger.take());
    assert_eq!(fake.write(&update), WriteOutcome::Stopped);
    assert!(began.elapsed() < Duration::from_secs(60));
    fake.seen();
}

/// The lost delete may be executed on the row that the next record makes.
#[test]
fn the_next_record_of_a_row_waits_for_a_lost_delete() {
    let fake = plain(vec![
        ("DELETE", lost()),
        ("DELETE", missing()),
        ("PATCH", missing()),
        ("POST", created(ID)),
    ]);
    let delete = ConsumerRecord {
        key: Some(ID.into()),
        value: None,
        ..record(1, "")
    };
    let mut upsert = record(2, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    let header = ("sn_operation".to_owned(), Some(b"upsert".to_vec()));
    upsert.headers.push(header);
    let began = Instant::now();
    assert_eq!(word(&fake.write(&delete)), "delete");
    assert_eq!(word(&fake.write(&upsert)), "insert");
    assert!(settings().transaction_time <= began.elapsed());
    fake.seen();
}

/// The lost insert may make the row once more.
#[test]
fn a_delete_waits_for_a_lost_insert() {
    let fake = plain(vec![
        ("POST", lost()),
        ("GET", missing()),
        ("POST", created(ID)),
        ("PATCH", updated(ID, 1)),
        ("DELETE", missing()),
    ]);
    let mut insert = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    let header = ("sn_operation".to_owned(), Some(b"insert".to_vec()));
    insert.headers.push(header);
    let update = record(2, &format!(r#"{{"sys_id":"{ID}","a":2}}"#));
    let delete = ConsumerRecord {
        key: Some(ID.into()),
        value: None,
        ..record(3, "")
    };
    let begun = Instant::now();
    assert_eq!(word(&fake.write(&insert)), "insert");
    assert_eq!(word(&fake.write(&update)), "update");
    assert_eq!(
        fake.write(&delete),
        WriteOutcome::Skipped(SkipReason::Missing)
    );
    let seen = fake.seen();
    // Measured from before the request: the server may see it late.
    let waited = seen[4].at.duration_since(begun);
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
}

/// Ends the lease at the first trouble.
struct Ends(Mutex<Option<crate::stop::StopTrigger>>);

impl RetryObserver for Ends {
    fn retry_scheduled(&self, _error: &servicenow::Error, _since: Instant) {
        self.0.lock().take();
    }

    fn retries_ended(&self) {}
}

/// The partition may come back, with this record and the next one.
#[test]
fn what_was_lost_is_remembered_when_the_lease_ends() {
    let mut fake = plain(vec![("PATCH", lost())]);
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    let watch = Ends(Mutex::new(fake.bench.trigger.take()));
    let operation = fake.operation(&update);
    let stop = &fake.bench.stop;
    let outcome = fake
        .writer
        .write(&operation, PriorAttempt::None, stop, &watch);
    assert_eq!(outcome, WriteOutcome::Stopped);
    assert!(
        fake.writer
            .indeterminate
            .until(ID, LateEffect::MayModify)
            .is_some()
    );
    fake.seen();
}
