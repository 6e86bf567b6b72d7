//! Positions in a topic of Kafka: `offset.storage: kafka`, with the real binary and a real Kafka.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use real_kafka::{Broker, Draft, Options, Reader, Record, Writer, require_or_skip, shared};
use servicenow_sim::{Fault, Row, Sim, Target};
use tempfile::TempDir;

use crate::support::bridge::{Bridge, run, texts};
use crate::support::config::Config;
use crate::support::rig::{insert, produced};
use crate::support::small::{self, SMALL};
use crate::support::{LONG, wait_for};

/// A bridge with one table, whose positions are in a topic.
struct Place {
    address: String,
    sim: Sim,
    folder: TempDir,
    /// The topic of the rows.
    rows: String,
    /// That of the positions.
    state: String,
    ids: HashSet<String>,
}

impl Place {
    /// With so many rows; `name` begins the topics of this test alone.
    fn new(name: &str, rows: usize) -> Place {
        Place::at(shared().unwrap(), name, rows)
    }

    fn at(broker: &Broker, name: &str, rows: usize) -> Place {
        let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
        let ids = small::fill(&sim, rows);
        let place = Place {
            address: broker.plain_addr(),
            sim,
            folder: tempfile::tempdir().unwrap(),
            rows: format!("state.{name}.rows"),
            state: format!("state.{name}.positions"),
            ids,
        };
        broker.create_topic(&place.rows, 3, &[]).unwrap();
        place.config().write(place.path());
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self) -> Config {
        let mut config = small::config(&self.sim, &self.address, &self.rows);
        let state = &self.state;
        config.offset = format!("flush_interval: 1h\nstorage: kafka\nkafka_topic: {state}");
        config
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// `checkpoint` with these arguments: output, errors, exit code.
    fn checkpoint(&self, args: &[&str]) -> (String, String, i32) {
        let all: Vec<&str> = ["checkpoint"].iter().chain(args).copied().collect();
        texts(&run(self.path(), &all))
    }

    /// The line of the table in `checkpoint show`.
    fn shown(&self) -> String {
        let (output, errors, code) = self.checkpoint(&["show"]);
        assert_eq!(code, 0, "{errors}");
        output
    }

    /// Waits for this many records, and ends the bridge well.
    fn finish(&self, mut bridge: Bridge, records: usize) {
        bridge.wait_metric(&small::produced(&self.rows), records as f64);
        bridge.wait_ready();
        assert_eq!(bridge.terminate(), 0);
    }

    /// How many records of the rows come more than once; each row comes.
    fn repeated(&self) -> usize {
        let records = Reader::new(&self.address).read_to_end(&self.rows, LONG);
        small::assert_all(&self.ids, &records.unwrap())
    }

    /// Writes a record of a table of an instance to the topic of the positions.
    fn put(&self, instance: &str, table: &str, value: &str) {
        let key = format!("{{\"instance\":\"{instance}\",\"table\":\"{table}\"}}");
        let draft = Draft::new(value).key(key).partition(0);
        let writer = Writer::new(&self.address).unwrap();
        writer.write(&self.state, [draft]).unwrap();
    }

    /// The values of the table's records in the topic, oldest first.
    fn values(&self) -> Vec<String> {
        // The end of a transaction is no record, so that another one marks the end. It is another instance's.
        self.put("http://other", SMALL, "{}");
        let records = Reader::new(&self.address).read_to_end(&self.state, LONG);
        let key = format!(
            "{{\"instance\":\"{}\",\"table\":\"{SMALL}\"}}",
            self.sim.url()
        );
        let records = records.unwrap();
        let ours = records.iter().filter(|it| it.key_text() == key);
        ours.map(Record::value_text).collect()
    }

    /// The bridge does not start with what the topic has of its only table.
    fn refused(&self, words: &str) {
        let mut bridge = Bridge::spawn(self.path());
        assert_eq!(bridge.wait_exit(), 78, "{}", bridge.log());
        assert!(bridge.log().contains(words), "{}", bridge.log());
    }
}

#[test]
fn a_bridge_on_another_host_goes_on_where_the_first_has_ended() {
    if !require_or_skip() {
        return;
    }
    let place = Place::new("moves", 500);
    place.finish(Bridge::start(place.path()), 500);
    assert!(!place.file("offsets.json").exists());
    let shown = place.shown();
    assert!(shown.starts_with(SMALL), "{shown}");
    assert!(place.values().last().unwrap().starts_with("{\"format\":1,"));
    // Nothing of the first host is there: what was delivered in the newest seconds comes once more.
    let other = tempfile::tempdir().unwrap();
    place.config().write(other.path());
    let bridge = Bridge::start(other.path());
    place.finish(bridge, 500);
    assert_eq!((place.shown(), place.repeated()), (shown, 500));
    // The first host knows it still.
    let mut bridge = Bridge::start(place.path());
    bridge.wait_ready();
    let log = bridge.log();
    assert!(log.contains("the positions were read from Kafka"), "{log}");
    assert_eq!((bridge.terminate(), place.repeated()), (0, 500));
}

#[test]
fn killed_again_and_again_it_repeats_no_more_than_with_a_file() {
    const PAGE: usize = 250;
    if !require_or_skip() {
        return;
    }
    let mut place = Place::new("killed", 10_000);
    let pages = format!("batch_size: {PAGE}");
    place.config().source(&pages).write(place.path());
    let delay = Fault::Delay(Duration::from_millis(100));
    place.sim.faults().on(Target::table(SMALL), delay);
    let mut before = String::new();
    for _ in 0..3 {
        let bridge = Bridge::start(place.path());
        before = wait_for("the position to move", || {
            // It moves also where all that was there is delivered already.
            let row = Row::new().set("name", "later");
            place.ids.insert(place.sim.insert(SMALL, row).unwrap());
            let shown = place.shown();
            (shown != before).then_some(shown)
        });
        bridge.kill();
    }
    place.sim.faults().clear();
    let mut bridge = Bridge::start(place.path());
    let log = wait_for("the positions", || {
        let log = bridge.log();
        log.contains("had not ended its work").then_some(log)
    });
    assert!(!log.contains("it is not known which rows"), "{log}");
    wait_for("all rows", || {
        let lag = bridge.metric(&small::series("bridge_offset_lag_seconds"));
        (0.5..3000.0).contains(&lag).then_some(())
    });
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    let repeated = place.repeated();
    assert!(repeated <= 3 * 2 * PAGE, "{repeated} repeated rows");
}

#[test]
fn a_file_is_taken_over_once_and_never_over_another_position() {
    if !require_or_skip() {
        return;
    }
    let place = Place::new("import", 300);
    let mut config = place.config();
    config.offset = "flush_interval: 100ms".to_owned();
    config.write(place.path());
    place.finish(Bridge::start(place.path()), 300);
    let shown = place.shown();
    place.config().write(place.path());
    let mut bridge = Bridge::start(place.path());
    bridge.wait_ready();
    let log = bridge.log();
    assert!(log.contains("checkpoint file were taken over"), "{log}");
    assert_eq!(bridge.terminate(), 0);
    let (file, aside) = (
        place.file("offsets.json"),
        place.file("offsets.json.imported"),
    );
    assert!(!file.exists() && aside.exists());
    assert_eq!((place.shown(), place.repeated()), (shown.clone(), 0));
    let set = place.checkpoint(&["set", SMALL, "--timestamp", "1706140800"]);
    assert_eq!(set.2, 0, "{}", set.1);
    let moved = place.shown();
    assert_ne!(moved, shown);
    // The file is there again: which of the two is right, only an operator knows.
    fs::copy(&aside, &file).unwrap();
    place.refused("has another one");
    assert_eq!(place.shown(), moved);
    let (output, errors, code) = place.checkpoint(&["import", "offsets.json"]);
    assert_eq!((output, code), (shown.clone(), 0), "{errors}");
    let mut bridge = Bridge::start(place.path());
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    assert!(!file.exists());
    // What was delivered before the position was moved is not known any more.
    assert_eq!((place.shown(), place.repeated()), (shown, 300));
}

#[test]
fn the_way_back_to_a_file_leads_through_an_export() {
    if !require_or_skip() {
        return;
    }
    let place = Place::new("export", 300);
    place.finish(Bridge::start(place.path()), 300);
    let shown = place.shown();
    let (_, errors, code) = place.checkpoint(&["export", "offsets.json"]);
    assert_eq!(code, 0, "{errors}");
    // A file that is there is not written over.
    assert_eq!(place.checkpoint(&["export", "offsets.json"]).2, 75);
    let mut config = place.config();
    config.offset = "flush_interval: 100ms".to_owned();
    config.write(place.path());
    assert_eq!(place.shown(), shown);
    let mut bridge = Bridge::start(place.path());
    bridge.wait_ready();
    assert_eq!((bridge.terminate(), place.repeated()), (0, 0));
    // And forth again: both have the same position.
    place.config().write(place.path());
    let mut bridge = Bridge::start(place.path());
    bridge.wait_ready();
    assert_eq!((bridge.terminate(), place.repeated()), (0, 0));
    assert!(!place.file("offsets.json").exists());
}

#[test]
fn a_topic_that_is_not_compacted_is_refused_until_it_is() {
    if !require_or_skip() {
        return;
    }
    let place = Place::new("policy", 100);
    let broker = shared().unwrap();
    for policy in ["delete", "compact,delete"] {
        let configs = [("cleanup.policy", policy)];
        if policy == "delete" {
            broker.create_topic(&place.state, 1, &configs).unwrap();
        } else {
            broker.configure_topic(&place.state, &configs).unwrap();
        }
        let bridge = Bridge::start(place.path());
        bridge.wait_not_ready(&format!("its cleanup.policy is {policy}"));
        assert!(place.sim.table_requests(SMALL).is_empty());
        bridge.kill();
    }
    let bridge = Bridge::start(place.path());
    bridge.wait_not_ready("its cleanup.policy is");
    let compacted = [("cleanup.policy", "compact")];
    broker.configure_topic(&place.state, &compacted).unwrap();
    place.finish(bridge, 100);
    assert_eq!(place.repeated(), 0);
}

#[test]
fn a_record_that_makes_no_sense_holds_its_table_alone_and_stays() {
    if !require_or_skip() {
        return;
    }
    let place = Place::new("damaged", 100);
    place.finish(Bridge::start(place.path()), 100);
    let shown = place.shown();
    let url = place.sim.url().to_owned();
    let newer = format!("{{\"format\":2,\"instance\":\"{url}\",\"table\":\"{SMALL}\",\"at\":1}}");
    place.put(&url, SMALL, &newer);
    place.refused("later version of this program (format 2");
    place.put(&url, SMALL, "{ nonsense");
    place.refused("cannot be used");
    let (output, errors, code) = place.checkpoint(&["show"]);
    assert_eq!((output.as_str(), code), ("", 0));
    assert!(errors.contains("cannot be used"), "{errors}");
    assert_eq!(place.checkpoint(&["export", "e.json"]).2, 1);
    // Another table goes on.
    let topic = format!("{}.incident", place.rows);
    shared().unwrap().create_topic(&topic, 1, &[]).unwrap();
    let row = insert(&place.sim, "incident");
    let mut config = place.config();
    config
        .tables
        .push(format!("name: incident\ntopic: {topic}"));
    config.write(place.path());
    let mut bridge = Bridge::start(place.path());
    bridge.wait_metric(&produced("incident", &topic), 1.0);
    bridge.wait_not_ready("cannot be used");
    assert_eq!(bridge.terminate(), 0);
    let records = Reader::new(&place.address)
        .read_to_end(&topic, LONG)
        .unwrap();
    assert_eq!(records[0].key_text(), row);
    assert_eq!(place.values().last().unwrap(), "{ nonsense");
    // The way out.
    let (_, errors, code) = place.checkpoint(&["reset", SMALL]);
    assert_eq!(code, 0, "{errors}");
    assert!(!place.shown().contains(SMALL), "{shown}");
    place.finish(Bridge::start(place.path()), 100);
    assert!(place.shown().contains(&shown));
}

#[test]
fn a_topic_of_another_program_is_left_alone() {
    if !require_or_skip() {
        return;
    }
    let place = Place::new("foreign", 100);
    let compacted = [("cleanup.policy", "compact")];
    shared()
        .unwrap()
        .create_topic(&place.state, 1, &compacted)
        .unwrap();
    let draft = Draft::new("{}").key("[\"connector\",{}]").partition(0);
    let writer = Writer::new(&place.address).unwrap();
    writer.write(&place.state, [draft]).unwrap();
    let bridge = Bridge::start(place.path());
    bridge.wait_not_ready("another program's");
    assert!(place.sim.table_requests(SMALL).is_empty());
    assert_eq!(bridge.terminate(), 0);
    let count = Reader::new(&place.address).count(&place.state).unwrap();
    assert_eq!(count, 1, "nothing was written");
}

#[test]
fn while_kafka_is_away_no_table_begins() {
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&Options::default()).unwrap();
    let place = Place::at(&broker, "away", 100);
    place.finish(Bridge::start(place.path()), 100);
    broker.kill();
    let bridge = Bridge::start(place.path());
    bridge.wait_not_ready("cannot use the checkpoint in topic state.away.positions now");
    place.sim.faults().clear();
    let asked = place.sim.table_requests(SMALL).len();
    assert_eq!(bridge.get("/healthz").0, 200);
    assert_eq!(place.sim.table_requests(SMALL).len(), asked);
    broker.restart().unwrap();
    let mut bridge = bridge;
    bridge.wait_ready();
    assert_eq!((bridge.terminate(), place.repeated()), (0, 0));
}

