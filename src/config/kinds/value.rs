//! A kind of key that leads to one value.

use crate::config::key_info::{KeyInfo, KeyShape};
use crate::config::key_table::{KeyEntry, KeySpec};
use crate::config::reader::Section;
use crate::config::yaml::{self, Mapping, Value};

/// A kind of key with values of type `T`.
pub(in crate::config) trait KeyKind<T> {
    /// Adds the key with its value to what is shown.
    fn show(&self, key: &str, value: &T, shown: &mut Mapping);

    /// Adds the documentation of the key.
    fn describe(&self, entry: &KeyEntry<'_>, keys: &mut Vec<KeyInfo>);
}

/// How a kind reads a value of type `T`, where the table gives `given`: in most cases the default.
pub(in crate::config) trait ReadKey<T, G>: KeyKind<T> {
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
pub(in crate::config) struct ValueKind<T> {
    /// The values in words.
    pub(super) values: String,
    /// Reads a value.
    pub(super) read: ReadValue<T>,
    shown: Box<dyn Fn(&T) -> Value>,
    is_shown_without_value: bool,
    /// The key under which a file may be named instead, if the value is a secret.
    pub(super) secret_file_key: Option<&'static str>,
}

/// Stands in the place of a default for a key that must be there.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Required;

/// What a number in the file means.
pub(super) enum NumberReading<T> {
    /// Itself.
    Value(T),
    /// The same as if the key were left out, as the documentation of the key says.
    LeftOut,
    /// The same as if the key were left out, of which these words warn.
    TakenAs(String),
}

impl<T> NumberReading<T> {
    /// For `0` where the least value is larger.
    pub(super) fn zero_for_default() -> NumberReading<T> {
        NumberReading::TakenAs(
            "0 is taken for the default; write that (`show-config` prints it), or remove the key"
                .to_owned(),
        )
    }
}

impl<T: 'static> ValueKind<T> {
    /// `values` says which values there are.
    pub(in crate::config) fn new(
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
    pub(in crate::config) fn scalar(
        values: impl Into<String>,
        parse: impl Fn(&str) -> Result<Option<T>, String> + 'static,
        shown: impl Fn(&T) -> Value + 'static,
    ) -> ValueKind<T> {
        let read = move |section: &Section<'_>, key| section.parsed(key, &parse).flatten();
        ValueKind::new(values, read, shown)
    }

    /// As [`ValueKind::scalar`], of a kind with values that work but are probably not meant.
    pub(super) fn number(
        values: impl Into<String>,
        parse: impl Fn(&str) -> Result<NumberReading<T>, String> + 'static,
        shown: impl Fn(&T) -> Value + 'static,
    ) -> ValueKind<T> {
        let read = move |section: &Section<'_>, key| match section.parsed(key, &parse)? {
            NumberReading::Value(value) => Some(value),
            NumberReading::LeftOut => None,
            NumberReading::TakenAs(words) => {
                section.warning(key, words);
                None
            }
        };
        ValueKind::new(values, read, shown)
    }

    /// The same, but it may be left out, in which case null is shown.
    pub(in crate::config) fn optional(self) -> ValueKind<Option<T>> {
        self.or_shown(Value::Null)
    }

    /// The same, but it may be left out, in which case `without` is shown.
    pub(in crate::config) fn or_shown(self, without: impl Into<Value>) -> ValueKind<Option<T>> {
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
    pub(in crate::config) fn if_used(self) -> ValueKind<T> {
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
