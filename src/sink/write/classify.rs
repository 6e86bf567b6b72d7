//! Refusals: from an error of the instance's client, and from what searches brought.

use crate::servicenow::{Error, InstanceFailure};
use crate::sink::refusal::{Refusal, RefusalKind};

/// The instance's words for a rule of its own that stopped a write.
const INSTANCE_RULE_WORDS: [(&str, RefusalKind); 3] = [
    ("aborted by Business Rule", RefusalKind::BusinessRule),
    ("Data Policy Exception", RefusalKind::DataPolicy),
    ("ACL Exception", RefusalKind::Acl),
];

/// Refused by the instance, or given up because of this error. The attempts are not filled in.
pub(super) fn refusal(error: &Error) -> Refusal {
    Refusal {
        kind: kind(error),
        status: status(error),
        error: error.to_string(),
        attempts: 0,
    }
}

fn kind(error: &Error) -> RefusalKind {
    if error.is_too_large() {
        return RefusalKind::TooLarge;
    }
    let words = words(error);
    match INSTANCE_RULE_WORDS
        .iter()
        .find(|(said, _)| words.contains(said))
    {
        Some((_, kind)) => *kind,
        None => kind_of_error(error),
    }
}

/// The kind of an error by its cause alone. Its label is the one that metrics give to the same error
/// (`Error::metric_label`), so that dead letters and metrics can be compared.
fn kind_of_error(error: &Error) -> RefusalKind {
    let cause = match error {
        Error::Setup(_) => return RefusalKind::Setup,
        Error::Stopped => return RefusalKind::Stopped,
        Error::Request { cause, .. } => cause,
    };
    match cause {
        InstanceFailure::Timeout { .. } => RefusalKind::Timeout,
        InstanceFailure::Network(_) | InstanceFailure::Away { .. } => RefusalKind::Network,
        InstanceFailure::Foreign { status: 403, .. } => RefusalKind::Forbidden,
        InstanceFailure::Foreign { status: 404, .. } => RefusalKind::NotFound,
        InstanceFailure::Foreign { .. } => RefusalKind::BadRequest,
        InstanceFailure::Tls(_) => RefusalKind::Tls,
        InstanceFailure::RateLimited { .. } | InstanceFailure::Held { .. } => {
            RefusalKind::RateLimited
        }
        InstanceFailure::Unauthorized { .. }
        | InstanceFailure::SameToken
        | InstanceFailure::NoLogin => RefusalKind::Unauthorized,
        InstanceFailure::Forbidden { .. } => RefusalKind::Forbidden,
        InstanceFailure::NotFound { .. } => RefusalKind::NotFound,
        InstanceFailure::BadRequest { .. } | InstanceFailure::Unsendable(_) => {
            RefusalKind::BadRequest
        }
        InstanceFailure::Redirect { .. } => RefusalKind::Redirect,
        InstanceFailure::NotJson { .. } => RefusalKind::NotJson,
        InstanceFailure::NotExecuted => RefusalKind::NotExecuted,
        InstanceFailure::Server { .. } => RefusalKind::Server,
        InstanceFailure::Status { .. } => RefusalKind::Status,
        InstanceFailure::TooLarge { .. } => RefusalKind::TooLarge,
        InstanceFailure::Body(_) => RefusalKind::Body,
        InstanceFailure::Failed { .. } => RefusalKind::Failed,
    }
}

fn status(error: &Error) -> Option<u16> {
    match error.cause()? {
        InstanceFailure::Unauthorized { .. } | InstanceFailure::SameToken => Some(401),
        InstanceFailure::Forbidden { .. } => Some(403),
        InstanceFailure::NotFound { .. } => Some(404),
        InstanceFailure::BadRequest { status, .. }
        | InstanceFailure::Foreign { status, .. }
        | InstanceFailure::Server { status, .. }
        | InstanceFailure::Status { status } => Some(*status),
        InstanceFailure::NotExecuted => Some(202),
        InstanceFailure::NotJson { .. } | InstanceFailure::Failed { .. } => Some(200),
        InstanceFailure::RateLimited { .. } => Some(429),
        InstanceFailure::Timeout { .. }
        | InstanceFailure::Network(_)
        | InstanceFailure::Tls(_)
        | InstanceFailure::Unsendable(_)
        | InstanceFailure::Held { .. }
        | InstanceFailure::Away { .. }
        | InstanceFailure::Redirect { .. }
        | InstanceFailure::TooLarge { .. }
        | InstanceFailure::Body(_)
        | InstanceFailure::NoLogin => None,
    }
}

