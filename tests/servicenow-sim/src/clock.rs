//! The instance's clock, stamps and time zones.
//!
//! Stamps are `YYYY-MM-DD HH:MM:SS` in UTC with one-second resolution (servicenow_api.md section 4,
//! line 215). The server's clock is the machine's clock plus a fixed skew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::options::NodeOrder;

/// Where "now" comes from.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    skew: i64,
}

impl Clock {
    /// A clock that is `skew` seconds ahead of the machine's.
    pub(crate) fn new(skew: i64) -> Clock {
        Clock { skew }
    }

    /// Epoch seconds, rounded down.
    pub(crate) fn now(&self) -> i64 {
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(real.as_secs())
            .unwrap_or(i64::MAX)
            .saturating_add(self.skew)
    }
}

/// The clocks of several nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// Seconds that each node is ahead of the instance's clock.
    skews: Vec<i64>,
    order: NodeOrder,
    turn: AtomicU64,
}

impl Nodes {
    pub(crate) fn new(skews: &[i64], order: NodeOrder) -> Nodes {
        Nodes {
            skews: skews.to_vec(),
            order,
            turn: AtomicU64::new(0),
        }
    }

    /// Clock skew of the node whose turn it is.
    pub(crate) fn next(&self) -> i64 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let turn = match self.order {
            NodeOrder::RoundRobin => turn,
            NodeOrder::Random(seed) => fastrand::Rng::with_seed(seed ^ turn).u64(..),
        };
        let nodes = u64::try_from(self.skews.len()).unwrap_or_default();
        let place = turn
            .checked_rem(nodes)
            .and_then(|at| usize::try_from(at).ok());
        let skew = place.and_then(|at| self.skews.get(at));
        skew.copied().unwrap_or_default()
    }
}

/// Writes epoch seconds as the instance stores them: `YYYY-MM-DD HH:MM:SS`, UTC.
pub fn format_stamp(epoch: i64) -> String {
    let Ok(stamp) = Timestamp::from_second(epoch) else {
        return String::new();
    };
    civil_text(stamp.to_zoned_datetime(TimeZone::UTC).datetime())
}

/// Reads a stamp (`YYYY-MM-DD HH:MM:SS`, UTC) as epoch seconds.
pub fn parse_stamp(text: &str) -> Option<i64> {
    let civil = parse_civil(text)?;
    Some(
        civil
            .to_zoned_datetime(TimeZone::UTC)
            .ok()?
            .timestamp()
            .as_second(),
    )
}

/// A `Date` header value: RFC 9110 date in GMT.
pub(crate) fn http_date(epoch: i64) -> String {
    Timestamp::from_second(epoch)
        .map(|stamp| stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

/// A stored UTC stamp as the user sees it: the user's zone and format (section 2.3 and line 215).
pub(crate) fn display_stamp(text: &str, zone: &TimeZone, format: &str) -> Option<String> {
    let stamp = Timestamp::from_second(parse_stamp(text)?).ok()?;
    let civil = stamp.to_zoned_datetime(zone.clone()).datetime();
    Some(write_pattern(civil, format))
}

/// Reads a date, or a date and time, written in `zone`; gives the UTC stamp.
pub(crate) fn local_to_stamp(text: &str, zone: &TimeZone) -> Option<String> {
    let civil = parse_civil(text)?;
    Some(format_stamp(
        civil
            .to_zoned_datetime(zone.clone())
            .ok()?
            .timestamp()
            .as_second(),
    ))
}

/// Reads `YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`, nothing else.
pub(crate) fn parse_civil(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| -> Option<i32> {
        let digits = bytes.get(from..from.checked_add(len)?)?;
        digits.iter().try_fold(0_i32, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + i32::from(digit - b'0'))
        })
    };
    let small = |from: usize| -> Option<i8> { i8::try_from(number(from, 2)?).ok() };
    let is = |at: usize, what: u8| bytes.get(at) == Some(&what);
    if !(is(4, b'-') && is(7, b'-')) {
        return None;
    }
    let year = i16::try_from(number(0, 4)?).ok()?;
    let (month, day) = (small(5)?, small(8)?);
    match bytes.len() {
        10 => DateTime::new(year, month, day, 0, 0, 0, 0).ok(),
        19 if is(10, b' ') && is(13, b':') && is(16, b':') => {
            DateTime::new(year, month, day, small(11)?, small(14)?, small(17)?, 0).ok()
        }
        _ => None,
    }
}

