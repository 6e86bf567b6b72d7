//! What the help and the manual page say of a command, before either gives it a form.

use std::collections::BTreeMap;

use super::exit_code;
use super::input::Input;
use super::options::GlobalOptions;
use super::spec::{CommandSpec, OPTIONS};
use super::table;

/// Heading of the exit codes.
pub(super) const EXIT_CODES_HEADING: &str = "exit codes";

/// A part of a page.
pub(super) enum Block {
    /// Ways to call the program, without its name.
    Usage(Vec<String>),
    /// Paragraphs.
    Text(String),
    /// Terms and what they mean, below a heading, which may be empty.
    List(String, Vec<(String, String)>),
    /// Lines that someone may type, below a heading; each begins with arguments of the program.
    Examples(&'static [&'static str]),
}

/// The page of a command.
pub(super) fn of_command(spec: &'static CommandSpec) -> Vec<Block> {
    let mut blocks = vec![Block::Usage(usage(spec))];
    // What the commands of a group share does not say what each is for.
    if table::COMMANDS
        .iter()
        .any(|it| it.is_group && it.actions.contains(spec))
    {
        blocks.push(Block::Text(format!("{}.", capitalised(spec.summary))));
    }
    blocks.push(Block::Text(spec.details.to_owned()));
    if !spec.actions.is_empty() {
        let item = |action: &CommandSpec| {
            let more = match action.details {
                more if more.is_empty() || spec.is_group => String::new(),
                more => format!(". {more}"),
            };
            (action.name.to_owned(), format!("{}{more}", action.summary))
        };
        let actions = spec.actions.iter().map(item).collect();
        blocks.push(Block::List(String::new(), actions));
    }
    blocks.extend(flag_lists(spec));
    if let Some((heading, lists)) = spec.glossary {
        blocks.push(Block::List(heading.to_owned(), lists()));
    }
    blocks.push(Block::Examples(spec.examples));
    blocks.push(exit_codes(spec.exit_codes));
    blocks
}

/// The page of the program as a whole.
pub(super) fn of_program() -> Vec<Block> {
    let local = table::COMMANDS.into_iter().filter(|spec| !spec.is_group);
    let mut blocks = vec![
        Block::Text(format!("servicenow-kafka-bridge {}.", table::ABOUT)),
        Block::Usage(vec!["[COMMAND] [-c FILE]".to_owned()]),
        Block::List("commands".to_owned(), local.map(listed).collect()),
    ];
    for group in table::COMMANDS.into_iter().filter(|spec| spec.is_group) {
        let heading = format!("{} (`help {}`)", group.summary, group.name);
        blocks.push(Block::List(
            heading,
            group.actions.iter().map(listed).collect(),
        ));
    }
    let flags = GlobalOptions::INPUTS.iter().map(described).collect();
    blocks.push(Block::List(OPTIONS.to_owned(), flags));
    blocks.push(Block::Text(
        "-config and -version with one dash work too.".to_owned(),
    ));
    blocks.push(Block::Examples(&[
        "check --connect -c /etc/servicenow-kafka-bridge/config.yaml",
        "-c /etc/servicenow-kafka-bridge/config.yaml",
    ]));
    blocks.push(exit_codes(exit_code::ALL));
    blocks
}

/// A command in a list of all, with the name of what it is followed by.
fn listed(spec: &'static CommandSpec) -> (String, String) {
    let argument = spec.inputs().find(|input| !input.is_flag());
    let argument = argument.map_or_else(String::new, |it| format!(" {}", it.name));
    (format!("{}{argument}", spec.name), spec.summary.to_owned())
}

pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|it| it.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn described(flag: &Input) -> (String, String) {
    (flag.in_list(), flag.doc().to_owned())
}

fn exit_codes(codes: &'static [(u8, &'static str)]) -> Block {
    let item = |(code, text): &(u8, &str)| (code.to_string(), text.to_string());
    Block::List(
        EXIT_CODES_HEADING.to_owned(),
        codes.iter().map(item).collect(),
    )
}

fn usage(page: &'static CommandSpec) -> Vec<String> {
    let name = |spec: &CommandSpec| match page.actions {
        [] if page == &table::RUN_COMMAND => "[run]".to_owned(),
        [] => page.name.to_owned(),
        _ if page.is_group => spec.name.to_owned(),
        _ => format!("{} {}", page.name, spec.name),
    };
    let line = |spec| format!("{}{}", name(spec), usage_of_inputs(spec));
    let mut lines: Vec<String> = executables_of(page).iter().map(line).collect();
    // Once is enough for what all of them take.
    if page.uses_configuration
        && let (Some(first), Some(config)) = (lines.first_mut(), GlobalOptions::find("config"))
    {
        first.push_str(&format!(" {}", config.in_usage()));
    }
    lines
}

fn usage_of_inputs(spec: &CommandSpec) -> String {
    let mut words: Vec<String> = Vec::new();
    let arguments = spec.inputs().filter(|input| !input.is_flag());
    words.extend(arguments.map(Input::in_usage));
    for group in spec.inputs {
        let flags = group.inputs.iter().filter(|input| input.is_flag());
        match group.usage {
            Some(usage) => words.push(usage.to_owned()),
            None => words.extend(flags.map(Input::in_usage)),
        }
    }
    words.iter().map(|word| format!(" {word}")).collect()
}

/// The flags of a command below their headings, those of its actions together.
fn flag_lists(page: &'static CommandSpec) -> Vec<Block> {
    // Flags with a heading of their own come first.
    let mut lists: BTreeMap<(bool, &str), Vec<&Input>> = BTreeMap::new();
    for group in executables_of(page).iter().flat_map(|spec| spec.inputs) {
        let list = lists.entry((group.heading == OPTIONS, group.heading));
        let list = list.or_default();
        for flag in group.inputs.iter().filter(|input| input.is_flag()) {
            if list.iter().all(|known| known.name != flag.name) {
                list.push(flag);
            }
        }
    }
    if page.uses_configuration {
        let options = lists.entry((true, OPTIONS)).or_default();
        options.extend(GlobalOptions::find("config"));
    }
    let block = |((is_last, heading), flags): ((bool, &str), Vec<&Input>)| {
        let item = |flag: &Input| (flag.in_list(), meaning(flag, page, !is_last));
        Block::List(heading.to_owned(), flags.into_iter().map(item).collect())
    };
    lists.into_iter().map(block).collect()
}

fn executables_of(page: &'static CommandSpec) -> &'static [CommandSpec] {
    match page.actions {
        [] => std::slice::from_ref(page),
        actions => actions,
    }
}

/// What a flag does, and for which actions where it is not the same for all of them. Flags that stand
/// together below a heading of their own belong to the same actions, so that it is not said of each.
fn meaning(flag: &Input, page: &'static CommandSpec, is_headed: bool) -> String {
    let actions = executables_of(page);
    let mut docs: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut count = 0;
    for action in actions {
        let Some(own) = action.flag(flag.name) else {
            continue;
        };
        count += 1;
        match docs.iter_mut().find(|(doc, _)| *doc == own.doc()) {
            Some((_, names)) => names.push(action.name),
            None => docs.push((own.doc(), vec![action.name])),
        }
    }
    if docs.len() < 2 && (is_headed || count == 0 || count == actions.len()) {
        return flag.doc().to_owned();
    }
    let docs = docs
        .iter()
        .map(|(doc, names)| format!("{}: {doc}", names.join(", ")));
    docs.collect::<Vec<String>>().join("; ")
}
