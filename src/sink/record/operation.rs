//! The write that a record asks for.
//!
//! A sys_id in here becomes part of a path on the instance, and the value of a key field part of a
//! query. [`super::parse`] lets only texts through that fit there.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::value::RawValue;

use super::fields;
use crate::sink::refusal::Refusal;

/// What is to be done with a record.
#[derive(Debug, Clone)]
pub enum RecordAction {
    /// It is written.
    Write(WriteOperation),
    /// There is nothing to do.
    Skip(SkipReason),
}

/// Why there is nothing to do for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// It has no value, and the topic does not delete rows.
    Tombstone,
    /// It asks for a delete, and the topic does not delete rows.
    DeleteNotEnabled,
    /// It is an update without a column that is written.
    NothingToWrite,
    /// The row is not there, and the record is to be passed over then or asked for its removal.
    Missing,
}

/// A write of one row.
#[derive(Debug, Clone)]
pub struct WriteOperation {
    /// What is asked for.
    pub kind: OperationKind,
    /// The row that is written.
    pub row: TargetRow,
    /// Columns and their values as JSON, in the record's order; never `sys_id`.
    pub fields: Vec<(String, Box<RawValue>)>,
    /// How a row that this operation makes is found again.
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

/// How the row of an operation is identified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetRow {
    /// By its sys_id.
    SysId(String),
    /// By the value of a column.
    Field {
        /// The column.
        field: String,
        /// The value, which fits into an encoded query.
        value: String,
    },
    /// Not at all, as the row is made.
    None,
}

/// What a row that an operation makes can be recognised by, should the answer be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewRowIdentity {
    /// A sys_id hashed from the record, so that no other record makes this row.
    Record {
        /// The sys_id.
        id: String,
        /// It came in a header of the record, which was tried before.
        replayed: bool,
    },
    /// A sys_id hashed from the record's key: other records with this key mean this row.
    Key(String),
    /// The sys_id that the record names.
    Given(String),
    /// The value of a column; the instance chooses the sys_id.
    Field {
        /// The column.
        field: String,
        /// The value, which fits into an encoded query.
        value: String,
        /// It is hashed from the record, not one of its values.
        hashed: bool,
    },
    /// Nothing.
    None,
}

/// Columns that keep each text that is written to them as an entry of its own, so that a write that is
/// executed twice shows twice.
pub(super) const JOURNAL_COLUMNS: [&str; 3] = ["work_notes", "comments", "comments_and_work_notes"];

/// What a record does to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowEffect {
    /// Nothing: it is passed over, or cannot be written.
    None,
    /// It makes the row. An older write is not for that row, but this one may undo what is written later to the
    /// row of its key, such as a delete, if the instance carries it out late.
    Makes,
    /// It changes or removes a row that may be there, so that an older write of the row could undo that if the
    /// instance carries it out late.
    Changes,
}

/// What the record does to its row.
pub fn row_effect(action: &Result<RecordAction, Refusal>) -> RowEffect {
    match action {
        Ok(RecordAction::Write(operation)) if operation.row == TargetRow::None => RowEffect::Makes,
        Ok(RecordAction::Write(_)) => RowEffect::Changes,
        Ok(RecordAction::Skip(_)) | Err(_) => RowEffect::None,
    }
}

/// A number that records share which must be written in their order: those of one row. `key` is the
/// record's key as text. `None`: the record may be written in any order.
pub fn ordering_key(key: Option<&[u8]>, action: &Result<RecordAction, Refusal>) -> Option<u64> {
    match action {
        Ok(RecordAction::Write(operation)) => operation.ordering_key(key),
        Ok(RecordAction::Skip(_)) | Err(_) => key.map(hash_of_identity),
    }
}

/// The same for one identity wherever it stands, in a sys_id or in a key, and in whatever case, as the
/// instance compares without regard to case.
fn hash_of_identity(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.to_ascii_lowercase().hash(&mut hasher);
    hasher.finish()
}

impl SkipReason {
    /// Its name in metrics and log lines.
    pub fn label(self) -> &'static str {
        match self {
            SkipReason::Tombstone => "tombstone",
            SkipReason::DeleteNotEnabled => "delete_not_enabled",
            SkipReason::NothingToWrite => "nothing_to_write",
            SkipReason::Missing => "missing",
        }
    }
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [OperationKind; 4] = [
        OperationKind::Insert,
        OperationKind::Update,
        OperationKind::Upsert,
        OperationKind::Delete,
    ];

    /// Its name in the header `sn_operation`, in dead letters and in metrics.
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
    /// See [`ordering_key()`].
    pub fn ordering_key(&self, key: Option<&[u8]>) -> Option<u64> {
        let text = match &self.row {
            TargetRow::SysId(id) => Some(id.as_bytes()),
            TargetRow::Field { value, .. } => Some(value.as_bytes()),
            TargetRow::None => key,
        };
        text.map(hash_of_identity)
    }

    /// The hash that identifies a new row. It must travel with the record, in the header
    /// `sn_create_id`, when the record is tried again elsewhere.
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

    /// The JSON of an insert: the fields, with the identity of the new row.
    pub fn insert_body(&self) -> Vec<u8> {
        let identity = self.create.column();
        let mut body = JsonObject::new();
        if let Some((name, value)) = identity {
            body.push(name, &serde_json::Value::from(value).to_string());
        }
        for (name, value) in &self.fields {
            // The identity is not sent twice.
            if identity.is_none_or(|(column, _)| column != name) {
                body.push(name, value.get());
            }
        }
        body.end()
    }

    /// The JSON of an update: the fields but those in `without`.
    pub fn update_body(&self, without: &[&str]) -> Vec<u8> {
        let mut body = JsonObject::new();
        for (name, value) in &self.fields {
            if !without.contains(&name.as_str()) {
                body.push(name, value.get());
            }
        }
        body.end()
    }

    /// The text of a field, if it is a text, a number or a boolean.
    pub fn text_of(&self, name: &str) -> Option<String> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        fields::text(value)
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

/// A JSON object that is put together from names and from values that are JSON already.
struct JsonObject(Vec<u8>);

impl JsonObject {
    fn new() -> JsonObject {
        JsonObject(vec![b'{'])
    }

    fn push(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        let name = serde_json::Value::from(name).to_string();
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(value.as_bytes());
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// The fields of an object, for tests.
#[cfg(test)]
pub(in crate::sink) fn fields_of(object: &str) -> Vec<(String, Box<RawValue>)> {
    fields::parse(object.as_bytes()).unwrap()
}
