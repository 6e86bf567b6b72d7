//! One simulated instance, one embedded broker and one folder, and what must arrive.

use std::collections::BTreeMap;
use std::fs;

use real_kafka::{Embedded, Reader, Record};
use servicenow_sim::{Generator, LoggedRequest, Options, Row, Sim, parse_stamp};
use tempfile::TempDir;

use super::bridge::Bridge;
use super::config::Config;
use super::{LONG, wait_for};

/// The topic of `incident` by default.
pub(crate) const TOPIC: &str = "servicenow.incident";

/// Tables of every instance here, each with a topic.
pub(crate) const TABLES: [&str; 8] = [
    "incident",
    "problem",
    "change_request",
    "cmdb_ci",
    "cmdb_ci_computer",
    "cmdb_ci_server",
    "sys_user_group",
    "task",
];

/// Rows by their identifier, as the instance serves them.
pub(crate) type Rows = BTreeMap<String, String>;

/// What one test works with.
pub(crate) struct Rig {
    pub(crate) sim: Sim,
    pub(crate) kafka: Embedded,
    pub(crate) folder: TempDir,
}

impl Rig {
    /// An ordinary instance.
    pub(crate) fn new() -> Rig {
        Rig::with(Options::default())
    }

    /// An instance with switches, and the topics of [`TABLES`].
    pub(crate) fn with(options: Options) -> Rig {
        let kafka = Embedded::start(4).unwrap();
        for table in TABLES {
            kafka.create_topic(&topic_of(table)).unwrap();
        }
        Rig {
            sim: Sim::start(options).unwrap(),
            kafka,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The smallest configuration for this instance and this broker.
    pub(crate) fn config(&self) -> Config {
        Config::new(self.sim.url(), self.kafka.bootstrap())
    }

    /// A bridge with this configuration.
    pub(crate) fn start(&self, config: &Config) -> Bridge {
        config.write(self.folder.path());
        Bridge::start(self.folder.path())
    }

    /// Puts rows into a table: ten per second, the first one two hours old.
    pub(crate) fn fill(&self, table: &str, count: usize) {
        let rows = Generator::new(fastrand::u64(..), 0, self.sim.now() - 7_200);
        self.sim.insert_many(table, rows.take(count)).unwrap();
    }

    /// Inserts a row that carries the current second.
    pub(crate) fn insert(&self, table: &str) -> String {
        insert(&self.sim, table)
    }

    /// All rows of a table.
    pub(crate) fn rows(&self, table: &str) -> Rows {
        rows_of(&self.sim, table)
    }

    /// The rows of a table for which `wanted` is true.
    pub(crate) fn rows_where(&self, table: &str, wanted: impl Fn(&Row) -> bool) -> Rows {
        let rows = self.sim.rows(table).unwrap();
        let wanted = rows.iter().filter(|row| wanted(row));
        wanted.map(|row| (id_of(row), text_of(row))).collect()
    }

    /// What the bridge asked of a table, oldest first.
    pub(crate) fn asked(&self, table: &str) -> Vec<LoggedRequest> {
        self.sim.table_requests(table)
    }

    /// Waits until the instance was asked for the table `times` more and answered well.
    pub(crate) fn wait_polls(&self, table: &str, times: usize) {
        let good = || {
            let asked = self.asked(table);
            asked.iter().filter(|request| request.status == 200).count()
        };
        let before = good();
        wait_for("further polls", || (before + times <= good()).then_some(()));
    }

    /// The checkpoint file.
    pub(crate) fn checkpoint(&self) -> serde_json::Value {
        let text = fs::read(self.folder.path().join("offsets.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Waits until the checkpoint has a position of `table` at this second or later: the newest seconds are
    /// open for a while.
    pub(crate) fn wait_checkpoint(&self, table: &str, second: i64) {
        wait_for("the checkpoint to move on", || {
            let position = self.checkpoint()[table]["timestamp"].as_i64();
            (position >= Some(second)).then_some(())
        });
    }

    /// The latest timestamp of a row.
    pub(crate) fn newest(&self, table: &str) -> i64 {
        newest(&self.sim, table)
    }

    /// Waits until all `rows` of `incident` are in its default topic.
    pub(crate) fn wait_rows(&self, bridge: &mut Bridge, rows: &Rows) {
        wait_rows(&self.kafka.reader(), bridge, ("incident", TOPIC), rows);
    }

    /// Waits for all `rows` of `incident`, stops the bridge and checks what its topic holds.
    pub(crate) fn finish(&self, mut bridge: Bridge, rows: &Rows, duplicates: usize) -> Vec<Record> {
        self.wait_rows(&mut bridge, rows);
        assert_eq!(bridge.terminate(), 0);
        check(&self.kafka.reader(), TOPIC, rows, duplicates)
    }
}

/// The latest timestamp of a row.
pub(crate) fn newest(sim: &Sim, table: &str) -> i64 {
    let rows = sim.rows(table).unwrap();
    let stamps = rows
        .iter()
        .map(|row| parse_stamp(row.get("sys_updated_on").unwrap()).unwrap());
    stamps.max().unwrap()
}

/// The topic of a table by default.
pub(crate) fn topic_of(table: &str) -> String {
    format!("servicenow.{table}")
}

/// The count of acknowledged records of a table in a topic.
pub(crate) fn produced(table: &str, topic: &str) -> String {
    format!("bridge_source_produce_total{{table=\"{table}\",topic=\"{topic}\"}}")
}

/// Inserts a row that carries the current second.
pub(crate) fn insert(sim: &Sim, table: &str) -> String {
    let mut rows = Generator::new(fastrand::u64(..), 0, 0);
    sim.insert(table, rows.content()).unwrap()
}

/// All rows of a table.
pub(crate) fn rows_of(sim: &Sim, table: &str) -> Rows {
    let rows = sim.rows(table).unwrap();
    rows.iter().map(|row| (id_of(row), text_of(row))).collect()
}

/// Waits until all `rows` are in the topic.
pub(crate) fn wait_rows(
    reader: &Reader,
    bridge: &mut Bridge,
    (table, topic): (&str, &str),
    rows: &Rows,
) {
    bridge.wait_metric(&produced(table, topic), rows.len() as f64);
    wait_for("every row by its key", || {
        let records = reader.read_to_end(topic, LONG).unwrap();
        let keys: std::collections::HashSet<String> =
            records.iter().map(Record::key_text).collect();
        rows.keys().all(|id| keys.contains(id)).then_some(())
    });
}

/// Every row is there with its value, nothing else is, and at most `duplicates` come twice.
pub(crate) fn check(reader: &Reader, topic: &str, rows: &Rows, duplicates: usize) -> Vec<Record> {
    let records = reader.read_to_end(topic, LONG).unwrap();
    let mut missing: BTreeMap<&String, &String> = rows.iter().collect();
    for record in &records {
        let key = record.key_text();
        let row = rows.get(&key);
        let row = row.unwrap_or_else(|| panic!("{topic}: row {key} was not to arrive"));
        assert_eq!(&record.value_text(), row, "{topic}: value of {key}");
        missing.remove(&key);
    }
    let missing = missing.len();
    assert_eq!(missing, 0, "{topic}: rows are missing of {}", rows.len());
    let twice = records.len() - rows.len();
    assert!(twice <= duplicates, "{topic}: {twice} rows came again");
    records
}

/// The keys of records, sorted.
pub(crate) fn keys(records: &[Record]) -> Vec<String> {
    let mut keys: Vec<String> = records.iter().map(Record::key_text).collect();
    keys.sort_unstable();
    keys
}

/// The identifier of a row.
pub(crate) fn id_of(row: &Row) -> String {
    row.get("sys_id").unwrap().to_owned()
}

/// A row as the instance writes it.
pub(crate) fn text_of(row: &Row) -> String {
    let names: Vec<&str> = row.iter().map(|(name, _)| name).collect();
    text_with(row, &names)
}

/// Some columns of a row as the instance writes them.
pub(crate) fn text_with(row: &Row, columns: &[&str]) -> String {
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let fields = columns
        .iter()
        .map(|name| format!("{}:{}", json(name), json(row.get(name).unwrap())));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}