/// Whether the instance refuses a row because the row with this sys_id is there already. `tried`: an
/// earlier attempt may have made it. For a record that was not tried before, the unique index of
/// another column is the likelier reason; it certainly is where the database's words name a value
/// that is not the sys_id.
pub(super) fn is_duplicate_of(error: &Error, sys_id: &str, tried: bool) -> bool {
    let words = words(error).to_ascii_lowercase();
    let duplicate = ["unique key", "duplicate"]
        .iter()
        .any(|said| words.contains(said));
    let names_ours = words.contains(&sys_id.to_ascii_lowercase());
    let names_other = !names_ours && words.contains("entry '");
    duplicate && (names_ours || tried && !names_other)
}

/// The answer of an insert was lost, and its row cannot be looked up.
pub(super) fn insert_cannot_be_found(error: &Error) -> Refusal {
    let text = format!(
        "whether the row was made is not known, and as the instance chooses sys_ids itself it cannot \
         be looked up; set `create_id: field`: {error}"
    );
    Refusal::unsent(RefusalKind::Ambiguous, text)
}

/// A search found rows that do not hold what was searched for: an instance drops a condition that it
/// does not understand, and finds everything.
pub(super) fn search_ignored(table: &str) -> Refusal {
    let text = format!(
        "the instance found rows of table `{table}` that do not hold the value that was searched \
         for: the column does not exist, or is hidden from the integration user"
    );
    Refusal::unsent(RefusalKind::KeyFieldIgnored, text)
}

/// The row of a key was found, but not its sys_id.
pub(super) fn hidden_sys_id(table: &str) -> Refusal {
    let text =
        format!("the sys_id of a row of table `{table}` is hidden from the integration user");
    Refusal::unsent(RefusalKind::Forbidden, text)
}

/// Several rows have the key.
pub(super) fn key_not_unique(table: &str) -> Refusal {
    let text =
        format!("more than one row of table `{table}` has the record's value in its key field");
    Refusal::unsent(RefusalKind::AmbiguousKey, text)
}

/// No row has the key of an update.
pub(super) fn no_row_of_key(table: &str) -> Refusal {
    let text = format!("no row of table `{table}` has the record's value in its key field");
    Refusal::unsent(RefusalKind::NotFound, text)
}

fn words(error: &Error) -> &str {
    match error.cause() {
        Some(InstanceFailure::Forbidden { words } | InstanceFailure::BadRequest { words, .. }) => {
            words
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servicenow::{AttemptedRequest, OutageSign};

    #[test]
    fn labels_of_refusals() {
        let check = |cause: InstanceFailure, kind: &str, status: Option<u16>| {
            let error = Error::Request {
                asked: Box::new(AttemptedRequest::default()),
                cause,
                sent: None,
                outage: OutageSign::None,
            };
            let refusal = refusal(&error).after(3);
            assert_eq!(
                (refusal.kind.label(), refusal.status, refusal.attempts),
                (kind, status, 3)
            );
        };
        let forbidden = |words: &str| InstanceFailure::Forbidden {
            words: format!("Operation Failed: {words}"),
        };
        let rule = "Operation against file 'incident' was aborted by Business Rule 'No^0a'.";
        let policy = "Data Policy Exception: The following fields are mandatory: Close code";
        let acl = "ACL Exception Insert Failed due to security constraints";
        check(forbidden(rule), "business_rule", Some(403));
        check(forbidden(policy), "data_policy", Some(403));
        check(forbidden(acl), "acl", Some(403));
        check(forbidden(""), "forbidden", Some(403));
        let bad = |status, words: &str| InstanceFailure::BadRequest {
            status,
            words: words.to_owned(),
        };
        check(bad(400, "Invalid table x"), "bad_request", Some(400));
        check(bad(413, ""), "too_large", Some(413));
        let large = "Rejected large REST payload with content-length = 9 bytes.";
        check(bad(400, large), "too_large", Some(400));
        check(bad(415, ""), "bad_request", Some(415));
        check(
            InstanceFailure::Timeout {
                limit: String::new(),
                connecting: false,
            },
            "timeout",
            None,
        );
    }
}
