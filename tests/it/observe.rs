//! What can be seen from outside: metrics, pages, logs.

use real_kafka::Embedded;
use serde_json::Value;
use servicenow_sim::{Fault, Row, Sim, Target, format_stamp};
use tempfile::TempDir;

use crate::support::bridge::{Bridge, run as run_program, texts};
use crate::support::config::Config;
use crate::support::promtool::promtool;
use crate::support::small::{self, SMALL};
use crate::support::wait_for;

/// An instance with 100 rows that must not show up in a log, OAuth, a broker with the topic `t`.
fn world() -> (Sim, Embedded, TempDir, Config) {
    let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
    let (kafka, folder) = (Embedded::start(2).unwrap(), tempfile::tempdir().unwrap());
    kafka.create_topic("t").unwrap();
    small::fill(&sim, 99);
    let row = Row::new().set("name", "body-of-a-row");
    let row = row.set("sys_updated_on", format_stamp(sim.now() - 60));
    sim.insert(SMALL, row).unwrap();
    let mut config = small::config(&sim, kafka.bootstrap(), "t");
    config.servicenow = format!(
        "base_url: {}\nauth:\n  type: oauth\n  oauth: {{client_id: client-id, client_secret: \
         client-secret, username: bridge, password: secret}}",
        sim.url()
    );
    (sim, kafka, folder, config)
}

/// A run with a load, an error of the instance and a revoked token.
fn run(sim: &Sim, folder: &TempDir) -> Bridge {
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced("t"), 100.0);
    sim.faults()
        .on_next(2, Target::table(SMALL), Fault::Unavailable);
    sim.revoke_tokens();
    bridge.wait_metric(
        "bridge_sn_api_errors_total{method=\"GET\",status_code=\"503\"}",
        2.0,
    );
    sim.insert(SMALL, Row::new().set("name", "body-of-a-row"))
        .unwrap();
    bridge.wait_metric(&small::produced("t"), 101.0);
    bridge.wait_ready();
    bridge
}

#[test]
fn metrics_are_those_of_the_go_program_and_valid() {
    let (sim, _kafka, folder, config) = world();
    config.write(folder.path());
    let bridge = run(&sim, &folder);
    let (status, text) = bridge.get("/metrics");
    assert_eq!(status, 200);
    for series in [
        "bridge_source_records_total{table=\"u_small\"} ",
        "bridge_source_produce_total{table=\"u_small\",topic=\"t\"} ",
        "bridge_source_errors_total{table=\"u_small\",error_type=\"",
        "bridge_source_poll_duration_seconds_count{table=\"u_small\"} ",
        "bridge_sn_api_requests_total{method=\"GET\",endpoint=\"/api/now/table/{table}\"} ",
        "bridge_sn_api_errors_total{method=\"GET\",status_code=\"503\"} 2",
        "bridge_sn_api_latency_seconds_count{method=\"GET\",endpoint=\"/api/now/table/{table}\"} ",
        "bridge_offset_lag_seconds{table=\"u_small\"} ",
        // What the Go program has not.
        "bridge_sn_token_expiry_timestamp_seconds ",
        "bridge_source_page_size_rows{table=\"u_small\"} 1000",
        "bridge_kafka_queue_records ",
        "bridge_kafka_connected 1",
        "bridge_ready 1",
        "bridge_build_info{version=\"",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
    ] {
        let found = text.lines().any(|line| line.starts_with(series));
        assert!(found, "no {series} in\n{text}");
    }
    let no_ids = text.lines().all(|line| {
        let hex = |c: char| c.is_ascii_hexdigit();
        !line.split(|c| !hex(c)).any(|word| word.len() == 32)
    });
    assert!(no_ids, "a sys_id in a label never ends");
    assert_eq!(bridge.get("/nowhere").0, 404);
    assert_eq!(bridge.terminate(), 0);
    promtool(&["check", "metrics"], &text);
}

/// Neither secrets nor rows, whatever the level.
fn assert_discreet(sim: &Sim, log: &str) {
    for word in ["client-secret", "\"secret\"", "=secret", "body-of-a-row"] {
        assert!(!log.contains(word), "`{word}` in the log:\n{log}");
    }
    let mut tokens = 0;
    for request in sim.requests() {
        if let Some(token) = request.header("authorization") {
            let token = token.rsplit(' ').next().unwrap();
            assert!(!log.contains(token), "a token in the log:\n{log}");
            tokens += 1;
        }
    }
    assert!(tokens > 0);
}

