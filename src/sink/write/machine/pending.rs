//! The requests that a record may wait to make, each with what is needed to judge its reply.

use std::borrow::Cow;
use std::time::Instant;

use super::ambiguity::Ambiguity;
use crate::servicenow::Error;
use crate::servicenow::table_write::RowAfterWrite;
use crate::sink::refusal::Refusal;
use crate::sink::write::indeterminate::LateEffect;
use crate::sink::write::messages::{FirstAttempt, FoundRow, WriteRequest};
use crate::sink::write::outcome::{WriteKind, WriteOutcome};

/// The next request of a record.
#[derive(Debug)]
pub(super) enum PendingRequest<'a> {
    /// Search the row whose key column holds the record's value.
    FindRow(ColumnValue<'a>),
    /// Search a journal column for the entry that an earlier attempt may have left there.
    SearchJournal(JournalSearch<'a>),
    /// Read the version of this row, for the loop guard, before it is updated.
    ReadVersion(Cow<'a, str>),
    /// Change this row.
    Update(Cow<'a, str>),
    /// Remove this row.
    Delete(Cow<'a, str>),
    /// Find out whether this row holds what an update with an unreadable answer has sent.
    CheckUpdate {
        id: Cow<'a, str>,
        /// When the update was sent.
        sent: Instant,
    },
    /// Find out whether this row is gone after a delete with an unreadable answer.
    CheckDelete(Cow<'a, str>),
    /// Make the row.
    Insert,
    /// Read the row that an insert made, or met, by the sys_id that the insert gave it.
    LookUpById {
        /// That sys_id.
        id: &'a str,
        reason: LookUpReason,
    },
    /// Search the row that an insert made, or met, by the column that holds its identity.
    LookUpByColumn {
        identity: ColumnValue<'a>,
        reason: LookUpReason,
    },
}

/// A column and the value that it is searched for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnValue<'a> {
    pub(super) column: &'a str,
    pub(super) value: &'a str,
}

/// Why the row of an insert is looked up.
#[derive(Debug)]
pub(super) enum LookUpReason {
    /// An insert may have been executed: its answer was lost, or the record may have been tried
    /// before. If there is no row, it is inserted.
    MaybeInserted,
    /// The insert was refused with this error, perhaps because the row is there. If there is no row,
    /// the refusal stands.
    InsertRefused(Error),
}

/// A journal column that is searched, and those still to search.
#[derive(Debug)]
pub(super) struct JournalSearch<'a> {
    /// The row.
    pub(super) id: Cow<'a, str>,
    /// The column that is searched now.
    pub(super) column: &'static str,
    /// The columns to search afterwards, the next one last.
    pub(super) remaining: Vec<&'static str>,
    /// The attempt that may have left the entries.
    pub(super) ambiguity: Ambiguity,
}

/// What follows a reply.
#[derive(Debug)]
pub(super) enum Transition<'a> {
    /// This request.
    Ask(PendingRequest<'a>),
    /// This request, when the time has come.
    AskFrom(Instant, PendingRequest<'a>),
    /// The record is done. The attempts of a refusal are not filled in yet.
    End(WriteOutcome),
}

impl Transition<'_> {
    /// The record is written.
    pub(super) fn written(kind: WriteKind, row: RowAfterWrite) -> Self {
        let known = row != RowAfterWrite::default();
        Transition::End(WriteOutcome::Written(kind, known.then_some(row)))
    }

    /// The record is written to a row of which at most the sys_id is known.
    pub(super) fn written_row(kind: WriteKind, sys_id: Option<String>) -> Self {
        let unknown = RowAfterWrite::default();
        Transition::written(kind, RowAfterWrite { sys_id, ..unknown })
    }

    /// The record cannot be written.
    pub(super) fn refused(refusal: Refusal) -> Self {
        Transition::End(WriteOutcome::Refused(refusal))
    }
}

impl<'a> ColumnValue<'a> {
    pub(super) fn new(column: &'a str, value: &'a str) -> ColumnValue<'a> {
        ColumnValue { column, value }
    }

    /// Whether all these rows, which were found by it, have the value.
    pub(super) fn is_held_by_all(self, rows: &[FoundRow]) -> bool {
        rows.iter().all(|row| row.holds(self.value))
    }
}

impl PendingRequest<'_> {
    /// Whether the request changes something on the instance.
    pub(super) fn is_write(&self) -> bool {
        match self {
            PendingRequest::Update(_) | PendingRequest::Delete(_) | PendingRequest::Insert => true,
            PendingRequest::FindRow(_)
            | PendingRequest::SearchJournal(_)
            | PendingRequest::ReadVersion(_)
            | PendingRequest::CheckUpdate { .. }
            | PendingRequest::CheckDelete(_)
            | PendingRequest::LookUpById { .. }
            | PendingRequest::LookUpByColumn { .. } => false,
        }
    }

    /// Whether it finds out what a write with an unreadable answer has done.
    pub(super) fn is_check(&self) -> bool {
        matches!(
            self,
            PendingRequest::CheckUpdate { .. } | PendingRequest::CheckDelete(_)
        )
    }

    /// The request as it is sent. `without`: columns that an update leaves out.
    pub(super) fn to_send<'m>(
        &'m self,
        first_attempt: FirstAttempt,
        without: &'m [&'static str],
    ) -> WriteRequest<'m> {
        match self {
            PendingRequest::FindRow(wanted)
            | PendingRequest::LookUpByColumn {
                identity: wanted, ..
            } => WriteRequest::FindRows {
                column: wanted.column,
                value: wanted.value,
            },
            PendingRequest::SearchJournal(search) => WriteRequest::SearchJournal {
                id: &search.id,
                column: search.column,
                first_attempt,
            },
            PendingRequest::ReadVersion(id) => WriteRequest::ReadVersion(id),
            PendingRequest::LookUpById { id, .. } => WriteRequest::LookUpRow(id),
            PendingRequest::Update(id) => WriteRequest::Update { id, without },
            PendingRequest::Delete(id) => WriteRequest::Delete(id),
            PendingRequest::CheckUpdate { id, sent } => {
                WriteRequest::CheckUpdate { id, sent: *sent }
            }
            PendingRequest::CheckDelete(id) => WriteRequest::LookUpRow(id),
            PendingRequest::Insert => WriteRequest::Insert,
        }
    }

    /// The row that this request depends on, if a write of another record that is executed late could
    /// undo its result, and the smallest effect of such a write that could. `create_id`: the sys_id that an insert gives the row.
    /// A request that only finds a row out is not spoiled.
    pub(super) fn endangered_row<'m>(
        &'m self,
        create_id: Option<&'m str>,
    ) -> Option<(&'m str, LateEffect)> {
        match self {
            PendingRequest::SearchJournal(JournalSearch { id, .. })
            | PendingRequest::ReadVersion(id)
            | PendingRequest::Update(id) => Some((id, LateEffect::MayModify)),
            // A row that is made again after its removal would stay.
            PendingRequest::Delete(id) => Some((id, LateEffect::MayRecreate)),
            PendingRequest::Insert => create_id.map(|id| (id, LateEffect::MayModify)),
            PendingRequest::FindRow(_)
            | PendingRequest::CheckUpdate { .. }
            | PendingRequest::CheckDelete(_)
            | PendingRequest::LookUpById { .. }
            | PendingRequest::LookUpByColumn { .. } => None,
        }
    }
}
