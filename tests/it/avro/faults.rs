//! Registries that are away, refuse, or change.

use std::time::{Duration, Instant};

use servicenow_sim::{Row, Table};

use super::{produced, with_registry};
use crate::support::avro::framed;
use crate::support::registry::FakeRegistry;
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

const SUBJECT: &str = "servicenow.incident-value";

fn pet(columns: &[&str]) -> Table {
    Table::new("u_pet").texts(columns)
}

/// The table with one row, and its topic.
fn pets(rig: &Rig, columns: &[&str]) {
    rig.sim.create_table(pet(columns)).unwrap();
    rig.kafka.create_topic("servicenow.u_pet").unwrap();
    let row = Row::new().set(columns[0].to_owned(), "Rex");
    rig.sim.insert("u_pet", row).unwrap();
}

fn records(rig: &Rig, topic: &str) -> Vec<real_kafka::Record> {
    rig.kafka.reader().read_to_end(topic, LONG).unwrap()
}

#[test]
fn a_registry_that_is_away_holds_the_table() {
    let registry = FakeRegistry::start();
    registry.down(true);
    let rig = Rig::new();
    rig.fill("incident", 300);
    let config = with_registry(rig.config(), &registry.url(), "style: typed, key: avro");
    let mut bridge = rig.start(&config);
    bridge.wait_not_ready("schema of incident: schema registry: ");
    assert_eq!(bridge.metric("bridge_source_held{table=\"incident\"}"), 1.0);
    assert_eq!(bridge.get("/healthz").0, 200, "restarting would not help");
    assert_eq!(rig.checkpoint(), serde_json::Value::Null);
    // The registry's client waits for its end, so no pause of the table's own is long.
    let waits = wait_for("three lines about it", || {
        let log = bridge.log();
        let told = log
            .lines()
            .filter(|line| line.contains("there is no schema to write"));
        let waits: Vec<f64> = told
            .map(|line| {
                let (_, wait) = line.split_once("\"retry_in\":\"").unwrap();
                let (wait, _) = wait.split_once("s\"").unwrap();
                match wait.strip_suffix('m') {
                    Some(ms) => ms.parse::<f64>().unwrap() / 1_000.0,
                    None => wait.parse().unwrap(),
                }
            })
            .collect();
        (waits.len() >= 3).then_some(waits)
    });
    assert!(waits.iter().all(|wait| *wait <= 1.0), "{waits:?}");
    registry.down(false);
    bridge.wait_metric(&produced("incident"), 300.0);
    bridge.wait_ready();
    assert_eq!(bridge.metric("bridge_source_held{table=\"incident\"}"), 0.0);
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(records(&rig, TOPIC).len(), 300);
}

/// Where the table begins is known before its first row can be sent, and must outlive a restart:
/// hours later "an hour ago" would be another place.
#[test]
fn where_a_table_begins_is_kept_while_its_schema_is_waited_for() {
    let registry = FakeRegistry::start();
    registry.down(true);
    let rig = Rig::new();
    rig.fill("incident", 10);
    let config = with_registry(rig.config(), &registry.url(), "");
    let bridge = rig.start(&config.source("initial_query_hours_ago: 3"));
    bridge.wait_not_ready("schema of incident");
    let begins = rig.sim.now() - 3 * 3_600;
    let kept = wait_for("the position", || {
        rig.checkpoint()["incident"]["timestamp"].as_i64()
    });
    assert!((begins - kept).abs() < 60, "{kept}, not about {begins}");
    bridge.kill();
}

/// In the middle of a table too: what is before the row is delivered, the row comes again.
#[test]
fn a_stop_does_not_wait_for_a_new_column() {
    let registry = FakeRegistry::start();
    let rig = Rig::new();
    pets(&rig, &["u_name"]);
    let mut config = with_registry(rig.config(), &registry.url(), "");
    config.tables = vec!["name: u_pet".to_owned()];
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("u_pet"), 1.0);
    registry.down(true);
    rig.sim.alter_table(pet(&["u_name", "u_breed"])).unwrap();
    rig.sim.insert("u_pet", [("u_breed", "Collie")]).unwrap();
    bridge.wait_not_ready("schema of u_pet");
    let begun = Instant::now();
    assert_eq!(bridge.terminate(), 0);
    assert!(begun.elapsed() < Duration::from_secs(20));
    registry.down(false);
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("u_pet"), 1.0);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(records(&rig, "servicenow.u_pet").len(), 2);
}

