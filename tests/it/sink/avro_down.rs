//! A schema registry that is away, hangs or refuses us: what needs it waits, nothing is lost.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use real_kafka::{Draft, require_or_skip};
use serde_json::json;
use servicenow_kafka_bridge::avro::RecordSchema;
use servicenow_sim::Options;

use super::avro::{key, strings, with_registry, written};
use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::registry::{FakeRegistry, Kind};
use crate::support::sink::{SinkRig, TABLE, alive, by_row, create};
use crate::support::wait_for;

/// A registry with one schema.
struct Registered {
    fake: FakeRegistry,
    schema: RecordSchema,
    id: u32,
}

impl Registered {
    fn new() -> Registered {
        let fake = FakeRegistry::start();
        let schema = strings(&["sys_id", "correlation_id", "state"]);
        let id = fake.add("in-value", schema.json(), Kind::Avro);
        Registered { fake, schema, id }
    }

    /// A change of a row.
    fn update(&self, sys_id: &str, state: usize) -> Draft {
        let row = json!({"sys_id": sys_id, "state": state.to_string()});
        Draft::new(written(&self.schema, self.id, &row)).key(sys_id)
    }

    /// A new row behind a schema that is not registered yet.
    fn later(&self, id: u32) -> Draft {
        let row = json!({"correlation_id": "later", "state": "7"});
        Draft::new(written(&self.schema, id, &row)).key("later")
    }

    fn add_later(&self, id: u32) {
        // The same columns, and another text.
        let text = self.schema.json().replacen('{', r#"{"since":"today","#, 1);
        assert_eq!(self.fake.add("later-value", &text, Kind::Avro), id);
    }

    /// Waits until the registry has said that there is no such schema.
    fn wait_missed(&self, id: u32) {
        let path = format!("/schemas/ids/{id}");
        wait_for("a question in vain", || {
            let asked = self.fake.asked();
            let mut missed = asked.iter().filter(|it| it.status == Some(404));
            missed.any(|it| it.path == path).then_some(())
        });
    }

    /// A new row.
    fn create(&self, number: usize) -> Draft {
        let row = json!({"correlation_id": format!("a-{number}")});
        Draft::new(written(&self.schema, self.id, &row)).key(format!("a-{number}"))
    }
}

fn held(rig: &SinkRig) -> String {
    format!("bridge_sink_held{{topic=\"{}\"}}", rig.topic())
}

/// Waits until readiness says that the topic waits for the schema, and why.
fn wait_held(rig: &SinkRig, bridge: &Bridge, id: u32, why: &str) {
    let words = format!("waits for schema {id}");
    bridge.wait_not_ready(&words);
    wait_for(why, || bridge.get("/readyz").1.contains(why).then_some(()));
    let (_, body) = bridge.get("/readyz");
    assert!(body.contains(&format!("sink {}", rig.topic())), "{body}");
    assert!(bridge.metric(&held(rig)) >= 1.0);
    assert_eq!(bridge.get("/healthz").0, 200, "a restart would not help");
}

#[test]
fn a_registry_that_is_down_holds_what_needs_it_and_nothing_else() {
    let (rig, avro) = (SinkRig::new(), Registered::new());
    let ids: Vec<String> = (0..8).map(|number| rig.row(number)).collect();
    avro.fake.down(true);
    rig.create_topic("plain.in", 4);
    rig.writer.write("plain.in", (0..50).map(create)).unwrap();
    // Of the topic itself, the records of partition 0 need no schema.
    rig.produce((50..60).map(|number| create(number).partition(0)));
    let partition = |row: usize| 1 + i32::try_from(row % 3).unwrap();
    let changes = (0..20).flat_map(|state| ids.iter().enumerate().map(move |row| (state, row)));
    rig.produce(changes.map(|(state, (row, id))| avro.update(id, state).partition(partition(row))));
    let mut config = with_registry(&rig, &avro.fake.url());
    config
        .sink_topics
        .push(format!("topic: plain.in\ntable: {TABLE}"));
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, ids.len() + 60);
    wait_held(&rig, &bridge, avro.id, "schema registry: GET");
    wait_for("each partition", || {
        (bridge.metric(&held(&rig)) == 3.0).then_some(())
    });
    rig.wait_done_of(&mut bridge, "plain.in");
    wait_for("the partition without schemas", || {
        alive(&mut bridge);
        (rig.committed()[0] == Some(10)).then_some(())
    });
    assert_eq!(rig.committed()[1..], [Some(0); 3], "nothing of it is done");
    assert_eq!(rig.letters().len(), 0);
    // What comes meanwhile to the partition that goes on is written.
    rig.produce([create(60).partition(0)]);
    rig.wait_rows(&mut bridge, ids.len() + 61);

