//! From a row to a record in Kafka's queue.

use std::time::{Duration, Instant};

use crossbeam_channel::select;

use super::{SENDER_HEARTBEAT_DEADLINE, SENDER_WAKE_INTERVAL, SendFailure, TableSender};
use crate::backoff::Backoff;
use crate::config::{TableConfig, TableFormat};
use crate::health::Condition;
use crate::kafka::{ProducerRecord, SendError};
use crate::servicenow::page::{PageRow, RowBlock};
use crate::servicenow::query::Cursor;
use crate::source::SourceContext;
use crate::source::encode::{RecordBuffers, RowEncodeError, RowEncoder};
use crate::source::record_key;
use crate::source::record_key::KeyStrategy;

/// First and longest pause before a schema is asked for again.
const SCHEMA_RETRY_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What becomes of rows before they are sent.
pub(super) struct RecordValues {
    /// `None`: they are sent as they are.
    writing: Option<AvroValues>,
    bytes: RecordBuffers,
}

/// Rows become Avro.
struct AvroValues {
    avro: RowEncoder,
    condition: Condition,
    backoff: Backoff,
    /// When a schema may be asked for again.
    again: Instant,
    /// How long one question may keep the thread silent.
    asking: Duration,
}

impl RecordValues {
    pub(super) fn new(context: &SourceContext, table: &TableConfig) -> RecordValues {
        let registry = context.registry.as_ref();
        let registry = registry.filter(|_| table.format == TableFormat::Avro);
        let writing = registry.map(|registry| {
            let name = format!("schema of {}", table.name);
            let condition = context.health.condition(&name, "");
            condition.ok();
            let avro = RowEncoder::new(table, &context.instance, registry, &context.metrics);
            AvroValues {
                condition,
                backoff: Backoff::new(SCHEMA_RETRY_PAUSE.0, SCHEMA_RETRY_PAUSE.1),
                again: Instant::now(),
                asking: avro.patience() + SENDER_HEARTBEAT_DEADLINE,
                avro,
            }
        });
        RecordValues {
            writing,
            bytes: RecordBuffers::default(),
        }
    }
}

impl TableSender {
    /// Sends the rows of a block. `checked`: their page is known to be good.
    pub(super) fn produce(&mut self, block: &RowBlock, checked: bool) -> Result<(), SendFailure> {
        let mut before: Option<&PageRow> = None;
        for row in &block.rows {
            if self.is_own(block, row) {
                self.open_own += 1;
                before = Some(row);
                continue;
            }
            if let Err(trouble) = self.send(block, row) {
                return Err(match trouble {
                    // All rows before this one are sent, so the position may move up to them, as
                    // soon as their page is known to be good.
                    SendFailure::Record { why, .. } => {
                        let before = before.filter(|_| checked).map(|row| position(block, row));
                        SendFailure::Record { before, why }
                    }
                    other => other,
                });
            }
            self.open_rows += 1;
            before = Some(row);
        }
        Ok(())
    }

