//! Reads a table: page after page, each checked, then handed to the sender.
//!
//! A poll reads everything up to the last second that is over on the instance, in as many pages as
//! that takes. Then the poller pauses. Whatever goes wrong ends the poll; what happened is counted,
//! logged and shown, and the next poll goes on behind the last good page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{SendTimeoutError, select};

use super::channels::{BatchMark, PollerChannels, PollerMessage, RewindRequest};
use super::clock_watch::ClockWatch;
use super::context::SourceContext;
use super::failure_log::{PollFailure, PollFailureLog};
use super::instance::SourceInstance;
use super::page_buffer::PageBuffer;
use super::page_check::{PageCheck, is_too_early};
use super::poll_error::PollError;
use super::poller_metrics::PollerMetrics;
use super::read_progress::{ReadProgress, log_page};
use super::row_counts::{RowCounts, uncounted_note};
use super::row_fault_log::RowFaultLog;
use super::window::{PageRequest, Window, WindowStep};
use crate::backoff::Backoff;
use crate::config::{SourceConfig, TableConfig};
use crate::health::{Condition, ConditionKey, Heartbeat};
use crate::servicenow::page::{CursorColumns, PageChunk, PageReader, RowBlock};
use crate::servicenow::query::{Cursor, EncodedQuery, QueryColumns};
use crate::servicenow::table_api::{self, TableRequests};
use crate::stop::Stop;

/// How long the heartbeat may stay away beyond the wait that is expected.
const POLLER_HEARTBEAT_SLACK: Duration = Duration::from_secs(60);
/// How long one request may keep the thread from its heartbeat, with all its repetitions.
const REQUEST_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(600);
/// A position this many seconds ahead of the instance is a mistake, not a clock that is off.
const MAX_SECONDS_AHEAD: i64 = 86_400;
/// Longest wait for room in the channel without a heartbeat.
const POLLER_WAKE_INTERVAL: Duration = Duration::from_secs(1);
/// Failures in a row after which the table counts as unhealthy.
const FAILURES_UNTIL_UNHEALTHY: u32 = 3;

/// The reading half of a table.
pub(super) struct TablePoller {
    table: TableConfig,
    instance: Arc<SourceInstance>,
    requests: TableRequests,
    query_columns: QueryColumns,
    cursor_columns: CursorColumns,
    /// Seconds behind the instance's clock up to which is read (`timestamp_delay`).
    delay: i64,
    /// How many hours back the first read of a table without a checkpoint begins; `None` once it has
    /// begun.
    initial_hours: Option<u32>,
    window: Window,
    generation: u64,
    channels: PollerChannels,
    stop: Stop,
    backoff: Backoff,
    /// The upper bound up to which everything is read.
    read_to: Option<i64>,
    clock_watch: ClockWatch,
    counts: RowCounts,
    /// The note that nothing counts the rows.
    uncounted: Condition,
    /// Whether the log has it that the table waits for the instance's clock.
    stands_still: bool,
    progress: ReadProgress,
    row_faults: RowFaultLog,
    failures: PollFailureLog,
    heartbeat: Heartbeat,
    condition: Condition,
    metrics: PollerMetrics,
}

