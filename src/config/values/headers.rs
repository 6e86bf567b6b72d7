//! `servicenow.headers`: what goes with each request because something on the way wants it.

use super::properties::matches;
use crate::config::kinds::{self, ValueKind};
use crate::config::names;
use crate::config::reader::Section;
use crate::config::secret::Secret;
use crate::config::yaml::Value;

/// More than any gateway asks for.
pub(in crate::config) const MAX_HEADERS: usize = 16;
/// Bytes of all names and values together: half of what common servers take of a request's head.
pub(in crate::config) const MAX_HEADER_BYTES: usize = 4 * 1024;

/// Headers that cannot be set, by name or by its beginning, and why.
const REFUSED_HEADERS: &[(&str, &str)] = &[
    ("authorization", "is what `servicenow.auth` sends"),
    (
        "proxy-authorization",
        "is for a proxy: use `servicenow.proxy`",
    ),
    ("host", "follows from `servicenow.base_url`"),
    ("cookie*", COOKIES),
    ("set-cookie*", COOKIES),
    ("content-*", OWN),
    ("accept*", OWN),
    ("expect", OWN),
    ("transfer-encoding", OF_CONNECTION),
    ("connection", OF_CONNECTION),
    ("keep-alive", OF_CONNECTION),
    ("proxy-*", OF_CONNECTION),
    ("te", OF_CONNECTION),
    ("trailer", OF_CONNECTION),
    ("upgrade", OF_CONNECTION),
    ("http2-settings", OF_CONNECTION),
    ("if-*", OTHER_ANSWER),
    ("range", OTHER_ANSWER),
    ("x-http-method*", OTHER_ANSWER),
    ("x-method-override", OTHER_ANSWER),
    // servicenow_api.md, section 2.3: writes would be answered without the row.
    ("x-no-response-body", OTHER_ANSWER),
];
const COOKIES: &str =
    "is not sent: the bridge keeps no session, so that no request waits for another";
const OWN: &str = "is the bridge's own: it says what a request holds or which answer can be read";
const OF_CONNECTION: &str = "is about one connection, which the bridge sees to";
const OTHER_ANSWER: &str = "changes what a request does or how it is answered";

/// Whether this may be the name of a header: a token (RFC 9110, section 5.6.2).
fn is_header_name(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(is_legal)
}

/// Whether this may be the value of a header: printable ASCII (RFC 9110, section 5.5, without what it
/// calls obsolete).
pub(in crate::config) fn is_header_value(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
}

/// Checks the name of a header that a user sets: it must be one, and not one of [`REFUSED_HEADERS`].
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if !is_header_name(name) {
        let quoted = names::quoted(name);
        return Err(format!(
            "{quoted} is not the name of a header: letters, digits and `-`"
        ));
    }
    let lower = name.to_ascii_lowercase();
    let mut refused = REFUSED_HEADERS.iter();
    match refused.find(|(pattern, _)| matches(pattern, &lower)) {
        Some((_, why)) => Err(format!("cannot be set here: it {why}")),
        None => Ok(()),
    }
}

fn check_value(value: &str) -> Result<(), String> {
    if !is_header_value(value) {
        return Err("must be printable ASCII, as it goes into a header".to_owned());
    }
    if value.trim() != value {
        return Err("must not begin or end with a blank, which gets lost in a header".to_owned());
    }
    Ok(())
}

/// Names and values, of which every one is a secret.
pub(in crate::config) fn headers() -> ValueKind<Vec<(String, Secret)>> {
    let read =
        |section: &Section<'_>, key| Some(section.named_secrets(key, check_name, check_value));
    let shown = |headers: &Vec<(String, Secret)>| {
        let header = |(name, _): &(String, Secret)| (name.as_str().into(), kinds::REDACTED.into());
        Value::Mapping(headers.iter().map(header).collect())
    };
    ValueKind::new("names and values", read, shown)
}
