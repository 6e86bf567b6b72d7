//! What is made of the table of commands: nothing of it is missing anywhere.

use std::collections::BTreeMap;

use super::*;
use crate::cli::exit_code;
use crate::cli::input::Input;
use crate::cli::options::{GlobalOptions, error_kinds};
use crate::cli::spec::CommandSpec;
use crate::cli::table;
use crate::config::KeyShape;

#[test]
fn the_general_help_names_every_command_and_exit_code() {
    let text = help(&HelpTopic(None));
    let words = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let begun: Vec<String> = text.lines().filter_map(words).collect();
    for spec in table::commands() {
        assert!(begun.iter().any(|word| word == spec.name), "{}", spec.name);
    }
    for (code, _) in exit_code::ALL {
        assert!(text.contains(&format!("\n  {code} ")), "{code}");
    }
}

#[test]
fn every_command_ends_with_exit_codes_of_the_program() {
    for spec in table::commands() {
        for (code, text) in spec.exit_codes {
            let is_known = exit_code::ALL.iter().any(|(known, _)| known == code);
            assert!(is_known, "{}: {code} {text}", spec.name);
        }
    }
}

/// Everything there is a help text of.
fn topics() -> Vec<HelpTopic> {
    let all = table::commands().chain(table::COMMANDS);
    [HelpTopic(None)]
        .into_iter()
        .chain(all.map(|spec| HelpTopic(Some(spec.name.to_owned()))))
        .collect()
}

#[test]
fn every_help_text_has_its_parts_and_fits_a_terminal() {
    for topic in topics() {
        let text = help(&topic);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{topic:?}: {line}");
            assert_eq!(line.trim_end(), line, "{topic:?}");
        }
        assert!(
            text.ends_with('\n') && !text.contains("\n\n\n"),
            "{topic:?}"
        );
        for part in [
            "usage: servicenow-kafka-bridge ",
            "example",
            "exit codes:\n  0 ",
        ] {
            assert!(text.contains(part), "{topic:?}: {part}");
        }
    }
}

/// The flags of a command and its actions.
fn flags_of(spec: &'static CommandSpec) -> impl Iterator<Item = &'static Input> {
    let actions = spec.actions.iter().flat_map(CommandSpec::inputs);
    spec.inputs().chain(actions).filter(|input| input.is_flag())
}

#[test]
fn every_command_and_flag_is_in_help_manual_and_completions() {
    let page = man(ManualPage::Program);
    let sections: BTreeMap<&str, &str> = page
        .split("\n.SS ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .collect();
    let scripts = [Shell::Bash, Shell::Zsh, Shell::Fish].map(completions);
    for spec in table::commands() {
        let name = spec.name.replace('-', "\\-");
        let section = sections.get(name.as_str()).unwrap();
        let text = help(&HelpTopic(Some(spec.name.to_owned())));
        for script in &scripts {
            assert!(script.contains(spec.name), "{spec:?}");
        }
        for action in spec.actions {
            let words = format!("{} {}", spec.name, action.name);
            assert!(text.contains(&words), "{words}");
            assert!(section.contains(&words.replace('-', "\\-")), "{words}");
        }
        for flag in flags_of(spec) {
            let (long, context) = (
                format!("--{}", flag.name),
                format!("{spec:?} {}", flag.name),
            );
            assert!(text.contains(&long), "{context}");
            assert!(section.contains(&long.replace('-', "\\-")), "{context}");
        }
        for executable in table::executables().filter(|it| it.command == spec.name) {
            let flags = executable.spec.inputs().filter(|input| input.is_flag());
            for flag in flags {
                assert!(
                    offers(&scripts, &executable.to_string(), flag.name),
                    "{spec:?} {}",
                    flag.name
                );
            }
        }
    }
}

/// Whether each script offers the flag of this command.
fn offers(scripts: &[String; 3], command: &str, flag: &str) -> bool {
    let [bash, zsh, fish] = scripts;
    let bash = bash.lines().any(|line| {
        let starts = [format!("'{command}')"), format!("'{command} ')")];
        let mut starts = starts.iter();
        let mut words = line.split([' ', '\'']);
        starts.any(|start| line.trim_start().starts_with(start.as_str()))
            && words.any(|word| word == format!("--{flag}"))
    });
    let last = command.split(' ').next_back().unwrap();
    let zsh = zsh.lines().any(|line| {
        line.trim_start()
            .starts_with(&format!("({last}) _arguments"))
            && line.contains(&format!("--{flag}"))
    });
    let fish = fish.lines().any(|line| {
        line.contains(&format!("-p {command}'")) && line.contains(&format!(" -l {flag} "))
    });
    bash && zsh && fish
}

#[test]
fn the_table_is_consistent() {
    let mut known: BTreeMap<&str, &Input> = BTreeMap::new();
    let all = table::executables().flat_map(|it| it.spec.inputs());
    for flag in GlobalOptions::INPUTS
        .iter()
        .chain(all)
        .filter(|it| it.is_flag())
    {
        // The parser looks at a flag before it knows the command.
        let first = known.entry(flag.name).or_insert(flag);
        assert_eq!(
            (first.kind, first.letter),
            (flag.kind, flag.letter),
            "{}",
            flag.name
        );
        assert!(
            !flag.doc().is_empty() && !flag.doc().ends_with('.'),
            "{}",
            flag.name
        );
    }
    let mut names: Vec<&str> = table::commands().map(|spec| spec.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for executable in table::executables() {
        let summary = executable.spec.summary;
        assert!(
            !summary.is_empty() && !summary.ends_with('.'),
            "{executable}"
        );
    }
}

#[test]
fn the_help_names_every_kind_of_error() {
    let text = help(&HelpTopic(Some("dead-letters".to_owned())));
    let known = |word: &str| text.split([' ', ',', ';', ':', '\n']).any(|it| it == word);
    for kind in error_kinds() {
        assert!(known(kind), "{kind}");
    }
}

#[test]
fn the_page_on_the_configuration_has_every_key() {
    let page = man(ManualPage::Config);
    for key in crate::config::keys() {
        let path = key.path.replace('-', "\\-");
        let is_there = match key.shape {
            KeyShape::Value => page.contains(&format!("\n\\fB{path}\\fR\n")),
            KeyShape::Section => page.contains(&format!("\n.SS {path}\n")),
            KeyShape::List => page.contains(&format!("\n.SS {path}[]\n")),
        };
        assert!(is_there, "{path}");
    }
    assert!(page.contains("which must be set"), "{page}");
    assert!(!page.contains("src/config"), "{page}");
}

/// Each part is found in the handbook, and nothing of its Markdown is left.
#[test]
fn the_overview_is_made_of_the_handbook() {
    let page = man(ManualPage::Overview);
    let parts: Vec<&str> = page.split("\n.SH ").skip(2).collect();
    assert_eq!(parts.len(), 6, "{page}");
    for part in parts {
        assert!(part.lines().count() > 1, "{part}");
    }
    for sign in ["**", "](", "\n|", "`", "\n- "] {
        assert!(!page.contains(sign), "{sign}: {page}");
    }
}
