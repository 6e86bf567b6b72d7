//! Reads a table: page after page, checked, handed to the sender.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};

use super::page_buffer::PageBuffer;
use super::poll_error::PollError;
use super::read_progress::ReadProgress;
use super::row_order::RowOrderCheck;
use super::time_zone::SourceInstance;
use super::window::{PageRequest, Window, WindowStep};
use super::{BatchMark, PollerMessage, RewindRequest, SourceContext};
use crate::backoff::Backoff;
use crate::config::{self, TableConfig};
use crate::health::{Condition, Heartbeat};
use crate::metrics::{Counter, Gauge, Histogram, Metrics};
use crate::servicenow;
use crate::servicenow::page::{CursorColumns, PageChunk, PageError, PageReader, RowBlock};
use crate::servicenow::query::{Cursor, EncodedQuery, QueryColumns};
use crate::servicenow::table_api;
use crate::servicenow::table_api::TableRequests;
use crate::stop::Stop;

/// How long a heartbeat lasts beyond what is expected.
const POLLER_HEARTBEAT_SLACK: Duration = Duration::from_secs(60);
/// A position this many seconds ahead of the instance is a mistake, not a clock that is off.
const MAX_SECONDS_AHEAD: i64 = 86_400;
/// Longest wait without a heartbeat.
const POLLER_WAKE_INTERVAL: Duration = Duration::from_secs(1);
/// Failures in a row after which a table counts as stuck.
const FAILURES_UNTIL_UNHEALTHY: u32 = 3;

/// The reading half of a table.
pub(super) struct TablePoller {
    table: TableConfig,
    instance: Arc<SourceInstance>,
    requests: TableRequests,
    columns: QueryColumns,
    locator: CursorColumns,
    delay: i64,
    initial_hours: Option<u32>,
    window: Window,
    generation: u64,
    items: Sender<PollerMessage>,
    spare: Receiver<RowBlock>,
    rewinds: Receiver<RewindRequest>,
    poked: Receiver<()>,
    stop: Stop,
    backoff: Backoff,
    /// The upper bound up to which everything is read.
    read_to: Option<i64>,
    /// Pages carry no count, so the Aggregate API is asked before each.
    counts_first: bool,
    progress: Option<ReadProgress>,
    /// The end was told already, before a row was gone back to.
    end_is_told: bool,
    warned_of_hidden: bool,
    heartbeat: Heartbeat,
    condition: Condition,
    meters: PollerMetrics,
}

struct PollerMetrics {
    rows: Counter,
    duration: Histogram,
    page_size: Gauge,
    hidden: Gauge,
    remaining: Gauge,
    last_success: Gauge,
    next_poll: Gauge,
    metrics: Arc<Metrics>,
}

