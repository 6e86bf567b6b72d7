//! Tables as Avro, with a real registry and another reader.

use std::collections::BTreeMap;

use real_kafka::Record;
use real_registry::{require_or_skip, shared};
use serde_json::Value;
use servicenow_sim::{Column, Kind, Row, Table};

use super::{produced, with_registry};
use crate::support::avro::{Schemas, assert_equal, framed, key_of};
use crate::support::bridge::{Bridge, run, texts};
use crate::support::rig::{self, Rig};
use crate::support::{LONG, fastavro, wait_for};

/// A table with every type of column. All tests share a registry, so each has a
/// topic of its own.
const PETS: &str = "u_pet";

/// Rows by their identifier.
fn pets(rig: &Rig) -> BTreeMap<String, Row> {
    let table = Table::new(PETS)
        .column(Column::text("u_name"))
        .column(Column::new("u_legs", Kind::Integer))
        .column(Column::new("u_weight", Kind::Decimal))
        .column(Column::new("u_tame", Kind::Boolean))
        .column(Column::new("u_born", Kind::Date))
        .column(Column::new("u_seen", Kind::DateTime))
        .column(Column::reference("u_owner", "sys_user"))
        .column(Column::text("u_owner_user_name"));
    rig.sim.create_table(table).unwrap();
    let full = |at: usize| {
        Row::new()
            .set("u_name", format!("Äxel \"{at}\"\n\t\\ \u{1f415}"))
            .set("u_legs", (i64::try_from(at).unwrap() - 50).to_string())
            .set("u_weight", format!("{at}.5"))
            .set("u_tame", at.is_multiple_of(2).to_string())
            .set("u_born", format!("19{:02}-02-28", at % 100))
            .set("u_seen", format!("2026-10-25 02:{:02}:00", at % 60))
            .set("u_owner", "6816f79cc0a8016401c5a33be04be441")
    };
    let rows = (0..120).map(full).chain((0..30).map(|_| Row::new()));
    rig.sim.insert_many(PETS, rows).unwrap();
    let rows = rig.sim.rows(PETS).unwrap();
    let id = |row: &Row| row.get("sys_id").unwrap().to_owned();
    rows.into_iter().map(|row| (id(&row), row)).collect()
}

/// A bridge that copies the table to a topic.
fn start(rig: &Rig, topic: &str, schema: &str) -> Bridge {
    // There already for the second bridge of a test.
    rig.kafka.create_topic(topic).ok();
    let mut config = with_registry(rig.config(), &shared().unwrap().url(), schema);
    config.tables = vec![format!(
        "name: {PETS}\ntopic: {topic}\nversion_headers: true"
    )];
    rig.start(&config)
}

/// What another reader sees of the rows, compared with them; and the schema.
fn finish(
    rig: &Rig,
    mut bridge: Bridge,
    topic: &str,
    rows: &BTreeMap<String, Row>,
) -> (BTreeMap<String, Value>, String) {
    bridge.wait_metric(&rig::produced(PETS, topic), rows.len() as f64);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(topic, LONG).unwrap();
    assert_eq!(records.len(), rows.len());
    let schemas = Schemas::at(&shared().unwrap().url());
    let text = schemas.text(framed(records[0].value.as_deref()).0);
    let read = schemas.read(&records, None);
    let mut values = BTreeMap::new();
    for (record, value) in records.iter().zip(read) {
        let id = value["sys_id"].as_str().unwrap().to_owned();
        assert_equal(&value, &rows[&id], &text);
        assert_eq!(key_text(record), id);
        assert_eq!(record.header("sn_table").as_deref(), Some(PETS));
        for (header, column) in [
            ("sn_updated", "sys_updated_on"),
            ("sn_mod_count", "sys_mod_count"),
        ] {
            assert_eq!(record.header(header).as_deref(), rows[&id].get(column));
        }
        values.insert(id, value);
    }
    assert_eq!(values.len(), rows.len());
    (values, text)
}

