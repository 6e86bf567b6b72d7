//! Reads every row of a table once in each `content_cycle`, and delivers those that differ from what the topic
//! holds: changes that moved neither the timestamp nor `sys_mod_count`, which the stream cannot see.
//!
//! Pages come in the order of identifiers, spread over the cycle. A row is compared by the hash of its content with
//! the index of the topic; before one is sent, the index takes in all that the stream has handed over, so
//! that nothing is sent that the topic has. How far the cycle is stands in a file beside the checkpoint.

mod judge;
mod pace;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::judge::{ContentRules, RowState, judge};
use self::pace::{CyclePlace, pause};
use self::state::{ContentState, ContentStateFile};
use super::delivered_topic::DeliveredTopic;
use super::delivery::{CollectedBlocks, TopicLook};
use super::key_walk::KeyWalk;
use super::shared::CaptureShared;
use super::task::{CaptureTask, STATE_WRITE_INTERVAL, StepContext};
use crate::config::TableConfig;
use crate::control::SnapshotPart;
use crate::delivered::{DeliveredRow, RowVersion, content_hash};
use crate::metrics::Metrics;
use crate::source::context::SourceContext;
use crate::source::instance::SourceInstance;
use crate::source::poll_error::PollError;

/// Pause before a page is read again that the stream has overtaken.
const AGAIN_INTERVAL: Duration = Duration::from_secs(1);
/// Before a longer pause the index is closed.
const INDEX_IDLE_TIME: Duration = Duration::from_secs(60);

/// The content cycle of one table.
pub(super) struct ContentCycle {
    table: String,
    cycle: Duration,
    batch: u32,
    has_own_writes: bool,
    shared: Arc<CaptureShared>,
    instance: Arc<SourceInstance>,
    file: ContentStateFile,
    state: ContentState,
    walk: KeyWalk,
    /// The index has taken in the topic to its end in this cycle.
    is_followed: bool,
    /// The oldest timestamp of the topic, looked up once in a cycle.
    oldest: Option<Option<i64>>,
    next: Instant,
    written: Instant,
    metrics: Arc<Metrics>,
}

/// Rows of a page by their state.
type StateCounts = BTreeMap<RowState, u64>;

impl ContentCycle {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        shared: &Arc<CaptureShared>,
        fingerprint: &str,
    ) -> ContentCycle {
        let file = ContentStateFile::beside(&context.checkpoints.path(), &table.name);
        let (state, fault) = file.read(fingerprint);
        if let Some(why) = fault {
            log::warn!(table = table.name, file:% = file.path().display(), why;
                "how far the content cycle was is of no use; it begins anew");
        }
        let now = Instant::now();
        let mut cycle = ContentCycle {
            table: table.name.clone(),
            cycle: table.content_cycle,
            batch: table.batch_size,
            has_own_writes: table.skip_own_writes,
            shared: Arc::clone(shared),
            instance: Arc::clone(&context.instance),
            file,
            walk: KeyWalk::behind(state.after.clone(), state.remaining, table.batch_size),
            state,
            is_followed: false,
            oldest: None,
            next: now,
            written: now,
            metrics: Arc::clone(&context.metrics),
        };
        if cycle.state.began.is_some() {
            cycle.next = now + cycle.pause();
        }
        for state in RowState::ALL {
            let labels = [table.name.as_str(), state.word()];
            cycle.metrics.content_rows.with(&labels);
        }
        cycle.show();
        cycle
    }

    /// The pause before the next page.
    fn pause(&self) -> Duration {
        let place = CyclePlace {
            passed: self.state.began.map_or(Duration::ZERO, passed_since),
            read: self.state.read,
            left: self.state.remaining.unwrap_or(0),
            page: self.walk.limit(),
        };
        pause(self.cycle, place)
    }

    /// The last second of which the stream has delivered every row, as `source::capture::sweep` has found the late
    /// ones.
    fn settled(&self, now: Instant) -> Option<i64> {
        let read_to = self.shared.frontier.lock().read_to()?;
        let clock = self.instance.closed_second(now)?;
        let long_settled = self.shared.known_from(clock);
        let settled = self.shared.span.lock().settled();
        Some(settled.max(Some(long_settled))?.min(read_to))
    }

    /// Begins a cycle where none is under way. Without the instance's count the index tells how many rows there are.
    fn begin(&mut self, delivered: &mut DeliveredTopic) -> Result<(), PollError> {
        if self.oldest.is_none() {
            self.oldest = Some(delivered.index()?.oldest()?);
        }
        if self.state.began.is_none() || self.state.is_over {
            self.state = ContentState {
                fingerprint: std::mem::take(&mut self.state.fingerprint),
                began: Some(jiff::Timestamp::now().as_second()),
                ended: self.state.ended,
                ..ContentState::default()
            };
            self.walk = KeyWalk::behind(None, None, self.batch);
        }
        Ok(())
    }

    /// Reads one page, and sends what differs; gives the pause before the next one.
    fn page(&mut self, context: &mut StepContext<'_>) -> Result<Duration, PollError> {
        let rules = ContentRules {
            settled: self.settled(Instant::now()),
            oldest: self.oldest.flatten(),
            has_own_writes: self.has_own_writes,
        };
        let request = self.walk.next_page(&SnapshotPart::default());
        let (delivery, heartbeat) = (&mut context.delivery, context.heartbeat);
        let delivered = &mut context.delivered;
        let mut counts = StateCounts::new();
        let mut is_behind = false;
        let (sent, page) = delivery.deliver_differing(
            heartbeat,
            |fetch, rows| fetch.fetch_by_key(&request, rows),
            |rows, look| {
                if look == TopicLook::Anew && !delivered.follow()? {
                    is_behind = true;
                    rows.keep(|_| false);
                    return Ok(());
                }
                counts.retain(|state, _| !state.is_sent());
                keep_differing(rows, delivered, &rules, &mut counts)
            },
        )?;
        if sent.is_lost || is_behind {
            self.is_followed &= !is_behind;
            return Ok(AGAIN_INTERVAL);
        }
        let rows = u64::from(page.rows);
        let is_end = self.walk.take(&request, page);
        self.count(&counts);
        let state = &mut self.state;
        state.after = self.walk.after().cloned();
        state.read += rows;
        state.sent += sent.rows;
        state.remaining = match self.walk.remaining() {
            Some(left) => Some(left),
            None => Some(
                context
                    .delivered
                    .index()?
                    .rows()?
                    .saturating_sub(state.read),
            ),
        };
        if is_end {
            self.end();
        }
        Ok(self.pause())
    }

    fn count(&self, counts: &StateCounts) {
        for (state, rows) in counts {
            let labels = [self.table.as_str(), state.word()];
            self.metrics.content_rows.with(&labels).add(*rows);
        }
    }

    /// Every row is read: the next page begins a cycle.
    fn end(&mut self) {
        let (rows, sent) = (self.state.read, self.state.sent);
        log::info!(table = self.table, rows, sent; "every row of the content cycle is read");
        self.state.remaining = Some(0);
        self.state.is_over = true;
        self.state.ended = Some(jiff::Timestamp::now().as_second());
        // What the topic holds by then is looked up before the next cycle.
        self.is_followed = false;
        self.oldest = None;
    }

    /// Keeps how far it is. That this fails stops nothing: a restart reads some rows again.
    fn keep(&mut self, now: Instant) {
        self.written = now;
        if let Err(error) = self.file.write(&self.state) {
            log::error!(table = self.table, file:% = self.file.path().display(), error:%;
                "how far the content cycle is cannot be written");
        }
    }

    /// Shows how far it is.
    #[expect(clippy::cast_precision_loss, reason = "gauges")]
    fn show(&self) {
        let labels = [self.table.as_str()];
        let (read, left) = (self.state.read, self.state.remaining.unwrap_or(0));
        let all = read.saturating_add(left).max(1);
        let progress = read as f64 / all as f64;
        self.metrics.content_progress.with(&labels).set(progress);
        if let Some(ended) = self.state.ended {
            let age = passed_since(ended).as_secs_f64();
            self.metrics.content_age.with(&labels).set(age);
        }
    }
}

