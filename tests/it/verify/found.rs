//! What is found, and what is no alarm.

use std::collections::BTreeMap;

use real_kafka::{Draft, Record, Writer, require_or_skip, shared};
use servicenow_sim::Churn;

use super::{copied, count, named, unseen_rows, verify, with_headers};
use crate::support::LONG;
use crate::support::bridge::{run, texts};
use crate::support::rig::{Rig, TOPIC, produced};

/// The newest record of each row.
pub(super) fn newest(rig: &Rig) -> Vec<Record> {
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    let newest: BTreeMap<String, Record> = records
        .into_iter()
        .map(|record| (record.key_text(), record))
        .collect();
    newest.into_values().collect()
}

/// The record again, as that of another version.
pub(crate) fn with_version(record: &Record, updated: &str, count: &str) -> Draft {
    let draft = Draft::new(record.value.clone().unwrap()).key(record.key.clone().unwrap());
    draft
        .header("sn_table", "incident")
        .header("sn_updated", updated)
        .header("sn_mod_count", count)
        .partition(record.partition)
}

#[test]
fn each_planted_difference_and_nothing_else() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), 500);
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["result"], "equal");
    assert_eq!(count(&report, "equal"), 500);

    let records = newest(&rig);
    let mut planted = BTreeMap::new();
    let writer = Writer::new(rig.kafka.bootstrap()).unwrap();
    for record in &records[..4] {
        let (updated, own) = (record.header("sn_updated"), record.header("sn_mod_count"));
        let older: u32 = own.unwrap().parse().unwrap();
        // One has another count alone, one another time alone.
        let draft = if planted.len() % 2 == 0 {
            with_version(record, &updated.unwrap(), &(older + 1).to_string())
        } else {
            with_version(record, "2001-01-01 00:00:00", &older.to_string())
        };
        writer.write(TOPIC, [draft]).unwrap();
        planted.insert(record.key_text(), "stale".to_owned());
    }
    for record in &records[4..9] {
        rig.sim.delete("incident", &record.key_text()).unwrap();
        planted.insert(record.key_text(), "extra".to_owned());
    }
    for record in &records[9..11] {
        let draft = Draft::tombstone().key(record.key.clone().unwrap());
        let draft = draft.partition(record.partition);
        writer.write(TOPIC, [draft]).unwrap();
        planted.insert(record.key_text(), "missing".to_owned());
    }
    let missing = unseen_rows(&rig, 6).into_iter();
    planted.extend(missing.map(|id| (id, "missing".to_owned())));

    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!(code, 1, "{report}");
    assert_eq!(report["result"], "differs");
    assert_eq!(named(&report), planted);
    assert_eq!(count(&report, "equal"), 489);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn rows_that_are_written_all_the_time_are_no_alarm() {
    let rig = Rig::new();
    let mut bridge = copied(&rig, &with_headers(&rig), 2_000);
    let churn = Churn::start(&rig.sim, "incident", 200.0, 0).unwrap();
    bridge.wait_metric(&produced("incident", TOPIC), 2_200.0);
    for _ in 0..3 {
        let (report, code) = verify(&rig, &["--full"]);
        assert_eq!(code, 0, "{report}");
    }
    assert!(churn.stop() > 200);
    assert_eq!(bridge.terminate(), 0);
}

/// A bridge that is stopped has not lost what it has not read yet.
#[test]
fn what_the_stream_has_not_reached_is_in_flight() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), 50);
    assert_eq!(bridge.terminate(), 0);
    rig.insert("incident");
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        (count(&report, "in_flight"), count(&report, "equal")),
        (1, 50)
    );
}

#[test]
fn a_topic_of_another_table_and_none_at_all() {
    let rig = Rig::new();
    rig.fill("problem", 30);
    rig.fill("incident", 20);
    let mut config = with_headers(&rig);
    config.tables = vec![format!("name: problem\ntopic: {TOPIC}")];
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("problem", TOPIC), 30.0);
    assert_eq!(bridge.terminate(), 0);

    with_headers(&rig).write(rig.folder.path());
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!((code, count(&report, "missing")), (1, 20), "{report}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("30 records of table `problem`"), "{notes}");

    let nowhere = with_headers(&rig).table("topic: nowhere");
    nowhere.write(rig.folder.path());
    let (_, errors, code) = texts(&run(rig.folder.path(), &["verify", "incident", "--full"]));
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("nowhere"), "{errors}");
}

