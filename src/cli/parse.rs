//! From the words of a command line to an [`Invocation`], by the table of commands.
//!
//! Flags may stand anywhere, also before the command. The Go program's `-config FILE` and `-version`
//! are taken with one dash or two.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use lexopt::Arg;

use super::command::{CliCommand, HelpTopic, Invocation};
use super::input::{FromWord, Input};
use super::suggest;
use super::table::{self, CommandSpec, GlobalOptions};

/// The file that is read when none is named, as in the Go program.
const DEFAULT_CONFIG_FILE: &str = "config.yaml";

/// A command line that makes no sense. Its text is one line and a hint where to read more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    topic: HelpTopic,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = self
            .topic
            .0
            .map_or_else(String::new, |spec| format!(" {}", spec.name));
        let message = &self.message;
        write!(f, "{message}\ntry `servicenow-kafka-bridge help{topic}`")
    }
}

impl std::error::Error for UsageError {}

/// Reads the arguments, without the name of the program.
///
/// # Errors
/// When they make no sense.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let general = |message| UsageError {
        message,
        topic: HelpTopic(None),
    };
    let mut given = GivenArguments::gather(args).map_err(general)?;
    let global = GlobalOptions::read(&given).map_err(general)?;
    let mut words = std::mem::take(&mut given.words).into_iter();
    let first = words.next();
    let topic = match &first {
        Some(word) => HelpTopic(Some(find(&word.to_string_lossy()).map_err(general)?)),
        None => HelpTopic(None),
    };
    let invocation = |command| Invocation {
        config: global
            .config
            .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG_FILE)),
        command,
    };
    // Asking for help works whatever else is wrong with the line.
    if global.help {
        return Ok(invocation(CliCommand::Help(topic)));
    }
    if global.version {
        return Ok(invocation(CliCommand::Version));
    }
    let page = topic.0.unwrap_or(&table::RUN_COMMAND);
    let command = given.command(page, words).map_err(|message| UsageError {
        message,
        // Who mistypes a command behind `help` looks for the list of commands.
        topic: HelpTopic(Some(page).filter(|page| *page != &table::HELP_COMMAND)),
    })?;
    Ok(invocation(command))
}

/// The command of a word, or the page of a group of commands.
pub(super) fn find(word: &str) -> Result<&'static CommandSpec, String> {
    let mut known = table::commands().chain(table::COMMANDS);
    let found = known.find(|spec| word == spec.name);
    found.ok_or_else(|| suggest::unknown_command(word))
}

/// What stands on a command line.
pub(super) struct GivenArguments {
    /// What is no flag, in its order.
    words: Vec<OsString>,
    /// Flags with their values, in their order. A switch has an empty one.
    flags: Vec<(&'static Input, OsString)>,
    /// The words that name the command.
    command: String,
    /// The words behind them, with the names that they have in the table.
    arguments: Vec<(&'static str, OsString)>,
}

impl GivenArguments {
    fn gather(args: impl Iterator<Item = OsString>) -> Result<GivenArguments, String> {
        let mut given = GivenArguments {
            words: Vec::new(),
            flags: Vec::new(),
            command: String::new(),
            arguments: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_args(args.map(double_dash));
        while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
            let (flag, spelling) = match arg {
                Arg::Value(word) => {
                    given.words.push(word);
                    continue;
                }
                Arg::Long(name) => (table::flag(|it| it.name == name), format!("--{name}")),
                Arg::Short(letter) => {
                    let flag = table::flag(|it| it.letter == Some(letter));
                    (flag, format!("-{letter}"))
                }
            };
            let flag = flag.ok_or_else(|| suggest::unknown_flag(&spelling))?;
            let mut value = OsString::new();
            if flag.value_name().is_some() {
                value = parser.value().map_err(|error| error.to_string())?;
                if value.is_empty() && !flag.may_be_empty {
                    return Err(format!("`--{}` needs a value", flag.name));
                }
            }
            given.flags.push((flag, value));
        }
        Ok(given)
    }

    /// The command that `page` explains, with its flags, and with what stands behind its name.
    fn command(
        mut self,
        page: &'static CommandSpec,
        mut words: impl Iterator<Item = OsString>,
    ) -> Result<CliCommand, String> {
        let name = page.name;
        self.command = name.to_owned();
        let mut spec = page;
        if page.is_group {
            let names = action_names(page).join(", ");
            return Err(format!("`{name}` is no command: it is one of {names}"));
        }
        if !page.actions.is_empty() {
            let names = action_names(page);
            let Some(word) = words.next() else {
                return Err(format!("`{name}` needs {}", suggest::listed(&names, "or")));
            };
            let word = word.to_string_lossy();
            self.command = format!("{name} {word}");
            let found = page.actions.iter().find(|action| action.name == word);
            spec = found.ok_or_else(|| {
                let names = suggest::listed(&names, "and");
                format!("`{}`: only {names} are known", self.command)
            })?;
        }
        let known = |name| {
            GlobalOptions::find(name)
                .or_else(|| spec.flag(name))
                .is_some()
        };
        if let Some((flag, _)) = self.flags.iter().find(|(flag, _)| !known(flag.name)) {
            return Err(suggest::misplaced_flag(flag.name, name, &self.command));
        }
        for input in spec.inputs() {
            if !input.is_flag()
                && let Some(word) = words.next()
            {
                self.arguments.push((input.name, word));
            }
        }
        match words.next() {
            Some(extra) => Err(format!("one argument too many: {extra:?}")),
            None => (spec.build)(&self),
        }
    }

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

fn action_names(page: &CommandSpec) -> Vec<&'static str> {
    page.actions.iter().map(|action| action.name).collect()
}

/// Go's flags take one dash or two; with one, lexopt would see a cluster of letters.
fn double_dash(arg: OsString) -> OsString {
    let bytes = arg.as_bytes();
    let name = bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes);
    match name {
        b"-config" | b"-version" | b"-help" => {
            OsString::from_vec([b"-".as_slice(), bytes].concat())
        }
        _ => arg,
    }
}
