//! One simulated instance, one Kafka and one folder, and what must become of records.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, Instant};

use real_kafka::{Broker, Draft, Embedded, Reader, Record, Writer};
use serde_json::{Value, json};
use servicenow_sim::{Options, Row, Sim, Write};
use tempfile::TempDir;

use super::bridge::Bridge;
use super::config::Config;
use super::{LONG, wait_at_most, wait_for};

/// The table that most tests write.
pub(crate) const TABLE: &str = "incident";

/// Where the records are.
pub(crate) enum Kafka {
    /// librdkafka's mock cluster. A group in it takes three seconds to begin, and as long as the
    /// session time-out, less a second, when a member comes or goes
    /// (`rd_kafka_mock_cgrp_classic_rebalance`).
    Embedded(Embedded),
    /// The real one that tests share.
    Shared(&'static Broker),
    /// A real one of its own.
    Own(Broker),
}

/// What one test works with.
pub(crate) struct SinkRig {
    pub(crate) sim: Sim,
    pub(crate) kafka: Kafka,
    pub(crate) folder: TempDir,
    pub(crate) writer: Writer,
    name: String,
}

impl SinkRig {
    /// An ordinary instance and an embedded broker whose topics have four partitions.
    pub(crate) fn new() -> SinkRig {
        SinkRig::with(Options::default())
    }

    /// An instance with switches, and the same broker.
    pub(crate) fn with(options: Options) -> SinkRig {
        SinkRig::on(
            Kafka::Embedded(Embedded::start(4).unwrap()),
            "sink",
            options,
        )
    }

    /// With this Kafka. `name` keeps tests that share a broker apart.
    pub(crate) fn on(kafka: Kafka, name: &str, options: Options) -> SinkRig {
        let options = Options {
            log_capacity: 100_000,
            ..options
        };
        let writer = match &kafka {
            Kafka::Embedded(embedded) => embedded.writer(),
            Kafka::Shared(broker) => broker.writer(),
            Kafka::Own(broker) => broker.writer(),
        };
        let rig = SinkRig {
            sim: Sim::start(options).unwrap(),
            kafka,
            folder: tempfile::tempdir().unwrap(),
            writer: writer.unwrap(),
            name: name.to_owned(),
        };
        rig.create_topic(&rig.topic(), 4);
        rig.create_topic(&rig.dead(), 1);
        rig
    }

    /// The real broker that tests share.
    pub(crate) fn shared(name: &str, options: Options) -> SinkRig {
        SinkRig::on(Kafka::Shared(real_kafka::shared().unwrap()), name, options)
    }

    /// Makes a topic; the embedded broker chooses the number of partitions itself.
    pub(crate) fn create_topic(&self, topic: &str, partitions: u16) {
        match &self.kafka {
            Kafka::Embedded(embedded) => embedded.create_topic(topic),
            Kafka::Shared(broker) => broker.create_topic(topic, partitions, &[]),
            Kafka::Own(broker) => broker.create_topic(topic, partitions, &[]),
        }
        .unwrap();
    }

    /// The real broker.
    pub(crate) fn broker(&self) -> &Broker {
        match &self.kafka {
            Kafka::Embedded(_) => panic!("this test has an embedded broker"),
            Kafka::Shared(broker) => broker,
            Kafka::Own(broker) => broker,
        }
    }

    /// The topic that is consumed.
    pub(crate) fn topic(&self) -> String {
        format!("{}.in", self.name)
    }

    /// The dead letter topic.
    pub(crate) fn dead(&self) -> String {
        format!("{}.dead", self.name)
    }

    /// The consumer group.
    pub(crate) fn group(&self) -> String {
        format!("{}.group", self.name)
    }

    /// Reads topics.
    pub(crate) fn reader(&self) -> Reader {
        match &self.kafka {
            Kafka::Embedded(embedded) => embedded.reader(),
            Kafka::Shared(broker) => broker.reader(),
            Kafka::Own(broker) => broker.reader(),
        }
    }

    /// The topic to `incident`, with a dead letter topic.
    pub(crate) fn config(&self) -> Config {
        self.config_alone()
            .sink(&format!("dlq_topic: {}", self.dead()))
    }

    /// The same without a dead letter topic.
    pub(crate) fn config_alone(&self) -> Config {
        let brokers = match &self.kafka {
            Kafka::Embedded(embedded) => embedded.bootstrap().to_owned(),
            Kafka::Shared(broker) => broker.plain_addr(),
            Kafka::Own(broker) => broker.plain_addr(),
        };
        let mut config = Config::new(self.sim.url(), &brokers);
        config.reads = false;
        if matches!(self.kafka, Kafka::Embedded(_)) {
            config = config
                .kafka("properties: {session.timeout.ms: '4000', heartbeat.interval.ms: '500'}");
        }
        config.consume(&self.topic(), TABLE, &self.group())
    }

    /// A bridge with this configuration.
    pub(crate) fn start(&self, config: &Config) -> Bridge {
        config.write(self.folder.path());
        Bridge::start(self.folder.path())
    }

    /// A bridge with the configuration of the last one.
    pub(crate) fn restart(&self) -> Bridge {
        Bridge::start(self.folder.path())
    }

    /// Writes records into the topic; the partition and the offset of each.
    pub(crate) fn produce(&self, records: impl IntoIterator<Item = Draft>) -> Vec<(i32, i64)> {
        self.writer.write(&self.topic(), records).unwrap()
    }

