//! Typed values of a section: a scalar gets its type from its key, after variables were replaced.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ExpandedScalar, KeyPath, Section, ValuePrivacy};
use crate::config::names::{did_you_mean, quoted};
use crate::config::{Secret, duration};

/// A secret file larger than this is some other file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Whether a key must be there.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum KeyNeed {
    /// It may be left out.
    Optional,
    /// It must be there; the words say when, as in "with `type: basic`".
    Required(&'static str),
}

/// Default and bounds of a whole number. Where 0 is below the least, it asks for the default.
#[derive(Debug)]
pub(in crate::config) struct IntegerBounds {
    pub(in crate::config) default: u64,
    pub(in crate::config) least: u64,
    pub(in crate::config) most: u64,
}

/// Default and bounds of a time. Where 0 is below the least, it asks for the default.
#[derive(Debug)]
pub(in crate::config) struct DurationBounds {
    pub(in crate::config) default: Duration,
    pub(in crate::config) least: Duration,
    pub(in crate::config) most: Duration,
}

impl IntegerBounds {
    /// The same bounds with a default from elsewhere in the file.
    pub(in crate::config) const fn with_default(&self, default: u64) -> IntegerBounds {
        IntegerBounds {
            default,
            least: self.least,
            most: self.most,
        }
    }
}

impl DurationBounds {
    /// The same bounds with a default from elsewhere in the file.
    pub(in crate::config) const fn with_default(&self, default: Duration) -> DurationBounds {
        DurationBounds {
            default,
            least: self.least,
            most: self.most,
        }
    }
}

/// What a key holds.
enum KeyValue {
    /// Nothing, or an empty text.
    Absent,
    /// Something wrong, which was noted.
    Faulty,
    /// A text.
    Text(ExpandedScalar),
}

