//! A command of the handbook can be pasted with what stands behind it.

use std::fs;

use super::links::pages;

/// What a line begins with that is to be pasted.
const PROGRAMS: [&str; 9] = [
    "servicenow-kafka-bridge",
    "cargo",
    "curl",
    "docker",
    "helm",
    "kubectl",
    "make",
    "sudo",
    "systemctl",
];

/// Whether words stand behind a command, which a shell would take for its arguments.
fn has_words_behind(line: &str) -> bool {
    let Some(command) = line.strip_prefix("    ") else {
        return false;
    };
    let program = command.split(' ').next().unwrap_or_default();
    let (_, behind) = command.split_once("  ").unwrap_or_default();
    let behind = behind.trim_start();
    PROGRAMS.contains(&program) && !behind.is_empty() && !behind.starts_with(['#', '\\', '|'])
}

#[test]
fn words_behind_a_command_are_a_comment() {
    for page in pages() {
        for line in fs::read_to_string(&page).unwrap().lines() {
            assert!(!has_words_behind(line), "{}: {line}", page.display());
        }
    }
    assert!(has_words_behind("    make static      one binary"));
    assert!(!has_words_behind("    make static      # one binary"));
    assert!(!has_words_behind("make static      one binary"));
}
