//! Finds the schema that a table's rows are written with.
//!
//! With `auto_register: true` the bridge asks the instance for the columns, lets its own schema grow
//! to them, and registers it. With `auto_register: false` it takes what is registered: the latest
//! version, or the bridge's own newest one below a foreign version.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::RowEncodeError;
use super::report::SchemaReports;
use crate::avro::desired_schema::{self, DesiredSchema};
use crate::avro::{FieldType, KEY_SCHEMA, RecordSchema, TableColumns};
use crate::config::{KeyFormat, TableConfig};
use crate::registry::{LatestOwnVersion, NextSchema, RecordPart, Registry, SubjectSchema};
use crate::source::instance::SourceInstance;
use crate::stop::Stop;

/// Time between two looks for a column that the known schema lacks, where only other programs
/// register schemas; and between two schemas of a table whose columns keep changing.
const SCHEMA_LOOKUP_INTERVAL: Duration = Duration::from_secs(60);
/// Most columns of a schema. The widest tables have some hundred; an instance that makes up names
/// must not fill the registry.
const MAX_SCHEMA_FIELDS: usize = 5_000;
/// How many schemas a table may have registered without a pause between them.
const UNTHROTTLED_SCHEMA_CHANGES: u32 = 20;
/// Most requests of one look-up to the instance, and to the registry. It is more than there ever
/// are, also where a foreign schema makes the bridge go through older versions.
const MAX_REQUESTS_PER_LOOKUP: (u32, u32) = (10, 30);

/// A schema to write rows with.
pub(super) struct FoundSchema {
    pub(super) schema: RecordSchema,
    /// The id that the registry gave it.
    pub(super) id: u32,
    /// The id of the key's schema, for `schema.key: avro`.
    pub(super) key_id: Option<u32>,
}

/// Asks the instance and the registry.
pub(super) struct SchemaFinder {
    table: TableConfig,
    instance: Arc<SourceInstance>,
    registry: Arc<Registry>,
    /// When a schema was last looked up. A look-up that failed does not count, except for a look whether
    /// another program has registered a schema.
    last_lookup: Option<Instant>,
    /// How often the schema has grown since the start.
    growths: u32,
}

impl SchemaFinder {
    pub(super) fn new(
        table: &TableConfig,
        instance: &Arc<SourceInstance>,
        registry: &Arc<Registry>,
    ) -> SchemaFinder {
        SchemaFinder {
            table: table.clone(),
            instance: Arc::clone(instance),
            registry: Arc::clone(registry),
            last_lookup: None,
            growths: 0,
        }
    }

    /// How long one look-up may take at most, by the time-outs of the configuration.
    pub(super) fn max_time(&self) -> Duration {
        let (instance, registry) = MAX_REQUESTS_PER_LOOKUP;
        self.instance.client().max_request_time() * instance
            + self.registry.max_request_time() * registry
    }

    /// Whether a look-up may find a column that the known schema lacks. Where the bridge registers
    /// schemas, each new column gets a field at once. Where only others do, a look now and then is
    /// enough.
    pub(super) fn may_find_columns(&self, now: Instant) -> bool {
        let is_due = |last: Instant| now.saturating_duration_since(last) >= SCHEMA_LOOKUP_INTERVAL;
        self.registry.auto_registers() || self.last_lookup.is_none_or(is_due)
    }

    /// Asks what to write rows with; `running` is the schema that they are written with so far. Where
    /// the bridge registers schemas, what is found has every column of `row`.
    ///
    /// `None`: there is no row, and the instance shows no columns, so the first row has to tell them.
    pub(super) fn look_up(
        &mut self,
        row: Option<&[u8]>,
        running: Option<&RecordSchema>,
        reports: &mut SchemaReports,
        stop: &Stop,
    ) -> Result<Option<FoundSchema>, RowEncodeError> {
        let subject = self.subject();
        let (schema, id) = if self.registry.auto_registers() {
            let desired = self.desired(row, reports, stop)?;
            if desired.fields().is_empty() {
                return Ok(None);
            }
            self.register(&subject, &desired, running, reports, stop)?
        } else {
            let latest = self.registry.require_latest(&subject, stop)?;
            self.pinned(&subject, &latest, reports, stop)?
        };
        self.last_lookup = Some(Instant::now());
        self.found(&subject, schema, id, stop).map(Some)
    }

    /// Asks for a schema with the columns of `row`, some of which `running`, with this id, lacks.
    /// `None`: there is no other one.
    ///
    /// # Errors
    /// The schema has grown so often that the next one has to wait, or it could not be asked for or
    /// registered.
    pub(super) fn follow_columns(
        &mut self,
        row: &[u8],
        running: &RecordSchema,
        id: u32,
        reports: &mut SchemaReports,
        stop: &Stop,
    ) -> Result<Option<FoundSchema>, RowEncodeError> {
        if !self.registry.auto_registers() {
            return match self.look_for_other(id, reports, stop) {
                Err(RowEncodeError::NoSchema(why) | RowEncodeError::Away(why)) => {
                    reports.known_schema_stays(&why);
                    Ok(None)
                }
                found => found,
            };
        }
        let is_early = self
            .last_lookup
            .is_some_and(|last| last.elapsed() < SCHEMA_LOOKUP_INTERVAL);
        if self.growths >= UNTHROTTLED_SCHEMA_CHANGES && is_early {
            return Err(RowEncodeError::NoSchema(format!(
                "its columns have changed {} times since the start, so the next schema takes a \
                 minute; name the columns to send in `fields`",
                self.growths
            )));
        }
        let found = self.look_up(Some(row), Some(running), reports, stop)?;
        self.growths += 1;
        Ok(found)
    }

