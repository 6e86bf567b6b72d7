//! Rules about the handbook: its links lead somewhere, and its contents name each page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::root;

/// The Markdown files that are read on their own: those at the top, and all below `docs`.
pub(super) fn pages() -> Vec<PathBuf> {
    let mut found = markdown_in(&root());
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        found.extend(markdown_in(&folder));
        let entries = fs::read_dir(&folder).unwrap();
        folders.extend(
            entries
                .map(|it| it.unwrap().path())
                .filter(|it| it.is_dir()),
        );
    }
    found.sort();
    found
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|it| it.unwrap().path());
    paths
        .filter(|it| it.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// A page without its blocks of code, in which `#` and `[` mean something else.
fn prose(page: &str) -> String {
    let mut in_code = false;
    let mut kept = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code && !line.starts_with("    ") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The text of a line of prose without what stands in back quotes.
fn without_code(line: &str) -> String {
    let parts = line.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 0 { part } else { "code" })
        .collect()
}

/// Where the links of a page lead, as they are written.
fn targets(page: &str) -> Vec<String> {
    let prose: Vec<String> = prose(page).lines().map(without_code).collect();
    let text = prose.join("\n");
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

/// The anchors of a page's headings, by GitHub's rule: letters, digits, `-` and `_` stay, in lower case,
/// blanks become `-`, and a heading that comes again has a number behind it.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in prose(page).lines() {
        let heading = line.trim_start_matches('#');
        if !line.starts_with('#') || !heading.starts_with(' ') {
            continue;
        }
        let mut anchor = String::new();
        for letter in heading.trim().to_lowercase().chars() {
            match letter {
                ' ' => anchor.push('-'),
                '-' | '_' => anchor.push(letter),
                _ if letter.is_alphanumeric() => anchor.push(letter),
                _ => {}
            }
        }
        let times = seen.entry(anchor.clone()).or_default();
        *times += 1;
        found.insert(match *times {
            1 => anchor,
            again => format!("{anchor}-{}", again - 1),
        });
    }
    found
}

/// Why a link of the page at `path`, with this text, leads nowhere.
fn fault(path: &Path, page: &str, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let linked = path.parent().unwrap().join(file);
    let linked_page = if file.is_empty() {
        page.to_owned()
    } else if !linked.exists() {
        return Some("there is no such file");
    } else if anchor.is_empty() {
        return None;
    } else {
        fs::read_to_string(&linked).ok()?
    };
    let is_there = anchor.is_empty() || anchors(&linked_page).contains(anchor);
    (!is_there).then_some("the page has no such heading")
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    let mut looked_at = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for target in targets(&page) {
            looked_at += 1;
            if let Some(why) = fault(&path, &page, &target) {
                let path = path.strip_prefix(root()).unwrap();
                broken.push(format!("{}: ({target}): {why}", path.display()));
            }
        }
    }
    assert!(looked_at > 50, "only {looked_at} links were found");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_broken_link_is_found() {
    let path = root().join("docs/page.md");
    let page = "# One `word`: two\n## Same\n## Same\n\
                [a](#one-word-two) [b](#same-1) [c](operations.md) [d](https://example.com/x)\n\
                [e](#same-2) [f](no-such-page.md) [g](operations.md#no-such-heading)\n\
                `[h](no.md)`\n```\n[i](no.md)\n# j\n```\n";
    let broken: Vec<String> = targets(page)
        .into_iter()
        .filter(|target| fault(&path, page, target).is_some())
        .collect();
    assert_eq!(
        broken,
        [
            "#same-2",
            "no-such-page.md",
            "operations.md#no-such-heading"
        ]
    );
}

#[test]
fn the_contents_name_each_page() {
    let folder = root().join("docs");
    let contents = fs::read_to_string(folder.join("README.md")).unwrap();
    let named = targets(&contents);
    for path in markdown_in(&folder) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_named = named.iter().any(|it| it.split('#').next() == Some(name));
        assert!(
            name == "README.md" || is_named,
            "docs/README.md does not name {name}"
        );
    }
}

/// The words in which keys of conditions are shown, up to the name of a table or topic in them.
fn condition_words() -> Vec<String> {
    let source = fs::read_to_string(root().join("src/health/condition_key.rs")).unwrap();
    let (_, display) = source.split_once("impl fmt::Display").unwrap();
    let texts = display.split('"').skip(1).step_by(2);
    texts
        .map(|text| text.split(['{', '/']).next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn troubleshooting_has_every_reason_of_readiness() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let (_, reasons) = page.split_once("\n## Reasons of /readyz\n").unwrap();
    let words = condition_words();
    assert!(words.len() > 15, "{words:?}");
    for words in words {
        let is_there = reasons.lines().any(|line| {
            let key = line.split(" | ").next().unwrap();
            line.starts_with("| `") && key.contains(&format!("`{words}"))
        });
        assert!(
            is_there,
            "docs/troubleshooting.md does not say what `{words}` in /readyz means"
        );
    }
}
