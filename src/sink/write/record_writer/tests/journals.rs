//! Journal entries, which must not show twice and must not be lost.

use super::*;

const LOOK: &str = "GET /api/now/table/sys_journal_field?sysparm_query=element_id%3D0123456789abcdef0123456789abcdef%5Eelement%3Dcomments%5EORDERBYDESCsys_created_on&";
/// The instance's clock is years behind.
const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT";

/// A look at a journal with these entries: sys_id, text, time.
fn journal(entries: &[(&str, &str, &str)]) -> Vec<ServerAction> {
    let entries: Vec<serde_json::Value> = entries
        .iter()
        .map(|(id, text, time)| {
            serde_json::json!({"element_id": ID, "element": "comments", "sys_id": id,
                "value": text, "sys_created_on": format!("1994-11-06 {time}")})
        })
        .collect();
    let body = serde_json::json!({ "result": entries }).to_string();
    answer("200 OK", &[JSON_HEADER, DATE], &body)
}

fn comment() -> ConsumerRecord {
    record(
        1,
        &format!(r#"{{"sys_id":"{ID}","a":1,"comments":"hi\nthere"}}"#),
    )
}

#[test]
fn an_entry_that_is_there_is_left_out() {
    let fake = plain(vec![
        ("PATCH", broken()),
        (LOOK, journal(&[("e1", "hi\r\nthere ", "08:49:30")])),
        ("PATCH", updated(ID, 2)),
    ]);
    assert_eq!(word(&fake.write(&comment())), "update");
    let seen = fake.seen();
    assert_eq!(seen[0].body, r#"{"a":1,"comments":"hi\nthere"}"#);
    assert_eq!(seen[2].body, r#"{"a":1}"#);
}

#[test]
fn an_old_entry_is_of_another_record() {
    let fake = plain(vec![
        ("PATCH", broken()),
        (LOOK, journal(&[("e1", "hi\nthere", "08:40:00")])),
        ("PATCH", updated(ID, 2)),
    ]);
    fake.write(&comment());
    assert!(fake.seen()[2].body.contains("comments"));
}

#[test]
fn a_request_that_may_still_run_gets_its_time() {
    let fake = plain(vec![
        ("PATCH", lost()),
        (LOOK, journal(&[])),
        (LOOK, journal(&[("e1", "hi\nthere", "08:49:36")])),
        ("PATCH", updated(ID, 2)),
    ]);
    let begun = Instant::now();
    fake.write(&comment());
    let seen = fake.seen();
    // Measured from before the request: the server may see it late.
    let waited = seen[2].at.duration_since(begun);
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert_eq!(seen[3].body, r#"{"a":1}"#);
}

#[test]
fn two_records_with_one_text_are_two_entries() {
    let one = ("e1", "hi\nthere", "08:49:30");
    let two = ("e2", "hi\nthere", "08:49:35");
    let fake = plain(vec![
        // The first is answered; what is found then is its entry, not the second's.
        ("PATCH", updated(ID, 2)),
        ("PATCH", broken()),
        (LOOK, journal(&[one])),
        ("PATCH", broken()),
        (LOOK, journal(&[two, one])),
        ("PATCH", updated(ID, 3)),
        // The third finds two that are taken.
        ("PATCH", broken()),
        (LOOK, journal(&[two, one])),
        ("PATCH", updated(ID, 4)),
    ]);
    for _ in 0..3 {
        assert_eq!(word(&fake.write(&comment())), "update");
    }
    let seen = fake.seen();
    let sent: Vec<bool> = seen
        .iter()
        .map(|seen| seen.body.contains("comments"))
        .collect();
    let (yes, no) = (true, false);
    assert_eq!(sent, [yes, yes, no, yes, no, no, yes, no, yes]);
}

#[test]
fn a_record_that_may_have_been_tried_is_looked_up_first() {
    let fake = plain(vec![
        (LOOK, journal(&[("e1", "hi\nthere", "08:49:30")])),
        ("PATCH", updated(ID, 2)),
    ]);
    let since = Instant::now();
    let (outcome, _) = fake.write_with(&comment(), PriorAttempt::Possible { since });
    assert_eq!(word(&outcome), "update");
    assert_eq!(fake.seen()[1].body, r#"{"a":1}"#);
}

#[test]
fn the_comment_alone_needs_no_second_update() {
    let fake = plain(vec![
        ("PATCH", broken()),
        (LOOK, journal(&[("e1", "x", "08:49:30")])),
    ]);
    let comment = record(1, &format!(r#"{{"sys_id":"{ID}","comments":"x"}}"#));
    let outcome = fake.write(&comment);
    assert_eq!((word(&outcome), sys_id(&outcome)), ("update", ID));
    fake.seen();
}
