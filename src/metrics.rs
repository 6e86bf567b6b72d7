//! The catalogue of metrics: every name, help text, label and bucket of the program is here.
//!
//! The first ten names and labels are those of the Go bridge, so that dashboards go on working.
//! Shared as `Arc<Metrics>`; [`Metrics::render`] makes the page.

mod exposition;
mod family;
mod process;

use self::exposition::ExpositionText;
use family::WriteExposition;
pub use family::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec, MAX_SERIES_PER_FAMILY,
    MetricFamily, MetricValue, SecondsCounter, SingleMetric,
};
pub use process::ProcessFigures;

/// Buckets in seconds of the Go client library; a poll.
const POLL_SECONDS_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Buckets in seconds of one request to the instance.
const API_SECONDS_BUCKETS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Buckets in seconds from handing a record to the producer until the broker confirmed it.
const PRODUCE_SECONDS_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// All metrics of the program.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "each field's help text is in the catalogue below"
)]
pub struct Metrics {
    pub source_records: CounterVec,
    pub source_produced: CounterVec,
    pub source_errors: CounterVec,
    pub source_poll_duration: HistogramVec,
    pub sink_records: CounterVec,
    pub sink_errors: CounterVec,
    pub api_requests: CounterVec,
    pub api_errors: CounterVec,
    pub api_latency: HistogramVec,
    pub offset_lag: GaugeVec,

    pub sink_skipped: CounterVec,
    pub sink_dead_letters: CounterVec,
    pub sink_in_flight: GaugeVec,
    pub sink_held: GaugeVec,
    pub sink_lag: GaugeVec,
    pub sink_commits: CounterVec,

    pub source_page_size: GaugeVec,
    pub source_own_writes: CounterVec,
    pub source_hidden_rows: GaugeVec,
    pub source_held: GaugeVec,
    pub source_remaining_rows: GaugeVec,
    pub source_last_success: GaugeVec,
    pub source_next_poll: GaugeVec,
    pub source_schema_id: GaugeVec,
    pub source_type_errors: CounterVec,
    pub source_unknown_columns: CounterVec,
    pub registry_requests: CounterVec,
    pub checkpoint_timestamp: GaugeVec,
    pub checkpoint_writes: CounterVec,
    pub token_expiry: SingleMetric<Gauge>,
    pub token_requests: CounterVec,
    pub rate_limit_wait: SingleMetric<SecondsCounter>,
    pub produce_latency: SingleMetric<Histogram>,
    pub produce_queue: SingleMetric<Gauge>,
    pub produce_errors: CounterVec,
    pub kafka_connected: SingleMetric<Gauge>,
    pub ready: SingleMetric<Gauge>,
    pub log_messages: CounterVec,
    pub build_info: GaugeVec,
    pub reload_successful: SingleMetric<Gauge>,
    pub reload_timestamp: SingleMetric<Gauge>,
    pub pipeline_restarts: CounterVec,

    /// When the process started, seconds since the epoch.
    start_seconds: f64,
}

impl Metrics {
    /// All families, without series except where the labels are known beforehand.
    pub fn new() -> Metrics {
        let metrics = catalogue();
        for result in ["ok", "error"] {
            metrics.checkpoint_writes.with(&[result]);
            metrics.token_requests.with(&[result]);
            metrics.sink_commits.with(&[result]);
        }
        for level in ["error", "warn", "info", "debug", "trace"] {
            metrics.log_messages.with(&[level]);
        }
        // Unknown until there is a token; with Basic there never is one.
        metrics.token_expiry.set(f64::NAN);
        metrics
    }

    /// The configuration was read: into use or not.
    pub fn record_reload(&self, used: bool) {
        self.reload_successful.set(if used { 1.0 } else { 0.0 });
        self.reload_timestamp.set(now_seconds());
    }

    /// Takes away what is told of a table that is no longer read.
    pub fn forget_table(&self, table: &str) {
        let counters = [
            &self.source_records,
            &self.source_produced,
            &self.source_errors,
            &self.source_own_writes,
            &self.source_type_errors,
            &self.source_unknown_columns,
        ];
        for family in counters {
            family.remove("table", table);
        }
        let gauges = [
            &self.offset_lag,
            &self.source_page_size,
            &self.source_hidden_rows,
            &self.source_held,
            &self.source_remaining_rows,
            &self.source_last_success,
            &self.source_next_poll,
            &self.source_schema_id,
            &self.checkpoint_timestamp,
        ];
        for family in gauges {
            family.remove("table", table);
        }
        self.source_poll_duration.remove("table", table);
        let restarts = format!("table {table}");
        self.pipeline_restarts.remove("pipeline", &restarts);
    }

