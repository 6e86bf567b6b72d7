//! What a record asks for.
//!
//! Everything in a record is somebody else's: its sys_id becomes a part of a path, its key a part of
//! a query. What does not fit there is refused.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::value::RawValue;

use super::fields;
use crate::sink::Refusal;

/// What becomes of a record.
#[derive(Debug, Clone)]
pub enum RecordAction {
    /// It is written.
    Write(WriteOperation),
    /// There is nothing to do, for this reason (a bounded label): `tombstone`, `delete_not_enabled`,
    /// `nothing_to_write`.
    Skip(&'static str),
}

/// One write.
#[derive(Debug, Clone)]
pub struct WriteOperation {
    /// What is asked for.
    pub kind: OperationKind,
    /// The row it is asked for.
    pub row: TargetRow,
    /// Columns and their values as JSON, in the record's order; never `sys_id`.
    pub fields: Vec<(String, Box<RawValue>)>,
    /// How a row that this operation creates is found again.
    pub create: NewRowIdentity,
    /// Journal columns that `fields` adds an entry to.
    pub journal: Vec<&'static str>,
    /// The record's timestamp, milliseconds since 1970 UTC.
    pub record_time: Option<i64>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Makes a row.
    Insert,
    /// Changes a row.
    Update,
    /// Changes a row, or makes it.
    Upsert,
    /// Removes a row.
    Delete,
}

/// What identifies the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetRow {
    /// Its sys_id.
    SysId(String),
    /// A column that holds a value.
    Field {
        /// The column.
        field: String,
        /// Its value: fit for an encoded query.
        value: String,
    },
    /// Nothing: it is made.
    None,
}

/// The identity of a new row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewRowIdentity {
    /// A sys_id hashed from the record: nobody else makes this row.
    Record {
        /// The sys_id.
        id: String,
        /// It came with the record, which was tried before.
        replayed: bool,
    },
    /// A sys_id hashed from the record's key: other records with this key mean this row.
    Key(String),
    /// The sys_id that the record names.
    Given(String),
    /// A column holds the identity; the instance chooses the sys_id.
    Field {
        /// The column.
        field: String,
        /// Its value: fit for an encoded query.
        value: String,
        /// It is hashed from the record, not one of its values.
        hashed: bool,
    },
    /// None.
    None,
}

/// Columns that keep what is written to them as entries, so that the same write twice shows twice.
pub(super) const JOURNAL_COLUMNS: [&str; 3] = ["work_notes", "comments", "comments_and_work_notes"];

/// A number that is the same for records that must be written in their order: those of one row.
/// `key` is the record's key, readable. `None`: in any order.
pub fn ordering_key(key: Option<&[u8]>, read: &Result<RecordAction, Refusal>) -> Option<u64> {
    match read {
        Ok(RecordAction::Write(operation)) => operation.lane(key),
        Ok(RecordAction::Skip(_)) | Err(_) => key.map(lane_of_text),
    }
}

/// What identifies a row is the same text wherever it stands, in a sys_id or in a key, and in
/// whatever case, as the instance compares.
fn lane_of_text(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.to_ascii_lowercase().hash(&mut hasher);
    hasher.finish()
}

impl OperationKind {
    /// Its name, as in the header `sn_operation`.
    pub fn word(self) -> &'static str {
        match self {
            OperationKind::Insert => "insert",
            OperationKind::Update => "update",
            OperationKind::Upsert => "upsert",
            OperationKind::Delete => "delete",
        }
    }
}

impl WriteOperation {
    /// See [`ordering_key`].
    pub fn lane(&self, key: Option<&[u8]>) -> Option<u64> {
        let text = match &self.row {
            TargetRow::SysId(id) => Some(id.as_bytes()),
            TargetRow::Field { value, .. } => Some(value.as_bytes()),
            TargetRow::None => key,
        };
        text.map(lane_of_text)
    }

    /// The hash that a new row would get. It must travel with the record when that is tried again
    /// elsewhere, in the header `sn_create_id`.
    pub fn create_id(&self) -> Option<&str> {
        match &self.create {
            NewRowIdentity::Record { id, .. } | NewRowIdentity::Key(id) => Some(id),
            NewRowIdentity::Field {
                value,
                hashed: true,
                ..
            } => Some(value),
            NewRowIdentity::Given(_) | NewRowIdentity::Field { .. } | NewRowIdentity::None => None,
        }
    }

    /// The JSON to send: `fields` but those in `without`, and with the identity of a new row if
    /// `create`.
    pub fn body(&self, create: bool, without: &[&str]) -> Vec<u8> {
        let identity = if create { self.create.column() } else { None };
        let mut body = vec![b'{'];
        if let Some((name, value)) = identity {
            push(&mut body, name, &serde_json::Value::from(value).to_string());
        }
        for (name, value) in &self.fields {
            let replaced = identity.is_some_and(|(ours, _)| ours == name);
            if !replaced && !without.contains(&name.as_str()) {
                push(&mut body, name, value.get());
            }
        }
        body.push(b'}');
        body
    }

    /// The text of a field, if it is one.
    pub fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        fields::string(value)
    }
}

impl NewRowIdentity {
    /// The sys_id of the new row, if it is chosen here.
    pub fn sys_id(&self) -> Option<&str> {
        match self {
            NewRowIdentity::Record { id, .. }
            | NewRowIdentity::Key(id)
            | NewRowIdentity::Given(id) => Some(id),
            NewRowIdentity::Field { .. } | NewRowIdentity::None => None,
        }
    }

    /// The column that identifies the new row, and its value.
    fn column(&self) -> Option<(&str, &str)> {
        match self {
            NewRowIdentity::Field { field, value, .. } => Some((field, value)),
            other => other.sys_id().map(|id| ("sys_id", id)),
        }
    }
}

fn push(body: &mut Vec<u8>, name: &str, value: &str) {
    if body.len() > 1 {
        body.push(b',');
    }
    let name = serde_json::Value::from(name).to_string();
    body.extend_from_slice(name.as_bytes());
    body.push(b':');
    body.extend_from_slice(value.as_bytes());
}

/// The fields of an object, for tests.
#[cfg(test)]
pub(in crate::sink) fn fields_of(object: &str) -> Vec<(String, Box<RawValue>)> {
    fields::parse(object.as_bytes()).unwrap()
}
