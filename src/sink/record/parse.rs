//! Finds out what a record asks for: from its headers, its key, its value, and the settings of its
//! topic.
//!
//! Nothing in a record is trusted: a sys_id becomes part of a path on the instance, and the value of a
//! key field part of a query. What does not fit there is refused.

use super::decode::RecordContent;
use super::envelope::{self, OpenedValue};
use super::fields::{self, RecordField};
use super::operation::{
    JOURNAL_COLUMNS, NewRowIdentity, OperationKind, RecordAction, SkipReason, TargetRow,
    WriteOperation,
};
use super::row_identity::{self, IdentityScope};
use crate::config::{
    CreateId, Nulls, OnMissing, SinkFormat, SinkOperation, SinkTopicConfig, names,
};
use crate::kafka::ConsumerRecord;
use crate::servicenow::query::query_value_fault;
use crate::sink::refusal::{Refusal, RefusalKind};

/// The header that says what a record asks for.
const OPERATION_HEADER: &str = "sn_operation";
/// Columns that the instance fills in itself, so that they are not sent.
const UNWRITABLE_COLUMNS: [&str; 6] = [
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
    "sys_tags",
];
/// Longest sys_id that is taken. The platform makes 32 hexadecimal digits; some rows that it ships
/// with have names instead.
const MAX_SYS_ID_BYTES: usize = 64;

/// Finds out what `record` of `topic` asks for. `content` is what its bytes were decoded to.
///
/// # Errors
/// The record cannot be written, whatever the instance would say.
pub(in crate::sink) fn parse_action(
    record: &ConsumerRecord,
    content: &RecordContent<'_>,
    topic: &SinkTopicConfig,
    scope: &IdentityScope,
) -> Result<RecordAction, Refusal> {
    RecordParser {
        record,
        content,
        topic,
        scope,
    }
    .parse()
}

/// A record and what is needed to understand it.
struct RecordParser<'a> {
    record: &'a ConsumerRecord,
    content: &'a RecordContent<'a>,
    topic: &'a SinkTopicConfig,
    scope: &'a IdentityScope,
}

