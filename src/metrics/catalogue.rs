//! The catalogue: each metric of the program is one entry of the table below.
//!
//! An entry gives the field of [`Metrics`], its kind, its name on the page, its labels, and which
//! table, topic or pipeline its series belong to and go with. The comment above it is its help text.
//! To add a metric, add an entry here and the code that counts: that the page shows it and that its
//! series are removed follows from the entry.

use super::family::{
    AnyMetric, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec, MetricAbout, SecondsCounter,
    SecondsCounterVec, SingleMetric, epoch_seconds,
};

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

/// Buckets in seconds of an fsync: from a disk with a cache of its own to one that hardly moves.
const SYNC_SECONDS_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Buckets in seconds by which a row is committed late.
const LATENESS_SECONDS_BUCKETS: &[f64] =
    &[5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

/// The table, topic or pipeline that the series of a family belong to. When it is gone, for example a
/// table that is no longer configured, its series are removed; otherwise dashboards would show its last
/// figures for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeriesOwner {
    /// The process: never removed.
    Process,
    /// A table that is read, by the label `table`.
    SourceTable,
    /// A table that the sink writes to, by the label `table`.
    SinkTable,
    /// A topic that the sink consumes, by the label `topic`.
    SinkTopic,
    /// A topic that records are produced to, of tables or dead letters, by the label `topic`.
    ProducedTopic,
    /// A table or the sink, by the label `pipeline`.
    Pipeline,
}

macro_rules! catalogue {
    ($(
        #[doc = $help:literal]
        $field:ident: $kind:ty = $name:literal [$($label:literal),*] of $owner:ident
            $(in $buckets:ident)?;
    )*) => {
        /// All metrics of the program; shared as `Arc<Metrics>`.
        #[derive(Debug)]
        pub struct Metrics {
            $(
                #[doc = $help]
                pub $field: $kind,
            )*
            /// When the process started, seconds since the epoch.
            pub(super) start_seconds: f64,
        }

        impl Metrics {
            /// All families without any series.
            pub(super) fn without_series() -> Metrics {
                Metrics {
                    $(
                        $field: <$kind>::new(MetricAbout {
                            name: $name,
                            help: $help.trim_ascii(),
                            labels: &[$($label),*],
                            buckets: catalogue!(@buckets $($buckets)?),
                        }),
                    )*
                    start_seconds: epoch_seconds(),
                }
            }

            /// Every metric in the order of the page.
            pub(super) fn all(&self) -> Vec<(SeriesOwner, &dyn AnyMetric)> {
                vec![$((SeriesOwner::$owner, &self.$field as &dyn AnyMetric)),*]
            }
        }
    };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
}

