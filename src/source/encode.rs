//! Writes the rows of one table as Avro records, with a schema that follows the table's columns.
//!
//! The schema comes from what is registered under the table's subject and from what the instance
//! says of the columns. A row with a column that the schema has no field for is written only when
//! the schema has grown, or when it cannot grow: with `auto_register: false` only other programs
//! register schemas, and until one of them adds the field the value is left out and counted.

mod error;
mod report;
mod schema_finder;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use self::error::RowEncodeError;

use self::report::SchemaReports;
use self::schema_finder::{FoundSchema, SchemaFinder};
use super::instance::SourceInstance;
use crate::avro::{EncodeError, EncodeReport, FieldType, RecordEncoder, RecordSchema, encode_key};
use crate::config::{KeyFormat, OnTypeError, TableConfig};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::registry::Registry;
use crate::stop::Stop;

/// Key and value of a record. Their memory is used again for the next one.
#[derive(Debug, Default)]
pub(super) struct RecordBuffers {
    /// Empty unless `schema.key` is `avro`.
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// What [`RowEncoder::try_encode`] did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EncodeAttempt {
    /// The record is made.
    Encoded,
    /// No record is made: a schema has to be looked up first, with [`RowEncoder::look_up_for`].
    LookupNeeded,
}

/// Writes a table's rows.
pub(super) struct RowEncoder {
    lookup: SchemaFinder,
    /// `None` until a look-up has found a schema.
    active: Option<ActiveSchema>,
    reports: SchemaReports,
    on_type_error: OnTypeError,
    has_avro_key: bool,
    unknown_columns: Counter,
    schema_id: Gauge,
}

/// The schema that rows are written with.
struct ActiveSchema {
    encoder: RecordEncoder,
    schema: RecordSchema,
    id: u32,
    /// The id of the key's schema, for `schema.key: avro`.
    key_id: Option<u32>,
    /// Whether the schema has the field `_raw` for texts that do not fit their type.
    has_raw_field: bool,
    /// Values that did not fit, by column, as far as the metrics count them already.
    counted_misfits: BTreeMap<String, u64>,
}

impl ActiveSchema {
    fn encode(
        &mut self,
        key: Option<&[u8]>,
        row: &[u8],
        out: &mut RecordBuffers,
    ) -> Result<EncodeReport, EncodeError> {
        out.value.clear();
        let report = self.encoder.encode(row, &mut out.value)?;
        if let (Some(id), Some(key)) = (self.key_id, key) {
            out.key.clear();
            encode_key(id, key, &mut out.key)?;
        }
        Ok(report)
    }
}

impl RowEncoder {
    /// Looks up nothing yet.
    pub(super) fn new(
        table: &TableConfig,
        instance: &Arc<SourceInstance>,
        registry: &Arc<Registry>,
        metrics: &Arc<Metrics>,
    ) -> RowEncoder {
        let labels = [table.name.as_str()];
        RowEncoder {
            lookup: SchemaFinder::new(table, instance, registry),
            active: None,
            reports: SchemaReports::new(&table.name, metrics),
            on_type_error: table.schema.on_type_error,
            has_avro_key: table.schema.key == KeyFormat::Avro,
            unknown_columns: metrics.source_unknown_columns.with(&labels),
            schema_id: metrics.source_schema_id.with(&labels),
        }
    }

    /// Whether a schema is known.
    pub(super) fn has_schema(&self) -> bool {
        self.active.is_some()
    }

    /// How long one look-up may take at most, by the time-outs of the configuration.
    pub(super) fn max_lookup_time(&self) -> Duration {
        self.lookup.max_time()
    }

    /// Looks up the schema before there is a row. Without a row and without columns that the
    /// instance shows there may be none to find, which is no error.
    pub(super) fn prepare(&mut self, stop: &Stop) -> Result<(), RowEncodeError> {
        let found = self.lookup.look_up(None, None, &mut self.reports, stop)?;
        self.activate(found);
        Ok(())
    }

