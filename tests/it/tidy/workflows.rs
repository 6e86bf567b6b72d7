//! Rules about the workflows: whose code runs in them, and what it may do.

use std::collections::BTreeMap;
use std::fs;

use super::root;

/// The texts of the workflows by their names.
fn workflows() -> BTreeMap<String, String> {
    let entries = fs::read_dir(root().join(".github/workflows")).unwrap();
    let paths = entries.map(|it| it.unwrap().path());
    let named = paths.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    named.collect()
}

/// What is wrong with the way an action is named; a tag can be moved to other code, a commit cannot.
fn fault_of(line: &str) -> Option<&'static str> {
    let Some((_, action)) = line.split_once("uses: ") else {
        return Some("`uses:` with its value on another line");
    };
    let (named, comment) = action.split_once(" # ").unwrap_or((action, ""));
    let (_, commit) = named.split_once('@').unwrap_or((named, ""));
    let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
    if !is_commit {
        return Some("not named by its commit");
    }
    (!comment.starts_with('v')).then_some("its version is not in a comment behind it")
}

#[test]
fn actions_are_named_by_their_commit() {
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in workflows() {
        for line in text.lines().filter(|line| line.contains("uses:")) {
            assert_eq!(fault_of(line), None, "{name}: {line}");
            let (_, action) = line.split_once("uses: ").unwrap();
            let (action, version) = action.split_once('@').unwrap();
            let known = versions
                .entry(action.to_owned())
                .or_insert_with(|| version.to_owned());
            assert_eq!(known, version, "{name}: two versions of {action}");
        }
    }
    assert!(versions.len() > 3, "{versions:?}");
}

#[test]
fn an_action_with_a_tag_is_found() {
    let commit = "3d3c42e5aac5ba805825da76410c181273ba90b1";
    for (bad, good) in [
        ("- uses: a/b@v7".to_owned(), false),
        ("- uses: a/b".to_owned(), false),
        (format!("- uses: a/b@{}", &commit[..7]), false),
        (format!("- uses: a/b@{commit}"), false),
        (format!("- uses: a/b@{commit} # v7.0.1"), true),
    ] {
        assert_eq!(fault_of(&bad).is_none(), good, "{bad}");
    }
}

/// A job has the rights that it names, and no other.
#[test]
fn workflows_have_no_rights_but_those_of_their_jobs() {
    for (name, text) in workflows() {
        assert!(text.contains("\npermissions: {}\n"), "{name}");
        let jobs = text.matches("    runs-on: ").count();
        assert_eq!(text.matches("    permissions:\n").count(), jobs, "{name}");
        let checkouts = text.matches("uses: actions/checkout@").count();
        let without = text.matches("persist-credentials: false").count();
        assert_eq!(checkouts, without, "{name}: a checkout keeps the token");
    }
}
