//! Why rows could not be sent.

use std::fmt;

use crate::kafka::{DeliveryError, SendError};
use crate::servicenow::query::Cursor;

/// Seconds by which a broker lets the time of a record lie ahead of its own clock, by default: its
/// setting `log.message.timestamp.after.max.ms`.
const MAX_RECORD_TIME_LEAD_SECONDS: f64 = 3600.0;

/// The rows before one that cannot be sent.
pub(super) enum RowsBefore {
    /// They are sent, and belong to a good page: they can be marked, with this position.
    Sent(Option<Cursor>),
    /// There are none, or their page may be bad: they are read and sent again.
    Unmarked,
}

/// Why sending a block stopped.
pub(super) enum SendFailure {
    /// This record cannot be sent.
    Record {
        /// What became of the rows before it.
        before: RowsBefore,
        /// Why.
        why: String,
    },
    /// Kafka has given records up.
    Delivery(String),
    /// Kafka refuses a batch as too large; which row it is shows when the rows are sent one by one.
    SendSingly(String),
    /// Stopped while a row waited for its schema; all rows before it are sent.
    Stopped,
    /// The deadline of a stop has passed.
    Abandoned,
}

/// What was to be sent is sent, or why it is not.
pub(super) type SendResult = Result<(), SendFailure>;

impl SendFailure {
    /// This row cannot be sent; whether the rows before it can be marked is not known here.
    pub(super) fn row(id: &[u8], why: &dyn fmt::Display) -> SendFailure {
        let id = String::from_utf8_lossy(id);
        SendFailure::Record {
            before: RowsBefore::Unmarked,
            why: format!("row {id}: {why}"),
        }
    }

    /// Kafka has given a record up. `host_lead`: by how many seconds this host's clock, which gives
    /// records their time, is ahead of the instance's, where that is known.
    pub(super) fn given_up(error: &DeliveryError, host_lead: Option<f64>) -> SendFailure {
        let lead = host_lead.filter(|lead| *lead >= MAX_RECORD_TIME_LEAD_SECONDS);
        SendFailure::Delivery(match lead {
            Some(lead) if error.may_be_its_time() => format!(
                "produce to topic {}: {}: this host's clock, which gives records their time, is \
                 {:.1} h ahead of the instance's, and brokers take no records from the future; set \
                 this host's clock right",
                error.topic,
                error.code,
                lead / 3600.0
            ),
            _ => error.to_string(),
        })
    }
}

impl From<SendError> for SendFailure {
    fn from(error: SendError) -> SendFailure {
        match error {
            SendError::Stopped => SendFailure::Abandoned,
            error => SendFailure::Delivery(error.to_string()),
        }
    }
}