    fn is_own(&self, block: &RowBlock, row: &PageRow) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|own| own.is_own(block.slice(&row.id), block.slice(&row.text)))
    }

    fn send(&mut self, block: &RowBlock, row: &PageRow) -> Result<(), SendFailure> {
        let (id, value) = (block.slice(&row.id), block.slice(&row.text));
        let hashed;
        let key = match &self.keys {
            KeyStrategy::Identifier => Some(id),
            KeyStrategy::None => None,
            KeyStrategy::Fields(fields) => {
                hashed =
                    record_key::field_key(value, fields).map_err(|error| SendFailure::Record {
                        before: None,
                        why: format!("a row is not valid JSON (column {})", error.column()),
                    })?;
                Some(hashed.as_bytes())
            }
        };
        if self.values.writing.is_none() {
            return self.enqueue(key, value, id);
        }
        // Out of its place, so that sending may use the rest of us.
        let mut bytes = std::mem::take(&mut self.values.bytes);
        let sent = self.encode(key, value, id, &mut bytes).and_then(|()| {
            let framed = bytes.key.as_slice();
            let key = key.map(|key| if framed.is_empty() { key } else { framed });
            self.enqueue(key, &bytes.value, id)
        });
        self.values.bytes = bytes;
        sent
    }

    /// Makes the record of a row, however long its schema is waited for.
    fn encode(
        &mut self,
        key: Option<&[u8]>,
        row: &[u8],
        id: &[u8],
        out: &mut RecordBuffers,
    ) -> Result<(), SendFailure> {
        let mut asked = false;
        while let Some(writing) = &mut self.values.writing {
            let mut made = writing.avro.encode(key, row, id, out, !asked);
            if matches!(made, Err(RowEncodeError::SchemaNeeded)) {
                self.heartbeat.beat(writing.asking);
                made = writing.avro.grow(row, &self.stop);
                self.heartbeat.beat(SENDER_HEARTBEAT_DEADLINE);
                asked = made.is_ok();
                if asked {
                    continue;
                }
            }
            match made {
                Err(RowEncodeError::NoSchema(why)) => self.wait_for_schema(&why)?,
                Err(RowEncodeError::Stopped) => return Err(SendFailure::Stopped),
                Err(RowEncodeError::InvalidRow(why)) => {
                    self.schema_is_known();
                    return Err(of_row(id, &why));
                }
                // It is not asked twice for a row.
                Ok(()) | Err(RowEncodeError::SchemaNeeded) => {
                    self.schema_is_known();
                    break;
                }
            }
        }
        Ok(())
    }

    /// While there are no rows: asks for the schema, so that the first one need not wait, and so that
    /// somebody hears of trouble before it comes.
    pub(super) fn prepare(&mut self) {
        let Some(writing) = &mut self.values.writing else {
            return;
        };
        if writing.avro.is_ready() || Instant::now() < writing.again {
            return;
        }
        self.heartbeat.beat(writing.asking);
        let asked = writing.avro.prepare(&self.stop);
        self.heartbeat.beat(SENDER_HEARTBEAT_DEADLINE);
        // Of an empty table there may be nothing to know yet.
        writing.again = Instant::now() + SCHEMA_RETRY_PAUSE.1;
        match asked {
            Ok(()) => self.schema_is_known(),
            Err(RowEncodeError::NoSchema(why) | RowEncodeError::InvalidRow(why)) => {
                self.schema_is_missing(&why);
            }
            Err(RowEncodeError::SchemaNeeded | RowEncodeError::Stopped) => {}
        }
    }

    /// Rows wait here, and the poller with them, while there is no schema to write them with. What is
    /// on its way is still acknowledged meanwhile. A stop ends it: nothing was begun with this row.
    fn wait_for_schema(&mut self, why: &str) -> Result<(), SendFailure> {
        let until = self.schema_is_missing(why);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.heartbeat.beat(SENDER_HEARTBEAT_DEADLINE);
            self.show_lag();
            let woken = self.wake.1.clone();
            select! {
                recv(woken) -> _ => self.settle()?,
                recv(self.stop.receiver()) -> _ => return Err(SendFailure::Stopped),
                default(left.min(SENDER_WAKE_INTERVAL)) => {},
            }
        }
        // That nothing is acknowledged meanwhile is not Kafka's fault.
        self.waiting = self.waiting.map(|_| Instant::now());
        Ok(())
    }

    /// Says so; gives the time at which to ask again.
    fn schema_is_missing(&mut self, why: &str) -> Instant {
        let errors = &self.meters.metrics.source_errors;
        errors.with(&[&self.table, "schema"]).inc();
        self.meters.held.set(1.0);
        let Some(writing) = &mut self.values.writing else {
            return Instant::now();
        };
        writing.condition.fail(why.to_owned());
        let pause = writing.backoff.next(fastrand::f64());
        writing.again = Instant::now() + pause;
        log::error!(table = self.table, topic = self.topic, error = why, retry_in:? = pause;
            "there is no schema to write rows with; the table waits");
        writing.again
    }

    fn schema_is_known(&mut self) {
        let Some(writing) = &mut self.values.writing else {
            return;
        };
        if writing.backoff.failures() > 0 {
            writing.backoff.reset();
            writing.condition.ok();
            // It may be held for another reason.
            if self.backoff.failures() == 0 {
                self.meters.held.set(0.0);
            }
            log::info!(table = self.table; "there is a schema again");
        }
    }

    /// Hands a record to Kafka; waits while its queue is full.
    fn enqueue(&mut self, key: Option<&[u8]>, value: &[u8], id: &[u8]) -> Result<(), SendFailure> {
        let record = ProducerRecord {
            topic: &self.topic,
            key,
            value: Some(value),
            headers: &self.headers,
        };
        loop {
            match self
                .producer
                .send(&record, &self.open, &self.abandon, SENDER_WAKE_INTERVAL)
            {
                Ok(()) => {
                    self.waiting.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(SendError::Full) => {
                    self.heartbeat.beat(SENDER_HEARTBEAT_DEADLINE);
                    self.watch();
                }
                Err(SendError::Stopped) => return Err(SendFailure::Abandoned),
                Err(error @ SendError::TooLarge { .. }) => {
                    return Err(of_row(id, &error));
                }
                Err(error) => return Err(SendFailure::Delivery(error.to_string())),
            }
        }
    }
}

/// This row cannot be sent.
fn of_row(id: &[u8], why: &dyn std::fmt::Display) -> SendFailure {
    let id = String::from_utf8_lossy(id);
    SendFailure::Record {
        before: None,
        why: format!("row {id}: {why}"),
    }
}

fn position(block: &RowBlock, row: &PageRow) -> Cursor {
    let id = String::from_utf8_lossy(block.slice(&row.id)).into_owned();
    Cursor {
        seconds: row.seconds,
        id: Some(id),
    }
}
