//! Names and words: a name means one thing, and comments are plain sentences.

use std::collections::BTreeMap;
use std::fs;

use super::{product, root, sources};

/// Words that hide who does something, or stand for a term of this field. Whole words, in comments.
const RIDDLES: [&str; 8] = [
    "somebody",
    "nobody",
    "anybody",
    "everybody",
    "whoever",
    "heard of",
    "what is out",
    "in doubt",
];

/// The name that a line declares behind one of `keywords`.
fn declared<'l>(line: &'l str, keywords: &[&str]) -> Option<&'l str> {
    let line = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ")?.1,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let rest = keywords.iter().find_map(|word| line.strip_prefix(word))?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &rest[..end.unwrap_or(rest.len())];
    // A function may be `const` as well.
    (name != "fn").then_some(name)
}

/// Every name that is declared more than once behind one of `keywords`, and where. A declaration
/// stands at the beginning of a line, so that associated types and constants of a function are free.
fn repeated(keywords: &[&str], free: &[&str]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in product() {
        for name in text.lines().filter_map(|line| declared(line, keywords)) {
            let found = places.entry(name.to_owned()).or_default();
            found.push(path.clone());
        }
    }
    assert!(places.len() > 100, "declarations are not found any more");
    let repeated = places
        .into_iter()
        .filter(|(name, places)| places.len() > 1 && !free.contains(&name.as_str()));
    repeated
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect()
}

/// `Error` is each module's own, as everywhere in Rust.
#[test]
fn no_two_types_share_a_name() {
    let keywords = ["struct ", "enum ", "trait ", "union ", "type "];
    let wrong = repeated(&keywords, &["Error"]);
    assert!(
        wrong.is_empty(),
        "one name, two types:\n{}",
        wrong.join("\n")
    );
}

/// Two constants that mean the same are one constant; two that do not have two names.
#[test]
fn no_two_constants_share_a_name() {
    let wrong = repeated(&["const ", "static "], &[]);
    assert!(
        wrong.is_empty(),
        "one name, two constants:\n{}",
        wrong.join("\n")
    );
}

/// The text of the comment in a line, if there is one.
fn comment(line: &str) -> Option<&str> {
    let start = if line.trim_start().starts_with("//") {
        line.find("//")?
    } else {
        line.find(" // ")?
    };
    Some(&line[start..])
}

fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + word.len()..]);
        !is_letter(before.chars().next_back()) && !is_letter(behind.chars().next())
    })
}

#[test]
fn comments_have_no_riddles() {
    let folders = [root().join("src"), root().join("tests")];
    let mut wrong = Vec::new();
    for file in folders.iter().flat_map(|folder| sources(folder)) {
        let text = fs::read_to_string(&file).unwrap();
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let comment = comment(line).unwrap_or_default().to_lowercase();
            if RIDDLES.iter().any(|word| has_word(&comment, word)) {
                lines.push((number + 1).to_string());
            }
        }
        if !lines.is_empty() {
            let place = file.strip_prefix(root()).unwrap().display();
            wrong.push(format!("{place}: line {}", lines.join(", ")));
        }
    }
    assert!(
        wrong.is_empty(),
        "say who does what and why, without {RIDDLES:?} (CONTRIBUTING.md, Style):\n{}",
        wrong.join("\n")
    );
}
