//! What a lost answer means for what comes next.

use std::time::Instant;

use super::{OldMachine, OldRequest, OldState};
use crate::servicenow::{Error, InstanceFailure};
use crate::sink::refusal::RefusalKind;
use crate::sink::write::indeterminate::{IndeterminateWrite, IndeterminateWrites, LateEffect};
use crate::sink::write::messages::ReplyInputs;

/// A request that may have been executed without our knowing.
#[derive(Debug, Clone, Copy)]
pub(super) struct OldDoubt {
    pub(super) sent: Instant,
    /// It may still run.
    pub(super) running: bool,
}

impl OldMachine<'_> {
    /// What another record has lost must not come after what comes next here.
    pub(super) fn let_pass(&mut self, late: &IndeterminateWrites) {
        let until = match &self.at {
            OldState::Journal { id, .. } | OldState::Version(id) | OldState::Update(id) => {
                late.until(id, LateEffect::MayModify)
            }
            OldState::Delete(id) => late.until(id, LateEffect::MayRecreate),
            OldState::Insert => {
                (self.op.create.sys_id()).and_then(|id| late.until(id, LateEffect::MayModify))
            }
            OldState::Find | OldState::OwnRow(_) | OldState::OwnField | OldState::Done(_) => None,
        };
        if let Some(until) = until {
            self.not_before(until);
        }
    }

    /// A write failed in a way that leaves open whether it was done.
    pub(super) fn doubt_after(&mut self, task: &OldRequest, error: &Error, moment: ReplyInputs) {
        let Some(sent) = error.possibly_executed_at() else {
            return;
        };
        let running = may_still_run(error);
        if may_come_late(error) {
            self.note_late(task, sent);
        }
        match task {
            OldRequest::Insert => {
                self.set_doubt(sent, running);
                match self.op.create.sys_id() {
                    Some(_) if moment.ids_ignored => self.refuse_as(
                        RefusalKind::Ambiguous,
                        format!(
                            "whether the row was made is not known, and as the instance chooses \
                             sys_ids itself it cannot be looked up; set `create_id: field`: {error}"
                        ),
                    ),
                    Some(id) => self.at = OldState::OwnRow(id.to_owned()),
                    None => self.insert(),
                }
            }
            OldRequest::Update(id) => {
                self.set_doubt(sent, running);
                self.update(id.clone());
            }
            OldRequest::Delete(_) => self.set_doubt(sent, running),
            OldRequest::Row(_)
            | OldRequest::Find { .. }
            | OldRequest::Journal { .. }
            | OldRequest::Version(_)
            | OldRequest::Probe => {}
        }
    }

    fn note_late(&mut self, task: &OldRequest, sent: Instant) {
        let (row, harm) = match task {
            OldRequest::Insert => (self.op.create.sys_id(), LateEffect::MayRecreate),
            OldRequest::Update(id) | OldRequest::Delete(id) => {
                (Some(id.as_str()), LateEffect::MayModify)
            }
            OldRequest::Row(_)
            | OldRequest::Find { .. }
            | OldRequest::Journal { .. }
            | OldRequest::Version(_)
            | OldRequest::Probe => return,
        };
        let Some(row) = row else { return };
        let before = self.late.as_ref().map(|lost| lost.effect);
        self.late = Some(IndeterminateWrite {
            row: row.to_owned(),
            effect: before.map_or(harm, |before| before.max(harm)),
            until: sent + self.rules.transaction_time,
        });
    }

    fn set_doubt(&mut self, sent: Instant, running: bool) {
        self.doubt = Some(OldDoubt { sent, running });
        self.doubted = true;
    }
}

/// Whether the instance may not have finished with a request. An answer of its own means that it has;
/// a gateway's does not.
fn may_still_run(error: &Error) -> bool {
    !matches!(
        error.cause(),
        Some(
            InstanceFailure::Body(_)
                | InstanceFailure::Failed { .. }
                | InstanceFailure::Server { status: 500, .. }
        )
    )
}

/// Whether the instance took the request and lost only the answer. A 503 says that it did not.
fn may_come_late(error: &Error) -> bool {
    let refused = matches!(
        error.cause(),
        Some(InstanceFailure::Server { status: 503, .. })
    );
    may_still_run(error) && !refused
}
