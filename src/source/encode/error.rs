//! Why a row has no Avro record.

use std::time::Duration;

use crate::avro::desired_schema::SchemaUnavailable;
use crate::registry;
use crate::servicenow;

/// Longest pause while the schema's place is away, which its client waits for.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no record of a row.
#[derive(Debug)]
pub(in crate::source) enum RowEncodeError {
    /// There is no schema for it yet; another look-up may find one.
    NoSchema(String),
    /// The registry or the instance, which have the schema, are away. Their client lets one request at
    /// a time through, so that the next look-up needs no pause.
    Away(String),
    /// The row itself has no form in the schema.
    InvalidRow(String),
    /// A stop ended the wait for the registry or the instance.
    Stopped,
}

impl RowEncodeError {
    /// The longest pause that makes sense before the next look-up.
    pub(in crate::source) fn longest_pause(&self) -> Duration {
        match self {
            RowEncodeError::Away(_) => AWAY_PAUSE,
            RowEncodeError::NoSchema(_) | RowEncodeError::InvalidRow(_) => Duration::MAX,
            RowEncodeError::Stopped => Duration::ZERO,
        }
    }

    /// What is wrong, in words.
    pub(in crate::source) fn words(&self) -> &str {
        match self {
            RowEncodeError::NoSchema(why)
            | RowEncodeError::Away(why)
            | RowEncodeError::InvalidRow(why) => why,
            RowEncodeError::Stopped => "stopped",
        }
    }
}

impl From<registry::Error> for RowEncodeError {
    fn from(error: registry::Error) -> RowEncodeError {
        match error {
            registry::Error::Stopped => RowEncodeError::Stopped,
            error if error.is_outage() => RowEncodeError::Away(error.to_string()),
            error => RowEncodeError::NoSchema(error.to_string()),
        }
    }
}

impl From<SchemaUnavailable> for RowEncodeError {
    fn from(why: SchemaUnavailable) -> RowEncodeError {
        match why {
            SchemaUnavailable::Error(servicenow::Error::Stopped) => RowEncodeError::Stopped,
            SchemaUnavailable::Error(error) if error.is_held_by_client() => {
                RowEncodeError::Away(error.to_string())
            }
            why => RowEncodeError::NoSchema(why.to_string()),
        }
    }
}