/// The key, whether it is Avro or not.
fn key_text(record: &Record) -> String {
    match record.key.as_deref() {
        Some([0, ..]) => key_of(record).1,
        _ => record.key_text(),
    }
}

#[test]
fn typed_rows_are_what_another_reader_sees() {
    if !(require_or_skip() && fastavro::require_or_skip()) {
        return;
    }
    let rig = Rig::new();
    let rows = pets(&rig);
    let topic = "avro.typed";
    let bridge = start(&rig, topic, "style: typed, key: avro");
    let (values, text) = finish(&rig, bridge, topic, &rows);
    let mut values = values.values();
    let value = values.find(|value| value["u_legs"] == -50).unwrap();
    assert_eq!(value["u_name"], "Äxel \"0\"\n\t\\ \u{1f415}");
    assert_eq!(value["u_weight"], "0.50");
    assert_eq!(value["u_tame"], true);
    assert_eq!(value["u_born"], "1900-02-28");
    assert_eq!(value["u_seen"], "2026-10-25 02:00:00");
    assert!(
        text.contains(r#""servicenow.reference":"sys_user""#),
        "{text}"
    );
    let schemas = Schemas::at(&shared().unwrap().url());
    let (id, key) = schemas.latest("avro.typed-key").unwrap();
    assert_eq!(key, "\"string\"");
    let records = rig.kafka.reader().read_to_end(topic, LONG).unwrap();
    assert!(records.iter().all(|record| key_of(record).0 == id));
}

/// The Go program's schema, but with all columns, and the key that it drops.
#[test]
fn rows_as_texts_are_what_another_reader_sees() {
    if !(require_or_skip() && fastavro::require_or_skip()) {
        return;
    }
    let rig = Rig::new();
    let rows = pets(&rig);
    let bridge = start(&rig, "avro.strings", "style: strings");
    let (_, text) = finish(&rig, bridge, "avro.strings", &rows);
    assert!(text.contains(r#""namespace":"com.servicenow.bridge""#));
    assert!(!text.contains("servicenow.type"), "{text}");
}

#[test]
fn values_that_do_not_fit_are_kept_counted_or_hold_the_table() {
    if !(require_or_skip() && fastavro::require_or_skip()) {
        return;
    }
    let rig = Rig::new();
    let table = Table::new(PETS).column(Column::new("u_legs", Kind::Integer));
    rig.sim.create_table(table).unwrap();
    let odd = rig.sim.insert(PETS, [("u_legs", "four")]).unwrap();
    let topic = "avro.misfits";
    let bridge = start(&rig, topic, "style: typed, on_type_error: hold");
    bridge.wait_not_ready(&format!("row {odd}: the value of `u_legs` is no long"));
    assert_eq!(bridge.metric(&rig::produced(PETS, topic)), 0.0);
    assert_eq!(bridge.terminate(), 0, "nothing of it was begun");

    let mut bridge = start(&rig, topic, "style: typed, on_type_error: string_field");
    bridge.wait_metric(&rig::produced(PETS, topic), 1.0);
    let misfits = format!("bridge_source_type_errors_total{{table=\"{PETS}\",column=\"u_legs\"}}");
    assert_eq!(bridge.metric(&misfits), 1.0);
    let log = bridge.log();
    let told = log
        .lines()
        .find(|line| line.contains("does not fit the type"));
    assert!(told.unwrap().contains(&odd), "{log}");
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(topic, LONG).unwrap();
    let values = Schemas::at(&shared().unwrap().url()).read(&records, None);
    assert_eq!(values[0]["u_legs"], Value::Null);
    assert_eq!(values[0]["_raw"]["u_legs"], "four");
}

/// A name with a dot is none in Avro, and the one that is made of it may be taken.
#[test]
fn dot_walked_columns_have_names_of_their_own() {
    if !(require_or_skip() && fastavro::require_or_skip()) {
        return;
    }
    let rig = Rig::new();
    pets(&rig);
    let users = rig.sim.rows("sys_user").unwrap();
    let [id, name] = ["sys_id", "user_name"].map(|it| users[0].get(it).unwrap());
    let row = [("u_owner", id), ("u_owner_user_name", "own")];
    rig.sim.insert(PETS, row).unwrap();
    let (topic, url) = ("avro.walked", shared().unwrap().url());
    rig.kafka.create_topic(topic).unwrap();
    let mut config = with_registry(rig.config(), &url, "style: typed");
    let fields = "[u_owner.user_name, u_owner_user_name]";
    config.tables = vec![format!("name: {PETS}\ntopic: {topic}\nfields: {fields}")];
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&rig::produced(PETS, topic), 151.0);
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(topic, LONG).unwrap();
    let values = Schemas::at(&url).read(&records, None);
    let value = values.iter().find(|it| it["u_owner_user_name"] == "own");
    assert_eq!(value.unwrap()["u_owner_user_name_2"], name);
}

/// With a pinned schema nothing is registered, and a table without one waits until an operator registers it.
#[test]
fn without_auto_register_somebody_must_register() {
    if !require_or_skip() {
        return;
    }
    let url = shared().unwrap().url();
    let rig = Rig::new();
    let table = || Table::new(PETS).texts(&["u_name"]);
    rig.sim.create_table(table()).unwrap();
    rig.sim.insert(PETS, [("u_name", "Rex")]).unwrap();
    rig.kafka.create_topic("servicenow.u_pet").unwrap();
    let mut config = with_registry(rig.config(), &url, "style: typed");
    config.top = config.top.replace("timeout: 5s", "auto_register: false");
    config.tables = vec![format!("name: {PETS}")];
    let mut bridge = rig.start(&config);
    bridge.wait_not_ready("nothing is registered");
    bridge.wait_not_ready("schema register");
    assert_eq!(bridge.get("/healthz").0, 200);
    assert_eq!(bridge.metric(&produced(PETS)), 0.0);
    let subject = format!("servicenow.{PETS}-value");
    assert_eq!(Schemas::at(&url).latest(&subject), None);

    let (output, errors, code) = texts(&run(rig.folder.path(), &["schema", "register", PETS]));
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains(&subject), "{output}");
    bridge.wait_metric(&produced(PETS), 1.0);
    bridge.wait_ready();

    // A column that no registered schema has is left out, counted and logged.
    let before = Schemas::at(&url).latest(&subject);
    rig.sim
        .alter_table(table().texts(&["u_unheard_of"]))
        .unwrap();
    rig.sim.insert(PETS, [("u_unheard_of", "x")]).unwrap();
    bridge.wait_metric(&produced(PETS), 2.0);
    let unknown = format!("bridge_source_unknown_columns_total{{table=\"{PETS}\"}}");
    wait_for("the count of unknown columns", || {
        (bridge.metric(&unknown) >= 1.0).then_some(())
    });
    wait_for("the name of the column", || {
        bridge.log().contains("u_unheard_of").then_some(())
    });
    assert_eq!(Schemas::at(&url).latest(&subject), before);
    assert_eq!(bridge.terminate(), 0);
}

/// Where the dictionary is hidden, rows say which columns texts have.
#[test]
fn without_a_dictionary_columns_come_from_rows() {
    if !(require_or_skip() && fastavro::require_or_skip()) {
        return;
    }
    let rig = Rig::new();
    rig.sim.hide("sys_dictionary", |_| true).unwrap();
    let rows = pets(&rig);
    let bridge = start(&rig, "avro.hidden", "style: strings");
    wait_for("words about the dictionary", || {
        bridge
            .log()
            .contains("personalize_dictionary")
            .then_some(())
    });
    finish(&rig, bridge, "avro.hidden", &rows);
}
