//! Answers that are lost: each record is written once, whatever the instance says, or says not.

use std::time::Duration;

use servicenow_sim::{Fault, Operation, Rule, Target};

use crate::support::sink::{SinkRig, TABLE, create, update};

/// Three of ten creates meet the fault.
fn some(rig: &SinkRig, fault: Fault, method: &str) {
    let rule = Rule::new(Target::writes(TABLE), fault);
    rig.sim
        .faults()
        .add(rule.method(method).chance(0.3).seed(7));
}

/// How many writes met a fault.
fn struck(rig: &SinkRig) -> usize {
    let writes = rig.sim.writes();
    writes.iter().filter(|write| write.fault.is_some()).count()
}

/// Creates under a fault, with these lines of the topic and of the sink: none is missing, none came
/// twice, and none was refused.
fn creates_survive(fault: Fault, count: usize, topic: &str, sink: &str) {
    let rig = SinkRig::new();
    some(&rig, fault, "POST");
    rig.produce((0..count).map(create));
    let config = rig.config().sink_topic(topic).sink(sink);
    let bridge = rig.start(&config);
    rig.finish(bridge);
    rig.assert_created_once(count);
    assert!(struck(&rig) >= count / 5, "{} faults", struck(&rig));
    assert_eq!(rig.letters().len(), 0);
}

#[test]
fn creates_of_which_the_gateway_gives_up() {
    creates_survive(Fault::AppliedTimeout504, 300, "", "");
}

#[test]
fn creates_of_which_the_connection_breaks() {
    creates_survive(Fault::AppliedReset, 300, "", "");
}

#[test]
fn creates_that_were_not_carried_out() {
    creates_survive(Fault::Reset, 300, "", "");
}

#[test]
fn creates_whose_result_may_not_be_read() {
    creates_survive(Fault::InsertedBut403, 300, "", "");
}

#[test]
fn creates_whose_answer_is_cut() {
    creates_survive(Fault::BrokenBody201, 300, "", "");
}

#[test]
fn creates_that_are_carried_out_after_the_answer() {
    let late = Fault::LateApply504 {
        after: Duration::from_millis(500),
    };
    creates_survive(late, 100, "", "concurrency: 20");
}

/// The identity is a column, the sys_id is the instance's.
#[test]
fn creates_with_an_identity_in_a_column() {
    let field = "create_id: field\ncreate_id_field: correlation_display";
    for fault in [
        Fault::AppliedTimeout504,
        Fault::AppliedReset,
        Fault::LateApply504 {
            after: Duration::from_millis(500),
        },
    ] {
        let sink = "transaction_time: 1s\nconcurrency: 20";
        creates_survive(fault, 100, field, sink);
    }
}

