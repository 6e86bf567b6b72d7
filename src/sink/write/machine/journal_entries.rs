//! Which of a record's journal entries are there already.

use crate::sink::record::WriteOperation;

/// The journal entries of a record.
#[derive(Debug)]
pub(super) struct JournalEntries<'a> {
    operation: &'a WriteOperation,
    /// Columns that hold this record's entry already, and are left out of an update.
    written: Vec<&'static str>,
}

impl<'a> JournalEntries<'a> {
    pub(super) fn of(operation: &'a WriteOperation) -> JournalEntries<'a> {
        JournalEntries {
            operation,
            written: Vec::new(),
        }
    }

    /// The entry in this column was found.
    pub(super) fn found(&mut self, column: &'static str) {
        self.written.push(column);
    }

    /// The columns whose entry was found.
    pub(super) fn written(&self) -> &[&'static str] {
        &self.written
    }

    /// The columns whose entry is not known to be there, the first one last.
    pub(super) fn to_write(&self) -> Vec<&'static str> {
        let columns = self.operation.journal.iter().rev().copied();
        columns
            .filter(|column| !self.written.contains(column))
            .collect()
    }

    /// Whether the entries that were found are all that the record says.
    pub(super) fn are_the_whole_record(&self) -> bool {
        let mut fields = self.operation.fields.iter();
        let is_left = |(name, _): &(String, _)| !self.written.contains(&name.as_str());
        !self.written.is_empty() && !fields.any(is_left)
    }

    /// Whether the record has other columns, too.
    pub(super) fn are_beside_columns(&self) -> bool {
        let journal = &self.operation.journal;
        let mut fields = self.operation.fields.iter();
        fields.any(|(name, _)| !journal.contains(&name.as_str()))
    }
}
