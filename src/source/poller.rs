//! Reads a table: page after page, each checked, then handed to the sender.
//!
//! A poll reads everything that is visible, in as many pages as that takes, and begins where the newest
//! seconds are still open (`frontier`), so that these are read again. Then the poller pauses. Whatever goes
//! wrong ends the poll; what happened is counted, logged and shown, and the next poll goes on behind the last
//! good page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::select;

use super::capture::CaptureShared;
use super::channels::{OpenBounds, PollerChannels, RewindRequest};
use super::clock_watch::ClockWatch;
use super::context::SourceContext;
use super::failure_log::{PollFailure, PollFailureLog};
use super::frontier::{ClosedSeconds, MAX_CLOCK_ERROR_SECONDS, ReadToEnd};
use super::hand_over::{HandOver, POLLER_HEARTBEAT_SLACK};
use super::instance::SourceInstance;
use super::page_fetch::{FetchedPage, PageFetch};
use super::poll_error::PollError;
use super::poller_metrics::PollerMetrics;
use super::position::StartOfTable;
use super::read_progress::{ReadProgress, log_page};
use super::row_counts::uncounted_note;
use super::row_fault_log::RowFaultLog;
use super::window::{PageRequest, Window, WindowStep};
use crate::backoff::Backoff;
use crate::config::{SourceConfig, TableConfig};
use crate::health::{Condition, ConditionKey};
use crate::servicenow::query::Cursor;
use crate::stop::Stop;

/// How long one request may keep the thread from its heartbeat, with all its repetitions.
const REQUEST_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(600);
/// A position this many seconds ahead of the instance is a mistake, not a clock that is off.
const MAX_SECONDS_AHEAD: i64 = 86_400;
/// How far beyond the instance's clock is read, in seconds: rows of a node that is ahead, and all rows while
/// the `Date` of the answers is behind.
const READ_AHEAD_SECONDS: i64 = MAX_CLOCK_ERROR_SECONDS;
/// A newest second that is this far ahead of the clock at most will close soon.
const SOON_SECONDS: i64 = 10;
/// Failures in a row after which the table counts as unhealthy.
const FAILURES_UNTIL_UNHEALTHY: u32 = 3;

/// The reading half of a table.
pub(super) struct TablePoller {
    table: TableConfig,
    instance: Arc<SourceInstance>,
    fetch: PageFetch,
    out: HandOver,
    capture: Arc<CaptureShared>,
    /// Seconds behind the instance's clock up to which is read (`timestamp_delay`).
    delay: i64,
    /// How many hours back the first read of a table without a checkpoint begins; `None` once it has
    /// begun.
    initial_hours: Option<u32>,
    window: Window,
    /// Where a restart goes on: behind the last row of a second that is closed.
    position: Option<Cursor>,
    /// Where the window was put to read the open seconds again, when that is not behind the position.
    open_start: Option<Cursor>,
    /// Whether the present read has begun with seconds that were read before.
    reads_open: bool,
    stop: Stop,
    backoff: Backoff,
    /// The upper bound up to which everything is read.
    read_to: Option<i64>,
    clock_watch: ClockWatch,
    /// The note that nothing counts the rows.
    uncounted: Condition,
    /// Whether the log has it that the table waits for the instance's clock.
    stands_still: bool,
    progress: ReadProgress,
    row_faults: RowFaultLog,
    failures: PollFailureLog,
    condition: Condition,
    metrics: PollerMetrics,
}

impl TablePoller {
    pub(super) fn new(
        context: &SourceContext,
        source: &SourceConfig,
        table: &TableConfig,
        start: &StartOfTable,
        channels: PollerChannels,
        stop: &Stop,
    ) -> TablePoller {
        let initial_hours = match start.cursor {
            Some(_) => None,
            None => source.initial_query_hours_ago,
        };
        let heartbeat = context.health.thread(&format!("read:{}", table.name));
        TablePoller {
            fetch: PageFetch::of_rows(&context.instance, table, stop),
            out: HandOver::new(channels, heartbeat, Arc::clone(&start.capture)),
            capture: Arc::clone(&start.capture),
            delay: i64::try_from(source.timestamp_delay.as_secs()).unwrap_or(0),
            initial_hours,
            window: Window::new(start.cursor.clone(), table.batch_size),
            position: start.cursor.clone(),
            open_start: None,
            reads_open: false,
            stop: stop.clone(),
            backoff: context.instance.client().backoff(),
            read_to: None,
            clock_watch: ClockWatch::new(table.slow_poll_interval, Instant::now()),
            uncounted: context.health.note(ConditionKey::Table(table.name.clone())),
            stands_still: false,
            progress: ReadProgress::new(&table.name),
            failures: PollFailureLog::new(&table.name),
            row_faults: RowFaultLog::new(table, &context.metrics),
            condition: context.health.condition(
                ConditionKey::Table(table.name.clone()),
                "waiting for the first page",
            ),
            metrics: PollerMetrics::new(&context.metrics, &table.name),
            instance: Arc::clone(&context.instance),
            table: table.clone(),
        }
    }

