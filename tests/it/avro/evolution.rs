//! Columns that come, widen and go while rows flow.

use std::collections::BTreeMap;
use std::thread;

use real_registry::{require_or_skip, shared};
use serde_json::Value;
use servicenow_kafka_bridge::stop;
use servicenow_sim::{Column, Kind, Row, Sim, Table};

use super::{produced, with_registry};
use crate::support::avro::{Schemas, assert_equal, framed};
use crate::support::rig::Rig;
use crate::support::{LONG, fastavro, wait_for};

const TABLE: &str = "u_ticket";
const SUBJECT: &str = "servicenow.u_ticket-value";

fn table(columns: &[(&str, Kind)]) -> Table {
    let columns = columns.iter();
    columns.fold(Table::new(TABLE), |table, (name, kind)| {
        table.column(Column::new(name, *kind))
    })
}

/// Inserts a row about every 10 ms until the trigger is dropped; gives how many.
fn flow(sim: &Sim, stop: &stop::Stop) -> usize {
    let mut count = 0;
    while !stop.wait(std::time::Duration::from_millis(10)) {
        let row = Row::new()
            .set("u_count", count.to_string())
            .set("u_text", format!("row {count}"));
        sim.insert(TABLE, row).unwrap();
        count += 1;
    }
    count
}

/// Waits until a row that was inserted now is in the topic.
fn wait_for_row(rig: &Rig, id: &str) {
    let reader = rig.kafka.reader();
    wait_for("a row", || {
        let records = reader
            .read_to_end(&format!("servicenow.{TABLE}"), LONG)
            .unwrap();
        records.iter().any(|it| it.key_text() == id).then_some(())
    });
}

#[test]
fn old_consumers_read_on() {
    if !(require_or_skip() && fastavro::require_or_skip()) {
        return;
    }
    let server = shared().unwrap();
    let schemas = Schemas::at(&server.url());
    let rig = Rig::new();
    rig.kafka
        .create_topic(&format!("servicenow.{TABLE}"))
        .unwrap();
    let first = [
        ("u_count", Kind::Integer),
        ("u_text", Kind::Text),
        ("u_gone", Kind::Text),
    ];
    rig.sim.create_table(table(&first)).unwrap();
    let schema = "style: typed, on_type_error: string_field";
    let mut config = with_registry(rig.config(), &server.url(), schema);
    config.tables = vec![format!("name: {TABLE}")];
    let (trigger, stop) = stop::pair();
    let (inserted, bridge, text) = thread::scope(|scope| {
        let flowing = thread::Builder::new().name("rows".to_owned());
        let flowing = flowing
            .spawn_scoped(scope, || flow(&rig.sim, &stop))
            .unwrap();
        let mut bridge = rig.start(&config);
        bridge.wait_metric(&produced(TABLE), 20.0);
        // The strictest level: each schema must read what any other one wrote.
        server.set_level(SUBJECT, "FULL_TRANSITIVE").unwrap();
        let (_, text) = schemas.latest(SUBJECT).unwrap();

        // A column comes.
        let mut columns = first.to_vec();
        columns.push(("u_new", Kind::Decimal));
        rig.sim.alter_table(table(&columns)).unwrap();
        let id = rig.sim.insert(TABLE, [("u_new", "1.5")]).unwrap();
        wait_for_row(&rig, &id);

        // A type widens: from whole numbers to any.
        columns[0].1 = Kind::Decimal;
        rig.sim.alter_table(table(&columns)).unwrap();
        let id = rig.sim.insert(TABLE, [("u_count", "2.25")]).unwrap();
        wait_for_row(&rig, &id);

        // A column goes, and another comes.
        columns.remove(2);
        columns.push(("u_last", Kind::Boolean));
        rig.sim.alter_table(table(&columns)).unwrap();
        let id = rig.sim.insert(TABLE, [("u_last", "true")]).unwrap();
        wait_for_row(&rig, &id);
        drop(trigger);
        (flowing.join().unwrap() + 3, bridge, text)
    });
    let mut bridge = bridge;
    bridge.wait_metric(&produced(TABLE), inserted as f64);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    compare(&rig, &schemas, &text, inserted);
}

/// Every row is there as it is, for readers with the schema of its record and with the first one.
fn compare(rig: &Rig, schemas: &Schemas, first: &str, inserted: usize) {
    let rows = rig.sim.rows(TABLE).unwrap();
    assert_eq!(rows.len(), inserted);
    let rows: BTreeMap<&str, &Row> = rows
        .iter()
        .map(|row| (row.get("sys_id").unwrap(), row))
        .collect();
    let topic = format!("servicenow.{TABLE}");
    let records = rig.kafka.reader().read_to_end(&topic, LONG).unwrap();
    let all: std::collections::BTreeSet<String> = records.iter().map(|it| it.key_text()).collect();
    assert_eq!(all.len(), inserted, "every row");
    let mut ids = BTreeMap::new();
    let new = schemas.read(&records, None);
    let old = schemas.read(&records, Some(first));
    for ((record, new), old) in records.iter().zip(&new).zip(&old) {
        let row = rows[record.key_text().as_str()];
        let (id, _) = framed(record.value.as_deref());
        let text = ids.entry(id).or_insert_with(|| schemas.text(id));
        match row.get("u_count") {
            // It does not fit the type that the field began with.
            Some("2.25") => {
                assert_eq!(new["u_count"], Value::Null);
                assert_eq!(new["_raw"]["u_count"], "2.25");
                assert_eq!(old["_raw"]["u_count"], "2.25");
            }
            _ => {
                assert_equal(new, row, text);
                assert_equal(old, row, first);
            }
        }
    }
    let ids: Vec<u32> = ids.into_keys().collect();
    assert_eq!(ids.len(), 3, "a schema for each new column: {ids:?}");
    let value = |id: &str| new.iter().find(|it| it[id] != Value::Null).unwrap()[id].clone();
    assert_eq!(value("u_new"), "1.50");
    assert_eq!(value("u_last"), true);
}
