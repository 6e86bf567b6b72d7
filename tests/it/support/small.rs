//! A table of small rows, and what must arrive of it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use real_kafka::Record;
use servicenow_sim::{Row, Sim, Table, format_stamp};

use super::config::Config;

/// The table: the system columns and `name`.
pub(crate) const SMALL: &str = "u_small";

/// Makes the table with `count` rows, a hundred to a second, the newest an hour old. Gives the ids.
pub(crate) fn fill(sim: &Sim, count: usize) -> HashSet<String> {
    sim.create_table(Table::new(SMALL).texts(&["name"]))
        .unwrap();
    let seconds = i64::try_from(count / 100).unwrap();
    let first = sim.now() - 3600 - seconds;
    let rows = (0..count).map(|number| {
        let stamp = format_stamp(first + i64::try_from(number / 100).unwrap());
        Row::new()
            .set("name", number.to_string())
            .set("sys_created_on", stamp.as_str())
            .set("sys_updated_on", stamp)
    });
    sim.insert_many(SMALL, rows).unwrap().into_iter().collect()
}

/// A configuration for the table alone.
pub(crate) fn config(sim: &Sim, brokers: &str, topic: &str) -> Config {
    let mut config = Config::new(sim.url(), brokers);
    config.tables = vec![format!("name: {SMALL}\ntopic: {topic}")];
    config
}

/// A series of a metric with the table as its only label.
pub(crate) fn series(name: &str) -> String {
    format!("{name}{{table=\"{SMALL}\"}}")
}

/// The count of acknowledged records.
pub(crate) fn produced(topic: &str) -> String {
    format!("bridge_source_produce_total{{table=\"{SMALL}\",topic=\"{topic}\"}}")
}

/// Asserts that each row is there; gives how many records are more than one of their key.
pub(crate) fn assert_all(ids: &HashSet<String>, records: &[Record]) -> usize {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for record in records {
        *counts.entry(record.key_text()).or_default() += 1;
    }
    let missing: Vec<&String> = ids.iter().filter(|id| !counts.contains_key(*id)).collect();
    let some = &missing[..missing.len().min(3)];
    assert!(
        missing.is_empty(),
        "{} rows are missing: {some:?}",
        missing.len()
    );
    assert_eq!(counts.len(), ids.len(), "records that are no rows");
    records.len() - counts.len()
}

/// Position of the table in a checkpoint file; `None` when it is not there yet.
pub(crate) fn position(file: &Path) -> Option<(i64, String)> {
    let text = std::fs::read_to_string(file).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entry = value.get(SMALL)?;
    let id = entry["last_identifier"].as_str()?.to_owned();
    Some((entry["timestamp"].as_i64()?, id))
}
