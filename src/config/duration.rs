//! Durations as the Go program writes them: `500ms`, `30s`, `5m`, `1h30m`; days, which it has not, as `7d`.

use std::time::Duration;

/// Nanoseconds of each unit. `µs` is written with either of two code points.
const DURATION_UNITS: [(&str, u64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// A duration in milliseconds.
pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A duration in seconds.
pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The whole seconds of a duration, as times since 1970 count them.
pub(crate) fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// Reads a duration: numbers with units, largest first by habit, fractions allowed; `0` alone.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let malformed = || {
        let quoted = super::names::quoted(text);
        format!("{quoted} is not a duration; write for example `500ms`, `30s`, `5m` or `1h30m`")
    };
    if text.starts_with('-') {
        return Err("a duration cannot be negative".to_owned());
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()) {
        return Err(format!(
            "{rest} has no unit; write for example `{rest}s` or `{rest}ms`"
        ));
    }
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(malformed)?;
        let (number, tail) = rest.split_at_checked(digits).ok_or_else(malformed)?;
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters).ok_or_else(malformed)?;
        let (_, factor) = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(malformed)?;
        let part = scaled(number, *factor).ok_or_else(malformed)?;
        nanos = nanos.checked_add(part).ok_or_else(malformed)?;
        rest = tail;
    }
    Ok(Duration::from_nanos(nanos))
}

/// A decimal number times `factor`, without the rounding of floats; what is below 1 is dropped.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    const MAX_FRACTION_DIGITS: usize = 18; // 10^18 still fits, and a nanosecond of an hour needs 13
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let or_zero = |digits: &str| {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse().ok()
        }
    };
    let fraction = fraction.get(..fraction.len().min(MAX_FRACTION_DIGITS))?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let below: u64 = or_zero(fraction)?;
    let below = u64::try_from(u128::from(below) * u128::from(factor) / scale).ok()?;
    let whole: u64 = or_zero(whole)?;
    whole.checked_mul(factor)?.checked_add(below)
}

/// Writes a duration as the Go program does, exact to the nanosecond.
pub(super) fn format(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in DURATION_UNITS
        .iter()
        .rev()
        .filter(|(unit, _)| unit.is_ascii() && *unit != "d")
    {
        let count = nanos / u128::from(*factor);
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            nanos %= u128::from(*factor);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_forms() {
        let check = |text: &str, ms: u64| {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        };
        check("500ms", 500);
        check("30s", 30_000);
        check("1h30m", 5_400_000);
        check("1.5s", 1_500);
        check(".5s", 500);
        check("+2s", 2_000);
        check("0", 0);
        check("1m0.25s", 60_250);
        check("1000000ns", 1);
        check("1000µs", 1);
        check("7d", 604_800_000);
        assert_eq!(format(secs(86_400)), "24h");
    }

    #[test]
    fn not_durations() {
        for bad in [
            "", "s", "5", "5x", "5 s", "1h30", "-5s", "1..5s", "1w", "ms5", "9e9h", ".",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&format!("{}h", "9".repeat(40))).is_err());
        assert_eq!(
            parse("30").unwrap_err(),
            "30 has no unit; write for example `30s` or `30ms`"
        );
    }

    proptest! {
        #[test]
        fn written_durations_read_back(ms in 0_u64..10_000_000_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_safe(text in "[0-9a-zµ.+-]{0,20}") {
            let _unused = parse(&text);
        }
    }
}
