//! A table's rows as Avro: the schema they are written with, and how it follows the columns.
//!
//! The schema comes from what is registered and what the instance says of its columns. A row with a
//! column that the schema has no field for is written only when the schema has grown, or when it
//! cannot: with `auto_register: false` somebody else decides.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::SourceInstance;
use crate::avro::desired_schema;
use crate::avro::desired_schema::{DesiredSchema, SchemaUnavailable};
use crate::avro::{
    EncodeError, FieldType, KEY_SCHEMA, OnTypeError, RecordEncoder, RecordSchema, TableColumns,
    encode_key,
};
use crate::config::{self, KeyFormat, TableConfig};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::registry;
use crate::registry::{LatestOwnVersion, NextSchema};
use crate::registry::{RecordPart, Registry, SubjectSchema};
use crate::servicenow;
use crate::stop::Stop;

/// Between two looks whether somebody has registered a schema with a column that ours has not, and
/// between two schemas of a table whose columns keep changing.
const SCHEMA_LOOKUP_INTERVAL: Duration = Duration::from_secs(60);
/// Columns of a schema. The widest tables have some hundred; an instance that makes up names must not
/// fill the registry.
const MAX_SCHEMA_FIELDS: usize = 5_000;
/// Schemas that a table may have registered one behind the other; then they take their time.
const UNTHROTTLED_SCHEMA_CHANGES: u32 = 20;
/// Requests of one question to the instance, and to the registry: more than there ever are, also where
/// versions of somebody else's are looked through.
const MAX_REQUESTS_PER_LOOKUP: (u32, u32) = (10, 30);

/// Key and value of a record; the memory is used again.
#[derive(Debug, Default)]
pub(super) struct RecordBuffers {
    /// Empty unless `schema.key` is `avro`.
    pub(super) key: Vec<u8>,
    /// The value.
    pub(super) value: Vec<u8>,
}

/// Why a row has no record.
#[derive(Debug)]
pub(super) enum RowEncodeError {
    /// Its schema must be asked for first, with [`RowEncoder::grow`].
    SchemaNeeded,
    /// There is no schema for it yet. It may be tried again.
    NoSchema(String),
    /// The row itself has no form in the schema.
    InvalidRow(String),
    /// The wait for the registry or the instance was ended.
    Stopped,
}

/// Writes a table's rows.
pub(super) struct RowEncoder {
    table: TableConfig,
    instance: Arc<SourceInstance>,
    registry: Arc<Registry>,
    writer: Option<ActiveSchema>,
    /// When the schema was asked for last, and the answer was there.
    asked: Option<Instant>,
    /// How often the schema has grown.
    growths: u32,
    /// What was said of the schema, so that it is said once.
    said: BTreeSet<String>,
    /// The row and the column that the table was held at last.
    held: Option<(Vec<u8>, String)>,
    metrics: Arc<Metrics>,
    unknown: Counter,
    schema_id: Gauge,
}

/// What is needed to write a row.
struct ActiveSchema {
    encoder: RecordEncoder,
    schema: RecordSchema,
    id: u32,
    /// The id of the key's schema, for `schema.key: avro`.
    key_id: Option<u32>,
    /// Whether there is room for the texts of values that do not fit.
    has_raw: bool,
    /// Values that did not fit, by column, as they are counted already.
    misfits: BTreeMap<String, u64>,
}

impl RowEncoder {
    /// Nothing is asked yet.
    pub(super) fn new(
        table: &TableConfig,
        instance: &Arc<SourceInstance>,
        registry: &Arc<Registry>,
        metrics: &Arc<Metrics>,
    ) -> RowEncoder {
        let labels = [table.name.as_str()];
        RowEncoder {
            table: table.clone(),
            instance: Arc::clone(instance),
            registry: Arc::clone(registry),
            writer: None,
            asked: None,
            growths: 0,
            said: BTreeSet::new(),
            held: None,
            metrics: Arc::clone(metrics),
            unknown: metrics.source_unknown_columns.with(&labels),
            schema_id: metrics.source_schema_id.with(&labels),
        }
    }

