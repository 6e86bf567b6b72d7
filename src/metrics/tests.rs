use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use expect_test::expect;

use super::*;

mod reference;

/// The page without the process's own figures, which differ from run to run.
fn stable(page: &str) -> String {
    page.lines()
        .filter(|line| !line.contains("process_"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn sample() -> Metrics {
    let metrics = Metrics::new();
    metrics.source_records.with(&["incident"]).add(41);
    metrics.source_records.with(&["incident"]).inc();
    metrics
        .source_produced
        .with(&["in\"ci\\dent\n", "servicenow.incident"]);
    for seconds in [0.05, 0.3, 99.0, f64::NAN] {
        metrics
            .api_latency
            .with(&["GET", "/api/now/table/{table}"])
            .observe(seconds);
    }
    metrics.offset_lag.with(&["incident"]).set(1.5);
    metrics.token_expiry.set(1_706_140_800.0);
    metrics.rate_limit_wait.add(Duration::from_millis(1500));
    metrics
        .build_info
        .with(&["0.1.0", "abcdef1", "x86_64-unknown-linux-musl"])
        .set(1.0);
    metrics
}

#[test]
fn a_fresh_page() {
    expect![[r##"
        # HELP bridge_sink_commits_total Commits of positions to Kafka.
        # TYPE bridge_sink_commits_total counter
        bridge_sink_commits_total{result="error"} 0
        bridge_sink_commits_total{result="ok"} 0
        # HELP bridge_checkpoint_writes_total Writes of the checkpoint file.
        # TYPE bridge_checkpoint_writes_total counter
        bridge_checkpoint_writes_total{result="error"} 0
        bridge_checkpoint_writes_total{result="ok"} 0
        # HELP bridge_checkpoint_fsync_duration_seconds Time a write of the checkpoint file waits for the disk (fsync).
        # TYPE bridge_checkpoint_fsync_duration_seconds histogram
        bridge_checkpoint_fsync_duration_seconds_bucket{le="0.001"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="0.0025"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="0.005"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="0.01"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="0.025"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="0.05"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="0.1"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="0.25"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="1"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="5"} 0
        bridge_checkpoint_fsync_duration_seconds_bucket{le="+Inf"} 0
        bridge_checkpoint_fsync_duration_seconds_sum 0
        bridge_checkpoint_fsync_duration_seconds_count 0
        # HELP bridge_sn_token_requests_total Requests for an access token.
        # TYPE bridge_sn_token_requests_total counter
        bridge_sn_token_requests_total{result="error"} 0
        bridge_sn_token_requests_total{result="ok"} 0
        # HELP bridge_sn_rate_limit_wait_seconds_total Time requests waited for rate_limit_rps or for Retry-After, all threads together.
        # TYPE bridge_sn_rate_limit_wait_seconds_total counter
        bridge_sn_rate_limit_wait_seconds_total 0
        # HELP bridge_kafka_produce_latency_seconds Time from handing a record to the producer until Kafka acknowledged it.
        # TYPE bridge_kafka_produce_latency_seconds histogram
        bridge_kafka_produce_latency_seconds_bucket{le="0.001"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="0.0025"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="0.005"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="0.01"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="0.025"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="0.05"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="0.1"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="0.25"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="0.5"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="1"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="2.5"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="5"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="10"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="30"} 0
        bridge_kafka_produce_latency_seconds_bucket{le="+Inf"} 0
        bridge_kafka_produce_latency_seconds_sum 0
        bridge_kafka_produce_latency_seconds_count 0
        # HELP bridge_kafka_queue_records Records waiting in the producer for their acknowledgement.
        # TYPE bridge_kafka_queue_records gauge
        bridge_kafka_queue_records 0
        # HELP bridge_kafka_connected 1 while at least one broker is connected, else 0.
        # TYPE bridge_kafka_connected gauge
        bridge_kafka_connected 0
        # HELP bridge_ready 1 while the readiness page says ready, else 0.
        # TYPE bridge_ready gauge
        bridge_ready 0
        # HELP bridge_log_messages_total Lines logged, suppressed ones included.
        # TYPE bridge_log_messages_total counter
        bridge_log_messages_total{level="debug"} 0
        bridge_log_messages_total{level="error"} 0
        bridge_log_messages_total{level="info"} 0
        bridge_log_messages_total{level="trace"} 0
        bridge_log_messages_total{level="warn"} 0
        # HELP bridge_config_last_reload_successful 1 while the configuration that was read last is the one that runs, else 0.
        # TYPE bridge_config_last_reload_successful gauge
        bridge_config_last_reload_successful 0
        # HELP bridge_config_last_reload_timestamp_seconds When the configuration was last read, used or not, seconds since the epoch.
        # TYPE bridge_config_last_reload_timestamp_seconds gauge
        bridge_config_last_reload_timestamp_seconds 0
    "##]].assert_eq(&stable(&Metrics::new().render()));
}

#[test]
fn a_page_with_series() {
    let fresh = Metrics::new().render();
    let page = stable(&sample().render());
    let new: String = page
        .lines()
        .filter(|line| !fresh.lines().any(|old| old == *line))
        .flat_map(|line| [line, "\n"])
        .collect();
    expect![[r##"
        # HELP bridge_source_records_total Rows read from ServiceNow.
        # TYPE bridge_source_records_total counter
        bridge_source_records_total{table="incident"} 42
        # HELP bridge_source_produce_total Records acknowledged by Kafka.
        # TYPE bridge_source_produce_total counter
        bridge_source_produce_total{table="in\"ci\\dent\n",topic="servicenow.incident"} 0
        # HELP bridge_sn_api_latency_seconds Time from sending a request until its answer began.
        # TYPE bridge_sn_api_latency_seconds histogram
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="0.05"} 1
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="0.1"} 1
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="0.25"} 1
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="0.5"} 2
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="1"} 2
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="2.5"} 2
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="5"} 2
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="10"} 2
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="30"} 2
        bridge_sn_api_latency_seconds_bucket{method="GET",endpoint="/api/now/table/{table}",le="+Inf"} 3
        bridge_sn_api_latency_seconds_sum{method="GET",endpoint="/api/now/table/{table}"} 99.35
        bridge_sn_api_latency_seconds_count{method="GET",endpoint="/api/now/table/{table}"} 3
        # HELP bridge_offset_lag_seconds Age of the position up to which Kafka acknowledged all rows; none before there is one.
        # TYPE bridge_offset_lag_seconds gauge
        bridge_offset_lag_seconds{table="incident"} 1.5
        # HELP bridge_sn_token_expiry_timestamp_seconds When the access token expires, seconds since the epoch.
        # TYPE bridge_sn_token_expiry_timestamp_seconds gauge
        bridge_sn_token_expiry_timestamp_seconds 1706140800
        bridge_sn_rate_limit_wait_seconds_total 1.5
        # HELP bridge_build_info Always 1; the labels say what runs.
        # TYPE bridge_build_info gauge
        bridge_build_info{version="0.1.0",revision="abcdef1",target="x86_64-unknown-linux-musl"} 1
    "##]].assert_eq(&new);
}

