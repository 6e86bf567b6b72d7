//! Makes the requests that the state machine names, and reads their answers.

use std::time::{Duration, Instant};

use super::journal::{JOURNAL_CLOCK_TOLERANCE, JournalQuery, JournalTextKey};
use super::messages::{FirstAttempt, FoundRow, WriteReply, WriteRequest};
use super::record_writer::{RecordWriter, WriteAttempt};
use super::row_versions;
use super::row_versions::VersionBeforeUpdate;
use crate::config::whole_seconds;
use crate::servicenow::query::parse_time;
use crate::servicenow::table_write;
use crate::servicenow::table_write::TableWrite;
use crate::servicenow::{AnswerRow, AnswerRows, Error, ReadRequest, ResponseHead, table_api};

/// How long ago a record without a timestamp was first tried at most, if it was tried before.
const ASSUMED_RECORD_AGE: Duration = Duration::from_secs(3600);
/// Rows that a search asks for: one more than expected shows that the value is not unique.
const MAX_FOUND_ROWS: u32 = 2;

/// Columns that are compared after an update whose answer was unreadable, so that the request stays short.
const MAX_CHECKED_COLUMNS: usize = 40;
/// A row counts as changed after an update was sent even if its stamp seems so much older: stamps have whole
/// seconds, and nodes of an instance have clocks of their own.
const CHANGE_CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

impl RecordWriter {
    /// Makes one request and reads its answer.
    pub(super) fn send(
        &self,
        request: &WriteRequest<'_>,
        attempt: &mut WriteAttempt<'_>,
    ) -> Result<WriteReply, Error> {
        let (path, table) = (&self.table_api_path, &self.rules.table);
        match *request {
            WriteRequest::Insert => {
                let body = attempt.operation.insert_body();
                self.write_row(&TableWrite::insert(path, table, &body), attempt)
            }
            WriteRequest::Update { id, without } => {
                let body = attempt.operation.update_body(without);
                let reply = self.write_row(&TableWrite::update(path, table, id, &body), attempt)?;
                self.note_entries(id, attempt, without);
                Ok(reply)
            }
            WriteRequest::Delete(id) => {
                self.write_row(&TableWrite::delete(path, table, id), attempt)
            }
            WriteRequest::LookUpRow(id) => {
                let read = table_write::row(path, table, id, "sys_id");
                self.read(&read, attempt).map(|_| WriteReply::RowExists)
            }
            WriteRequest::CheckUpdate { id, sent } => self.check_update(id, sent, attempt),
            WriteRequest::FindRows { column, value } => self.find_rows(column, value, attempt),
            WriteRequest::SearchJournal {
                id,
                column,
                first_attempt,
            } => self.search_journal(id, column, first_attempt, attempt),
            WriteRequest::ReadVersion(id) => {
                attempt.version = None;
                let read = table_write::row(path, table, id, row_versions::VERSION_COLUMNS);
                let (found, _) = self.read(&read, attempt)?;
                attempt.version = found.rows.first().and_then(VersionBeforeUpdate::of);
                Ok(WriteReply::Answered)
            }
            WriteRequest::Probe => {
                let read = table_api::one_row(path, table);
                self.read(&read, attempt).map(|_| WriteReply::Answered)
            }
        }
    }

    fn write_row(
        &self,
        write: &TableWrite<'_>,
        attempt: &WriteAttempt<'_>,
    ) -> Result<WriteReply, Error> {
        let row = self.client.write(write, attempt.stop)?;
        Ok(WriteReply::Written(row))
    }

    fn read(
        &self,
        read: &ReadRequest<'_>,
        attempt: &WriteAttempt<'_>,
    ) -> Result<(AnswerRows, ResponseHead), Error> {
        self.client.get_rows_once(read, attempt.stop)
    }

