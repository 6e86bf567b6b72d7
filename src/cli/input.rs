//! Flags and arguments: how they are shown, and what types their values may have.

use std::ffi::OsStr;
use std::path::PathBuf;

/// How a flag or an argument looks on the command line. The texts are names of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputKind {
    /// `--json`: there or not.
    Switch,
    /// `--limit N`: may be left out.
    Value(&'static str),
    /// `--timestamp TIME`: must be there.
    RequiredValue(&'static str),
    /// `TABLE`, known by its place: must be there.
    Argument,
    /// `[TABLE]`, known by its place: may be left out.
    OptionalArgument,
    /// `FILE...`, the last by its place: one or more.
    Arguments,
}

/// A flag or an argument of a command: one field of a struct in `options`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    pub(super) kind: InputKind,
    /// Of a flag the name behind `--`, of an argument its name in capitals.
    pub(super) name: &'static str,
    /// The letter that stands for the name behind a single `-`.
    pub(super) letter: Option<char>,
    /// The only words that are allowed.
    pub(super) choices: Option<fn() -> Vec<&'static str>>,
    /// The value is the name of a file, so that shells complete it.
    pub(super) is_file: bool,
    /// An empty text is a value like others.
    pub(super) may_be_empty: bool,
    doc: &'static str,
}

impl Input {
    const fn new(kind: InputKind, name: &'static str, doc: &'static str) -> Input {
        Input {
            kind,
            name,
            letter: None,
            choices: None,
            is_file: false,
            may_be_empty: false,
            doc,
        }
    }

    pub(super) const fn switch(doc: &'static str, name: &'static str) -> Input {
        Input::new(InputKind::Switch, name, doc)
    }

    pub(super) const fn value(doc: &'static str, name: &'static str, value: &'static str) -> Input {
        Input::new(InputKind::Value(value), name, doc)
    }

    pub(super) const fn required_value(
        doc: &'static str,
        name: &'static str,
        value: &'static str,
    ) -> Input {
        Input::new(InputKind::RequiredValue(value), name, doc)
    }

    pub(super) const fn argument(doc: &'static str, name: &'static str) -> Input {
        Input::new(InputKind::Argument, name, doc)
    }

    pub(super) const fn optional_argument(doc: &'static str, name: &'static str) -> Input {
        Input::new(InputKind::OptionalArgument, name, doc)
    }

    pub(super) const fn arguments(doc: &'static str, name: &'static str) -> Input {
        Input::new(InputKind::Arguments, name, doc)
    }

    pub(super) const fn short(mut self, letter: char) -> Input {
        self.letter = Some(letter);
        self
    }

    pub(super) const fn one_of(mut self, choices: fn() -> Vec<&'static str>) -> Input {
        self.choices = Some(choices);
        self
    }

    pub(super) const fn file(mut self) -> Input {
        self.is_file = true;
        self
    }

    pub(super) const fn or_empty(mut self) -> Input {
        self.may_be_empty = true;
        self
    }

    /// The doc comment: of a flag what it does, of an argument what the command needs, as in "the
    /// name of a table".
    pub(super) fn doc(&self) -> &'static str {
        self.doc.trim_start()
    }

    pub(super) fn is_flag(&self) -> bool {
        !matches!(
            self.kind,
            InputKind::Argument | InputKind::OptionalArgument | InputKind::Arguments
        )
    }

    pub(super) fn value_name(&self) -> Option<&'static str> {
        match self.kind {
            InputKind::Value(name) | InputKind::RequiredValue(name) => Some(name),
            InputKind::Switch
            | InputKind::Argument
            | InputKind::OptionalArgument
            | InputKind::Arguments => None,
        }
    }

    pub(super) fn choices(&self) -> Vec<&'static str> {
        self.choices.map_or_else(Vec::new, |choices| choices())
    }

    /// As a list of options shows it: `-c, --config FILE`.
    pub(super) fn in_list(&self) -> String {
        let short = self
            .letter
            .map_or_else(String::new, |it| format!("-{it}, "));
        let value = self
            .value_name()
            .map_or_else(String::new, |it| format!(" {it}"));
        format!("{short}--{}{value}", self.name)
    }

    /// As a usage line shows it: `[-c FILE]`, `--timestamp TIME`, `TABLE`, `bash|zsh|fish`.
    pub(super) fn in_usage(&self) -> String {
        /// More words than this would hide the rest of the line.
        const MAX_SPELLED_OUT: usize = 5;
        let choices = self.choices();
        let word = match (self.letter, self.is_flag()) {
            (Some(letter), true) => format!("-{letter}"),
            (None, true) => format!("--{}", self.name),
            (_, false) if (1..=MAX_SPELLED_OUT).contains(&choices.len()) => choices.join("|"),
            (_, false) => self.name.to_owned(),
        };
        match self.kind {
            InputKind::Switch | InputKind::OptionalArgument => format!("[{word}]"),
            InputKind::Value(value) => format!("[{word} {value}]"),
            InputKind::RequiredValue(value) => format!("{word} {value}"),
            InputKind::Argument => word,
            InputKind::Arguments => format!("{word}..."),
        }
    }
}

/// A type that a value on the command line may have.
pub(super) trait FromWord: Sized {
    /// The value, or why there is none as the end of a sentence: "is not a time".
    fn from_word(word: &OsStr) -> Result<Self, String>;
}

impl FromWord for PathBuf {
    fn from_word(word: &OsStr) -> Result<PathBuf, String> {
        Ok(PathBuf::from(word))
    }
}

impl FromWord for String {
    fn from_word(word: &OsStr) -> Result<String, String> {
        text(word).map(str::to_owned)
    }
}

/// A word as text.
pub(super) fn text(word: &OsStr) -> Result<&str, String> {
    word.to_str().ok_or_else(|| "is not UTF-8".to_owned())
}
