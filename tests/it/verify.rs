//! `verify`: the real binary beside a bridge, a simulated instance and a broker.

mod certified;
mod found;
mod indexed;
mod repaired;
mod resumed;
mod scheduled;

use std::collections::{BTreeMap, HashSet};
use std::fs;

use serde_json::Value;
use servicenow_sim::Row;

pub(crate) use self::found::with_version;
pub(crate) use self::repaired::{repair, with_token};
use crate::support::bridge::{Bridge, run, texts};
use crate::support::config::Config;
use crate::support::rig::{Rig, TOPIC, id_of, produced};

/// A bridge that has copied so many rows, and tells their versions.
fn copied(rig: &Rig, config: &Config, rows: usize) -> Bridge {
    rig.fill("incident", rows);
    let mut bridge = rig.start(config);
    bridge.wait_metric(&produced("incident", TOPIC), rows as f64);
    bridge
}

pub(crate) fn with_headers(rig: &Rig) -> Config {
    rig.config().source("version_headers: true")
}

/// Whether the bridge has ended its first comparison for deletes, and has closed its index.
pub(crate) fn has_compared(rig: &Rig) -> Option<()> {
    let state = rig.folder.path().join("offsets.json.deletes/incident.json");
    let text = fs::read_to_string(state).unwrap_or_default();
    text.contains("\"compared\"").then_some(())
}

/// What `verify incident` says with these flags, and its exit code.
fn verify(rig: &Rig, flags: &[&str]) -> (Value, i32) {
    verify_waiting(rig, "1s", flags)
}

/// The same, where a difference must stay the same for this time.
pub(crate) fn verify_waiting(rig: &Rig, wait: &str, flags: &[&str]) -> (Value, i32) {
    let args = [&["verify", "incident", "--json", "--wait", wait], flags].concat();
    let (out, errors, code) = texts(&run(rig.folder.path(), &args));
    let report = serde_json::from_str(&out);
    (report.unwrap_or_else(|_| panic!("{code}: {errors}")), code)
}

/// The rows of a state in a report.
pub(crate) fn count(report: &Value, state: &str) -> u64 {
    report["rows"][state].as_u64().unwrap()
}

/// The rows that a report names, with their states.
pub(crate) fn named(report: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = report["differences"].as_array().unwrap().iter();
    found
        .map(|found| (text(&found["sys_id"]), text(&found["state"])))
        .collect()
}

/// Rows that are older than all that the bridge has read, so that it never sees them.
pub(crate) fn unseen_rows(rig: &Rig, count: usize) -> Vec<String> {
    let before: Vec<Row> = rig.sim.rows("incident").unwrap();
    let known: HashSet<String> = before.iter().map(id_of).collect();
    let rows = servicenow_sim::Generator::new(fastrand::u64(..), 0, rig.sim.now() - 90_000);
    rig.sim.insert_many("incident", rows.take(count)).unwrap();
    let after = rig.sim.rows("incident").unwrap();
    let new = after.iter().map(id_of);
    new.filter(|id| !known.contains(id)).collect()
}