    /// Finds out whether a row holds what an update has sent. As rules of the instance may change some of
    /// it, one column is enough in a row that was changed since.
    fn check_update(
        &self,
        id: &str,
        sent: Instant,
        attempt: &WriteAttempt<'_>,
    ) -> Result<WriteReply, Error> {
        let fields = &attempt.operation.fields;
        let is_journal = |name: &str| attempt.operation.journal.contains(&name);
        let columns = fields.iter().filter(|(name, _)| !is_journal(name));
        let columns: Vec<&str> = columns
            .map(|(name, _)| name.as_str())
            .take(MAX_CHECKED_COLUMNS)
            .collect();
        let wanted = format!("sys_updated_on,{}", columns.join(","));
        let read = table_write::row_values(&self.table_api_path, &self.rules.table, id, &wanted);
        let (found, head) = self.read(&read, attempt)?;
        let row = found.rows.into_iter().next().unwrap_or_default();
        let holds = |column: &&str| match (attempt.operation.text_of(column), row.text(column)) {
            (Some(sent), Some(stored)) => is_same_value(&sent, stored),
            // The table has no such column, or it is hidden.
            (_, None) | (None, _) => true,
        };
        let now = head.date.unwrap_or_else(|| whole_seconds(wall_clock()));
        let since = now.saturating_sub(whole_seconds(sent.elapsed() + CHANGE_CLOCK_TOLERANCE));
        let changed = row
            .text("sys_updated_on")
            .and_then(|time| parse_time(time.as_bytes()))
            .is_some_and(|time| time >= since);
        let held = columns.iter().filter(|column| holds(column)).count();
        let is_updated = held == columns.len() || (changed && held > 0);
        Ok(WriteReply::RowChecked { is_updated })
    }

    fn find_rows(
        &self,
        column: &str,
        value: &str,
        attempt: &WriteAttempt<'_>,
    ) -> Result<WriteReply, Error> {
        let query = format!("{column}={value}");
        let fields = format!("sys_id,{column}");
        let (path, table) = (&self.table_api_path, &self.rules.table);
        let read = table_write::find_rows(path, table, query, &fields, MAX_FOUND_ROWS);
        let (found, _) = self.read(&read, attempt)?;
        let row = |row: &AnswerRow| FoundRow {
            sys_id: row.text("sys_id").map(str::to_owned),
            value: row.text(column).map(str::to_owned),
        };
        Ok(WriteReply::Rows(if found.is_list {
            found.rows.iter().map(row).collect()
        } else {
            // As good as a row that does not hold the value.
            vec![FoundRow::default()]
        }))
    }

    /// Finds out whether the entry that this record adds is there.
    fn search_journal(
        &self,
        id: &str,
        column: &str,
        first_attempt: FirstAttempt,
        attempt: &WriteAttempt<'_>,
    ) -> Result<WriteReply, Error> {
        let read = table_write::journal_entries(&self.table_api_path, id, column);
        let (found, head) = self.read(&read, attempt)?;
        let text = attempt.operation.text(column).unwrap_or_default();
        let age = max_entry_age(first_attempt, attempt.operation.record_time);
        let instance_time = head.date.unwrap_or_else(|| whole_seconds(wall_clock()));
        let query = JournalQuery {
            sys_id: id,
            column,
            text: &text,
            since: instance_time.saturating_sub(whole_seconds(age)),
        };
        let entries = query.matching_entries(&found.rows);
        let noted_since = Instant::now().checked_sub(age);
        let key = JournalTextKey::new(id, column, &text);
        let mut known = self.journal_entries.lock();
        Ok(WriteReply::JournalRead {
            has_entry: known.claim(key, entries, noted_since),
        })
    }

    /// Remembers the journal entries of an update that was certainly executed.
    fn note_entries(&self, id: &str, attempt: &WriteAttempt<'_>, without: &[&str]) {
        for column in &attempt.operation.journal {
            if without.contains(column) {
                continue;
            }
            let text = attempt.operation.text(column).unwrap_or_default();
            let mut known = self.journal_entries.lock();
            known.note(JournalTextKey::new(id, column, &text), Instant::now());
        }
    }
}

/// Whether a column holds a value that was sent. Numbers may be written in another way.
fn is_same_value(sent: &str, stored: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let same_number = match (number(sent), number(stored)) {
        (Some(sent), Some(stored)) => sent.total_cmp(&stored).is_eq(),
        _ => false,
    };
    same_number || sent.trim() == stored.trim()
}

/// How old an entry of the record may be at most.
fn max_entry_age(first_attempt: FirstAttempt, record_time: Option<i64>) -> Duration {
    let own = first_attempt.first_sent.elapsed();
    let others = match (first_attempt.tried_before, record_time) {
        (false, _) => Duration::ZERO,
        (true, Some(time)) => {
            let made = Duration::from_millis(u64::try_from(time).unwrap_or_default());
            wall_clock().saturating_sub(made)
        }
        (true, None) => ASSUMED_RECORD_AGE,
    };
    own.max(others) + JOURNAL_CLOCK_TOLERANCE
}

fn wall_clock() -> Duration {
    jiff::Timestamp::now().as_duration().unsigned_abs()
}
