//! Schemas of others under our subject.

use serde_json::Value;
use servicenow_sim::{Column, Kind, Table};

use super::{produced, with_registry};
use crate::support::LONG;
use crate::support::avro::framed;
use crate::support::bridge::{run, texts};
use crate::support::config::Config;
use crate::support::registry::{FakeRegistry, Kind as Written};
use crate::support::rig::Rig;

const TABLE: &str = "u_ticket";
const SUBJECT: &str = "servicenow.u_ticket-value";
/// A form that the bridge never writes.
const FOREIGN: &str =
    r#"{"type":"record","name":"other","fields":[{"name":"u_text","type":"string","default":""}]}"#;

fn table(columns: &[(&str, Kind)]) -> Table {
    let columns = columns.iter();
    columns.fold(Table::new(TABLE), |table, (name, kind)| {
        table.column(Column::new(name, *kind))
    })
}

/// A table with a row, and the configuration to send it.
fn begun(rig: &Rig, registry: &FakeRegistry) -> Config {
    rig.kafka
        .create_topic(&format!("servicenow.{TABLE}"))
        .unwrap();
    let columns = [("u_count", Kind::Integer), ("u_gone", Kind::Text)];
    rig.sim.create_table(table(&columns)).unwrap();
    rig.sim.insert(TABLE, [("u_count", "1")]).unwrap();
    let mut config = with_registry(rig.config(), &registry.url(), "style: typed");
    config.tables = vec![format!("name: {TABLE}")];
    config
}

/// A column goes, one changes its type, and one comes, with a row.
fn change(rig: &Rig) {
    let columns = [("u_count", Kind::Decimal), ("u_new", Kind::Text)];
    rig.sim.alter_table(table(&columns)).unwrap();
    rig.sim.insert(TABLE, [("u_new", "x")]).unwrap();
}

/// The fields of a schema without what only describes: names and types.
fn fields(schema: &str) -> Vec<(String, Value)> {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let fields = schema["fields"].as_array().unwrap().iter();
    fields
        .map(|field| {
            (
                field["name"].as_str().unwrap().to_owned(),
                field["type"].clone(),
            )
        })
        .collect()
}

/// Ours, the foreign one, and one with every field of ours and the new one behind them.
fn assert_grown(registry: &FakeRegistry) {
    let versions = registry.registered(SUBJECT);
    assert_eq!(versions.len(), 3, "{versions:?}");
    let (ours, grown) = (fields(&versions[0].1), fields(&versions[2].1));
    let (kept, new) = grown.split_at(ours.len().min(grown.len()));
    assert_eq!(kept, ours);
    let new: Vec<&str> = new.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(new, ["u_new"]);
}

fn ids(rig: &Rig) -> Vec<u32> {
    let topic = format!("servicenow.{TABLE}");
    let records = rig.kafka.reader().read_to_end(&topic, LONG).unwrap();
    let ids = records.iter().map(|it| framed(it.value.as_deref()).0);
    ids.collect()
}

#[test]
fn a_running_table_grows_from_its_own() {
    let (rig, registry) = (Rig::new(), FakeRegistry::start());
    let config = begun(&rig, &registry);
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced(TABLE), 1.0);
    registry.add(SUBJECT, FOREIGN, Written::Avro);
    change(&rig);
    bridge.wait_metric(&produced(TABLE), 2.0);
    assert_eq!(bridge.terminate(), 0);
    assert_grown(&registry);
}

#[test]
fn a_table_that_starts_finds_its_own_below() {
    let (rig, registry) = (Rig::new(), FakeRegistry::start());
    let config = begun(&rig, &registry);
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced(TABLE), 1.0);
    assert_eq!(bridge.terminate(), 0);
    registry.add(SUBJECT, FOREIGN, Written::Avro);
    // Nothing has changed: its own schema serves as it is.
    rig.sim.insert(TABLE, [("u_count", "2")]).unwrap();
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced(TABLE), 1.0);
    assert_eq!(bridge.terminate(), 0);
    let posted = registry.count("POST", &format!("/subjects/{SUBJECT}/versions"));
    assert_eq!((posted, registry.registered(SUBJECT).len()), (1, 2));
    assert_eq!(ids(&rig), [1, 1]);

    change(&rig);
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced(TABLE), 1.0);
    assert_eq!(bridge.terminate(), 0);
    assert_grown(&registry);
}

/// Who registers nothing has no other way out: `schema register` finds its own below, and adds nothing.
#[test]
fn a_pinned_table_finds_its_own_below() {
    let (rig, registry) = (Rig::new(), FakeRegistry::start());
    let mut config = begun(&rig, &registry);
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced(TABLE), 1.0);
    assert_eq!(bridge.terminate(), 0);
    registry.add(SUBJECT, FOREIGN, Written::Avro);
    rig.sim.insert(TABLE, [("u_count", "2")]).unwrap();
    config.top = config.top.replace("timeout: 5s", "auto_register: false");
    config.write(rig.folder.path());
    let (output, errors, code) = texts(&run(rig.folder.path(), &["check", "--connect"]));
    assert_eq!(code, 0, "{output}{errors}");
    let words = format!("subject {SUBJECT}: version 1, id 1, is registered");
    assert!(output.contains(&words), "{output}");
    assert!(
        output.contains("our own version below it is followed"),
        "{output}"
    );
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced(TABLE), 1.0);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(ids(&rig), [1, 1]);
    assert_eq!(registry.registered(SUBJECT).len(), 2);
}