#[test]
fn json_logs_are_one_object_per_line() {
    let (sim, _kafka, folder, config) = world();
    config.write(folder.path());
    let mut bridge = run(&sim, &folder);
    bridge.signal("TERM");
    assert_eq!(bridge.wait_exit(), 0);
    let log = bridge.log();
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let field = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("{line}"));
        let time: jiff::Timestamp = field("time").parse().unwrap();
        assert!(time.as_second() > 0);
        assert!(
            ["DEBUG", "INFO", "WARN", "ERROR"].contains(&field("level")),
            "{line}"
        );
        assert!(!field("msg").is_empty());
    }
    for words in [
        "servicenow-kafka-bridge starts",
        "all pipelines are started",
        "stopped",
    ] {
        assert!(log.contains(words), "no `{words}` in\n{log}");
    }
    assert_discreet(&sim, &log);
}

#[test]
fn text_logs_are_one_line_per_event() {
    let (sim, kafka, folder, mut config) = world();
    config.top = "log_level: debug\nlog_format: text".to_owned();
    config.write(folder.path());
    let mut bridge = Bridge::spawn(folder.path());
    wait_for("the rows", || {
        (kafka.reader().count("t").unwrap() == 100).then_some(())
    });
    sim.revoke_tokens();
    bridge.signal("TERM");
    assert_eq!(bridge.wait_exit(), 0);
    let log = bridge.log();
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let time: Result<jiff::Timestamp, _> = words.next().unwrap_or_default().parse();
        assert!(time.is_ok(), "{line}");
        let level = words.next().unwrap_or_default();
        assert!(
            ["DEBUG", "INFO", "WARN", "ERROR"].contains(&level),
            "{line}"
        );
    }
    assert_discreet(&sim, &log);
}

#[test]
fn a_level_silences_what_is_below() {
    let (sim, _kafka, folder, mut config) = world();
    config.top = "log_level: error".to_owned();
    config.write(folder.path());
    let mut bridge = Bridge::spawn(folder.path());
    wait_for("the load", || {
        (sim.table_requests(SMALL).len() > 2).then_some(())
    });
    bridge.signal("TERM");
    assert_eq!(bridge.wait_exit(), 0);
    assert_eq!(bridge.log(), "");
}

/// The checkpoint knows how far the table is, before anything is delivered.
#[test]
fn the_lag_is_told_from_the_start_on_or_not_at_all() {
    let (sim, _kafka, folder, config) = world();
    config.write(folder.path());
    let lag = small::series("bridge_offset_lag_seconds");
    let refused = sim.faults().on(Target::table(SMALL), Fault::Unavailable);
    let waiting = |bridge: &Bridge| {
        let asked = sim.faults().fired(refused);
        wait_for("a request that is refused", || {
            (asked < sim.faults().fired(refused)).then_some(())
        });
        let page = bridge.get("/metrics").1;
        let line = page.lines().find_map(|line| line.strip_prefix(&lag));
        line.map(|value| value.trim().parse::<f64>().unwrap())
    };
    let bridge = Bridge::start(folder.path());
    assert_eq!(waiting(&bridge), None, "nobody knows it yet");
    assert_eq!(bridge.terminate(), 0);

    let old = format_stamp(sim.now() - 1_500);
    let set = ["checkpoint", "set", SMALL, "--timestamp", old.as_str()];
    assert_eq!(texts(&run_program(folder.path(), &set)).2, 0);
    let mut bridge = Bridge::start(folder.path());
    let first = waiting(&bridge).unwrap();
    assert!((1_500.0..1_700.0).contains(&first), "{first}");
    bridge.wait_metric(&lag, first + 1.0);
    assert_eq!(bridge.terminate(), 0);

    // Without Kafka it does not even begin.
    let mut config = config;
    config.kafka = "brokers: ['127.0.0.1:9']".to_owned();
    config.write(folder.path());
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&lag, first + 1.0);
    assert_eq!(bridge.terminate(), 0);
}
