//! Makes the requests that `core` names, and reads their answers.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::journal::{JOURNAL_CLOCK_TOLERANCE, JournalQuery, JournalTextKey};
use super::loop_guard;
use super::loop_guard::VersionBeforeUpdate;
use super::messages::{FirstAttempt, FoundRow, WriteReply, WriteRequest};
use super::{RecordWriter, WriteAttempt};
use crate::servicenow::table_write;
use crate::servicenow::table_write::{TableWrite, stored_text};
use crate::servicenow::{Error, ReadRequest, ResponseHead, table_api};

/// Without a timestamp a record that was tried before is taken to be no older than this.
const ASSUMED_RECORD_AGE: Duration = Duration::from_secs(3600);
/// Rows that are asked for where one is expected.
const MAX_FOUND_ROWS: u32 = 2;

impl RecordWriter {
    /// One request.
    pub(super) fn request(
        &self,
        task: &WriteRequest,
        attempt: &mut WriteAttempt<'_>,
        without: &[&str],
    ) -> Result<WriteReply, Error> {
        match task {
            WriteRequest::Insert => {
                let body = attempt.operation.body(true, &[]);
                let write = TableWrite::insert(&self.table_api_path, &self.rules.table, &body);
                self.send(&write, attempt)
            }
            WriteRequest::Update(id) => {
                let body = attempt.operation.body(false, without);
                let write = TableWrite::update(&self.table_api_path, &self.rules.table, id, &body);
                let answer = self.send(&write, attempt)?;
                self.note_entries(id, attempt, without);
                Ok(answer)
            }
            WriteRequest::Delete(id) => {
                let write = TableWrite::delete(&self.table_api_path, &self.rules.table, id);
                self.send(&write, attempt)
            }
            WriteRequest::Row(id) => {
                let get = table_write::row(&self.table_api_path, &self.rules.table, id, "sys_id");
                self.get(&get, attempt).map(|_| WriteReply::There)
            }
            WriteRequest::Find { field, value } => self.find(field, value, attempt),
            WriteRequest::Journal { id, column, since } => {
                self.journal(id, column, *since, attempt)
            }
            WriteRequest::Version(id) => {
                attempt.version = None;
                let (path, table) = (&self.table_api_path, &self.rules.table);
                let get = table_write::row(path, table, id, loop_guard::VERSION_COLUMNS);
                let (row, _) = self.get(&get, attempt)?;
                attempt.version = VersionBeforeUpdate::of(&row);
                Ok(WriteReply::Known)
            }
            WriteRequest::Probe => {
                let params = vec![
                    ("sysparm_fields", "sys_id".to_owned()),
                    ("sysparm_limit", "1".to_owned()),
                ];
                let get = table_api::probe(&self.table_api_path, &self.rules.table, params);
                self.get(&get, attempt).map(|_| WriteReply::Known)
            }
        }
    }

    fn send(
        &self,
        write: &TableWrite<'_>,
        attempt: &WriteAttempt<'_>,
    ) -> Result<WriteReply, Error> {
        self.client
            .write(write, attempt.stop)
            .map(WriteReply::Written)
    }

    fn get(
        &self,
        get: &ReadRequest<'_>,
        attempt: &WriteAttempt<'_>,
    ) -> Result<(Value, ResponseHead), Error> {
        self.client.get_result_once(get, attempt.stop)
    }

    fn find(
        &self,
        field: &str,
        value: &str,
        attempt: &WriteAttempt<'_>,
    ) -> Result<WriteReply, Error> {
        let query = format!("{field}={value}");
        let fields = format!("sys_id,{field}");
        let (path, table) = (&self.table_api_path, &self.rules.table);
        let get = table_write::find_rows(path, table, query, &fields, MAX_FOUND_ROWS);
        let (result, _) = self.get(&get, attempt)?;
        let row = |row: &Value| FoundRow {
            sys_id: stored_text(row, "sys_id"),
            value: stored_text(row, field),
        };
        Ok(WriteReply::Rows(match result.as_array() {
            Some(rows) => rows.iter().map(row).collect(),
            // Not a list: a row that holds nothing of what was sought.
            None => vec![FoundRow::default()],
        }))
    }

    /// Whether the entry that this record adds is there.
    fn journal(
        &self,
        id: &str,
        column: &str,
        since: FirstAttempt,
        attempt: &WriteAttempt<'_>,
    ) -> Result<WriteReply, Error> {
        let get = table_write::journal_entries(&self.table_api_path, id, column);
        let (result, meta) = self.get(&get, attempt)?;
        let text = attempt.operation.text(column).unwrap_or_default();
        let age = age(since, attempt.operation.record_time);
        let server = meta.date.unwrap_or_else(|| seconds(wall_clock()));
        let sought = JournalQuery {
            sys_id: id,
            column,
            text: &text,
            since: server.saturating_sub(seconds(age)),
        };
        let entries = sought.among(&result);
        let noted_since = Instant::now().checked_sub(age);
        let mut claims = self.claims.lock();
        let place = JournalTextKey::new(id, column, &text);
        Ok(WriteReply::Entry(claims.claim(place, entries, noted_since)))
    }

    /// The instance has these entries now, and said so.
    fn note_entries(&self, id: &str, attempt: &WriteAttempt<'_>, without: &[&str]) {
        let journal = attempt.operation.journal.iter();
        for column in journal.filter(|column| !without.contains(column)) {
            let text = attempt.operation.text(column).unwrap_or_default();
            let mut claims = self.claims.lock();
            claims.note(JournalTextKey::new(id, column, &text), Instant::now());
        }
    }
}

/// How old an entry of ours may be.
fn age(since: FirstAttempt, record_time: Option<i64>) -> Duration {
    let own = since.first_sent.elapsed();
    let others = match (since.suspect, record_time) {
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

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
