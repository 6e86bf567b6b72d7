//! `dead-letters` against a real Kafka: what it shows, sends, marks, and what it leaves alone.

mod interrupted;
mod letters;

use std::path::Path;

use real_kafka::{Record, require_or_skip};
use serde_json::Value;
use servicenow_kafka_bridge::kafka::ConsumerRecord;
use servicenow_kafka_bridge::sink::DeadLetter;

use self::letters::{ID, Rig, go_letter, letter, refusal};
use crate::support::bridge::{PROGRAM, run, texts};

/// Output, errors and exit code of `dead-letters` with these words.
fn call(folder: &Path, words: &str) -> (String, String, i32) {
    let mut args = vec!["dead-letters"];
    args.extend(words.split_whitespace());
    texts(&run(folder, &args))
}

/// Lines of the errors; the last one is the summary.
fn last(errors: &str) -> &str {
    errors.lines().last().unwrap_or_default()
}

fn header<'a>(record: &'a Record, name: &str) -> Vec<&'a [u8]> {
    let headers = record.headers.iter().filter(|(known, _)| known == name);
    headers.map(|(_, value)| value.as_slice()).collect()
}

#[test]
fn letters_are_listed_and_filtered() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-list");
    let mut first = letter(&rig.topic, 1);
    first.error = "boom \u{1b}[31m\r\u{9b}2J".to_owned();
    first.key = Some(b"K\x07-1".to_vec());
    rig.put(&[first]);
    let mut second = letter(&rig.topic, 2);
    second.table = "problem".to_owned();
    second.error_kind = Some("not_found".to_owned());
    second.time = "2024-01-26T00:00:00Z".parse().unwrap();
    rig.put(&[second]);
    rig.put_raw(b"G", &go_letter(&rig.topic, "{}"));

    let (output, errors, code) = call(rig.folder(), "list");
    assert_eq!(
        (last(&errors), code),
        ("3 letters, 0 done before", 0),
        "{errors}"
    );
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 4, "{output}");
    assert!(lines[0].starts_with("PLACE  TIME "), "{output}");
    for (line, words) in [
        (
            1,
            &[
                "0:0 ",
                "2024-01-25T00:00:00Z",
                "incident",
                "/7/1",
                "forbidden",
                "403",
                "boom",
            ][..],
        ),
        (
            2,
            &[
                "0:1 ",
                "2024-01-26T00:00:00Z",
                "problem",
                "/7/2",
                "K-2",
                "not_found",
            ],
        ),
        (3, &["0:2 ", "incident", "/-/-", " G ", "went wrong"]),
    ] {
        for word in words {
            assert!(lines[line].contains(word), "{word}: {output}");
        }
    }
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!output.contains(control), "{output:?}");

    let (output, _, _) = call(rig.folder(), "list --json");
    let objects: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 3);
    assert!(!output.contains(control), "{output:?}");
    let object = &objects[0];
    assert_eq!(object["place"], "0:0");
    assert_eq!(object["done"], false);
    assert_eq!(object["error"], "boom \u{1b}[31m\r\u{9b}2J");
    assert_eq!(object["offset"], 1);
    assert!(object.get("original_payload").is_none() && object["payload_bytes"] == 9);
    assert_eq!(objects[2]["key"], "G");

    for (filter, places) in [
        ("--table problem", &["0:1"][..]),
        ("--table incident", &["0:0", "0:2"]),
        ("--kind not_found", &["0:1"]),
        ("--topic nothing", &[]),
        ("--since 2024-01-26T00:00:00Z", &["0:1", "0:2"]),
        ("--until 2024-01-26T00:00:00Z", &["0:0"]),
        ("--key K-2", &["0:1"]),
        ("--key G", &["0:2"]),
        ("--offset 0:1", &["0:1"]),
        ("--offset 1-5", &["0:1", "0:2"]),
        ("--offset 3:0-9", &[]),
        ("--limit 2", &["0:0", "0:1"]),
    ] {
        let (output, errors, code) = call(rig.folder(), &format!("list --json {filter}"));
        assert_eq!(code, 0, "{errors}");
        let found: Vec<Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let found: Vec<&str> = found.iter().map(|o| o["place"].as_str().unwrap()).collect();
        assert_eq!(found, places, "{filter}");
    }
}

