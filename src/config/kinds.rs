//! The kinds of values in the table of keys: how a value is read, what bounds it has, and how it is
//! shown.

use std::path::PathBuf;
use std::time::Duration;

use super::key_table::{KeyInfo, KeyParent, KeyShape, KeySpec, KindWords};
use super::reader::{Section, in_bounds, parse_integer, parse_number};
use super::yaml::{self, Mapping, Value};
use super::{AdminAccess, Secret, duration};

mod structure;

pub(super) use structure::{EachOf, IfUsed, Inline, Nested, NestedIfUsed};

/// Stands in the place of a secret wherever one would be shown.
pub(super) const REDACTED: &str = "[redacted]";

/// A kind of key with values of type `T`.
pub(super) trait KeyKind<T> {
    /// Adds the key with its value to what is shown.
    fn show(&self, key: &str, value: &T, shown: &mut Mapping);

    /// Adds the documentation of the key.
    fn describe(
        &self,
        spec: &KeySpec,
        default: String,
        at: &KeyParent<'_>,
        keys: &mut Vec<KeyInfo>,
    );
}

/// How a kind reads a value of type `T`, where the table gives `given`: in most cases the default.
pub(super) trait ReadKey<T, G>: KeyKind<T> {
    /// The value in effect; what is wrong is noted in the section.
    fn read(&self, section: &Section<'_>, key: &'static str, given: G) -> T;

    /// `given` as YAML, if it is a default.
    fn default_words(&self, given: G) -> String;
}

/// Marks the kinds whose value is one scalar: what they have in common is implemented once.
pub(super) trait Scalar {}

/// How a scalar kind reads and writes a value of type `T`.
pub(super) trait ScalarKind<T>: Scalar {
    /// Reads a text that is not empty; `None` asks for the default.
    fn parse(&self, text: &str) -> Result<Option<T>, String>;

    /// The value as YAML.
    fn shown(&self, value: &T) -> Value;

    /// The values that are taken, in words.
    fn values(&self) -> String;
}

impl<T, K: ScalarKind<T>> KeyKind<T> for K {
    fn show(&self, key: &str, value: &T, shown: &mut Mapping) {
        shown.insert(Value::from(key), self.shown(value));
    }

    fn describe(
        &self,
        spec: &KeySpec,
        default: String,
        at: &KeyParent<'_>,
        keys: &mut Vec<KeyInfo>,
    ) {
        let words = KindWords {
            values: self.values(),
            default,
            secret: false,
        };
        keys.push(spec.info(at, KeyShape::Value, words));
    }
}

impl<T, K: ScalarKind<T>> ReadKey<T, T> for K {
    fn read(&self, section: &Section<'_>, key: &'static str, given: T) -> T {
        let read = section.parsed(key, |text| self.parse(text));
        read.flatten().unwrap_or(given)
    }

    fn default_words(&self, given: T) -> String {
        yaml::inline(&self.shown(&given))
    }
}

/// A text that is a text again when it is read: `${` is escaped.
pub(super) fn text_value(text: &str) -> Value {
    Value::from(text.replace("${", "$${"))
}

/// `true` or `false`, in the words of YAML 1.1 too.
pub(super) struct Flag;

impl Scalar for Flag {}

impl ScalarKind<bool> for Flag {
    fn parse(&self, text: &str) -> Result<Option<bool>, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Ok(Some(true)),
            "false" | "no" | "off" | "n" => Ok(Some(false)),
            _ => {
                let quoted = super::names::quoted(text);
                Err(format!("{quoted} is not true or false"))
            }
        }
    }

    fn shown(&self, value: &bool) -> Value {
        Value::from(*value)
    }

    fn values(&self) -> String {
        "true or false".to_owned()
    }
}

/// A text as it is written, if this check lets it pass.
pub(super) struct Text(pub(super) fn(&str) -> Result<(), String>);

impl Scalar for Text {}

/// A check that each text passes.
pub(super) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

/// A text that this function checks and brings into its normal form.
pub(super) struct NormalText(pub(super) fn(&str) -> Result<String, String>);

