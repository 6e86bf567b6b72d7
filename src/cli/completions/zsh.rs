//! Completions for zsh: a function for the program, and one for each command that has actions.

use super::offered::{flags, takes_files, words};
use crate::cli::input::Input;
use crate::cli::options::GlobalOptions;
use crate::cli::spec::CommandSpec;
use crate::cli::table::{self, Executable};

const ZSH_HEAD: &str = "#compdef servicenow-kafka-bridge
# zsh completion for servicenow-kafka-bridge(1); made by `servicenow-kafka-bridge completions zsh`
";

pub(super) fn script() -> String {
    let mut out = ZSH_HEAD.to_owned();
    let leaf = |action: Option<&str>, command: &CommandSpec| {
        let mut all = table::executables();
        let found = all.find(|it| it.command == command.name && it.action == action);
        found.map_or_else(String::new, |it| arguments(&it))
    };
    let commands = table::commands().map(|command| match command.actions {
        [] => (command, leaf(None, command)),
        _ => (command, format!("{}-{}", FUNCTION, command.name)),
    });
    function(&mut out, FUNCTION, commands);
    for command in table::commands().filter(|command| !command.actions.is_empty()) {
        let actions = command
            .actions
            .iter()
            .map(|action| (action, leaf(Some(action.name), command)));
        function(&mut out, &format!("{FUNCTION}-{}", command.name), actions);
    }
    out.push_str(&format!("\n{FUNCTION} \"$@\"\n"));
    out
}

const FUNCTION: &str = "_servicenow-kafka-bridge";

/// A function that completes one of some words, and then what belongs to that word.
fn function(
    out: &mut String,
    name: &str,
    words: impl Iterator<Item = (&'static CommandSpec, String)>,
) {
    let (mut items, mut cases) = (String::new(), String::new());
    for (spec, body) in words {
        let item = format!("{}:{}", spec.name, spec.summary);
        items.push_str(&format!("                {}\n", quoted(&item)));
        cases.push_str(&format!("                ({}) {body} ;;\n", spec.name));
    }
    let flags: Vec<String> = GlobalOptions::INPUTS.iter().map(specification).collect();
    let flags = flags.join(" ");
    out.push_str(&format!(
        r#"
{name}() {{
    local curcontext=$curcontext state line
    local -a items
    typeset -A opt_args
    _arguments -C {flags} '1: :->word' '*::: :->rest' && return
    case $state in
        (word)
            items=(
{items}            )
            _describe -t commands command items
            ;;
        (rest)
            words=($line[1] "${{words[@]}}")
            ((CURRENT++))
            case $line[1] in
{cases}            esac
            ;;
    esac
}}
"#
    ));
}

fn arguments(executable: &Executable) -> String {
    let flags = flags(executable).map(specification);
    let argument = executable.spec.inputs().find(|input| !input.is_flag());
    let choices = words(executable).join(" ");
    let argument = argument.map(|it| {
        quoted(&if takes_files(executable) {
            format!("*:{}:_files", it.name)
        } else {
            format!("1:{}:({choices})", it.name)
        })
    });
    let parts: Vec<String> = flags.chain(argument).collect();
    format!("_arguments {}", parts.join(" "))
}

/// A flag as `_arguments` takes it.
fn specification(flag: &Input) -> String {
    let equals = if flag.value_name().is_some() { "=" } else { "" };
    let spelling = match flag.letter {
        Some(letter) if equals.is_empty() => {
            format!(
                "'(-{letter} --{name})'{{-{letter},--{name}}}",
                name = flag.name
            )
        }
        Some(letter) => format!(
            "'(-{letter} --{name})'{{-{letter}+,--{name}=}}",
            name = flag.name
        ),
        None => format!("--{}{equals}", flag.name),
    };
    let text = flag.doc().replace('[', "\\[").replace(']', "\\]");
    let value = match (flag.value_name(), flag.is_file) {
        (None, _) => String::new(),
        (Some(name), true) => format!(":{name}:_files"),
        (Some(name), false) => format!(":{name}:({})", flag.choices().join(" ")),
    };
    spelling + &quoted(&format!("[{text}]{value}"))
}

/// Text as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
