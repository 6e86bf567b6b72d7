//! `verify` of large tables: no false alarm while rows are written, every planted difference, few requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use real_kafka::{Record, require_or_skip, shared};
use servicenow_sim::{Churn, Generator};

use super::{number, seeds};
use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::rig::{Rig, produced};
use crate::support::{LONG, wait_at_most};
use crate::verify::{
    count, has_compared, named, repair, unseen_rows, verify_waiting, with_token, with_version,
};

/// How long a first load of a million rows may take from a simulated instance.
const LOAD_TIME: Duration = Duration::from_secs(3_600);

/// The mock broker keeps few records, so that these trials have a topic of a real one.
fn topic() -> String {
    let topic = format!("soak.verify.{}", fastrand::u64(..));
    shared().unwrap().create_topic(&topic, 4, &[]).unwrap();
    topic
}

fn loaded(rig: &Rig, topic: &str, rows: usize) -> (Bridge, Config) {
    // Ten rows a second, of which none lies ahead.
    let first = rig.sim.now() - i64::try_from(rows / 10).unwrap() - 3_600;
    let generator = Generator::new(fastrand::u64(..), 0, first);
    rig.sim
        .insert_many("incident", generator.take(rows))
        .unwrap();
    let began = Instant::now();
    let mut config = with_token(rig).topic(topic);
    config.kafka = format!("brokers: ['{}']", shared().unwrap().plain_addr());
    config.top += "\nlog_level: info";
    // Extra rows are for the repair: the comparison for deletes is made once, at the start.
    let deletes = "deletes: compare\ndelete_guard: 1000";
    let config = config.table(deletes).source("batch_size: 10000");
    let mut bridge = rig.start(&config);
    let metric = produced("incident", topic);
    wait_at_most(LOAD_TIME, "the first load", || {
        (bridge.metric(&metric) >= rows as f64).then_some(())
    });
    bridge.wait_ready();
    println!("{rows} rows were loaded in {} s", began.elapsed().as_secs());
    let first = "the first comparison for deletes";
    wait_at_most(LOAD_TIME, first, || has_compared(rig));
    (bridge, config)
}

#[test]
#[ignore = "takes many minutes: make soak"]
fn two_hundred_thousand_rows_under_500_updates_a_second() {
    if !require_or_skip() {
        return;
    }
    let (rig, topic) = (Rig::new(), topic());
    let rows = usize::try_from(number("SOAK_ROWS", 200_000)).unwrap();
    let (bridge, config) = loaded(&rig, &topic, rows);
    let churn = Churn::start(&rig.sim, "incident", 500.0, 0).unwrap();
    for round in seeds() {
        let began = Instant::now();
        let (report, code) = verify_waiting(&rig, "10s", &["--full"]);
        println!(
            "round {round}: {} s, {} requests, {}",
            began.elapsed().as_secs(),
            report["requests"],
            report["rows"]
        );
        assert_eq!(code, 0, "{report}");
    }
    println!("{} changes meanwhile", churn.stop());

    // Rows that are still on their way are none of what is planted.
    let (report, code) = verify_waiting(&rig, "10s", &["--full"]);
    assert_eq!(code, 0, "{report}");
    let rows = count(&report, "equal");
    let planted = plant(&rig, &topic);
    let (report, errors, code) = repair(&rig, &bridge, &config);
    assert_eq!(code, 1, "{errors}");
    assert_eq!(named(&report), planted);
    let (report, code) = verify_waiting(&rig, "10s", &["--full"]);
    assert_eq!((code, count(&report, "equal")), (0, rows), "{report}");
    assert_eq!(bridge.terminate(), 0);
}

/// Twenty rows that are stale, and twenty times one that is missing and one that is extra, which cancel out in sums.
fn plant(rig: &Rig, topic: &str) -> BTreeMap<String, String> {
    let records = shared().unwrap().reader().read_to_end(topic, LONG).unwrap();
    let newest: BTreeMap<String, Record> = records
        .into_iter()
        .map(|record| (record.key_text(), record))
        .collect();
    let mut planted = BTreeMap::new();
    let writer = shared().unwrap().writer().unwrap();
    for record in newest.values().step_by(newest.len() / 20).take(20) {
        let draft = with_version(record, &record.header("sn_updated").unwrap(), "99999");
        writer.write(topic, [draft]).unwrap();
        planted.insert(record.key_text(), "stale".to_owned());
    }
    let mut by_count: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for (id, record) in &newest {
        if !planted.contains_key(id) {
            let count = record.header("sn_mod_count").unwrap();
            by_count.entry(count).or_default().push(id);
        }
    }
    for id in unseen_rows(rig, 20) {
        let row = rig.sim.get("incident", &id).unwrap();
        let twins = by_count.get_mut(row.get("sys_mod_count").unwrap());
        let twin = twins.and_then(Vec::pop).unwrap();
        rig.sim.delete("incident", twin).unwrap();
        planted.insert(twin.clone(), "extra".to_owned());
        planted.insert(id, "missing".to_owned());
    }
    planted
}

#[test]
#[ignore = "takes many minutes: make soak"]
fn a_million_equal_rows_take_few_requests_by_sums() {
    if !require_or_skip() {
        return;
    }
    let (rig, topic) = (Rig::new(), topic());
    let rows = usize::try_from(number("SOAK_MANY_ROWS", 1_000_000)).unwrap();
    let (bridge, _) = loaded(&rig, &topic, rows);
    for flags in [&[][..], &["--full"], &["--full", "--index"]] {
        let began = Instant::now();
        let (report, code) = verify_waiting(&rig, "10s", flags);
        println!(
            "{flags:?}: {} s, {} requests",
            began.elapsed().as_secs(),
            report["requests"]
        );
        assert_eq!(
            (code, count(&report, "equal")),
            (0, rows as u64),
            "{report}"
        );
        if flags.is_empty() {
            assert!(report["requests"].as_u64().unwrap() <= 10, "{report}");
        }
    }
    assert_eq!(bridge.terminate(), 0);
}
