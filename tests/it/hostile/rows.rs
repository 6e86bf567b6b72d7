//! Rows that are no valid JSON, have no identifier or share one, in pages that are good otherwise.

use std::collections::BTreeSet;

use servicenow_sim::{Fault, Row, Target, format_stamp};

use crate::support::LONG;
use crate::support::rig::{self, Rig, TOPIC};

const PRODUCED: &str =
    "bridge_source_produce_total{table=\"incident\",topic=\"servicenow.incident\"}";
const BAD: &str = "bridge_source_bad_rows_total{table=\"incident\"}";

/// What stands in the place of a value, and is no value of JSON.
const DAMAGES: [&str; 13] = [
    "tru",
    "\"x\",",
    "\"a\nb\"",
    "\"a\0b\"",
    "\"\\q\"",
    "\"\\u12g4\"",
    "'x'",
    "01",
    "+1",
    "[\"x\"",
    "\"x\"]",
    "\"x\" \"y\"",
    "",
];

/// One row a second, of which each second one has its number as a text that can be damaged. Gives the
/// identifiers.
fn fill(rig: &Rig, count: usize) -> Vec<String> {
    let first = rig.sim.now() - 3_600;
    let row = |number: usize| {
        let stamp = format_stamp(first + i64::try_from(number).unwrap());
        Row::new()
            .set("short_description", format!("damage-{number}."))
            .set("sys_created_on", stamp.as_str())
            .set("sys_updated_on", stamp)
    };
    rig.sim
        .insert_many("incident", (0..count).map(row))
        .unwrap()
}

fn keys(rig: &Rig) -> Vec<String> {
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    rig::keys(&records)
}

#[test]
fn damaged_rows_are_passed_over_by_choice() {
    let rig = Rig::new();
    let ids = fill(&rig, 2 * DAMAGES.len() + 1);
    let damage =
        |(at, to): (usize, &&str)| (format!("\"damage-{}.\"", 2 * at + 1), (*to).to_owned());
    let garble = DAMAGES.iter().enumerate().map(damage).collect();
    rig.sim
        .faults()
        .on(Target::table("incident"), Fault::Garble(garble));
    let mut bridge = rig.start(&rig.config().source("on_bad_row: skip"));
    bridge.wait_metric(PRODUCED, (DAMAGES.len() + 1) as f64);
    bridge.wait_metric(BAD, DAMAGES.len() as f64);
    bridge.wait_ready();
    let whole: BTreeSet<String> = ids.iter().step_by(2).cloned().collect();
    assert_eq!(keys(&rig).into_iter().collect::<BTreeSet<_>>(), whole);
    let log = bridge.log();
    for id in ids.iter().skip(1).step_by(2).take(9) {
        assert!(
            log.contains(&format!("(`{id}`) is not valid JSON")),
            "{log}"
        );
    }
    // Ten are named.
    let line = log
        .lines()
        .find(|line| line.contains("more rows of that page"));
    let rest = format!("\"rows\":{}", DAMAGES.len() - 10);
    assert!(line.unwrap().contains(&rest), "{line:?}");
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_damaged_row_holds_its_table_and_is_named() {
    let rig = Rig::new();
    let ids = fill(&rig, 5);
    let faults = rig.sim.faults();
    let garble = vec![("\"damage-3.\"".to_owned(), "tru".to_owned())];
    let fault = faults.on(Target::table("incident"), Fault::Garble(garble));
    let config = rig.config().servicenow("retry_backoff_seconds: 0.01");
    let mut bridge = rig.start(&config);
    bridge.wait_not_ready(&format!("(`{}`) is not valid JSON", ids[3]));
    bridge.wait_not_ready("`source.on_bad_row: skip` passes such rows over");
    faults.remove(fault);
    bridge.wait_ready();
    bridge.wait_metric(PRODUCED, 5.0);
    assert_eq!(bridge.terminate(), 0);
    let mut keys = keys(&rig);
    keys.dedup();
    assert_eq!(keys.len(), 5);
}

#[test]
fn a_row_without_an_identifier_and_rows_that_share_one() {
    let rig = Rig::new();
    let ids = fill(&rig, 4);
    let garble = vec![(
        format!("\"sys_id\":\"{}\"", ids[1]),
        "\"sys_id\":\"\"".to_owned(),
    )];
    let faults = rig.sim.faults();
    let fault = faults.on(Target::table("incident"), Fault::Garble(garble));
    let bridge = rig.start(&rig.config());
    bridge.wait_not_ready("row 2 of the page has no value in `sys_id`");
    bridge.terminate();
    let mut bridge = rig.start(&rig.config().table("on_bad_row: skip"));
    bridge.wait_metric(PRODUCED, 3.0);
    bridge.wait_metric(BAD, 1.0);
    assert_eq!(bridge.terminate(), 0);
    faults.remove(fault);

    // As a view does that joins a table to rows of another one.
    let rig = Rig::new();
    let ids = fill(&rig, 4);
    let stamp = |number: usize| {
        let row = rig.sim.get("incident", &ids[number]).unwrap();
        format!(
            "\"sys_updated_on\":\"{}\"",
            row.get("sys_updated_on").unwrap()
        )
    };
    let garble = vec![(ids[2].clone(), ids[1].clone()), (stamp(2), stamp(1))];
    rig.sim
        .faults()
        .on(Target::table("incident"), Fault::Garble(garble));
    let mut bridge = rig.start(&rig.config());
    bridge.wait_metric(PRODUCED, 4.0);
    bridge.wait_ready();
    assert!(bridge.log().contains("rows share an identifier"));
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(keys(&rig).len(), 4);
}
