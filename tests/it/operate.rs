//! What an operator meets: locks, damage, full disks, records that Kafka refuses, Kafka away.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use real_kafka::{Embedded, require_or_skip, shared};
use servicenow_sim::{Row, Sim};

use crate::support::bridge::{Bridge, PROGRAM};
use crate::support::small::{self, SMALL};
use crate::support::{LONG, wait_for};

fn sim() -> Sim {
    Sim::start(servicenow_sim::Options::default()).unwrap()
}

/// An instance with `rows` small rows, a broker with the topic `t`, and a folder with the
/// configuration for both.
fn world(rows: usize) -> (Sim, Embedded, tempfile::TempDir) {
    let (sim, kafka) = (sim(), Embedded::start(2).unwrap());
    kafka.create_topic("t").unwrap();
    small::fill(&sim, rows);
    let folder = tempfile::tempdir().unwrap();
    small::config(&sim, kafka.bootstrap(), "t").write(folder.path());
    (sim, kafka, folder)
}

/// Inserts a row that is stamped now.
fn insert(sim: &Sim, name: &str) -> String {
    sim.insert(SMALL, Row::new().set("name", name)).unwrap()
}

fn wait_count(kafka: &Embedded, count: u64) {
    let reader = kafka.reader();
    wait_for(&format!("{count} records"), || {
        (reader.count("t").unwrap() >= count).then_some(())
    });
}

#[test]
fn a_second_process_on_one_checkpoint_is_refused_and_the_first_goes_on() {
    let (sim, kafka, folder) = world(100);
    let mut first = Bridge::start(folder.path());
    first.wait_metric(&small::produced("t"), 100.0);
    let mut second = Bridge::spawn(folder.path());
    assert_eq!(second.wait_exit(), 75);
    let log = second.log();
    let words = format!("is used by another process (pid {})", first.pid());
    assert!(log.contains(&words), "{log}");
    assert!(log.contains("stop that one first"), "{log}");
    insert(&sim, "later");
    wait_count(&kafka, 101);
    first.wait_ready();
    assert_eq!(first.terminate(), 0);
    // The lock went with the process, also after kill -9.
    let killed = Bridge::start(folder.path());
    killed.kill();
    assert_eq!(Bridge::start(folder.path()).terminate(), 0);
}

