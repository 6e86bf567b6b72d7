//! Why a record cannot be written, however often it is tried.

use std::fmt;

/// Why a record cannot be written. It goes into the dead letter, a log line and a metric; no text of
/// it holds a piece of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, as one of a bounded set.
    pub kind: RefusalKind,
    /// HTTP status of the instance's answer, if there was one.
    pub status: Option<u16>,
    /// What was tried, why it failed, what to do.
    pub error: String,
    /// Requests that were made for the record; 0: it was refused before the first.
    pub attempts: u32,
}

/// Defines [`RefusalKind`]: the kinds by what is wrong, each with its label. A new kind is one line here.
macro_rules! refusal_kinds {
    ($($subject:literal: { $($(#[doc = $doc:literal])+ $kind:ident = $label:literal,)+ })+) => {
        /// What is wrong with a refused record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RefusalKind {
            $($($(#[doc = $doc])+ $kind,)+)+
        }

        impl RefusalKind {
            /// Every kind.
            pub const ALL: &'static [RefusalKind] = &[$($(RefusalKind::$kind,)+)+];

            /// Every kind by what is wrong, as the help lists them.
            pub const BY_SUBJECT: &'static [(&'static str, &'static [RefusalKind])] =
                &[$(($subject, &[$(RefusalKind::$kind,)+]),)+];

            /// Its name in dead letters, metrics and log lines, and for `--kind`. It never changes:
            /// letters with it are in users' topics, and alerts ask for it.
            pub const fn label(self) -> &'static str {
                match self {
                    $($(RefusalKind::$kind => $label,)+)+
                }
            }
        }
    };
}

refusal_kinds! {
    "the bytes": {
        /// The value is no JSON object.
        InvalidJson = "invalid_json",
        /// The name of a header is not UTF-8.
        InvalidHeaders = "invalid_headers",
        /// The value of the key field cannot be searched for.
        InvalidKey = "invalid_key",
        /// A column's value is a list or an object that no column keeps.
        NestedValue = "nested_value",
        /// The value is an envelope of Kafka Connect or Debezium without a row.
        InvalidEnvelope = "invalid_envelope",
        /// The value is not what its Avro schema says.
        InvalidAvro = "invalid_avro",
        /// The schema cannot be used.
        InvalidSchema = "invalid_schema",
        /// No registry has the schema.
        UnknownSchema = "unknown_schema",
        /// The value is in a format that the topic does not have, or that is not read.
        UnsupportedFormat = "unsupported_format",
    }
    "what it asks": {
        /// The header `sn_operation` asks for something that does not exist or does not fit.
        InvalidOperation = "invalid_operation",
        /// The sys_id or the header `sn_create_id` is malformed.
        InvalidIdentity = "invalid_identity",
        /// A new row would have no column of its own.
        NoColumns = "no_columns",
        /// The table has no such column.
        UnknownColumn = "unknown_column",
        /// Nothing says which row is meant.
        NoIdentity = "no_identity",
        /// The instance ignores the key field in a search.
        KeyFieldIgnored = "key_field_ignored",
        /// Whether the row was made is not known and cannot be found out.
        Ambiguous = "ambiguous",
        /// More than one row has the record's key.
        AmbiguousKey = "ambiguous_key",
    }
    "the verdict": {
        /// A business rule of the instance aborted the write.
        BusinessRule = "business_rule",
        /// A data policy of the instance forbids the write.
        DataPolicy = "data_policy",
        /// An access rule of the instance forbids the write.
        Acl = "acl",
        /// HTTP 403 for another reason.
        Forbidden = "forbidden",
        /// HTTP 401.
        Unauthorized = "unauthorized",
        /// The row is not there.
        NotFound = "not_found",
        /// The instance takes the request for malformed, or it cannot be sent.
        BadRequest = "bad_request",
        /// The record, or the answer, is over a limit of size.
        TooLarge = "too_large",
        /// HTTP 200 with an error inside.
        Failed = "failed",
        /// HTTP 202: the instance did not execute the request.
        NotExecuted = "not_executed",
        /// HTTP 5xx.
        Server = "server",
        /// An unexpected HTTP status.
        Status = "status",
    }
    "the way": {
        /// HTTP 429, or the pause that such an answer asked for.
        RateLimited = "rate_limited",
        /// No answer in time.
        Timeout = "timeout",
        /// No connection, or it broke.
        Network = "network",
        /// The instance's certificate was not accepted, or ours was not.
        Tls = "tls",
        /// HTTP 3xx.
        Redirect = "redirect",
        /// HTTP 200 with something else than JSON.
        NotJson = "not_json",
        /// The answer is damaged.
        Body = "body",
        /// The client could not be set up.
        Setup = "setup",
        /// The program was stopping.
        Stopped = "stopped",
        /// A fault of this program.
        Internal = "internal",
    }
}

impl Refusal {
    /// Refused for a reason that is not the answer to one request, most often before anything was sent:
    /// it carries neither a status nor a count of attempts.
    pub fn unsent(kind: RefusalKind, error: impl Into<String>) -> Refusal {
        Refusal {
            kind,
            status: None,
            error: error.into(),
            attempts: 0,
        }
    }

    /// The same after this many requests.
    #[must_use]
    pub fn after(self, attempts: u32) -> Refusal {
        Refusal { attempts, ..self }
    }
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Letters, metrics and alerts of users have these words.
    #[test]
    fn labels_are_distinct_words() {
        let labels: BTreeSet<&str> = RefusalKind::ALL.iter().map(|kind| kind.label()).collect();
        assert_eq!(labels.len(), RefusalKind::ALL.len());
        let is_word = |label: &&str| {
            label
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase())
        };
        assert!(labels.iter().all(is_word), "{labels:?}");
    }
}
