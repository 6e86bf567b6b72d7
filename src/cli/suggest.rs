//! Words for a command line that makes no sense: what was probably meant, and where a flag belongs.

use super::options::GlobalOptions;
use super::table;
use crate::config::names::{closest, did_you_mean};

/// There is no such command, nor page of the help.
pub(super) fn unknown_command(word: &str) -> String {
    let names = || table::commands().map(|spec| spec.name);
    let hint = if closest(word, names()).is_some() {
        did_you_mean(word, names())
    } else if word.contains(['.', '/']) {
        format!("; a configuration is named with `--config {word}`")
    } else {
        String::new()
    };
    format!("unknown command `{word}`{hint}")
}

/// No command has this flag, which is given with its dashes.
pub(super) fn unknown_flag(flag: &str) -> String {
    let own = table::executables().flat_map(|it| it.spec.inputs());
    let all = GlobalOptions::INPUTS.iter().chain(own);
    let names = all.filter(|input| input.is_flag()).map(|input| input.name);
    let guess = flag
        .strip_prefix("--")
        .and_then(|name| closest(name, names));
    let hint = guess.map_or_else(String::new, |it| format!(", did you mean `--{it}`?"));
    format!("unknown option `{flag}`{hint}")
}

/// The flag exists, but not for `given`, which is `command` or an action of it.
pub(super) fn misplaced_flag(flag: &str, command: &str, given: &str) -> String {
    let mut owners: Vec<String> = Vec::new();
    for spec in table::commands() {
        let actions = spec
            .actions
            .iter()
            .filter(|action| action.flag(flag).is_some());
        let actions: Vec<_> = actions
            .map(|action| format!("`{} {}`", spec.name, action.name))
            .collect();
        if spec.flag(flag).is_some() || (actions.len() > 1 && spec.name != command) {
            owners.push(format!("`{}`", spec.name));
        } else {
            owners.extend(actions);
        }
    }
    let owners = listed(&owners, "and");
    format!("`--{flag}` belongs to {owners}, not to `{given}`")
}

/// `a, b and c`.
pub(super) fn listed(words: &[impl AsRef<str>], last: &str) -> String {
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        match words.len() - at {
            1 if at > 0 => text.push_str(&format!(" {last} ")),
            _ if at > 0 => text.push_str(", "),
            _ => {}
        }
        text.push_str(word.as_ref());
    }
    text
}