impl TablePoller {
    #[expect(
        clippy::too_many_arguments,
        reason = "the ends of five channels are named here once"
    )]
    pub(super) fn new(
        context: &SourceContext,
        source: &config::SourceConfig,
        table: &TableConfig,
        start: Option<Cursor>,
        items: Sender<PollerMessage>,
        spare: Receiver<RowBlock>,
        rewinds: Receiver<RewindRequest>,
        poked: Receiver<()>,
        stop: &Stop,
    ) -> TablePoller {
        let metrics = &context.metrics;
        let labels = [table.name.as_str()];
        let fresh = start.is_none();
        TablePoller {
            requests: TableRequests::new(context.instance.table_api_path(), table),
            columns: table_api::query_columns(table),
            locator: CursorColumns::new(
                &table.timestamp_field,
                &table.identifier_field,
                table.display_value,
            ),
            delay: i64::try_from(source.timestamp_delay.as_secs()).unwrap_or(0),
            initial_hours: source.initial_query_hours_ago.filter(|_| fresh),
            window: Window::new(start, table.batch_size),
            generation: 0,
            items,
            spare,
            rewinds,
            poked,
            stop: stop.clone(),
            backoff: context.instance.client().backoff(),
            read_to: None,
            counts_first: false,
            progress: None,
            end_is_told: false,
            warned_of_hidden: false,
            heartbeat: context.health.thread(&format!("read:{}", table.name)),
            condition: context.health.condition(
                &format!("table {}", table.name),
                "waiting for the first page",
            ),
            meters: PollerMetrics {
                rows: metrics.source_records.with(&labels),
                duration: metrics.source_poll_duration.with(&labels),
                page_size: metrics.source_page_size.with(&labels),
                hidden: metrics.source_hidden_rows.with(&labels),
                remaining: metrics.source_remaining_rows.with(&labels),
                last_success: metrics.source_last_success.with(&labels),
                next_poll: metrics.source_next_poll.with(&labels),
                metrics: Arc::clone(metrics),
            },
            instance: Arc::clone(&context.instance),
            table: table.clone(),
        }
    }

    /// Polls until stopped.
    pub(super) fn run(mut self) {
        log::info!(table = self.table.name, topic = self.table.topic, from = self.place();
            "polling starts");
        while !self.stop.is_stopped() {
            self.heartbeat.beat(POLLER_HEARTBEAT_SLACK);
            let pause = match self.poll() {
                Ok(found) => {
                    self.recovered();
                    if found {
                        self.table.fast_poll_interval
                    } else {
                        self.table.slow_poll_interval
                    }
                }
                Err(PollError::Stopped) => break,
                // The clock is set back by that answer; the next poll asks for less.
                Err(PollError::NodeBehind) => self.table.fast_poll_interval,
                Err(PollError::Rewound(rewind)) => {
                    self.rewind(rewind);
                    continue;
                }
                Err(fault) => self.failed(&fault),
            };
            if let Err(PollError::Rewound(rewind)) = self.pause(pause) {
                self.rewind(rewind);
            }
        }
        log::info!(table = self.table.name; "polling ends");
    }

    /// Reads everything up to the last closed second; whether there were rows.
    fn poll(&mut self) -> Result<bool, PollError> {
        self.prepare()?;
        let Some(hi) = self.upper_bound() else {
            return Ok(false);
        };
        if let Some(cursor) = self.window.cursor()
            && cursor.seconds > hi.saturating_add(MAX_SECONDS_AHEAD + self.delay)
        {
            return Err(PollError::PositionAhead(cursor.seconds.saturating_sub(hi)));
        }
        if self.read_to.is_some_and(|read_to| hi <= read_to) {
            // No second was closed since: nothing can be new. Ask soon, it costs nothing.
            return Ok(true);
        }
        self.window.begin_round();
        let before = self.meters.rows.get();
        let mut found = false;
        while let Some(ask) = self.window.next_request(hi) {
            if self.stop.is_stopped() {
                return Err(PollError::Stopped);
            }
            let (step, rows) = self.page(&ask, hi)?;
            found |= rows > 0;
            self.backoff.reset();
            self.condition.ok();
            match step {
                WindowStep::More => self.report_progress(before),
                WindowStep::CaughtUp => break,
                WindowStep::Stuck => return Err(PollError::HiddenRows),
            }
        }
        self.read_to = Some(hi);
        self.caught_up();
        Ok(found)
    }

    /// What must be known before the first page: how times are read, what time it is.
    fn prepare(&mut self) -> Result<(), PollError> {
        self.heartbeat.beat(POLLER_HEARTBEAT_SLACK * 10);
        self.instance.literals(&self.stop)?;
        if self.instance.closed_second(Instant::now()).is_none() {
            let params = vec![
                ("sysparm_limit", "1".to_owned()),
                ("sysparm_fields", "sys_id".to_owned()),
            ];
            let get = table_api::probe(self.instance.table_api_path(), &self.table.name, params);
            let answer = self.instance.client().get(&get, &self.stop)?;
            self.instance.observe(&answer.meta);
            if self.instance.closed_second(Instant::now()).is_none() {
                return Err(PollError::NoClock);
            }
        }
        if let Some(hours) = self.initial_hours
            && let Some(now) = self.instance.closed_second(Instant::now())
        {
            let seconds = now - i64::from(hours) * 3600;
            self.window.rewind(Some(Cursor { seconds, id: None }));
            self.initial_hours = None;
            // Kept at once: a restart before the first row must not begin later than this.
            self.mark(0, None)?;
        }
        Ok(())
    }

    fn upper_bound(&self) -> Option<i64> {
        Some(self.instance.closed_second(Instant::now())? - self.delay)
    }

    /// Fetches one page and hands its rows on.
    fn page(&mut self, ask: &PageRequest, hi: i64) -> Result<(WindowStep, u64), PollError> {
        self.heartbeat.beat(POLLER_HEARTBEAT_SLACK * 10);
        self.look_for_rewind()?;
        let started = Instant::now();
        self.meters.page_size.set(f64::from(ask.limit));
        let literals = self.instance.literals(&self.stop)?;
        let encoded = self.columns.encode(&ask.slice, literals);
        let get = self.requests.list(&encoded, ask.limit, ask.count);
        let client = self.instance.client();
        let counted = if ask.count && self.counts_first {
            Some(self.count(&encoded)?)
        } else {
            None
        };
        let response = client.get(&get, &self.stop)?;
        self.instance.observe(&response.meta);
        if response.meta.date.is_some_and(|date| date <= hi) {
            return Err(PollError::NodeBehind);
        }
        let total = counted.or(response.meta.total_count);
        let mut page = PageBuffer::new(RowOrderCheck::new(encoded.clone(), &ask.slice), ask.limit);
        let locator = self.locator.clone();
        let mut reader = PageReader::new(response.body, &locator);
        loop {
            let piece = reader.next(self.spare.try_recv().ok());
            let PageChunk::Rows(mut block) = piece.map_err(|error| self.page_fault(error))? else {
                break;
            };
            page.take(&mut block)
                .map_err(PollError::ConditionsIgnored)?;
            if let Some(block) = page.hold(block) {
                self.hand_over(block, false)?;
            }
        }
        if ask.count && total.is_none() && !page.needs_no_count() {
            // A count that follows the rows could be too small. From now on it goes first.
            self.counts_first = true;
            return Ok((WindowStep::More, 0));
        }
        while let Some(block) = page.release() {
            self.hand_over(block, true)?;
        }
        self.meters
            .duration
            .observe(started.elapsed().as_secs_f64());
        let kept = page.kept();
        self.meters.rows.add(kept);
        let step = self.window.apply_page(ask, hi, page.answer(total));
        self.window.record_good_page();
        self.mark(kept, (step == WindowStep::CaughtUp).then_some(hi))?;
        Ok((step, kept))
    }

    fn page_fault(&self, error: PageError) -> PollError {
        match error {
            PageError::Read(error) => {
                let what = format!("table `{}`", self.table.name);
                match self.instance.client().body_error(&error, &what) {
                    servicenow::Error::Stopped => PollError::Stopped,
                    error => PollError::Body(error),
                }
            }
            error => PollError::Page(error),
        }
    }

    /// The count of the slice from the Aggregate API, for instances whose pages carry none. It is
    /// asked for before the rows: a slice of the past only shrinks.
    fn count(&self, encoded: &EncodedQuery) -> Result<u64, PollError> {
        let get = self.requests.count(encoded);
        let (result, meta) = self.instance.client().get_result_once(&get, &self.stop)?;
        self.instance.observe(&meta);
        table_api::count_of(&result).ok_or_else(|| {
            PollError::Page(PageError::Malformed(
                "neither X-Total-Count nor the Aggregate API counts the rows".to_owned(),
            ))
        })
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
        let mark = BatchMark::new(cursor, rows, caught_up);
        self.send(PollerMessage::Mark {
            generation: self.generation,
            mark,
        })
    }

    /// Waits for room; a full queue is Kafka's way to slow the poller down.
    fn send(&mut self, item: PollerMessage) -> Result<(), PollError> {
        let mut item = Some(item);
        while let Some(waiting) = item.take() {
            self.heartbeat.beat(POLLER_HEARTBEAT_SLACK);
            item = match self.items.send_timeout(waiting, POLLER_WAKE_INTERVAL) {
                Ok(()) => None,
                Err(crossbeam_channel::SendTimeoutError::Timeout(waiting)) => {
                    self.look_for_rewind()?;
                    Some(waiting)
                }
                Err(crossbeam_channel::SendTimeoutError::Disconnected(_)) => {
                    return Err(PollError::Stopped);
                }
            };
        }
        Ok(())
    }

    fn look_for_rewind(&self) -> Result<(), PollError> {
        self.rewinds
            .try_recv()
            .map_or(Ok(()), |rewind| Err(PollError::Rewound(rewind)))
    }

    fn rewind(&mut self, rewind: RewindRequest) {
        self.generation = rewind.generation;
        self.end_is_told |= self.read_to.take().is_some();
        self.window.rewind(rewind.cursor);
        if rewind.carefully {
            self.window.request_single_rows();
        }
        log::info!(table = self.table.name, from = self.place();
            "reading again from the last delivered row");
    }

    /// Where reading goes on, in words.
    fn place(&self) -> String {
        let cursor = self.window.cursor();
        cursor.map_or_else(|| "the beginning".to_owned(), Cursor::to_string)
    }

    /// Waits for the next poll; a wish to go back ends it.
    fn pause(&mut self, pause: Duration) -> Result<(), PollError> {
        self.heartbeat.beat(pause + POLLER_HEARTBEAT_SLACK);
        self.meters.next_poll.set_time(pause);
        let deadline = crossbeam_channel::at(Instant::now() + pause);
        select! {
            recv(deadline) -> _ => Ok(()),
            recv(self.poked) -> _ => Ok(()),
            recv(self.stop.receiver()) -> _ => Ok(()),
            recv(self.rewinds) -> rewind => match rewind {
                Ok(rewind) => Err(PollError::Rewound(rewind)),
                // The sender has ended: only a stop does that.
                Err(_) => { self.stop.wait(pause); Ok(()) }
            },
        }
    }

    /// Counts a failure, says what happened; the pause before the next attempt.
    fn failed(&mut self, fault: &PollError) -> Duration {
        self.meters
            .metrics
            .source_errors
            .with(&[&self.table.name, fault.kind()])
            .inc();
        if fault.wants_less() {
            self.window.shrink();
        }
        self.condition.record_error(&fault.to_string());
        let retryable = fault.is_retryable();
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
            self.condition.fail(fault.to_string());
        }
        let retry_in = format!("{:.1}s", pause.as_secs_f64());
        if retryable && !exhausted {
            log::warn!(table = self.table.name, error:% = fault, attempt = attempts,
                retry_in = retry_in, page_size = self.window.page_size(); "a page failed");
        } else {
            log::error!(table = self.table.name, error:% = fault, attempt = attempts,
                retry_in = retry_in; "the table cannot be read");
        }
        pause
    }

    fn recovered(&mut self) {
        self.condition.ok();
        self.backoff.reset();
        self.meters.last_success.set_time(Duration::ZERO);
    }

    fn caught_up(&mut self) {
        self.report_hidden();
        self.meters.remaining.set(0.0);
        let is_told = std::mem::take(&mut self.end_is_told);
        if let Some(progress) = self.progress.take().filter(|_| !is_told) {
            progress.end(&self.table.name, self.meters.rows.get());
        }
    }

    /// Hidden rows are behind the cursor in the next round, so what was seen last stays. Rows that
    /// nobody may see are often meant so: one warning.
    fn report_hidden(&mut self) {
        let hidden = self.window.hidden();
        if hidden == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        self.meters.hidden.set(hidden as f64);
        if !self.warned_of_hidden {
            self.warned_of_hidden = true;
            log::warn!(table = self.table.name, rows = hidden;
                "rows are hidden from the integration user and do not arrive");
        }
    }

    /// One line now and then while much is left to read.
    fn report_progress(&mut self, before: u64) {
        let left = self.window.remaining();
        if let Some(left) = left {
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            self.meters.remaining.set(left as f64);
        }
        let rows = self.meters.rows.get();
        let progress = self
            .progress
            .get_or_insert_with(|| ReadProgress::new(before));
        progress.report(&self.table.name, rows, left);
    }
}
