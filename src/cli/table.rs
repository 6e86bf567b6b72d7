//! The table of commands. Parser, help texts, suggestions, the manual page and the completions of
//! shells are made from it.
//!
//! A new flag is a field of an options struct below; a new command is a [`CommandSpec`] that is named
//! in [`COMMANDS`], and a variant of [`CliCommand`].

use std::fmt;

use super::command::{CliCommand, HelpTopic};
use super::input::{Input, options};
use super::parse::GivenArguments;

pub(super) mod checkpoint;
pub(super) mod dead_letters;
pub(super) mod local;
pub(super) mod running_bridge;
pub(super) mod schema;

pub(super) use local::{HELP_COMMAND, RUN_COMMAND};

/// What the program does.
pub(super) const ABOUT: &str =
    "moves records between ServiceNow tables and Kafka topics, both ways";

/// Exit codes of all commands.
pub(super) const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done"),
    (
        1,
        "some dead letters could not be replayed; the running bridge refused",
    ),
    (64, "the command line makes no sense"),
    (70, "a bug in this program"),
    (
        75,
        "stopped with work undelivered, something did not answer, or the port or the checkpoint \
         file is in use; safe to start again",
    ),
    (
        78,
        "the configuration or the checkpoint file must be put right first",
    ),
];

/// All commands, in the order in which they are listed.
pub(super) static COMMANDS: [&CommandSpec; 12] = [
    &RUN_COMMAND,
    &local::CHECK_COMMAND,
    &local::SHOW_CONFIG_COMMAND,
    &local::RELOAD_COMMAND,
    &checkpoint::CHECKPOINT_COMMAND,
    &dead_letters::DEAD_LETTERS_COMMAND,
    &schema::SCHEMA_COMMAND,
    &running_bridge::ADMIN_COMMAND,
    &local::VERSION_COMMAND,
    &HELP_COMMAND,
    &local::MAN_COMMAND,
    &local::COMPLETIONS_COMMAND,
];

options! {
    /// Flags of every command.
    pub(super) struct GlobalOptions {
        /// the configuration (default: config.yaml)
        config: Option<std::path::PathBuf> = value("config", "FILE").short('c').file();
        /// as `version`
        version: bool = switch("version").short('V');
        /// as `help`
        help: bool = switch("help").short('h');
    }
}

impl GlobalOptions {
    pub(super) fn find(name: &str) -> Option<&'static Input> {
        GlobalOptions::INPUTS.iter().find(|flag| flag.name == name)
    }
}

/// Flags and arguments that the help shows together.
pub(super) struct InputGroup {
    pub(super) heading: &'static str,
    /// What the usage line says instead of naming each.
    pub(super) usage: Option<&'static str>,
    pub(super) inputs: &'static [Input],
}

/// Heading of the flags that have no other.
pub(super) const OPTIONS: &str = "options";

pub(super) const fn options_of(inputs: &'static [Input]) -> InputGroup {
    InputGroup {
        heading: OPTIONS,
        usage: None,
        inputs,
    }
}

/// Makes lists of words, each with a name.
type WordLists = fn() -> Vec<(String, String)>;

/// A command, or one of the actions of a command.
///
/// Texts are in the style of the help: backquotes around what is typed, lines below 100 columns.
pub(super) struct CommandSpec {
    /// The word on the command line.
    pub(super) name: &'static str,
    /// What it does: one line that begins with a small letter and has no full stop.
    pub(super) summary: &'static str,
    /// What else to know before one uses it: paragraphs, with an empty line between two.
    pub(super) details: &'static str,
    /// Its flags and arguments. [`GlobalOptions`] are not repeated.
    pub(super) inputs: &'static [InputGroup],
    /// What a command can do that does more than one thing; it must be said which.
    pub(super) actions: &'static [CommandSpec],
    /// The actions are commands of their own, and this is only the page that explains them together.
    pub(super) is_group: bool,
    /// Lists of words that a flag takes, with a heading.
    pub(super) glossary: Option<(&'static str, WordLists)>,
    /// Arguments of the program.
    pub(super) examples: &'static [&'static str],
    /// Exit codes and what they mean here.
    pub(super) exit_codes: &'static [(u8, &'static str)],
    /// It reads the configuration, so that `-c FILE` makes a difference.
    pub(super) uses_configuration: bool,
    /// Makes the command from its flags and arguments, or says what is wrong with them.
    pub(super) build: fn(&GivenArguments) -> Result<CliCommand, String>,
}

impl CommandSpec {
    /// A command with nothing but what others are completed with.
    pub(super) const EMPTY: CommandSpec = CommandSpec {
        name: "",
        summary: "",
        details: "",
        inputs: &[],
        actions: &[],
        is_group: false,
        glossary: None,
        examples: &[],
        exit_codes: &[],
        uses_configuration: true,
        build: |_| Ok(CliCommand::Help(HelpTopic(None))),
    };

    /// Its flags and arguments.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &'static Input> + use<> {
        self.inputs.iter().flat_map(|group| group.inputs)
    }

    pub(super) fn flag(&self, name: &str) -> Option<&'static Input> {
        self.inputs()
            .find(|input| input.is_flag() && input.name == name)
    }
}

/// Names are unique in the table.
impl PartialEq for CommandSpec {
    fn eq(&self, other: &CommandSpec) -> bool {
        self.name == other.name
    }
}

impl Eq for CommandSpec {}

impl fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A command that can be executed, with the words that name it.
#[derive(Clone, Copy)]
pub(super) struct Executable {
    /// The first word.
    pub(super) command: &'static str,
    /// The second word of a command with actions.
    pub(super) action: Option<&'static str>,
    pub(super) spec: &'static CommandSpec,
}

impl fmt::Display for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command)?;
        match self.action {
            Some(action) => write!(f, " {action}"),
            None => Ok(()),
        }
    }
}

/// Everything that may be the first word, in the order of the table.
pub(super) fn commands() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.into_iter().flat_map(|spec| {
        if spec.is_group {
            spec.actions.iter()
        } else {
            std::slice::from_ref(spec).iter()
        }
    })
}

/// Everything that can be executed, in the order of the table.
pub(super) fn executables() -> impl Iterator<Item = Executable> {
    commands().flat_map(|command| {
        let alone = command.actions.is_empty().then_some(command);
        let actions = command.actions.iter().map(|spec| (Some(spec.name), spec));
        let all = alone.map(|spec| (None, spec)).into_iter().chain(actions);
        all.map(|(action, spec)| Executable {
            command: command.name,
            action,
            spec,
        })
    })
}

/// The flag of this name, of whichever command: flags of one name are alike in all commands.
pub(super) fn flag(is_it: impl Fn(&Input) -> bool) -> Option<&'static Input> {
    let own = executables().flat_map(|it| it.spec.inputs());
    let mut all = GlobalOptions::INPUTS.iter().chain(own);
    all.find(|input| input.is_flag() && is_it(input))
}