    /// Polls until stopped.
    pub(super) fn run(mut self) {
        log::info!(table = self.table.name, topic = self.table.topic, from = self.window.position_text();
            "polling starts");
        while !self.stop.is_stopped() {
            self.out.heartbeat.beat(POLLER_HEARTBEAT_SLACK);
            let pause = match self.poll() {
                Ok(had_rows) => {
                    self.record_success();
                    if had_rows {
                        self.table.fast_poll_interval
                    } else {
                        self.table.slow_poll_interval
                    }
                }
                Err(PollError::Stopped) => break,
                Err(error @ (PollError::ClockBehind { .. } | PollError::PositionAhead(_))) => {
                    self.record_standstill(&error)
                }
                Err(PollError::Rewound(rewind)) => {
                    self.rewind(rewind);
                    continue;
                }
                Err(error) => self.record_failure(&error),
            };
            if let Some(rewind) = self.pause(pause) {
                self.rewind(rewind);
            }
        }
        log::info!(table = self.table.name; "polling ends");
    }

    /// Reads everything that is visible; true when the next poll is to follow soon, as there were rows, or
    /// seconds are still open.
    fn poll(&mut self) -> Result<bool, PollError> {
        self.prepare()?;
        let Some(clock) = self.closed_by_clock() else {
            return Ok(false);
        };
        let hi = self.upper_bound(clock);
        let reached = self.window.cursor().map(|cursor| cursor.seconds);
        let ahead = reached.map_or(0, |reached| reached.saturating_sub(hi));
        if ahead > 0 || (self.delay > 0 && self.read_to == Some(hi)) {
            // Nothing can be new. To look again soon costs nothing.
            return self.wait_for_clock(ahead).map(|()| true);
        }
        let began = Instant::now();
        self.clock_watch.record_request(began);
        self.window.begin_round(began);
        let rows_before = self.metrics.rows.get();
        let mut had_rows = false;
        while let Some(request) = self.window.next_request(hi) {
            if self.stop.is_stopped() {
                return Err(PollError::Stopped);
            }
            self.out.wait_for_room(&self.stop)?;
            let (step, rows) = self.page(&request, hi, clock)?;
            had_rows |= rows > 0;
            self.backoff.reset();
            self.condition.ok();
            match step {
                WindowStep::More => {
                    let left = self.window.remaining();
                    self.progress.report(left, rows_before, &self.metrics);
                }
                WindowStep::CaughtUp => break,
                WindowStep::Stuck => return Err(PollError::HiddenRows),
            }
        }
        self.read_to = Some(hi);
        // What is read again was counted before.
        let is_news = had_rows || !std::mem::take(&mut self.reads_open);
        let hidden = if is_news { self.window.hidden() } else { 0 };
        self.progress.caught_up(hidden, &self.metrics);
        let is_open = self.end_read(began, clock);
        Ok(had_rows || is_open)
    }

    /// All is read: notes it, and goes back to where seconds are still open. True when there are such.
    fn end_read(&mut self, began: Instant, clock: i64) -> bool {
        let position = self.position.as_ref().map(|position| position.seconds);
        let cursor = self.window.cursor().map(|cursor| cursor.seconds);
        let newest = self.capture.span.lock().newest().max(cursor);
        let Some(newest) = newest.max(position) else {
            return false;
        };
        let ended = Instant::now();
        let closed = position.unwrap_or_else(|| self.closed(clock, ended).last());
        self.capture.frontier.lock().read_to_end(ReadToEnd {
            began,
            ended,
            closed: closed.min(clock),
            newest: newest.min(clock),
        });
        if !self.capture.is_swept()
            && let Some(due) = self.capture.due(ended)
        {
            self.capture.settle(due);
        }
        if position.is_some_and(|position| newest <= position) {
            return false;
        }
        let position = self.position.as_ref();
        let page = self.table.batch_size;
        if let Some(start) = self.capture.start_of_open(position, newest, page) {
            self.open_start.clone_from(&start);
            self.reads_open = true;
            self.window.rewind(start);
        }
        newest <= clock.saturating_add(SOON_SECONDS)
    }

    /// The seconds that the checkpoint may take in.
    fn closed(&self, clock: i64, now: Instant) -> ClosedSeconds {
        self.capture.frontier.lock().closed(clock, now)
    }

