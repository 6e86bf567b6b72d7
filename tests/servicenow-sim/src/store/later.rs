//! Late commits: changes that carry an old stamp but become visible later (section 11.6,
//! checklist 34).

use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;
use crate::row::Row;
use crate::store::{Actor, Job, Store};
use crate::writes::Writes;

/// A change that waits for its commit.
#[derive(Debug)]
pub(crate) enum Change {
    /// A new row; its stamps are set already.
    Insert(Row),
    /// Changes to the row with this `sys_id`; the stamp is set already.
    Update(String, Row),
    /// A client's write whose request still runs, though its answer was a 504 already; its number
    /// in the journal.
    Write(Box<Job>, Arc<Writes>, u64),
}

#[derive(Debug)]
pub(crate) struct Later {
    due: Instant,
    table: String,
    now: i64,
    user: String,
    change: Change,
}

impl Store {
    /// Keeps a change until `due`.
    pub(crate) fn schedule(&mut self, table: &str, due: Instant, change: Change, actor: Actor<'_>) {
        self.later.push(Later {
            due,
            table: table.to_owned(),
            now: actor.now,
            user: actor.user.to_owned(),
            change,
        });
    }

    /// Whether a change is due.
    pub(crate) fn has_due(&self, now: Instant) -> bool {
        self.later.iter().any(|later| later.due <= now)
    }

    /// Makes every due change visible, in the order in which they were scheduled.
    pub(crate) fn settle(&mut self, now: Instant) {
        let waiting = std::mem::take(&mut self.later);
        let (due, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|it| it.due <= now);
        self.later = rest;
        for later in due {
            self.history.moment = Some(later.due);
            // The row may be gone by now, as on a real instance; then there is nothing to show.
            if self.commit(&later).is_err() {
                continue;
            }
        }
        self.history.moment = None;
    }

    fn commit(&mut self, later: &Later) -> Result<(), Error> {
        let actor = Actor {
            now: later.now,
            user: &later.user,
        };
        match &later.change {
            Change::Insert(row) => {
                let built = self.build(&later.table, std::iter::once(row.clone()), actor)?;
                self.add(&later.table, built, actor)?;
            }
            Change::Update(id, changes) => self.update(&later.table, id, changes, actor)?,
            Change::Write(job, writes, id) => {
                // Refused by now, perhaps because the client tried again: no client waits for the answer.
                if let Ok(done) = self.execute(job, later.now) {
                    writes.applied(*id, done.row.sys_id(), done.sequence);
                }
            }
        }
        Ok(())
    }
}