impl Scalar for NormalText {}

/// Texts have a default, or are optional, in which case null is shown.
macro_rules! text_kinds {
    ($($Kind:ident: $parse:expr;)*) => {$(
        impl ScalarKind<String> for $Kind {
            fn parse(&self, text: &str) -> Result<Option<String>, String> {
                $parse(self, text).map(Some)
            }

            fn shown(&self, value: &String) -> Value {
                text_value(value)
            }

            fn values(&self) -> String {
                "text".to_owned()
            }
        }

        impl ScalarKind<Option<String>> for $Kind {
            fn parse(&self, text: &str) -> Result<Option<Option<String>>, String> {
                $parse(self, text).map(|text| Some(Some(text)))
            }

            fn shown(&self, value: &Option<String>) -> Value {
                value.as_deref().map_or(Value::Null, text_value)
            }

            fn values(&self) -> String {
                "text".to_owned()
            }
        }

        impl ReadKey<String, &str> for $Kind {
            fn read(&self, section: &Section<'_>, key: &'static str, given: &str) -> String {
                self.read(section, key, given.to_owned())
            }

            fn default_words(&self, given: &str) -> String {
                ReadKey::<String, String>::default_words(self, given.to_owned())
            }
        }
    )*};
}

text_kinds! {
    Text: |kind: &Text, text: &str| kind.0(text).map(|()| text.to_owned());
    NormalText: |kind: &NormalText, text: &str| kind.0(text);
}

/// A text that must be there.
pub(super) struct Required<K>(pub(super) K);

impl<K: ScalarKind<String>> KeyKind<String> for Required<K> {
    fn show(&self, key: &str, value: &String, shown: &mut Mapping) {
        self.0.show(key, value, shown);
    }

    fn describe(&self, spec: &KeySpec, _: String, at: &KeyParent<'_>, keys: &mut Vec<KeyInfo>) {
        let spec = KeySpec {
            default: "required",
            ..*spec
        };
        self.0.describe(&spec, String::new(), at, keys);
    }
}

impl<K: ScalarKind<String>> ReadKey<String, ()> for Required<K> {
    fn read(&self, section: &Section<'_>, key: &'static str, (): ()) -> String {
        section.require(key, "");
        self.0.read(section, key, String::new())
    }

    fn default_words(&self, (): ()) -> String {
        String::new()
    }
}

/// A type whose values are words in the file.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// Each value with its word, in the order in which messages list them.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this value.
    fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, value)| *value == self);
        found.map_or("", |(word, _)| word)
    }
}

/// One of some words, in any case of letters.
pub(super) struct Word;

impl Scalar for Word {}

impl Word {
    fn find<T: Words>(text: &str) -> Result<T, String> {
        let found = T::WORDS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
            super::names::not_one_of(text, &words)
        })
    }

    fn list<T: Words>() -> String {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    }
}

impl<T: Words> ScalarKind<T> for Word {
    fn parse(&self, text: &str) -> Result<Option<T>, String> {
        Word::find(text).map(Some)
    }

    fn shown(&self, value: &T) -> Value {
        Value::from(value.word())
    }

    fn values(&self) -> String {
        Word::list::<T>()
    }
}

/// A word that chooses between ways, each with keys of its own. A wrong one chooses none, so that it
/// is not known which keys are missing.
pub(super) struct Choice;

impl<T: Words> KeyKind<Option<T>> for Choice {
    fn show(&self, key: &str, value: &Option<T>, shown: &mut Mapping) {
        if let Some(value) = value {
            Word.show(key, value, shown);
        }
    }

    fn describe(
        &self,
        spec: &KeySpec,
        default: String,
        at: &KeyParent<'_>,
        keys: &mut Vec<KeyInfo>,
    ) {
        KeyKind::<T>::describe(&Word, spec, default, at, keys);
    }
}

impl<T: Words> ReadKey<Option<T>, T> for Choice {
    fn read(&self, section: &Section<'_>, key: &'static str, given: T) -> Option<T> {
        let chosen = section.parsed(key, Word::find);
        if section.has_no_text(key) {
            Some(given)
        } else {
            chosen
        }
    }

