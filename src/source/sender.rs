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
mod hold;
mod oversize;
mod produce;
mod send_failure;
mod settlement;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::select;

use self::delivered_position::cursor_of;
use self::heartbeat::SenderHeartbeat;
use self::hold::TableHold;
use self::oversize::OversizeRows;
use self::produce::RecordProducer;
use self::send_failure::{RowsBefore, SendFailure, SendResult};
use self::settlement::Settlement;
use super::capture::row_version;
use super::channels::{
    BatchMark, CapturedRows, OpenBounds, PollerMessage, SenderChannels, Tombstone,
};
use super::context::SourceContext;
use super::encode::RowEncodeError;
use super::instance::SourceInstance;
use super::position::StartOfTable;
use crate::config::TableConfig;
use crate::health::ConditionKey;
use crate::kafka::{Batch, DeliveryError, SendError};
use crate::metrics::Metrics;
use crate::servicenow::page::{PageRow, RowBlock};
use crate::stop::{Stop, StopSignals};

/// Longest wait without a heartbeat and a look at the lag.
const SENDER_WAKE_INTERVAL: Duration = Duration::from_secs(1);
/// Without any acknowledgement for this long the table counts as unhealthy.
const ACKNOWLEDGEMENT_STALL: Duration = Duration::from_secs(60);

/// The sending half of a table.
pub(super) struct TableSender {
    table: String,
    topic: String,
    instance: Arc<SourceInstance>,
    records: RecordProducer,
    oversize: OversizeRows,
    settlement: Settlement,
    channels: SenderChannels,
    signals: StopSignals,
    generation: u64,
    hold: TableHold,
    heartbeat: SenderHeartbeat,
    metrics: Arc<Metrics>,
}

