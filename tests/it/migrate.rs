//! From the Go program: its configuration and its `offsets.json` go on here where they were.

use std::fs;
use std::process::Command;

use real_kafka::Embedded;
use serde_json::Value;
use servicenow_sim::{Generator, Row, Sim, format_stamp, parse_stamp};

use crate::support::bridge::{Bridge, PROGRAM};
use crate::support::rig::produced;
use crate::support::{LONG, wait_for};

mod convert;
mod offsets;
mod sinks;

/// Every key that the Go program knows, as its users write them.
const CONFIG: &str = r#"
servicenow:
  base_url: "${SN_BASE_URL}"
  table_api_path: "/api/now/table"
  auth:
    type: "oauth" # or basic
    oauth:
      client_id: "${SN_CLIENT_ID}"
      client_secret: "${SN_CLIENT_SECRET}"
      username: "${SN_USERNAME}"
      password: "${SN_PASSWORD}"
      token_path: "/oauth_token.do"
    basic:
      username: ""
      password: ""
  timeout_seconds: 30
  read_timeout_seconds: 25
  conn_timeout_seconds: 10
  max_retries: -1
  retry_backoff_seconds: 30
  rate_limit_rps: ${SN_RPS}

kafka:
  brokers:
    - "${KAFKA_BROKERS}"
  tls:
    enabled: no
    ca_cert: ""
    cert_file: ""
    key_file: ""
  sasl:
    mechanism: ""
    username: ""
    password: ""
  schema_registry_url: ""

source:
  enabled: yes
  topic_prefix: "servicenow"
  fast_poll_interval: 500ms
  slow_poll_interval: 30s
  batch_size: 20
  initial_query_hours_ago: -1
  timestamp_delay_seconds: 0
  tables:
    - &defaults
      name: incident
      timestamp_field: sys_updated_on
      identifier_field: sys_id
      fields: []
      partitioner: default
      partition_key_fields: []
    - <<: *defaults
      name: problem
      topic: "problems.all"
      fields: [number, short_description]

sink:
  enabled: false
  concurrency: 5
  dlq_topic: "servicenow-dlq"
  group_id: "servicenow-kafka-bridge-sink"
  commit_on_partial_failure: true
  topics:
    - topic: "servicenow.incident.updates"
      table: incident

offset:
  storage: "file"
  file_path: "offsets.json"
  kafka_topic: "_bridge_offsets"
  flush_interval: 5s

observability:
  addr: "${BRIDGE_ADDR}"

log_level: info
"#;

fn start(folder: &tempfile::TempDir, sim: &Sim, kafka: &Embedded) -> Bridge {
    fs::write(folder.path().join("config.yaml"), CONFIG).unwrap();
    let mut command = Command::new(PROGRAM);
    command.envs([
        ("SN_BASE_URL", sim.url()),
        ("SN_CLIENT_ID", "client-id"),
        ("SN_CLIENT_SECRET", "client-secret"),
        ("SN_USERNAME", "bridge"),
        ("SN_PASSWORD", "secret"),
        ("SN_RPS", "50"),
        ("KAFKA_BROKERS", kafka.bootstrap()),
        ("BRIDGE_ADDR", "127.0.0.1:0"),
    ]);
    let mut bridge = Bridge::spawn_command(folder.path(), command);
    bridge.wait_port();
    bridge
}

fn column(row: &Row, name: &str) -> String {
    row.get(name).unwrap_or_default().to_owned()
}

