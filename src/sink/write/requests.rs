//! Makes the requests that `core` names, and reads their answers.

use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::loop_guard;
use super::loop_guard::Version;
use super::journal::{Place, SLACK, Sought};
use super::messages::{Answer, Found, Since, Task};
use super::{Attempt, Writer};
use crate::servicenow::table_write;
use crate::servicenow::table_write::{Write, stored};
use crate::servicenow::{Error, Get, Meta, table_api};

/// Without a timestamp a record that was tried before is taken to be no older than this.
const UNKNOWN_AGE: Duration = Duration::from_secs(3600);
/// Rows that are asked for where one is expected.
const TWO: u32 = 2;

impl Writer {
    /// One request.
    pub(super) fn request(
        &self,
        task: &Task,
        attempt: &mut Attempt<'_>,
        without: &[&str],
    ) -> Result<Answer, Error> {
        match task {
            Task::Insert => {
                let body = attempt.operation.body(true, &[]);
                let write = Write::insert(&self.table_api_path, &self.rules.table, &body);
                self.send(&write, attempt)
            }
            Task::Update(id) => {
                let body = attempt.operation.body(false, without);
                let write = Write::update(&self.table_api_path, &self.rules.table, id, &body);
                let answer = self.send(&write, attempt)?;
                self.note_entries(id, attempt, without);
                Ok(answer)
            }
            Task::Delete(id) => {
                let write = Write::delete(&self.table_api_path, &self.rules.table, id);
                self.send(&write, attempt)
            }
            Task::Row(id) => {
                let get = table_write::row(&self.table_api_path, &self.rules.table, id, "sys_id");
                self.get(&get, attempt).map(|_| Answer::There)
            }
            Task::Find { field, value } => self.find(field, value, attempt),
            Task::Journal { id, column, since } => self.journal(id, column, *since, attempt),
            Task::Version(id) => {
                attempt.version = None;
                let (path, table) = (&self.table_api_path, &self.rules.table);
                let get = table_write::row(path, table, id, loop_guard::COLUMNS);
                let (row, _) = self.get(&get, attempt)?;
                attempt.version = Version::of(&row);
                Ok(Answer::Known)
            }
            Task::Probe => {
                let params = vec![
                    ("sysparm_fields", "sys_id".to_owned()),
                    ("sysparm_limit", "1".to_owned()),
                ];
                let get = table_api::probe(&self.table_api_path, &self.rules.table, params);
                self.get(&get, attempt).map(|_| Answer::Known)
            }
        }
    }

    fn send(&self, write: &Write<'_>, attempt: &Attempt<'_>) -> Result<Answer, Error> {
        self.client.write(write, attempt.stop).map(Answer::Written)
    }

    fn get(&self, get: &Get<'_>, attempt: &Attempt<'_>) -> Result<(Value, Meta), Error> {
        self.client.get_result_once(get, attempt.stop)
    }

    fn find(&self, field: &str, value: &str, attempt: &Attempt<'_>) -> Result<Answer, Error> {
        let query = format!("{field}={value}");
        let fields = format!("sys_id,{field}");
        let (path, table) = (&self.table_api_path, &self.rules.table);
        let get = table_write::find(path, table, query, &fields, TWO);
        let (result, _) = self.get(&get, attempt)?;
        let row = |row: &Value| Found {
            sys_id: stored(row, "sys_id"),
            value: stored(row, field),
        };
        Ok(Answer::Rows(match result.as_array() {
            Some(rows) => rows.iter().map(row).collect(),
            // Not a list: a row that holds nothing of what was sought.
            None => vec![Found::default()],
        }))
    }

    /// Whether the entry that this record adds is there.
    fn journal(
        &self,
        id: &str,
        column: &str,
        since: Since,
        attempt: &Attempt<'_>,
    ) -> Result<Answer, Error> {
        let get = table_write::journal(&self.table_api_path, id, column);
        let (result, meta) = self.get(&get, attempt)?;
        let text = attempt.operation.text(column).unwrap_or_default();
        let age = age(since, attempt.operation.record_time);
        let server = meta.date.unwrap_or_else(|| seconds(wall_clock()));
        let sought = Sought {
            sys_id: id,
            column,
            text: &text,
            since: server.saturating_sub(seconds(age)),
        };
        let entries = sought.among(&result);
        let noted_since = Instant::now().checked_sub(age);
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place::new(id, column, &text);
        Ok(Answer::Entry(claims.claim(place, entries, noted_since)))
    }

    /// The instance has these entries now, and said so.
    fn note_entries(&self, id: &str, attempt: &Attempt<'_>, without: &[&str]) {
        let journal = attempt.operation.journal.iter();
        for column in journal.filter(|column| !without.contains(column)) {
            let text = attempt.operation.text(column).unwrap_or_default();
            let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
            claims.note(Place::new(id, column, &text), Instant::now());
        }
    }
}

/// How old an entry of ours may be.
fn age(since: Since, record_time: Option<i64>) -> Duration {
    let own = since.first_sent.elapsed();
    let others = match (since.suspect, record_time) {
        (false, _) => Duration::ZERO,
        (true, Some(time)) => {
            let made = Duration::from_millis(u64::try_from(time).unwrap_or_default());
            wall_clock().saturating_sub(made)
        }
        (true, None) => UNKNOWN_AGE,
    };
    own.max(others) + SLACK
}

fn wall_clock() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