#[test]
fn a_letter_is_shown_with_all_it_has() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-show");
    let mut one = letter(&rig.topic, 1);
    one.value = Some(br#"{"b":1.10,"a":["x"]}"#.to_vec());
    rig.put(&[one.clone()]);
    let (output, errors, code) = call(rig.folder(), "show 0:0");
    assert_eq!((errors.as_str(), code), ("", 0));
    for words in [
        "error        insert into incident: 403\n",
        "status       403\n",
        "header       trace: base64:/wA=\n",
        "header       none: null\n",
        ID,
        "\n\n{\n  \"b\": 1.10,\n  \"a\": [\n    \"x\"\n  ]\n}\n",
    ] {
        assert!(output.contains(words), "{words}: {output}");
    }
    let (output, _, _) = call(rig.folder(), "show 0:0 --json");
    assert_eq!(DeadLetter::decode(output.trim_end().as_bytes()), Ok(one));
    for place in ["0:1", "5:0"] {
        let (output, errors, code) = call(rig.folder(), &format!("show {place}"));
        assert_eq!((output.as_str(), code), ("", 64));
        assert!(
            errors.contains(&format!("there is no letter at {place}")),
            "{errors}"
        );
    }
}

#[test]
fn records_come_back_as_they_were_and_once() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-replay");
    let mut binary = letter(&rig.topic, 2);
    binary.value = Some(vec![0xff, 0, b'x']);
    binary.key = Some(vec![0xfe]);
    let mut tombstone = letter(&rig.topic, 3);
    (tombstone.value, tombstone.create_id) = (None, None);
    rig.put(&[letter(&rig.topic, 1), binary, tombstone]);
    rig.put_raw(b"G", &go_letter(&rig.topic, "{\"go\":1}"));

    let (output, errors, code) = call(rig.folder(), "replay --dry-run");
    assert_eq!(
        (last(&errors), code),
        ("4 letters would be sent, 0 not, 0 done before", 0)
    );
    assert_eq!(output.lines().count(), 5, "{output}");
    assert_eq!(rig.replayed().len(), 0);

    let (output, errors, code) = call(rig.folder(), "replay");
    assert_eq!((output.as_str(), code), ("", 0), "{errors}");
    assert_eq!(last(&errors), "4 letters replayed, 0 not, 0 done before");
    for words in ["no filter is given", "comes back as a new letter"] {
        assert!(errors.contains(words), "{errors}");
    }
    let records = rig.replayed();
    assert_eq!(records.len(), 4);
    let by_key = |key: &[u8]| {
        records
            .iter()
            .find(|r| r.key.as_deref() == Some(key))
            .unwrap()
    };
    let first = by_key(b"K-1");
    assert_eq!(first.value.as_deref(), Some(&b"{\"n\": 1}\n"[..]));
    assert_eq!(header(first, "trace"), [b"\xff\x00"]);
    assert_eq!(header(first, "none"), [b""]);
    assert_eq!(header(first, "sn_create_id"), [ID.as_bytes()]);
    let from = format!("{}/0/0", rig.letters);
    assert_eq!(header(first, "sn_replayed_from"), [from.as_bytes()]);
    assert_eq!(first.headers.len(), 4, "{:?}", first.headers);
    assert_eq!(by_key(b"\xfe").value.as_deref(), Some(&b"\xff\x00x"[..]));
    let tombstone = by_key(b"K-3");
    assert_eq!(tombstone.value, None);
    assert_eq!(header(tombstone, "sn_create_id"), [b"old"]);
    assert_eq!(by_key(b"G").value_text(), "{\"go\":1}");

    let (_, errors, code) = call(rig.folder(), "replay");
    assert_eq!(
        (last(&errors), code),
        ("0 letters replayed, 0 not, 4 done before", 0)
    );
    assert_eq!(rig.replayed().len(), 4);
    let (output, errors, _) = call(rig.folder(), "list");
    assert_eq!(
        (output.as_str(), last(&errors)),
        ("", "0 letters, 4 done before")
    );
    let (output, errors, _) = call(rig.folder(), "list --all");
    assert_eq!(last(&errors), "4 letters, 4 of them done before");
    assert!(output.contains("0:3 done"), "{output}");

    rig.put(&[letter(&rig.topic, 9)]);
    let (_, errors, code) = call(rig.folder(), "replay");
    assert_eq!(
        (last(&errors), code),
        ("1 letter replayed, 0 not, 4 done before", 0)
    );
    assert_eq!(rig.replayed().len(), 5);
}

