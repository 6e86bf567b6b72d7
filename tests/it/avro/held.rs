//! Tables that wait at a row whose value does not fit its type.

use std::time::{Duration, Instant};

use servicenow_sim::{Column, Kind, Table};

use super::{produced, with_registry};
use crate::support::config::Config;
use crate::support::registry::FakeRegistry;
use crate::support::rig::Rig;

/// A table with a row that does not fit.
fn odd(rig: &Rig, table: &str) {
    let columns = Table::new(table).column(Column::new("u_legs", Kind::Integer));
    rig.sim.create_table(columns).unwrap();
    rig.kafka
        .create_topic(&format!("servicenow.{table}"))
        .unwrap();
    rig.sim.insert(table, [("u_legs", "four")]).unwrap();
}

fn holding(rig: &Rig, registry: &FakeRegistry, tables: &[&str]) -> Config {
    let mut config = with_registry(
        rig.config(),
        &registry.url(),
        "style: typed, on_type_error: hold",
    );
    config.tables = tables.iter().map(|it| format!("name: {it}")).collect();
    config
}

/// How often a table was held.
fn holds(table: &str) -> String {
    format!("bridge_source_errors_total{{table=\"{table}\",error_type=\"record\"}}")
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
    edited.tables[0] = "name: u_pet\nschema: {on_type_error: 'null'}".to_owned();
    edited.write(rig.folder.path());
    bridge.wait_metric(&produced("u_pet"), 1.0);
    assert_eq!(bridge.terminate(), 0, "nothing of `u_other` was begun");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}
