//! How far a table is delivered: the position in the checkpoint, and the lag that operators see.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::{CheckpointEntry, CheckpointPosition, CheckpointStore};
use crate::config::TableConfig;
use crate::metrics::Gauge;
use crate::servicenow::page::{PageRow, RowBlock};
use crate::servicenow::query::Cursor;
use crate::source::capture::CaptureShared;
use crate::source::channels::BatchMark;
use crate::source::context::SourceContext;
use crate::source::position::{StartOfTable, age};
use crate::stop::Stop;

/// Moves the checkpoint of one table, behind acknowledgements only.
pub(super) struct DeliveredPosition {
    table: String,
    fingerprint: String,
    checkpoints: Arc<CheckpointStore>,
    capture: Arc<CaptureShared>,
    acknowledged: Option<Cursor>,
    /// The second (UTC, since 1970) up to which everything is acknowledged; `None`: not known yet.
    reached: Option<i64>,
    lag: Gauge,
}

impl DeliveredPosition {
    /// Begins at the position that the checkpoint has.
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        start: &StartOfTable,
    ) -> DeliveredPosition {
        let lag = context.metrics.offset_lag.with(&[&table.name]);
        lag.set(f64::NAN);
        let position = DeliveredPosition {
            table: table.name.clone(),
            fingerprint: start.fingerprint.clone(),
            checkpoints: Arc::clone(&context.checkpoints),
            capture: Arc::clone(&start.capture),
            // An earlier process may have read further and found nothing; the first poll tells.
            reached: start.cursor.as_ref().map(|cursor| cursor.seconds),
            acknowledged: start.cursor.clone(),
            lag,
        };
        position.show_lag();
        position
    }

    /// The last acknowledged row.
    pub(super) fn acknowledged(&self) -> Option<&Cursor> {
        self.acknowledged.as_ref()
    }

    /// Everything before `mark` is acknowledged.
    pub(super) fn advance(&mut self, mark: BatchMark) {
        if !mark.versions.is_empty() {
            let span = &self.capture.span;
            self.checkpoints.acknowledge(span, &mark.versions);
        }
        if let Some(Cursor { seconds, id }) = &mark.cursor
            && mark.cursor != self.acknowledged
        {
            let entry = CheckpointEntry {
                position: CheckpointPosition {
                    timestamp: *seconds,
                    last_identifier: id.clone().unwrap_or_default(),
                },
                fingerprint: Some(self.fingerprint.clone()),
            };
            self.checkpoints.advance(&self.table, entry);
        }
        let cursor_second = mark.cursor.as_ref().map(|cursor| cursor.seconds);
        // A position that was set to a time in the future is not reached by a poll that found nothing.
        let reached = mark.caught_up.max(cursor_second);
        // The capture thread's rows say nothing about how far the table is read.
        self.reached = if mark.is_captured {
            self.reached.max(reached)
        } else {
            reached
        };
        self.acknowledged = mark.cursor;
        self.show_lag();
    }

    /// Shows the lag of this moment: it grows while nothing is acknowledged.
    pub(super) fn show_lag(&self) {
        if let Some(reached) = self.reached {
            self.lag.set(age(reached));
        }
    }

    /// Waits for `pause`, and shows the growing lag at each `interval`. True when stopped before.
    pub(super) fn wait_showing_lag(
        &self,
        stop: &Stop,
        pause: Duration,
        interval: Duration,
    ) -> bool {
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.show_lag();
            if stop.wait(left.min(interval)) {
                return true;
            }
        }
        false
    }
}

/// The position behind a row.
pub(super) fn cursor_of(block: &RowBlock, row: &PageRow) -> Cursor {
    let id = String::from_utf8_lossy(block.slice(&row.id)).into_owned();
    Cursor {
        seconds: row.seconds,
        id: Some(id),
    }
}
