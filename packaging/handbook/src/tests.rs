//! The pages of this repository, and links that lead nowhere.

use std::fs;
use std::path::Path;

use super::handbook;

fn made(files: &[(&str, &str)]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    handbook(folder.path(), "1.2.3")
}

#[test]
fn links_between_pages_are_links_in_the_file() {
    let html = made(&[
        (
            "docs/README.md",
            "# Book\n\n[one](one.md), [part](one.md#a-part), [site](https://example.com/), [file](../x.yaml)\n",
        ),
        (
            "docs/one.md",
            "# One\n\n## A `part`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[back](README.md#book)\n",
        ),
        ("x.yaml", ""),
    ])
    .unwrap();
    for part in [
        "<title>servicenow-kafka-bridge 1.2.3</title>",
        "<a href=\"#docs.one\">one</a>",
        "<a href=\"#docs.one--a-part\">part</a>",
        "<a href=\"https://example.com/\">site</a>",
        ", file</p>",
        "<section id=\"docs.one\">",
        "<h2 id=\"docs.one--a-part\">",
        "<td>1</td>",
        "<a href=\"#docs.README--book\">back</a>",
    ] {
        assert!(html.contains(part), "{part} is missing in\n{html}");
    }
}

#[test]
fn a_link_to_nothing_is_an_error() {
    let error = |link: &str| {
        let text = format!("# Book\n\n[x]({link})\n");
        made(&[("docs/README.md", &text)]).unwrap_err()
    };
    assert_eq!(error("no.md"), "docs/README.md: no page docs/no.md");
    assert_eq!(error("../no.yaml"), "docs/README.md: no no.yaml");
    assert_eq!(
        error("#nowhere"),
        "docs/README.md: no heading #nowhere in docs/README.md"
    );
}

/// The handbook as it is: every page in it, nothing that is fetched from elsewhere.
#[test]
fn the_pages_of_this_repository_make_one_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let html = handbook(&root, "0").unwrap();
    for page in fs::read_dir(root.join("docs")).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".md") {
            let section = format!("<section id=\"docs.{name}\">");
            assert!(
                html.contains(&section),
                "docs/{name}.md is reached from no page"
            );
        }
    }
    for part in ["<img", "<script", "<link", "src="] {
        assert!(!html.contains(part), "{part}");
    }
}