/// Counts the rows by their state, and leaves those that are to be sent.
fn keep_differing(
    rows: &mut CollectedBlocks,
    delivered: &mut DeliveredTopic,
    rules: &ContentRules,
    counts: &mut StateCounts,
) -> Result<(), PollError> {
    let ids: Vec<&str> = rows
        .ids()
        .map(|id| std::str::from_utf8(id).unwrap_or_default())
        .collect();
    let held = delivered.index()?.delivered(ids)?;
    let mut states = HashMap::new();
    for ((block, row), held) in rows.rows().zip(held) {
        let read = DeliveredRow {
            version: RowVersion {
                seconds: Some(row.seconds),
                mod_count: row.mod_count,
            },
            content: Some(content_hash(block.slice(&row.text))),
        };
        let state = judge(&read, held.as_ref(), rules);
        *counts.entry(state).or_default() += 1;
        states.insert(block.slice(&row.id).to_vec(), state);
    }
    rows.keep(|id| states.get(id).is_some_and(|state| state.is_sent()));
    Ok(())
}

/// The time since a second of this host's clock.
fn passed_since(second: i64) -> Duration {
    let passed = jiff::Timestamp::now().as_second().saturating_sub(second);
    Duration::from_secs(u64::try_from(passed).unwrap_or(0))
}

impl CaptureTask for ContentCycle {
    fn name(&self) -> &'static str {
        "the content cycle"
    }

    fn due(&mut self, _now: Instant) -> Option<Instant> {
        self.show();
        self.shared.is_caught_up().then_some(self.next)
    }

    fn step(&mut self, context: &mut StepContext<'_>) -> Result<(), PollError> {
        let done = self.try_step(context);
        match &done {
            Ok(()) => {}
            Err(PollError::Stopped) => self.keep(Instant::now()),
            Err(error) => {
                if error.calls_for_smaller_page() {
                    self.walk.shrink();
                }
                self.is_followed &= !context.delivered.discard_damaged(error);
            }
        }
        done
    }
}

impl ContentCycle {
    fn try_step(&mut self, context: &mut StepContext<'_>) -> Result<(), PollError> {
        if !self.is_followed {
            self.is_followed = context.delivered.follow()?;
            return Ok(());
        }
        self.begin(context.delivered)?;
        let pause = self.page(context)?;
        let now = Instant::now();
        self.next = now + pause;
        if self.state.is_over || now.saturating_duration_since(self.written) >= STATE_WRITE_INTERVAL
        {
            self.keep(now);
        }
        if pause > INDEX_IDLE_TIME {
            context.delivered.close();
        }
        self.show();
        Ok(())
    }
}
