//! From the words of a command line to an [`Invocation`], by the table of commands.
//!
//! Flags may stand anywhere, also before the command. The Go program's `-config FILE` and `-version`
//! are taken with one dash or two.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use lexopt::Arg;

use super::command::{CliCommand, HelpTopic, Invocation};
use super::given::GivenArguments;
use super::input::InputKind;
use super::options::GlobalOptions;
use super::spec::CommandSpec;
use super::suggest;
use super::table;

/// A command line that makes no sense. Its text is one line and a hint where to read more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    topic: HelpTopic,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = &self.topic.0;
        let topic = topic
            .as_ref()
            .map_or_else(String::new, |name| format!(" {name}"));
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
    let mut given = gather(args).map_err(general)?;
    let global = GlobalOptions::read(&given).map_err(general)?;
    let mut words = std::mem::take(&mut given.words).into_iter();
    let first = words.next();
    let page = match &first {
        Some(word) => Some(find(&word.to_string_lossy()).map_err(general)?),
        None => None,
    };
    let invocation = |command| Invocation {
        config: global.config,
        command,
    };
    // Asking for help works whatever else is wrong with the line.
    if global.help {
        let topic = HelpTopic(page.map(|page| page.name.to_owned()));
        return Ok(invocation(CliCommand::Help(topic)));
    }
    if global.version {
        return Ok(invocation(CliCommand::Version));
    }
    let page = page.unwrap_or(&table::RUN_COMMAND);
    let command = command(given, page, words).map_err(|message| UsageError {
        message,
        // Who mistypes a command behind `help` looks for the list of commands.
        topic: HelpTopic((page != &table::HELP_COMMAND).then(|| page.name.to_owned())),
    })?;
    Ok(invocation(command))
}

/// The command of a word, or the page of a group of commands.
pub(super) fn find(word: &str) -> Result<&'static CommandSpec, String> {
    table::page(word).ok_or_else(|| suggest::unknown_command(word))
}

/// The words and the flags of a command line.
fn gather(args: impl Iterator<Item = OsString>) -> Result<GivenArguments, String> {
    let mut given = GivenArguments::default();
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
    mut given: GivenArguments,
    page: &'static CommandSpec,
    mut words: impl Iterator<Item = OsString>,
) -> Result<CliCommand, String> {
    let name = page.name;
    given.command = name.to_owned();
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
        given.command = format!("{name} {word}");
        let found = page.actions.iter().find(|action| action.name == word);
        spec = found.ok_or_else(|| {
            let names = suggest::listed(&names, "and");
            format!("`{}`: only {names} are known", given.command)
        })?;
    }
    let known = |name| {
        GlobalOptions::find(name)
            .or_else(|| spec.flag(name))
            .is_some()
    };
    if let Some((flag, _)) = given.flags.iter().find(|(flag, _)| !known(flag.name)) {
        return Err(suggest::misplaced_flag(flag.name, name, &given.command));
    }
    for input in spec.inputs() {
        let count = match input.kind {
            InputKind::Argument | InputKind::OptionalArgument => 1,
            InputKind::Arguments => usize::MAX,
            InputKind::Switch | InputKind::Value(_) | InputKind::RequiredValue(_) => 0,
        };
        let own = words.by_ref().take(count);
        given.arguments.extend(own.map(|word| (input.name, word)));
    }
    match words.next() {
        Some(extra) => Err(format!("one argument too many: {extra:?}")),
        None => {
            let command = (spec.build)(&given)?;
            if let CliCommand::Help(HelpTopic(Some(topic))) = &command {
                find(topic)?;
            }
            Ok(command)
        }
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
