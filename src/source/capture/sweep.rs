//! Finds rows that were committed late, behind the poller.
//!
//! Every second of a table is listed again while it settles: identifier, timestamp and count of updates only. A version
//! that is not known is fetched whole and delivered. A second settles with the listing that finds nothing more
//! after its time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::delivery::{MAX_IDS_PER_REQUEST, Versions};
use super::shared::CaptureShared;
use super::task::{CaptureTask, StepContext};
use super::version::id_number;
use crate::config::TableConfig;
use crate::metrics::{Counter, Gauge, Histogram};
use crate::servicenow::page::RowBlock;
use crate::servicenow::query::Cursor;
use crate::source::context::SourceContext;
use crate::source::frontier::ClosedSeconds;
use crate::source::instance::SourceInstance;
use crate::source::page_fetch::{FetchedPage, PageFetch, PageRows};
use crate::source::poll_error::PollError;
use crate::source::window::{Window, WindowStep};
use crate::stop::Stop;

/// Rows of one listing: about 1 MB.
const LISTING_ROWS: u32 = 10_000;
/// Shortest and longest time from the start of a sweep to the start of the next one. A late row arrives within
/// a minute.
const SWEEP_INTERVAL: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(45));
/// Time between two warnings that rows come later than the span has room for.
const LATENESS_LOG_INTERVAL: Duration = Duration::from_secs(3_600);

/// The sweep of one table.
pub(super) struct Sweep {
    table: String,
    shared: Arc<CaptureShared>,
    instance: Arc<SourceInstance>,
    fetch: PageFetch,
    pass: Option<SweepPass>,
    next: Instant,
    warned: Option<Instant>,
    requests: Counter,
    late_rows: Counter,
    lateness: Histogram,
    lateness_max: Gauge,
    unsettled: Gauge,
}

/// One listing of the unsettled seconds, page by page.
struct SweepPass {
    window: Window,
    /// The last second that is listed.
    to: i64,
    /// The last second that settles when the pass is over.
    settles: Option<i64>,
    /// The last one that settles before its time.
    settles_early: Option<i64>,
    began: Instant,
    requests: u32,
    /// Rows of unknown versions that are still to be fetched.
    late: Vec<String>,
}

/// The rows of a listing whose versions are not known.
struct UnknownRows<'a> {
    shared: &'a CaptureShared,
    ids: Vec<String>,
}

impl PageRows for UnknownRows<'_> {
    fn take(&mut self, block: RowBlock, _checked: bool) -> Result<(), PollError> {
        let span = self.shared.span.lock();
        for row in &block.rows {
            let id = block.slice(&row.id);
            if !span.contains_listed(row.seconds, id_number(id), row.mod_count) {
                self.ids.push(String::from_utf8_lossy(id).into_owned());
            }
        }
        Ok(())
    }
}

