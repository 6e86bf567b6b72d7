//! The versions of rows and when each was there to be read, for [`crate::Sim::truth`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::row::Stored;

/// Tables that describe the instance; their rows come with it.
const IGNORED: [&str; 3] = ["sys_db_object", "sys_dictionary", "sys_choice"];

/// Why a version ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A newer version took its place.
    Updated,
    /// The row was deleted, in whatever way.
    Deleted,
    /// The row moved to another class.
    Reclassified,
}

impl End {
    /// Name in the answer of the control endpoint.
    pub(crate) fn name(self) -> &'static str {
        match self {
            End::Updated => "updated",
            End::Deleted => "deleted",
            End::Reclassified => "reclassified",
        }
    }
}

/// One version of a row.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) row: Arc<Stored>,
    pub(crate) from: Instant,
    pub(crate) until: Option<(Instant, End)>,
}

/// The last versions, oldest first, up to a number; with a capacity of 0 nothing is kept.
#[derive(Debug, Default)]
pub(crate) struct History {
    capacity: usize,
    versions: VecDeque<Kept>,
    /// Versions that were dropped from the front.
    pub(crate) forgotten: usize,
    /// The living version of each row, by root class and `sys_id`: its number from the beginning.
    living: HashMap<(String, String), usize>,
    /// When the change that is being made became visible, if that is not now.
    pub(super) moment: Option<Instant>,
}

impl History {
    pub(crate) fn new(capacity: usize) -> History {
        History {
            capacity,
            ..History::default()
        }
    }

    /// The versions that are kept, oldest first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Kept> {
        self.versions.iter()
    }

    /// A version can be read from now on.
    pub(super) fn begin(&mut self, row: &Arc<Stored>) {
        if self.capacity == 0 || IGNORED.contains(&row.class.name.as_str()) {
            return;
        }
        if self.versions.len() >= self.capacity {
            self.versions.pop_front();
            self.forgotten += 1;
        }
        let number = self.forgotten + self.versions.len();
        self.living.insert(key(row), number);
        let from = self.moment.unwrap_or_else(Instant::now);
        self.versions.push_back(Kept {
            row: Arc::clone(row),
            from,
            until: None,
        });
    }

    /// A version can no longer be read.
    pub(super) fn end(&mut self, row: &Stored, end: End) {
        if self.capacity == 0 {
            return;
        }
        let number = self.living.remove(&key(row));
        let place = number.and_then(|number| number.checked_sub(self.forgotten));
        if let Some(kept) = place.and_then(|at| self.versions.get_mut(at)) {
            let moment = self.moment.unwrap_or_else(Instant::now);
            kept.until = Some((moment, end));
        }
    }
}

/// An id is unique along the whole class chain.
fn key(row: &Stored) -> (String, String) {
    let root = row.class.chain.last().cloned();
    (root.unwrap_or_default(), row.sys_id().to_owned())
}