    /// Inserts a row that is there before.
    pub(crate) fn row(&self, number: impl Display) -> String {
        let row = Row::new().set("correlation_id", format!("row-{number}"));
        self.sim.insert(TABLE, row).unwrap()
    }

    /// The column of a row.
    pub(crate) fn column(&self, sys_id: &str, column: &str) -> String {
        let row = self.sim.get(TABLE, sys_id).unwrap();
        row.get(column).unwrap_or_default().to_owned()
    }

    /// The writes that were carried out, in their order.
    pub(crate) fn applied(&self) -> Vec<Write> {
        let mut writes = self.sim.writes();
        writes.retain(|write| write.applied);
        writes.sort_unstable_by_key(|write| write.sequence);
        writes
    }

    /// Waits until the table has this many rows.
    pub(crate) fn wait_rows(&self, bridge: &mut Bridge, count: usize) {
        wait_for(&format!("{count} rows"), || {
            alive(bridge);
            (count <= self.sim.count(TABLE).unwrap()).then_some(())
        });
    }

    /// Waits until the group has committed everything that is in the topic.
    pub(crate) fn wait_done(&self, bridge: &mut Bridge) {
        self.wait_done_of(bridge, &self.topic());
    }

    /// The same of another topic.
    pub(crate) fn wait_done_of(&self, bridge: &mut Bridge, topic: &str) {
        let reader = self.reader();
        let mut pace = Pace::default();
        let deadline = Instant::now() + LONG;
        wait_at_most(LONG * 2, "the end of a topic", || {
            alive(bridge);
            let left = pace.due().then(|| self.left(&reader, topic))?;
            assert!(
                Instant::now() < deadline,
                "{left} records of {topic} are not committed: {}\n{}\n{}",
                bridge.get("/readyz").1,
                figures(bridge),
                bridge.log_tail()
            );
            (left == 0).then_some(())
        });
    }

    /// Records that are not committed.
    pub(crate) fn left(&self, reader: &Reader, topic: &str) -> i64 {
        let ends = reader.ends(topic).unwrap();
        let committed = reader.committed(&self.group(), topic).unwrap();
        let each = ends.iter().zip(committed);
        each.map(|((_, low, high), committed)| high - committed.unwrap_or(*low))
            .sum()
    }

    /// What is committed of each partition.
    pub(crate) fn committed(&self) -> Vec<Option<i64>> {
        let reader = self.reader();
        reader.committed(&self.group(), &self.topic()).unwrap()
    }

    /// Waits until everything is committed, stops the bridge, which must go well.
    pub(crate) fn finish(&self, mut bridge: Bridge) {
        self.wait_done(&mut bridge);
        assert_eq!(bridge.terminate(), 0);
    }

    /// The dead letters: the record and what its JSON says.
    pub(crate) fn letters(&self) -> Vec<(Record, Value)> {
        let records = self.reader().read_to_end(&self.dead(), LONG).unwrap();
        let decode = |record: Record| {
            let value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
            (record, value)
        };
        records.into_iter().map(decode).collect()
    }

    /// Each row went through all of its states from 0 on, in order.
    pub(crate) fn assert_states_in_order(&self, ids: &[String], count: usize) {
        let writes = self.applied();
        let rows = by_row(&writes);
        for id in ids {
            let states = rows[id.as_str()].iter();
            let mut states: Vec<usize> = states
                .map(|write| write.field("state").unwrap().parse().unwrap())
                .collect();
            // A write whose answer was lost may be there twice.
            states.dedup();
            assert_eq!(states, (0..count).collect::<Vec<_>>(), "row {id}");
        }
    }

    /// Each of these creates has one row, and no other row is there.
    pub(crate) fn assert_created_once(&self, count: usize) {
        let twice = self.sim.duplicates(TABLE, "correlation_id").unwrap();
        assert_eq!(twice, 0, "rows were created twice");
        assert_eq!(self.sim.count(TABLE).unwrap(), count);
    }
}

/// Asking Kafka costs more than a look at the instance: twice a second is enough.
struct Pace(Instant);

impl Default for Pace {
    fn default() -> Pace {
        Pace(Instant::now())
    }
}

impl Pace {
    fn due(&mut self) -> bool {
        let due = self.0 <= Instant::now();
        if due {
            self.0 = Instant::now() + Duration::from_millis(300);
        }
        due
    }
}

/// The bridge has not ended.
pub(crate) fn alive(bridge: &mut Bridge) {
    let ended = bridge.try_exit();
    assert!(ended.is_none(), "the bridge ended: {}", bridge.log());
}

/// What the sink counts, for a test that fails.
fn figures(bridge: &Bridge) -> String {
    let (_, text) = bridge.get("/metrics");
    let lines = text.lines().filter(|line| line.starts_with("bridge_sink_"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A record that makes a row of its own.
pub(crate) fn create(number: impl Display) -> Draft {
    let value = json!({
        "correlation_id": format!("c-{number}"),
        "short_description": format!("made from record {number}"),
    });
    Draft::new(value.to_string()).key(format!("k-{number}"))
}

/// A record that changes this row.
pub(crate) fn update(sys_id: &str, column: &str, value: impl Display) -> Draft {
    let value = json!({"sys_id": sys_id, column: value.to_string()});
    Draft::new(value.to_string()).key(sys_id)
}

/// The writes of each row, in their order.
pub(crate) fn by_row(writes: &[Write]) -> BTreeMap<&str, Vec<&Write>> {
    let mut rows: BTreeMap<&str, Vec<&Write>> = BTreeMap::new();
    for write in writes {
        rows.entry(&write.sys_id).or_default().push(write);
    }
    rows
}
