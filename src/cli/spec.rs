//! What the table of commands says of one command.

use std::fmt;

use super::command::{CliCommand, HelpTopic};
use super::given::GivenArguments;
use super::input::Input;

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
    /// Its flags and arguments. The flags of every command are not repeated.
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
