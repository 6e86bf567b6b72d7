//! Reads a whole table, or a part of it, beside its stream, and delivers every row as it is now.
//!
//! Rows come in the order of their identifiers, page by page. A row of which the stream delivers another version
//! meanwhile is left out: that version is newer. How far it is stands in a file beside the checkpoint, which
//! moves behind Kafka's acknowledgement, so that a restart goes on.

mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::state::{SnapshotState, SnapshotStateFile, checked_part};
use super::delivered_topic::DeliveredTopic;
use super::delivery::Versions;
use super::key_walk::KeyWalk;
use super::shared::CaptureShared;
use super::task::{CaptureTask, STATE_WRITE_INTERVAL, StepContext};
use crate::config::TableConfig;
use crate::control::{
    AdminCommandResult, SnapshotOrder, SnapshotPart, SnapshotProgress, TableCommand, TableRequest,
};
use crate::metrics::{Counter, Gauge};
use crate::source::context::SourceContext;
use crate::source::poll_error::PollError;

/// The snapshot of one table, where one is under way.
pub(super) struct Snapshot {
    table: String,
    fingerprint: String,
    shared: Arc<CaptureShared>,
    file: SnapshotStateFile,
    current: Option<RunningSnapshot>,
    batch: u32,
    rows: Counter,
    remaining: Gauge,
}

struct RunningSnapshot {
    state: SnapshotState,
    walk: KeyWalk,
    /// Since when it reads, and how many rows there were then.
    since: (Instant, u64),
    written: Instant,
}

impl RunningSnapshot {
    fn of(state: SnapshotState, limit: u32, now: Instant) -> RunningSnapshot {
        RunningSnapshot {
            since: (now, state.read),
            walk: KeyWalk::behind(state.after.clone(), state.remaining, limit),
            state,
            written: now,
        }
    }

    fn progress(&self, now: Instant) -> SnapshotProgress {
        let (since, before) = self.since;
        SnapshotProgress {
            rows: self.state.rows,
            remaining: self.state.remaining,
            seconds_left: seconds_left(
                self.state.read.saturating_sub(before),
                now.saturating_duration_since(since),
                self.state.remaining,
            ),
            is_paused: self.state.is_paused,
        }
    }
}

/// How long `remaining` rows take when `read` took `time`: pure.
fn seconds_left(read: u64, time: Duration, remaining: Option<u64>) -> Option<u64> {
    let millis = u128::from(remaining?).saturating_mul(time.as_millis());
    let millis = millis.checked_div(u128::from(read))?;
    u64::try_from(millis / 1_000).ok()
}