    avro.fake.down(false);
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.metric(&held(&rig)), 0.0);
    assert_eq!(bridge.terminate(), 0);
    let writes = rig.applied();
    let rows = by_row(&writes);
    for id in &ids {
        let states = rows[id.as_str()].iter();
        let states: Vec<String> = states
            .map(|write| write.field("state").unwrap().to_owned())
            .collect();
        let expected: Vec<String> = (0..20).map(|state| state.to_string()).collect();
        assert_eq!(states, expected, "row {id}: once and in order");
    }
    rig.assert_created_once(ids.len() + 61);
    assert_eq!(rig.letters().len(), 0);
    let asked = avro.fake.count("GET", "/schemas/ids/");
    assert_eq!(asked, 1, "a schema that is known is not asked for again");
}

/// The nodes of a registry take over schemas with some delay: a record may be here before its own. Its
/// time says nothing, as a program may hand on that of a record it was made of (KIP-251).
#[test]
fn a_registry_that_is_behind_fills_no_dead_letter_and_makes_no_second_row() {
    let (rig, avro) = (SinkRig::new(), Registered::new());
    let string = avro.id + 1;
    let value = |state: &str| written(&avro.schema, avro.id, &json!({"state": state}));
    let of = |name: &str, state: &str| Draft::new(value(state)).key(key(string, name));
    rig.produce(
        [
            of("k", "1"),
            of("gone", "1"),
            Draft::tombstone().key(key(string, "gone")),
            of("k", "2"),
            avro.later(string + 1),
        ]
        .map(|draft| draft.partition(0).time(1_700_000_000_000)),
    );
    let config = with_registry(&rig, &avro.fake.url());
    let config = config.sink_topic("create_id: key\noperation: upsert\ndeletes: true");
    let mut bridge = rig.start(&config);
    avro.wait_missed(string);
    assert_eq!(avro.fake.add("in-key", r#""string""#, Kind::Avro), string);
    avro.wait_missed(string + 1);
    avro.add_later(string + 1);
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    assert_eq!(rig.letters().len(), 0);
    let rows = rig.sim.rows(TABLE).unwrap();
    let mut states: Vec<_> = rows.iter().map(|row| row.get("state")).collect();
    states.sort_unstable();
    assert_eq!(states, [Some("2"), Some("7")]);
}

/// Without dead letters the record waits as long as it takes, and goes on without a restart when the
/// schema is registered.
#[test]
fn a_partition_that_is_held_goes_on_when_its_schema_is_there() {
    let (rig, avro) = (SinkRig::new(), Registered::new());
    let late = avro.id + 1;
    rig.produce([avro.later(late).partition(0)]);
    let mut config = rig.config_alone();
    let section = format!("\nschema_registry: {{url: '{}'}}", avro.fake.url());
    config.top.push_str(&section);
    let mut bridge = rig.start(&config);
    wait_held(&rig, &bridge, late, "asked again");
    avro.add_later(late);
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(1);
}

/// A node that is away may know what the other one does not. Who needs no schema does not wait for it,
/// though its keys, numbers of eight bytes, look as if they stood behind one.
#[test]
fn one_node_that_is_away_holds_only_what_the_other_lacks() {
    let (rig, avro) = (SinkRig::new(), Registered::new());
    let millis = 1_700_000_000_000_i64;
    rig.produce((0..50).map(|number| {
        let key = (millis + (number << 24)).to_be_bytes();
        create(usize::try_from(number).unwrap())
            .key(key)
            .partition(0)
    }));
    rig.produce([avro.later(avro.id + 1).partition(1)]);
    rig.produce((50..60).map(|number| avro.create(number).partition(2)));
    let nobody = "http://127.0.0.1:1";
    let config = with_registry(&rig, &format!("{},{nobody}", avro.fake.url()));
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, 60);
    wait_held(&rig, &bridge, avro.id + 1, nobody);
    avro.add_later(avro.id + 1);
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(61);
    assert_eq!(rig.letters().len(), 0);
}

/// What is wrong with our rights, or with the address, is put right while the records wait.
#[test]
fn a_registry_that_refuses_us_holds_as_well() {
    let (rig, avro) = (SinkRig::new(), Registered::new());
    rig.produce([avro.create(1)]);
    let refuse = |status, code| {
        let body = json!({"error_code": code, "message": "Not you"}).to_string();
        avro.fake.refuse_with(Some((status, &body)));
    };
    refuse(401, 40_101);
    let config = with_registry(&rig, &avro.fake.url());
    let mut bridge = rig.start(&config);
    wait_held(&rig, &bridge, avro.id, "401 unauthorized");
    refuse(403, 40_301);
    wait_held(&rig, &bridge, avro.id, "403 forbidden");
    // As of something that is no registry.
    refuse(404, 404);
    wait_held(
        &rig,
        &bridge,
        avro.id,
        "is `schema_registry.url` a registry",
    );
    avro.fake.refuse_with(None);
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(1);
    assert_eq!(rig.letters().len(), 0);
}

/// Who corrects the address need not start anything again.
#[test]
fn an_edit_moves_what_waits_to_another_registry() {
    let (rig, avro) = (SinkRig::new(), Registered::new());
    let other = FakeRegistry::start();
    other.down(true);
    rig.produce((0..20).map(|number| avro.create(number)));
    let mut bridge = rig.start(&with_registry(&rig, &other.url()));
    wait_held(&rig, &bridge, avro.id, "schema registry: GET");
    let config = with_registry(&rig, &avro.fake.url());
    config.write(rig.folder.path());
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.metric(&held(&rig)), 0.0);
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(20);
    assert_eq!(rig.letters().len(), 0);
}