    /// Asks for the schema before there is a row.
    pub(super) fn prepare(&mut self, stop: &Stop) -> Result<(), RowEncodeError> {
        self.ask(None, stop)
    }

    /// Whether there is a schema.
    pub(super) fn is_ready(&self) -> bool {
        self.writer.is_some()
    }

    /// How long one question may take at most, by the time-outs of the configuration.
    pub(super) fn patience(&self) -> Duration {
        let (instance, registry) = MAX_REQUESTS_PER_LOOKUP;
        self.instance.client().max_request_time() * instance
            + self.registry.max_request_time() * registry
    }

    /// Makes the record of a row, which `id` names. [`RowEncodeError::SchemaNeeded`] comes only while `may_ask`.
    pub(super) fn encode(
        &mut self,
        key: Option<&[u8]>,
        row: &[u8],
        id: &[u8],
        out: &mut RecordBuffers,
        may_ask: bool,
    ) -> Result<(), RowEncodeError> {
        let Some(writer) = &mut self.writer else {
            return Err(match may_ask {
                true => RowEncodeError::SchemaNeeded,
                false => RowEncodeError::InvalidRow("it has no columns".to_owned()),
            });
        };
        out.value.clear();
        let report = match writer.encoder.encode(row, &mut out.value) {
            Err(error) => return Err(self.refused(id, error)),
            Ok(report) => report,
        };
        if let (Some(id), Some(key)) = (writer.key_id, key) {
            out.key.clear();
            encode_key(id, key, &mut out.key)?;
        }
        if report.unknown > 0 {
            if may_ask && self.is_worth_asking(Instant::now()) {
                return Err(RowEncodeError::SchemaNeeded);
            }
            self.unknown.add(report.unknown.into());
            self.tell_unknown();
        }
        if report.misfits > 0 {
            self.count_misfits(id);
        }
        Ok(())
    }

    /// Asks for a schema with the columns of `row`.
    pub(super) fn grow(&mut self, row: &[u8], stop: &Stop) -> Result<(), RowEncodeError> {
        if self.writer.is_none() {
            return self.ask(Some(row), stop);
        }
        if !self.registry.auto_registers() {
            return match self.look(stop) {
                Err(RowEncodeError::NoSchema(why)) => {
                    if self.is_new(&why) {
                        log::warn!(table = self.table.name, error = why;
                            "there is no schema with more columns; the known one serves");
                    }
                    Ok(())
                }
                looked => looked,
            };
        }
        let early = self
            .asked
            .is_some_and(|asked| asked.elapsed() < SCHEMA_LOOKUP_INTERVAL);
        if UNTHROTTLED_SCHEMA_CHANGES <= self.growths && early {
            return Err(RowEncodeError::NoSchema(format!(
                "its columns have changed {} times since the start, so the next schema takes a \
                 minute; name the columns to send in `fields`",
                self.growths
            )));
        }
        self.ask(Some(row), stop)?;
        self.growths += 1;
        Ok(())
    }

    /// Whether somebody has registered another schema. What there is serves if not, and if nobody
    /// answers, so this is not repeated.
    fn look(&mut self, stop: &Stop) -> Result<(), RowEncodeError> {
        let subject = self.subject();
        let found = self.registry.require_latest_once(&subject, stop);
        self.asked = Some(Instant::now());
        let (schema, id) = self.pinned(&subject, &found?, stop)?;
        if self.writer.as_ref().is_some_and(|it| it.id == id) {
            return Ok(());
        }
        self.write_with(&subject, schema, id, stop)
    }