    fn default_words(&self, given: T) -> String {
        given.word().to_owned()
    }
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
pub(super) struct Integer(pub(super) u64, pub(super) u64);

impl Scalar for Integer {}

impl<T: TryFrom<u64> + TryInto<u64> + Copy> ScalarKind<T> for Integer {
    fn parse(&self, text: &str) -> Result<Option<T>, String> {
        let number = parse_integer(text)?;
        if number == 0 && self.0 > 0 {
            return Ok(None);
        }
        let bounds = (i128::from(self.0), i128::from(self.1));
        let number = in_bounds(i128::from(number), bounds, |number| number.to_string())?;
        Ok(u64::try_from(number).ok().and_then(|n| T::try_from(n).ok()))
    }

    fn shown(&self, value: &T) -> Value {
        (*value).try_into().map_or(Value::Null, Value::from)
    }

    fn values(&self) -> String {
        format!("whole number, {} to {}", self.0, self.1)
    }
}

/// A whole number up to a bound; 0 and negative numbers mean the same as leaving it out.
pub(super) struct UpTo(pub(super) u32);

impl Scalar for UpTo {}

impl UpTo {
    fn number(&self, text: &str) -> Result<Option<u32>, String> {
        match parse_integer(text)? {
            ..=0 => Ok(None),
            number => match u32::try_from(number) {
                Ok(within) if within <= self.0 => Ok(Some(within)),
                _ => Err(format!("{number} is out of range: at most {}", self.0)),
            },
        }
    }
}

impl ScalarKind<usize> for UpTo {
    fn parse(&self, text: &str) -> Result<Option<usize>, String> {
        let number = self.number(text)?;
        Ok(number.and_then(|number| usize::try_from(number).ok()))
    }

    fn shown(&self, value: &usize) -> Value {
        Value::from(*value)
    }

    fn values(&self) -> String {
        format!("whole number, at most {}", self.0)
    }
}

impl ScalarKind<Option<u16>> for UpTo {
    fn parse(&self, text: &str) -> Result<Option<Option<u16>>, String> {
        let number = self.number(text)?;
        Ok(Some(number.and_then(|number| u16::try_from(number).ok())))
    }

    fn shown(&self, value: &Option<u16>) -> Value {
        value.map_or(Value::Null, Value::from)
    }

    fn values(&self) -> String {
        format!("whole number, at most {}", self.0)
    }
}

/// As [`UpTo`], where leaving it out means "without a limit", which the Go program writes as -1.
pub(super) struct UpToOrUnlimited(pub(super) u32);

impl Scalar for UpToOrUnlimited {}

impl ScalarKind<Option<u32>> for UpToOrUnlimited {
    fn parse(&self, text: &str) -> Result<Option<Option<u32>>, String> {
        UpTo(self.0).number(text).map(Some)
    }

    fn shown(&self, value: &Option<u32>) -> Value {
        value.map_or(Value::from(-1), Value::from)
    }

    fn values(&self) -> String {
        format!("whole number, at most {}, or -1", self.0)
    }
}

/// A number per second; 0 and negative numbers switch it off.
pub(super) struct Rate(pub(super) f64);

impl Scalar for Rate {}

impl ScalarKind<Option<f64>> for Rate {
    fn parse(&self, text: &str) -> Result<Option<Option<f64>>, String> {
        let rate = parse_number(text)?;
        if rate <= 0.0 {
            return Ok(Some(None));
        }
        if rate < 0.001 || rate > self.0 {
            let max = self.0;
            return Err(format!(
                "{rate} is out of range: 0.001 to {max}, or 0 for no limit"
            ));
        }
        Ok(Some(Some(rate)))
    }

    fn shown(&self, value: &Option<f64>) -> Value {
        Value::from(value.unwrap_or(0.0))
    }

