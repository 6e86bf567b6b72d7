//! From a row to a record in Kafka's queue.

use std::time::{Duration, Instant};

use crossbeam_channel::select;

use super::{BEAT, SILENCE, Sender, Trouble};
use crate::config::{Format, Table};
use crate::health::Condition;
use crate::kafka::{Record, SendError};
use crate::retry::Backoff;
use crate::servicenow::page::{Block, Row};
use crate::servicenow::query::Cursor;
use crate::source::Context;
use crate::source::avro::{Avro, Bytes, Fault};
use crate::source::key::{self, Keys};
use crate::stop::Stop;

/// How long the thread may be silent while it asks the instance and the registry.
const ASKING: Duration = Duration::from_secs(900);
/// First and longest pause before a schema is asked for again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What becomes of rows before they are sent.
pub(super) struct Values {
    /// `None`: they are sent as they are.
    avro: Option<Avro>,
    bytes: Bytes,
    condition: Condition,
    backoff: Backoff,
}

impl Values {
    pub(super) fn new(context: &Context, table: &Table) -> Values {
        let name = format!("schema of {}", table.name);
        let condition = context.health.condition(&name, "");
        condition.ok();
        let registry = context.registry.as_ref();
        let registry = registry.filter(|_| table.format == Format::Avro);
        let avro = registry.map(|it| Avro::new(table, &context.instance, it, &context.metrics));
        Values {
            avro,
            bytes: Bytes::default(),
            condition,
            backoff: Backoff::new(PAUSE.0, PAUSE.1),
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
                hashed = key::field_key(value, fields).map_err(|error| Trouble::Record {
                    before: None,
                    why: format!("a row is not valid JSON (column {})", error.column()),
                })?;
                Some(hashed.as_bytes())
            }
        };
        if self.values.avro.is_none() {
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
        while let Some(avro) = &mut self.values.avro {
            let mut made = avro.encode(key, row, out, !asked);
            if matches!(made, Err(Fault::Ask)) {
                self.heartbeat.beat(ASKING);
                made = avro.grow(row, &self.abandon);
                asked = made.is_ok();
                if asked {
                    continue;
                }
            }
            match made {
                Ok(()) | Err(Fault::Ask) => break,
                Err(Fault::Stopped) => return Err(Trouble::Abandoned),
                Err(Fault::Record(why)) => return Err(of_row(id, &why)),
                Err(Fault::Schema(why)) => {
                    let abandon = self.abandon.clone();
                    self.wait_for_schema(&why, &abandon)?;
                }
            }
        }
        self.schema_is_known();
        Ok(())
    }

    /// Asks for the schema before the first row. False: stopped before there was one.
    pub(super) fn prepare(&mut self) -> bool {
        while let Some(avro) = &mut self.values.avro {
            self.heartbeat.beat(ASKING);
            match avro.prepare(&self.stop) {
                Ok(()) | Err(Fault::Ask) => break,
                Err(Fault::Stopped) => return false,
                Err(Fault::Schema(why) | Fault::Record(why)) => {
                    let stop = self.stop.clone();
                    if self.wait_for_schema(&why, &stop).is_err() {
                        return false;
                    }
                }
            }
        }
        self.schema_is_known();
        true
    }

    /// Rows wait here, and the poller with them, while there is no schema to write them with. What is
    /// on its way is still acknowledged meanwhile.
    fn wait_for_schema(&mut self, why: &str, stop: &Stop) -> Result<(), Trouble> {
        let errors = &self.meters.metrics.source_errors;
        errors.with(&[&self.table, "schema"]).inc();
        self.meters.held.set(1.0);
        self.values.condition.fail(why.to_owned());
        let pause = self.values.backoff.next(fastrand::f64());
        log::error!(table = self.table, topic = self.topic, error = why, retry_in:? = pause;
            "there is no schema to write rows with; the table waits");
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.heartbeat.beat(SILENCE);
            self.watch();
            let woken = self.wake.1.clone();
            select! {
                recv(woken) -> _ => self.settle()?,
                recv(stop.receiver()) -> _ => return Err(Trouble::Abandoned),
                default(left.min(BEAT)) => {},
            }
        }
        self.heartbeat.beat(ASKING);
        Ok(())
    }

    fn schema_is_known(&mut self) {
        if self.values.backoff.failures() > 0 {
            self.values.backoff.reset();
            self.values.condition.ok();
            self.meters.held.set(0.0);
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
