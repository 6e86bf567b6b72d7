//! The journal of writes: what clients asked to change, what became of it and what they were told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Column names and values of a write body, in the order sent.
pub(crate) type Fields = Arc<[(String, String)]>;

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// POST: a new row.
    Insert,
    /// PUT or PATCH: changes to a row.
    Update,
    /// DELETE: the end of a row.
    Delete,
}

impl Operation {
    /// The operation of a method (section 2.1).
    pub(crate) fn of(method: &str) -> Option<Operation> {
        match method {
            "POST" => Some(Operation::Insert),
            "PUT" | "PATCH" => Some(Operation::Update),
            "DELETE" => Some(Operation::Delete),
            _ => None,
        }
    }

    /// The word of the instance's messages: `Insert`, `Update`, `Delete`.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Insert => "Insert",
            Operation::Update => "Update",
            Operation::Delete => "Delete",
        }
    }
}

/// The method that counts: `X-HTTP-Method-Override` is honoured on POST (section 2.1).
pub(crate) fn method<'a>(sent: &'a str, instead: Option<&'a str>) -> &'a str {
    match instead {
        Some(instead) if sent == "POST" => instead,
        _ => sent,
    }
}

/// One write request to the Table API.
#[derive(Debug, Clone)]
pub struct Write {
    /// Number of the write, from 1, in the order of arrival.
    pub id: u64,
    /// Table of the path; the row's class may be one below it.
    pub table: String,
    /// What was asked for.
    pub operation: Operation,
    /// `sys_id` of the path, or of the new row once it was made; else empty.
    pub sys_id: String,
    /// The body's fields as text, in the order sent; empty when it could not be read.
    pub fields: Arc<[(String, String)]>,
    /// When the request was complete.
    pub began: Instant,
    /// When the answer was made; `began` until then.
    pub ended: Instant,
    /// Status of the answer; 0 while it is being made, and when none is sent.
    pub status: u16,
    /// It was carried out, whatever the answer says. A change of nothing counts.
    pub applied: bool,
    /// Place among all applied writes, from 1; 0 when it was not applied.
    pub sequence: u64,
    /// Name of the fault that was injected.
    pub fault: Option<&'static str>,
    /// `user_name`; empty for a request that never got past the door.
    pub user: String,
}

impl Write {
    /// A field of the body.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// All writes, oldest first, up to a number.
#[derive(Debug)]
pub(crate) struct Writes {
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    last: u64,
    /// Ids follow each other without a gap, so that an id is a place.
    list: VecDeque<Write>,
}

impl Writes {
    pub(crate) fn new(capacity: usize) -> Writes {
        Writes {
            capacity: capacity.max(1),
            entries: Mutex::default(),
        }
    }

    /// Adds a write that is being answered; gives its number.
    pub(crate) fn begin(&self, mut write: Write) -> u64 {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.last += 1;
        write.id = entries.last;
        if entries.list.len() >= self.capacity {
            entries.list.pop_front();
        }
        entries.list.push_back(write);
        entries.last
    }

    /// Changes an entry, if it is still kept.
    pub(crate) fn update(&self, id: u64, change: impl FnOnce(&mut Write)) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let first = entries.list.front().map_or(u64::MAX, |write| write.id);
        let place = id
            .checked_sub(first)
            .and_then(|it| usize::try_from(it).ok());
        if let Some(write) = place.and_then(|at| entries.list.get_mut(at)) {
            change(write);
        }
    }

    /// Notes that a write was carried out.
    pub(crate) fn applied(&self, id: u64, sys_id: &str, sequence: u64) {
        self.update(id, |write| {
            write.applied = true;
            write.sequence = sequence;
            sys_id.clone_into(&mut write.sys_id);
        });
    }

    pub(crate) fn all(&self) -> Vec<Write> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.list.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.list.clear();
    }
}