    fn values(&self) -> String {
        format!("number, 0.001 to {}, or 0", self.0)
    }
}

/// A time with its unit, between two bounds. Where 0 is below the least, it asks for the default.
pub(super) struct Time(pub(super) Duration, pub(super) Duration);

impl Scalar for Time {}

impl ScalarKind<Duration> for Time {
    fn parse(&self, text: &str) -> Result<Option<Duration>, String> {
        time_within(duration::parse(text)?, self.0, self.1, duration::format)
    }

    fn shown(&self, value: &Duration) -> Value {
        Value::from(duration::format(*value))
    }

    fn values(&self) -> String {
        let [min, max] = [self.0, self.1].map(duration::format);
        format!("duration, {min} to {max}")
    }
}

fn time_within(
    found: Duration,
    min: Duration,
    max: Duration,
    write: impl Fn(Duration) -> String,
) -> Result<Option<Duration>, String> {
    if found.is_zero() && !min.is_zero() {
        return Ok(None);
    }
    in_bounds(found, (min, max), write).map(Some)
}

/// A time between two bounds, or `unlimited`.
pub(super) struct TimeOrUnlimited(pub(super) Duration, pub(super) Duration);

impl Scalar for TimeOrUnlimited {}

impl ScalarKind<Option<Duration>> for TimeOrUnlimited {
    fn parse(&self, text: &str) -> Result<Option<Option<Duration>>, String> {
        if text == "unlimited" {
            return Ok(Some(None));
        }
        let time = duration::parse(text)?;
        if time < self.0 || time > self.1 {
            let [min, max] = [self.0, self.1].map(duration::format);
            return Err(format!(
                "{text} is out of range: `unlimited`, or from {min} to {max}"
            ));
        }
        Ok(Some(Some(time)))
    }

    fn shown(&self, value: &Option<Duration>) -> Value {
        value.map_or(Value::from("unlimited"), |time| {
            Value::from(duration::format(time))
        })
    }

    fn values(&self) -> String {
        let [min, max] = [self.0, self.1].map(duration::format);
        format!("duration, {min} to {max}, or unlimited")
    }
}

/// A number of seconds, fractions allowed, between two bounds. Where 0 is below the least, it asks
/// for the default.
pub(super) struct Seconds(pub(super) Duration, pub(super) Duration);

impl Scalar for Seconds {}

impl ScalarKind<Duration> for Seconds {
    fn parse(&self, text: &str) -> Result<Option<Duration>, String> {
        let found = Duration::try_from_secs_f64(parse_number(text)?)
            .map_err(|_| "a time cannot be negative or endless".to_owned())?;
        time_within(found, self.0, self.1, |time| time.as_secs_f64().to_string())
    }

    /// Whole seconds without a point, as they are usually written.
    fn shown(&self, value: &Duration) -> Value {
        match value.subsec_nanos() {
            0 => Value::from(value.as_secs()),
            _ => Value::from(value.as_secs_f64()),
        }
    }

    fn values(&self) -> String {
        let [min, max] = [self.0, self.1].map(|time| time.as_secs_f64());
        format!("seconds, {min} to {max}")
    }
}

/// A whole number of seconds between two bounds.
pub(super) struct WholeSeconds(pub(super) u64, pub(super) u64);

impl Scalar for WholeSeconds {}

impl ScalarKind<Duration> for WholeSeconds {
    fn parse(&self, text: &str) -> Result<Option<Duration>, String> {
        let seconds: Option<u64> = Integer(self.0, self.1).parse(text)?;
        Ok(seconds.map(Duration::from_secs))
    }

    fn shown(&self, value: &Duration) -> Value {
        Value::from(value.as_secs())
    }

    fn values(&self) -> String {
        format!("whole seconds, {} to {}", self.0, self.1)
    }
}

/// The path of a file that need not exist.
pub(super) struct Path;

impl Scalar for Path {}

impl ScalarKind<PathBuf> for Path {
    fn parse(&self, text: &str) -> Result<Option<PathBuf>, String> {
        Ok(Some(PathBuf::from(text)))
    }

    fn shown(&self, value: &PathBuf) -> Value {
        text_value(&value.to_string_lossy())
    }