    /// Takes away what is told of a topic that the sink no longer consumes.
    pub fn forget_sink_topic(&self, topic: &str) {
        let gauges = [&self.sink_in_flight, &self.sink_held, &self.sink_lag];
        for family in gauges {
            family.remove("topic", topic);
        }
    }

    /// Takes away what is told of a table that the sink no longer writes.
    pub fn forget_sink_table(&self, table: &str) {
        let counters = [
            &self.sink_records,
            &self.sink_errors,
            &self.sink_skipped,
            &self.sink_dead_letters,
        ];
        for family in counters {
            family.remove("table", table);
        }
    }

    /// The page in text exposition format 0.0.4.
    pub fn render(&self) -> String {
        let mut out = ExpositionText::default();
        for family in self.families() {
            family.show(&mut out);
        }
        ProcessFigures::read().show(self.start_seconds, &mut out);
        out.finish()
    }

    /// When the process started, seconds since the epoch.
    pub fn start_seconds(&self) -> f64 {
        self.start_seconds
    }

    /// Every family in the order of the page. Taking the struct apart without `..` makes the
    /// compiler refuse a field that is not shown.
    fn families(&self) -> [&dyn WriteExposition; 42] {
        let Metrics {
            source_records,
            source_produced,
            source_errors,
            source_poll_duration,
            sink_records,
            sink_errors,
            api_requests,
            api_errors,
            api_latency,
            offset_lag,
            sink_skipped,
            sink_dead_letters,
            sink_in_flight,
            sink_held,
            sink_lag,
            sink_commits,
            source_page_size,
            source_own_writes,
            source_hidden_rows,
            source_held,
            source_remaining_rows,
            source_last_success,
            source_next_poll,
            source_schema_id,
            source_type_errors: source_misfits,
            source_unknown_columns,
            registry_requests,
            checkpoint_timestamp,
            checkpoint_writes,
            token_expiry,
            token_requests,
            rate_limit_wait,
            produce_latency,
            produce_queue,
            produce_errors,
            kafka_connected,
            ready,
            log_messages,
            build_info,
            reload_successful,
            reload_timestamp,
            pipeline_restarts,
            start_seconds: _,
        } = self;
        [
            source_records,
            source_produced,
            source_errors,
            source_poll_duration,
            sink_records,
            sink_errors,
            api_requests,
            api_errors,
            api_latency,
            offset_lag,
            sink_skipped,
            sink_dead_letters,
            sink_in_flight,
            sink_held,
            sink_lag,
            sink_commits,
            source_page_size,
            source_own_writes,
            source_hidden_rows,
            source_held,
            source_remaining_rows,
            source_last_success,
            source_next_poll,
            source_schema_id,
            source_misfits,
            source_unknown_columns,
            registry_requests,
            checkpoint_timestamp,
            checkpoint_writes,
            token_expiry,
            token_requests,
            rate_limit_wait,
            produce_latency,
            produce_queue,
            produce_errors,
            kafka_connected,
            ready,
            log_messages,
            build_info,
            reload_successful,
            reload_timestamp,
            pipeline_restarts,
        ]
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

#[rustfmt::skip] // One family per entry reads as the table it is.
fn catalogue() -> Metrics {
    Metrics {
        source_records: MetricFamily::new("bridge_source_records_total",
            "Rows read from ServiceNow.", &["table"]),
        source_produced: MetricFamily::new("bridge_source_produce_total",
            "Records acknowledged by Kafka.", &["table", "topic"]),
        source_errors: MetricFamily::new("bridge_source_errors_total",
            "Errors while reading a table or producing its rows.", &["table", "error_type"]),
        source_poll_duration: MetricFamily::histogram("bridge_source_poll_duration_seconds",
            "Duration of one poll of a table.", &["table"], POLL_SECONDS_BUCKETS),
        sink_records: MetricFamily::new("bridge_sink_records_total",
            "Records written to ServiceNow.", &["table", "operation"]),
        sink_errors: MetricFamily::new("bridge_sink_errors_total",
            "Errors while writing records to ServiceNow.", &["table", "error_type"]),
        api_requests: MetricFamily::new("bridge_sn_api_requests_total",
            "Requests sent to the ServiceNow instance.", &["method", "endpoint"]),
        api_errors: MetricFamily::new("bridge_sn_api_errors_total",
            "Failed requests to the ServiceNow instance.", &["method", "status_code"]),
        api_latency: MetricFamily::histogram("bridge_sn_api_latency_seconds",
            "Time from sending a request until its answer began.", &["method", "endpoint"],
            API_SECONDS_BUCKETS),
        offset_lag: MetricFamily::new("bridge_offset_lag_seconds",
            "Age of the position up to which Kafka acknowledged all rows; none before there is one.",
            &["table"]),

        sink_skipped: MetricFamily::new("bridge_sink_skipped_total",
            "Records passed over on purpose.", &["table", "reason"]),
        sink_dead_letters: MetricFamily::new("bridge_sink_dead_letters_total",
            "Records that went to the dead letter topic, acknowledged.",
            &["table", "error_kind"]),
        sink_in_flight: MetricFamily::new("bridge_sink_in_flight_records",
            "Records consumed but not done.", &["topic"]),
        sink_held: MetricFamily::new("bridge_sink_held",
            "Records that are held because they, the instance or the schema registry are in trouble.", &["topic"]),
        sink_lag: MetricFamily::new("bridge_sink_lag_records",
            "Records behind the committed position, or all of them while there is none.",
            &["topic", "partition"]),
        sink_commits: MetricFamily::new("bridge_sink_commits_total",
            "Commits of positions to Kafka.", &["result"]),

        source_page_size: MetricFamily::new("bridge_source_page_size_rows",
            "Rows asked for per request; less than configured after time-outs.", &["table"]),
        source_own_writes: MetricFamily::new("bridge_source_own_writes_total",
            "Rows left out because their last change is the sink's.", &["table"]),
        source_hidden_rows: MetricFamily::new("bridge_source_hidden_rows",
            "Rows counted by the instance but hidden from the integration user, last seen.",
            &["table"]),
        source_held: MetricFamily::new("bridge_source_held",
            "1 while a table is held at a row that cannot be sent, else 0.", &["table"]),
        source_remaining_rows: MetricFamily::new("bridge_source_remaining_rows",
            "Rows left to read in the first load.", &["table"]),
        source_last_success: MetricFamily::new("bridge_source_last_success_timestamp_seconds",
            "When a poll of the table last succeeded, seconds since the epoch; 0 is never.",
            &["table"]),
        source_next_poll: MetricFamily::new("bridge_source_next_poll_timestamp_seconds",
            "When the table is polled next, seconds since the epoch; in the past while it is.",
            &["table"]),
        source_schema_id: MetricFamily::new("bridge_source_schema_id",
            "Id of the Avro schema that rows of the table are written with.", &["table"]),
        source_type_errors: MetricFamily::new("bridge_source_type_errors_total",
            "Values that did not fit the Avro type of their column.", &["table", "column"]),
        source_unknown_columns: MetricFamily::new("bridge_source_unknown_columns_total",
            "Values left out because the Avro schema has no field for their column.", &["table"]),
        registry_requests: MetricFamily::new("bridge_schema_registry_requests_total",
            "Requests to the schema registry, by their outcome.", &["method", "result"]),
        checkpoint_timestamp: MetricFamily::new("bridge_checkpoint_timestamp_seconds",
            "The position in the checkpoint file, seconds since the epoch.",
            &["table"]),
        checkpoint_writes: MetricFamily::new("bridge_checkpoint_writes_total",
            "Writes of the checkpoint file.", &["result"]),
        token_expiry: SingleMetric::new("bridge_sn_token_expiry_timestamp_seconds",
            "When the access token expires, seconds since the epoch."),
        token_requests: MetricFamily::new("bridge_sn_token_requests_total",
            "Requests for an access token.", &["result"]),
        rate_limit_wait: SingleMetric::new("bridge_sn_rate_limit_wait_seconds_total",
            "Time requests waited for rate_limit_rps or for Retry-After, all threads together."),
        produce_latency: SingleMetric::histogram("bridge_kafka_produce_latency_seconds",
            "Time from handing a record to the producer until Kafka acknowledged it.",
            PRODUCE_SECONDS_BUCKETS),
        produce_queue: SingleMetric::new("bridge_kafka_queue_records",
            "Records waiting in the producer for their acknowledgement."),
        produce_errors: MetricFamily::new("bridge_kafka_produce_errors_total",
            "Records that the producer gave up; they are sent again.", &["topic"]),
        kafka_connected: SingleMetric::new("bridge_kafka_connected",
            "1 while at least one broker is connected, else 0."),
        ready: SingleMetric::new("bridge_ready",
            "1 while the readiness page says ready, else 0."),
        log_messages: MetricFamily::new("bridge_log_messages_total",
            "Lines logged, suppressed ones included.", &["level"]),
        build_info: MetricFamily::new("bridge_build_info",
            "Always 1; the labels say what runs.", &["version", "revision", "target"]),
        reload_successful: SingleMetric::new("bridge_config_last_reload_successful",
            "1 while the configuration that was read last is the one that runs, else 0."),
        reload_timestamp: SingleMetric::new("bridge_config_last_reload_timestamp_seconds",
            "When the configuration was last read, used or not, seconds since the epoch."),
        pipeline_restarts: MetricFamily::new("bridge_pipeline_restarts_total",
            "Starts of a table or of the sink after a thread of it ended by itself.",
            &["pipeline"]),
        start_seconds: now_seconds(),
    }
}

/// Seconds since the epoch by this host's clock.
fn now_seconds() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests;
