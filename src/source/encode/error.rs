//! Why a row has no Avro record.

use crate::avro::desired_schema::SchemaUnavailable;
use crate::registry;
use crate::servicenow;

/// Why there is no record of a row.
#[derive(Debug)]
pub(in crate::source) enum RowEncodeError {
    /// There is no schema for it yet; another look-up may find one.
    NoSchema(String),
    /// The row itself has no form in the schema.
    InvalidRow(String),
    /// A stop ended the wait for the registry or the instance.
    Stopped,
}

impl From<registry::Error> for RowEncodeError {
    fn from(error: registry::Error) -> RowEncodeError {
        match error {
            registry::Error::Stopped => RowEncodeError::Stopped,
            error => RowEncodeError::NoSchema(error.to_string()),
        }
    }
}

impl From<SchemaUnavailable> for RowEncodeError {
    fn from(why: SchemaUnavailable) -> RowEncodeError {
        match why {
            SchemaUnavailable::Error(servicenow::Error::Stopped) => RowEncodeError::Stopped,
            why => RowEncodeError::NoSchema(why.to_string()),
        }
    }
}
