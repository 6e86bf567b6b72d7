//! Produces a table's rows and moves its checkpoint behind the acknowledgements.

mod produce;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender as ChannelSender, bounded, select};

use self::produce::RecordValues;
use super::loop_guard::OwnRowFilter;
use super::record_key::KeyStrategy;
use super::{BatchMark, PollerMessage, RewindRequest, SourceContext};
use crate::backoff::Backoff;
use crate::checkpoint::{self, CheckpointEntry, CheckpointPosition};
use crate::config::TableConfig;
use crate::health::{Condition, Heartbeat};
use crate::kafka::{Batch, DeliveryError, Producer, RecordHeaders};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::servicenow::page::RowBlock;
use crate::servicenow::query::Cursor;
use crate::stop::Stop;

/// Longest wait without a heartbeat.
const SENDER_WAKE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a heartbeat lasts.
const SENDER_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(30);
/// Without any acknowledgement for this long, Kafka does not work for us.
const ACKNOWLEDGEMENT_STALL: Duration = Duration::from_secs(60);
/// First and longest pause before a record that could not be delivered is tried again.
const DELIVERY_RETRY_PAUSE: (Duration, Duration) =
    (Duration::from_secs(5), Duration::from_secs(300));

/// The sending half of a table.
pub(super) struct TableSender {
    table: String,
    topic: String,
    keys: KeyStrategy,
    values: RecordValues,
    headers: RecordHeaders,
    fingerprint: String,
    producer: Arc<Producer>,
    checkpoints: Arc<checkpoint::CheckpointStore>,
    items: Receiver<PollerMessage>,
    spare: ChannelSender<RowBlock>,
    rewinds: ChannelSender<RewindRequest>,
    stop: Stop,
    abandon: Stop,
    wake: (ChannelSender<()>, Receiver<()>),
    generation: u64,
    /// Records since the last mark.
    open: Arc<Batch>,
    open_rows: u64,
    /// Rows since the last mark that are left out, as our sink wrote them.
    open_own: u64,
    own: Option<OwnRowFilter>,
    in_flight: VecDeque<(Arc<Batch>, BatchMark)>,
    acknowledged: Option<Cursor>,
    /// The second up to which all is acknowledged; `None` is not known.
    reached: Option<i64>,
    /// Since when acknowledgements are waited for.
    waiting: Option<Instant>,
    stalled: Cell<bool>,
    backoff: Backoff,
    heartbeat: Heartbeat,
    condition: Condition,
    meters: SenderMetrics,
}

struct SenderMetrics {
    produced: Counter,
    own: Counter,
    lag: Gauge,
    held: Gauge,
    metrics: Arc<Metrics>,
}

/// Why sending a block stopped.
enum SendFailure {
    /// This record cannot be sent; all before it can.
    Record { before: Option<Cursor>, why: String },
    /// Records were given up.
    Delivery(String),
    /// Stopped while a row waited for its schema; all before it is sent.
    Stopped,
    /// The deadline of a stop passed.
    Abandoned,
}