impl RecordParser<'_> {
    fn parse(&self) -> Result<RecordAction, Refusal> {
        let asked = self.asked()?;
        if asked == Some(OperationKind::Delete) && !self.topic.deletes {
            return Ok(RecordAction::Skip(SkipReason::DeleteNotEnabled));
        }
        let value = match &self.content.value {
            Ok(Some(value)) => fields::parse(value)?,
            Ok(None) => return self.read_removal(asked, &[], SkipReason::Tombstone),
            Err(refusal) => return Err(refusal.clone()),
        };
        let opened = if self.topic.format == SinkFormat::Json {
            OpenedValue::Row(value)
        } else {
            envelope::open(value)?
        };
        match opened {
            OpenedValue::Row(row) => {
                let named = named_row(&row);
                let kind = asked.unwrap_or_else(|| self.kind(&named));
                self.read_row(kind, row, named)
            }
            OpenedValue::ChangedRow(row) => {
                // A change of a row that nothing names must not make one.
                let named = named_row(&row);
                let kind = match self.kind(&named) {
                    OperationKind::Insert if self.topic.operation == SinkOperation::Auto => {
                        OperationKind::Upsert
                    }
                    kind => kind,
                };
                self.read_row(asked.unwrap_or(kind), row, named)
            }
            OpenedValue::Tombstone => self.read_removal(asked, &[], SkipReason::Tombstone),
            OpenedValue::RemovedRow(before) => {
                self.read_removal(asked, &before, SkipReason::DeleteNotEnabled)
            }
        }
    }

    /// The operation that the header asks for, if there is one.
    fn asked(&self) -> Result<Option<OperationKind>, Refusal> {
        if self.record.unreadable_headers {
            let error = "a header's name is not UTF-8, so what the record asks for is not known; \
                         its headers are not in the dead letter";
            return Err(Refusal::unsent(RefusalKind::InvalidHeaders, error));
        }
        let Some(word) = self.record.header(OPERATION_HEADER) else {
            return Ok(None);
        };
        let named = |kind: &OperationKind| word.eq_ignore_ascii_case(kind.word().as_bytes());
        match OperationKind::ALL.into_iter().find(named) {
            Some(kind) => Ok(Some(kind)),
            None => Err(Refusal::unsent(
                RefusalKind::InvalidOperation,
                format!(
                    "the header `{OPERATION_HEADER}` is none of {}",
                    OperationKind::ALL.map(OperationKind::word).join(", ")
                ),
            )),
        }
    }

    /// The removal of a row that is named by its columns as they were `before`, else by the key. `skipped`: the
    /// reason where the topic does not delete rows.
    fn read_removal(
        &self,
        asked: Option<OperationKind>,
        before: &[RecordField],
        skipped: SkipReason,
    ) -> Result<RecordAction, Refusal> {
        asks_for_no_row(asked)?;
        if !self.topic.deletes {
            return Ok(RecordAction::Skip(skipped));
        }
        let row = if let Some(id) = named_row(before)? {
            TargetRow::SysId(id)
        } else if let Some(field) = &self.topic.key_field
            && let Some(value) = identity(before, field)?
        {
            let field = field.clone();
            TargetRow::Field { field, value }
        } else {
            TargetRow::SysId(self.row_of_key()?)
        };
        let create = NewRowIdentity::None;
        let removal = self.operation(OperationKind::Delete, row, Vec::new(), create);
        Ok(RecordAction::Write(removal))
    }

    /// The sys_id of the row that the key of a record without value stands for.
    fn row_of_key(&self) -> Result<String, Refusal> {
        let key = self.key()?.ok_or_else(|| {
            Refusal::unsent(
                RefusalKind::NoIdentity,
                "a record without value and key says not which row to delete",
            )
        })?;
        match self.topic.create_id {
            CreateId::Key if !self.topic.key_is_sys_id => {
                Ok(row_identity::of_key(key, &self.topic.table, self.scope))
            }
            _ => sys_id_of_key(key).ok_or_else(|| {
                Refusal::unsent(
                    RefusalKind::NoIdentity,
                    "the key of a record without value is no sys_id, so it says not which row \
                         to delete",
                )
            }),
        }
    }

    fn read_row(
        &self,
        kind: OperationKind,
        all: Vec<RecordField>,
        named: NamedRow,
    ) -> Result<RecordAction, Refusal> {
        let sys_id = self.confirmed_row(named?)?;
        let row = self.row(kind, &all, sys_id.clone())?;
        let create = self.create(kind, &row, &all, sys_id)?;
        let row = match (row, &create) {
            // The row is known by its key, so that the records of one key keep their order.
            (TargetRow::None, NewRowIdentity::Key(id)) => TargetRow::SysId(id.clone()),
            (row, _) => row,
        };
        let fields = match kind {
            OperationKind::Delete => Vec::new(),
            OperationKind::Insert | OperationKind::Update | OperationKind::Upsert => {
                self.sent(all)?
            }
        };
        if kind == OperationKind::Update && fields.is_empty() {
            return Ok(RecordAction::Skip(SkipReason::NothingToWrite));
        }
        let makes_row = matches!(kind, OperationKind::Insert | OperationKind::Upsert);
        let may_be_column = |(name, _): &RecordField| names::check_column(name).is_ok();
        if makes_row && !fields.iter().any(may_be_column) {
            return Err(Refusal::unsent(
                RefusalKind::NoColumns,
                "the record holds no column that a new row could have, so the row would be empty",
            ));
        }
        Ok(RecordAction::Write(
            self.operation(kind, row, fields, create),
        ))
    }

    /// The operation of a record whose header does not say it.
    fn kind(&self, named: &NamedRow) -> OperationKind {
        match self.topic.operation {
            SinkOperation::Insert => OperationKind::Insert,
            SinkOperation::Update => OperationKind::Update,
            SinkOperation::Upsert => OperationKind::Upsert,
            // A bad sys_id names a row as well.
            SinkOperation::Auto if self.topic.key_is_sys_id || !matches!(named, Ok(None)) => {
                OperationKind::Update
            }
            SinkOperation::Auto if self.topic.key_field.is_some() => OperationKind::Upsert,
            SinkOperation::Auto => OperationKind::Insert,
        }
    }

    fn row(
        &self,
        kind: OperationKind,
        all: &[RecordField],
        sys_id: Option<String>,
    ) -> Result<TargetRow, Refusal> {
        if let Some(id) = sys_id {
            return Ok(TargetRow::SysId(id));
        }
        if kind == OperationKind::Insert {
            return Ok(TargetRow::None);
        }
        if let Some(field) = &self.topic.key_field {
            let value = identity(all, field)?.ok_or_else(|| {
                Refusal::unsent(
                    RefusalKind::NoIdentity,
                    format!(
                        "the record has neither a sys_id nor a value of the key field `{field}`"
                    ),
                )
            })?;
            let field = field.clone();
            return Ok(TargetRow::Field { field, value });
        }
        if self.topic.create_id == CreateId::Key
            && let Some(key) = self.key()?
        {
            let id = row_identity::of_key(key, &self.topic.table, self.scope);
            return Ok(TargetRow::SysId(
                row_identity::carried(self.record)?.unwrap_or(id),
            ));
        }
        let word = kind.word();
        Err(Refusal::unsent(
            RefusalKind::NoIdentity,
            format!("the record asks for {word} but has no sys_id, and its topic no `key_field`"),
        ))
    }

    /// The identity of the row, in case the operation makes it.
    fn create(
        &self,
        kind: OperationKind,
        row: &TargetRow,
        all: &[RecordField],
        sys_id: Option<String>,
    ) -> Result<NewRowIdentity, Refusal> {
        let makes = match kind {
            OperationKind::Insert | OperationKind::Upsert => true,
            OperationKind::Update => self.topic.on_missing == OnMissing::Insert,
            OperationKind::Delete => false,
        };
        if !makes {
            return Ok(NewRowIdentity::None);
        }
        match (sys_id, row) {
            (Some(id), _) => Ok(NewRowIdentity::Given(id)),
            (None, TargetRow::SysId(id)) => Ok(NewRowIdentity::Key(id.clone())),
            (None, TargetRow::Field { .. } | TargetRow::None) => self.chosen(all),
        }
    }

    /// The identity of a new row as `create_id` says.
    fn chosen(&self, all: &[RecordField]) -> Result<NewRowIdentity, Refusal> {
        let carried = row_identity::carried(self.record)?;
        let table = &self.topic.table;
        let of_record = || row_identity::of_record(self.record, table, self.scope);
        Ok(match &self.topic.create_id {
            CreateId::Record => NewRowIdentity::Record {
                replayed: carried.is_some(),
                id: carried.unwrap_or_else(of_record),
            },
            CreateId::Key => match carried {
                Some(id) => NewRowIdentity::Key(id),
                None => match self.key()? {
                    Some(key) => NewRowIdentity::Key(row_identity::of_key(key, table, self.scope)),
                    None => {
                        return Err(Refusal::unsent(
                            RefusalKind::NoIdentity,
                            "the record has no key, and with `create_id: key` a new row needs one",
                        ));
                    }
                },
            },
            CreateId::Field(field) => match identity(all, field)? {
                Some(value) => NewRowIdentity::Field {
                    field: field.clone(),
                    value,
                    hashed: false,
                },
                None => NewRowIdentity::Field {
                    field: field.clone(),
                    value: carried.unwrap_or_else(of_record),
                    hashed: true,
                },
            },
            CreateId::None => NewRowIdentity::None,
        })
    }

    /// The fields that are sent to the instance.
    fn sent(&self, all: Vec<RecordField>) -> Result<Vec<RecordField>, Refusal> {
        let wanted =
            |name: &String| self.topic.fields.is_empty() || self.topic.fields.contains(name);
        all.into_iter()
            .filter(|(name, _)| name != "sys_id" && !UNWRITABLE_COLUMNS.contains(&name.as_str()))
            .filter(|(name, _)| wanted(name))
            .filter(|(_, value)| self.topic.nulls == Nulls::Clear || !fields::is_null(value))
            .map(|(name, value)| {
                let value = fields::stored(&name, value, self.topic.nested)?;
                Ok((name, value))
            })
            .collect()
    }

    /// The sys_id that names the row: `named` in the record, or where that is configured that of its key.
    fn confirmed_row(&self, named: Option<String>) -> NamedRow {
        if !self.topic.key_is_sys_id {
            return Ok(named);
        }
        let key = self.key()?.ok_or_else(|| {
            let error = "the record has no key, which names its row by `key_is_sys_id`";
            Refusal::unsent(RefusalKind::NoIdentity, error)
        })?;
        let id = sys_id_of_key(key).ok_or_else(|| {
            let error = "the record's key is no sys_id, as `key_is_sys_id` says it is";
            Refusal::unsent(RefusalKind::InvalidIdentity, error)
        })?;
        match named {
            Some(other) if !other.eq_ignore_ascii_case(&id) => Err(Refusal::unsent(
                RefusalKind::InvalidIdentity,
                "the record's `sys_id` and its key name two rows",
            )),
            _ => Ok(Some(id)),
        }
    }

    /// The record's key, to identify a row by it; `None` if it is empty.
    fn key(&self) -> Result<Option<&[u8]>, Refusal> {
        match &self.content.unread_key {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(self.content.key.as_deref().filter(|key| !key.is_empty())),
        }
    }

    fn operation(
        &self,
        kind: OperationKind,
        row: TargetRow,
        fields: Vec<RecordField>,
        create: NewRowIdentity,
    ) -> WriteOperation {
        let says = |name: &&str| {
            let entry = fields.iter().find(|(field, _)| field == name);
            let text = entry.and_then(|(_, value)| fields::string(value));
            text.is_some_and(|text| !text.trim().is_empty())
        };
        let journal = JOURNAL_COLUMNS.into_iter().filter(says).collect();
        WriteOperation {
            kind,
            row,
            fields,
            create,
            journal,
            record_time: self.record.timestamp,
        }
    }
}