impl Sweep {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        shared: &Arc<CaptureShared>,
        stop: &Stop,
    ) -> Sweep {
        let metrics = &context.metrics;
        let labels = [table.name.as_str()];
        Sweep {
            table: table.name.clone(),
            shared: Arc::clone(shared),
            instance: Arc::clone(&context.instance),
            fetch: PageFetch::of_versions(&context.instance, table, stop),
            pass: None,
            next: Instant::now(),
            warned: None,
            requests: metrics.source_sweep_requests.with(&labels),
            late_rows: metrics.source_late_rows.with(&labels),
            lateness: metrics.source_lateness.with(&labels),
            lateness_max: metrics.source_lateness_max.with(&labels),
            unsettled: metrics.source_unsettled_rows.with(&labels),
        }
    }

    /// Begins to list the unsettled seconds; `None`: there are none.
    fn begin(&self, now: Instant) -> Option<SweepPass> {
        let clock = self.instance.closed_second(now)?;
        let long_settled = self.shared.known_from(clock);
        let (settled, settles_early) = {
            let span = self.shared.span.lock();
            (
                span.settled().max(Some(long_settled))?,
                span.settles_early(),
            )
        };
        // A first load is not read to its end yet, but to what it has delivered.
        let to = self.shared.frontier.lock().read_to().max(settles_early)?;
        if to <= settled {
            return None;
        }
        let start = Cursor {
            seconds: settled.saturating_add(1),
            id: None,
        };
        let mut window = Window::new(Some(start), LISTING_ROWS);
        window.begin_round(now);
        Some(SweepPass {
            window,
            to,
            settles: self.shared.due(now).map(|due| due.min(to)),
            settles_early,
            began: now,
            requests: 0,
            late: Vec::new(),
        })
    }

    /// Lists one page; true when it was the last one.
    fn list(&mut self, pass: &mut SweepPass) -> Result<bool, PollError> {
        let Some(request) = pass.window.next_request(pass.to) else {
            return Ok(true);
        };
        self.requests.inc();
        pass.requests += 1;
        let mut unknown = UnknownRows {
            shared: &self.shared,
            ids: Vec::new(),
        };
        let read_before = pass.window.read_ids();
        let fetched = self
            .fetch
            .fetch(&request, read_before, ClosedSeconds::ALL, &mut unknown);
        let fetched = fetched.inspect_err(|error| {
            if error.calls_for_smaller_page() {
                pass.window.shrink();
            }
        })?;
        let Some(FetchedPage { page, .. }) = fetched else {
            return Ok(false);
        };
        pass.late.append(&mut unknown.ids);
        let step = pass.window.apply_page(&request, pass.to, page.summary);
        pass.window.record_good_page();
        match step {
            WindowStep::More => Ok(false),
            WindowStep::CaughtUp => Ok(true),
            WindowStep::Stuck => Err(PollError::HiddenRows),
        }
    }

    /// Fetches and delivers some of the rows that are not known.
    fn deliver(
        &mut self,
        pass: &mut SweepPass,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        let count = pass.late.len().min(MAX_IDS_PER_REQUEST);
        let ids = pass.late.get(..count).unwrap_or_default();
        self.requests.inc();
        pass.requests += 1;
        let (delivery, heartbeat) = (&mut context.delivery, context.heartbeat);
        let delivered = delivery.deliver_by_id(ids, Versions::Unknown, heartbeat)?;
        if delivered.is_whole() {
            pass.late.drain(..count);
        }
        let now = Instant::now();
        if let (Some(oldest), Some(clock)) = (delivered.oldest, self.instance.closed_second(now))
            && delivered.rows > 0
        {
            self.report_late(delivered.rows, clock.saturating_sub(oldest).max(0), now);
        }
        Ok(())
    }

    /// Counts late rows, the oldest of which became visible `seconds` after its timestamp at most.
    fn report_late(&mut self, rows: u64, seconds: i64, now: Instant) {
        self.late_rows.add(rows);
        #[expect(clippy::cast_precision_loss, reason = "a histogram of seconds")]
        let late = seconds as f64;
        self.lateness.observe(late);
        self.lateness_max.set(self.lateness_max.get().max(late));
        log::debug!(table = self.table, rows, seconds; "rows were committed late");
        let settle = self.shared.settle_seconds();
        let is_told = self
            .warned
            .is_some_and(|at| now.saturating_duration_since(at) < LATENESS_LOG_INTERVAL);
        if seconds > settle / 5 * 4 && !is_told {
            self.warned = Some(now);
            log::warn!(table = self.table, seconds_late = seconds, settle_seconds = settle;
                "rows become visible almost as late as source.settle looks for them; later ones would be \
                 missed: raise source.settle to twice the time that they were late");
        }
    }

    fn end(&mut self, pass: &SweepPass) {
        if let Some(early) = pass.settles_early
            && pass.settles.is_none_or(|settles| settles < early)
        {
            log::warn!(table = self.table, to = early;
                "more rows than can be remembered changed within source.settle; the older seconds were listed \
                 again now and not later: shorten source.settle, and run `verify` after the load");
        }
        if let Some(settles) = pass.settles.max(pass.settles_early) {
            self.shared.settle(settles);
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        self.unsettled.set(self.shared.span.lock().len() as f64);
        let (shortest, longest) = SWEEP_INTERVAL;
        let interval = shortest.saturating_mul(pass.requests).min(longest);
        self.next = pass.began + interval.max(shortest);
    }
}

impl CaptureTask for Sweep {
    fn name(&self) -> &'static str {
        "the sweep for late rows"
    }

    fn due(&mut self, now: Instant) -> Option<Instant> {
        let is_due = self.next <= now || self.shared.span.lock().settles_early().is_some();
        if self.pass.is_none() && is_due {
            self.pass = self.begin(now);
            if self.pass.is_none() {
                self.next = now + SWEEP_INTERVAL.0;
            }
        }
        self.pass.as_ref().map(|_| now)
    }

    fn step(&mut self, context: &mut StepContext<'_>) -> Result<(), PollError> {
        let Some(mut pass) = self.pass.take() else {
            return Ok(());
        };
        let mut is_listed = false;
        let done = if pass.late.is_empty() {
            self.list(&mut pass).map(|is_last| is_listed = is_last)
        } else {
            self.deliver(&mut pass, context)
        };
        if done.is_ok() && is_listed && pass.late.is_empty() {
            self.end(&pass);
        } else {
            self.pass = Some(pass);
        }
        done
    }
}
