//! The headers of an answer that both clients read.

use std::time::Duration;

use ureq::http::{HeaderMap, HeaderName, Uri, header};

use super::error_body::shown;

/// Longest pause that a `Retry-After` is believed.
const MAX_RETRY_AFTER_SECONDS: u64 = 3600;

/// A header as text, without white space around it.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The host that a redirect leads to; `None` for another page of the same one. The rest of a
/// `Location` may carry secrets, so no message shows it.
pub(crate) fn redirect_host(headers: &HeaderMap) -> Option<String> {
    let location: Uri = header_text(headers, &header::LOCATION)?.parse().ok()?;
    location.host().map(shown)
}

/// How long the server wants to be left alone. A pause that is given as a date counts from the
/// answer's own `Date`, else from this host's clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = header_text(headers, &header::RETRY_AFTER)?;
    let sent_at = date(headers).unwrap_or_else(|| jiff::Timestamp::now().as_second());
    pause(value, sent_at)
}

/// The server's clock, in seconds since the epoch.
pub(crate) fn date(headers: &HeaderMap) -> Option<i64> {
    header_text(headers, &header::DATE).and_then(http_date)
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
fn pause(value: &str, sent_at: i64) -> Option<Duration> {
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => u64::MAX,
        Err(_) => u64::try_from(http_date(value)?.saturating_sub(sent_at)).unwrap_or(0),
    };
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER_SECONDS)))
}

/// Seconds since the epoch of `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(value: &str) -> Option<i64> {
    static PARSER: jiff::fmt::rfc2822::DateTimeParser = jiff::fmt::rfc2822::DateTimeParser::new();
    Some(PARSER.parse_timestamp(value).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_in_both_forms() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date, 784_111_777);
        let check = |value: &str, expected: Option<u64>| {
            assert_eq!(
                pause(value, date).map(|wait| wait.as_secs()),
                expected,
                "{value}"
            );
        };
        check("3", Some(3));
        check("0", Some(0));
        check("99999999999999999999999", Some(3600));
        check("Sun, 06 Nov 1994 08:50:07 GMT", Some(30));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("soon", None);
        check("", None);
        check("-5", None);
    }

    #[test]
    fn of_a_redirect_only_the_host_is_told() {
        let host = |location: &'static str| {
            let value = ureq::http::HeaderValue::from_static(location);
            redirect_host(&HeaderMap::from_iter([(header::LOCATION, value)]))
        };
        let elsewhere = host("https://elsewhere.example/x?token=hunter2");
        assert_eq!(elsewhere.as_deref(), Some("elsewhere.example"));
        assert_eq!(host("/login?next=x"), None);
    }
}