#[test]
fn a_second_process_ends_the_first_and_a_command_asks_before() {
    if !require_or_skip() {
        return;
    }
    let place = Place::new("fenced", 100);
    let mut first = Bridge::start(place.path());
    first.wait_metric(&small::produced(&place.rows), 100.0);
    first.wait_ready();
    let other = tempfile::tempdir().unwrap();
    place.config().write(other.path());
    let set = ["checkpoint", "set", SMALL, "--timestamp", "2h"];
    // The lock of the folder, and on another host what the topic says.
    let (_, errors, code) = texts(&run(place.path(), &set));
    assert_eq!(code, 75, "{errors}");
    assert!(errors.contains("used by another process"), "{errors}");
    let (_, errors, code) = texts(&run(other.path(), &set));
    assert_eq!(code, 75, "{errors}");
    let words = format!("is in use by process {} on", first.pid());
    assert!(errors.contains(&words), "{errors}");
    let mut second = Bridge::start(other.path());
    second.wait_ready();
    // It notices with its next position.
    place
        .sim
        .update(
            SMALL,
            place.ids.iter().next().unwrap(),
            Row::new().set("name", "x"),
        )
        .unwrap();
    assert_eq!(first.wait_exit(), 79, "{}", first.log());
    let words = format!("taken over the checkpoint in topic {}", place.state);
    assert!(first.log().contains(&words), "{}", first.log());
    // An operator who means it.
    let third = tempfile::tempdir().unwrap();
    place.config().write(third.path());
    let all = [&set[..], &["--take-over"]].concat();
    let (_, errors, code) = texts(&run(third.path(), &all));
    assert_eq!(code, 0, "{errors}");
    place
        .sim
        .update(
            SMALL,
            place.ids.iter().next().unwrap(),
            Row::new().set("name", "y"),
        )
        .unwrap();
    assert_eq!(second.wait_exit(), 79, "{}", second.log());
}