catalogue! {
    // The first ten are those of the Go bridge, so that its dashboards go on working.
    /// Rows read from ServiceNow.
    source_records: CounterVec = "bridge_source_records_total" ["table"] of SourceTable;
    /// Records acknowledged by Kafka.
    source_produced: CounterVec = "bridge_source_produce_total" ["table", "topic"] of SourceTable;
    /// Errors while reading a table or producing its rows.
    source_errors: CounterVec = "bridge_source_errors_total" ["table", "error_type"] of SourceTable;
    /// Duration of one poll of a table.
    source_poll_duration: HistogramVec = "bridge_source_poll_duration_seconds" ["table"] of SourceTable
        in POLL_SECONDS_BUCKETS;
    /// Records written to ServiceNow.
    sink_records: CounterVec = "bridge_sink_records_total" ["table", "operation"] of SinkTable;
    /// Errors while writing records to ServiceNow.
    sink_errors: CounterVec = "bridge_sink_errors_total" ["table", "error_type"] of SinkTable;
    /// Requests sent to the ServiceNow instance.
    api_requests: CounterVec = "bridge_sn_api_requests_total" ["method", "endpoint"] of Process;
    /// Failed requests to the ServiceNow instance.
    api_errors: CounterVec = "bridge_sn_api_errors_total" ["method", "status_code"] of Process;
    /// Time from sending a request until its answer began.
    api_latency: HistogramVec = "bridge_sn_api_latency_seconds" ["method", "endpoint"] of Process
        in API_SECONDS_BUCKETS;
    /// Age of the position up to which Kafka acknowledged all rows; none before there is one.
    offset_lag: GaugeVec = "bridge_offset_lag_seconds" ["table"] of SourceTable;

    // The sink.
    /// Records passed over on purpose.
    sink_skipped: CounterVec = "bridge_sink_skipped_total" ["table", "reason"] of SinkTable;
    /// Records that went to the dead letter topic, acknowledged.
    sink_dead_letters: CounterVec = "bridge_sink_dead_letters_total" ["table", "error_kind"] of SinkTable;
    /// Records consumed but not done.
    sink_in_flight: GaugeVec = "bridge_sink_in_flight_records" ["topic"] of SinkTopic;
    /// Records that wait for writes of an earlier owner of their partition that may still run on their rows.
    sink_waiting: GaugeVec = "bridge_sink_waiting_records" ["topic"] of SinkTopic;
    /// Records that are held because they or the schema registry are in trouble; bridge_outage tells of the instance.
    sink_held: GaugeVec = "bridge_sink_held" ["topic"] of SinkTopic;
    /// 1 while an operator has paused a topic, else 0.
    sink_paused: GaugeVec = "bridge_sink_paused" ["topic"] of SinkTopic;
    /// Records behind the committed position, or all of them while there is none.
    sink_lag: GaugeVec = "bridge_sink_lag_records" ["topic", "partition"] of SinkTopic;
    /// Commits of positions to Kafka.
    sink_commits: CounterVec = "bridge_sink_commits_total" ["result"] of Process;

    // The source.
    /// Rows asked for per request; less than configured after time-outs.
    source_page_size: GaugeVec = "bridge_source_page_size_rows" ["table"] of SourceTable;
    /// Rows left out because their last change is the sink's.
    source_own_writes: CounterVec = "bridge_source_own_writes_total" ["table"] of SourceTable;
    /// Letters that went out in place of rows.
    source_dead_letters: CounterVec = "bridge_source_dead_letters_total" ["table", "error_kind"] of SourceTable;
    /// Rows passed over because they cannot be used (`on_bad_row: skip`), each time they were read.
    source_bad_rows: CounterVec = "bridge_source_bad_rows_total" ["table"] of SourceTable;
    /// Rows counted by the instance but hidden from the integration user, last seen.
    source_hidden_rows: GaugeVec = "bridge_source_hidden_rows" ["table"] of SourceTable;
    /// Rows that became visible behind rows with later timestamps, and were delivered by the sweep.
    source_late_rows: CounterVec = "bridge_source_late_rows_total" ["table"] of SourceTable;
    /// Seconds from the timestamp of a late row to its delivery.
    source_lateness: HistogramVec = "bridge_source_lateness_seconds" ["table"] of SourceTable
        in LATENESS_SECONDS_BUCKETS;
    /// Seconds from the timestamp of a late row to its delivery, the most since the start.
    source_lateness_max: GaugeVec = "bridge_source_lateness_max_seconds" ["table"] of SourceTable;
    /// Requests of the sweep for late rows.
    source_sweep_requests: CounterVec = "bridge_source_sweep_requests_total" ["table"] of SourceTable;
    /// Versions of rows that are remembered, as their seconds have not settled.
    source_unsettled_rows: GaugeVec = "bridge_source_unsettled_rows" ["table"] of SourceTable;
    /// Tombstones sent, by what has found the deletes (audit, compare, or named: `verify --repair`).
    source_deletes: CounterVec = "bridge_source_deletes_total" ["table", "found_by"] of SourceTable;
    /// Deletes that wait for a decision, as there are more than delete_guard lets pass.
    source_deletes_held: GaugeVec = "bridge_source_deletes_held" ["table"] of SourceTable;
    /// When the last comparison for deleted rows ended, seconds since the epoch; 0 is never.
    source_deletes_compared: GaugeVec = "bridge_source_deletes_compared_timestamp_seconds" ["table"] of SourceTable;
    /// Rows of the topic that the last comparison missed in the table, by why (left, hidden, unknown).
    source_missing_rows: GaugeVec = "bridge_source_missing_rows" ["table", "fate"] of SourceTable;
    /// 1 while a table is held at a row that cannot be sent, else 0.
    source_held: GaugeVec = "bridge_source_held" ["table"] of SourceTable;
    /// 1 while an operator has paused a table, else 0.
    source_paused: GaugeVec = "bridge_source_paused" ["table"] of SourceTable;
    /// Rows left to read in the first load.
    source_remaining_rows: GaugeVec = "bridge_source_remaining_rows" ["table"] of SourceTable;
    /// When a poll of the table last succeeded, seconds since the epoch; 0 is never.
    source_last_success: GaugeVec = "bridge_source_last_success_timestamp_seconds" ["table"] of SourceTable;
    /// When the table is polled next, seconds since the epoch; in the past while it is.
    source_next_poll: GaugeVec = "bridge_source_next_poll_timestamp_seconds" ["table"] of SourceTable;
    /// Id of the Avro schema that rows of the table are written with.
    source_schema_id: GaugeVec = "bridge_source_schema_id" ["table"] of SourceTable;
    /// Values that did not fit the Avro type of their column.
    source_type_errors: CounterVec = "bridge_source_type_errors_total" ["table", "column"] of SourceTable;
    /// Values left out because the Avro schema has no field for their column.
    source_unknown_columns: CounterVec = "bridge_source_unknown_columns_total" ["table"] of SourceTable;
    /// Rows that snapshots and rewinds have delivered.
    snapshot_rows: CounterVec = "bridge_snapshot_rows_total" ["table"] of SourceTable;
    /// Rows left in the snapshot or rewind that is under way, by the instance's count; 0 without one.
    snapshot_remaining_rows: GaugeVec = "bridge_snapshot_remaining_rows" ["table"] of SourceTable;
    /// Rows that the content cycle has read, by what they are: equal, changed, missed, unknown, streamed, left_out.
    content_rows: CounterVec = "bridge_content_rows_total" ["table", "state"] of SourceTable;
    /// How much of the table the present content cycle has read, 0 to 1.
    content_progress: GaugeVec = "bridge_content_cycle_progress" ["table"] of SourceTable;
    /// Seconds since a content cycle last came to its end; none before the first.
    content_age: GaugeVec = "bridge_content_cycle_age_seconds" ["table"] of SourceTable;
    /// Seconds since the last scheduled comparison of a table with its topic came to its end; none before the first.
    verify_age: GaugeVec = "bridge_verify_age_seconds" ["table"] of SourceTable;
    /// Rows by what that comparison found: equal, in_flight, missing, stale, extra, left_out, aged_out, wrong_partition.
    verify_rows: GaugeVec = "bridge_verify_rows" ["table", "state"] of SourceTable;

    // The schema registry, the checkpoint, the instance and Kafka.
    /// Requests to the schema registry, by their outcome.
    registry_requests: CounterVec = "bridge_schema_registry_requests_total" ["method", "result"] of Process;
    /// The position in the checkpoint file, seconds since the epoch.
    checkpoint_timestamp: GaugeVec = "bridge_checkpoint_timestamp_seconds" ["table"] of SourceTable;
    /// Writes of the checkpoint file.
    checkpoint_writes: CounterVec = "bridge_checkpoint_writes_total" ["result"] of Process;
    /// Time a write of the checkpoint file waits for the disk (fsync).
    checkpoint_sync: SingleMetric<Histogram> = "bridge_checkpoint_fsync_duration_seconds" [] of Process
        in SYNC_SECONDS_BUCKETS;
    /// When the access token expires, seconds since the epoch.
    token_expiry: SingleMetric<Gauge> = "bridge_sn_token_expiry_timestamp_seconds" [] of Process;
    /// Requests for an access token.
    token_requests: CounterVec = "bridge_sn_token_requests_total" ["result"] of Process;
    /// Time requests waited for rate_limit_rps or for Retry-After, all threads together.
    rate_limit_wait: SingleMetric<SecondsCounter> = "bridge_sn_rate_limit_wait_seconds_total" [] of Process;
    /// 1 while requests of this kind wait for a place that does not answer, else 0; looked at once a second, of the clients in use.
    outage: GaugeVec = "bridge_outage" ["place"] of Process;
    /// Time for which requests of this kind waited for a place that did not answer; of all clients, that of a reload on trial too.
    outage_seconds: SecondsCounterVec = "bridge_outage_seconds_total" ["place"] of Process;
    /// Time from handing a record to the producer until Kafka acknowledged it.
    produce_latency: SingleMetric<Histogram> = "bridge_kafka_produce_latency_seconds" [] of Process
        in PRODUCE_SECONDS_BUCKETS;
    /// Records waiting in the producer for their acknowledgement.
    produce_queue: SingleMetric<Gauge> = "bridge_kafka_queue_records" [] of Process;
    /// Records that the producer gave up; they are sent again.
    produce_errors: CounterVec = "bridge_kafka_produce_errors_total" ["topic"] of ProducedTopic;
    /// 1 while at least one broker is connected, else 0.
    kafka_connected: SingleMetric<Gauge> = "bridge_kafka_connected" [] of Process;

    // The process.
    /// 1 while the readiness page says ready, else 0.
    ready: SingleMetric<Gauge> = "bridge_ready" [] of Process;
    /// Lines logged, suppressed ones included.
    log_messages: CounterVec = "bridge_log_messages_total" ["level"] of Process;
    /// Always 1; the labels say what runs.
    build_info: GaugeVec = "bridge_build_info" ["version", "revision", "target"] of Process;
    /// 1 while the configuration that was read last is the one that runs, else 0.
    reload_successful: SingleMetric<Gauge> = "bridge_config_last_reload_successful" [] of Process;
    /// When the configuration was last read, used or not, seconds since the epoch.
    reload_timestamp: SingleMetric<Gauge> = "bridge_config_last_reload_timestamp_seconds" [] of Process;
    /// Starts of a table or of the sink after a thread of it ended by itself.
    pipeline_restarts: CounterVec = "bridge_pipeline_restarts_total" ["pipeline"] of Pipeline;
}
