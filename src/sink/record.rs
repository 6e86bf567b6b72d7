//! A record of Kafka, from its bytes to the write that it asks for. Pure.
//!
//! `decode` makes JSON of the bytes, where needed with a schema; `envelope` takes away what Connect and
//! Debezium put around a row; `fields` takes JSON apart without
//! changing how a value is written; `parse` finds out what is asked for, which `operation`
//! describes; `row_identity` computes the sys_id of a new row.

mod decode;
mod envelope;
mod fields;
mod operation;
mod parse;
mod row_identity;

pub use self::decode::RecordContent;
pub(super) use self::decode::{SchemaLookup, SchemaRequest, decode_content, schema_lookup_of};
pub use self::operation::{
    NewRowIdentity, OperationKind, RecordAction, RowEffect, SkipReason, TargetRow, WriteOperation,
    ordering_key, row_effect,
};
pub(super) use self::parse::parse_action;
pub use self::row_identity::{CREATE_ID_HEADER, IdentityScope};

#[cfg(test)]
pub(super) use self::operation::fields_of;

#[cfg(test)]
mod tests;
