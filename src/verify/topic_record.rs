//! From a record of the topic to a row and its version: pure.

use super::partition::partition_of;
use super::row_identifier::RowIdentifier;
use super::topic_index::TopicRow;
use crate::avro::text_of_key;
use crate::config::{DisplayValue, KeyFormat, Partitioner, TableConfig, TableFormat};
use crate::delivered::{RowVersion, UPDATED_HEADER};
use crate::kafka::ConsumerRecord;
use crate::servicenow::page::row::raw_values;

/// Header with the name of the table.
const TABLE_HEADER: &str = "sn_table";

/// How the records of a table are read.
#[derive(Debug, Clone)]
pub(super) struct RecordReading {
    table: String,
    identifier: String,
    timestamp: String,
    /// The key is the identifier; else it stands in the value alone.
    has_identifier_key: bool,
    /// The key is Avro behind the id of a schema.
    has_framed_key: bool,
    /// The values are JSON whose times are stored ones.
    has_stored_values: bool,
    partitions: usize,
}

/// What a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadRecord {
    /// A row of the table.
    Row(RowIdentifier, TopicRow),
    /// It is of another table.
    OtherTable(String),
    /// It does not say of which row it is.
    NoRow,
}

impl RecordReading {
    /// For the records of `table` in a topic of so many partitions.
    pub(super) fn new(table: &TableConfig, partitions: usize) -> RecordReading {
        let is_json = table.format == TableFormat::Json;
        RecordReading {
            table: table.name.clone(),
            identifier: table.identifier_field.clone(),
            timestamp: table.timestamp_field.clone(),
            has_identifier_key: table.partitioner == Partitioner::Default,
            has_framed_key: !is_json && table.schema.key == KeyFormat::Avro,
            has_stored_values: is_json && table.display_value != DisplayValue::True,
            partitions,
        }
    }

    /// What `record` is.
    pub(super) fn read(&self, record: &ConsumerRecord) -> ReadRecord {
        if let Some(table) = record.header(TABLE_HEADER)
            && table != self.table.as_bytes()
        {
            return ReadRecord::OtherTable(String::from_utf8_lossy(table).into_owned());
        }
        let Some(id) = self.id(record) else {
            return ReadRecord::NoRow;
        };
        let row = match &record.value {
            None => TopicRow::deleted(),
            Some(value) => TopicRow::of(self.version(record, value)),
        };
        let key = record.key.as_deref();
        let expected = key.and_then(|key| partition_of(key, self.partitions));
        let is_misplaced = expected.is_some_and(|expected| expected != record.partition);
        let row = if is_misplaced { row.misplaced() } else { row };
        ReadRecord::Row(id, row)
    }

    fn id(&self, record: &ConsumerRecord) -> Option<RowIdentifier> {
        if self.has_identifier_key {
            let key = record.key.as_deref()?;
            let framed = self.has_framed_key.then(|| text_of_key(key)).flatten();
            return RowIdentifier::of_bytes(framed.unwrap_or(key));
        }
        let value = record.value.as_deref()?;
        let id = raw_values(value, &[&self.identifier]).ok()?.pop()?;
        id.filter(|id| !id.is_empty())
            .map(|id| RowIdentifier::new(&id))
    }

    fn version(&self, record: &ConsumerRecord, value: &[u8]) -> RowVersion {
        if record.header(UPDATED_HEADER).is_some() {
            RowVersion::of_headers(record)
        } else if self.has_stored_values {
            RowVersion::of_columns(value, &self.timestamp)
        } else {
            RowVersion::default()
        }
    }
}

#[cfg(test)]
mod tests;
