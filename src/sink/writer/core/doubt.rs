//! What a lost answer means for what comes next.

use std::time::Instant;

use super::super::late::Late;
use super::super::task::{Moment, Task};
use super::{At, Core};
use crate::servicenow::{Cause, Error};

/// A request that may have been executed without our knowing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    pub(super) sent: Instant,
    /// It may still run.
    pub(super) running: bool,
}

impl Core<'_> {
    /// What another record has lost must not come after what comes next here.
    pub(super) fn let_pass(&mut self, late: &Late) {
        let row = match &self.at {
            At::Journal { id, .. } | At::Version(id) | At::Update(id) | At::Delete(id) => {
                Some(id.as_str())
            }
            At::Insert => self.op.create.sys_id(),
            At::Find | At::OwnRow(_) | At::OwnField | At::Done(_) => None,
        };
        if let Some(until) = row.and_then(|row| late.until(row)) {
            self.not_before(until);
        }
    }

    /// A write failed in a way that leaves open whether it was done.
    pub(super) fn doubt_after(&mut self, task: &Task, error: &Error, moment: Moment) {
        let Some(sent) = error.may_have_happened() else {
            return;
        };
        let running = may_still_run(error);
        if let Task::Update(id) | Task::Delete(id) = task
            && may_come_late(error)
        {
            self.late = Some((id.clone(), sent + self.rules.transaction_time));
        }
        match task {
            Task::Insert => {
                self.set_doubt(sent, running);
                match self.op.create.sys_id() {
                    Some(_) if moment.ids_ignored => self.refuse_as(
                        "ambiguous",
                        format!(
                            "whether the row was made is not known, and as the instance chooses \
                             sys_ids itself it cannot be looked up; set `create_id: field`: {error}"
                        ),
                    ),
                    Some(id) => self.at = At::OwnRow(id.to_owned()),
                    None => self.insert(),
                }
            }
            Task::Update(id) => {
                self.set_doubt(sent, running);
                self.update(id.clone());
            }
            Task::Delete(_) => self.set_doubt(sent, running),
            Task::Row(_)
            | Task::Find { .. }
            | Task::Journal { .. }
            | Task::Version(_)
            | Task::Probe => {}
        }
    }

    fn set_doubt(&mut self, sent: Instant, running: bool) {
        self.doubt = Some(Doubt { sent, running });
        self.doubted = true;
    }
}

/// Whether the instance may not have finished with a request. An answer of its own means that it has;
/// a gateway's does not.
fn may_still_run(error: &Error) -> bool {
    !matches!(
        error.cause(),
        Some(Cause::Body(_) | Cause::Failed { .. } | Cause::Server { status: 500, .. })
    )
}

/// Whether the instance took the request and lost only the answer. A 503 says that it did not.
fn may_come_late(error: &Error) -> bool {
    let refused = matches!(error.cause(), Some(Cause::Server { status: 503, .. }));
    may_still_run(error) && !refused
}
