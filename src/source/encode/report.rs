//! What is counted and said of a table's records.

use super::{RowEncodeError, RowEncoder};
use crate::avro::{EncodeError, ForeignSchema};
use crate::config::OnTypeError;

/// Things that are remembered as said.
const MAX_REMEMBERED_REPORTS: usize = 1_000;

impl RowEncoder {
    /// Whether this was not said yet.
    pub(super) fn is_new(&mut self, words: &str) -> bool {
        self.said.len() < MAX_REMEMBERED_REPORTS && self.said.insert(words.to_owned())
    }

    /// Says that the latest version is somebody else's.
    pub(super) fn tell_foreign(&mut self, subject: &str, why: &ForeignSchema) {
        if self.is_new(&why.to_string()) {
            log::warn!(table = self.table.name, subject = subject, reason:% = why;
                "what is registered last is none of ours; our own schema is kept to");
        }
    }

    /// Says which columns are left out.
    pub(super) fn tell_unknown(&mut self) {
        let Some(writer) = &self.writer else { return };
        let (id, columns) = (writer.id, writer.encoder.unknown().to_vec());
        for column in columns {
            if self.is_new(&format!("unknown {column}")) {
                log::warn!(table = self.table.name, column = column, schema_id = id;
                    "the registered schema has no field for a column: its values are left out; register \
                     one with `schema register`, which is looked for once a minute; rows sent before \
                     do not get the value, `checkpoint set` repeats them");
            }
        }
    }

    /// Why a row has no record. A value that holds the table is counted once, however often its row is
    /// tried.
    pub(super) fn refused(&mut self, id: &[u8], error: EncodeError) -> RowEncodeError {
        if let EncodeError::Misfit { column, .. } = &error {
            let held = (id.to_vec(), column.clone());
            if self.held.as_ref() != Some(&held) {
                let labels = [self.table.name.as_str(), column];
                self.metrics.source_type_errors.with(&labels).inc();
                self.held = Some(held);
            }
        }
        error.into()
    }

    /// Counts the values of a row that did not fit, and says it once for each column.
    pub(super) fn count_misfits(&mut self, id: &[u8]) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        let mut columns = Vec::new();
        for (column, all) in writer.encoder.misfits() {
            let counted = writer.misfits.entry(column.to_owned()).or_default();
            if *counted < all {
                let labels = [self.table.name.as_str(), column];
                let metric = self.metrics.source_type_errors.with(&labels);
                metric.add(all - *counted);
                *counted = all;
                columns.push(column.to_owned());
            }
        }
        let keeps = self.table.schema.on_type_error == OnTypeError::StringField;
        let sent = match keeps && writer.has_raw {
            true => "null, and the text in `_raw`",
            false => "null",
        };
        for column in columns {
            if self.is_new(&format!("misfit {column}")) {
                let row = String::from_utf8_lossy(id);
                log::warn!(table = self.table.name, column = column, row = row, sent = sent;
                    "a value does not fit the type of its column (see on_type_error)");
            }
        }
    }
}
