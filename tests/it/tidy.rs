//! Rules about the sources themselves.

mod arrows;
mod links;
mod names;
mod page;
mod pasted;
mod purity;
mod workflows;

use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the bottom up. A module uses modules of lower layers only, and its own children.
const LAYERS: &[&[&str]] = &[
    &["sync"],
    &[
        "backoff",
        "control",
        "expected_panic",
        "health",
        "metrics",
        "name_lookup",
        "own_writes",
        "regular_file",
        "stop",
        "json_text",
        "terminal_text",
    ],
    &["change_signal"],
    &["config"],
    &["http"],
    &[
        "admin",
        "checkpoint",
        "cluster",
        "daemon",
        "kafka",
        "servicenow",
    ],
    &["avro"],
    &["checkpoint_topic", "delivered", "registry"],
    &["sink", "source"],
    &["verify"],
    &["runtime"],
    &["cli"],
    &["commands"],
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".cache") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The product's code: each file below `src` but test modules, by its path from the root, without the
/// tests at its end.
fn product() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in sources(&root().join("src")) {
        let path = file.strip_prefix(root()).unwrap();
        let path = path.to_str().unwrap().to_owned();
        if path.contains("/tests/") || path.contains("/test_") || path.ends_with("/tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let end = text.find("#[cfg(test)]\nmod tests {");
        found.push((path, text[..end.unwrap_or(text.len())].to_owned()));
    }
    found
}

/// The top module a file belongs to: `src/source/poller.rs` is in `source`.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn layer_of(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("module `{module}` has no layer: add it to LAYERS"))
}

#[test]
fn modules_depend_downwards_only() {
    let mut wrong = Vec::new();
    for file in sources(&root().join("src")) {
        let module = module_of(&file);
        if ["main", "lib"].contains(&module.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for used in code.flat_map(|line| {
            line.match_indices("crate::")
                .map(move |(at, m)| &line[at + m.len()..])
        }) {
            let names: Vec<String> = match used.strip_prefix('{') {
                Some(list) => list
                    .split(',')
                    .filter_map(|part| part.trim().split("::").next().map(str::to_owned))
                    .collect(),
                None => vec![
                    used.split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next()
                        .unwrap()
                        .to_owned(),
                ],
            };
            for name in names {
                let known = LAYERS.iter().any(|layer| layer.contains(&name.as_str()));
                if known && name != module && layer_of(&name) >= layer_of(&module) {
                    wrong.push(format!("{}: uses crate::{name}", file.display()));
                }
            }
        }
        layer_of(&module);
    }
    assert!(
        wrong.is_empty(),
        "upward dependencies:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn files_stay_readable() {
    let mut wrong = Vec::new();
    for file in sources(&root().join("src"))
        .into_iter()
        .chain(sources(&root().join("tests")))
    {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > 500 {
            wrong.push(format!(
                "{}: {lines} lines; split it by knowledge",
                file.display()
            ));
        }
        if file.file_name().is_some_and(|name| name == "mod.rs")
            && !file.starts_with(root().join("tests/it"))
        {
            wrong.push(format!("{}: name it after its module", file.display()));
        }
        let inside_tests = file.file_name().is_some_and(|name| name == "tests.rs");
        if !text.starts_with("//!") && !inside_tests {
            wrong.push(format!(
                "{}: begins without saying what it is",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let list = manifest
        .split("\n[dependencies]\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    for line in list.lines() {
        assert!(line.contains(" # "), "no reason beside: {line}");
    }
}
