//! The words of a command line, and the values that flags and arguments have there.

use std::ffi::{OsStr, OsString};

use super::input::{FromWord, Input};

/// What stands on a command line.
#[derive(Default)]
pub(super) struct GivenArguments {
    /// What is no flag, in its order.
    pub(super) words: Vec<OsString>,
    /// Flags with their values, in their order. A switch has an empty one.
    pub(super) flags: Vec<(&'static Input, OsString)>,
    /// The words that name the command.
    pub(super) command: String,
    /// The words behind them, with the names that they have in the table.
    pub(super) arguments: Vec<(&'static str, OsString)>,
}

impl GivenArguments {
    /// The value of a flag; where it stands twice, the last one.
    fn last(&self, flag: &Input) -> Option<&OsStr> {
        let mut flags = self.flags.iter().rev();
        let found = flags.find(|(given, _)| given.name == flag.name);
        found.map(|(_, value)| value.as_os_str())
    }

    pub(super) fn switch(&self, flag: &Input) -> Result<bool, String> {
        Ok(self.last(flag).is_some())
    }

    pub(super) fn value<T: FromWord>(&self, flag: &Input) -> Result<Option<T>, String> {
        let Some(word) = self.last(flag) else {
            return Ok(None);
        };
        let value = read(flag, word);
        let spelling = || format!("`--{} {}`", flag.name, word.to_string_lossy());
        value
            .map(Some)
            .map_err(|why| format!("{} {why}", spelling()))
    }

    pub(super) fn required_value<T: FromWord>(&self, flag: &Input) -> Result<T, String> {
        let command = &self.command;
        self.value(flag)?
            .ok_or_else(|| format!("`{command}` needs `{}`", flag.in_list()))
    }

    pub(super) fn argument<T: FromWord>(&self, argument: &Input) -> Result<T, String> {
        let word = self.named(argument).filter(|word| !word.is_empty());
        let value = word.and_then(|word| read(argument, word).ok());
        value.ok_or_else(|| format!("`{}` needs {}", self.command, argument.doc()))
    }

    pub(super) fn arguments<T: FromWord>(&self, argument: &Input) -> Result<Vec<T>, String> {
        let all = self.arguments.iter();
        let words = all.filter(|(name, _)| *name == argument.name);
        let values: Vec<T> = words
            .map(|(_, word)| read(argument, word))
            .collect::<Result<_, _>>()?;
        if values.is_empty() || self.arguments.iter().any(|(_, word)| word.is_empty()) {
            return Err(format!("`{}` needs {}", self.command, argument.doc()));
        }
        Ok(values)
    }

    pub(super) fn optional_argument<T: FromWord>(
        &self,
        argument: &Input,
    ) -> Result<Option<T>, String> {
        let value = self.named(argument).map(|word| {
            read(argument, word).map_err(|why| format!("`{}` {why}", word.to_string_lossy()))
        });
        value.transpose()
    }

    fn named(&self, argument: &Input) -> Option<&OsStr> {
        let mut all = self.arguments.iter();
        let found = all.find(|(name, _)| *name == argument.name);
        found.map(|(_, word)| word.as_os_str())
    }
}

fn read<T: FromWord>(input: &Input, word: &OsStr) -> Result<T, String> {
    let choices = input.choices();
    if choices.is_empty() || choices.iter().any(|choice| word == *choice) {
        T::from_word(word)
    } else {
        Err(format!("is none of {}", choices.join(", ")))
    }
}