/// A record without a row may ask for a removal only.
fn asks_for_no_row(asked: Option<OperationKind>) -> Result<(), Refusal> {
    match asked {
        None | Some(OperationKind::Delete) => Ok(()),
        Some(_) => Err(Refusal::unsent(
            RefusalKind::InvalidOperation,
            format!("the header `{OPERATION_HEADER}` asks for a row, but the record has no value"),
        )),
    }
}

/// The sys_id that a key is, as it stands or as JSON.
fn sys_id_of_key(key: &[u8]) -> Option<String> {
    let plain = std::str::from_utf8(key).ok().and_then(sys_id);
    plain.or_else(|| sys_id(&envelope::key_text(key)?))
}

/// The sys_id that names the row of a record, if one does.
type NamedRow = Result<Option<String>, Refusal>;

/// The sys_id that a record names; an empty one names nothing.
fn named_row(all: &[RecordField]) -> NamedRow {
    let Some((_, value)) = all.iter().find(|(name, _)| name == "sys_id") else {
        return Ok(None);
    };
    let value = fields::inner_value(value).unwrap_or_else(|| value.clone());
    let text = match value.get() {
        "null" => Some(String::new()),
        _ => fields::string(&value),
    };
    match text {
        Some(text) if text.is_empty() => Ok(None),
        text => match text.as_deref().and_then(sys_id) {
            Some(id) => Ok(Some(id)),
            None => Err(Refusal::unsent(
                RefusalKind::InvalidIdentity,
                "the record's `sys_id` is none: up to 64 letters, digits, dots, dashes and \
                 underscores",
            )),
        },
    }
}

/// The text as a sys_id, if it fits into a path as one segment, and into a query.
fn sys_id(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good = (1..=MAX_SYS_ID_BYTES).contains(&text.len())
        && text.bytes().all(fits)
        && !matches!(text, "." | "..");
    good.then(|| text.to_owned())
}

fn unsearchable(field: &str, why: &str) -> Refusal {
    let words = format!("the value of `{field}` cannot be searched for: {why}");
    Refusal::unsent(RefusalKind::InvalidKey, words)
}

/// The value of a column that identifies a row; `None` if it is empty or absent.
fn identity(all: &[RecordField], field: &str) -> Result<Option<String>, Refusal> {
    let Some((_, value)) = all.iter().find(|(name, _)| name == field) else {
        return Ok(None);
    };
    if fields::is_null(value) {
        return Ok(None);
    }
    match fields::text(&fields::plain_form(value.clone())) {
        Some(text) if text.trim().is_empty() => Ok(None),
        Some(text) => match query_value_fault(text.as_bytes()) {
            None => Ok(Some(text)),
            Some(fault) => Err(unsearchable(field, &fault.to_string())),
        },
        None => Err(unsearchable(
            field,
            "it must be a text, a number or a boolean",
        )),
    }
}
