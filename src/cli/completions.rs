//! Scripts that let a shell complete commands, flags and their values.

mod bash;
mod fish;
mod zsh;

use super::input::Input;
use super::table::{self, Executable, GlobalOptions};
use super::values::Shell;

/// The script for a shell.
pub fn completions(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash::script(),
        Shell::Zsh => zsh::script(),
        Shell::Fish => fish::script(),
    }
}

/// Flags of a command, those of every command last.
fn flags(executable: &Executable) -> impl Iterator<Item = &'static Input> + use<> {
    let own = executable.spec.inputs().filter(|input| input.is_flag());
    own.chain(GlobalOptions::INPUTS)
}

/// Every flag once.
fn all_flags() -> Vec<&'static Input> {
    let mut all: Vec<&Input> = Vec::new();
    for flag in table::executables().flat_map(|it| flags(&it)) {
        if all.iter().all(|known| known.name != flag.name) {
            all.push(flag);
        }
    }
    all
}

/// `--config` and `-c`.
fn spellings(flag: &Input) -> Vec<String> {
    let long = format!("--{}", flag.name);
    let short = flag.letter.map(|letter| format!("-{letter}"));
    [long].into_iter().chain(short).collect()
}

/// Words that may stand behind the name of a command, where they are known.
fn words(executable: &Executable) -> Vec<&'static str> {
    if executable.spec == &table::HELP_COMMAND {
        return table::commands().map(|spec| spec.name).collect();
    }
    let mut arguments = executable.spec.inputs().filter(|input| !input.is_flag());
    arguments.next().map_or_else(Vec::new, Input::choices)
}
