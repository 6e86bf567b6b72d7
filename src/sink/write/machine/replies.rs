//! Decides what a reply, a refusal or a failure means for the plan of a record.

use std::time::Instant;

use super::ambiguity::{is_unreadable_answer, may_come_late};
use super::pending::{PendingRequest, Transition};
use super::plan::{WritePlan, no_identity_found};
use crate::servicenow::{Error, InstanceFailure};
use crate::sink::refusal::{Refusal, RefusalKind};
use crate::sink::write::classify::refusal;
use crate::sink::write::indeterminate::LateEffect;
use crate::sink::write::messages::{Observation, WriteReply};
use crate::sink::write::outcome::WriteKind;

impl<'a> WritePlan<'a> {
    /// The request was answered.
    pub(super) fn after_reply(
        &mut self,
        request: PendingRequest<'a>,
        reply: WriteReply,
    ) -> Transition<'a> {
        match (request, reply) {
            (PendingRequest::Insert, WriteReply::Written(row)) => self.inserted(row),
            (PendingRequest::Update(id), WriteReply::Written(mut row)) => {
                row.sys_id.get_or_insert_with(|| id.into_owned());
                Transition::written(WriteKind::Update, row)
            }
            (PendingRequest::Delete(id), WriteReply::Written(_)) => {
                Transition::written_row(WriteKind::Delete, Some(id.into_owned()))
            }
            (PendingRequest::LookUpById { id, .. }, WriteReply::RowExists) => {
                self.identity_exists(id)
            }
            (PendingRequest::FindRow(key), WriteReply::Rows(rows)) => self.found_row(key, &rows),
            (PendingRequest::LookUpByColumn { identity, reason }, WriteReply::Rows(rows)) => {
                self.found_identity(identity, reason, &rows)
            }
            (PendingRequest::SearchJournal(search), WriteReply::JournalRead { has_entry }) => {
                self.journal_searched(search, has_entry)
            }
            (PendingRequest::ReadVersion(id), _) => Transition::Ask(PendingRequest::Update(id)),
            (PendingRequest::CheckUpdate { id, .. }, WriteReply::RowChecked { is_updated }) => {
                self.update_checked(id, is_updated)
            }
            (PendingRequest::CheckDelete(id), WriteReply::RowExists) => {
                Transition::Ask(PendingRequest::Delete(id))
            }
            _ => Transition::refused(Refusal::unsent(
                RefusalKind::Internal,
                "a reply does not fit its request: please report this",
            )),
        }
    }

    /// The instance refused the request for good.
    pub(super) fn after_refusal(
        &mut self,
        request: PendingRequest<'a>,
        error: Error,
    ) -> Transition<'a> {
        let missing = matches!(error.cause(), Some(InstanceFailure::NotFound { .. }));
        match request {
            PendingRequest::Insert => self.insert_refused(error),
            PendingRequest::Update(_) if missing => self.update_without_row(&error),
            PendingRequest::Delete(_) if missing => self.delete_without_row(),
            PendingRequest::LookUpById { id, reason } if error.is_api_verdict() => {
                self.no_inserted_row(id, reason)
            }
            // Version 1 of the Table API answers with 404 when nothing is found.
            PendingRequest::FindRow(_) if missing => self.row_is_missing(None),
            PendingRequest::LookUpByColumn { reason, .. } if missing => no_identity_found(reason),
            PendingRequest::SearchJournal(search) => {
                self.observations.push(Observation::JournalUnreadable);
                self.journal_searched(search, false)
            }
            PendingRequest::ReadVersion(id) => Transition::Ask(PendingRequest::Update(id)),
            PendingRequest::CheckUpdate { id, .. } => self.update(id),
            PendingRequest::CheckDelete(id) if missing => {
                Transition::written_row(WriteKind::Delete, Some(id.into_owned()))
            }
            PendingRequest::CheckDelete(id) => Transition::Ask(PendingRequest::Delete(id)),
            PendingRequest::Update(_)
            | PendingRequest::Delete(_)
            | PendingRequest::LookUpById { .. }
            | PendingRequest::FindRow(_)
            | PendingRequest::LookUpByColumn { .. } => Transition::refused(refusal(&error)),
        }
    }

    /// The request failed in a way that may pass. A write whose outcome is not known is not simply
    /// sent again. `ids_ignored`: the instance is known to choose the sys_ids of new rows itself.
    pub(super) fn after_failure(
        &mut self,
        request: PendingRequest<'a>,
        error: &Error,
        ids_ignored: bool,
    ) -> Transition<'a> {
        let Some(sent) = error.possibly_executed_at() else {
            return Transition::Ask(request);
        };
        match request {
            PendingRequest::Insert => {
                let id = self.operation.create.sys_id();
                self.lost(id, LateEffect::MayRecreate, sent, error);
                self.insert_lost(error, ids_ignored)
            }
            PendingRequest::Update(id) => {
                self.lost(Some(&id), LateEffect::MayModify, sent, error);
                if is_unreadable_answer(error) && self.entries.are_beside_columns() {
                    Transition::Ask(PendingRequest::CheckUpdate { id, sent })
                } else {
                    self.update(id)
                }
            }
            PendingRequest::Delete(id) => {
                self.lost(Some(&id), LateEffect::MayModify, sent, error);
                Transition::Ask(if is_unreadable_answer(error) {
                    PendingRequest::CheckDelete(id)
                } else {
                    PendingRequest::Delete(id)
                })
            }
            read @ (PendingRequest::FindRow(_)
            | PendingRequest::SearchJournal(_)
            | PendingRequest::ReadVersion(_)
            | PendingRequest::CheckUpdate { .. }
            | PendingRequest::CheckDelete(_)
            | PendingRequest::LookUpById { .. }
            | PendingRequest::LookUpByColumn { .. }) => Transition::Ask(read),
        }
    }

    /// Remembers a write whose outcome is not known. `row`: the row it is for, if that is known.
    fn lost(&mut self, row: Option<&str>, effect: LateEffect, sent: Instant, error: &Error) {
        self.sent.lost(sent, error);
        if let Some(row) = row
            && may_come_late(error)
        {
            let until = sent + self.rules.transaction_time;
            self.sent.leave_behind(row, effect, until);
        }
    }
}
