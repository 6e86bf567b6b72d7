//! What a lost answer means for what comes next.

use std::time::Instant;

use crate::sink::write::indeterminate::{Harm, Late, Lost};
use crate::sink::write::messages::{Moment, Task};
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
        let until = match &self.at {
            At::Journal { id, .. } | At::Version(id) | At::Update(id) => {
                late.until(id, Harm::Changes)
            }
            At::Delete(id) => late.until(id, Harm::Revives),
            At::Insert => (self.op.create.sys_id()).and_then(|id| late.until(id, Harm::Changes)),
            At::Find | At::OwnRow(_) | At::OwnField | At::Done(_) => None,
        };
        if let Some(until) = until {
            self.not_before(until);
        }
    }

    /// A write failed in a way that leaves open whether it was done.
    pub(super) fn doubt_after(&mut self, task: &Task, error: &Error, moment: Moment) {
        let Some(sent) = error.may_have_happened() else {
            return;
        };
        let running = may_still_run(error);
        if may_come_late(error) {
            self.note_late(task, sent);
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

    fn note_late(&mut self, task: &Task, sent: Instant) {
        let (row, harm) = match task {
            Task::Insert => (self.op.create.sys_id(), Harm::Revives),
            Task::Update(id) | Task::Delete(id) => (Some(id.as_str()), Harm::Changes),
            Task::Row(_)
            | Task::Find { .. }
            | Task::Journal { .. }
            | Task::Version(_)
            | Task::Probe => return,
        };
        let Some(row) = row else { return };
        let before = self.late.as_ref().map(|lost| lost.harm);
        self.late = Some(Lost {
            row: row.to_owned(),
            harm: before.map_or(harm, |before| before.max(harm)),
            until: sent + self.rules.transaction_time,
        });
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
