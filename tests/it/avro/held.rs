//! Tables that wait at a row whose value does not fit its type.

use std::time::{Duration, Instant};

use servicenow_sim::{Column, Kind, Row, Table};

use super::{produced, with_registry};
use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::registry::FakeRegistry;
use crate::support::rig::Rig;
use crate::support::wait_for;

/// A table of three pages, with a row that does not fit.
fn odd(rig: &Rig, table: &str) {
    let columns = Table::new(table).column(Column::new("u_legs", Kind::Integer));
    rig.sim.create_table(columns).unwrap();
    rig.kafka
        .create_topic(&format!("servicenow.{table}"))
        .unwrap();
    let rows = ["1", "2", "four", "4", "5"].map(|legs| Row::new().set("u_legs", legs));
    rig.sim.insert_many(table, rows).unwrap();
}

fn holding(rig: &Rig, registry: &FakeRegistry, tables: &[&str]) -> Config {
    let mut config = with_registry(
        rig.config(),
        &registry.url(),
        "style: typed, on_type_error: hold",
    );
    config.tables = tables
        .iter()
        .map(|it| format!("name: {it}\nbatch_size: 2"))
        .collect();
    config
}

/// How often a table was held.
fn holds(table: &str) -> String {
    format!("bridge_source_errors_total{{table=\"{table}\",error_type=\"record\"}}")
}

/// However often the row was tried.
fn assert_told_once(bridge: &Bridge) {
    let misfits = "bridge_source_type_errors_total{table=\"u_other\",column=\"u_legs\"}";
    assert_eq!(bridge.metric(misfits), 1.0);
    let log = bridge.log();
    let ends = log.lines().filter(|line| {
        line.contains("the table is read to its end") && line.contains("\"u_other\"")
    });
    assert_eq!(ends.count(), 1, "{log}");
    assert!(
        log.contains("reading again from the last delivered row"),
        "{log}"
    );
    assert!(!log.contains("Some("), "{log}");
}

/// Nothing is on its way, so there is nothing to wait for: the third pause is 20 s.
#[test]
fn a_held_table_is_edited_and_stopped_at_once() {
    let (rig, registry) = (Rig::new(), FakeRegistry::start());
    let tables = ["u_pet", "u_other"];
    tables.iter().for_each(|table| odd(&rig, table));
    let config = holding(&rig, &registry, &tables);
    let mut bridge = rig.start(&config);
    for table in tables {
        bridge.wait_metric(&holds(table), 3.0);
    }
    let begun = Instant::now();
    let mut edited = config.clone();
    edited.tables[0].push_str("\nschema: {on_type_error: 'null'}");
    edited.write(rig.folder.path());
    wait_for("all rows", || {
        (bridge.metric(&produced("u_pet")) >= 5.0).then_some(())
    });
    assert_eq!(bridge.metric("bridge_source_held{table=\"u_pet\"}"), 0.0);
    assert_told_once(&bridge);
    assert_eq!(bridge.terminate(), 0, "nothing of `u_other` was begun");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}