#[test]
fn a_go_configuration_and_its_offsets_go_on_where_they_were() {
    let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
    let kafka = Embedded::start(3).unwrap();
    for topic in ["servicenow.incident", "problems.all"] {
        kafka.create_topic(topic).unwrap();
    }
    let first = sim.now() - 7200;
    sim.insert_many("incident", Generator::new(1, 500, first).take(200))
        .unwrap();
    sim.insert_many("problem", Generator::new(2, 500, first).take(30))
        .unwrap();
    let mut rows = sim.rows("incident").unwrap();
    rows.sort_by_key(|row| (column(row, "sys_updated_on"), column(row, "sys_id")));
    // Ten rows share a second: this is the fourth of one.
    let last = &rows[93];
    let timestamp = parse_stamp(&column(last, "sys_updated_on")).unwrap();
    let before = format!(
        "{{\n  \"cmdb_ci_gone\": {{\n    \"timestamp\": 1706140800,\n    \
         \"last_identifier\": \"0123456789abcdef0123456789abcdef\"\n  }},\n  \
         \"incident\": {{\n    \"timestamp\": {timestamp},\n    \
         \"last_identifier\": \"{}\"\n  }}\n}}",
        column(last, "sys_id")
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets.json");
    fs::write(&file, &before).unwrap();

    let mut bridge = start(&folder, &sim, &kafka);
    // What is new, and once more the newest ten minutes before the position, of which nothing is known.
    bridge.wait_metric(&produced("incident", "servicenow.incident"), 200.0);
    bridge.wait_metric(&produced("problem", "problems.all"), 30.0);
    bridge.wait_ready();
    let position = jiff::Timestamp::from_second(timestamp - 600).unwrap();
    assert!(
        bridge.log().contains(&position.to_string()),
        "where it goes on from"
    );
    assert!(bridge.log().contains("is read and sent once more"));
    assert!(bridge.log().contains("the beginning"));
    let newest = rows.last().unwrap();
    let stamp = parse_stamp(&column(newest, "sys_updated_on")).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
    bridge.wait_metric(
        "bridge_checkpoint_timestamp_seconds{table=\"incident\"}",
        stamp as f64,
    );
    bridge.wait_metric(
        "bridge_checkpoint_timestamp_seconds{table=\"problem\"}",
        1.0,
    );
    assert_eq!(bridge.terminate(), 0);

    let records = kafka
        .reader()
        .read_to_end("servicenow.incident", LONG)
        .unwrap();
    let mut got: Vec<String> = records.iter().map(real_kafka::Record::key_text).collect();
    let mut wanted: Vec<String> = rows.iter().map(|row| column(row, "sys_id")).collect();
    got.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(got, wanted, "exactly those rows, each once");
    let header = |name: &str| records[0].header(name);
    assert_eq!(header("sn_table").unwrap(), "incident");
    let problems = kafka.reader().read_to_end("problems.all", LONG).unwrap();
    assert_eq!(problems.len(), 30);
    let problem: Value = serde_json::from_slice(problems[0].value.as_ref().unwrap()).unwrap();
    assert!(problem.get("number").is_some() && problem.get("description").is_none());

    // The Go program could read it again: its fields are there, its table too.
    let after: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let old: Value = serde_json::from_str(&before).unwrap();
    assert_eq!(after["cmdb_ci_gone"], old["cmdb_ci_gone"]);
    assert_eq!(after["incident"]["timestamp"], stamp);
    assert_eq!(
        after["incident"]["last_identifier"],
        column(newest, "sys_id")
    );
    assert!(after["problem"]["timestamp"].is_i64());
    assert!(after["problem"]["last_identifier"].is_string());

    // And from our own file it goes on as well. The row is of a second that is over, so that the first
    // poll has it and not the next one, half a minute later.
    let stamp = format_stamp(sim.now() - 5);
    let row = Row::new().set("short_description", "after it all");
    let id = sim
        .insert("incident", row.set("sys_updated_on", stamp))
        .unwrap();
    let bridge = start(&folder, &sim, &kafka);
    wait_for("the new row", || {
        (kafka.reader().count("servicenow.incident").unwrap() == 201).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
    let records = kafka
        .reader()
        .read_to_end("servicenow.incident", LONG)
        .unwrap();
    assert_eq!(
        records
            .iter()
            .filter(|record| record.key_text() == id)
            .count(),
        1
    );
}

/// The hashes are those of Kafka's own tests (`UtilsTest.testMurmur2`).
#[test]
fn a_key_keeps_its_partition() {
    const PARTITIONS: i32 = 7;
    let known: [(&str, i32); 5] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        (
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
    ];
    let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
    let kafka = Embedded::start(PARTITIONS).unwrap();
    for topic in ["servicenow.incident", "problems.all"] {
        kafka.create_topic(topic).unwrap();
    }
    for (id, _) in known {
        let stamp = format_stamp(sim.now() - 60);
        let row = Row::new().set("sys_id", id).set("sys_updated_on", stamp);
        sim.insert("incident", row).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let bridge = start(&folder, &sim, &kafka);
    let topic = "servicenow.incident";
    wait_for("the records", || {
        (kafka.reader().count(topic).unwrap() == known.len() as u64).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
    for record in kafka.reader().read_to_end(topic, LONG).unwrap() {
        let key = record.key_text();
        let (_, hash) = known.iter().find(|(id, _)| *id == key).unwrap();
        assert_eq!(record.partition, (hash & 0x7fff_ffff) % PARTITIONS, "{key}");
    }
}
