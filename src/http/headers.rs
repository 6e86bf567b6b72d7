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
    pause(value, sent_at(headers))
}

/// The time until the limit begins anew that a 429 without `Retry-After` names. A server sends it with
/// every answer.
pub(crate) fn rate_limit_reset(headers: &HeaderMap) -> Option<Duration> {
    let value = header_text(headers, &HeaderName::from_static("x-ratelimit-reset"))?;
    until_reset(value, sent_at(headers))
}

/// When the answer was sent, in seconds since the epoch.
fn sent_at(headers: &HeaderMap) -> i64 {
    date(headers).unwrap_or_else(|| jiff::Timestamp::now().as_second())
}

/// The server's clock, in seconds since the epoch.
pub(crate) fn date(headers: &HeaderMap) -> Option<i64> {
    header_text(headers, &header::DATE).and_then(http_date)
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date. Gateways send fractions as well, which are
/// rounded up.
fn pause(value: &str, sent_at: i64) -> Option<Duration> {
    let seconds = match whole_seconds(value) {
        Some(seconds) => seconds,
        None => u64::try_from(http_date(value)?.saturating_sub(sent_at)).unwrap_or(0),
    };
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER_SECONDS)))
}

/// `X-RateLimit-Reset`: when the limit begins anew, in seconds since the epoch.
fn until_reset(value: &str, sent_at: i64) -> Option<Duration> {
    let reset = i64::try_from(whole_seconds(value)?).ok()?;
    let seconds = u64::try_from(reset.saturating_sub(sent_at)).ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER_SECONDS)))
}

/// A number without a sign, rounded up; `u64::MAX` for one that is larger.
fn whole_seconds(value: &str) -> Option<u64> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let is_cut = fraction.bytes().any(|digit| digit != b'0');
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
    Some(whole.saturating_add(u64::from(is_cut)))
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
        check("3.9", Some(4));
        check("3.0", Some(3));
        check("0.01", Some(1));
        check("3.", None);
        check(".5", None);
        check("1.2.3", None);
        check("99999999999999999999999", Some(3600));
        check("Sun, 06 Nov 1994 08:50:07 GMT", Some(30));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("soon", None);
        check("", None);
        check("-5", None);
    }

    #[test]
    fn a_limit_that_only_names_its_reset_is_waited_for() {
        let wait = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                let value = ureq::http::HeaderValue::from_static(value);
                (HeaderName::from_static(name), value)
            });
            rate_limit_reset(&headers.collect()).map(|wait| wait.as_secs())
        };
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(&[date, ("x-ratelimit-reset", "784111807")]), Some(30));
        // It is over, or no point in time.
        assert_eq!(wait(&[date, ("x-ratelimit-reset", "784111777")]), Some(0));
        assert_eq!(wait(&[date, ("x-ratelimit-reset", "30")]), None);
        assert_eq!(wait(&[date, ("x-ratelimit-reset", "soon")]), None);
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