fn stop(rig: &SinkRig, bridge: Bridge) {
    let began = Instant::now();
    assert_eq!(bridge.terminate(), 0, "nothing had begun");
    let time = began.elapsed();
    assert!(time < Duration::from_secs(20), "{time:?} of 25 s");
    let committed = rig.committed();
    assert!(
        committed.iter().all(|it| it.unwrap_or(0) == 0),
        "{committed:?}"
    );
}

#[test]
fn a_registry_that_is_away_does_not_hold_up_a_stop() {
    let (rig, avro) = (SinkRig::new(), Registered::new());
    avro.fake.down(true);
    rig.produce((0..40).map(|number| avro.create(number)));
    let bridge = rig.start(&with_registry(&rig, &avro.fake.url()));
    wait_held(&rig, &bridge, avro.id, "schema registry: GET");
    stop(&rig, bridge);
    // One that takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let mut config = rig.config();
    let section = format!("\nschema_registry: {{url: '{url}', timeout: 60s}}");
    config.top.push_str(&section);
    let bridge = rig.start(&config);
    wait_held(&rig, &bridge, avro.id, "has not answered yet");
    stop(&rig, bridge);
    // And everything is still there.
    avro.fake.down(false);
    let bridge = rig.start(&with_registry(&rig, &avro.fake.url()));
    rig.finish(bridge);
    rig.assert_created_once(40);
    assert_eq!(rig.letters().len(), 0);
}

/// Partitions that wait go to another member and come back.
#[test]
fn partitions_that_wait_change_hands() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("avro-hands", Options::default());
    let avro = Registered::new();
    avro.fake.down(true);
    let spread = |number: usize| {
        let partition = i32::try_from(number % 4).unwrap();
        avro.create(number).partition(partition)
    };
    rig.produce((0..200).map(spread));
    let config: Config = with_registry(&rig, &avro.fake.url());
    let held = held(&rig);
    let mut first = rig.start(&config);
    wait_for("all partitions", || {
        alive(&mut first);
        (first.metric(&held) == 4.0).then_some(())
    });
    let folder = tempfile::tempdir().unwrap();
    config.write(folder.path());
    let second = Bridge::start(folder.path());
    wait_for("each two partitions", || {
        alive(&mut first);
        (first.metric(&held) == 2.0 && second.metric(&held) == 2.0).then_some(())
    });
    assert_eq!(second.terminate(), 0);
    wait_for("all of them again", || {
        alive(&mut first);
        (first.metric(&held) == 4.0).then_some(())
    });
    let committed = rig.committed();
    assert!(
        committed.iter().all(|it| it.unwrap_or(0) == 0),
        "{committed:?}"
    );
    avro.fake.down(false);
    rig.wait_done(&mut first);
    first.wait_ready();
    assert_eq!(first.terminate(), 0);
    rig.assert_created_once(200);
    assert_eq!(rig.sim.writes().len(), 200, "each was sent once");
    assert_eq!(rig.letters().len(), 0);
}