    /// With our own registering each new column gets a field at once. Without, somebody must have
    /// registered it, and a look now and then is enough.
    fn is_worth_asking(&self, now: Instant) -> bool {
        let since = |asked: Instant| now.saturating_duration_since(asked);
        self.registry.auto_registers()
            || self
                .asked
                .is_none_or(|asked| SCHEMA_LOOKUP_INTERVAL <= since(asked))
    }

    /// Asks the instance and the registry what to write with. It has every column of `row`, if there
    /// is one and schemas are registered here.
    fn ask(&mut self, row: Option<&[u8]>, stop: &Stop) -> Result<(), RowEncodeError> {
        let subject = self.subject();
        let (schema, id) = if self.registry.auto_registers() {
            let schema = self.wanted(row, stop)?;
            if schema.fields().is_empty() {
                // The first row will say what its columns are.
                return Ok(());
            }
            self.register(&subject, &schema, stop)?
        } else {
            let latest = self.registry.require_latest(&subject, stop)?;
            self.pinned(&subject, &latest, stop)?
        };
        self.asked = Some(Instant::now());
        self.write_with(&subject, schema, id, stop)
    }

    fn subject(&self) -> String {
        self.registry.table_subject(&self.table)
    }

    fn write_with(
        &mut self,
        subject: &str,
        schema: RecordSchema,
        id: u32,
        stop: &Stop,
    ) -> Result<(), RowEncodeError> {
        bounded(&schema)?;
        let key_id = match self.table.schema.key {
            KeyFormat::Avro => Some(self.key(stop)?),
            KeyFormat::String => None,
        };
        self.schema_id.set(f64::from(id));
        log::info!(table = self.table.name, subject = subject, id = id,
            columns = schema.fields().len(); "rows are written with this schema");
        self.writer = Some(ActiveSchema {
            encoder: RecordEncoder::new(
                &schema,
                id,
                on_type_error(self.table.schema.on_type_error),
            ),
            id,
            key_id,
            has_raw: schema
                .fields()
                .iter()
                .any(|it| it.kind == FieldType::TextMap),
            schema,
            misfits: BTreeMap::new(),
        });
        Ok(())
    }

    /// What the configuration and the instance ask for, with the columns of `row`.
    fn wanted(&mut self, row: Option<&[u8]>, stop: &Stop) -> Result<RecordSchema, RowEncodeError> {
        let path = self.instance.table_api_path();
        let wanted =
            desired_schema::desired_schema(self.instance.client(), path, &self.table, stop)?;
        let DesiredSchema { schema, notes } = wanted;
        for note in notes {
            if self.is_new(&note) {
                log::warn!(table = self.table.name, reason = note;
                    "the schema has less than it could");
            }
        }
        let schema = match row {
            Some(row) => with_columns_of(&schema, row)?,
            None => schema,
        };
        bounded(&schema)?;
        Ok(schema)
    }

    fn register(
        &mut self,
        subject: &str,
        wanted: &RecordSchema,
        stop: &Stop,
    ) -> Result<(RecordSchema, u32), RowEncodeError> {
        let running = self.writer.as_ref().map(|writer| &writer.schema);
        let next = NextSchema::find(&self.registry, subject, wanted, running, stop)?;
        bounded(&next.schema)?;
        if let Some(why) = &next.foreign {
            self.tell_foreign(subject, why);
        }
        let id = next.register(&self.registry, subject, stop)?;
        for change in &next.changes {
            let words = change.to_string();
            if self.is_new(&words) {
                log::info!(table = self.table.name, subject = subject, change = words;
                    "the columns have changed");
            }
        }
        Ok((next.schema, id))
    }

    /// What somebody has registered to write with: the latest version, or our own below a foreign one.
    fn pinned(
        &mut self,
        subject: &str,
        latest: &SubjectSchema,
        stop: &Stop,
    ) -> Result<(RecordSchema, u32), RowEncodeError> {
        let newest = LatestOwnVersion::find(&self.registry, subject, latest, stop)?;
        let (version, schema) = newest
            .or_advice(subject, &self.table.name)
            .map_err(RowEncodeError::NoSchema)?;
        if let Some(why) = &newest.foreign {
            self.tell_foreign(subject, why);
        }
        Ok((schema.clone(), version.id))
    }

