//! From a row to a record in librdkafka's queue.
//!
//! A row of a JSON table is sent as the bytes that the instance sent. A row of an Avro table is
//! written with a schema, which has to be looked up first, and again when a row brings a new column.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::heartbeat::SenderHeartbeat;
use crate::backoff::Backoff;
use crate::config::{TableConfig, TableFormat};
use crate::health::{Condition, ConditionKey};
use crate::kafka::{Batch, Producer, ProducerRecord, RecordHeaders, SendError};
use crate::servicenow::page::PageRow;
use crate::servicenow::query::TimeLiterals;
use crate::source::channels::Tombstone;
use crate::source::context::SourceContext;
use crate::source::encode::{EncodeAttempt, RecordBuffers, RowEncodeError, RowEncoder};
use crate::source::record_key::KeyStrategy;
use crate::source::version_headers::VersionHeaders;
use crate::stop::Stop;

/// First and longest pause before a schema is looked up again.
const SCHEMA_RETRY_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Header of a tombstone with the user who deleted the row, where that is known.
const DELETED_BY_HEADER: &str = "sn_deleted_by";
/// Header of a tombstone with the time at which the row was deleted, in UTC, where that is known.
const DELETED_AT_HEADER: &str = "sn_deleted_at";

/// Makes the records of a table and hands them to Kafka.
pub(super) struct RecordProducer {
    topic: String,
    keys: KeyStrategy,
    headers: RecordHeaders,
    /// Of records without a value.
    tombstone_headers: RecordHeaders,
    /// Records carry the version of their row.
    has_version_headers: bool,
    /// Avro records carry a hash of what their row holds.
    has_content_header: bool,
    producer: Arc<Producer>,
    /// `None`: rows are sent as they are.
    avro: Option<AvroRecords>,
}

/// The parts that only a table needs whose rows become Avro.
struct AvroRecords {
    encoder: RowEncoder,
    /// The record of the row that is being sent.
    record: RecordBuffers,
    condition: Condition,
    backoff: Backoff,
    /// When a schema may be looked up again.
    next_lookup: Instant,
}

impl RecordProducer {
    pub(super) fn new(context: &SourceContext, table: &TableConfig) -> RecordProducer {
        let avro = match (table.format, &context.registry) {
            (TableFormat::Avro, Some(registry)) => {
                let key = ConditionKey::Schema(table.name.clone());
                let condition = context.health.condition(key, "");
                condition.ok();
                Some(AvroRecords {
                    encoder: RowEncoder::new(table, &context.instance, registry, &context.metrics),
                    record: RecordBuffers::default(),
                    condition,
                    backoff: Backoff::new(SCHEMA_RETRY_PAUSE.0, SCHEMA_RETRY_PAUSE.1),
                    next_lookup: Instant::now(),
                })
            }
            _ => None,
        };
        let host = context.instance.client().host();
        let headers = |operation: &[u8]| {
            RecordHeaders::new(&[
                ("sn_table", table.name.as_bytes()),
                ("sn_instance", host.as_bytes()),
                ("sn_operation", operation),
            ])
        };
        RecordProducer {
            topic: table.topic.clone(),
            keys: KeyStrategy::new(&table.partitioner),
            // A poller sees states, not events: it cannot tell an insert from an update.
            headers: headers(b"upsert"),
            tombstone_headers: headers(b"delete"),
            has_version_headers: table.has_version_headers(),
            has_content_header: avro.is_some() && table.has_content_cycle(),
            producer: Arc::clone(&context.producer),
            avro,
        }
    }

    /// Whether rows become Avro, so that [`RecordProducer::encode`] comes before sending.
    pub(super) fn is_avro(&self) -> bool {
        self.avro.is_some()
    }

