//! The time of `checkpoint set --timestamp`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Epoch seconds from epoch seconds, `YYYY-MM-DD HH:MM:SS` in UTC, or RFC 3339.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let seconds = if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        text.parse()
            .ok()
            .filter(|seconds| Timestamp::from_second(*seconds).is_ok())
    } else if let Ok(time) = text.parse::<Timestamp>() {
        Some(time.as_second())
    } else {
        DateTime::strptime("%Y-%m-%d %H:%M:%S", text)
            .and_then(|time| TimeZone::UTC.to_timestamp(time))
            .ok()
            .map(Timestamp::as_second)
    };
    match seconds {
        Some(seconds) if 0 <= seconds => Ok(seconds),
        Some(_) => Err(format!("{text:?} is before 1970")),
        None => Err(format!(
            "{text:?} is not a time; write epoch seconds, `2026-01-31 08:15:00` (UTC) or \
             `2026-01-31T08:15:00Z`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, expected) in [
            ("0", 0),
            ("1706140800", 1_706_140_800),
            ("2024-01-25 00:00:00", 1_706_140_800),
            ("2024-01-25T00:00:00Z", 1_706_140_800),
            ("2024-01-25T01:00:00+01:00", 1_706_140_800),
            ("2024-01-25 00:00:00.9Z", 1_706_140_800),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "-1",
            "yesterday",
            "2024-01-25",
            "2024-02-30 00:00:00",
            "1969-01-01 00:00:00",
            "99999999999999999999",
            "9999999999999",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
