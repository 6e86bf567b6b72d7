//! The metrics of a table's poller.

use std::sync::Arc;

use crate::metrics::{Counter, Gauge, Histogram, Metrics};

/// What a table's poller counts and shows.
pub(super) struct PollerMetrics {
    pub(super) rows: Counter,
    pub(super) duration: Histogram,
    pub(super) page_size: Gauge,
    pub(super) hidden: Gauge,
    pub(super) remaining: Gauge,
    pub(super) last_success: Gauge,
    pub(super) next_poll: Gauge,
    table: String,
    all: Arc<Metrics>,
}

impl PollerMetrics {
    pub(super) fn new(metrics: &Arc<Metrics>, table: &str) -> PollerMetrics {
        let labels = [table];
        PollerMetrics {
            rows: metrics.source_records.with(&labels),
            duration: metrics.source_poll_duration.with(&labels),
            page_size: metrics.source_page_size.with(&labels),
            hidden: metrics.source_hidden_rows.with(&labels),
            remaining: metrics.source_remaining_rows.with(&labels),
            last_success: metrics.source_last_success.with(&labels),
            next_poll: metrics.source_next_poll.with(&labels),
            table: table.to_owned(),
            all: Arc::clone(metrics),
        }
    }

    /// A poll failed in a way with this label.
    pub(super) fn count_error(&self, label: &str) {
        self.all.source_errors.with(&[&self.table, label]).inc();
    }
}
