//! From a row to a record in Kafka's queue.

use std::time::{Duration, Instant};

use crossbeam_channel::select;

use super::{BEAT, SILENCE, Sender, Trouble};
use crate::config::{Format, Table};
use crate::health::Condition;
use crate::kafka::{Record, SendError};
use crate::backoff::Backoff;
use crate::servicenow::page::{Block, Row};
use crate::servicenow::query::Cursor;
use crate::source::Context;
use crate::source::encode::{Avro, Bytes, Fault};
use crate::source::record_key;
use crate::source::record_key::Keys;

/// First and longest pause before a schema is asked for again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What becomes of rows before they are sent.
pub(super) struct Values {
    /// `None`: they are sent as they are.
    writing: Option<Writing>,
    bytes: Bytes,
}

/// Rows become Avro.
struct Writing {
    avro: Avro,
    condition: Condition,
    backoff: Backoff,
    /// When a schema may be asked for again.
    again: Instant,
    /// How long one question may keep the thread silent.
    asking: Duration,
}

impl Values {
    pub(super) fn new(context: &Context, table: &Table) -> Values {
        let registry = context.registry.as_ref();
        let registry = registry.filter(|_| table.format == Format::Avro);
        let writing = registry.map(|registry| {
            let name = format!("schema of {}", table.name);
            let condition = context.health.condition(&name, "");
            condition.ok();
            let avro = Avro::new(table, &context.instance, registry, &context.metrics);
            Writing {
                condition,
                backoff: Backoff::new(PAUSE.0, PAUSE.1),
                again: Instant::now(),
                asking: avro.patience() + SILENCE,
                avro,
            }
        });
        Values {
            writing,
            bytes: Bytes::default(),
        }
    }
}

impl Sender {
    /// Sends the rows of a block. `checked`: their page is known to be good.
    pub(super) fn produce(&mut self, block: &Block, checked: bool) -> Result<(), Trouble> {
        let mut before: Option<&Row> = None;
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
                    Trouble::Record { why, .. } => {
                        let before = before.filter(|_| checked).map(|row| position(block, row));
                        Trouble::Record { before, why }
                    }
                    other => other,
                });
            }
            self.open_rows += 1;
            before = Some(row);
        }
        Ok(())
    }

    fn is_own(&self, block: &Block, row: &Row) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|own| own.is_own(block.slice(&row.id), block.slice(&row.text)))
    }

    fn send(&mut self, block: &Block, row: &Row) -> Result<(), Trouble> {
        let (id, value) = (block.slice(&row.id), block.slice(&row.text));
        let hashed;
        let key = match &self.keys {
            Keys::Identifier => Some(id),
            Keys::None => None,
            Keys::Fields(fields) => {
                hashed = record_key::field_key(value, fields).map_err(|error| Trouble::Record {
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
        out: &mut Bytes,
    ) -> Result<(), Trouble> {
        let mut asked = false;
        while let Some(writing) = &mut self.values.writing {
            let mut made = writing.avro.encode(key, row, id, out, !asked);
            if matches!(made, Err(Fault::Ask)) {
                self.heartbeat.beat(writing.asking);
                made = writing.avro.grow(row, &self.stop);
                self.heartbeat.beat(SILENCE);
                asked = made.is_ok();
                if asked {
                    continue;
                }
            }
            match made {
                Err(Fault::Schema(why)) => self.wait_for_schema(&why)?,
                Err(Fault::Stopped) => return Err(Trouble::Stopped),
                Err(Fault::Record(why)) => {
                    self.schema_is_known();
                    return Err(of_row(id, &why));
                }
                // It is not asked twice for a row.
                Ok(()) | Err(Fault::Ask) => {
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
        self.heartbeat.beat(SILENCE);
        // Of an empty table there may be nothing to know yet.
        writing.again = Instant::now() + PAUSE.1;
        match asked {
            Ok(()) => self.schema_is_known(),
            Err(Fault::Schema(why) | Fault::Record(why)) => {
                self.schema_is_missing(&why);
            }
            Err(Fault::Ask | Fault::Stopped) => {}
        }
    }

    /// Rows wait here, and the poller with them, while there is no schema to write them with. What is
    /// on its way is still acknowledged meanwhile. A stop ends it: nothing was begun with this row.
    fn wait_for_schema(&mut self, why: &str) -> Result<(), Trouble> {
        let until = self.schema_is_missing(why);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.heartbeat.beat(SILENCE);
            self.show_lag();
            let woken = self.wake.1.clone();
            select! {
                recv(woken) -> _ => self.settle()?,
                recv(self.stop.receiver()) -> _ => return Err(Trouble::Stopped),
                default(left.min(BEAT)) => {},
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
    fn enqueue(&mut self, key: Option<&[u8]>, value: &[u8], id: &[u8]) -> Result<(), Trouble> {
        let record = Record {
            topic: &self.topic,
            key,
            value: Some(value),
            headers: &self.headers,
        };
        loop {
            match self.producer.send(&record, &self.open, &self.abandon, BEAT) {
                Ok(()) => {
                    self.waiting.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(SendError::Full) => {
                    self.heartbeat.beat(SILENCE);
                    self.watch();
                }
                Err(SendError::Stopped) => return Err(Trouble::Abandoned),
                Err(error @ SendError::TooLarge { .. }) => {
                    return Err(of_row(id, &error));
                }
                Err(error) => return Err(Trouble::Delivery(error.to_string())),
            }
        }
    }
}

/// This row cannot be sent.
fn of_row(id: &[u8], why: &dyn std::fmt::Display) -> Trouble {
    let id = String::from_utf8_lossy(id);
    Trouble::Record {
        before: None,
        why: format!("row {id}: {why}"),
    }
}

fn position(block: &Block, row: &Row) -> Cursor {
    let id = String::from_utf8_lossy(block.slice(&row.id)).into_owned();
    Cursor {
        seconds: row.seconds,
        id: Some(id),
    }
}
