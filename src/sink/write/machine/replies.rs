//! What a good answer, or a refusal, means for what comes next.

use crate::sink::write::classify::is_duplicate_of;
use crate::sink::write::messages::{Answer, Found, Task};
use super::super::{Outcome, WrittenRow};
use super::ambiguity::Doubt;
use super::{At, Core};
use crate::config::OnMissing;
use crate::servicenow::{Cause, Error};
use crate::sink::operation::{Create, Kind, Row};

impl Core<'_> {
    pub(super) fn good(&mut self, task: &Task, answer: Answer) {
        match (task, answer) {
            (Task::Insert, Answer::Written(written)) => {
                let ours = self.op.create.sys_id();
                self.foreign_id = ours.is_some_and(|ours| {
                    let theirs = written.sys_id.as_deref();
                    theirs.is_some_and(|theirs| !theirs.eq_ignore_ascii_case(ours))
                });
                self.written("insert", written.into());
            }
            (Task::Update(id), Answer::Written(written)) => {
                self.written("update", WrittenRow::from(written).or(id));
            }
            (Task::Delete(id), Answer::Written(_)) => self.written("delete", WrittenRow::of(id)),
            (Task::Row(id), Answer::There) => self.own_row_is_there(id),
            (Task::Find { value, .. }, Answer::Rows(rows)) => self.found(value, &rows),
            (Task::Journal { id, column, .. }, Answer::Entry(there)) => {
                self.looked(id, column, there);
            }
            (Task::Version(id), _) => self.at = At::Update(id.clone()),
            // No other answer belongs to these.
            _ => {}
        }
    }

    /// The instance said no.
    pub(super) fn refused(&mut self, task: &Task, error: Error) {
        let missing = matches!(error.cause(), Some(Cause::NotFound { .. }));
        match task {
            Task::Insert => self.insert_was_refused(error),
            Task::Update(_) if missing => self.update_without_row(&error),
            Task::Delete(_) if missing => self.delete_without_row(),
            Task::Row(_) if error.is_answer() => self.own_row_is_not_there(),
            // Version 1 of the API says so when nothing is found.
            Task::Find { value, .. } if missing => self.found(value, &[]),
            Task::Journal { id, column, .. } => {
                self.blind = true;
                self.looked(id, column, false);
            }
            Task::Version(id) => self.at = At::Update(id.clone()),
            Task::Update(_) | Task::Delete(_) | Task::Row(_) | Task::Find { .. } | Task::Probe => {
                self.refuse(&error);
            }
        }
    }

    /// It may be refused because the row is there: made by an attempt whose answer was lost, before
    /// a crash, or by this very request, as one may create a row and not be allowed to see it.
    fn insert_was_refused(&mut self, error: Error) {
        let may_be_there = matches!(
            error.cause(),
            Some(Cause::Forbidden { .. } | Cause::BadRequest { status: 409, .. })
        );
        match &self.op.create {
            Create::None => self.refuse(&error),
            _ if !may_be_there => self.refuse(&error),
            Create::Field { .. } => {
                self.insert_refused = Some(error);
                self.at = At::OwnField;
            }
            Create::Record { id, .. } | Create::Key(id) | Create::Given(id) => {
                self.at = At::OwnRow(id.clone());
                self.insert_refused = Some(error);
            }
        }
    }

    fn own_row_is_there(&mut self, id: &str) {
        match &self.op.create {
            Create::Record { .. } => self.written("insert", WrittenRow::of(id)),
            // It may be another record's insert: ours must still be written. Should it have been
            // ours, its journal has our entries.
            _ => {
                let sent = self.first_sent.unwrap_or(self.earliest);
                self.doubt.get_or_insert(Doubt {
                    sent,
                    running: false,
                });
                self.insert_refused = None;
                self.update(id.to_owned());
            }
        }
    }

    fn own_row_is_not_there(&mut self) {
        let Some(error) = self.insert_refused.take() else {
            self.at = At::Insert;
            return;
        };
        // A row that the user may not read is not there for a GET; its duplicate is refused.
        if let Create::Record { id, replayed } = &self.op.create
            && is_duplicate_of(&error, id, self.doubted || *replayed)
        {
            let row = WrittenRow::of(id);
            self.written("insert", row);
            return;
        }
        self.refuse(&error);
    }

    fn update_without_row(&mut self, error: &Error) {
        match &self.op.row {
            // It was there a moment ago. If it still is, it may be read but not written.
            Row::Field { .. } if self.found_again => self.refuse(error),
            Row::Field { .. } => {
                self.found_again = true;
                self.last_error = Some(error.clone());
                self.at = At::Find;
            }
            // An insert met a row that an update does not: it may be read but not written.
            Row::SysId(_) | Row::None if self.inserted => self.refuse(error),
            Row::SysId(_) | Row::None => self.row_is_missing(Some(error)),
        }
    }

    fn row_is_missing(&mut self, error: Option<&Error>) {
        match (self.op.kind, self.rules.on_missing) {
            (Kind::Delete, _) => self.delete_without_row(),
            (Kind::Upsert | Kind::Insert, _) | (Kind::Update, OnMissing::Insert) => self.insert(),
            (Kind::Update, OnMissing::Skip) => self.done(Outcome::Skipped("missing")),
            (Kind::Update, OnMissing::DeadLetter) => match error {
                Some(error) => self.refuse(error),
                None => self.refuse_as(
                    "not_found",
                    format!(
                        "no row of table `{}` has the record's value in its key field",
                        self.rules.table
                    ),
                ),
            },
        }
    }

    /// The goal is reached; by us, if we have tried.
    fn delete_without_row(&mut self) {
        if self.doubted {
            self.written("delete", WrittenRow::default());
        } else {
            self.done(Outcome::Skipped("missing"));
        }
    }

    fn found(&mut self, value: &str, rows: &[Found]) {
        if !rows.iter().all(|row| row.holds(value)) {
            // An instance drops a condition that it does not understand, and finds everything.
            self.refuse_as(
                "key_field_ignored",
                format!(
                    "the instance found rows of table `{}` that do not hold the value that was \
                     searched for: the column does not exist, or is hidden from the integration user",
                    self.rules.table
                ),
            );
        } else if matches!(self.at, At::OwnField) {
            self.found_own(rows);
        } else {
            self.found_row(rows);
        }
    }

    fn found_own(&mut self, rows: &[Found]) {
        self.twins = rows.len() > 1;
        match (rows.first(), self.insert_refused.take()) {
            (Some(row), _) => {
                let sys_id = row.sys_id.clone();
                let row = WrittenRow {
                    sys_id,
                    ..WrittenRow::default()
                };
                self.written("insert", row);
            }
            (None, Some(error)) => self.refuse(&error),
            (None, None) => self.at = At::Insert,
        }
    }

    fn found_row(&mut self, rows: &[Found]) {
        match rows {
            [] => self.row_is_missing(None),
            [
                Found {
                    sys_id: Some(id), ..
                },
            ] => match self.op.kind {
                Kind::Delete => self.at = At::Delete(id.clone()),
                Kind::Insert | Kind::Update | Kind::Upsert => self.update(id.clone()),
            },
            [_] => self.refuse_as(
                "forbidden",
                format!(
                    "the sys_id of a row of table `{}` is hidden from the integration user",
                    self.rules.table
                ),
            ),
            _ => self.refuse_as(
                "ambiguous_key",
                format!(
                    "more than one row of table `{}` has the record's value in its key field",
                    self.rules.table
                ),
            ),
        }
    }

    /// A journal was looked at.
    fn looked(&mut self, id: &str, column: &'static str, there: bool) {
        if there {
            self.without.push(column);
        }
        let At::Journal { left, .. } = &mut self.at else {
            return;
        };
        left.pop();
        if !left.is_empty() {
            return;
        }
        let left = self.entries_to_send();
        if let Some(doubt) = self.doubt.take_if(|doubt| doubt.running)
            && !left.is_empty()
        {
            // Entries must not show twice, so the lost request gets its time before the last look.
            self.not_before(doubt.sent + self.rules.transaction_time);
            self.doubt = Some(Doubt {
                running: false,
                ..doubt
            });
            self.at = At::Journal {
                id: id.to_owned(),
                left,
            };
            return;
        }
        self.doubt = None;
        self.update(id.to_owned());
    }
}
