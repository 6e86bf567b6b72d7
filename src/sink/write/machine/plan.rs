//! Decides which request follows which reply, and what becomes of the record.
//!
//! Time plays a part in one way only: some requests make sense only when an earlier one whose answer
//! was lost cannot be executed any more.

use std::borrow::Cow;
use std::time::Instant;

use super::ambiguity::{Ambiguity, SentWrites};
use super::journal_entries::JournalEntries;
use super::pending::{ColumnValue, JournalSearch, LookUpReason, PendingRequest, Transition};
use crate::config::OnMissing;
use crate::servicenow::table_write::RowAfterWrite;
use crate::servicenow::{Error, InstanceFailure};
use crate::sink::record::{NewRowIdentity, OperationKind, SkipReason, TargetRow, WriteOperation};
use crate::sink::write::classify::{
    hidden_sys_id, insert_cannot_be_found, is_duplicate_of, key_not_unique, no_row_of_key, refusal,
    search_ignored,
};
use crate::sink::write::indeterminate::{IndeterminateWrite, LateEffect};
use crate::sink::write::messages::{FoundRow, Observation, PriorAttempt, WriteRequest, WriteRules};
use crate::sink::write::outcome::{WriteKind, WriteOutcome};

/// What is to be done for one record, and what is known of its row.
#[derive(Debug)]
pub(super) struct WritePlan<'a> {
    pub(super) operation: &'a WriteOperation,
    pub(super) rules: &'a WriteRules,
    pub(super) sent: SentWrites,
    on_missing_row: OnMissingRow<'a>,
    pub(super) entries: JournalEntries<'a>,
    pub(super) observations: Vec<Observation>,
}

/// What an update does next whose row is not there.
#[derive(Debug, Clone, Copy)]
enum OnMissingRow<'a> {
    /// The row was found by its key, so it was there a moment ago: search it once more.
    SearchAgain(ColumnValue<'a>),
    /// The row has never been met: what `on_missing` and the operation say.
    AsConfigured,
    /// The row was met twice, by a search or by an insert, so it is there: it may be read, but not
    /// written.
    Refuse,
}

