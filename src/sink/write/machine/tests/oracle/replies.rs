//! What a good answer, or a refusal, means for what comes next.

use super::ambiguity::OldDoubt;
use super::{OldMachine, OldRequest, OldState, row_of};
use crate::config::OnMissing;
use crate::servicenow::table_write::RowAfterWrite;
use crate::servicenow::{Error, InstanceFailure};
use crate::sink::record::{NewRowIdentity, OperationKind, SkipReason, TargetRow};
use crate::sink::refusal::RefusalKind;
use crate::sink::write::classify::is_duplicate_of;
use crate::sink::write::messages::{FoundRow, WriteReply};
use crate::sink::write::outcome::{WriteKind, WriteOutcome};

impl OldMachine<'_> {
    pub(super) fn good(&mut self, task: &OldRequest, answer: WriteReply) {
        match (task, answer) {
            (OldRequest::Insert, WriteReply::Written(written)) => {
                let ours = self.op.create.sys_id();
                self.foreign_id = ours.is_some_and(|ours| {
                    let theirs = written.sys_id.as_deref();
                    theirs.is_some_and(|theirs| !theirs.eq_ignore_ascii_case(ours))
                });
                self.written(WriteKind::Insert, written);
            }
            (OldRequest::Update(id), WriteReply::Written(written)) => {
                let mut row = written;
                row.sys_id.get_or_insert_with(|| id.to_owned());
                self.written(WriteKind::Update, row);
            }
            (OldRequest::Delete(id), WriteReply::Written(_)) => {
                self.written(WriteKind::Delete, row_of(id));
            }
            (OldRequest::Row(id), WriteReply::RowExists) => self.own_row_is_there(id),
            (OldRequest::Find { value, .. }, WriteReply::Rows(rows)) => self.found(value, &rows),
            (
                OldRequest::Journal { id, column, .. },
                WriteReply::JournalRead { has_entry: there },
            ) => {
                self.looked(id, column, there);
            }
            (OldRequest::Version(id), _) => self.at = OldState::Update(id.clone()),
            // No other answer belongs to these.
            _ => {}
        }
    }

    /// The instance said no.
    pub(super) fn refused(&mut self, task: &OldRequest, error: Error) {
        let missing = matches!(error.cause(), Some(InstanceFailure::NotFound { .. }));
        match task {
            OldRequest::Insert => self.insert_was_refused(error),
            OldRequest::Update(_) if missing => self.update_without_row(&error),
            OldRequest::Delete(_) if missing => self.delete_without_row(),
            OldRequest::Row(_) if error.is_api_verdict() => self.own_row_is_not_there(),
            // Version 1 of the API says so when nothing is found.
            OldRequest::Find { value, .. } if missing => self.found(value, &[]),
            OldRequest::Journal { id, column, .. } => {
                self.blind = true;
                self.looked(id, column, false);
            }
            OldRequest::Version(id) => self.at = OldState::Update(id.clone()),
            OldRequest::Update(_)
            | OldRequest::Delete(_)
            | OldRequest::Row(_)
            | OldRequest::Find { .. }
            | OldRequest::Probe => {
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
                self.at = OldState::OwnField;
            }
            NewRowIdentity::Record { id, .. }
            | NewRowIdentity::Key(id)
            | NewRowIdentity::Given(id) => {
                self.at = OldState::OwnRow(id.clone());
                self.insert_refused = Some(error);
            }
        }
    }

    fn own_row_is_there(&mut self, id: &str) {
        match &self.op.create {
            NewRowIdentity::Record { .. } => self.written(WriteKind::Insert, row_of(id)),
            // It may be another record's insert: ours must still be written. Should it have been
            // ours, its journal has our entries.
            _ => {
                let sent = self.first_sent.unwrap_or(self.earliest);
                self.doubt.get_or_insert(OldDoubt {
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
            self.at = OldState::Insert;
            return;
        };
        // A row that the user may not read is not there for a GET; its duplicate is refused.
        if let NewRowIdentity::Record { id, replayed } = &self.op.create
            && is_duplicate_of(&error, id, self.doubted || *replayed)
        {
            let row = row_of(id);
            self.written(WriteKind::Insert, row);
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
                self.at = OldState::Find;
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
            (OperationKind::Update, OnMissing::Skip) => {
                self.done(WriteOutcome::Skipped(SkipReason::Missing));
            }
            (OperationKind::Update, OnMissing::DeadLetter) => match error {
                Some(error) => self.refuse(error),
                None => self.refuse_as(
                    RefusalKind::NotFound,
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
            self.written(WriteKind::Delete, RowAfterWrite::default());
        } else {
            self.done(WriteOutcome::Skipped(SkipReason::Missing));
        }
    }

    fn found(&mut self, value: &str, rows: &[FoundRow]) {
        if !rows.iter().all(|row| row.holds(value)) {
            // An instance drops a condition that it does not understand, and finds everything.
            self.refuse_as(
                RefusalKind::KeyFieldIgnored,
                format!(
                    "the instance found rows of table `{}` that do not hold the value that was \
                     searched for: the column does not exist, or is hidden from the integration user",
                    self.rules.table
                ),
            );
        } else if matches!(self.at, OldState::OwnField) {
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
                let row = RowAfterWrite {
                    sys_id,
                    ..RowAfterWrite::default()
                };
                self.written(WriteKind::Insert, row);
            }
            (None, Some(error)) => self.refuse(&error),
            (None, None) => self.at = OldState::Insert,
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
                OperationKind::Delete => self.at = OldState::Delete(id.clone()),
                OperationKind::Insert | OperationKind::Update | OperationKind::Upsert => {
                    self.update(id.clone());
                }
            },
            [_] => self.refuse_as(
                RefusalKind::Forbidden,
                format!(
                    "the sys_id of a row of table `{}` is hidden from the integration user",
                    self.rules.table
                ),
            ),
            _ => self.refuse_as(
                RefusalKind::AmbiguousKey,
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
        let OldState::Journal { left, .. } = &mut self.at else {
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
            self.doubt = Some(OldDoubt {
                running: false,
                ..doubt
            });
            self.at = OldState::Journal {
                id: id.to_owned(),
                left,
            };
            return;
        }
        self.doubt = None;
        self.update(id.to_owned());
    }
}
