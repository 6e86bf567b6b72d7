//! The kinds of values in the table of keys: how a value is read, what bounds it has, and how it is
//! shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::key_table::{KeyEntry, KeyInfo, KeyShape, KeySpec};
use super::names::{not_one_of, quoted};
use super::reader::{Section, in_bounds, parse_integer, parse_number};
use super::yaml::{self, Mapping, Value};
use super::{AdminAccess, Secret, duration};

mod structure;

pub(super) use structure::{EachOf, Inline, Nested, NestedIfUsed};

/// Stands in the place of a secret wherever one would be shown.
pub(super) const REDACTED: &str = "[redacted]";

/// A kind of key with values of type `T`.
pub(super) trait KeyKind<T> {
    /// Adds the key with its value to what is shown.
    fn show(&self, key: &str, value: &T, shown: &mut Mapping);

    /// Adds the documentation of the key.
    fn describe(&self, entry: &KeyEntry<'_>, keys: &mut Vec<KeyInfo>);
}

/// How a kind reads a value of type `T`, where the table gives `given`: in most cases the default.
pub(super) trait ReadKey<T, G>: KeyKind<T> {
    /// The value in effect; what is wrong is noted in the section.
    fn read(&self, section: &Section<'_>, key: &'static str, given: G) -> T;

    /// `given` as YAML, if it is a default.
    fn default_words(&self, _: &G) -> String {
        String::new()
    }
}

/// Reads a value; `None` where there is none, where it asks for the default, and where it is wrong.
type ReadValue<T> = Box<dyn Fn(&Section<'_>, &'static str) -> Option<T>>;

/// A kind of key that leads to a value, as opposed to further keys.
pub(super) struct ValueKind<T> {
    values: String,
    read: ReadValue<T>,
    shown: Box<dyn Fn(&T) -> Value>,
    is_shown_without_value: bool,
    secret_file_key: Option<&'static str>,
}

/// Stands in the place of a default for a key that must be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Required;

impl<T: 'static> ValueKind<T> {
    /// `values` says which values there are.
    pub(super) fn new(
        values: impl Into<String>,
        read: impl Fn(&Section<'_>, &'static str) -> Option<T> + 'static,
        shown: impl Fn(&T) -> Value + 'static,
    ) -> ValueKind<T> {
        ValueKind {
            values: values.into(),
            read: Box::new(read),
            shown: Box::new(shown),
            is_shown_without_value: true,
            secret_file_key: None,
        }
    }

    /// A value that is one scalar. `parse` gives `None` where the text asks for the default.
    pub(super) fn scalar(
        values: impl Into<String>,
        parse: impl Fn(&str) -> Result<Option<T>, String> + 'static,
        shown: impl Fn(&T) -> Value + 'static,
    ) -> ValueKind<T> {
        let read = move |section: &Section<'_>, key| section.parsed(key, &parse).flatten();
        ValueKind::new(values, read, shown)
    }

    /// The same, but it may be left out, in which case null is shown.
    pub(super) fn optional(self) -> ValueKind<Option<T>> {
        self.or_shown(Value::Null)
    }

    /// The same, but it may be left out, in which case `without` is shown.
    pub(super) fn or_shown(self, without: impl Into<Value>) -> ValueKind<Option<T>> {
        let ValueKind { read, shown, .. } = self;
        let without = without.into();
        let values = match yaml::inline(&without).as_str() {
            "" => self.values,
            words => format!("{}, or {words}", self.values),
        };
        ValueKind {
            values,
            read: Box::new(move |section, key| read(section, key).map(Some)),
            shown: Box::new(move |value| value.as_ref().map_or(without.clone(), &shown)),
            is_shown_without_value: self.is_shown_without_value,
            secret_file_key: self.secret_file_key,
        }
    }

    /// The same, but shown only where it has a value.
    pub(super) fn if_used(self) -> ValueKind<T> {
        ValueKind {
            is_shown_without_value: false,
            ..self
        }
    }
}