impl TableSender {
    #[expect(
        clippy::too_many_arguments,
        reason = "the ends of five channels are named here once"
    )]
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        fingerprint: String,
        start: Option<Cursor>,
        items: Receiver<PollerMessage>,
        spare: ChannelSender<RowBlock>,
        rewinds: ChannelSender<RewindRequest>,
        (stop, abandon): (&Stop, &Stop),
    ) -> TableSender {
        let wake = bounded(1);
        let metrics = &context.metrics;
        let labels = [table.name.as_str()];
        let condition = context
            .health
            .condition(&format!("delivery of {}", table.name), "");
        condition.ok();
        let (held, lag) = (
            metrics.source_held.with(&labels),
            metrics.offset_lag.with(&labels),
        );
        // What ran before may have ended while it was held.
        held.set(0.0);
        lag.set(f64::NAN);
        let sender = TableSender {
            table: table.name.clone(),
            topic: table.topic.clone(),
            keys: KeyStrategy::new(&table.partitioner),
            values: RecordValues::new(context, table),
            headers: RecordHeaders::new(&[
                ("sn_table", table.name.as_bytes()),
                ("sn_instance", context.instance.client().host().as_bytes()),
                // A poller sees states, not events: it cannot tell an insert from an update.
                ("sn_operation", b"upsert"),
            ]),
            fingerprint,
            producer: Arc::clone(&context.producer),
            checkpoints: Arc::clone(&context.checkpoints),
            items,
            spare,
            rewinds,
            stop: stop.clone(),
            abandon: abandon.clone(),
            open: Batch::new(wake.0.clone()),
            wake,
            generation: 0,
            open_rows: 0,
            open_own: 0,
            own: context
                .own_writes
                .get(&table.name)
                .cloned()
                .map(OwnRowFilter::new),
            in_flight: VecDeque::new(),
            // An earlier process may have read further and found nothing; the first poll tells.
            reached: start.as_ref().map(|cursor| cursor.seconds),
            acknowledged: start,
            waiting: None,
            stalled: Cell::new(false),
            backoff: Backoff::new(DELIVERY_RETRY_PAUSE.0, DELIVERY_RETRY_PAUSE.1),
            heartbeat: context.health.thread(&format!("send:{}", table.name)),
            condition,
            meters: SenderMetrics {
                produced: metrics.source_produced.with(&[&table.name, &table.topic]),
                own: metrics.source_own_writes.with(&labels),
                lag,
                held,
                metrics: Arc::clone(metrics),
            },
        };
        sender.show_lag();
        sender
    }

    /// Runs until the poller has ended and all is acknowledged, or until the stop is out of time.
    /// Gives the number of rows that were read but not acknowledged.
    pub(super) fn run(mut self) -> u64 {
        loop {
            self.heartbeat.beat(SENDER_HEARTBEAT_DEADLINE);
            let items = self.items.clone();
            let woken = self.wake.1.clone();
            let trouble = select! {
                recv(items) -> item => match item {
                    Ok(item) => self.take(item),
                    Err(_) => break,
                },
                recv(woken) -> _ => self.settle(),
                recv(self.abandon.receiver()) -> _ => Err(SendFailure::Abandoned),
                default(SENDER_WAKE_INTERVAL) => {
                    self.watch();
                    self.prepare();
                    Ok(())
                }
            };
            match trouble {
                Ok(()) => {}
                Err(SendFailure::Stopped) => break,
                Err(SendFailure::Abandoned) => return self.undelivered(),
                Err(trouble) => self.recover(trouble),
            }
        }
        // No more rows will come, or none can be sent: wait for what is under way.
        match self.drain() {
            Ok(()) => self.open_rows,
            Err(_) => self.undelivered(),
        }
    }

    fn undelivered(&self) -> u64 {
        self.in_flight
            .iter()
            .map(|(_, mark)| mark.rows)
            .sum::<u64>()
            + self.open_rows
    }

    fn take(&mut self, item: PollerMessage) -> Result<(), SendFailure> {
        match item {
            PollerMessage::Rows {
                generation,
                block,
                checked,
            } => {
                let done = if generation == self.generation {
                    self.produce(&block, checked)
                } else {
                    Ok(())
                };
                // Full or not, the poller can do without.
                self.spare.try_send(block).ok();
                done?;
            }
            PollerMessage::Mark { generation, mark } if generation == self.generation => {
                self.close(mark);
            }
            PollerMessage::Mark { .. } => {}
        }
        self.settle()
    }

    /// Ends the open batch: when all of it is acknowledged, the position moves to the mark.
    fn close(&mut self, mut mark: BatchMark) {
        let own = std::mem::take(&mut self.open_own);
        self.meters.own.add(own);
        mark.produced = mark.rows.saturating_sub(own);
        let batch = std::mem::replace(&mut self.open, Batch::new(self.wake.0.clone()));
        self.open_rows = 0;
        batch.close();
        self.in_flight.push_back((batch, mark));
    }

    /// Moves the position over what is acknowledged.
    fn settle(&mut self) -> Result<(), SendFailure> {
        while let Some(outcome) = self
            .in_flight
            .front()
            .and_then(|(batch, _)| batch.outcome())
        {
            outcome.map_err(|error| self.given_up(&error))?;
            if let Some((_, mark)) = self.in_flight.pop_front() {
                self.advance(mark);
            }
        }
        Ok(())
    }

    fn given_up(&self, error: &DeliveryError) -> SendFailure {
        self.meters
            .metrics
            .source_errors
            .with(&[&self.table, "produce"])
            .inc();
        SendFailure::Delivery(error.to_string())
    }

    fn advance(&mut self, mark: BatchMark) {
        self.meters.produced.add(mark.produced);
        // Also when the record is gone from the table: then everything is read and nothing held.
        let goes_on = mark.rows > 0 || mark.caught_up.is_some();
        if goes_on && self.backoff.failures() > 0 {
            self.backoff.reset();
            self.condition.ok();
            self.meters.held.set(0.0);
            log::info!(table = self.table; "delivers again");
        }
        let under_way = !self.in_flight.is_empty() || self.open_rows > 0;
        self.waiting = under_way.then(Instant::now);
        if self.stalled.take() {
            self.condition.ok();
        }
        if let Some(Cursor { seconds, id }) = &mark.cursor
            && mark.cursor != self.acknowledged
        {
            let last_identifier = id.clone().unwrap_or_default();
            let position = CheckpointPosition {
                timestamp: *seconds,
                last_identifier,
            };
            let fingerprint = Some(self.fingerprint.clone());
            self.checkpoints.advance(
                &self.table,
                CheckpointEntry {
                    position,
                    fingerprint,
                },
                mark.rows,
            );
        }
        self.reached = mark
            .caught_up
            .or(mark.cursor.as_ref().map(|cursor| cursor.seconds));
        if let (Some(own), Some(seconds)) = (&self.own, mark.done_to()) {
            own.read_to(seconds);
        }
        self.acknowledged = mark.cursor;
        self.show_lag();
    }

    /// While nothing moves: shows the lag grow, and says so when Kafka acknowledges nothing. It may
    /// answer all the same, say with too few replicas in sync.
    fn watch(&self) {
        self.show_lag();
        let stalled = self
            .waiting
            .is_some_and(|since| since.elapsed() > ACKNOWLEDGEMENT_STALL);
        if stalled && !self.stalled.replace(true) {
            let seconds = ACKNOWLEDGEMENT_STALL.as_secs();
            let why = format!("Kafka has acknowledged nothing for {seconds} s");
            log::error!(table = self.table, topic = self.topic, error = why; "no acknowledgement");
            self.condition.fail(why);
        }
    }

    fn show_lag(&self) {
        if let Some(reached) = self.reached {
            self.meters.lag.set(super::age(reached));
        }
    }

    /// Something could not be delivered: hold the table, then read again from the last position.
    fn recover(&mut self, trouble: SendFailure) {
        let (why, carefully) = match trouble {
            SendFailure::Record { before, why } => {
                self.meters
                    .metrics
                    .source_errors
                    .with(&[&self.table, "record"])
                    .inc();
                let marked = before.is_some();
                if marked {
                    let rows = self.open_rows + self.open_own;
                    self.close(BatchMark::new(before, rows, None));
                }
                // Where the rows before it could not be marked they are repeated, so ask for few.
                let carefully = !marked;
                // What is on its way may still arrive; what fails here is read again as well.
                if matches!(self.drain(), Err(SendFailure::Abandoned)) {
                    return;
                }
                (why, carefully)
            }
            SendFailure::Delivery(why) => (why, true),
            SendFailure::Stopped | SendFailure::Abandoned => return,
        };
        self.in_flight.clear();
        self.waiting = None;
        self.open = Batch::new(self.wake.0.clone());
        self.open_rows = 0;
        self.open_own = 0;
        self.generation += 1;
        let pause = self.backoff.ceiling();
        self.backoff.next(1.0);
        self.meters.held.set(1.0);
        self.condition.fail(format!("held: {why}"));
        log::error!(table = self.table, topic = self.topic, error = why, retry_in:? = pause;
            "a record cannot be delivered; the table is held");
        self.heartbeat.beat(pause + SENDER_HEARTBEAT_DEADLINE);
        // Nothing is on its way now, so a stop need not wait: the next start begins at this row.
        if !self.is_stopped_within(pause) {
            let cursor = self.acknowledged.clone();
            // The poller takes it when it next looks; a full channel cannot be, as one is enough.
            self.rewinds
                .try_send(RewindRequest {
                    generation: self.generation,
                    cursor,
                    carefully,
                })
                .ok();
        }
    }

    /// Waits; true when stopped before.
    fn is_stopped_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.show_lag();
            if self.stop.wait(left.min(SENDER_WAKE_INTERVAL)) {
                return true;
            }
        }
        false
    }

    /// Waits until all that was closed is settled.
    fn drain(&mut self) -> Result<(), SendFailure> {
        while !self.in_flight.is_empty() {
            self.heartbeat.beat(SENDER_HEARTBEAT_DEADLINE);
            self.watch();
            self.settle()?;
            if self.in_flight.is_empty() {
                break;
            }
            let deadline = crossbeam_channel::at(Instant::now() + SENDER_WAKE_INTERVAL);
            let woken = self.wake.1.clone();
            select! {
                recv(woken) -> _ => {},
                recv(deadline) -> _ => {},
                recv(self.abandon.receiver()) -> _ => return Err(SendFailure::Abandoned),
            }
        }
        Ok(())
    }
}