    /// Finds out what must be known before the first page: how the instance reads times in queries,
    /// and what time it is there.
    fn prepare(&mut self) -> Result<(), PollError> {
        self.out.heartbeat.beat(REQUEST_HEARTBEAT_DEADLINE);
        self.instance.literals(&self.stop)?;
        if self.instance.closed_second(Instant::now()).is_none() {
            self.instance.read_clock(&self.table.name, &self.stop)?;
            if self.instance.closed_second(Instant::now()).is_none() {
                return Err(PollError::NoClock);
            }
        }
        if self.initial_hours.is_some() {
            self.instance.confirm_clock(&self.table.name, &self.stop)?;
        }
        if let Some(hours) = self.initial_hours
            && let Some(now) = self.instance.closed_second(Instant::now())
        {
            let seconds = now - i64::from(hours) * 3600;
            self.position = Some(Cursor { seconds, id: None });
            self.window.rewind(self.position.clone());
            self.initial_hours = None;
            // Into the checkpoint at once: a restart before the first row must not begin later.
            self.out.mark(self.position.clone(), 0, None)?;
        }
        Ok(())
    }

    /// The instance's clock is at what is read already, or this many seconds before the position: reads
    /// it again every few seconds, as there is nothing else to ask for.
    fn wait_for_clock(&self, ahead: i64) -> Result<(), PollError> {
        self.instance
            .read_clock_if_old(&self.table.name, &self.stop)?;
        if ahead > MAX_SECONDS_AHEAD + self.delay {
            return Err(PollError::PositionAhead(ahead));
        }
        match self.clock_watch.silence(Instant::now()) {
            Some(silence) => Err(PollError::ClockBehind { ahead, silence }),
            None => Ok(()),
        }
    }

    /// The last second that is over by the instance's clock, and `timestamp_delay` ago.
    fn closed_by_clock(&self) -> Option<i64> {
        Some(self.instance.closed_second(Instant::now())? - self.delay)
    }

    /// The last second to read.
    fn upper_bound(&self, clock: i64) -> i64 {
        if self.delay > 0 {
            clock
        } else {
            clock.saturating_add(READ_AHEAD_SECONDS)
        }
    }

    /// Fetches one page, hands on those of its rows that are not known, and marks the new position. Gives
    /// what to do next and the number of rows that were handed on. `clock` is the last second that is over
    /// by the instance's clock.
    fn page(
        &mut self,
        request: &PageRequest,
        hi: i64,
        clock: i64,
    ) -> Result<(WindowStep, u64), PollError> {
        self.out.heartbeat.beat(REQUEST_HEARTBEAT_DEADLINE);
        self.out.take_rewind_request()?;
        let started = Instant::now();
        self.metrics.page_size.set(f64::from(request.limit));
        let closed = self.closed(clock, started);
        self.out.bounds = OpenBounds {
            known_from: self.capture.known_from(clock),
            closed: closed.last(),
        };
        let capture = Arc::clone(&self.capture);
        let beat = || self.out.heartbeat.beat(REQUEST_HEARTBEAT_DEADLINE);
        let turn = capture.gate.poller_turn(&self.stop, beat);
        let turn = turn.ok_or(PollError::Stopped)?;
        let mut rows = self.out.page(&turn);
        let read_before = self.window.read_ids();
        let fetched = self.fetch.fetch(request, read_before, closed, &mut rows)?;
        let known = rows.known;
        let Some(FetchedPage {
            page,
            total,
            bad_rows,
        }) = fetched
        else {
            return Ok((WindowStep::More, 0));
        };
        self.out.page_counts();
        let fresh = page.kept.saturating_sub(known);
        self.metrics
            .duration
            .observe(started.elapsed().as_secs_f64());
        self.metrics.rows.add(fresh);
        self.row_faults.report(&bad_rows, page.repeated);
        log_page(&self.table.name, fresh, total);
        let newest = page.summary.last.as_ref().map(|last| last.seconds);
        if let Some(newest) = newest {
            self.capture.frontier.lock().saw(newest, started);
        }
        let closed = newest.map_or(closed.last(), |newest| closed.behind(newest));
        let step = self.window.apply_page(request, hi, page.summary);
        self.window.record_good_page();
        match self.window.uncounted_end() {
            Some(reach) => self.uncounted.fail(uncounted_note(reach)),
            None => self.uncounted.ok(),
        }
        self.move_position(page.last_closed, closed, clock);
        let caught_up = (step == WindowStep::CaughtUp).then_some(clock);
        self.out.mark(self.position.clone(), fresh, caught_up)?;
        Ok((step, fresh))
    }

    /// Where reading begins at the newest second, the closed seconds before it are not read again, and no row
    /// of theirs can be the position: their end is.
    fn position_before_open(&self, closed: i64) -> Option<Cursor> {
        let start = self.open_start.as_ref()?.seconds;
        let seconds = start.min(closed.saturating_add(1));
        let position = self.position.as_ref();
        let is_later = position.is_none_or(|position| seconds > position.seconds.saturating_add(1));
        is_later.then_some(Cursor { seconds, id: None })
    }