#[test]
fn what_is_chosen_is_marked_and_nothing_else() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-some");
    let letters: Vec<DeadLetter> = (0..10).map(|number| letter(&rig.topic, number)).collect();
    rig.put(&letters);
    let (_, errors, code) = call(rig.folder(), "replay --offset 0:3-5");
    assert_eq!(
        (last(&errors), code),
        ("3 letters replayed, 0 not, 0 done before", 0)
    );
    let (_, errors, _) = call(rig.folder(), "drop --offset 7-8 --dry-run");
    assert_eq!(last(&errors), "2 letters would be dropped, 0 done before");
    let (output, errors, code) = call(rig.folder(), "drop --key K-8");
    assert_eq!(
        (last(&errors), code),
        ("1 letter dropped, 3 done before", 0)
    );
    assert!(
        output.contains("0:8 ") && output.lines().count() == 2,
        "{output}"
    );

    let (output, _, _) = call(rig.folder(), "list --json");
    let place = |line: &str| serde_json::from_str::<Value>(line).unwrap()["place"].clone();
    let left: Vec<Value> = output.lines().map(place).collect();
    assert_eq!(left, ["0:0", "0:1", "0:2", "0:6", "0:7", "0:9"]);
    let (_, errors, _) = call(rig.folder(), "replay");
    assert_eq!(last(&errors), "6 letters replayed, 0 not, 4 done before");
    assert_eq!(rig.replayed().len(), 9, "the dropped one is not sent");
}

#[test]
fn what_cannot_be_replayed_is_named_and_kept() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-unfit");
    rig.put_raw(b"B", b"no letter \x1b[2J");
    rig.put(&[letter("elsewhere", 1)]);
    // Its original is not where it says: the topic is empty.
    rig.put(&[letter(&rig.topic, 2).without_payload()]);
    rig.put(&[letter(&rig.topic, 3)]);
    let (output, _, _) = call(rig.folder(), "list");
    assert!(
        output.contains("unreadable") && output.contains("not a dead letter"),
        "{output}"
    );
    let (output, _, code) = call(rig.folder(), "show 0:0");
    assert!(
        code == 0 && output.contains("no letter \u{fffd}[2J"),
        "{output}"
    );

    for _ in 0..2 {
        let (_, errors, code) = call(rig.folder(), "replay --dry-run");
        assert_eq!(
            (last(&errors), code),
            ("1 letter would be sent, 3 not, 0 done before", 1)
        );
    }
    let (_, errors, code) = call(rig.folder(), "replay");
    assert_eq!(
        (last(&errors), code),
        ("1 letter replayed, 3 not, 0 done before", 1)
    );
    for words in [
        "0:0: not replayed: not a dead letter: ",
        "0:1: not replayed: its topic elsewhere is not in sink.topics",
        "0:2: not replayed: it does not have the body, and record dl-unfit",
    ] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    let (_, errors, _) = call(rig.folder(), "list");
    assert_eq!(last(&errors), "3 letters, 1 done before");
    let (_, errors, code) = call(rig.folder(), "drop --kind unreadable");
    assert_eq!(
        (last(&errors), code),
        ("1 letter dropped, 1 done before", 0)
    );
    let (_, errors, _) = call(rig.folder(), "list");
    assert_eq!(last(&errors), "2 letters, 2 done before");
}

