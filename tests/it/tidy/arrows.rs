//! Which file imports from which: inside a wing (a top folder of `src`) imports point down to
//! children or sideways to siblings, never up into the file of a parent module and never in a circle.
//!
//! A parent's file declares its children and puts them together. A child that imports a type from
//! its parent's file makes that file a bucket of types which everything depends on, and which cannot be
//! read without everything it puts together. Types therefore have files of their own, and children
//! name the sibling that defines what they need.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use super::{root, sources};

/// A module as its path from the crate's root: `["sink", "assignment"]`.
type Module = Vec<String>;

/// Each module with a file of its own, and the modules that its product code names.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn no_file_imports_from_the_file_of_a_parent_module() {
    let mut wrong = Vec::new();
    for (module, imported) in imports() {
        for parent in imported.iter().filter(|it| module.starts_with(it)) {
            wrong.push(format!("{} imports from {}", shown(&module), shown(parent)));
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that point upwards:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for module in imports.keys() {
        if let Some(circle) = circle_of(module, &imports)
            && seen.insert(circle.iter().copied().collect::<BTreeSet<_>>())
        {
            let names: Vec<String> = circle.iter().map(|it| shown(it)).collect();
            wrong.push(format!("{} -> {}", names.join(" -> "), names[0]));
        }
    }
    assert!(
        wrong.is_empty(),
        "circles of imports:\n{}",
        wrong.join("\n")
    );
}

fn shown(module: &[String]) -> String {
    format!("src/{}.rs", module.join("/"))
}

/// A shortest way from a module back to itself.
fn circle_of<'i>(start: &Module, imports: &'i Imports) -> Option<Vec<&'i Module>> {
    let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
    let (start, _) = imports.get_key_value(start)?;
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for next in &imports[module] {
            if next == start {
                let mut way = vec![module];
                while way[way.len() - 1] != start {
                    way.push(came_from[way[way.len() - 1]]);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, module);
                queue.push_back(next);
            }
        }
    }
    None
}

fn imports() -> Imports {
    let source_folder = root().join("src");
    let mut texts: BTreeMap<Module, String> = BTreeMap::new();
    for file in sources(&source_folder) {
        let module = module_path(file.strip_prefix(&source_folder).unwrap());
        let is_test = module.iter().any(|name| name == "tests");
        if !is_test && !["lib", "main"].contains(&module[0].as_str()) {
            texts.insert(module, product_code(&fs::read_to_string(&file).unwrap()));
        }
    }
    let modules: BTreeSet<Module> = texts.keys().cloned().collect();
    texts
        .into_iter()
        .map(|(module, text)| {
            let named = named_paths(&text, &module, &modules);
            let files = named.iter().filter_map(|path| file_of(path, &modules));
            let mut imported: BTreeSet<Module> = files.collect();
            imported.remove(&module);
            (module, imported)
        })
        .collect()
}

fn module_path(file: &Path) -> Module {
    let parts = file.with_extension("");
    parts
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect()
}

/// The file in which a path is looked up: the longest beginning of it that is a module.
fn file_of(path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    (1..=path.len())
        .rev()
        .map(|length| path[..length].to_vec())
        .find(|beginning| modules.contains(beginning))
}

/// A file's text without comments and without what is compiled for tests only. Relies on rustfmt: the
/// last line of an item is indented like its first.
fn product_code(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = line.len() - line.trim_start().len();
            let is_end = |line: &str| {
                line.len() - line.trim_start().len() == indent && line.ends_with([';', '}'])
            };
            lines.by_ref().find(|line| is_end(line));
        } else if !line.trim_start().starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// All paths that begin with `crate`, `self`, `super` or a child module, from the crate's root.
fn named_paths(text: &str, module: &Module, modules: &BTreeSet<Module>) -> Vec<Module> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| tokens[before]);
        // `pub(in crate::sink)` and `pub(super)` import nothing.
        if ["::", "in", "."].contains(&before) || tokens.get(at + 1) != Some(&"::") {
            continue;
        }
        let mut child = module.clone();
        child.push((*token).to_owned());
        if ["crate", "self", "super"].contains(token) || modules.contains(&child) {
            collect_paths(&tokens[at..], module, &mut found);
        }
    }
    found
}

/// Reads one path, or a tree of them in braces, and adds each to `found`. Gives the number of tokens.
fn collect_paths(tokens: &[&str], base: &[String], found: &mut Vec<Module>) -> usize {
    let mut path = base.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match *token {
            "crate" => path.clear(),
            "super" => drop(path.pop()),
            "self" => {}
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    at += match tokens[at] {
                        "," => 1,
                        _ => collect_paths(&tokens[at..], &path, found).max(1),
                    };
                }
                return at + 1;
            }
            name => path.push(name.to_owned()),
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    found.push(path);
    let renamed = tokens.get(at) == Some(&"as");
    at + if renamed { 2 } else { 0 }
}

/// Names, `::`, and every other character that is no space.
fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        found.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    found
}

#[test]
fn paths_are_read_with_their_trees() {
    let modules: BTreeSet<Module> = ["a", "a/b", "a/b/c", "a/d", "e"]
        .map(|path| module_path(Path::new(path)))
        .into();
    let text = "
        //! crate::a::comment
        pub(in crate::a) use super::d::{self, X, y::{Z as W, *}};
        use crate::{a::T, e};
        #[cfg(test)]
        use super::{
            Hidden,
        };
        fn f() -> std::io::Result<()> { c::run(self.x, super::Top) }
        #[cfg(test)]
        mod tests {
            use super::super::Hidden;
        }
    ";
    let text: String = text
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or(line)))
        .collect();
    let module = module_path(Path::new("a/b"));
    let paths = named_paths(&product_code(&text), &module, &modules);
    let paths: Vec<String> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        paths,
        [
            "a::d",
            "a::d::X",
            "a::d::y::Z",
            "a::d::y::*",
            "a::T",
            "e",
            "a::b::c::run",
            "a::Top"
        ]
    );
}
