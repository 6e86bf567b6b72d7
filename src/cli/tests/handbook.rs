//! The command lines that the handbook shows make sense.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::parse;
use crate::cli::exit_code;

const PROGRAM: &str = "servicenow-kafka-bridge ";
/// What ends a call in a line: two blanks before an explanation, and what a shell reads.
const ENDS: [&str; 9] = ["  ", " #", " |", " >", " &&", ";", " (", " \\", ": "];

/// The Markdown files of the project that show command lines.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let markdown = |folder: &str| {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let paths = entries.map(|it| it.unwrap().path());
        paths.filter(|it| it.extension().is_some_and(|extension| extension == "md"))
    };
    let folders = ["", "docs", "docs/runbooks"];
    folders.into_iter().flat_map(markdown).collect()
}

/// What is behind the program's name where a text begins with a call of it.
fn arguments(text: &str) -> Option<&str> {
    let (before, call) = text.split_once(PROGRAM)?;
    let is_call = ["", "sudo ", "./", "docker compose exec bridge "].contains(&before)
        || before.starts_with("sudo -u ");
    let end = |call, end: &&str| str::split(call, *end).next().unwrap_or_default();
    let call = ENDS.iter().fold(call, end).trim();
    let first = call.split(' ').next().unwrap_or_default();
    let is_command = first.starts_with('-') || parse::find(first).is_ok();
    (is_call && is_command).then_some(call)
}

/// The calls in a page: in lines of code, and in back quotes where they are more than a command's name.
fn calls(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in page.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code || line.starts_with("    ") {
            found.extend(arguments(line.trim_start()));
        } else {
            let quoted = line.split('`').skip(1).step_by(2).filter_map(arguments);
            found.extend(quoted.filter(|call| call.split(' ').count() > 2));
        }
    }
    found
}

/// The words of a call as a shell would give them. What may be left out is tried as if it stood there, and
/// a variable, or TIME, as if it were 1.
fn words(call: &str) -> Vec<OsString> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in call.replace(['[', ']'], "").chars() {
        match (quote, letter) {
            (None, ' ') => words.push(String::new()),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if letter == open => quote = None,
            _ => words.last_mut().unwrap().push(letter),
        }
    }
    let is_variable = |word: &str| word == "TIME" || word.starts_with('$');
    let value = |word: String| {
        if is_variable(&word) {
            "1".to_owned()
        } else {
            word
        }
    };
    words.into_iter().map(|word| value(word).into()).collect()
}

#[test]
fn every_command_line_of_the_handbook_makes_sense() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in pages() {
        for call in calls(&fs::read_to_string(&path).unwrap()) {
            seen += 1;
            if let Err(why) = parse(words(call).into_iter()) {
                wrong.push(format!("{}: `{call}`: {why}", path.display()));
            }
        }
    }
    assert!(seen > 30, "only {seen} command lines were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_handbook_has_the_exit_codes_of_the_help() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let (_, table) = page
        .split_once("| exit code | means |\n|---|---|\n")
        .unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let expected = exit_code::ALL.iter();
    let expected = expected.map(|(code, text)| format!("| {code} | {text} |"));
    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn a_call_is_found_and_taken_apart() {
    let page = "`servicenow-kafka-bridge probe` and `servicenow-kafka-bridge pause a b`\n\
                \n    sudo -u x servicenow-kafka-bridge checkpoint set \"$t\" --timestamp '2h 1'   why\n\
                \n    servicenow-kafka-bridge@emea is no call, nor is\n    servicenow-kafka-bridge of others\n";
    let found = calls(page);
    assert_eq!(
        found,
        ["pause a b", "checkpoint set \"$t\" --timestamp '2h 1'"]
    );
    let expected = ["checkpoint", "set", "1", "--timestamp", "2h 1"];
    assert_eq!(words(found[1]), expected);
}
