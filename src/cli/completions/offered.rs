//! What the completions of every shell offer.

use crate::cli::input::Input;
use crate::cli::options::GlobalOptions;
use crate::cli::table::{self, Executable};

/// Flags of a command, those of every command last.
pub(super) fn flags(executable: &Executable) -> impl Iterator<Item = &'static Input> + use<> {
    let own = executable.spec.inputs().filter(|input| input.is_flag());
    own.chain(GlobalOptions::INPUTS)
}

/// Every flag once.
pub(super) fn all_flags() -> Vec<&'static Input> {
    let mut all: Vec<&Input> = Vec::new();
    for flag in table::executables().flat_map(|it| flags(&it)) {
        if all.iter().all(|known| known.name != flag.name) {
            all.push(flag);
        }
    }
    all
}

/// `--config` and `-c`.
pub(super) fn spellings(flag: &Input) -> Vec<String> {
    let long = format!("--{}", flag.name);
    let short = flag.letter.map(|letter| format!("-{letter}"));
    [long].into_iter().chain(short).collect()
}

/// Words that may stand behind the name of a command, where they are known.
pub(super) fn words(executable: &Executable) -> Vec<&'static str> {
    if executable.spec == &table::HELP_COMMAND {
        return table::commands().map(|spec| spec.name).collect();
    }
    let mut arguments = executable.spec.inputs().filter(|input| !input.is_flag());
    arguments.next().map_or_else(Vec::new, Input::choices)
}

/// Whether files stand behind the name of a command.
pub(super) fn takes_files(executable: &Executable) -> bool {
    let mut inputs = executable.spec.inputs();
    inputs.any(|input| !input.is_flag() && input.is_file)
}