#[test]
fn a_body_that_was_left_out_is_looked_up() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-large");
    rig.produce(
        &rig.topic,
        &[(Some(b"K"), Some(b"the body"), &[("h".to_owned(), None)])],
    );
    let mut original = rig.original();
    let bare = |record: &ConsumerRecord| {
        let now = "2024-01-25T00:00:00Z".parse().unwrap();
        DeadLetter::new(record, "incident", None, None, &refusal(), now).without_payload()
    };
    let there = bare(&original);
    original.timestamp = Some(1);
    rig.put(&[there, bare(&original)]);
    let (_, errors, code) = call(rig.folder(), "replay");
    assert_eq!(
        (last(&errors), code),
        ("1 letter replayed, 1 not, 0 done before", 1),
        "{errors}"
    );
    assert!(
        errors.contains("0:1: not replayed") && errors.contains("is another one now"),
        "{errors}"
    );
    let records = rig.replayed();
    let again = records
        .iter()
        .find(|record| !header(record, "sn_replayed_from").is_empty())
        .unwrap();
    assert_eq!(
        (again.key_text().as_str(), again.value_text().as_str()),
        ("K", "the body")
    );
    assert_eq!(header(again, "h"), [b""]);
}

/// Markers of transactions take offsets that no letter will ever have, and what was aborted is none.
#[test]
fn gaps_do_not_keep_marks_from_moving_on() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-gaps");
    rig.put_in_transactions(&[(letter(&rig.topic, 0), true), (letter(&rig.topic, 1), true)]);
    rig.put_in_transactions(&[(letter(&rig.topic, 2), false)]);
    rig.put(&[letter(&rig.topic, 3)]);
    let (_, errors, code) = call(rig.folder(), "replay");
    assert_eq!(
        (last(&errors), code),
        ("3 letters replayed, 0 not, 0 done before", 0)
    );
    assert_eq!(rig.base(), 7);
    assert_eq!(rig.replayed().len(), 3);
}

#[test]
fn a_reader_may_close_the_output() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-closed");
    let letters: Vec<DeadLetter> = (0..2_000)
        .map(|number| letter(&rig.topic, number))
        .collect();
    rig.put(&letters);
    let line = format!("{PROGRAM} dead-letters list; echo $? >code");
    let shell = format!("( {line} ) | head -n 1");
    let output = std::process::Command::new("sh")
        .args(["-c", &shell])
        .current_dir(rig.folder())
        .output()
        .unwrap();
    let (output, errors, _) = texts(&output);
    assert!(
        output.starts_with("PLACE") && errors.is_empty(),
        "{output}{errors}"
    );
    let code = std::fs::read_to_string(rig.folder().join("code")).unwrap();
    assert_eq!(code, "0\n");
}

#[test]
fn without_a_dead_letter_topic_there_is_nothing_to_do() {
    if !require_or_skip() {
        return;
    }
    let rig = Rig::new("dl-none");
    rig.config("enabled: false").write(rig.folder());
    let (_, errors, code) = call(rig.folder(), "list");
    assert_eq!(code, 78);
    assert!(errors.contains("sink.dlq_topic is not set"), "{errors}");
    rig.config("dlq_topic: dl-none.nowhere").write(rig.folder());
    let (_, errors, code) = call(rig.folder(), "replay");
    assert_eq!(code, 75);
    assert!(
        errors.contains("no such topic: dl-none.nowhere"),
        "{errors}"
    );
}
