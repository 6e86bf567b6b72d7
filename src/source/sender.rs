//! Produces a table's rows and moves its checkpoint behind the acknowledgements.
//!
//! The poller's rows become records in librdkafka's queue; each record counts in the open batch. A
//! mark closes the batch. When all records of the oldest batch are acknowledged, the position moves
//! to its mark. Batches are settled in order, so the position never passes a record that is not
//! acknowledged.
//!
//! What cannot be delivered holds the table: nothing is dropped. After a pause the poller reads
//! again from the last acknowledged row.

mod batches;
mod delivered_position;
mod heartbeat;
mod produce;
mod send_failure;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::select;

use self::batches::BatchQueue;
use self::delivered_position::DeliveredPosition;
use self::heartbeat::SenderHeartbeat;
use self::produce::RecordProducer;
use self::send_failure::SendFailure;
use super::channels::{BatchMark, PollerMessage, RewindRequest, SenderChannels};
use super::context::SourceContext;
use super::encode::RowEncodeError;
use super::instance::SourceInstance;
use super::own_rows::OwnRowFilter;
use crate::backoff::Backoff;
use crate::config::TableConfig;
use crate::health::{Condition, ConditionKey};
use crate::kafka::{DeliveryError, SendError};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::servicenow::page::{PageRow, RowBlock};
use crate::servicenow::query::Cursor;
use crate::stop::StopSignals;

/// Longest wait without a heartbeat and a look at the lag.
const SENDER_WAKE_INTERVAL: Duration = Duration::from_secs(1);
/// Without any acknowledgement for this long the table counts as unhealthy.
const ACKNOWLEDGEMENT_STALL: Duration = Duration::from_secs(60);
/// First and longest pause before a record that could not be delivered is tried again.
const DELIVERY_RETRY_PAUSE: (Duration, Duration) =
    (Duration::from_secs(5), Duration::from_secs(300));

/// The sending half of a table.
pub(super) struct TableSender {
    table: String,
    topic: String,
    instance: Arc<SourceInstance>,
    records: RecordProducer,
    batches: BatchQueue,
    position: DeliveredPosition,
    /// Finds the rows that the sink wrote itself, where they are left out.
    own_rows: Option<OwnRowFilter>,
    channels: SenderChannels,
    signals: StopSignals,
    generation: u64,
    /// Whether the health condition says that Kafka acknowledges nothing.
    stalled: Cell<bool>,
    /// Counts the failures of the record that holds the table.
    backoff: Backoff,
    heartbeat: SenderHeartbeat,
    condition: Condition,
    metrics: SenderMetrics,
}

struct SenderMetrics {
    produced: Counter,
    own_rows: Counter,
    held: Gauge,
    all: Arc<Metrics>,
}