#[test]
fn the_process_figures_are_on_the_page() {
    let page = Metrics::new().render();
    for name in [
        "cpu_seconds_total",
        "resident_memory_bytes",
        "open_fds",
        "start_time_seconds",
    ] {
        assert!(
            page.contains(&format!("\nprocess_{name} ")),
            "{name} in\n{page}"
        );
    }
}

#[test]
fn the_number_of_series_is_bounded() {
    let metrics = Metrics::new();
    for number in 0..MAX_SERIES_PER_FAMILY + 50 {
        metrics
            .source_errors
            .with(&[&number.to_string(), "timeout"])
            .inc();
    }
    assert_eq!(metrics.source_errors.with(&["other", "other"]).get(), 50);
    assert_eq!(
        metrics.source_errors.with(&["7", "timeout"]).get(),
        1,
        "known ones still count"
    );
    let lines = metrics
        .render()
        .lines()
        .filter(|line| line.contains("{table="))
        .count();
    assert_eq!(lines, MAX_SERIES_PER_FAMILY + 1);
}

#[test]
fn a_handle_and_its_family_are_one() {
    let metrics = Metrics::new();
    let handle = metrics.source_page_size.with(&["incident"]);
    handle.set(500.0);
    assert_eq!(metrics.source_page_size.with(&["incident"]).get(), 500.0);
    let ready = metrics.ready.clone();
    ready.set(1.0);
    assert!(metrics.render().contains("\nbridge_ready 1\n"));
}

/// The judge of the format, where it is installed.
#[test]
fn promtool_finds_nothing() {
    for page in [Metrics::new().render(), sample().render()] {
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut promtool) = promtool else { return };
        promtool
            .stdin
            .take()
            .unwrap()
            .write_all(page.as_bytes())
            .unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}\n{page}",
            String::from_utf8_lossy(&said)
        );
        assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn what_is_gone_is_forgotten_and_the_rest_stays() {
    let metrics = sample();
    metrics.source_records.with(&["problem"]).add(7);
    metrics.sink_lag.with(&["t", "0"]).set(3.0);
    metrics.sink_lag.with(&["t", "1"]).set(4.0);
    metrics.sink_lag.with(&["u", "0"]).set(5.0);
    assert_eq!(metrics.source_records.sum(), 49);
    metrics.forget_table("incident");
    metrics.forget_sink_topic("t");
    let page = metrics.render();
    assert!(!page.contains("table=\"incident\""), "{page}");
    assert!(page.contains("bridge_source_records_total{table=\"problem\"} 7\n"));
    assert_eq!(metrics.sink_lag.values(), [5.0]);
}

#[test]
fn no_series_of_a_gone_table_or_topic_is_left_over() {
    let metrics = Metrics::new();
    for (_, metric) in metrics.all() {
        metric.touch("gone");
        metric.touch("table gone");
    }
    let left = |metrics: &Metrics, labels: &[&str]| -> BTreeSet<String> {
        let page = metrics.render();
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.filter(|line| labels.iter().any(|label| line.contains(label)));
        let names = lines.filter_map(|line| line.split_once('{'));
        names.map(|(name, _)| name.to_owned()).collect()
    };
    let gone = ["table=\"gone\"", "topic=\"gone\""];
    let pipeline = ["pipeline=\"table gone\""];
    assert!(left(&metrics, &gone).len() > 20);
    assert_eq!(left(&metrics, &pipeline).len(), 1);
    metrics.forget_table("gone");
    metrics.forget_sink_topic("gone");
    metrics.forget_sink_table("gone");
    metrics.forget_produced_topic("gone");
    assert_eq!(left(&metrics, &gone), BTreeSet::new());
    assert_eq!(left(&metrics, &pipeline), BTreeSet::new());
}