    /// Looks once whether another program has registered a schema other than the one with this id.
    /// It counts as a look-up even if the registry does not answer: the known schema serves then, and
    /// the next row need not wait for the same silence.
    fn look_for_other(
        &mut self,
        id: u32,
        reports: &mut SchemaReports,
        stop: &Stop,
    ) -> Result<Option<FoundSchema>, RowEncodeError> {
        let subject = self.subject();
        let latest = self.registry.require_latest_once(&subject, stop);
        self.last_lookup = Some(Instant::now());
        let (schema, found) = self.pinned(&subject, &latest?, reports, stop)?;
        if found == id {
            return Ok(None);
        }
        self.found(&subject, schema, found, stop).map(Some)
    }

    fn subject(&self) -> String {
        self.registry.table_subject(&self.table)
    }

    /// The schema that the configuration and the instance ask for, with the columns of `row`.
    fn desired(
        &self,
        row: Option<&[u8]>,
        reports: &mut SchemaReports,
        stop: &Stop,
    ) -> Result<RecordSchema, RowEncodeError> {
        let path = self.instance.table_api_path();
        let DesiredSchema { schema, notes } =
            desired_schema::desired_schema(self.instance.client(), path, &self.table, stop)?;
        for note in &notes {
            reports.less_than_desired(note);
        }
        let schema = match row {
            Some(row) => with_columns_of(&schema, row)?,
            None => schema,
        };
        check_size(&schema)?;
        Ok(schema)
    }

    /// Registers the schema that grows to `desired`, if it is not registered yet.
    fn register(
        &self,
        subject: &str,
        desired: &RecordSchema,
        running: Option<&RecordSchema>,
        reports: &mut SchemaReports,
        stop: &Stop,
    ) -> Result<(RecordSchema, u32), RowEncodeError> {
        let next = NextSchema::find(&self.registry, subject, desired, running, stop)?;
        check_size(&next.schema)?;
        if let Some(why) = &next.foreign {
            reports.latest_is_foreign(subject, why);
        }
        let id = next.register(&self.registry, subject, stop)?;
        for change in &next.changes {
            reports.columns_changed(subject, change);
        }
        Ok((next.schema, id))
    }

    /// The registered schema to write with: the latest version, or the bridge's own below a foreign
    /// one.
    fn pinned(
        &self,
        subject: &str,
        latest: &SubjectSchema,
        reports: &mut SchemaReports,
        stop: &Stop,
    ) -> Result<(RecordSchema, u32), RowEncodeError> {
        let newest = LatestOwnVersion::find(&self.registry, subject, latest, stop)?;
        let (version, schema) = newest
            .or_advice(subject, &self.table.name)
            .map_err(RowEncodeError::NoSchema)?;
        if let Some(why) = &newest.foreign {
            reports.latest_is_foreign(subject, why);
        }
        Ok((schema.clone(), version.id))
    }

    /// Adds the key's schema to what was found.
    fn found(
        &self,
        subject: &str,
        schema: RecordSchema,
        id: u32,
        stop: &Stop,
    ) -> Result<FoundSchema, RowEncodeError> {
        check_size(&schema)?;
        let key_id = match self.table.schema.key {
            KeyFormat::Avro => Some(self.key_schema(stop)?),
            KeyFormat::String => None,
        };
        log::info!(table = self.table.name, subject = subject, id = id,
            columns = schema.fields().len(); "rows are written with this schema");
        Ok(FoundSchema { schema, id, key_id })
    }

    /// The id of the schema of keys, which is registered where it is not yet.
    fn key_schema(&self, stop: &Stop) -> Result<u32, RowEncodeError> {
        let subject = self
            .registry
            .subject(&self.table.topic, RecordPart::Key, None);
        let used = self
            .registry
            .register_or_latest(&subject, KEY_SCHEMA, stop)?;
        let is_string =
            serde_json::from_str::<serde_json::Value>(&used.schema).is_ok_and(|schema| {
                schema == "string" || schema.get("type").is_some_and(|kind| kind == "string")
            });
        if is_string {
            Ok(used.id)
        } else {
            Err(RowEncodeError::NoSchema(format!(
                "what is registered as `{subject}` is not Avro's string, which keys are; use \
                 `schema.key: string` or another topic"
            )))
        }
    }
}

/// Refuses a schema with more fields than one may have.
fn check_size(schema: &RecordSchema) -> Result<(), RowEncodeError> {
    let fields = schema.fields().len();
    if fields > MAX_SCHEMA_FIELDS {
        return Err(RowEncodeError::NoSchema(format!(
            "the table has {fields} columns, with those that are gone, more than the \
             {MAX_SCHEMA_FIELDS} of a schema; name those to send in `fields`, and use another topic"
        )));
    }
    Ok(())
}

/// The schema, with a text field for each column of the row that it lacks.
fn with_columns_of(schema: &RecordSchema, row: &[u8]) -> Result<RecordSchema, RowEncodeError> {
    let columns = TableColumns::of_row(schema.table(), row)
        .ok_or_else(|| RowEncodeError::InvalidRow("it is not valid JSON".to_owned()))?;
    let count = columns.list.len();
    if count > MAX_SCHEMA_FIELDS {
        return Err(RowEncodeError::InvalidRow(format!(
            "it has {count} columns"
        )));
    }
    let known: BTreeSet<&str> = schema
        .fields()
        .iter()
        .filter(|field| field.kind != FieldType::TextMap)
        .map(|field| field.column.as_str())
        .collect();
    let new: Vec<String> = columns
        .list
        .into_iter()
        .map(|column| column.name)
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    if new.is_empty() {
        return Ok(schema.clone());
    }
    let texts = RecordSchema::strings(&TableColumns::named(schema.table(), new));
    Ok(schema
        .evolve(&texts)
        .schema
        .unwrap_or_else(|| schema.clone()))
}
