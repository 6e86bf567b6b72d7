//! `/api/snapshot` and `/api/rewind`: rows that are delivered again beside the stream.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use servicenow_sim::{Fault, Row, Target};

use super::reread::{TOKEN, counts, with_token};
use crate::support::bridge::Bridge;
use crate::support::rig::{Rig, Rows, TOPIC, produced};
use crate::support::{LONG, wait_at_most, wait_for};

const DELIVERED: &str = "bridge_snapshot_rows_total{table=\"incident\"}";

/// Asks the bridge; its words.
#[track_caller]
fn ask(bridge: &Bridge, path: &str, body: &Value) -> String {
    let (status, answer) = bridge.post(path, TOKEN, body);
    assert_eq!(status, 200, "{answer}");
    answer["done"].as_str().unwrap().to_owned()
}

/// What the status says of the snapshot.
fn status(bridge: &Bridge) -> Value {
    bridge.status()["tables"][0]["snapshot"].clone()
}

/// Where it is kept how far a snapshot is: from its beginning to its end.
fn kept(rig: &Rig) -> PathBuf {
    let folder = rig.folder.path();
    folder.join("offsets.json.snapshots/incident.json")
}

fn wait_end(rig: &Rig) {
    let kept = kept(rig);
    wait_at_most(4 * LONG, "the end of the snapshot", || {
        (!kept.exists()).then_some(())
    });
}

/// The last value of each key in the topic.
fn last_values(rig: &Rig) -> BTreeMap<String, String> {
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    let values = records.iter().map(|it| (it.key_text(), it.value_text()));
    values.collect()
}

fn wait_newest(rig: &Rig) {
    wait_for("the newest version of each row as the last one", || {
        let rows: Rows = rig.rows("incident");
        (last_values(rig) == rows).then_some(())
    });
}

/// Changes some rows of those that the instance has.
fn change(rig: &Rig, ids: &[String], random: &mut fastrand::Rng) {
    for _ in 0..20 {
        let id = random.choice(ids).unwrap();
        let row = Row::new().set("short_description", random.u64(..).to_string());
        rig.sim.update("incident", id, row).unwrap();
    }
}

#[test]
fn every_row_comes_again_and_none_behind_a_newer_one() {
    let rig = Rig::new();
    rig.fill("incident", 5_000);
    let config = with_token(&rig).source("batch_size: 20");
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced("incident", TOPIC), 5_000.0);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let ids: Vec<String> = rig.rows("incident").into_keys().collect();
    ask(&bridge, "/api/snapshot", &json!({"name": "incident"}));
    let mut random = fastrand::Rng::new();
    wait_for("the progress in the status", || {
        change(&rig, &ids, &mut random);
        let status = status(&bridge);
        (status["remaining"].as_u64()? > 0).then_some(())
    });
    let kept = kept(&rig);
    wait_at_most(4 * LONG, "the end of the snapshot", || {
        change(&rig, &ids, &mut random);
        (!kept.exists()).then_some(())
    });
    wait_newest(&rig);
    let counts = counts(&rig);
    let again = counts.values().filter(|count| **count >= 2).count();
    assert_eq!(again, 5_000);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_kill_in_the_middle_and_a_pause_are_gone_on_from() {
    let rig = Rig::new();
    rig.fill("incident", 5_000);
    let config = with_token(&rig).source("batch_size: 20");
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    // 250 pages take five seconds at least, and the state is written each second.
    let slow = Fault::Delay(Duration::from_millis(20));
    rig.sim.faults().on(Target::table("incident"), slow);
    ask(&bridge, "/api/snapshot", &json!({"name": "incident"}));
    let kept = kept(&rig);
    let rows = || {
        let state: Value = serde_json::from_slice(&std::fs::read(&kept).ok()?).ok()?;
        state["rows"].as_u64().filter(|rows| *rows > 0)
    };
    wait_for("a state in the middle", rows);
    bridge.kill();
    let before = rows().expect("it is not over");
    let bridge = rig.start(&config);
    wait_for("the snapshot to be known again", || {
        let pause = json!({"name": "incident", "order": "pause"});
        let (status, _) = bridge.post("/api/snapshot", TOKEN, &pause);
        (status == 200).then_some(())
    });
    wait_for("the pause", || {
        (status(&bridge)["paused"] == true).then_some(())
    });
    assert!(status(&bridge)["rows"].as_u64().unwrap() >= before);
    let resume = json!({"name": "incident", "order": "resume"});
    ask(&bridge, "/api/snapshot", &resume);
    wait_end(&rig);
    assert_eq!(bridge.metric(DELIVERED), (5_000 - before) as f64);
    assert!(counts(&rig).values().all(|count| *count >= 2));
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_part_and_a_rewind_deliver_what_they_name_and_the_checkpoint_stays() {
    let rig = Rig::new();
    rig.fill("incident", 300);
    let mut bridge = rig.start(&with_token(&rig).source("batch_size: 50"));
    let rows = rig.rows("incident");
    rig.wait_rows(&mut bridge, &rows);
    let newest = rig.newest("incident");
    rig.wait_checkpoint("incident", newest);
    let position = rig.checkpoint()["incident"].clone();
    let body = json!({"name": "incident", "from": "4", "to": "c"});
    ask(&bridge, "/api/snapshot", &body);
    wait_end(&rig);
    let part: Vec<&String> = rows
        .keys()
        .filter(|id| ("4".."c").contains(&id.as_str()))
        .collect();
    assert!(!part.is_empty() && part.len() < 300);
    let counted = counts(&rig);
    for id in rows.keys() {
        assert_eq!(counted[id], if part.contains(&id) { 2 } else { 1 }, "{id}");
    }
    // Ten rows a second: those of the last ten seconds.
    ask(
        &bridge,
        "/api/rewind",
        &json!({"name": "incident", "since": newest - 9}),
    );
    wait_end(&rig);
    let rewound = bridge.metric(DELIVERED) - part.len() as f64;
    assert!((91.0..=100.0).contains(&rewound), "{rewound}");
    assert_eq!(rig.checkpoint()["incident"], position);
    for (body, words) in [
        (json!({"name": "problems"}), "is no table of the source"),
        (json!({"name": "incident", "order": "stop"}), "no snapshot"),
        (
            json!({"name": "incident", "query": "a=b^ORDERBYc"}),
            "must not hold `ORDERBY`",
        ),
    ] {
        let (status, answer) = bridge.post("/api/snapshot", TOKEN, &body);
        assert_eq!(status, 409, "{answer}");
        assert!(
            answer["error"].as_str().unwrap().contains(words),
            "{answer}"
        );
    }
    rig.finish(bridge, &rows, 400);
}
