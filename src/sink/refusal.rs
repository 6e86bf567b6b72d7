//! Why a record cannot be written, however often it is tried.

use std::fmt;

/// Why a record cannot be written. It goes into the dead letter, a log line and a metric; no text of
/// it holds a piece of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A bounded label: `invalid_json`, `no_identity`, `forbidden`, `not_found`, ...
    pub kind: &'static str,
    /// HTTP status of the instance's answer, if there was one.
    pub status: Option<u16>,
    /// What was tried, why it failed, what to do.
    pub error: String,
    /// Requests that were made for it; 0: it was refused before the first.
    pub attempts: u32,
}

impl Refusal {
    /// Refused before anything was sent.
    pub fn unsent(kind: &'static str, error: impl Into<String>) -> Refusal {
        Refusal {
            kind,
            status: None,
            error: error.into(),
            attempts: 0,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}
