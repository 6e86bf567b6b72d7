//! Rows over a limit of size: the row is named, and by choice a letter goes out in its place.

use std::time::Duration;

use real_kafka::{Record, require_or_skip, shared};
use servicenow_sim::{Options, Row, Sim};

use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::rig;
use crate::support::{LONG, wait_for};

const TABLE: &str = "incident";

/// Sixty small rows; the one in the middle has 20,000 letters more. Gives the identifiers in their order.
fn rows(sim: &Sim) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(3);
    let large: String = (0..20_000).map(|_| random.alphanumeric()).collect();
    let row = |number: usize| {
        let ago = i64::try_from(3_000 - number).unwrap();
        let row = Row::new().set(
            "sys_updated_on",
            servicenow_sim::format_stamp(sim.now() - ago),
        );
        match number {
            30 => row.set("description", large.as_str()),
            _ => row.set("description", "small"),
        }
    };
    (0..60)
        .map(|number| sim.insert(TABLE, row(number)).unwrap())
        .collect()
}

fn keys(records: &[Record]) -> Vec<String> {
    let mut keys = rig::keys(records);
    keys.dedup();
    keys
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

/// The limit of the topic, which only Kafka knows; then that of the bridge.
#[test]
fn a_row_that_is_too_large_is_named_and_goes_on_as_a_letter() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    for (name, limit) in [("of-topic", "10000"), ("of-bridge", "1000000")] {
        let sim = Sim::start(Options::default()).unwrap();
        let ids = rows(&sim);
        let (topic, letters) = (format!("oversize.{name}"), format!("oversize.{name}.dead"));
        let bytes = [("max.message.bytes", limit)];
        broker.create_topic(&topic, 1, &bytes).unwrap();
        broker.create_topic(&letters, 1, &[]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(sim.url(), &broker.plain_addr())
            .topic(&topic)
            .kafka("compression: none\nlinger: 5ms");
        if name == "of-bridge" {
            config = config.kafka("max_message_bytes: 10000");
        }
        config.write(folder.path());
        let mut bridge = Bridge::start(folder.path());
        bridge.wait_not_ready(&ids[30]);
        bridge.wait_not_ready("bytes");
        // All before it are there; some behind it may have gone out with the first try.
        let read = || broker.reader().read_to_end(&topic, LONG).unwrap();
        wait_for("the rows before it", || {
            let there = keys(&read());
            let before = ids[..30].iter().all(|id| there.contains(id));
            (before && !there.contains(&ids[30])).then_some(())
        });

        let config = config.source(&format!("on_oversize: dead_letter\ndlq_topic: {letters}"));
        config.write(folder.path());
        bridge.signal("HUP");
        let letter =
            "bridge_source_dead_letters_total{table=\"incident\",error_kind=\"too_large\"}";
        bridge.wait_metric(letter, 1.0);
        let small = [&ids[..30], &ids[31..]].concat();
        wait_for("the rows behind it", || {
            (keys(&read()) == sorted(&small)).then_some(())
        });
        bridge.wait_ready();
        assert_eq!(bridge.terminate(), 0);
        let letters = broker.reader().read_to_end(&letters, LONG).unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].key_text(), ids[30]);
        assert_eq!(letters[0].header("sn_error_kind").unwrap(), "too_large");
        let letter: serde_json::Value = serde_json::from_str(&letters[0].value_text()).unwrap();
        assert_eq!(letter["sys_id"], ids[30].as_str());
        assert_eq!(letter["payload_omitted"], true);
        assert!(letter["bytes"].as_u64().unwrap() > 20_000, "{letter}");
        assert_eq!(
            (&letter["table"], &letter["topic"]),
            (&TABLE.into(), &topic.into())
        );
    }
}

/// Late rows come together in one batch, which Kafka refuses as a whole: the large one has to be found among
/// them, as among those of a page.
#[test]
fn a_late_row_that_is_too_large_goes_out_as_a_letter_and_holds_up_no_other() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    let sim = Sim::start(Options::default()).unwrap();
    rig::insert(&sim, TABLE);
    let (topic, letters) = ("oversize.late", "oversize.late.dead");
    broker
        .create_topic(topic, 1, &[("max.message.bytes", "10000")])
        .unwrap();
    broker.create_topic(letters, 1, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    Config::new(sim.url(), &broker.plain_addr())
        .topic(topic)
        .kafka("compression: none\nlinger: 5ms")
        .source(&format!("on_oversize: dead_letter\ndlq_topic: {letters}"))
        .write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    // The position is behind the seconds that the late rows carry.
    let position = "bridge_checkpoint_timestamp_seconds{table=\"incident\"}";
    wait_for("the first row", || {
        (bridge.metric(position) >= 1.0).then_some(())
    });
    let stamp = sim.now() - 30;
    let mut random = fastrand::Rng::with_seed(5);
    let large: String = (0..20_000).map(|_| random.alphanumeric()).collect();
    let late = |number: usize| {
        let text = if number == 3 { large.as_str() } else { "small" };
        let row = Row::new().set("description", text);
        sim.insert_visible_later(TABLE, row, stamp, Duration::ZERO)
            .unwrap()
    };
    let ids: Vec<String> = (0..6).map(late).collect();

    let read = |topic| keys(&broker.reader().read_to_end(topic, LONG).unwrap());
    wait_for("the other late rows", || {
        let there = read(topic);
        let small = ids.iter().filter(|id| **id != ids[3]);
        small.clone().all(|id| there.contains(id)).then_some(())
    });
    wait_for("the letter", || {
        (read(letters) == [ids[3].clone()]).then_some(())
    });
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    assert!(!read(topic).contains(&ids[3]));
}
