//! Headers that say which version of its row a record holds.

use servicenow_sim::{Column, Options, Row, Table};

use crate::support::LONG;
use crate::support::config::Config;
use crate::support::rig::{Rig, TOPIC, produced};

/// A bridge copies a few rows, of which some were changed, and the headers are those of the rows.
fn check_headers(options: Options, configure: impl Fn(Config) -> Config) {
    let rig = Rig::with(options);
    rig.fill("incident", 30);
    let rows = rig.sim.rows("incident").unwrap();
    for row in rows.iter().take(10) {
        let change = [("short_description", "changed")];
        let id = row.get("sys_id").unwrap();
        rig.sim.update("incident", id, change).unwrap();
    }
    let mut bridge = rig.start(&configure(rig.config()));
    bridge.wait_metric(&produced("incident", TOPIC), 30.0);
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    let rows = rig.sim.rows("incident").unwrap();
    for row in &rows {
        let id = row.get("sys_id").unwrap();
        let record = records.iter().find(|record| record.key_text() == id);
        let record = record.unwrap();
        assert_eq!(
            record.header("sn_updated").as_deref(),
            row.get("sys_updated_on")
        );
        assert_eq!(
            record.header("sn_mod_count").as_deref(),
            row.get("sys_mod_count")
        );
        assert_eq!(record.headers.len(), 5);
    }
}

#[test]
fn of_rows_as_they_are() {
    check_headers(Options::default(), |config| {
        config.table("version_headers: true")
    });
}

/// Whatever the records hold: the column is fetched, and its stored value counts.
#[test]
fn with_few_fields_and_display_values() {
    let options = Options {
        user_zone: "Asia/Tokyo".to_owned(),
        user_date_format: "dd/MM/yyyy HH:mm:ss".to_owned(),
        ..Options::default()
    };
    check_headers(options, |config| {
        let config = config.source("verify_interval: 720h");
        config.table("fields: [number]\ndisplay_value: true")
    });
}

#[test]
fn a_table_without_a_count_has_the_stamp_alone() {
    let rig = Rig::new();
    let table = Table::new("u_bare").column(Column::text("u_name"));
    rig.sim.create_table(table).unwrap();
    rig.sim.insert_many("u_bare", [Row::new()]).unwrap();
    let mut config = rig.config().source("version_headers: true");
    config.tables = vec![format!("name: u_bare\ntopic: {TOPIC}")];
    rig.sim.hide_field("u_bare", "sys_mod_count").unwrap();
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("u_bare", TOPIC), 1.0);
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    assert!(records[0].header("sn_updated").is_some());
    assert_eq!(records[0].header("sn_mod_count"), None);
}
