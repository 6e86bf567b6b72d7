//! The time zone in which the instance reads times in queries.

use crate::config::kinds::ValueKind;
use crate::config::names;

/// How the instance reads times in encoded queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryTimeZone {
    /// Measured at start.
    Auto,
    /// Literals are UTC.
    Utc,
    /// Literals are in this IANA zone, the integration user's.
    Zone(String),
}

/// `auto`, `utc`, or a zone of the IANA database.
pub(in crate::config) fn time_zone() -> ValueKind<QueryTimeZone> {
    let shown = |zone: &QueryTimeZone| match zone {
        QueryTimeZone::Auto => "auto".into(),
        QueryTimeZone::Utc => "utc".into(),
        QueryTimeZone::Zone(name) => name.as_str().into(),
    };
    let parse = |text: &str| parse_time_zone(text).map(Some);
    ValueKind::scalar("auto, utc, or a zone as Europe/Berlin", parse, shown)
}

fn parse_time_zone(text: &str) -> Result<QueryTimeZone, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(QueryTimeZone::Auto);
    }
    if text.eq_ignore_ascii_case("utc") {
        return Ok(QueryTimeZone::Utc);
    }
    if let Ok(zone) = jiff::tz::TimeZone::get(text) {
        let name = zone.iana_name().unwrap_or(text);
        return Ok(QueryTimeZone::Zone(name.to_owned()));
    }
    if jiff::tz::db().is_definitively_empty() {
        let message = "there is no time zone database on this machine; install tzdata";
        return Err(message.to_owned());
    }
    let zones = jiff::tz::db().available();
    let known: Vec<String> = zones.map(|name| name.to_string()).collect();
    let guess = names::did_you_mean(text, known.iter().map(String::as_str));
    let quoted = names::quoted(text);
    Err(format!(
        "{quoted} is not auto, utc, or a zone as `Europe/Berlin`{guess}"
    ))
}