impl Section<'_> {
    /// A text. Empty counts as not given, as in the Go program.
    pub(in crate::config) fn text(&self, key: &'static str, need: KeyNeed) -> Option<String> {
        self.scalar(key, need).map(|scalar| scalar.text)
    }

    fn scalar(&self, key: &'static str, need: KeyNeed) -> Option<ExpandedScalar> {
        match self.given(key, ValuePrivacy::Open) {
            KeyValue::Text(scalar) => Some(scalar),
            KeyValue::Faulty => None,
            KeyValue::Absent => {
                self.check_need(key, need);
                None
            }
        }
    }

    /// A text that `check` turns into something, or says what is wrong with it.
    pub(in crate::config) fn parsed<T>(
        &self,
        key: &'static str,
        need: KeyNeed,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let scalar = self.scalar(key, need)?;
        self.noted(key, scalar.checked(check))
    }

    /// One of some words.
    pub(in crate::config) fn choice<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        self.parsed(key, KeyNeed::Optional, |text| {
            let found = words
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text));
            found.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let guess = did_you_mean(text, names.iter().copied());
                format!("{} is not one of {}{guess}", quoted(text), names.join(", "))
            })
        })
    }

    /// A boolean, in the words of YAML 1.1 too.
    pub(in crate::config) fn boolean(&self, key: &'static str) -> Option<bool> {
        self.parsed(key, KeyNeed::Optional, |text| {
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => Ok(true),
                "false" | "no" | "off" | "n" => Ok(false),
                _ => Err(format!("{} is not true or false", quoted(text))),
            }
        })
    }

    /// A whole number within bounds.
    pub(in crate::config) fn whole(&self, key: &'static str, bounds: &IntegerBounds) -> u64 {
        let IntegerBounds {
            default,
            least,
            most,
        } = *bounds;
        let read = self.parsed(key, KeyNeed::Optional, |text| {
            let number = parse_integer(text)?;
            if number == 0 && 0 < least {
                return Ok(default);
            }
            u64::try_from(number)
                .ok()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| format!("{number} is out of range: {least} to {most}"))
        });
        read.unwrap_or(default)
    }

    /// A whole number for which 0 and every negative number mean "without", as not given does.
    pub(in crate::config) fn whole_or_none(&self, key: &'static str, most: u32) -> Option<u32> {
        self.parsed(key, KeyNeed::Optional, |text| {
            let number = parse_integer(text)?;
            if number <= 0 {
                return Ok(None);
            }
            match u32::try_from(number).ok().filter(|number| *number <= most) {
                Some(number) => Ok(Some(number)),
                None => Err(format!("{number} is out of range: at most {most}")),
            }
        })
        .flatten()
    }

    /// A number per second; 0 and negative numbers switch it off, as not given does.
    pub(in crate::config) fn rate(&self, key: &'static str, most: f64) -> Option<f64> {
        self.parsed(key, KeyNeed::Optional, |text| {
            let rate = parse_number(text)?;
            match rate {
                _ if rate <= 0.0 => Ok(None),
                _ if rate < 0.001 || most < rate => Err(format!(
                    "{rate} is out of range: 0.001 to {most}, or 0 for no limit"
                )),
                _ => Ok(Some(rate)),
            }
        })
        .flatten()
    }

    /// A time with its unit.
    pub(in crate::config) fn duration(
        &self,
        key: &'static str,
        bounds: &DurationBounds,
    ) -> Duration {
        let read = self.parsed(key, KeyNeed::Optional, |text| {
            let found = duration::parse(text)?;
            in_bounds(found, bounds, duration::format)
        });
        read.unwrap_or(bounds.default)
    }

    /// A number of seconds, fractions allowed.
    pub(in crate::config) fn seconds(
        &self,
        key: &'static str,
        bounds: &DurationBounds,
    ) -> Duration {
        let read = self.parsed(key, KeyNeed::Optional, |text| {
            let found = Duration::try_from_secs_f64(parse_number(text)?)
                .map_err(|_| "a time cannot be negative or endless".to_owned())?;
            in_bounds(found, bounds, |bound| bound.as_secs_f64().to_string())
        });
        read.unwrap_or(bounds.default)
    }

    /// A file that must exist.
    pub(in crate::config) fn existing_file(&self, key: &'static str) -> Option<PathBuf> {
        self.parsed(key, KeyNeed::Optional, |text| {
            let path = PathBuf::from(text);
            self.context.files.borrow_mut().note_now(&path);
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    Err(format!("{} is a directory, not a file", quoted(text)))
                }
                Ok(_) => Ok(path),
                Err(err) => Err(format!("cannot find {}: {err}", quoted(text))),
            }
        })
    }

    /// A secret, in the file itself or in a file of its own under `file_key`.
    pub(in crate::config) fn secret(
        &self,
        key: &'static str,
        file_key: &'static str,
        need: KeyNeed,
    ) -> Option<Secret> {
        let inline = self.given(key, ValuePrivacy::Secret);
        match (inline, self.given(file_key, ValuePrivacy::Open)) {
            (KeyValue::Text(_), KeyValue::Text(_)) => {
                let message = format!("`{key}` and `{file_key}` are both set; keep one of them");
                self.problem(file_key, message);
                None
            }
            (KeyValue::Text(inline), KeyValue::Absent | KeyValue::Faulty) => {
                let context = self.context;
                context
                    .inline_secret
                    .set(context.inline_secret.get() || !inline.from_env);
                Some(Secret::new(inline.text))
            }
            (KeyValue::Absent | KeyValue::Faulty, KeyValue::Text(path)) => {
                self.noted(file_key, self.read_secret(&path.text))
            }
            (KeyValue::Absent, KeyValue::Absent) => {
                if let KeyNeed::Required(when) = need {
                    self.problem(key, format!("is required {when}; or set `{file_key}`"));
                }
                None
            }
            (KeyValue::Faulty, _) | (_, KeyValue::Faulty) => None,
        }
    }

    /// A secret that is always in a file of its own, and that file.
    pub(in crate::config) fn secret_file(&self, key: &'static str) -> Option<(PathBuf, Secret)> {
        self.parsed(key, KeyNeed::Optional, |text| {
            Ok((PathBuf::from(text), self.read_secret(text)?))
        })
    }

    /// The secret in a file, which is watched from now on, whatever is in it.
    fn read_secret(&self, name: &str) -> Result<Secret, String> {
        let path = Path::new(name);
        let bytes = read_bounded(path);
        let mut files = self.context.files.borrow_mut();
        match &bytes {
            Ok(bytes) => files.note(path, bytes),
            Err(_) => files.note_now(path),
        }
        drop(files);
        bytes
            .and_then(|bytes| secret_in(&bytes))
            .map_err(|why| format!("cannot use {}: {why}", quoted(name)))
    }

    /// Notes what went wrong.
    pub(in crate::config) fn noted<T>(&self, key: &str, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(key, message);
                None
            }
        }
    }

    fn given(&self, key: &'static str, privacy: ValuePrivacy) -> KeyValue {
        self.note_known(key);
        let (place, node): (KeyPath, _) = self.ask(key);
        let Some(node) = node else {
            return KeyValue::Absent;
        };
        match self.context.scalar(&place, node, privacy) {
            None => KeyValue::Faulty,
            Some(scalar) if scalar.text.is_empty() => KeyValue::Absent,
            Some(scalar) => KeyValue::Text(scalar),
        }
    }

    fn check_need(&self, key: &str, need: KeyNeed) {
        match need {
            KeyNeed::Optional => {}
            KeyNeed::Required("") => self.problem(key, "is required"),
            KeyNeed::Required(when) => self.problem(key, format!("is required {when}")),
        }
    }
}

