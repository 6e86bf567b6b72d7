//! Dead letters that Kafka does not take, and what becomes of letters afterwards.

use std::time::Duration;

use real_kafka::{Draft, require_or_skip};
use serde_json::json;
use servicenow_sim::{Operation, Options, Refusal};

use crate::support::bridge::{Bridge, run, texts};
use crate::support::sink::{SinkRig, TABLE, create};
use crate::support::wait_at_most;

const PATIENT: Duration = Duration::from_secs(150);

fn wait_words(bridge: &Bridge, words: &str) {
    wait_at_most(PATIENT, words, || {
        let (status, body) = bridge.get("/readyz");
        (status == 503 && body.contains(words)).then_some(())
    });
}

#[test]
fn nothing_is_committed_past_a_record_without_its_letter() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("dead-away", Options::default());
    let mut bridge = rig.start(&rig.config());
    bridge.wait_ready();
    rig.broker().delete_topic(&rig.dead()).unwrap();
    let bad = Draft::new("no json").key("k").partition(0);
    let others = (0..5).map(|number| create(number).partition(0));
    rig.produce(std::iter::once(bad).chain(others));
    rig.wait_rows(&mut bridge, 5);
    wait_words(&bridge, "dead letters cannot be written");
    assert_eq!(rig.committed()[0].unwrap_or(0), 0);
    rig.create_topic(&rig.dead(), 1);
    wait_at_most(PATIENT, "readiness", || {
        (bridge.get("/readyz").0 == 200).then_some(())
    });
    rig.finish(bridge);
    rig.assert_created_once(5);
    let letters = rig.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].1["original_payload"], "no json");
}

/// A record that is too large for the dead letter topic.
fn large(number: u32) -> Draft {
    let mut random = fastrand::Rng::with_seed(u64::from(number));
    let text: String = (0..60_000).map(|_| random.alphanumeric()).collect();
    let value = json!({
        "correlation_id": format!("large-{number}"),
        "short_description": "refused",
        "description": text,
    });
    Draft::new(value.to_string()).key(format!("k-{number}"))
}

#[test]
fn a_letter_over_the_limit_says_where_its_record_is() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("dead-large", Options::default());
    rig.broker()
        .configure_topic(&rig.dead(), &[("max.message.bytes", "20000")])
        .unwrap();
    let refused =
        |_: Operation, row: servicenow_sim::RowView<'_>| row.get("short_description") == "refused";
    let rule = Refusal::business_rule("Not now");
    rig.sim.refuse_writes(TABLE, rule, refused).unwrap();
    let places = rig.produce((0..2).map(large));
    let mut bridge = rig.start(&rig.config());
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    let letters = rig.letters();
    assert_eq!(letters.len(), 2);
    let mut told = Vec::new();
    for (_, letter) in &letters {
        assert_eq!(letter["payload_omitted"], true, "{letter}");
        assert_eq!(
            letter["original_topic"]
                .as_str()
                .or(letter["topic"].as_str()),
            Some(rig.topic().as_str()),
            "{letter}"
        );
        let number = |name: &str| letter[name].as_i64().unwrap();
        told.push((
            i32::try_from(number("partition")).unwrap(),
            number("offset"),
        ));
    }
    let sorted = |mut places: Vec<(i32, i64)>| {
        places.sort_unstable();
        places
    };
    assert_eq!(sorted(told), sorted(places));

    rig.sim.accept_writes(TABLE).unwrap();
    let args = ["dead-letters", "replay", "--limit", "1"];
    let (output, errors, code) = texts(&run(rig.folder.path(), &args));
    assert_eq!(code, 0, "{output}{errors}");
    rig.wait_rows(&mut bridge, 1);
    let args = ["dead-letters", "replay", "--direct"];
    let (output, errors, code) = texts(&run(rig.folder.path(), &args));
    assert_eq!(code, 0, "{output}{errors}");
    rig.finish(bridge);
    rig.assert_created_once(2);
    for row in rig.sim.rows(TABLE).unwrap() {
        assert_eq!(row.get("description").unwrap().len(), 60_000);
    }
    assert_eq!(rig.letters().len(), 2, "no further letter");
}