    /// The key of a row, before it becomes Avro.
    ///
    /// # Errors
    /// The row is not valid JSON.
    pub(super) fn key<'a>(
        &self,
        id: &'a [u8],
        row: &[u8],
    ) -> Result<Option<Cow<'a, [u8]>>, serde_json::Error> {
        self.keys.key(id, row)
    }

    /// Makes the Avro record that the next [`RecordProducer::try_send`] sends. Looks up a schema at
    /// most once.
    pub(super) fn encode(
        &mut self,
        key: Option<&[u8]>,
        row: &[u8],
        id: &[u8],
        heartbeat: &SenderHeartbeat,
        stop: &Stop,
    ) -> Result<(), RowEncodeError> {
        let Some(AvroRecords {
            encoder, record, ..
        }) = &mut self.avro
        else {
            return Ok(());
        };
        match encoder.try_encode(key, row, id, record)? {
            EncodeAttempt::Encoded => return Ok(()),
            EncodeAttempt::LookupNeeded => {}
        }
        heartbeat.beat_during(encoder.max_lookup_time());
        let looked_up = encoder.look_up_for(row, stop);
        heartbeat.beat();
        looked_up?;
        encoder.encode_with_known_schema(key, row, id, record)
    }

    /// Looks up the schema before there is a row. `None`: there is nothing to look up, or it is too
    /// early to try again.
    pub(super) fn prepare_schema(
        &mut self,
        heartbeat: &SenderHeartbeat,
        stop: &Stop,
    ) -> Option<Result<(), RowEncodeError>> {
        let avro = self.avro.as_mut()?;
        if avro.encoder.has_schema() || Instant::now() < avro.next_lookup {
            return None;
        }
        heartbeat.beat_during(avro.encoder.max_lookup_time());
        let looked_up = avro.encoder.prepare(stop);
        heartbeat.beat();
        // Of an empty table there may be nothing to know yet.
        avro.next_lookup = Instant::now() + SCHEMA_RETRY_PAUSE.1;
        Some(looked_up)
    }

    /// Shows and logs that there is no schema for a row. Gives the pause before the next look-up.
    pub(super) fn schema_is_missing(&mut self, table: &str, error: &RowEncodeError) -> Duration {
        let Some(avro) = &mut self.avro else {
            return Duration::ZERO;
        };
        avro.condition.fail(error.words().to_owned());
        let pause = avro.backoff.next(fastrand::f64());
        let pause = pause.min(error.longest_pause());
        avro.next_lookup = Instant::now() + pause;
        log::error!(table, topic = self.topic, error = error.words(), retry_in:? = pause;
            "there is no schema to write rows with; the table waits");
        pause
    }

    /// There is a schema. True when it was missing before.
    pub(super) fn schema_is_known(&mut self) -> bool {
        match &mut self.avro {
            Some(avro) if avro.backoff.failures() > 0 => {
                avro.backoff.reset();
                avro.condition.ok();
                true
            }
            _ => false,
        }
    }

    /// Makes the key of the tombstone that the next [`RecordProducer::try_send_tombstone`] sends. Looks
    /// up a schema at most once.
    pub(super) fn encode_tombstone_key(
        &mut self,
        id: &[u8],
        heartbeat: &SenderHeartbeat,
        stop: &Stop,
    ) -> Result<(), RowEncodeError> {
        let Some(AvroRecords {
            encoder, record, ..
        }) = &mut self.avro
        else {
            return Ok(());
        };
        if encoder.try_encode_key(id, record)? {
            return Ok(());
        }
        heartbeat.beat_during(encoder.max_lookup_time());
        let looked_up = encoder.prepare(stop);
        heartbeat.beat();
        looked_up?;
        if encoder.try_encode_key(id, record)? {
            return Ok(());
        }
        Err(RowEncodeError::NoSchema(
            "a deleted row has no schema for its key yet".to_owned(),
        ))
    }

    /// Hands Kafka a record without a value, with the key that the row's records have; waits for room for
    /// `wait` at most.
    pub(super) fn try_send_tombstone(
        &self,
        tombstone: &Tombstone,
        batch: &Arc<Batch>,
        abandon: &Stop,
        wait: Duration,
    ) -> Result<(), SendError> {
        let framed = self.avro.as_ref().map(|avro| avro.record.key.as_slice());
        let framed = framed.filter(|key| !key.is_empty());
        let at = tombstone.at.map(|at| TimeLiterals::Utc.text_of(at));
        let by = tombstone
            .by
            .as_ref()
            .map(|by| (DELETED_BY_HEADER, by.as_bytes()));
        let at = at.as_ref().map(|at| (DELETED_AT_HEADER, at.as_bytes()));
        let own_headers: Vec<(&str, &[u8])> = by.into_iter().chain(at).collect();
        let record = ProducerRecord {
            topic: &self.topic,
            key: Some(framed.unwrap_or(tombstone.id.as_bytes())),
            value: None,
            headers: &self.tombstone_headers,
            own_headers: &own_headers,
        };
        self.producer.send(&record, batch, abandon, wait)
    }

    /// Hands Kafka another record than that of a row; waits for room for `wait` at most.
    pub(super) fn try_send_other(
        &self,
        record: &ProducerRecord<'_>,
        batch: &Arc<Batch>,
        abandon: &Stop,
        wait: Duration,
    ) -> Result<(), SendError> {
        self.producer.send(record, batch, abandon, wait)
    }

    /// Hands a record to Kafka; waits for room for `wait` at most. The record of an Avro table is the
    /// one that [`RecordProducer::encode`] made; `key` and `row` are sent as they are otherwise. `place` has
    /// the version of the row.
    pub(super) fn try_send(
        &self,
        key: Option<&[u8]>,
        row: &[u8],
        place: &PageRow,
        batch: &Arc<Batch>,
        abandon: &Stop,
        wait: Duration,
    ) -> Result<(), SendError> {
        let (key, value) = match &self.avro {
            None => (key, row),
            Some(AvroRecords { record, .. }) => {
                let framed = record.key.as_slice();
                let key = key.map(|key| if framed.is_empty() { key } else { framed });
                (key, record.value.as_slice())
            }
        };
        let version = self.has_version_headers.then(|| {
            let version = VersionHeaders::of(place);
            if self.has_content_header {
                version.with_content(row)
            } else {
                version
            }
        });
        let record = ProducerRecord {
            topic: &self.topic,
            key,
            value: Some(value),
            headers: &self.headers,
            own_headers: &version
                .as_ref()
                .map_or_else(Vec::new, VersionHeaders::entries),
        };
        self.producer.send(&record, batch, abandon, wait)
    }
}
