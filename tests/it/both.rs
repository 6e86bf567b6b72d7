//! One table, both directions: what the sink wrote does not come back, what a human wrote does.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use servicenow_sim::Row;

use crate::support::bridge::Bridge;
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

const IN: &str = "to.incident";

/// A bridge that reads and writes `incident`.
fn start(rig: &Rig, table: &str) -> Bridge {
    rig.kafka.create_topic(IN).unwrap();
    let mut config = rig.config().table(table);
    config.top.push_str(&format!(
        "\nsink:\n  enabled: true\n  topics:\n    - {{topic: {IN}, table: incident}}"
    ));
    rig.start(&config)
}

fn produce(rig: &Rig, key: &str, value: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", rig.kafka.bootstrap())
        .create()
        .unwrap();
    let record = BaseRecord::to(IN).key(key).payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
}

/// The values of a column in the records of a row, in order.
fn arrived(rig: &Rig, id: &str, column: &str) -> Vec<String> {
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    let of_row = records.iter().filter(|record| record.key_text() == id);
    let value = |text: String| {
        let row: serde_json::Value = serde_json::from_str(&text).unwrap();
        row[column].as_str().unwrap().to_owned()
    };
    of_row.map(|record| value(record.value_text())).collect()
}

fn wait_value(rig: &Rig, id: &str, column: &str, value: &str) {
    wait_for("the write", || {
        let row = rig.sim.get("incident", id).unwrap();
        (row.get(column) == Some(value)).then_some(())
    });
}

#[test]
fn own_writes_do_not_come_back() {
    let rig = Rig::new();
    // Older than what may still be committed late.
    let old = servicenow_sim::format_stamp(rig.sim.now() - 600);
    let row = Row::new()
        .set("short_description", "first")
        .set("sys_created_on", old.as_str())
        .set("sys_updated_on", old.as_str());
    let id = rig.sim.insert("incident", row).unwrap();
    let mut bridge = start(&rig, "skip_own_writes: true");
    bridge.wait_ready();
    wait_for("the first version", || {
        (arrived(&rig, &id, "short_description") == ["first"]).then_some(())
    });
    // Ours: an update, and a new row.
    produce(
        &rig,
        &id,
        &format!(r#"{{"sys_id":"{id}","short_description":"ours"}}"#),
    );
    wait_value(&rig, &id, "short_description", "ours");
    produce(
        &rig,
        "new",
        r#"{"short_description":"made","correlation_id":"new"}"#,
    );
    bridge.wait_metric(r#"bridge_source_own_writes_total{table="incident"}"#, 2.0);
    assert_eq!(arrived(&rig, &id, "short_description"), ["first"]);
    // A human's: it arrives, and so does what we write on top of it before it was read.
    rig.sim.update("incident", &id, [("state", "6")]).unwrap();
    produce(
        &rig,
        &id,
        &format!(r#"{{"sys_id":"{id}","short_description":"on top"}}"#),
    );
    wait_value(&rig, &id, "short_description", "on top");
    wait_for("the human's edit", || {
        let states = arrived(&rig, &id, "state");
        (states.last().map(String::as_str) == Some("6")).then_some(())
    });
    wait_for("all of the row", || {
        let texts = arrived(&rig, &id, "short_description");
        (texts.last().map(String::as_str) == Some("on top")).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    let made = |text: String| text.contains(r#""correlation_id":"new""#);
    assert!(!records.iter().any(|record| made(record.value_text())));
}

#[test]
fn without_the_guard_they_do() {
    let rig = Rig::new();
    let id = rig.sim.insert("incident", [("state", "1")]).unwrap();
    let mut bridge = start(&rig, "fields: [state]");
    bridge.wait_ready();
    produce(&rig, &id, &format!(r#"{{"sys_id":"{id}","state":"2"}}"#));
    wait_for("the echo", || {
        let states = arrived(&rig, &id, "state");
        (states.last().map(String::as_str) == Some("2")).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
}
