//! What a good answer, or a refusal, means for what comes next.

use super::super::{WriteOutcome, WriteOutcomeRow};
use super::ambiguity::Ambiguity;
use super::{WriteMachine, WriteState};
use crate::config::OnMissing;
use crate::servicenow::{Error, InstanceFailure};
use crate::sink::record::{NewRowIdentity, OperationKind, TargetRow};
use crate::sink::write::classify::is_duplicate_of;
use crate::sink::write::messages::{FoundRow, WriteReply, WriteRequest};

impl WriteMachine<'_> {
    pub(super) fn good(&mut self, task: &WriteRequest, answer: WriteReply) {
        match (task, answer) {
            (WriteRequest::Insert, WriteReply::Written(written)) => {
                let ours = self.op.create.sys_id();
                self.foreign_id = ours.is_some_and(|ours| {
                    let theirs = written.sys_id.as_deref();
                    theirs.is_some_and(|theirs| !theirs.eq_ignore_ascii_case(ours))
                });
                self.written("insert", written.into());
            }
            (WriteRequest::Update(id), WriteReply::Written(written)) => {
                self.written("update", WriteOutcomeRow::from(written).or(id));
            }
            (WriteRequest::Delete(id), WriteReply::Written(_)) => {
                self.written("delete", WriteOutcomeRow::of(id));
            }
            (WriteRequest::Row(id), WriteReply::There) => self.own_row_is_there(id),
            (WriteRequest::Find { value, .. }, WriteReply::Rows(rows)) => self.found(value, &rows),
            (WriteRequest::Journal { id, column, .. }, WriteReply::Entry(there)) => {
                self.looked(id, column, there);
            }
            (WriteRequest::Version(id), _) => self.at = WriteState::Update(id.clone()),
            // No other answer belongs to these.
            _ => {}
        }
    }

    /// The instance said no.
    pub(super) fn refused(&mut self, task: &WriteRequest, error: Error) {
        let missing = matches!(error.cause(), Some(InstanceFailure::NotFound { .. }));
        match task {
            WriteRequest::Insert => self.insert_was_refused(error),
            WriteRequest::Update(_) if missing => self.update_without_row(&error),
            WriteRequest::Delete(_) if missing => self.delete_without_row(),
            WriteRequest::Row(_) if error.is_api_verdict() => self.own_row_is_not_there(),
            // Version 1 of the API says so when nothing is found.
            WriteRequest::Find { value, .. } if missing => self.found(value, &[]),
            WriteRequest::Journal { id, column, .. } => {
                self.blind = true;
                self.looked(id, column, false);
            }
            WriteRequest::Version(id) => self.at = WriteState::Update(id.clone()),
            WriteRequest::Update(_)
            | WriteRequest::Delete(_)
            | WriteRequest::Row(_)
            | WriteRequest::Find { .. }
            | WriteRequest::Probe => {
                self.refuse(&error);
            }
        }
    }

    /// It may be refused because the row is there: made by an attempt whose answer was lost, before
    /// a crash, or by this very request, as one may create a row and not be allowed to see it.
    fn insert_was_refused(&mut self, error: Error) {
        let may_be_there = matches!(
            error.cause(),
            Some(
                InstanceFailure::Forbidden { .. } | InstanceFailure::BadRequest { status: 409, .. }
            )
        );
        match &self.op.create {
            NewRowIdentity::None => self.refuse(&error),
            _ if !may_be_there => self.refuse(&error),
            NewRowIdentity::Field { .. } => {
                self.insert_refused = Some(error);
                self.at = WriteState::OwnField;
            }
            NewRowIdentity::Record { id, .. }
            | NewRowIdentity::Key(id)
            | NewRowIdentity::Given(id) => {
                self.at = WriteState::OwnRow(id.clone());
                self.insert_refused = Some(error);
            }
        }
    }

    fn own_row_is_there(&mut self, id: &str) {
        match &self.op.create {
            NewRowIdentity::Record { .. } => self.written("insert", WriteOutcomeRow::of(id)),
            // It may be another record's insert: ours must still be written. Should it have been
            // ours, its journal has our entries.
            _ => {
                let sent = self.first_sent.unwrap_or(self.earliest);
                self.doubt.get_or_insert(Ambiguity {
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
            self.at = WriteState::Insert;
            return;
        };
        // A row that the user may not read is not there for a GET; its duplicate is refused.
        if let NewRowIdentity::Record { id, replayed } = &self.op.create
            && is_duplicate_of(&error, id, self.doubted || *replayed)
        {
            let row = WriteOutcomeRow::of(id);
            self.written("insert", row);
            return;
        }
        self.refuse(&error);
    }

    fn update_without_row(&mut self, error: &Error) {
        match &self.op.row {
            // It was there a moment ago. If it still is, it may be read but not written.
            TargetRow::Field { .. } if self.found_again => self.refuse(error),
            TargetRow::Field { .. } => {
                self.found_again = true;
                self.last_error = Some(error.clone());
                self.at = WriteState::Find;
            }
            // An insert met a row that an update does not: it may be read but not written.
            TargetRow::SysId(_) | TargetRow::None if self.inserted => self.refuse(error),
            TargetRow::SysId(_) | TargetRow::None => self.row_is_missing(Some(error)),
        }
    }

    fn row_is_missing(&mut self, error: Option<&Error>) {
        match (self.op.kind, self.rules.on_missing) {
            (OperationKind::Delete, _) => self.delete_without_row(),
            (OperationKind::Upsert | OperationKind::Insert, _)
            | (OperationKind::Update, OnMissing::Insert) => self.insert(),
            (OperationKind::Update, OnMissing::Skip) => self.done(WriteOutcome::Skipped("missing")),
            (OperationKind::Update, OnMissing::DeadLetter) => match error {
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
            self.written("delete", WriteOutcomeRow::default());
        } else {
            self.done(WriteOutcome::Skipped("missing"));
        }
    }

    fn found(&mut self, value: &str, rows: &[FoundRow]) {
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
        } else if matches!(self.at, WriteState::OwnField) {
            self.found_own(rows);
        } else {
            self.found_row(rows);
        }
    }

    fn found_own(&mut self, rows: &[FoundRow]) {
        self.twins = rows.len() > 1;
        match (rows.first(), self.insert_refused.take()) {
            (Some(row), _) => {
                let sys_id = row.sys_id.clone();
                let row = WriteOutcomeRow {
                    sys_id,
                    ..WriteOutcomeRow::default()
                };
                self.written("insert", row);
            }
            (None, Some(error)) => self.refuse(&error),
            (None, None) => self.at = WriteState::Insert,
        }
    }

    fn found_row(&mut self, rows: &[FoundRow]) {
        match rows {
            [] => self.row_is_missing(None),
            [
                FoundRow {
                    sys_id: Some(id), ..
                },
            ] => match self.op.kind {
                OperationKind::Delete => self.at = WriteState::Delete(id.clone()),
                OperationKind::Insert | OperationKind::Update | OperationKind::Upsert => {
                    self.update(id.clone());
                }
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
        let WriteState::Journal { left, .. } = &mut self.at else {
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
            self.doubt = Some(Ambiguity {
                running: false,
                ..doubt
            });
            self.at = WriteState::Journal {
                id: id.to_owned(),
                left,
            };
            return;
        }
        self.doubt = None;
        self.update(id.to_owned());
    }
}
