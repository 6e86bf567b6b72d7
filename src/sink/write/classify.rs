//! The words for a record that cannot be written.

use crate::servicenow::{Error, InstanceFailure};
use crate::sink::Refusal;

/// The instance's words for a rule that stopped a write, and their labels.
const INSTANCE_RULE_WORDS: [(&str, &str); 3] = [
    ("aborted by Business Rule", "business_rule"),
    ("Data Policy Exception", "data_policy"),
    ("ACL Exception", "acl"),
];

/// Refused by the instance, or given up after `attempts` requests.
pub(super) fn refusal(error: &Error, attempts: u32) -> Refusal {
    Refusal {
        kind: kind(error),
        status: status(error),
        error: error.to_string(),
        attempts,
    }
}

fn kind(error: &Error) -> &'static str {
    if error.is_too_large() {
        return "too_large";
    }
    match INSTANCE_RULE_WORDS
        .iter()
        .find(|(said, _)| words(error).contains(said))
    {
        Some((_, kind)) => kind,
        None => error.metric_label(),
    }
}

fn status(error: &Error) -> Option<u16> {
    match error.cause()? {
        InstanceFailure::Unauthorized { .. } | InstanceFailure::SameToken => Some(401),
        InstanceFailure::Forbidden { .. } => Some(403),
        InstanceFailure::NotFound { .. } => Some(404),
        InstanceFailure::BadRequest { status, .. }
        | InstanceFailure::Server { status, .. }
        | InstanceFailure::Status { status } => Some(*status),
        InstanceFailure::NotExecuted => Some(202),
        InstanceFailure::NotJson { .. } | InstanceFailure::Failed { .. } => Some(200),
        InstanceFailure::RateLimited { .. } => Some(429),
        InstanceFailure::Timeout { .. }
        | InstanceFailure::Network(_)
        | InstanceFailure::Tls(_)
        | InstanceFailure::Held { .. }
        | InstanceFailure::Redirect { .. }
        | InstanceFailure::TooLarge { .. }
        | InstanceFailure::Body(_)
        | InstanceFailure::NoLogin => None,
    }
}

/// Whether the instance refuses a row because this one is there already. `tried`: an earlier attempt
/// may have made it; for a record that nobody tried, a unique index of another column is the likelier
/// reason. So it is where the database's words name a value that is not the sys_id.
pub(super) fn is_duplicate_of(error: &Error, sys_id: &str, tried: bool) -> bool {
    let words = words(error).to_ascii_lowercase();
    let duplicate = ["unique key", "duplicate"]
        .iter()
        .any(|said| words.contains(said));
    let names_ours = words.contains(&sys_id.to_ascii_lowercase());
    let names_other = !names_ours && words.contains("entry '");
    duplicate && (names_ours || tried && !names_other)
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
    use crate::servicenow::AttemptedRequest;

    #[test]
    fn labels_of_refusals() {
        let check = |cause: InstanceFailure, kind: &str, status: Option<u16>| {
            let error = Error::Request {
                asked: Box::new(AttemptedRequest::default()),
                cause,
                sent: None,
            };
            let refusal = refusal(&error, 3);
            assert_eq!(
                (refusal.kind, refusal.status, refusal.attempts),
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
