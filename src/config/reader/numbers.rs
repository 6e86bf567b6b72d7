//! Numbers and bounds, in the words of YAML and of Go.

use crate::config::names::quoted;

/// Checks bounds; `write` gives a value in the form of the file.
pub(in crate::config) fn in_bounds<T: PartialOrd + Copy>(
    found: T,
    (min, max): (T, T),
    write: impl Fn(T) -> String,
) -> Result<T, String> {
    if found < min || found > max {
        let [found, min, max] = [found, min, max].map(write);
        return Err(format!("{found} is out of range: {min} to {max}"));
    }
    Ok(found)
}

/// A whole number as YAML and Go take it: `1000`, `1_000`, `0x3e8`, `1e3`.
pub(in crate::config) fn parse_integer(text: &str) -> Result<i64, String> {
    let malformed = || format!("{} is not a whole number", quoted(text));
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(malformed());
    }
    let plain = digits.replace('_', "");
    let based = |prefix: &str, radix| {
        let digits = plain.strip_prefix(prefix)?;
        // `from_str_radix` takes a sign here, which would stand in the middle of the number.
        let digits = if digits.starts_with(['+', '-']) {
            ""
        } else {
            digits
        };
        Some(i64::from_str_radix(digits, radix))
    };
    let based = based("0x", 16)
        .or_else(|| based("0o", 8))
        .or_else(|| based("0b", 2));
    let number = match based {
        Some(number) => number.map_err(|_| malformed())?,
        None if plain.len() > 1 && plain.starts_with('0') && all_digits(&plain) => {
            return Err(format!(
                "{} begins with 0, which some read as octal",
                quoted(text)
            ));
        }
        None => match plain.parse() {
            Ok(number) => number,
            Err(_) if all_digits(&plain) => return Err(format!("{} is too large", quoted(text))),
            // `1e3` and `20.0` are whole numbers too.
            Err(_) => whole_float(&plain).ok_or_else(malformed)?,
        },
    };
    Ok(if is_negative { -number } else { number })
}

fn all_digits(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

fn whole_float(text: &str) -> Option<i64> {
    /// 2^53: up to here each whole number is a float.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let number: f64 = text.parse().ok()?;
    let is_whole = number.fract() == 0.0 && number.abs() <= MAX_EXACT;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    is_whole.then_some(number as i64)
}

/// A finite number.
pub(in crate::config) fn parse_number(text: &str) -> Result<f64, String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("{} is not a number", quoted(text))),
    }
}