impl Snapshot {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        shared: &Arc<CaptureShared>,
        fingerprint: &str,
    ) -> Snapshot {
        let file = SnapshotStateFile::beside(&context.checkpoints.path(), &table.name);
        let labels = [table.name.as_str()];
        let mut snapshot = Snapshot {
            table: table.name.clone(),
            fingerprint: fingerprint.to_owned(),
            shared: Arc::clone(shared),
            file,
            current: None,
            batch: table.batch_size,
            rows: context.metrics.snapshot_rows.with(&labels),
            remaining: context.metrics.snapshot_remaining_rows.with(&labels),
        };
        match snapshot.file.read(fingerprint) {
            Ok(None) => {}
            Ok(Some(state)) => {
                log::info!(table = table.name, rows = state.rows; "the snapshot goes on");
                let now = Instant::now();
                snapshot.current = Some(RunningSnapshot::of(state, table.batch_size, now));
            }
            Err(why) => {
                log::warn!(table = table.name, why; "what is kept of a snapshot is of no use; start it anew");
            }
        }
        snapshot.show(Instant::now());
        snapshot
    }

    fn start(&mut self, part: &SnapshotPart) -> AdminCommandResult {
        let part = checked_part(part)?;
        if self.current.is_some() {
            return Err(format!(
                "a snapshot of table {} is under way; stop it first",
                self.table
            ));
        }
        let state = SnapshotState::of(&self.fingerprint, part);
        self.file.write(&state)?;
        self.current = Some(RunningSnapshot::of(state, self.batch, Instant::now()));
        Ok(format!(
            "table {} is read beside its stream; `status` shows how far it is",
            self.table
        ))
    }

    fn steer(&mut self, order: SnapshotOrder) -> AdminCommandResult {
        let now = Instant::now();
        let Some(current) = &mut self.current else {
            return Err(format!("no snapshot of table {} is under way", self.table));
        };
        let rows = current.state.rows;
        if order == SnapshotOrder::Stop {
            self.current = None;
            self.file.remove()?;
            return Ok(format!("stopped after {rows} rows"));
        }
        current.state.is_paused = order == SnapshotOrder::Pause;
        current.since = (now, current.state.read);
        self.file.write(&current.state)?;
        Ok(match order {
            SnapshotOrder::Pause => format!("paused after {rows} rows"),
            _ => format!("goes on behind {rows} rows"),
        })
    }

    /// Reads and delivers one page; true when it was the last one.
    fn page(
        current: &mut RunningSnapshot,
        context: &mut StepContext<'_>,
    ) -> Result<(bool, u64), PollError> {
        let request = current.walk.next_page(&current.state.part);
        let (delivery, heartbeat) = (&mut context.delivery, context.heartbeat);
        let (delivered, page) = delivery.deliver(Versions::All, heartbeat, |fetch, rows| {
            fetch.fetch_by_key(&request, rows)
        })?;
        if delivered.is_lost {
            return Ok((false, 0));
        }
        let state = &mut current.state;
        state.rows += delivered.rows;
        state.read += u64::from(page.rows);
        let is_end = current.walk.take(&request, page);
        state.after = current.walk.after().cloned();
        state.remaining = current.walk.remaining();
        Ok((is_end, delivered.rows))
    }

    /// Shows how far it is.
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    fn show(&self, now: Instant) {
        let progress = self.current.as_ref().map(|current| current.progress(now));
        let remaining = progress.and_then(|progress| progress.remaining);
        self.remaining.set(remaining.unwrap_or(0) as f64);
        *self.shared.snapshot.lock() = progress;
    }

    /// Keeps how far it is; that this fails stops nothing, as a restart then goes on from an earlier row.
    fn keep(&self, state: &SnapshotState) {
        if let Err(error) = self.file.write(state) {
            log::error!(table = self.table, error; "how far the snapshot is cannot be written");
        }
    }

    fn end(&mut self, state: &SnapshotState) {
        log::info!(table = self.table, rows = state.rows; "the snapshot is complete");
        if let Err(error) = self.file.remove() {
            log::error!(table = self.table, error; "a complete snapshot comes again with the next start");
        }
    }
}

impl CaptureTask for Snapshot {
    fn name(&self) -> &'static str {
        "the snapshot"
    }

    fn take(&mut self, request: TableRequest, _: &mut DeliveredTopic) -> Option<TableRequest> {
        let answer = match &request.command {
            TableCommand::Snapshot(part) => self.start(part),
            TableCommand::SteerSnapshot(order) => self.steer(*order),
            TableCommand::Reread(_)
            | TableCommand::FindDeleted(_)
            | TableCommand::DecideDeletes(_) => return Some(request),
        };
        self.show(Instant::now());
        request.answer(answer);
        None
    }

    fn due(&mut self, now: Instant) -> Option<Instant> {
        let current = self.current.as_ref()?;
        (!current.state.is_paused && self.shared.is_caught_up()).then_some(now)
    }

    fn step(&mut self, context: &mut StepContext<'_>) -> Result<(), PollError> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        let done = Snapshot::page(&mut current, context);
        let now = Instant::now();
        match done {
            Ok((is_end, rows)) => {
                self.rows.add(rows);
                if is_end {
                    self.end(&current.state);
                } else {
                    if now.saturating_duration_since(current.written) >= STATE_WRITE_INTERVAL {
                        self.keep(&current.state);
                        current.written = now;
                    }
                    self.current = Some(current);
                }
                self.show(now);
                Ok(())
            }
            Err(error) => {
                if error.calls_for_smaller_page() {
                    current.walk.shrink();
                } else if matches!(error, PollError::Stopped) {
                    self.keep(&current.state);
                } else if !error.is_retryable() && !error.is_waited_out_by_client() {
                    log::error!(table = self.table, error:% = error; "the snapshot is paused; `snapshot --resume` lets it go on");
                    current.state.is_paused = true;
                    self.keep(&current.state);
                }
                self.current = Some(current);
                self.show(now);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_pace() {
        let minute = Duration::from_secs(60);
        assert_eq!(seconds_left(600, minute, Some(100)), Some(10));
        assert_eq!(seconds_left(600, minute, None), None);
        assert_eq!(seconds_left(0, minute, Some(100)), None);
    }
}
