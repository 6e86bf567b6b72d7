//! Carries out writes of the Table API (section 2.1).

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Error;
use crate::row::{Row, Stored};
use crate::store::{Actor, Refusal, Removal, Store, changed};
use crate::writes::Operation;

/// Columns that an update moves by itself.
const MOVED: [&str; 3] = ["sys_updated_on", "sys_updated_by", "sys_mod_count"];

/// A write that only needs to be carried out.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) operation: Operation,
    /// Table of the path.
    pub(crate) table: String,
    /// `sys_id` of the path; empty on insert.
    pub(crate) sys_id: String,
    /// Columns to set, all known to the table and writable.
    pub(crate) values: Row,
    /// System columns that are not among the values stay as they are.
    pub(crate) suppress: bool,
    /// `user_name`.
    pub(crate) user: String,
}

/// A write that was carried out.
#[derive(Debug)]
pub(crate) struct Done {
    /// The row as it is now, or was when it was deleted.
    pub(crate) row: Arc<Stored>,
    /// Place among all writes, from 1.
    pub(crate) sequence: u64,
}

/// Why a write was not carried out.
#[derive(Debug)]
pub(crate) enum Failed {
    /// No such row, or none that the user may see (section 2.6).
    Missing,
    /// The `sys_id` is taken (section 2.1).
    Taken(String),
    /// A rule refused the write to a row of this class.
    Refused(Refusal, String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        match error {
            Error::DuplicateId { sys_id, .. } => Failed::Taken(sys_id),
            // The table went while the write was on its way.
            _ => Failed::Missing,
        }
    }
}

impl Store {
    /// Carries out a write at `now` (epoch seconds).
    pub(crate) fn execute(&mut self, job: &Job, now: i64) -> Result<Done, Failed> {
        let actor = Actor {
            now,
            user: &job.user,
        };
        let row = match job.operation {
            Operation::Insert => self.insert_row(job, actor)?,
            Operation::Update => self.update_row(job, actor)?,
            Operation::Delete => {
                let old = self.seen(job)?;
                self.allow(job, &old)?;
                self.remove(&job.table, &job.sys_id, Removal::User, actor)?;
                old
            }
        };
        self.applied += 1;
        Ok(Done {
            row,
            sequence: self.applied,
        })
    }

    fn insert_row(&mut self, job: &Job, actor: Actor<'_>) -> Result<Arc<Stored>, Failed> {
        let rows = std::iter::once(job.values.clone());
        let built = self.build(&job.table, rows, actor)?;
        for (row, _) in &built {
            self.allow(job, row)?;
        }
        let ids = self.add(&job.table, built, actor)?;
        let id = ids.first().ok_or(Failed::Missing)?;
        Ok(self.find(&job.table, id)?)
    }

    fn update_row(&mut self, job: &Job, actor: Actor<'_>) -> Result<Arc<Stored>, Failed> {
        let old = self.seen(job)?;
        let mut values = job.values.clone();
        if job.suppress {
            keep_moved(&old, &mut values);
        }
        let Some((row, journal)) = changed(&old, &values, actor) else {
            self.allow(job, &old)?;
            return Ok(old);
        };
        self.allow(job, &row)?;
        self.put(&old, row, journal, actor)?;
        Ok(self.find(&job.table, &job.sys_id)?)
    }

    /// The row of the path; a hidden one is as good as none (section 2.6).
    fn seen(&self, job: &Job) -> Result<Arc<Stored>, Failed> {
        let row = self.find(&job.table, &job.sys_id)?;
        if row.is_hidden() {
            return Err(Failed::Missing);
        }
        Ok(row)
    }

    fn allow(&self, job: &Job, row: &Stored) -> Result<(), Failed> {
        match self.refusal(job.operation, row) {
            Some(refusal) => Err(Failed::Refused(refusal, row.class.name.clone())),
            None => Ok(()),
        }
    }
}

/// Sets what an update moves to what it is, unless the values set it.
pub(super) fn keep_moved(old: &Stored, values: &mut Row) {
    for name in MOVED {
        if values.get(name).is_none()
            && let Some(at) = old.class.find(name)
        {
            values.put(Cow::Borrowed(name), old.value(at));
        }
    }
}