fn in_bounds(
    found: Duration,
    bounds: &DurationBounds,
    write: impl Fn(Duration) -> String,
) -> Result<Duration, String> {
    let DurationBounds {
        default,
        least,
        most,
    } = *bounds;
    if found.is_zero() && !least.is_zero() {
        return Ok(default);
    }
    if found < least || most < found {
        let (found, least, most) = (write(found), write(least), write(most));
        return Err(format!("{found} is out of range: {least} to {most}"));
    }
    Ok(found)
}

/// What a secret's file holds.
fn read_bounded(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|err| err.to_string())?;
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|err| err.to_string())?;
    if MAX_SECRET_BYTES < u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        return Err(format!("it is larger than {MAX_SECRET_BYTES} bytes"));
    }
    Ok(bytes)
}

/// The secret in its file; one newline at its end is the editor's, not the secret's.
fn secret_in(bytes: &[u8]) -> Result<Secret, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let text = text
        .strip_suffix('\n')
        .map_or(text, |rest| rest.strip_suffix('\r').unwrap_or(rest));
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret::new(text))
}

/// A whole number as YAML and Go take it.
fn parse_integer(text: &str) -> Result<i64, String> {
    let malformed = || format!("{} is not a whole number", quoted(text));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(malformed());
    }
    let plain = digits.replace('_', "");
    let based = |prefix: &str, radix| {
        let rest = plain.strip_prefix(prefix)?;
        // from_str_radix takes a sign here, which would stand in the middle of the number.
        let digits = if rest.starts_with(['+', '-']) {
            ""
        } else {
            rest
        };
        Some(i64::from_str_radix(digits, radix))
    };
    let number = based("0x", 16)
        .or_else(|| based("0o", 8))
        .or_else(|| based("0b", 2));
    let number = match number {
        Some(number) => number.map_err(|_| malformed())?,
        None if 1 < plain.len() && plain.starts_with('0') && all_digits(&plain) => {
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
    Ok(if negative { -number } else { number })
}

fn all_digits(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

fn whole_float(text: &str) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    let number: f64 = text.parse().ok()?;
    let whole = number.fract() == 0.0 && number.abs() <= EXACT;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    whole.then_some(number as i64)
}

fn parse_number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.replace('_', "").parse().ok();
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("{} is not a number", quoted(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        for (text, expected) in [
            ("20", 20),
            ("-1", -1),
            ("+5", 5),
            ("1_000", 1000),
            ("0x10", 16),
            ("0o17", 15),
            ("0b11", 3),
            ("1e3", 1000),
            ("20.0", 20),
            ("0", 0),
        ] {
            assert_eq!(parse_integer(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "abc",
            "1.5",
            "010",
            "99999999999999999999",
            "--1",
            "0x",
            "inf",
            "1e30",
            "_1",
            "-0x-8000000000000000",
        ] {
            assert!(parse_integer(bad).is_err(), "{bad}");
        }
    }
}
