//! `verify` of large tables: no false alarm while rows are written, every planted difference, few requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use real_kafka::{Draft, Record, require_or_skip, shared};
use servicenow_sim::{Churn, Generator};

use super::{number, seeds};
use crate::support::bridge::Bridge;
use crate::support::rig::{Rig, produced};
use crate::support::{LONG, wait_at_most};
use crate::verify::{count, named, unseen_rows, verify_waiting, with_headers};

/// How long a first load of a million rows may take from a simulated instance.
const LOAD_TIME: Duration = Duration::from_secs(3_600);

/// The mock broker keeps few records, so that these trials have a topic of a real one.
fn topic() -> String {
    let topic = format!("soak.verify.{}", fastrand::u64(..));
    shared().unwrap().create_topic(&topic, 4, &[]).unwrap();
    topic
}

fn loaded(rig: &Rig, topic: &str, rows: usize) -> Bridge {
    // Ten rows a second, of which none lies ahead.
    let first = rig.sim.now() - i64::try_from(rows / 10).unwrap() - 3_600;
    let generator = Generator::new(fastrand::u64(..), 0, first);
    rig.sim
        .insert_many("incident", generator.take(rows))
        .unwrap();
    let began = Instant::now();
    let mut config = with_headers(rig).topic(topic);
    config.kafka = format!("brokers: ['{}']", shared().unwrap().plain_addr());
    config.top = "log_level: info".to_owned();
    let mut bridge = rig.start(&config.source("batch_size: 10000"));
    let metric = produced("incident", topic);
    wait_at_most(LOAD_TIME, "the first load", || {
        (bridge.metric(&metric) >= rows as f64).then_some(())
    });
    bridge.wait_ready();
    println!("{rows} rows were loaded in {} s", began.elapsed().as_secs());
    bridge
}

#[test]
#[ignore = "takes many minutes: make soak"]
fn two_hundred_thousand_rows_under_500_updates_a_second() {
    if !require_or_skip() {
        return;
    }
    let (rig, topic) = (Rig::new(), topic());
    let rows = usize::try_from(number("SOAK_ROWS", 200_000)).unwrap();
    let bridge = loaded(&rig, &topic, rows);
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

    let records = shared()
        .unwrap()
        .reader()
        .read_to_end(&topic, LONG)
        .unwrap();
    let newest: BTreeMap<String, Record> = records
        .into_iter()
        .map(|record| (record.key_text(), record))
        .collect();
    let mut planted = BTreeMap::new();
    let writer = shared().unwrap().writer().unwrap();
    for (at, (id, record)) in newest
        .iter()
        .step_by(newest.len() / 40)
        .take(40)
        .enumerate()
    {
        let state = if at % 2 == 0 {
            let draft = Draft::new(record.value.clone().unwrap()).key(id.clone());
            let draft = draft
                .header("sn_table", "incident")
                .header("sn_updated", record.header("sn_updated").unwrap())
                .header("sn_mod_count", "99999");
            writer
                .write(&topic, [draft.partition(record.partition)])
                .unwrap();
            "stale"
        } else {
            rig.sim.delete("incident", id).unwrap();
            "extra"
        };
        planted.insert(id.clone(), state.to_owned());
    }
    let missing = unseen_rows(&rig, 20).into_iter();
    planted.extend(missing.map(|id| (id, "missing".to_owned())));
    let (report, code) = verify_waiting(&rig, "10s", &["--full"]);
    assert_eq!(code, 1, "{report}");
    assert_eq!(named(&report), planted);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
#[ignore = "takes many minutes: make soak"]
fn a_million_equal_rows_take_few_requests_by_sums() {
    if !require_or_skip() {
        return;
    }
    let (rig, topic) = (Rig::new(), topic());
    let rows = usize::try_from(number("SOAK_MANY_ROWS", 1_000_000)).unwrap();
    let bridge = loaded(&rig, &topic, rows);
    for flags in [&[][..], &["--full"]] {
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