    /// A page was read. The position follows the window as far as seconds are `closed`; `last_closed` is the
    /// last row of the page that is.
    fn move_position(&mut self, last_closed: Option<Cursor>, closed: i64, clock: i64) {
        match self.window.cursor() {
            Some(cursor) if cursor.seconds <= closed => self.position = Some(cursor.clone()),
            // The window has passed over hidden rows. The sweep looks at their seconds again.
            Some(cursor)
                if cursor.id.is_none()
                    && self.open_start.as_ref() != Some(cursor)
                    && self.position.as_ref().is_none_or(|it| it.seconds <= clock) =>
            {
                self.position = Some(Cursor {
                    seconds: cursor.seconds.min(clock.saturating_add(1)),
                    id: None,
                });
            }
            _ => {
                self.position = last_closed
                    .or_else(|| self.position_before_open(closed))
                    .or_else(|| self.position.take());
            }
        }
    }

    fn rewind(&mut self, rewind: RewindRequest) {
        self.out.generation = rewind.generation;
        if self.read_to.take().is_some() {
            self.progress.reads_again();
        }
        self.capture.span.lock().forget_unacknowledged();
        self.position.clone_from(&rewind.cursor);
        self.open_start = None;
        self.window.rewind(rewind.cursor);
        if rewind.single_rows {
            self.window.request_single_rows();
        }
        log::info!(table = self.table.name, from = self.window.position_text();
            "reading again from the last delivered row");
    }

    /// Waits for the next poll. A stop, a wake-up and a request to read again end the wait.
    fn pause(&mut self, pause: Duration) -> Option<RewindRequest> {
        self.out.heartbeat.beat(pause + POLLER_HEARTBEAT_SLACK);
        self.metrics.next_poll.set_time(pause);
        let deadline = crossbeam_channel::at(Instant::now() + pause);
        select! {
            recv(deadline) -> _ => None,
            recv(self.out.channels.wake_ups) -> _ => None,
            recv(self.stop.receiver()) -> _ => None,
            recv(self.out.channels.rewinds) -> rewind => {
                if rewind.is_err() {
                    // The sender has ended, and only a stop ends it.
                    self.stop.wait(pause);
                }
                rewind.ok()
            }
        }
    }

    /// Counts, logs and shows a failure; gives the pause before the next attempt.
    fn record_failure(&mut self, error: &PollError) -> Duration {
        if error.calls_for_smaller_page() {
            self.window.shrink();
        }
        if error.is_waited_out_by_client() {
            return self.record_outage(error);
        }
        self.metrics.count_error(error.metric_label());
        self.condition.record_error(&error.to_string());
        let retryable = error.is_retryable();
        let mut pause = self.backoff.next(fastrand::f64());
        let attempts = self.backoff.failures();
        let exhausted = self
            .instance
            .client()
            .max_retries()
            .is_some_and(|retries| attempts > retries);
        if !retryable || exhausted {
            pause = pause.max(self.table.slow_poll_interval);
        }
        if exhausted {
            self.backoff.reset();
        }
        if !retryable || exhausted || attempts >= FAILURES_UNTIL_UNHEALTHY {
            self.condition.fail(error.to_string());
        }
        // After a refused log-in the next request waits longer than this table.
        let login_wait = self.instance.client().login_wait(Instant::now());
        let failure = PollFailure {
            error,
            attempt: attempts,
            wait: pause.max(login_wait),
            page_size: self.window.page_size(),
            is_passing: retryable && !exhausted,
        };
        self.failures.report(&failure, Instant::now());
        pause
    }

    /// Says once that the table waits for the instance's clock; gives the pause before the next look.
    fn record_standstill(&mut self, error: &PollError) -> Duration {
        if !std::mem::replace(&mut self.stands_still, true) {
            self.metrics.count_error(error.metric_label());
            log::error!(table = self.table.name, error:% = error; "the table stands still");
        }
        self.condition.fail(error.to_string());
        self.clock_watch.pause(self.table.fast_poll_interval)
    }

    /// The client tells of an outage and lets the next request through, so that no pause is needed.
    fn record_outage(&mut self, error: &PollError) -> Duration {
        if !error.is_unsent_wait() {
            self.metrics.count_error(error.metric_label());
        }
        self.condition.record_error(&error.to_string());
        log::debug!(table = self.table.name, error:% = error; "a page waits for the instance");
        Duration::ZERO
    }

    fn record_success(&mut self) {
        self.stands_still = false;
        self.condition.ok();
        self.failures.succeeded();
        self.backoff.reset();
        self.metrics.last_success.set_time(Duration::ZERO);
    }
}