    /// Looks up a schema that has the columns of `row`. Where none can be had, the known one stays.
    pub(super) fn look_up_for(&mut self, row: &[u8], stop: &Stop) -> Result<(), RowEncodeError> {
        let reports = &mut self.reports;
        let found = match &self.active {
            None => self.lookup.look_up(Some(row), None, reports, stop)?,
            Some(active) => {
                self.lookup
                    .follow_columns(row, &active.schema, active.id, reports, stop)?
            }
        };
        self.activate(found);
        Ok(())
    }

    /// Makes the record of a row, which `id` names, unless a look-up could give its columns a field.
    pub(super) fn try_encode(
        &mut self,
        key: Option<&[u8]>,
        row: &[u8],
        id: &[u8],
        out: &mut RecordBuffers,
    ) -> Result<EncodeAttempt, RowEncodeError> {
        match self.write(key, row, id, out)? {
            Some(report)
                if report.unknown == 0 || !self.lookup.may_find_columns(Instant::now()) =>
            {
                self.count(report, id);
                Ok(EncodeAttempt::Encoded)
            }
            _ => Ok(EncodeAttempt::LookupNeeded),
        }
    }

    /// Makes the key of a record without a value. False: a schema has to be looked up first, with
    /// [`RowEncoder::prepare`].
    pub(super) fn try_encode_key(
        &mut self,
        key: &[u8],
        out: &mut RecordBuffers,
    ) -> Result<bool, RowEncodeError> {
        out.key.clear();
        if !self.has_avro_key {
            return Ok(true);
        }
        let Some(id) = self.active.as_ref().and_then(|active| active.key_id) else {
            return Ok(false);
        };
        let encoded = encode_key(id, key, &mut out.key);
        encoded.map_err(|error| self.reports.refused(key, &error))?;
        Ok(true)
    }

    /// Makes the record of a row with the schema that is known: columns that it has no field for are
    /// left out and counted.
    pub(super) fn encode_with_known_schema(
        &mut self,
        key: Option<&[u8]>,
        row: &[u8],
        id: &[u8],
        out: &mut RecordBuffers,
    ) -> Result<(), RowEncodeError> {
        let report = self
            .write(key, row, id, out)?
            .ok_or_else(|| RowEncodeError::InvalidRow("it has no columns".to_owned()))?;
        self.count(report, id);
        Ok(())
    }

    /// Writes the record of a row; `None`: no schema is known.
    fn write(
        &mut self,
        key: Option<&[u8]>,
        row: &[u8],
        id: &[u8],
        out: &mut RecordBuffers,
    ) -> Result<Option<EncodeReport>, RowEncodeError> {
        let Some(active) = &mut self.active else {
            return Ok(None);
        };
        match active.encode(key, row, out) {
            Ok(report) => Ok(Some(report)),
            Err(error) => Err(self.reports.refused(id, &error)),
        }
    }

    /// Counts and reports what was noticed in a row.
    fn count(&mut self, report: EncodeReport, id: &[u8]) {
        let Some(active) = &mut self.active else {
            return;
        };
        if report.unknown > 0 {
            self.unknown_columns.add(report.unknown.into());
            self.reports
                .unknown_columns(active.id, active.encoder.unknown());
        }
        if report.misfits > 0 {
            let keeps_text = self.on_type_error == OnTypeError::StringField && active.has_raw_field;
            self.reports.misfits(
                active.encoder.misfits(),
                &mut active.counted_misfits,
                id,
                keeps_text,
            );
        }
    }

    /// Writes the rows from now on with what a look-up has found; with the known schema if nothing.
    fn activate(&mut self, found: Option<FoundSchema>) {
        let Some(FoundSchema { schema, id, key_id }) = found else {
            return;
        };
        self.schema_id.set(f64::from(id));
        self.active = Some(ActiveSchema {
            encoder: RecordEncoder::new(&schema, id, self.on_type_error),
            id,
            key_id,
            has_raw_field: schema
                .fields()
                .iter()
                .any(|field| field.kind == FieldType::TextMap),
            schema,
            counted_misfits: BTreeMap::new(),
        });
    }
}

impl fmt::Debug for RowEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.active.as_ref().map(|active| active.id);
        f.debug_struct("RowEncoder")
            .field("schema_id", &id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
