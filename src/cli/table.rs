//! The table of commands. Parser, help texts, suggestions, the manual page and the completions of
//! shells are made from it.
//!
//! A new flag is a field of a struct in `options`; a new command is a [`CommandSpec`] that is named in
//! [`COMMANDS`], and a variant of `CliCommand`.

use std::fmt;

use super::input::Input;
use super::options::GlobalOptions;
use super::spec::CommandSpec;

pub(super) mod checkpoint;
pub(super) mod dead_letters;
pub(super) mod local;
pub(super) mod migrate;
pub(super) mod running_bridge;
pub(super) mod schema;
pub(super) mod verify;

pub(super) use local::{HELP_COMMAND, RUN_COMMAND};

/// What the program does.
pub(super) const ABOUT: &str =
    "moves records between ServiceNow tables and Kafka topics, both ways";

/// All commands, in the order in which they are listed.
pub(super) static COMMANDS: [&CommandSpec; 15] = [
    &RUN_COMMAND,
    &local::CHECK_COMMAND,
    &local::DOCTOR_COMMAND,
    &local::SHOW_CONFIG_COMMAND,
    &local::RELOAD_COMMAND,
    &checkpoint::CHECKPOINT_COMMAND,
    &dead_letters::DEAD_LETTERS_COMMAND,
    &schema::SCHEMA_COMMAND,
    &verify::VERIFY_COMMAND,
    &migrate::MIGRATE_COMMAND,
    &running_bridge::ADMIN_COMMAND,
    &local::VERSION_COMMAND,
    &HELP_COMMAND,
    &local::MAN_COMMAND,
    &local::COMPLETIONS_COMMAND,
];

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

/// The command of this name, or the page that explains a group of commands.
pub(super) fn page(name: &str) -> Option<&'static CommandSpec> {
    commands().chain(COMMANDS).find(|spec| spec.name == name)
}