    fn values(&self) -> String {
        "path of a file".to_owned()
    }
}

/// Kinds that note more than a problem while they are read: which files belong to the configuration,
/// and where a secret stands. Without a value they show null.
macro_rules! file_kinds {
    ($($Kind:ident: $T:ty, $values:literal, $read:expr, $show:expr;)*) => {$(
        impl KeyKind<Option<$T>> for $Kind {
            fn show(&self, key: &str, value: &Option<$T>, shown: &mut Mapping) {
                let value = value.as_ref().map_or(Value::Null, $show);
                shown.insert(Value::from(key), value);
            }

            fn describe(
                &self,
                spec: &KeySpec,
                _: String,
                at: &KeyParent<'_>,
                keys: &mut Vec<KeyInfo>,
            ) {
                let words = KindWords {
                    values: $values.to_owned(),
                    ..KindWords::default()
                };
                keys.push(spec.info(at, KeyShape::Value, words));
            }
        }

        impl ReadKey<Option<$T>, ()> for $Kind {
            fn read(&self, section: &Section<'_>, key: &'static str, (): ()) -> Option<$T> {
                $read(section, key)
            }

            fn default_words(&self, (): ()) -> String {
                String::new()
            }
        }
    )*};
}

/// The path of a file that must exist.
pub(super) struct ExistingFile;

/// The path of a file with a secret in it, which is read.
pub(super) struct SecretFile;

file_kinds! {
    ExistingFile: PathBuf, "path of a PEM file", Section::existing_file, |file| Path.shown(file);
    SecretFile: AdminAccess, "path of a file",
        |section: &Section<'_>, key| {
            let (token_file, token) = section.secret_file(key)?;
            Some(AdminAccess { token_file, token })
        },
        |access: &AdminAccess| Path.shown(&access.token_file);
}

/// A secret, which may stand in a file of its own: the path of that is under this other key.
pub(super) struct SecretOrFile(pub(super) &'static str);

impl KeyKind<Option<Secret>> for SecretOrFile {
    fn show(&self, key: &str, value: &Option<Secret>, shown: &mut Mapping) {
        let value = value.as_ref().map_or(Value::Null, |_| REDACTED.into());
        shown.insert(Value::from(key), value);
    }

    fn describe(&self, spec: &KeySpec, _: String, at: &KeyParent<'_>, keys: &mut Vec<KeyInfo>) {
        let words = |values: &str, secret| KindWords {
            values: values.to_owned(),
            default: String::new(),
            secret,
        };
        keys.push(spec.info(at, KeyShape::Value, words("text", true)));
        let file = KeySpec {
            key: self.0,
            doc: "",
            example: "",
            ..*spec
        };
        keys.push(file.info(at, KeyShape::Value, words("path of a file", false)));
    }
}

impl ReadKey<Option<Secret>, ()> for SecretOrFile {
    fn read(&self, section: &Section<'_>, key: &'static str, (): ()) -> Option<Secret> {
        section.secret(key, self.0)
    }

    fn default_words(&self, (): ()) -> String {
        String::new()
    }
}

/// A list of texts. The table gives the check of one item.
pub(super) struct Texts;

impl KeyKind<Vec<String>> for Texts {
    fn show(&self, key: &str, value: &Vec<String>, shown: &mut Mapping) {
        let items: Vec<Value> = value.iter().map(|item| text_value(item)).collect();
        shown.insert(Value::from(key), items.into());
    }

    fn describe(&self, spec: &KeySpec, _: String, at: &KeyParent<'_>, keys: &mut Vec<KeyInfo>) {
        let words = KindWords {
            values: "list of texts".to_owned(),
            default: "[]".to_owned(),
            secret: false,
        };
        keys.push(spec.info(at, KeyShape::Value, words));
    }
}

impl<F: Fn(&str) -> Result<(), String>> ReadKey<Vec<String>, F> for Texts {
    fn read(&self, section: &Section<'_>, key: &'static str, check: F) -> Vec<String> {
        section.texts(key, check)
    }

    fn default_words(&self, _: F) -> String {
        String::new()
    }
}