impl<T> KeyKind<T> for ValueKind<T> {
    fn show(&self, key: &str, value: &T, shown: &mut Mapping) {
        let value = (self.shown)(value);
        if self.is_shown_without_value || value != Value::Null {
            shown.insert(Value::from(key), value);
        }
    }

    fn describe(&self, entry: &KeyEntry<'_>, keys: &mut Vec<KeyInfo>) {
        let is_secret = self.secret_file_key.is_some();
        keys.push(KeyInfo {
            is_secret,
            ..entry.info(KeyShape::Value, &self.values)
        });
        if let Some(key) = self.secret_file_key {
            let spec = KeySpec {
                effect: entry.spec.effect,
                ..KeySpec::new(key, "")
            };
            let file = KeyEntry { spec, ..*entry };
            keys.push(file.info(KeyShape::Value, "path of a file"));
        }
    }
}

impl<T> ReadKey<T, T> for ValueKind<T> {
    fn read(&self, section: &Section<'_>, key: &'static str, given: T) -> T {
        (self.read)(section, key).unwrap_or(given)
    }

    fn default_words(&self, given: &T) -> String {
        yaml::inline(&(self.shown)(given))
    }
}

impl ReadKey<String, &str> for ValueKind<String> {
    fn read(&self, section: &Section<'_>, key: &'static str, given: &str) -> String {
        self.read(section, key, given.to_owned())
    }

    fn default_words(&self, given: &&str) -> String {
        self.default_words(&(*given).to_owned())
    }
}

impl ReadKey<String, Required> for ValueKind<String> {
    fn read(&self, section: &Section<'_>, key: &'static str, _: Required) -> String {
        section.require(key, "");
        self.read(section, key, "")
    }

    fn default_words(&self, _: &Required) -> String {
        "required".to_owned()
    }
}

/// A text that is a text again when it is read: `${` is escaped.
pub(super) fn text_value(text: &str) -> Value {
    Value::from(text.replace("${", "$${"))
}

/// `true` or `false`, in the words of YAML 1.1 too.
pub(super) fn flag() -> ValueKind<bool> {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Ok(Some(true)),
        "false" | "no" | "off" | "n" => Ok(Some(false)),
        _ => Err(format!("{} is not true or false", quoted(text))),
    };
    ValueKind::scalar("true or false", parse, |value| Value::from(*value))
}

/// A text as it is written, if the check lets it pass.
pub(super) fn text(check: fn(&str) -> Result<(), String>) -> ValueKind<String> {
    let parse = move |text: &str| check(text).map(|()| Some(text.to_owned()));
    ValueKind::scalar("text", parse, |value| text_value(value))
}

/// A check that each text passes.
pub(super) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

/// A text that the function checks and brings into its normal form.
pub(super) fn normal_text(parse: fn(&str) -> Result<String, String>) -> ValueKind<String> {
    let parse = move |text: &str| parse(text).map(Some);
    ValueKind::scalar("text", parse, |value| text_value(value))
}

/// A list of texts, each as it is written, if the check lets it pass.
pub(super) fn texts(check: fn(&str) -> Result<(), String>) -> ValueKind<Vec<String>> {
    let shown = |value: &Vec<String>| {
        let items: Vec<Value> = value.iter().map(|item| text_value(item)).collect();
        Value::from(items)
    };
    let read = move |section: &Section<'_>, key| Some(section.texts(key, check));
    ValueKind::new("list of texts", read, shown)
}

/// A type whose values are words in the file.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// Each value with its word, in the order in which messages list them.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this value.
    fn word(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        let found = words.find(|(_, value)| *value == self);
        found.map_or("", |(word, _)| word)
    }

    /// The value of a word in any case of letters.
    fn of_word(text: &str) -> Result<Self, String> {
        let mut words = Self::WORDS.iter();
        match words.find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            Some((_, value)) => Ok(*value),
            None => Err(not_one_of(text, &Self::words())),
        }
    }

    /// Every word.
    fn words() -> Vec<&'static str> {
        Self::WORDS.iter().map(|(word, _)| *word).collect()
    }
}