/// Of two records with one key the second changes the row of the first.
#[test]
fn records_of_one_key_make_one_row() {
    let rig = SinkRig::new();
    some(&rig, Fault::AppliedTimeout504, "POST");
    let rounds = ["first", "second"];
    let records = rounds.into_iter().flat_map(|round| {
        let value = format!(r#"{{"short_description":"{round}"}}"#);
        (0..50)
            .map(move |number| real_kafka::Draft::new(value.clone()).key(format!("key {number}")))
    });
    rig.produce(records);
    let bridge = rig.start(&rig.config().sink_topic("create_id: key"));
    rig.finish(bridge);
    let rows = rig.sim.rows(TABLE).unwrap();
    assert_eq!(rows.len(), 50);
    for row in rows {
        assert_eq!(row.get("short_description"), Some("second"));
    }
    assert!(struck(&rig) > 5);
    assert_eq!(rig.letters().len(), 0);
}

/// Entries of a journal: of each row, of which text, how many.
fn entries(rig: &SinkRig, sys_id: &str, text: &str) -> usize {
    let entries = rig.sim.rows("sys_journal_field").unwrap();
    let ours = entries.iter().filter(|entry| {
        entry.get("element_id") == Some(sys_id)
            && entry.get("element") == Some("work_notes")
            && entry.get("value") == Some(text)
    });
    ours.count()
}

/// A note to each of some rows, under a fault: it shows once.
fn notes_survive(fault: Fault) {
    let rig = SinkRig::new();
    some(&rig, fault, "PATCH");
    let ids: Vec<String> = (0..40).map(|number| rig.row(number)).collect();
    rig.produce(
        ids.iter()
            .map(|id| update(id, "work_notes", "looked at it")),
    );
    let config = rig.config().sink("transaction_time: 1s\nconcurrency: 20");
    let bridge = rig.start(&config);
    rig.finish(bridge);
    for id in &ids {
        assert_eq!(entries(&rig, id, "looked at it"), 1, "row {id}");
    }
    assert!(struck(&rig) > 5);
    assert_eq!(rig.letters().len(), 0);
}

#[test]
fn notes_whose_answer_is_lost() {
    notes_survive(Fault::AppliedTimeout504);
    notes_survive(Fault::AppliedReset);
}

#[test]
fn notes_that_show_after_the_answer() {
    notes_survive(Fault::LateApply504 {
        after: Duration::from_millis(500),
    });
}

#[test]
fn notes_that_were_not_carried_out() {
    notes_survive(Fault::Reset);
}

/// The same words twice to the same row are two entries, also when answers are lost.
#[test]
fn equal_notes_of_two_records_are_two_entries() {
    let rig = SinkRig::new();
    some(&rig, Fault::AppliedTimeout504, "PATCH");
    let ids: Vec<String> = (0..20).map(|number| rig.row(number)).collect();
    let twice = || ids.iter().map(|id| update(id, "work_notes", "called back"));
    rig.produce(twice().chain(twice()));
    let config = rig.config().sink("transaction_time: 1s\nconcurrency: 20");
    let bridge = rig.start(&config);
    rig.finish(bridge);
    for id in &ids {
        assert_eq!(entries(&rig, id, "called back"), 2, "row {id}");
    }
    assert!(struck(&rig) > 5);
}

/// A delete whose answer was lost finds nothing the second time, which is what it wanted.
#[test]
fn deletes_whose_answer_is_lost() {
    let rig = SinkRig::new();
    some(&rig, Fault::AppliedTimeout504, "DELETE");
    let ids: Vec<String> = (0..50).map(|number| rig.row(number)).collect();
    let tombstone = |id: &String| real_kafka::Draft::tombstone().key(id.as_str());
    rig.produce(ids.iter().map(tombstone));
    let bridge = rig.start(&rig.config().sink_topic("deletes: true"));
    rig.finish(bridge);
    assert_eq!(rig.sim.count(TABLE).unwrap(), 0);
    assert!(struck(&rig) > 5);
    assert_eq!(rig.letters().len(), 0);
    let applied = rig.applied();
    assert!(applied.iter().all(|it| it.operation == Operation::Delete));
}

/// A gateway that takes the bodies away, also of a 204: each write is sent once, and the row tells.
#[test]
fn answers_without_content() {
    let rig = SinkRig::new();
    let writes = Target::writes(TABLE);
    rig.sim.faults().on(writes, Fault::AppliedEmpty200);
    let ids: Vec<String> = (0..12).map(|number| rig.row(number)).collect();
    let (deleted, changed) = ids.split_at(4);
    let tombstone = |id: &String| real_kafka::Draft::tombstone().key(id.as_str());
    rig.produce(deleted.iter().map(tombstone));
    // A rule of the instance may change some of what it is sent.
    let both = r#"{"sys_id":"ID","state":"2","u_count":"7","work_notes":"looked at it"}"#;
    let both = |id: &String| real_kafka::Draft::new(both.replace("ID", id)).key(id.as_str());
    rig.produce(changed[..4].iter().map(both));
    rig.produce(changed[4..].iter().map(|id| update(id, "active", "false")));
    rig.produce((0..4).map(create));
    let config = rig.config().sink("transaction_time: 1s\nconcurrency: 8");
    let bridge = rig.start(&config.sink_topic("deletes: true"));
    rig.finish(bridge);
    assert_eq!(rig.letters().len(), 0);
    assert_eq!(rig.sim.count(TABLE).unwrap(), 8 + 4);
    for id in &changed[..4] {
        assert_eq!(rig.column(id, "state"), "2");
        assert_eq!(entries(&rig, id, "looked at it"), 1, "row {id}");
    }
    // Only updates with an entry are sent again, without it.
    assert_eq!(rig.sim.writes().len(), 12 + 4 + 4);
}