#[test]
fn a_damaged_checkpoint_stops_the_start_and_stays_as_it_is() {
    let (_sim, kafka, folder) = world(10);
    let file = folder.path().join("offsets.json");
    for (text, words) in [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("garbage", "expected value"),
        ("\u{0}\u{0}\u{0}\u{0}", "expected value"),
        (r#"{"u_small": {"timestamp": 17061"#, "EOF"),
        (r#"["u_small"]"#, "expected a map"),
        (r#"{"u_small": 12}"#, "expected struct"),
        (r#"{"u_small": {"timestamp": "soon"}}"#, "expected i64"),
        (
            r#"{"u_small": {"last_identifier": "x"}}"#,
            "has no timestamp",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let mut bridge = Bridge::spawn(folder.path());
        assert_eq!(bridge.wait_exit(), 78, "{text:?}");
        let log = bridge.log();
        assert!(log.contains("is damaged: "), "{text:?}: {log}");
        assert!(log.contains(words), "{text:?}: {log}");
        assert!(log.contains("restore a backup"), "{text:?}: {log}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    assert_eq!(kafka.reader().count("t").unwrap(), 0);
}

/// A file that may not grow is a disk that is full: `ulimit -f` counts blocks of 512 bytes. The
/// name of a table as long as that makes the file too long; the log goes through a pipe.
#[test]
fn a_full_disk_keeps_the_checkpoint_but_not_the_rows() {
    let (sim, kafka, folder) = world(100);
    let file = folder.path().join("offsets.json");
    // Unknown tables are kept, so this is written again each time.
    let large = format!(
        r#"{{"{}": {{"timestamp": 1, "last_identifier": "x"}}}}"#,
        "u".repeat(2000)
    );
    fs::write(&file, &large).unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", LIMITED, PROGRAM, "2"]);
    let mut bridge = Bridge::spawn_command(folder.path(), limited);
    bridge.wait_port();
    bridge.wait_metric("bridge_checkpoint_writes_total{result=\"error\"}", 1.0);
    bridge.wait_not_ready("cannot write checkpoint");
    assert_eq!(bridge.get("/healthz").0, 200, "a restart would not help");
    wait_count(&kafka, 100);
    insert(&sim, "although the disk is full");
    wait_count(&kafka, 101);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        large,
        "the old file stays"
    );
    let leftovers = fs::read_dir(folder.path()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("bridge-new")
    });
    assert_eq!(leftovers.count(), 0);
    bridge.signal("TERM");
    assert_eq!(bridge.wait_exit(), 75, "the position is not on disk");
    // With room again everything goes on; what was not written down is read again.
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_ready();
    wait_count(&kafka, 202);
    assert_eq!(bridge.terminate(), 0);
    assert!(small::position(&file).is_some());
}

/// `$0` is the program, `$1` the limit in blocks, the rest the arguments. `cat` writes the log and
/// is not under the limit.
const LIMITED: &str = r#"
limit=$1; shift
mkfifo log.pipe
cat log.pipe &
trap '' XFSZ
ulimit -f "$limit"
exec "$0" "$@" >log.pipe 2>&1
"#;

#[test]
fn a_full_disk_that_gets_room_again_is_written_without_a_restart() {
    let (sim, _kafka, folder) = world(100);
    let file = folder.path().join("offsets.json");
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric("bridge_checkpoint_writes_total{result=\"ok\"}", 1.0);
    // A folder in the place of the temporary file cannot be written over either.
    let temp = folder.path().join(".offsets.json.bridge-new");
    fs::create_dir_all(temp.join("full")).unwrap();
    insert(&sim, "one more");
    bridge.wait_not_ready("cannot write checkpoint");
    fs::remove_dir_all(&temp).unwrap();
    bridge.wait_ready();
    let newest = sim.rows(SMALL).unwrap().into_iter();
    let newest = newest.max_by_key(|row| row.get("sys_updated_on").map(str::to_owned));
    let id = newest.unwrap().get("sys_id").unwrap().to_owned();
    wait_for("the position", || {
        (small::position(&file)?.1 == id).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn rows_before_a_record_that_fills_a_block_are_not_repeated_for_ever() {
    let (sim, kafka, folder) = (
        sim(),
        Embedded::start(1).unwrap(),
        tempfile::tempdir().unwrap(),
    );
    kafka.create_topic("t").unwrap();
    small::fill(&sim, 30);
    let stamp = sim.now() - 1800;
    let large = Row::new()
        .set("name", "x".repeat(1_200_000))
        .set("sys_updated_on", servicenow_sim::format_stamp(stamp));
    sim.insert(SMALL, large).unwrap();
    small::config(&sim, kafka.bootstrap(), "t").write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    // The large row is the first of its block, so the rows before it cannot be marked at once. The
    // second attempt asks for single rows and gets the position up to it.
    let watermark = small::series("bridge_checkpoint_timestamp_seconds");
    let errors = format!("bridge_source_errors_total{{table=\"{SMALL}\",error_type=\"record\"}}");
    bridge.wait_metric(&errors, 2.0);
    bridge.wait_metric(&watermark, 1.0);
    let seen = kafka.reader().count("t").unwrap();
    bridge.wait_metric(&errors, 3.0);
    let repeated = kafka.reader().count("t").unwrap() - seen;
    assert!(
        repeated < 10,
        "{repeated} rows were repeated by one more attempt"
    );
    assert!(seen < 90, "{seen} records for 30 rows");
}

#[test]
fn a_record_over_the_limit_holds_its_table_until_it_shrinks() {
    let (sim, kafka, folder) = (
        sim(),
        Embedded::start(1).unwrap(),
        tempfile::tempdir().unwrap(),
    );
    kafka.create_topic("t").unwrap();
    let first = small::fill(&sim, 300);
    small::config(&sim, kafka.bootstrap(), "t")
        .kafka("max_message_bytes: 5000")
        .write(folder.path());
    let stamp = |ago: i64| servicenow_sim::format_stamp(sim.now() - ago);
    let row = |name: &str, ago: i64| {
        Row::new()
            .set("name", name)
            .set("sys_updated_on", stamp(ago))
    };
    let large = sim
        .insert(SMALL, row(&"secret-body ".repeat(1000), 1800))
        .unwrap();
    let after = sim.insert(SMALL, row("behind", 900)).unwrap();
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::series("bridge_source_held"), 1.0);
    bridge.wait_not_ready(&large);
    let (_, reasons) = bridge.get("/readyz");
    assert!(
        reasons.contains("kafka.max_message_bytes is 5000"),
        "{reasons}"
    );
    let log = bridge.log();
    assert!(log.contains("the table is held"), "{log}");
    assert!(!log.contains("secret-body") && !reasons.contains("secret-body"));
    // Held means held: all before it are there once, and it is tried again in between.
    bridge.wait_metric(
        "bridge_source_errors_total{table=\"u_small\",error_type=\"record\"}",
        2.0,
    );
    let records = kafka.reader().read_to_end("t", LONG).unwrap();
    assert_eq!(small::assert_all(&first, &records), 0);
    assert_eq!(bridge.get("/healthz").0, 200);
    sim.update(SMALL, &large, Row::new().set("name", "short"))
        .unwrap();
    wait_count(&kafka, 302);
    bridge.wait_ready();
    assert!(bridge.metric(&small::series("bridge_source_held")) < 0.5);
    let records = kafka.reader().read_to_end("t", LONG).unwrap();
    let keys: Vec<String> = records[300..]
        .iter()
        .map(real_kafka::Record::key_text)
        .collect();
    assert_eq!(keys, [after, large]);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn kafka_that_is_down_at_the_start_is_waited_for() {
    let (_sim, kafka, folder) = world(50);
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_not_ready("kafka: no broker answers: ");
    bridge.wait_not_ready("Connection refused");
    bridge.wait_not_ready("topics: ");
    let reasons: serde_json::Value = serde_json::from_str(&bridge.get("/readyz").1).unwrap();
    let first = reasons["reasons"][0].as_str().unwrap();
    assert!(
        first.starts_with("kafka: "),
        "the guilty one first: {reasons}"
    );
    assert_eq!(
        bridge.get("/healthz"),
        (200, r#"{"status":"healthy"}"#.to_owned())
    );
    kafka.with(|cluster| cluster.broker_up(1)).unwrap().unwrap();
    bridge.wait_ready();
    assert_eq!(
        bridge.get("/readyz"),
        (200, r#"{"status":"ready"}"#.to_owned())
    );
    wait_count(&kafka, 50);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_missing_topic_is_named_and_taken_when_it_is_there() {
    if !require_or_skip() {
        return;
    }
    let (broker, topic) = (shared().unwrap(), "operate.missing");
    let (sim, folder) = (sim(), tempfile::tempdir().unwrap());
    let ids = small::fill(&sim, 20);
    small::config(&sim, &broker.plain_addr(), topic).write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_not_ready(topic);
    let (_, reasons) = bridge.get("/readyz");
    assert!(reasons.contains("create_topics"), "{reasons}");
    broker.create_topic(topic, 2, &[]).unwrap();
    bridge.wait_ready();
    bridge.wait_metric(&small::produced(topic), 20.0);
    assert_eq!(bridge.terminate(), 0);
    let records = broker.reader().read_to_end(topic, LONG).unwrap();
    assert_eq!(small::assert_all(&ids, &records), 0);
}

#[test]
fn topics_are_made_where_that_is_wanted() {
    if !require_or_skip() {
        return;
    }
    let (broker, topic) = (shared().unwrap(), "operate.made");
    let (sim, folder) = (sim(), tempfile::tempdir().unwrap());
    let ids = small::fill(&sim, 200);
    small::config(&sim, &broker.plain_addr(), topic)
        .kafka("create_topics: {enabled: true, partitions: 4}")
        .write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced(topic), 200.0);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    let records = broker.reader().read_to_end(topic, LONG).unwrap();
    assert_eq!(small::assert_all(&ids, &records), 0);
    let partitions: std::collections::BTreeSet<i32> =
        records.iter().map(|record| record.partition).collect();
    assert_eq!(partitions.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_port_in_use_ends_the_start_with_words() {
    let (_sim, _kafka, folder) = world(1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    replace(folder.path(), "127.0.0.1:0", &addr);
    let mut bridge = Bridge::spawn(folder.path());
    let code = bridge.wait_exit();
    let log = bridge.log();
    // The predecessor may be about to end: a supervisor starts it again.
    assert_eq!(code, 75, "{log}");
    assert!(
        log.contains(&addr) && log.contains("observability.addr"),
        "{log}"
    );
}

fn replace(folder: &Path, old: &str, new: &str) {
    let path = folder.join("config.yaml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old));
    fs::write(&path, text.replace(old, new)).unwrap();
}
