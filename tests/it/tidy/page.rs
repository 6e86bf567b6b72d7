//! ARCHITECTURE.md says what is there: every module in its map, and a test behind every invariant.

use std::fs;

use super::{LAYERS, product, root};

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

/// The section under a heading.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, rest) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("ARCHITECTURE.md has no section {heading}"));
    rest.split_once("\n## ")
        .map_or(rest, |(section, _)| section)
}

/// Modules of the second level are named in the line of their parent or in one of their own, with or
/// without it before them; those below may be.
#[test]
fn the_map_has_every_module() {
    let page = architecture();
    let map = section(&page, "Map");
    let named = |module: &str| map.contains(&format!("`{module}`"));
    let mut missing = Vec::new();
    for module in LAYERS.iter().flat_map(|layer| layer.iter()) {
        if !named(module) {
            missing.push((*module).to_owned());
        }
    }
    for (path, _) in product() {
        let module = path.trim_start_matches("src/").trim_end_matches(".rs");
        if let Some((_, name)) = module.split_once('/')
            && !name.contains('/')
            && !named(module)
            && !named(name)
        {
            missing.push(module.to_owned());
        }
    }
    assert!(
        missing.is_empty(),
        "the map of ARCHITECTURE.md lacks:\n{}",
        missing.join("\n")
    );
}

/// An invariant ends with the tests that hold it, as (`tests/it/crash.rs::name`).
#[test]
fn every_invariant_has_a_test() {
    let page = architecture();
    let invariants = section(&page, "Invariants");
    let items: Vec<&str> = invariants.split("\n- ").skip(1).collect();
    assert!(items.len() >= 12, "only {} invariants", items.len());
    for item in items {
        let words: String = item.chars().take(60).collect();
        let item = item.trim_end();
        let tests = item
            .strip_suffix(')')
            .and_then(|item| item.rsplit_once('('))
            .map(|(_, tests)| tests)
            .unwrap_or_default();
        let mut count = 0;
        for test in tests.split('`').filter(|part| part.contains("::")) {
            let (file, name) = test.rsplit_once("::").unwrap();
            let text = fs::read_to_string(root().join(file));
            let text = text.unwrap_or_else(|error| panic!("{words}: {file}: {error}"));
            let function = format!("fn {name}(");
            assert!(
                text.contains(&function),
                "{words}: {file} has no test {name}"
            );
            count += 1;
        }
        assert!(count > 0, "no test holds the invariant: {words}");
    }
}