impl TableSender {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        start: &StartOfTable,
        channels: SenderChannels,
        signals: &StopSignals,
    ) -> TableSender {
        let metrics = &context.metrics;
        let labels = [table.name.as_str()];
        let condition = context
            .health
            .condition(ConditionKey::Delivery(table.name.clone()), "");
        let held = metrics.source_held.with(&labels);
        TableSender {
            table: table.name.clone(),
            topic: table.topic.clone(),
            instance: Arc::clone(&context.instance),
            records: RecordProducer::new(context, table),
            oversize: OversizeRows::new(context, table),
            settlement: Settlement::new(context, table, start),
            channels,
            signals: signals.clone(),
            generation: 0,
            hold: TableHold::new(condition, held),
            heartbeat: SenderHeartbeat::new(&context.health, &table.name),
            metrics: Arc::clone(metrics),
        }
    }

    /// Runs until the poller has ended and everything is acknowledged, or until the deadline of the
    /// stop. Gives the number of rows that were read but not acknowledged.
    pub(super) fn run(mut self) -> u64 {
        loop {
            self.heartbeat.beat();
            let messages = if self.settlement.batches.is_behind() {
                crossbeam_channel::never()
            } else {
                self.channels.messages.clone()
            };
            let settled = self.settlement.batches.settled().clone();
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
                Err(SendFailure::Abandoned) => return self.settlement.rows_left(false),
                Err(failure) => self.recover(failure),
            }
        }
        // No more rows will come, or none can be sent: wait for those that are on their way.
        let is_drained = self.drain().is_ok();
        self.settlement.rows_left(is_drained)
    }

    fn take(&mut self, message: PollerMessage) -> SendResult {
        match message {
            PollerMessage::Rows {
                generation,
                block,
                checked,
                bounds,
            } => {
                let result = if generation == self.generation {
                    self.produce(&block, &block.rows, checked, bounds)
                } else {
                    Ok(())
                };
                // Where the channel is full the poller has spare blocks enough.
                self.channels.spare_blocks.try_send(block).ok();
                result?;
            }
            PollerMessage::Captured(captured) => self.produce_captured(captured)?,
            PollerMessage::Mark { generation, mark } => {
                if generation == self.generation {
                    let rows = mark.rows;
                    self.settlement.close(mark);
                    if self.oversize.page_sent(rows) {
                        return self.drain();
                    }
                }
            }
        }
        self.settle()
    }

    /// Sends rows that the capture thread has read. They are a batch with what was sent of the present page
    /// so far, and the position stays where it is.
    fn produce_captured(&mut self, captured: CapturedRows) -> SendResult {
        for block in &captured.blocks {
            if self.oversize.is_searching() {
                self.produce_singly(block)?;
            } else {
                self.produce(block, &block.rows, false, OpenBounds::CAPTURED)?;
            }
        }
        for tombstone in &captured.tombstones {
            self.send_tombstone(tombstone)?;
        }
        self.settlement.close_here(Some(captured.acknowledged));
        Ok(())
    }

    /// Sends each row of a block in a batch of its own, as one of them may be too large for Kafka.
    fn produce_singly(&mut self, block: &RowBlock) -> SendResult {
        self.settlement.close_here(None);
        self.drain()?;
        for row in block.rows.chunks(1) {
            self.produce(block, row, false, OpenBounds::CAPTURED)?;
            self.settlement.close_here(None);
            self.drain()?;
        }
        Ok(())
    }

    /// Sends these rows of a block. `checked`: their page is known to be good.
    fn produce(
        &mut self,
        block: &RowBlock,
        rows: &[PageRow],
        checked: bool,
        bounds: OpenBounds,
    ) -> SendResult {
        let mut before: Option<&PageRow> = None;
        for row in rows {
            let (id, text) = (block.slice(&row.id), block.slice(&row.text));
            if self.settlement.is_own(id, text) {
                self.settlement.batches.add_own_row();
            } else {
                self.send(block, row).map_err(|failure| match failure {
                    // All rows before this one are sent, so the position may move up to them, if
                    // their page is known to be good.
                    SendFailure::Record { why, .. } => SendFailure::Record {
                        before: match before.filter(|_| checked) {
                            Some(row) if row.seconds <= bounds.closed => {
                                RowsBefore::Sent(Some(cursor_of(block, row)))
                            }
                            // What was sent of open seconds is remembered.
                            Some(_) => RowsBefore::Sent(self.settlement.last_mark()),
                            None => RowsBefore::Unmarked,
                        },
                        why,
                    },
                    other => other,
                })?;
                self.settlement.batches.add_row();
            }
            if row.seconds >= bounds.known_from {
                self.settlement.batches.add_version(row_version(block, row));
            }
            before = Some(row);
        }
        Ok(())
    }

    /// Sends one row: makes its key, then its value, however long that waits for a schema, then
    /// hands both to Kafka, however long that waits for room.
    fn send(&mut self, block: &RowBlock, row: &PageRow) -> SendResult {
        let (id, text) = (block.slice(&row.id), block.slice(&row.text));
        let key = self
            .records
            .key(id, text)
            .map_err(|error| SendFailure::Record {
                before: RowsBefore::Unmarked,
                why: format!("a row is not valid JSON (column {})", error.column()),
            })?;
        if let Some(why) = self.oversize.refusal(id, text.len()) {
            return self.send_letter(key.as_deref(), text.len(), id, why);
        }
        if self.records.is_avro() {
            let key = key.as_deref();
            self.encode_with(id, |records, heartbeat, stop| {
                records.encode(key, text, id, heartbeat, stop)
            })?;
        }
        self.oversize.sending(id, text.len());
        self.enqueue(key.as_deref(), block, row)
    }

    /// Sends the tombstone of a row, however long the schema of its key or room is waited for.
    fn send_tombstone(&mut self, tombstone: &Tombstone) -> SendResult {
        let id = tombstone.id.as_bytes();
        self.encode_with(id, |records, heartbeat, stop| {
            records.encode_tombstone_key(id, heartbeat, stop)
        })?;
        self.when_there_is_room(|records, batch, abandon| {
            records.try_send_tombstone(tombstone, batch, abandon, SENDER_WAKE_INTERVAL)
        })?;
        Ok(())
    }

    /// Makes something in Avro by `encode`, again for as long as there is no schema for it.
    fn encode_with(
        &mut self,
        id: &[u8],
        encode: impl Fn(&mut RecordProducer, &SenderHeartbeat, &Stop) -> Result<(), RowEncodeError>,
    ) -> SendResult {
        loop {
            let made = match encode(&mut self.records, &self.heartbeat, &self.signals.stop) {
                Ok(()) => Ok(()),
                Err(RowEncodeError::InvalidRow(why)) => Err(SendFailure::row(id, &why)),
                Err(RowEncodeError::Stopped) => return Err(SendFailure::Stopped),
                Err(error) => {
                    self.wait_for_schema(&error)?;
                    continue;
                }
            };
            self.schema_is_known();
            return made;
        }
    }

    /// Hands a record to Kafka, and waits while its queue is full.
    fn enqueue(&mut self, key: Option<&[u8]>, block: &RowBlock, row: &PageRow) -> SendResult {
        let (id, text) = (block.slice(&row.id), block.slice(&row.text));
        let sent = self.when_there_is_room(|records, batch, abandon| {
            records.try_send(key, text, row, batch, abandon, SENDER_WAKE_INTERVAL)
        });
        match sent {
            Err(error @ SendError::TooLarge { .. }) if self.oversize.letters().is_some() => {
                self.send_letter(key, text.len(), id, &error.to_string())
            }
            Err(error @ SendError::TooLarge { .. }) => Err(SendFailure::row(id, &error)),
            sent => sent.map_err(SendFailure::from),
        }
    }

    /// Hands Kafka a letter in place of a row that is too large. The position passes the row when the
    /// letter is acknowledged.
    fn send_letter(
        &mut self,
        key: Option<&[u8]>,
        bytes: usize,
        id: &[u8],
        why: &str,
    ) -> SendResult {
        let letter = self.oversize.letter(id, bytes, why);
        if let Some(letters) = self.oversize.letters() {
            let record = letters.record(key, &letter);
            self.when_there_is_room(|records, batch, abandon| {
                records.try_send_other(&record, batch, abandon, SENDER_WAKE_INTERVAL)
            })?;
        }
        self.oversize.letter_sent(id, bytes, why);
        Ok(())
    }

    /// Sends, again for as long as the queue is full.
    fn when_there_is_room(
        &self,
        send: impl Fn(&RecordProducer, &Arc<Batch>, &Stop) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        loop {
            match send(
                &self.records,
                self.settlement.batches.open(),
                &self.signals.abandon,
            ) {
                Err(SendError::Full) => {
                    self.heartbeat.beat();
                    self.watch();
                }
                sent => return sent,
            }
        }
    }

    /// While there are no rows, looks up the schema of an Avro table, so that the first row need not
    /// wait for it, and so that operators learn of a problem before a row is held by it.
    fn prepare_schema(&mut self) {
        let stop = &self.signals.stop;
        match self.records.prepare_schema(&self.heartbeat, stop) {
            None | Some(Err(RowEncodeError::Stopped)) => {}
            Some(Ok(())) => self.schema_is_known(),
            Some(Err(error)) => {
                self.schema_is_missing(&error);
            }
        }
    }

    /// A row waits here, and the poller with it, while there is no schema to write it with. What is
    /// on its way to Kafka is still settled meanwhile. A stop ends the wait: nothing of this row was
    /// sent.
    fn wait_for_schema(&mut self, error: &RowEncodeError) -> SendResult {
        let until = Instant::now() + self.schema_is_missing(error);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.heartbeat.beat();
            self.settlement.position.show_lag();
            let settled = self.settlement.batches.settled().clone();
            select! {
                recv(settled) -> _ => self.settle()?,
                recv(self.signals.stop.receiver()) -> _ => return Err(SendFailure::Stopped),
                default(left.min(SENDER_WAKE_INTERVAL)) => {},
            }
        }
        // That Kafka has acknowledged nothing meanwhile is not its fault.
        self.settlement.batches.restart_wait();
        Ok(())
    }

    /// Counts, logs and shows that there is no schema; gives the pause before the next look-up.
    fn schema_is_missing(&mut self, error: &RowEncodeError) -> Duration {
        self.count_error("schema");
        self.hold.begin_for_schema();
        self.records.schema_is_missing(&self.table, error)
    }

    fn schema_is_known(&mut self) {
        if !self.records.schema_is_known() {
            return;
        }
        self.hold.end_for_schema();
        log::info!(table = self.table; "there is a schema again");
    }

    fn count_error(&self, kind: &str) {
        let errors = &self.metrics.source_errors;
        errors.with(&[&self.table, kind]).inc();
    }

    /// Moves the position over all batches that are acknowledged.
    fn settle(&mut self) -> SendResult {
        while let Some(settled) = self.settlement.next() {
            match settled {
                Ok(goes_on) => self.hold.acknowledged(&self.table, goes_on),
                Err(error) => return Err(self.given_up(&error)),
            }
        }
        Ok(())
    }

    fn given_up(&mut self, error: &DeliveryError) -> SendFailure {
        if error.is_too_large_for(&self.topic) {
            let rows = self.settlement.batches.oldest_rows();
            return self.oversize.batch_refused(rows, error);
        }
        self.count_error("produce");
        SendFailure::given_up(error, self.instance.host_lead())
    }

    /// While nothing moves: shows the growing lag, and says so when Kafka acknowledges nothing. Its
    /// brokers may answer all the same, for instance with too few replicas in sync.
    fn watch(&self) {
        self.settlement.position.show_lag();
        let batches = &self.settlement.batches;
        if batches.waits_longer_than(ACKNOWLEDGEMENT_STALL) {
            self.hold.stall(&self.table, ACKNOWLEDGEMENT_STALL);
        }
    }

    /// Something could not be delivered: holds the table for a while, then has the poller read again
    /// from the last acknowledged row.
    fn recover(&mut self, failure: SendFailure) {
        let (why, single_rows) = match failure {
            SendFailure::Record { before, why } => {
                self.count_error("record");
                // Rows before it that cannot be marked are read and sent again, so ask for few.
                let single_rows = matches!(before, RowsBefore::Unmarked);
                if let RowsBefore::Sent(position) = before {
                    let rows = self.settlement.batches.rows_since_mark();
                    self.settlement.close(BatchMark::new(position, rows, None));
                }
                // Records on their way may still arrive. One that fails now is read again as well.
                if matches!(self.drain(), Err(SendFailure::Abandoned)) {
                    return;
                }
                (why, single_rows)
            }
            SendFailure::Delivery(why) => (why, true),
            SendFailure::SendSingly(why) => {
                log::info!(table = self.table, topic = self.topic, error = why;
                    "a row is too large; the rows are sent one by one to find it");
                self.discard();
                return self.rewind(true);
            }
            SendFailure::Stopped | SendFailure::Abandoned => return,
        };
        self.discard();
        let pause = self.hold.begin(&self.table, &self.topic, &why);
        self.heartbeat.beat_during(pause);
        // Nothing is on its way now, so a stop need not wait: the next start begins at this row.
        let position = &self.settlement.position;
        if !position.wait_showing_lag(&self.signals.stop, pause, SENDER_WAKE_INTERVAL) {
            self.rewind(single_rows);
        }
    }

    fn discard(&mut self) {
        self.settlement.discard();
        self.generation += 1;
    }

    fn rewind(&self, single_rows: bool) {
        let cursor = self.settlement.position.acknowledged().cloned();
        self.channels
            .request_rewind(self.generation, cursor, single_rows);
    }

    /// Waits until all closed batches are settled.
    fn drain(&mut self) -> SendResult {
        while self.settlement.batches.has_closed() {
            self.heartbeat.beat();
            self.watch();
            self.settle()?;
            if !self.settlement.batches.has_closed() {
                break;
            }
            let deadline = crossbeam_channel::at(Instant::now() + SENDER_WAKE_INTERVAL);
            let settled = self.settlement.batches.settled().clone();
            select! {
                recv(settled) -> _ => {},
                recv(deadline) -> _ => {},
                recv(self.signals.abandon.receiver()) -> _ => return Err(SendFailure::Abandoned),
            }
        }
        Ok(())
    }
}