/// An instance that makes up names does not fill the registry.
#[test]
fn columns_that_keep_coming_are_slowed_down() {
    let registry = FakeRegistry::start();
    let rig = Rig::new();
    let names: Vec<String> = (0..30).map(|at| format!("u_{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pets(&rig, &names[..1]);
    let mut config = with_registry(rig.config(), &registry.url(), "");
    config.tables = vec!["name: u_pet".to_owned()];
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("u_pet"), 1.0);
    for count in 2..=21 {
        rig.sim.alter_table(pet(&names[..count])).unwrap();
        rig.sim.insert("u_pet", [("u_0", "x")]).unwrap();
        bridge.wait_metric(&produced("u_pet"), count as f64);
    }
    rig.sim.alter_table(pet(&names[..22])).unwrap();
    rig.sim.insert("u_pet", [("u_0", "x")]).unwrap();
    bridge.wait_not_ready("its columns have changed 20 times since the start");
    assert_eq!(registry.registered("servicenow.u_pet-value").len(), 21);
    bridge.kill();
}

/// Nothing was begun, so nothing is left.
#[test]
fn a_stop_does_not_wait_for_a_registry() {
    let registry = FakeRegistry::start();
    registry.down(true);
    let rig = Rig::new();
    rig.fill("incident", 300);
    let bridge = rig.start(&with_registry(rig.config(), &registry.url(), ""));
    bridge.wait_not_ready("schema registry");
    let begun = Instant::now();
    assert_eq!(bridge.terminate(), 0);
    // `shutdown_timeout` is 25 s.
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// A row with a new column waits for its schema instead of losing the column; what runs on an older
/// schema meanwhile is another table.
#[test]
fn a_new_column_waits_for_the_registry() {
    let registry = FakeRegistry::start();
    let rig = Rig::new();
    pets(&rig, &["u_name"]);
    rig.fill("incident", 10);
    let mut config = with_registry(rig.config(), &registry.url(), "");
    config.tables.push("name: u_pet".to_owned());
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("u_pet"), 1.0);
    bridge.wait_metric(&produced("incident"), 10.0);
    registry.down(true);
    rig.sim.alter_table(pet(&["u_name", "u_breed"])).unwrap();
    let row = [("u_name", "Bo"), ("u_breed", "Collie")];
    rig.sim.insert("u_pet", row).unwrap();
    bridge.wait_not_ready("schema of u_pet");
    rig.insert("incident");
    bridge.wait_metric(&produced("incident"), 11.0);
    assert_eq!(records(&rig, "servicenow.u_pet").len(), 1);
    registry.down(false);
    bridge.wait_metric(&produced("u_pet"), 2.0);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    let versions = registry.registered("servicenow.u_pet-value");
    assert_eq!(versions.len(), 2);
    assert!(versions[1].1.contains("u_breed"));
    let records = records(&rig, "servicenow.u_pet");
    let ids: Vec<u32> = records
        .iter()
        .map(|it| framed(it.value.as_deref()).0)
        .collect();
    let body = |at: usize| String::from_utf8_lossy(framed(records[at].value.as_deref()).1);
    assert_eq!(records.len(), 2);
    let new = ids.iter().position(|id| *id == versions[1].0).unwrap();
    assert!(body(new).contains("Collie"));
}

#[test]
fn refusals_are_told_and_tried_again() {
    let registry = FakeRegistry::start();
    registry.refuse_registering_with(Some((409, r#"{"error_code":409,"message":"not so"}"#)));
    let rig = Rig::new();
    rig.fill("incident", 5);
    let mut bridge = rig.start(&with_registry(rig.config(), &registry.url(), ""));
    bridge.wait_not_ready("the schema does not fit to what is registered");
    registry.refuse_registering_with(None);
    registry.refuse_with(Some((401, r#"{"error_code":401,"message":"who are you"}"#)));
    bridge.wait_not_ready("check `schema_registry.auth`");
    registry.refuse_with(None);
    bridge.wait_metric(&produced("incident"), 5.0);
    let errors = "bridge_source_errors_total{table=\"incident\",error_type=\"schema\"}";
    assert!(bridge.metric(errors) >= 2.0);
    let refused = "bridge_schema_registry_requests_total{method=\"POST\",result=\"incompatible\"}";
    assert!(bridge.metric(refused) >= 1.0);
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(registry.registered(SUBJECT).len(), 1);
}

/// The token that a registry wants changes in its file.
#[test]
fn an_edit_moves_to_another_registry() {
    let (first, second) = (FakeRegistry::start(), FakeRegistry::start());
    let rig = Rig::new();
    rig.fill("incident", 20);
    let config = |url: &str| with_registry(rig.config(), url, "");
    let mut bridge = rig.start(&config(&first.url()));
    bridge.wait_metric(&produced("incident"), 20.0);
    // One that does not work is not used.
    config("http://127.0.0.1:1").write(rig.folder.path());
    wait_for("the note", || {
        let (_, body) = bridge.get("/readyz");
        body.contains("the last edit is not used").then_some(())
    });
    rig.insert("incident");
    bridge.wait_metric(&produced("incident"), 21.0);
    second.require_authorization(Some("Bearer new"));
    let mut other = config(&second.url());
    other.top = other
        .top
        .replace("timeout: 5s", "auth: {type: bearer, token: new}");
    other.write(rig.folder.path());
    wait_for("the edit", || {
        bridge
            .log()
            .contains("table incident: schema_registry")
            .then_some(())
    });
    rig.insert("incident");
    bridge.wait_metric(&produced("incident"), 22.0);
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(second.registered(SUBJECT).len(), 1);
    assert_eq!(records(&rig, TOPIC).len(), 22);
}