impl<'a> WritePlan<'a> {
    pub(super) fn new(
        operation: &'a WriteOperation,
        rules: &'a WriteRules,
        prior: PriorAttempt,
    ) -> WritePlan<'a> {
        let on_missing_row = match (operation.kind, &operation.row) {
            (_, TargetRow::Field { field, value }) => {
                OnMissingRow::SearchAgain(ColumnValue::new(field, value))
            }
            // An update comes only after an insert has met the row.
            (OperationKind::Insert, _) | (_, TargetRow::None) => OnMissingRow::Refuse,
            (_, TargetRow::SysId(_)) => OnMissingRow::AsConfigured,
        };
        WritePlan {
            operation,
            rules,
            sent: SentWrites::new(prior),
            on_missing_row,
            entries: JournalEntries::of(operation),
            observations: Vec::new(),
        }
    }

    pub(super) fn left_behind(&self) -> Option<&IndeterminateWrite> {
        self.sent.left_behind()
    }

    pub(super) fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// The first request of the record.
    pub(super) fn first(&mut self) -> Transition<'a> {
        match (self.operation.kind, &self.operation.row) {
            (OperationKind::Insert, _) | (_, TargetRow::None) => self.insert(),
            (OperationKind::Delete, TargetRow::SysId(id)) => {
                Transition::Ask(PendingRequest::Delete(Cow::Borrowed(id)))
            }
            (OperationKind::Update | OperationKind::Upsert, TargetRow::SysId(id)) => {
                self.update(Cow::Borrowed(id))
            }
            (_, TargetRow::Field { field, value }) => {
                let key = ColumnValue::new(field, value);
                Transition::Ask(PendingRequest::FindRow(key))
            }
        }
    }

    /// The request as it is sent at `now`.
    pub(super) fn send<'m>(
        &'m mut self,
        request: &'m PendingRequest<'a>,
        now: Instant,
    ) -> WriteRequest<'m> {
        if request.is_write() {
            self.sent.sending(now);
        }
        request.to_send(self.sent.first_attempt(now), self.entries.written())
    }

    /// The row that the next request depends on, if a write of another record that is executed late could
    /// undo its result, and the smallest effect of such a write that could.
    pub(super) fn endangered_row<'m>(
        &'m self,
        request: &'m PendingRequest<'a>,
    ) -> Option<(&'m str, LateEffect)> {
        request.endangered_row(self.operation.create.sys_id())
    }

    // Inserts.

    /// Goes to an insert, or first to what must be known before one.
    fn insert(&mut self) -> Transition<'a> {
        let create = &self.operation.create;
        if create.sys_id().is_some() {
            // A row that is made after this look meets its own sys_id, so no time must pass first. An
            // update that has just found no row was a look.
            let looked = self.operation.kind != OperationKind::Insert
                && matches!(self.operation.row, TargetRow::SysId(_));
            if self.sent.is_open()
                && !looked
                && let Some(look_up) = self.look_up(LookUpReason::MaybeInserted)
            {
                return Transition::Ask(look_up);
            }
            return Transition::Ask(PendingRequest::Insert);
        }
        // The lost insert must be over, so that a row which is not there then cannot appear afterwards.
        let look_up = match (create, &self.operation.row) {
            (NewRowIdentity::Field { .. }, _) => self.look_up(LookUpReason::MaybeInserted),
            (_, TargetRow::Field { field, value }) => {
                Some(PendingRequest::FindRow(ColumnValue::new(field, value)))
            }
            _ => None,
        };
        if let Some(look_up) = look_up
            && let Some(lost) = self.sent.take_open()
        {
            return Transition::AskFrom(lost.sent + self.rules.transaction_time, look_up);
        }
        Transition::Ask(PendingRequest::Insert)
    }

    /// The request that finds the row of an insert, if the row can be recognised.
    fn look_up(&self, reason: LookUpReason) -> Option<PendingRequest<'a>> {
        match &self.operation.create {
            NewRowIdentity::Field { field, value, .. } => Some(PendingRequest::LookUpByColumn {
                identity: ColumnValue::new(field, value),
                reason,
            }),
            create => create
                .sys_id()
                .map(|id| PendingRequest::LookUpById { id, reason }),
        }
    }

    pub(super) fn inserted(&mut self, row: RowAfterWrite) -> Transition<'a> {
        if let (Some(ours), Some(theirs)) = (self.operation.create.sys_id(), &row.sys_id)
            && !theirs.eq_ignore_ascii_case(ours)
        {
            self.observations.push(Observation::SysIdIgnored);
        }
        Transition::written(WriteKind::Insert, row)
    }

    /// The answer of an insert was lost.
    pub(super) fn insert_lost(&mut self, error: &Error, ids_ignored: bool) -> Transition<'a> {
        if self.operation.create.sys_id().is_none() {
            return self.insert();
        }
        match self.look_up(LookUpReason::MaybeInserted) {
            Some(look_up) if !ids_ignored => Transition::Ask(look_up),
            _ => Transition::refused(insert_cannot_be_found(error)),
        }
    }

    /// An insert may be refused because its row is there: made by an attempt whose answer was lost,
    /// before a crash, or by this very request, as a user may create a row and not be allowed to see
    /// it.
    pub(super) fn insert_refused(&mut self, error: Error) -> Transition<'a> {
        let may_be_there = matches!(
            error.cause(),
            Some(
                InstanceFailure::Forbidden { .. } | InstanceFailure::BadRequest { status: 409, .. }
            )
        );
        let stands = Transition::refused(refusal(&error));
        if may_be_there {
            let look_up = self.look_up(LookUpReason::InsertRefused(error));
            look_up.map_or(stands, Transition::Ask)
        } else {
            stands
        }
    }

    /// There is a row with the sys_id that the new row was to have.
    pub(super) fn identity_exists(&mut self, id: &'a str) -> Transition<'a> {
        match &self.operation.create {
            // No other record has this sys_id, so a lost insert of this record made the row.
            NewRowIdentity::Record { .. } => {
                Transition::written_row(WriteKind::Insert, Some(id.to_owned()))
            }
            // Other records may have the same sys_id, and one of them may have made the row: so it is
            // updated to what this record says. If an insert of this record made it, the journals have
            // its entries already, so they are searched before.
            _ => {
                self.sent.suspect_insert();
                self.update(Cow::Borrowed(id))
            }
        }
    }

    pub(super) fn no_inserted_row(&mut self, id: &str, reason: LookUpReason) -> Transition<'a> {
        let error = match reason {
            LookUpReason::MaybeInserted => return Transition::Ask(PendingRequest::Insert),
            LookUpReason::InsertRefused(error) => error,
        };
        match &self.operation.create {
            // A row that the user may not read is not there for a GET; its duplicate is refused.
            NewRowIdentity::Record { replayed, .. }
                if is_duplicate_of(&error, id, self.sent.may_have_written() || *replayed) =>
            {
                Transition::written_row(WriteKind::Insert, Some(id.to_owned()))
            }
            _ => Transition::refused(refusal(&error)),
        }
    }

    pub(super) fn found_identity(
        &mut self,
        identity: ColumnValue<'a>,
        reason: LookUpReason,
        rows: &[FoundRow],
    ) -> Transition<'a> {
        if !identity.is_held_by_all(rows) {
            return Transition::refused(search_ignored(&self.rules.table));
        }
        if rows.len() > 1 {
            self.observations.push(Observation::IdentityNotUnique);
        }
        match rows.first() {
            Some(row) => Transition::written_row(WriteKind::Insert, row.sys_id.clone()),
            None => no_identity_found(reason),
        }
    }

    // Rows that are there, or should be.

    pub(super) fn found_row(&mut self, key: ColumnValue<'a>, rows: &[FoundRow]) -> Transition<'a> {
        if !key.is_held_by_all(rows) {
            return Transition::refused(search_ignored(&self.rules.table));
        }
        let table = &self.rules.table;
        match rows {
            [] => self.row_is_missing(None),
            [
                FoundRow {
                    sys_id: Some(id), ..
                },
            ] => {
                let id = Cow::Owned(id.clone());
                match self.operation.kind {
                    OperationKind::Delete => Transition::Ask(PendingRequest::Delete(id)),
                    OperationKind::Insert | OperationKind::Update | OperationKind::Upsert => {
                        self.update(id)
                    }
                }
            }
            [_] => Transition::refused(hidden_sys_id(table)),
            _ => Transition::refused(key_not_unique(table)),
        }
    }

    pub(super) fn update_without_row(&mut self, error: &Error) -> Transition<'a> {
        // Whatever comes next, a row that is met after this one is met for the second time.
        match std::mem::replace(&mut self.on_missing_row, OnMissingRow::Refuse) {
            OnMissingRow::SearchAgain(key) => Transition::Ask(PendingRequest::FindRow(key)),
            OnMissingRow::AsConfigured => self.row_is_missing(Some(error)),
            OnMissingRow::Refuse => Transition::refused(refusal(error)),
        }
    }

    pub(super) fn row_is_missing(&mut self, error: Option<&Error>) -> Transition<'a> {
        match (self.operation.kind, self.rules.on_missing) {
            (OperationKind::Delete, _) => self.delete_without_row(),
            (OperationKind::Upsert | OperationKind::Insert, _)
            | (OperationKind::Update, OnMissing::Insert) => self.insert(),
            (OperationKind::Update, OnMissing::Skip) => {
                Transition::End(WriteOutcome::Skipped(SkipReason::Missing))
            }
            (OperationKind::Update, OnMissing::DeadLetter) => match error {
                Some(error) => Transition::refused(refusal(error)),
                None => Transition::refused(no_row_of_key(&self.rules.table)),
            },
        }
    }

    /// The goal of a delete is reached; by this record, if it may have been sent before.
    pub(super) fn delete_without_row(&mut self) -> Transition<'a> {
        if self.sent.may_have_written() {
            Transition::written(WriteKind::Delete, RowAfterWrite::default())
        } else {
            Transition::End(WriteOutcome::Skipped(SkipReason::Missing))
        }
    }

    /// Goes to an update of this row, or first to what must be known before one: which journals have
    /// the entries of an earlier attempt, as each write of an entry shows.
    pub(super) fn update(&mut self, id: Cow<'a, str>) -> Transition<'a> {
        let mut columns = self.entries.to_write();
        if let Some(column) = columns.pop()
            && let Some(ambiguity) = self.sent.take_open()
        {
            return Transition::Ask(PendingRequest::SearchJournal(JournalSearch {
                id,
                column,
                remaining: columns,
                ambiguity,
            }));
        }
        if self.entries.are_the_whole_record() {
            Transition::written_row(WriteKind::Update, Some(id.into_owned()))
        } else if self.rules.reads_version {
            Transition::Ask(PendingRequest::ReadVersion(id))
        } else {
            Transition::Ask(PendingRequest::Update(id))
        }
    }

    /// The row was read after an update with an unreadable answer.
    pub(super) fn update_checked(&mut self, id: Cow<'a, str>, is_updated: bool) -> Transition<'a> {
        if is_updated && self.entries.to_write().is_empty() {
            return Transition::written_row(WriteKind::Update, Some(id.into_owned()));
        }
        // Of the entries a look at the row says nothing: they are searched first.
        self.update(id)
    }

    pub(super) fn journal_searched(
        &mut self,
        search: JournalSearch<'a>,
        has_entry: bool,
    ) -> Transition<'a> {
        let JournalSearch {
            id,
            column,
            mut remaining,
            ambiguity,
        } = search;
        if has_entry {
            self.entries.found(column);
        }
        if let Some(column) = remaining.pop() {
            return Transition::Ask(PendingRequest::SearchJournal(JournalSearch {
                id,
                column,
                remaining,
                ambiguity,
            }));
        }
        // An entry must not show twice, so the lost request gets its time before the last look.
        let mut columns = self.entries.to_write();
        if ambiguity.may_still_run
            && let Some(column) = columns.pop()
        {
            let over = ambiguity.sent + self.rules.transaction_time;
            return Transition::AskFrom(
                over,
                PendingRequest::SearchJournal(JournalSearch {
                    id,
                    column,
                    remaining: columns,
                    ambiguity: Ambiguity {
                        may_still_run: false,
                        ..ambiguity
                    },
                }),
            );
        }
        self.update(id)
    }
}

/// No row has the identity of a new row.
pub(super) fn no_identity_found<'a>(reason: LookUpReason) -> Transition<'a> {
    match reason {
        LookUpReason::MaybeInserted => Transition::Ask(PendingRequest::Insert),
        LookUpReason::InsertRefused(error) => Transition::refused(refusal(&error)),
    }
}