impl TableSender {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        fingerprint: String,
        start: Option<Cursor>,
        channels: SenderChannels,
        signals: &StopSignals,
    ) -> TableSender {
        let metrics = &context.metrics;
        let labels = [table.name.as_str()];
        let condition = context
            .health
            .condition(ConditionKey::Delivery(table.name.clone()), "");
        condition.ok();
        let held = metrics.source_held.with(&labels);
        // A pipeline that ran before may have ended while its table was held.
        held.set(0.0);
        TableSender {
            table: table.name.clone(),
            topic: table.topic.clone(),
            instance: Arc::clone(&context.instance),
            records: RecordProducer::new(context, table),
            batches: BatchQueue::new(),
            position: DeliveredPosition::new(context, table, fingerprint, start),
            own_rows: context
                .own_writes
                .get(&table.name)
                .cloned()
                .map(OwnRowFilter::new),
            channels,
            signals: signals.clone(),
            generation: 0,
            stalled: Cell::new(false),
            backoff: Backoff::new(DELIVERY_RETRY_PAUSE.0, DELIVERY_RETRY_PAUSE.1),
            heartbeat: SenderHeartbeat::new(&context.health, &table.name),
            condition,
            metrics: SenderMetrics {
                produced: metrics.source_produced.with(&[&table.name, &table.topic]),
                own_rows: metrics.source_own_writes.with(&labels),
                held,
                all: Arc::clone(metrics),
            },
        }
    }

    /// Runs until the poller has ended and everything is acknowledged, or until the deadline of the
    /// stop. Gives the number of rows that were read but not acknowledged.
    pub(super) fn run(mut self) -> u64 {
        loop {
            self.heartbeat.beat();
            let messages = if self.batches.is_behind() {
                crossbeam_channel::never()
            } else {
                self.channels.messages.clone()
            };
            let settled = self.batches.settled().clone();
            let result = select! {
                recv(messages) -> message => match message {
                    Ok(message) => self.take(message),
                    Err(_) => break,
                },
                recv(settled) -> _ => self.settle(),
                recv(self.signals.abandon.receiver()) -> _ => Err(SendFailure::Abandoned),
                default(SENDER_WAKE_INTERVAL) => {
                    self.watch();
                    self.prepare_schema();
                    Ok(())
                }
            };
            match result {
                Ok(()) => {}
                Err(SendFailure::Stopped) => break,
                Err(SendFailure::Abandoned) => return self.batches.unacknowledged_rows(),
                Err(failure) => self.recover(failure),
            }
        }
        // No more rows will come, or none can be sent: wait for those that are on their way.
        match self.drain() {
            Ok(()) => self.batches.open_rows(),
            Err(_) => self.batches.unacknowledged_rows(),
        }
    }

    fn take(&mut self, message: PollerMessage) -> Result<(), SendFailure> {
        match message {
            PollerMessage::Rows {
                generation,
                block,
                checked,
            } => {
                let result = if generation == self.generation {
                    self.produce(&block, checked)
                } else {
                    Ok(())
                };
                // Where the channel is full the poller has spare blocks enough.
                self.channels.spare_blocks.try_send(block).ok();
                result?;
            }
            PollerMessage::Mark { generation, mark } => {
                if generation == self.generation {
                    self.close(mark);
                }
            }
        }
        self.settle()
    }

    /// Sends the rows of a block. `checked`: their page is known to be good.
    fn produce(&mut self, block: &RowBlock, checked: bool) -> Result<(), SendFailure> {
        let mut before: Option<&PageRow> = None;
        for row in &block.rows {
            if self.is_own(block, row) {
                self.batches.add_own_row();
            } else {
                self.send(block, row).map_err(|failure| match failure {
                    // All rows before this one are sent, so the position may move up to them, if
                    // their page is known to be good.
                    SendFailure::Record { why, .. } => SendFailure::Record {
                        before: if checked {
                            before.map(|row| cursor_of(block, row))
                        } else {
                            None
                        },
                        why,
                    },
                    other => other,
                })?;
                self.batches.add_row();
            }
            before = Some(row);
        }
        Ok(())
    }

    fn is_own(&self, block: &RowBlock, row: &PageRow) -> bool {
        self.own_rows
            .as_ref()
            .is_some_and(|own| own.is_own(block.slice(&row.id), block.slice(&row.text)))
    }

    /// Sends one row: makes its key, then its value, however long that waits for a schema, then
    /// hands both to Kafka, however long that waits for room.
    fn send(&mut self, block: &RowBlock, row: &PageRow) -> Result<(), SendFailure> {
        let (id, text) = (block.slice(&row.id), block.slice(&row.text));
        let key = self
            .records
            .key(id, text)
            .map_err(|error| SendFailure::Record {
                before: None,
                why: format!("a row is not valid JSON (column {})", error.column()),
            })?;
        if self.records.is_avro() {
            self.encode(key.as_deref(), text, id)?;
        }
        self.enqueue(key.as_deref(), text, id)
    }

    /// Makes the Avro record of a row, however long its schema is waited for.
    fn encode(&mut self, key: Option<&[u8]>, text: &[u8], id: &[u8]) -> Result<(), SendFailure> {
        loop {
            let stop = &self.signals.stop;
            match self.records.encode(key, text, id, &self.heartbeat, stop) {
                Err(RowEncodeError::NoSchema(why)) => self.wait_for_schema(&why)?,
                Err(RowEncodeError::Stopped) => return Err(SendFailure::Stopped),
                Err(RowEncodeError::InvalidRow(why)) => {
                    self.schema_is_known();
                    return Err(SendFailure::row(id, &why));
                }
                Ok(()) => {
                    self.schema_is_known();
                    return Ok(());
                }
            }
        }
    }

    /// Hands a record to Kafka, and waits while its queue is full.
    fn enqueue(&self, key: Option<&[u8]>, text: &[u8], id: &[u8]) -> Result<(), SendFailure> {
        let (batch, abandon) = (self.batches.open(), &self.signals.abandon);
        loop {
            match self
                .records
                .try_send(key, text, batch, abandon, SENDER_WAKE_INTERVAL)
            {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => {
                    self.heartbeat.beat();
                    self.watch();
                }
                Err(SendError::Stopped) => return Err(SendFailure::Abandoned),
                Err(error @ SendError::TooLarge { .. }) => {
                    return Err(SendFailure::row(id, &error));
                }
                Err(error) => return Err(SendFailure::Delivery(error.to_string())),
            }
        }
    }

    /// While there are no rows, looks up the schema of an Avro table, so that the first row need not
    /// wait for it, and so that operators learn of a problem before a row is held by it.
    fn prepare_schema(&mut self) {
        match self
            .records
            .prepare_schema(&self.heartbeat, &self.signals.stop)
        {
            None | Some(Err(RowEncodeError::Stopped)) => {}
            Some(Ok(())) => self.schema_is_known(),
            Some(Err(RowEncodeError::NoSchema(why) | RowEncodeError::InvalidRow(why))) => {
                self.schema_is_missing(&why);
            }
        }
    }

    /// A row waits here, and the poller with it, while there is no schema to write it with. What is
    /// on its way to Kafka is still settled meanwhile. A stop ends the wait: nothing of this row was
    /// sent.
    fn wait_for_schema(&mut self, why: &str) -> Result<(), SendFailure> {
        let until = Instant::now() + self.schema_is_missing(why);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.heartbeat.beat();
            self.position.show_lag();
            let settled = self.batches.settled().clone();
            select! {
                recv(settled) -> _ => self.settle()?,
                recv(self.signals.stop.receiver()) -> _ => return Err(SendFailure::Stopped),
                default(left.min(SENDER_WAKE_INTERVAL)) => {},
            }
        }
        // That Kafka has acknowledged nothing meanwhile is not its fault.
        self.batches.restart_wait();
        Ok(())
    }

    /// Counts, logs and shows that there is no schema; gives the pause before the next look-up.
    fn schema_is_missing(&mut self, why: &str) -> Duration {
        let errors = &self.metrics.all.source_errors;
        errors.with(&[&self.table, "schema"]).inc();
        self.metrics.held.set(1.0);
        let pause = self.records.schema_is_missing(why);
        log::error!(table = self.table, topic = self.topic, error = why, retry_in:? = pause;
            "there is no schema to write rows with; the table waits");
        pause
    }

    fn schema_is_known(&mut self) {
        if !self.records.schema_is_known() {
            return;
        }
        // A record that could not be delivered may hold the table as well.
        if self.backoff.failures() == 0 {
            self.metrics.held.set(0.0);
        }
        log::info!(table = self.table; "there is a schema again");
    }

    /// Ends the open batch at `mark`.
    fn close(&mut self, mark: BatchMark) {
        let own_rows = self.batches.close(mark);
        self.metrics.own_rows.add(own_rows);
    }

    /// Moves the position over all batches that are acknowledged.
    fn settle(&mut self) -> Result<(), SendFailure> {
        while let Some(settled) = self.batches.next_settled() {
            match settled {
                Ok(mark) => self.advance(mark),
                Err(error) => return Err(self.given_up(&error)),
            }
        }
        Ok(())
    }

    fn given_up(&self, error: &DeliveryError) -> SendFailure {
        self.metrics
            .all
            .source_errors
            .with(&[&self.table, "produce"])
            .inc();
        SendFailure::given_up(error, self.instance.host_lead())
    }

    fn advance(&mut self, mark: BatchMark) {
        self.metrics.produced.add(mark.produced);
        // The table is no longer held when rows were delivered. When all is read and there were
        // none, the row that held it has left the table.
        let goes_on = mark.rows > 0 || mark.caught_up.is_some();
        if goes_on && self.backoff.failures() > 0 {
            self.backoff.reset();
            self.condition.ok();
            self.metrics.held.set(0.0);
            log::info!(table = self.table; "delivers again");
        }
        if self.stalled.take() {
            self.condition.ok();
        }
        let complete_to = mark.complete_to();
        self.position.advance(mark);
        if let (Some(own), Some(seconds)) = (&self.own_rows, complete_to) {
            own.record_read_to(seconds);
        }
    }

    /// While nothing moves: shows the growing lag, and says so when Kafka acknowledges nothing. Its
    /// brokers may answer all the same, for instance with too few replicas in sync.
    fn watch(&self) {
        self.position.show_lag();
        let is_stalled = self.batches.waits_longer_than(ACKNOWLEDGEMENT_STALL);
        if is_stalled && !self.stalled.replace(true) {
            let seconds = ACKNOWLEDGEMENT_STALL.as_secs();
            let why = format!("Kafka has acknowledged nothing for {seconds} s");
            log::error!(table = self.table, topic = self.topic, error = why; "no acknowledgement");
            self.condition.fail(why);
        }
    }

    /// Something could not be delivered: holds the table for a while, then has the poller read again
    /// from the last acknowledged row.
    fn recover(&mut self, failure: SendFailure) {
        let (why, single_rows) = match failure {
            SendFailure::Record { before, why } => {
                self.metrics
                    .all
                    .source_errors
                    .with(&[&self.table, "record"])
                    .inc();
                // Rows before it that cannot be marked are read and sent again, so ask for few.
                let single_rows = before.is_none();
                if before.is_some() {
                    let rows = self.batches.rows_since_mark();
                    self.close(BatchMark::new(before, rows, None));
                }
                // Records on their way may still arrive. One that fails now is read again as well.
                if matches!(self.drain(), Err(SendFailure::Abandoned)) {
                    return;
                }
                (why, single_rows)
            }
            SendFailure::Delivery(why) => (why, true),
            SendFailure::Stopped | SendFailure::Abandoned => return,
        };
        self.batches.discard();
        self.generation += 1;
        let pause = self.backoff.ceiling();
        self.backoff.next(1.0);
        self.metrics.held.set(1.0);
        self.condition.hold(why.as_str());
        log::error!(table = self.table, topic = self.topic, error = why, retry_in:? = pause;
            "a record cannot be delivered; the table is held");
        self.heartbeat.beat_during(pause);
        // Nothing is on its way now, so a stop need not wait: the next start begins at this row.
        if !self.is_stopped_within(pause) {
            // The channel has room: the poller has taken the request before this one.
            self.channels
                .rewinds
                .try_send(RewindRequest {
                    generation: self.generation,
                    cursor: self.position.acknowledged().cloned(),
                    single_rows,
                })
                .ok();
        }
    }

    /// Waits; true when stopped before `pause` is over.
    fn is_stopped_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.position.show_lag();
            if self.signals.stop.wait(left.min(SENDER_WAKE_INTERVAL)) {
                return true;
            }
        }
        false
    }

    /// Waits until all closed batches are settled.
    fn drain(&mut self) -> Result<(), SendFailure> {
        while self.batches.has_closed() {
            self.heartbeat.beat();
            self.watch();
            self.settle()?;
            if !self.batches.has_closed() {
                break;
            }
            let deadline = crossbeam_channel::at(Instant::now() + SENDER_WAKE_INTERVAL);
            let settled = self.batches.settled().clone();
            select! {
                recv(settled) -> _ => {},
                recv(deadline) -> _ => {},
                recv(self.signals.abandon.receiver()) -> _ => return Err(SendFailure::Abandoned),
            }
        }
        Ok(())
    }
}

fn cursor_of(block: &RowBlock, row: &PageRow) -> Cursor {
    let id = String::from_utf8_lossy(block.slice(&row.id)).into_owned();
    Cursor {
        seconds: row.seconds,
        id: Some(id),
    }
}
