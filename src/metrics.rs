//! The metrics of the program and their page, `/metrics`.
//!
//! [`Metrics`] has one field for each metric of the `catalogue`. It is shared as `Arc<Metrics>`; who
//! counts holds a handle of its series, and [`Metrics::render`] writes the page.

use std::time::SystemTime;

mod catalogue;
mod exposition;
mod family;
mod process;

pub use catalogue::Metrics;
use catalogue::SeriesOwner;
use exposition::ExpositionText;
pub use family::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec, MAX_SERIES_PER_FAMILY,
    MetricFamily, MetricValue, SecondsCounter, SecondsCounterVec, SingleMetric,
};
pub use process::{ProcessFigures, USER_HZ};

impl Metrics {
    /// All families, without series except where the labels are known beforehand.
    pub fn new() -> Metrics {
        let metrics = Metrics::without_series();
        for result in ["ok", "error"] {
            metrics.checkpoint_writes.with(&[result]);
            metrics.token_requests.with(&[result]);
            metrics.sink_commits.with(&[result]);
        }
        for level in ["error", "warn", "info", "debug", "trace"] {
            metrics.log_messages.with(&[level]);
        }
        // Not known until there is a token; with Basic authentication there never is one.
        metrics.token_expiry.set(f64::NAN);
        metrics
    }

    /// Records that the configuration was read at this time, and whether it is in use now.
    pub fn record_reload(&self, used: bool, read_at: SystemTime) {
        self.reload_successful.set(if used { 1.0 } else { 0.0 });
        let since = read_at.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs_f64();
        self.reload_timestamp.set(seconds);
    }

    /// Removes the series of a table that is no longer read.
    pub fn forget_table(&self, table: &str) {
        self.forget(SeriesOwner::SourceTable, "table", table);
        self.forget(SeriesOwner::Pipeline, "pipeline", &format!("table {table}"));
    }

    /// Removes the series of a topic that the sink no longer consumes.
    pub fn forget_sink_topic(&self, topic: &str) {
        self.forget(SeriesOwner::SinkTopic, "topic", topic);
    }

    /// Removes the series of a topic that nothing is produced to any more.
    pub fn forget_produced_topic(&self, topic: &str) {
        self.forget(SeriesOwner::ProducedTopic, "topic", topic);
    }

    /// Removes the series of a table that the sink no longer writes to.
    pub fn forget_sink_table(&self, table: &str) {
        self.forget(SeriesOwner::SinkTable, "table", table);
    }

    /// The page in text exposition format 0.0.4.
    pub fn render(&self) -> String {
        let mut out = ExpositionText::default();
        for (_, metric) in self.all() {
            metric.show(&mut out);
        }
        ProcessFigures::read().show(self.start_seconds, &mut out);
        out.finish()
    }

    /// When the process started, seconds since the epoch.
    pub fn start_seconds(&self) -> f64 {
        self.start_seconds
    }

    fn forget(&self, gone: SeriesOwner, label: &str, value: &str) {
        let metrics = self.all().into_iter();
        for (_, metric) in metrics.filter(|(owner, _)| *owner == gone) {
            metric.forget(label, value);
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

#[cfg(test)]
mod tests;
