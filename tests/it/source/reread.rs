//! `/api/reread`: rows that are delivered again because they are named.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use servicenow_sim::Generator;

use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A configuration whose admin API takes commands.
pub(super) fn with_token(rig: &Rig) -> Config {
    let token = rig.folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let mut config = rig.config();
    config.top = format!("  admin_token_file: {}", token.display());
    config
}

fn reread(bridge: &Bridge, table: &str, ids: &[&str]) -> (u16, Value) {
    let body = json!({"name": table, "ids": ids});
    bridge.post("/api/reread", TOKEN, &body)
}

/// How often each row of `incident` is in its topic.
pub(super) fn counts(rig: &Rig) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap() {
        *counts.entry(record.key_text()).or_default() += 1;
    }
    counts
}

/// With and without a span of unsettled seconds.
fn deliver_what_is_named(settle: &str) {
    let rig = Rig::new();
    rig.fill("incident", 30);
    let known = rig.insert("incident");
    let config = with_token(&rig).source(&format!("settle: {settle}"));
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    // Older than all that the bridge has read, so that it never sees it.
    let mut old = Generator::new(fastrand::u64(..), 0, rig.sim.now() - 90_000);
    rig.sim
        .insert_many("incident", old.by_ref().take(1))
        .unwrap();
    let delivered = counts(&rig);
    let rows = rig.rows("incident");
    let lacking = rows.keys().find(|id| !delivered.contains_key(*id)).unwrap();
    let gone = "f".repeat(32);
    let (status, answer) = reread(&bridge, "incident", &[lacking, &known, &gone]);
    let words = answer["done"]
        .as_str()
        .unwrap_or_else(|| panic!("{status} {answer}"));
    assert!(words.starts_with("2 rows are delivered again"), "{words}");
    assert!(words.ends_with(&format!(": {gone}")), "{words}");
    let after = counts(&rig);
    assert_eq!(after.get(lacking), Some(&1));
    assert_eq!(after[&known], delivered[&known] + 1);
    assert_eq!(after.len(), delivered.len() + 1, "no other row");
    rig.finish(bridge, &rows, 1);
}

#[test]
fn named_rows_are_delivered_whether_they_are_known_or_not() {
    deliver_what_is_named("10m");
}

#[test]
fn named_rows_are_delivered_where_nothing_settles() {
    deliver_what_is_named("0s");
}

#[test]
fn commands_that_make_no_sense_are_refused() {
    let rig = Rig::new();
    let bridge = rig.start(&with_token(&rig));
    wait_for("the table to run", || {
        let (status, _) = reread(&bridge, "incident", &["0a"]);
        (status == 200).then_some(())
    });
    for (table, ids, words) in [
        (
            "problems",
            &["0a"][..],
            "`problems` is no table of the source",
        ),
        ("incident", &[][..], "1 to 10000 rows"),
        ("incident", &["a^NQactive=true"][..], "cannot be asked for"),
    ] {
        let (status, answer) = reread(&bridge, table, ids);
        assert_eq!(status, 409, "{answer}");
        assert!(
            answer["error"].as_str().unwrap().contains(words),
            "{answer}"
        );
    }
    assert_eq!(bridge.terminate(), 0);
}