/// `YYYY-MM-DD HH:MM:SS` of a civil time.
pub(crate) fn civil_text(civil: DateTime) -> String {
    let mut text = String::with_capacity(19);
    let mut put = |value: i32, width: usize, end: &str| {
        let digits = value.to_string();
        for _ in digits.len()..width {
            text.push('0');
        }
        text.push_str(&digits);
        text.push_str(end);
    };
    put(i32::from(civil.year()), 4, "-");
    put(i32::from(civil.month()), 2, "-");
    put(i32::from(civil.day()), 2, " ");
    put(i32::from(civil.hour()), 2, ":");
    put(i32::from(civil.minute()), 2, ":");
    put(i32::from(civil.second()), 2, "");
    text
}

/// Writes a civil time by a pattern of the user record, for example `dd/MM/yyyy HH:mm:ss`.
fn write_pattern(civil: DateTime, pattern: &str) -> String {
    let mut text = pattern.to_owned();
    for (token, value, width) in [
        ("yyyy", i32::from(civil.year()), 4),
        ("MM", i32::from(civil.month()), 2),
        ("dd", i32::from(civil.day()), 2),
        ("HH", i32::from(civil.hour()), 2),
        ("mm", i32::from(civil.minute()), 2),
        ("ss", i32::from(civil.second()), 2),
    ] {
        text = text.replace(token, &format!("{value:0width$}"));
    }
    text
}

/// Reads a date and time, or a date alone, that was written by such a pattern.
pub(crate) fn display_to_civil(text: &str, pattern: &str) -> Option<DateTime> {
    // Every token is as wide as its value, so that both have the same place.
    let number = |token: &str| -> Option<i16> {
        let at = pattern.find(token)?;
        text.get(at..at + token.len())?.parse().ok()
    };
    let small = |token: &str| number(token).and_then(|it| i8::try_from(it).ok());
    let civil = DateTime::new(
        number("yyyy")?,
        small("MM")?,
        small("dd")?,
        small("HH").unwrap_or_default(),
        small("mm").unwrap_or_default(),
        small("ss").unwrap_or_default(),
        0,
    );
    let civil = civil.ok()?;
    write_pattern(civil, pattern)
        .starts_with(text)
        .then_some(civil)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_go_both_ways() {
        assert_eq!(format_stamp(1_706_140_800), "2024-01-25 00:00:00");
        assert_eq!(parse_stamp("2024-01-25 00:00:00"), Some(1_706_140_800));
        for bad in [
            "2024-01-25T00:00:00",
            "2024-13-01 00:00:00",
            "x",
            "",
            "2024-01-25 00:00",
        ] {
            assert_eq!(parse_stamp(bad), None, "{bad}");
        }
        assert_eq!(http_date(1_706_140_800), "Thu, 25 Jan 2024 00:00:00 GMT");
    }

    #[test]
    fn display_follows_zone_and_format() {
        let sydney = TimeZone::get("Australia/Sydney").unwrap();
        assert_eq!(
            display_stamp("2024-01-25 13:30:05", &sydney, "dd/MM/yyyy HH:mm:ss").unwrap(),
            "26/01/2024 00:30:05"
        );
        let read = |text| display_to_civil(text, "dd/MM/yyyy HH:mm:ss").map(civil_text);
        assert_eq!(read("26/01/2024 00:30:05").unwrap(), "2024-01-26 00:30:05");
        assert_eq!(read("26/01/2024").unwrap(), "2024-01-26 00:00:00");
        assert_eq!(read("2024-01-26"), None);
        assert_eq!(read("soon"), None);
        assert_eq!(
            local_to_stamp("2024-01-26", &sydney).unwrap(),
            "2024-01-25 13:00:00"
        );
    }
}