    fn key(&self, stop: &Stop) -> Result<u32, RowEncodeError> {
        let subject = self
            .registry
            .subject(&self.table.topic, RecordPart::Key, None);
        let used = self
            .registry
            .register_or_latest(&subject, KEY_SCHEMA, stop)?;
        let is_string =
            serde_json::from_str::<serde_json::Value>(&used.schema).is_ok_and(|schema| {
                schema == "string" || schema.get("type").is_some_and(|it| it == "string")
            });
        match is_string {
            true => Ok(used.id),
            false => Err(RowEncodeError::NoSchema(format!(
                "what is registered as `{subject}` is not Avro's string, which keys are; use \
                 `schema.key: string` or another topic"
            ))),
        }
    }
}

/// Not more fields than a schema may have.
fn bounded(schema: &RecordSchema) -> Result<(), RowEncodeError> {
    match schema.fields().len() {
        0..=MAX_SCHEMA_FIELDS => Ok(()),
        fields => Err(RowEncodeError::NoSchema(format!(
            "the table has {fields} columns, with those that are gone, more than the {MAX_SCHEMA_FIELDS} of \
             a schema; name those to send in `fields`, and use another topic"
        ))),
    }
}

/// The schema, and a text field for each column of the row that it has not.
fn with_columns_of(schema: &RecordSchema, row: &[u8]) -> Result<RecordSchema, RowEncodeError> {
    let columns = TableColumns::of_row(schema.table(), row)
        .ok_or_else(|| RowEncodeError::InvalidRow("it is not valid JSON".to_owned()))?;
    let fields = schema.fields().iter();
    let fields = fields.filter(|field| field.kind != FieldType::TextMap);
    let known: BTreeSet<&str> = fields.map(|it| it.column.as_str()).collect();
    if MAX_SCHEMA_FIELDS < columns.list.len() {
        let columns = columns.list.len();
        return Err(RowEncodeError::InvalidRow(format!(
            "it has {columns} columns"
        )));
    }
    let new = columns.list.into_iter().map(|column| column.name);
    let new: Vec<String> = new.filter(|name| !known.contains(name.as_str())).collect();
    if new.is_empty() {
        return Ok(schema.clone());
    }
    let texts = RecordSchema::strings(&TableColumns::named(schema.table(), new));
    Ok(schema
        .evolve(&texts)
        .schema
        .unwrap_or_else(|| schema.clone()))
}

fn on_type_error(config: config::OnTypeError) -> OnTypeError {
    match config {
        config::OnTypeError::Null => OnTypeError::Null,
        config::OnTypeError::StringField => OnTypeError::StringField,
        config::OnTypeError::Hold => OnTypeError::Hold,
    }
}

impl From<EncodeError> for RowEncodeError {
    fn from(error: EncodeError) -> RowEncodeError {
        RowEncodeError::InvalidRow(error.to_string())
    }
}

impl From<registry::Error> for RowEncodeError {
    fn from(error: registry::Error) -> RowEncodeError {
        match error {
            registry::Error::Stopped => RowEncodeError::Stopped,
            error => RowEncodeError::NoSchema(error.to_string()),
        }
    }
}

impl From<SchemaUnavailable> for RowEncodeError {
    fn from(why: SchemaUnavailable) -> RowEncodeError {
        match why {
            SchemaUnavailable::Error(servicenow::Error::Stopped) => RowEncodeError::Stopped,
            why => RowEncodeError::NoSchema(why.to_string()),
        }
    }
}

impl fmt::Debug for RowEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.writer.as_ref().map(|writer| writer.id);
        f.debug_struct("Avro")
            .field("schema_id", &id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
