//! Flags, and values that are one of some words.

use super::value::ValueKind;
use crate::config::names::{not_one_of, quoted};
use crate::config::reader::Section;
use crate::config::yaml::Value;

/// `true` or `false`, in the words of YAML 1.1 too.
pub(in crate::config) fn flag() -> ValueKind<bool> {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Ok(Some(true)),
        "false" | "no" | "off" | "n" => Ok(Some(false)),
        _ => Err(format!("{} is not true or false", quoted(text))),
    };
    ValueKind::scalar("true or false", parse, |value| Value::from(*value))
}

/// A type whose values are words in the file.
pub(in crate::config) trait Words: Copy + PartialEq + 'static {
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
pub(in crate::config) fn word<T: Words>() -> ValueKind<T> {
    let values = format!("one of {}", T::words().join(", "));
    let parse = |text: &str| T::of_word(text).map(Some);
    ValueKind::scalar(values, parse, |value| Value::from(value.word()))
}

/// A word that chooses between ways, each with keys of its own. Left out it is `default`; a wrong
/// one chooses none, so that it is not known which keys are missing.
pub(in crate::config) fn choice<T: Words>(default: T) -> ValueKind<Option<T>> {
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
