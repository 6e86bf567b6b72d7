//! Rows of the simulated instance through the real binary into topics.

mod content;
mod dates;
pub(crate) mod deletes;
pub(crate) mod deletes_trial;
mod hidden;
pub(crate) mod late;
mod options;
mod oversize;
mod pages;
mod reread;
mod snapshot;
mod time;
mod versions;

use real_kafka::Record;
use serde_json::value::RawValue;
use servicenow_sim::{Generator, parse_stamp};

use crate::support::rig::{Rig, TOPIC, id_of, text_of};
use crate::support::{LONG, wait_for};

/// The rows of an answer of the instance, as bytes; asked with Basic authentication.
fn served(rig: &Rig, table: &str, params: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        result: Vec<&'a RawValue>,
    }
    let url = format!(
        "{}/api/now/table/{table}?sysparm_exclude_reference_link=true&{params}",
        rig.sim.url()
    );
    // bridge:secret
    let request = ureq::get(&url).header("Authorization", "Basic YnJpZGdlOnNlY3JldA==");
    let text = request.call().unwrap().into_body().read_to_string();
    let text = text.unwrap();
    let answer: Answer<'_> = serde_json::from_str(&text).unwrap();
    answer.result.iter().map(ToString::to_string).collect()
}

/// Waits for a record with this key and value.
fn wait_value(rig: &Rig, id: &str, value: &str) {
    wait_for("the new state of a row", || {
        let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
        let found = |record: &Record| record.key_text() == id && record.value_text() == value;
        records.iter().any(found).then_some(())
    });
}

#[test]
fn a_table_arrives_as_the_instance_serves_it() {
    let rig = Rig::new();
    rig.fill("incident", 1_300);
    let rows = rig.rows("incident");
    let mut bridge = rig.start(&rig.config());
    bridge.wait_ready();
    let records = rig.finish(bridge, &rows, 0);
    for record in &records {
        assert_eq!(record.header("sn_table").unwrap(), "incident");
        assert_eq!(record.header("sn_instance").unwrap(), "127.0.0.1");
        assert_eq!(record.header("sn_operation").unwrap(), "upsert");
        assert_eq!(record.headers.len(), 3);
    }
    // What the other tests take for the instance's bytes are its bytes.
    let mut bytes = served(&rig, "incident", "sysparm_limit=2000");
    let mut known: Vec<String> = rows.into_values().collect();
    bytes.sort_unstable();
    known.sort_unstable();
    assert_eq!(bytes, known);
}

#[test]
fn changes_arrive_and_the_checkpoint_names_the_last_row() {
    let rig = Rig::new();
    rig.fill("incident", 50);
    let before = rig.rows("incident");
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, &before);

    let id = before.keys().next().unwrap();
    rig.sim
        .update("incident", id, [("short_description", "a \"new\" text")])
        .unwrap();
    let changed = text_of(&rig.sim.get("incident", id).unwrap());
    let fresh = rig.insert("incident");
    let inserted = text_of(&rig.sim.get("incident", &fresh).unwrap());
    wait_value(&rig, id, &changed);
    wait_value(&rig, &fresh, &inserted);
    rig.wait_checkpoint("incident", rig.newest("incident"));
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    assert_eq!(records.len(), 52, "no row came twice");

    let rows = rig.sim.rows("incident").unwrap();
    let place = |row: &servicenow_sim::Row| {
        let stamp = parse_stamp(row.get("sys_updated_on").unwrap()).unwrap();
        (stamp, id_of(row))
    };
    let (stamp, last) = rows.iter().map(place).max().unwrap();
    let checkpoint = rig.checkpoint();
    assert_eq!(checkpoint["incident"]["timestamp"], stamp);
    assert_eq!(checkpoint["incident"]["last_identifier"], last);
    assert!(checkpoint["incident"]["fingerprint"].is_string());
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let rig = Rig::new();
    rig.fill("incident", 250);
    let config = rig.config().source("batch_size: 100");
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    assert_eq!(bridge.terminate(), 0);

    rig.insert("incident");
    let bridge = Rig::start(&rig, &config);
    rig.finish_after_restart(bridge);
}

impl Rig {
    /// Like `finish`, where the topic held rows before this bridge was started.
    fn finish_after_restart(&self, bridge: crate::support::bridge::Bridge) {
        let rows = self.rows("incident");
        wait_for("the row of the second run", || {
            let records = self.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
            (records.len() >= rows.len()).then_some(())
        });
        self.wait_polls("incident", 2);
        assert_eq!(bridge.terminate(), 0);
        crate::support::rig::check(&self.kafka.reader(), TOPIC, &rows, 0);
    }
}

#[test]
fn twelve_thousand_rows_of_one_second() {
    let rig = Rig::new();
    let rows = Generator::new(1, 0, rig.sim.now() - 600).rows_per_second(12_000);
    rig.sim.insert_many("incident", rows.take(12_000)).unwrap();
    let config = rig.config().source("batch_size: 1000");
    let bridge = rig.start(&config);
    rig.finish(bridge, &rig.rows("incident"), 0);
}