/// One of some words.
pub(super) fn word<T: Words>() -> ValueKind<T> {
    let values = format!("one of {}", T::words().join(", "));
    let parse = |text: &str| T::of_word(text).map(Some);
    ValueKind::scalar(values, parse, |value| Value::from(value.word()))
}

/// A word that chooses between ways, each with keys of its own. Left out it is `default`; a wrong
/// one chooses none, so that it is not known which keys are missing.
pub(super) fn choice<T: Words>(default: T) -> ValueKind<Option<T>> {
    let ValueKind { values, .. } = word::<T>();
    let read = move |section: &Section<'_>, key| {
        let chosen = section.parsed(key, T::of_word);
        Some(if section.has_no_text(key) {
            Some(default)
        } else {
            chosen
        })
    };
    let shown = |value: &Option<T>| value.map_or(Value::Null, |it| Value::from(it.word()));
    ValueKind::new(values, read, shown)
}

/// Declares an enum with the word of each value in the file.
macro_rules! words {
    ($(
        $(#[$meta:meta])*
        $vis:vis enum $Type:ident {
            $($(#[$doc:meta])* $Variant:ident = $word:literal,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $Type {
            $($(#[$doc])* $Variant,)*
        }

        impl $crate::config::kinds::Words for $Type {
            const WORDS: &'static [(&'static str, $Type)] = &[$(($word, $Type::$Variant),)*];
        }
    )*};
}

pub(super) use words;

/// A whole number between two bounds. Where 0 is below the least, it asks for the default.
pub(super) fn integer<T>(min: u64, max: u64) -> ValueKind<T>
where
    T: TryFrom<u64> + Into<Value> + Copy + 'static,
{
    let parse = move |text: &str| {
        let number = i128::from(parse_integer(text)?);
        if number == 0 && min > 0 {
            return Ok(None);
        }
        let bounds = (i128::from(min), i128::from(max));
        let number = in_bounds(number, bounds, |number| number.to_string())?;
        Ok(u64::try_from(number).ok().and_then(|it| it.try_into().ok()))
    };
    let values = format!("whole number, {min} to {max}");
    ValueKind::scalar(values, parse, |value: &T| (*value).into())
}

/// A whole number up to a bound; 0 and negative numbers mean the same as leaving it out.
pub(super) fn up_to<T>(max: u32) -> ValueKind<T>
where
    T: TryFrom<u32> + Into<Value> + Copy + 'static,
{
    let parse = move |text: &str| match parse_integer(text)? {
        ..=0 => Ok(None),
        number if number > i64::from(max) => {
            Err(format!("{number} is out of range: at most {max}"))
        }
        number => Ok(u32::try_from(number).ok().and_then(|it| it.try_into().ok())),
    };
    let values = format!("whole number, at most {max}");
    ValueKind::scalar(values, parse, |value: &T| (*value).into())
}

/// A number per second; 0 and negative numbers mean the same as leaving it out.
pub(super) fn rate(max: f64) -> ValueKind<f64> {
    const MIN: f64 = 0.001;
    let parse = move |text: &str| {
        let rate = parse_number(text)?;
        if rate <= 0.0 {
            return Ok(None);
        }
        if rate < MIN || rate > max {
            return Err(format!(
                "{rate} is out of range: {MIN} to {max}, or 0 for no limit"
            ));
        }
        Ok(Some(rate))
    };
    let values = format!("number, {MIN} to {max}");
    ValueKind::scalar(values, parse, |value| Value::from(*value))
}

/// A time with its unit, between two bounds. Where 0 is below the least, it asks for the default.
pub(super) fn time(min: Duration, max: Duration) -> ValueKind<Duration> {
    let parse = move |text: &str| {
        let time = duration::parse(text)?;
        time_within(time, min, max, duration::format)
    };
    ValueKind::scalar(time_values(min, max), parse, time_value)
}

/// A time between two bounds, or `unlimited`, which is shown without one.
pub(super) fn time_or_unlimited(min: Duration, max: Duration) -> ValueKind<Option<Duration>> {
    const UNLIMITED: &str = "unlimited";
    let parse = move |text: &str| {
        if text == UNLIMITED {
            return Ok(None);
        }
        let time = duration::parse(text)?;
        if time < min || time > max {
            let [min, max] = [min, max].map(duration::format);
            return Err(format!(
                "{text} is out of range: `{UNLIMITED}`, or from {min} to {max}"
            ));
        }
        Ok(Some(time))
    };
    ValueKind::scalar(time_values(min, max), parse, time_value).or_shown(UNLIMITED)
}

/// A number of seconds, fractions allowed, between two bounds. Where 0 is below the least, it asks
/// for the default.
pub(super) fn seconds(min: Duration, max: Duration) -> ValueKind<Duration> {
    let write = |time: Duration| time.as_secs_f64().to_string();
    let parse = move |text: &str| {
        let time = Duration::try_from_secs_f64(parse_number(text)?);
        let time = time.map_err(|_| "a time cannot be negative or endless".to_owned())?;
        time_within(time, min, max, write)
    };
    let values = format!("seconds, {} to {}", write(min), write(max));
    ValueKind::scalar(values, parse, seconds_value)
}

/// A whole number of seconds from 0 to a bound.
pub(super) fn whole_seconds(max: u64) -> ValueKind<Duration> {
    let ValueKind { read, .. } = integer::<u64>(0, max);
    let read = move |section: &Section<'_>, key| read(section, key).map(Duration::from_secs);
    ValueKind::new(format!("whole seconds, 0 to {max}"), read, seconds_value)
}

fn time_within(
    time: Duration,
    min: Duration,
    max: Duration,
    write: impl Fn(Duration) -> String,
) -> Result<Option<Duration>, String> {
    if time.is_zero() && !min.is_zero() {
        return Ok(None);
    }
    in_bounds(time, (min, max), write).map(Some)
}

fn time_values(min: Duration, max: Duration) -> String {
    let [min, max] = [min, max].map(duration::format);
    format!("duration, {min} to {max}")
}

fn time_value(time: &Duration) -> Value {
    Value::from(duration::format(*time))
}

/// Whole seconds without a point, as they are usually written.
fn seconds_value(time: &Duration) -> Value {
    match time.subsec_nanos() {
        0 => Value::from(time.as_secs()),
        _ => Value::from(time.as_secs_f64()),
    }
}

/// The path of a file that need not exist.
pub(super) fn path() -> ValueKind<PathBuf> {
    let parse = |text: &str| Ok(Some(PathBuf::from(text)));
    ValueKind::scalar("path of a file", parse, |path| path_value(path))
}

/// The path of a file that must exist.
pub(super) fn existing_file() -> ValueKind<Option<PathBuf>> {
    let read = |section: &Section<'_>, key| section.existing_file(key);
    ValueKind::new("path of a PEM file", read, |path: &PathBuf| {
        path_value(path)
    })
    .optional()
}

/// The path of a file with a secret in it, which is read.
pub(super) fn secret_file() -> ValueKind<Option<AdminAccess>> {
    let read = |section: &Section<'_>, key| {
        let (token_file, token) = section.secret_file(key)?;
        Some(AdminAccess { token_file, token })
    };
    let shown = |access: &AdminAccess| path_value(&access.token_file);
    ValueKind::new("path of a file", read, shown).optional()
}

fn path_value(path: &Path) -> Value {
    text_value(&path.to_string_lossy())
}

/// A secret, which may stand in a file of its own: the path of that is under `file_key`.
pub(super) fn secret(file_key: &'static str) -> ValueKind<Option<Secret>> {
    let read = move |section: &Section<'_>, key| section.secret(key, file_key);
    let mut kind = ValueKind::new("text", read, |_| Value::from(REDACTED)).optional();
    kind.secret_file_key = Some(file_key);
    kind
}