/// Letters excuse rows that differ. Where none does they are of no interest, and they may be many.
#[test]
fn letters_are_read_only_where_rows_differ() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), 30);
    assert_eq!(bridge.terminate(), 0);
    let letters = "on_oversize: dead_letter\ndlq_topic: no.letters.yet";
    with_headers(&rig).source(letters).write(rig.folder.path());
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!((code, count(&report, "equal")), (0, 30), "{report}");
    unseen_rows(&rig, 1);
    let args = ["verify", "incident", "--full", "--wait", "1s"];
    let (_, errors, code) = texts(&run(rig.folder.path(), &args));
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("no.letters.yet"), "{errors}");
}

#[test]
fn a_record_in_a_wrong_partition() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), 50);
    assert_eq!(bridge.terminate(), 0);
    let id = rig.insert("incident");
    let row = rig.sim.get("incident", &id).unwrap();
    let places: Vec<i32> = (0..4).collect();
    let writer = Writer::new(rig.kafka.bootstrap()).unwrap();
    // Wherever it belongs, it does not stand there alone.
    for partition in places {
        let draft = Draft::new("{}").key(id.clone()).partition(partition);
        let draft = draft
            .header("sn_updated", row.get("sys_updated_on").unwrap())
            .header("sn_mod_count", row.get("sys_mod_count").unwrap());
        writer.write(TOPIC, [draft]).unwrap();
        let (report, code) = verify(&rig, &["--full"]);
        let misplaced = count(&report, "wrong_partition");
        assert_eq!(count(&report, "equal"), 51, "{report}");
        if misplaced == 0 {
            assert_eq!(code, 0, "the right one counts");
            return;
        }
        assert_eq!((code, misplaced), (1, 1), "{report}");
    }
    panic!("no partition was the right one");
}

#[test]
fn rows_that_are_left_out_on_purpose_are_counted_apart() {
    let rig = Rig::new();
    rig.fill("incident", 40);
    let config = with_headers(&rig).table("query: active=true");
    let mut bridge = rig.start(&config.source("initial_query_hours_ago: 3"));
    let rows = rig.rows_where("incident", |row| row.get("active") == Some("true"));
    assert!(rows.len() > 5);
    bridge.wait_metric(&produced("incident", TOPIC), rows.len() as f64);
    // They are older than the start of the stream.
    let old = unseen_rows(&rig, 30);
    let old = old.iter().filter(|id| {
        let row = rig.sim.get("incident", id).unwrap();
        row.get("active") == Some("true")
    });
    let old = old.count() as u64;
    let closed = rows.keys().next().unwrap();
    rig.sim
        .update("incident", closed, [("active", "false")])
        .unwrap();
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["left_out"]["left_query"], 1, "{report}");
    assert_eq!(report["left_out"]["before_start"], old, "{report}");
    assert_eq!(bridge.terminate(), 0);
}

/// Sums see what changed, and a swap that cancels out is seen by looking at each row.
#[test]
fn sums_find_most_and_all_rows_find_the_rest() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), 200);
    rig.sim.clear_requests();
    let (report, code) = verify(&rig, &[]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["result"], "no difference by sums");
    assert_eq!(count(&report, "equal"), 200);
    assert_eq!(report["requests"], 1, "{report}");

    let missing = unseen_rows(&rig, 1).pop().unwrap();
    let row = rig.sim.get("incident", &missing).unwrap();
    let same_count = newest(&rig);
    let same_count = same_count
        .iter()
        .find(|record| record.header("sn_mod_count").as_deref() == row.get("sys_mod_count"));
    let swapped = same_count.unwrap().key_text();
    let (report, code) = verify(&rig, &[]);
    assert_eq!((code, count(&report, "missing")), (1, 1), "{report}");
    rig.sim.delete("incident", &swapped).unwrap();
    let (report, _) = verify(&rig, &[]);
    assert_eq!(report["result"], "no difference by sums");
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!(code, 1);
    let found = named(&report);
    assert_eq!(found[&missing], "missing");
    assert_eq!(found[&swapped], "extra");
    assert_eq!(bridge.terminate(), 0);
}

/// Retention has thrown the older half of a partition away.
#[test]
fn what_retention_took_is_no_loss() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    let topic = format!("verify.aged.{}", fastrand::u64(..));
    broker.create_topic(&topic, 1, &[]).unwrap();
    let rig = Rig::new();
    rig.fill("incident", 200);
    let mut config = with_headers(&rig).topic(&topic);
    config.kafka = format!("brokers: ['{}']", broker.plain_addr());
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("incident", &topic), 200.0);
    assert_eq!(bridge.terminate(), 0);
    broker.delete_records(&topic, 0, 80).unwrap();
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        (count(&report, "aged_out"), count(&report, "equal")),
        (80, 120)
    );
}