impl TablePoller {
    pub(super) fn new(
        context: &SourceContext,
        source: &SourceConfig,
        table: &TableConfig,
        start: Option<Cursor>,
        channels: PollerChannels,
        stop: &Stop,
    ) -> TablePoller {
        let initial_hours = match start {
            Some(_) => None,
            None => source.initial_query_hours_ago,
        };
        TablePoller {
            requests: TableRequests::new(context.instance.table_api_path(), table),
            query_columns: table_api::query_columns(table),
            cursor_columns: CursorColumns::new(
                &table.timestamp_field,
                &table.identifier_field,
                table.display_value,
            ),
            delay: i64::try_from(source.timestamp_delay.as_secs()).unwrap_or(0),
            initial_hours,
            window: Window::new(start, table.batch_size),
            generation: 0,
            channels,
            stop: stop.clone(),
            backoff: context.instance.client().backoff(),
            read_to: None,
            clock_watch: ClockWatch::new(table.slow_poll_interval, Instant::now()),
            counts: RowCounts::default(),
            uncounted: context.health.note(ConditionKey::Table(table.name.clone())),
            stands_still: false,
            progress: ReadProgress::new(&table.name),
            failures: PollFailureLog::new(&table.name),
            row_faults: RowFaultLog::new(table, &context.metrics),
            heartbeat: context.health.thread(&format!("read:{}", table.name)),
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
            self.heartbeat.beat(POLLER_HEARTBEAT_SLACK);
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
                // That answer has set the clock back, so the next poll asks for less, or its `Date`
                // is an error, and the next one is right.
                Err(PollError::NodeBehind) => self.table.fast_poll_interval,
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

    /// Reads everything up to the last closed second; true when there were rows.
    fn poll(&mut self) -> Result<bool, PollError> {
        self.prepare()?;
        let Some(hi) = self.upper_bound() else {
            return Ok(false);
        };
        let position = self.window.cursor().map(|cursor| cursor.seconds);
        let ahead = position.map_or(0, |position| position.saturating_sub(hi));
        if ahead > 0 || self.read_to == Some(hi) {
            // No second has closed since, so nothing can be new. To look again soon costs nothing.
            return self.wait_for_clock(ahead).map(|()| true);
        }
        self.clock_watch.record_request(Instant::now());
        self.window.begin_round(Instant::now());
        let rows_before = self.metrics.rows.get();
        let mut had_rows = false;
        while let Some(request) = self.window.next_request(hi) {
            if self.stop.is_stopped() {
                return Err(PollError::Stopped);
            }
            let (step, rows) = self.page(&request, hi)?;
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
        self.progress.caught_up(self.window.hidden(), &self.metrics);
        Ok(had_rows)
    }

    /// Finds out what must be known before the first page: how the instance reads times in queries,
    /// and what time it is there.
    fn prepare(&mut self) -> Result<(), PollError> {
        self.heartbeat.beat(REQUEST_HEARTBEAT_DEADLINE);
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
            self.window.rewind(Some(Cursor { seconds, id: None }));
            self.initial_hours = None;
            // Into the checkpoint at once: a restart before the first row must not begin later.
            self.mark(0, None)?;
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

    /// The last second to read: it is over on the instance, and `timestamp_delay` has passed.
    fn upper_bound(&self) -> Option<i64> {
        Some(self.instance.closed_second(Instant::now())? - self.delay)
    }

    /// Fetches one page, hands its rows on when it counts, and marks the new position. Gives what to
    /// do next and the number of rows.
    ///
    /// Where the answer lacks a count that is needed, it does not count: the same page is asked for
    /// again, behind a count of its own.
    fn page(&mut self, request: &PageRequest, hi: i64) -> Result<(WindowStep, u64), PollError> {
        self.heartbeat.beat(REQUEST_HEARTBEAT_DEADLINE);
        self.take_rewind_request()?;
        let started = Instant::now();
        self.metrics.page_size.set(f64::from(request.limit));
        let literals = self.instance.literals(&self.stop)?;
        let query = self.query_columns.encode(&request.slice, literals);
        let comes_first =
            |counts: &RowCounts| counts.come_first(&self.instance.count_refusal(), started);
        let counted_before = if request.count && comes_first(&self.counts) {
            Some(self.count(&query)?)
        } else {
            None
        };
        let get = self.requests.list(&query, request.limit, request.count);
        let response = self.instance.client().get(&get, &self.stop)?;
        self.instance.observe(&response.meta);
        let is_early = is_too_early(response.meta.date, hi);
        if self.clock_watch.must_ask_again(is_early) {
            return Err(PollError::NodeBehind);
        }
        let counted_before = counted_before.and_then(|count| self.accept_count(count));
        let total = counted_before.or(response.meta.total_count);
        if request.count && response.meta.total_count.is_some() {
            self.counts.came();
        }

        let mut check = PageCheck::new(query, request, self.window.read_ids());
        let mut buffer = PageBuffer::default();
        let mut reader = PageReader::new(response.body, self.cursor_columns.clone())
            .on_bad_row(self.table.on_bad_row);
        let mut bad_rows = Vec::new();
        loop {
            let spare = self.channels.spare_blocks.try_recv().ok();
            let chunk = reader.next(spare).map_err(|error| {
                PollError::of_page(error, self.instance.client(), &self.table.name)
            })?;
            let PageChunk::Rows(mut block) = chunk else {
                break;
            };
            check
                .keep_asked_rows(&mut block)
                .map_err(PollError::ConditionsIgnored)?;
            bad_rows.append(&mut block.bad);
            if let Some(block) = buffer.hold_back(block) {
                self.hand_over(block, false)?;
            }
        }
        self.cursor_columns = reader.into_columns();
        let is_optional = self.instance.count_refusal().makes_counts_optional();
        let Some(page) = check.finish(total, is_optional) else {
            self.counts.missed();
            return Ok((WindowStep::More, 0));
        };
        while let Some(block) = buffer.release_oldest() {
            self.hand_over(block, true)?;
        }
        self.metrics
            .duration
            .observe(started.elapsed().as_secs_f64());
        self.metrics.rows.add(page.kept);
        self.row_faults.report(&bad_rows, page.repeated);
        log_page(&self.table.name, page.kept, total);
        let step = self.window.apply_page(request, hi, page.summary);
        self.window.record_good_page();
        match self.window.uncounted_end() {
            Some(reach) => self.uncounted.fail(uncounted_note(reach)),
            None => self.uncounted.ok(),
        }
        let caught_up = (step == WindowStep::CaughtUp).then_some(hi);
        self.mark(page.kept, caught_up)?;
        Ok((step, page.kept))
    }

    /// The number of rows in a slice from the Aggregate API, for instances whose pages carry none, or why
    /// there is none. It is asked for before the rows: a slice of the past only shrinks, so the count is
    /// never too small for the rows that follow.
    fn count(&self, query: &EncodedQuery) -> Result<Result<u64, String>, PollError> {
        let get = table_api::count(self.instance.stats_api_path(), &self.table.name, query);
        match self.instance.client().get_result_once(&get, &self.stop) {
            Ok(answer) => {
                self.instance.observe(&answer.head);
                let count = answer.count();
                Ok(count.ok_or_else(|| "the answer has no count".to_owned()))
            }
            Err(error) if error.is_unusable_answer() => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in what became of asking for a count, now that the page behind it has been answered, so that it
    /// is not the instance that is away.
    fn accept_count(&self, count: Result<u64, String>) -> Option<u64> {
        let mut refusal = self.instance.count_refusal();
        match count {
            Ok(count) => {
                refusal.counted();
                Some(count)
            }
            Err(why) => {
                if refusal.refused(Instant::now()) {
                    log::warn!(table = self.table.name, error = why;
                        "nothing counts the rows: pages come without X-Total-Count, and the Aggregate API \
                         (servicenow.stats_api_path) does not count; tables end at an empty page now, and \
                         how many rows are hidden is not known; let both through at the gateway");
                }
                None
            }
        }
    }

    fn hand_over(&mut self, block: RowBlock, checked: bool) -> Result<(), PollError> {
        self.send(PollerMessage::Rows {
            generation: self.generation,
            block,
            checked,
        })
    }

    fn mark(&mut self, rows: u64, caught_up: Option<i64>) -> Result<(), PollError> {
        let cursor = self.window.cursor().cloned();
        self.send(PollerMessage::Mark {
            generation: self.generation,
            mark: BatchMark::new(cursor, rows, caught_up),
        })
    }

    /// Waits for room in the channel: a full one is how Kafka slows the poller down.
    fn send(&mut self, mut message: PollerMessage) -> Result<(), PollError> {
        loop {
            self.heartbeat.beat(POLLER_HEARTBEAT_SLACK);
            message = match self
                .channels
                .messages
                .send_timeout(message, POLLER_WAKE_INTERVAL)
            {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(message)) => message,
                Err(SendTimeoutError::Disconnected(_)) => return Err(PollError::Stopped),
            };
            self.take_rewind_request()?;
        }
    }

    fn take_rewind_request(&self) -> Result<(), PollError> {
        match self.channels.rewinds.try_recv() {
            Ok(rewind) => Err(PollError::Rewound(rewind)),
            Err(_) => Ok(()),
        }
    }

    fn rewind(&mut self, rewind: RewindRequest) {
        self.generation = rewind.generation;
        if self.read_to.take().is_some() {
            self.progress.reads_again();
        }
        self.window.rewind(rewind.cursor);
        if rewind.single_rows {
            self.window.request_single_rows();
        }
        log::info!(table = self.table.name, from = self.window.position_text();
            "reading again from the last delivered row");
    }

    /// Waits for the next poll. A stop, a wake-up and a request to read again end the wait.
    fn pause(&mut self, pause: Duration) -> Option<RewindRequest> {
        self.heartbeat.beat(pause + POLLER_HEARTBEAT_SLACK);
        self.metrics.next_poll.set_time(pause);
        let deadline = crossbeam_channel::at(Instant::now() + pause);
        select! {
            recv(deadline) -> _ => None,
            recv(self.channels.wake_ups) -> _ => None,
            recv(self.stop.receiver()) -> _ => None,
            recv(self.channels.rewinds) -> rewind => {
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
