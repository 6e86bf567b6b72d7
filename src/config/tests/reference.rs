//! `config.example.yaml` and `docs/configuration.md` are what the table of keys says.
//! `UPDATE_EXPECT=1 cargo test --lib config` writes them anew.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::*;

/// Lines of the example are no longer than this.
const WIDTH: usize = 100;

const EXAMPLE_HEAD: &str = "\
# servicenow-kafka-bridge: every setting, with its default.
#
# What is commented out shows the default (or an example, where it says so). What is not
# commented out has no default: put your own values there.
#
# ${NAME} anywhere in a value is replaced by the environment variable NAME, which must be set.
# $${ stands for a literal ${. Every secret also has a key that ends in _file: the path of a file
# with the secret in it, as systemd credentials and Docker secrets provide.
#
# Times are written 500ms, 30s, 5m or 1h30m. An empty value means the default, as does leaving
# the key out. A top key that begins with \"x-\" is ignored: a place for YAML anchors.
#
#   servicenow-kafka-bridge check          finds everything that is wrong in this file
#   servicenow-kafka-bridge show-config    prints what is in effect
#
# This file is made from the table of keys (src/config/keys.rs).
";

const PAGE_HEAD: &str = "\
# Configuration

Every key of `config.yaml`, in the order of [`config.example.yaml`](../config.example.yaml). Both are
made from the table of keys in `src/config/keys.rs`: edit them there.

- `${NAME}` anywhere in a value is replaced by the environment variable `NAME`, which must be set.
  `$${` stands for a literal `${`.
- A key left out, or without a value, has its default.
- Times are written `500ms`, `30s`, `5m` or `1h30m`.
- The column *Edit* says what an edit of the key leads to while the bridge runs. `new client` and
  `new producer`: every pipeline moves over, one after the other. `tables restart`: the tables
  concerned go on at their checkpoints. `sink restarts`: it goes on at the committed offsets.
  `Avro users restart`: tables with Avro and the sink. `next start`: the edit is left aside until the
  process is started again. `none`: the key has no effect yet.
";

/// A key in the example: how deep it stands, and whether it is the first of a list's item.
struct Line<'a> {
    info: &'a KeyInfo,
    indent: usize,
    is_first_of_item: bool,
    /// The indent of the comment sign, within an item that is commented out as a whole.
    commented_at: Option<usize>,
}

impl Line<'_> {
    /// Writes a line of the file; `is_comment` for words and for keys that show their default.
    fn write(&self, out: &mut String, text: &str, is_comment: bool, is_key: bool) {
        let dash = if self.is_first_of_item && is_key {
            "- "
        } else {
            ""
        };
        let line = match self.commented_at {
            Some(at) => {
                let inner = self.indent - at - dash.len();
                format!("{:at$}# {:inner$}{dash}{text}", "", "")
            }
            None => {
                let is_before_dash = self.is_first_of_item && !is_key;
                let back = if is_before_dash { 2 } else { dash.len() };
                let indent = self.indent - back;
                let sign = if is_comment { "# " } else { "" };
                format!("{:indent$}{sign}{dash}{text}", "")
            }
        };
        out.push_str(line.trim_end());
        out.push('\n');
    }

    /// The documentation, with the words that the key takes if it does not have them already.
    fn words(&self) -> String {
        let doc = &self.info.doc;
        let words = self.info.values.strip_prefix("one of ").unwrap_or("");
        if words.split(", ").all(|word| doc.contains(word)) {
            doc.clone()
        } else {
            format!("{doc} ({words})")
        }
    }
}

fn lines(keys: &[KeyInfo]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for info in keys {
        let (parent, _) = info.path.rsplit_once('.').unwrap_or(("", &info.path));
        let steps = parent.split('.').filter(|step| !step.is_empty());
        let indent = steps
            .map(|step| if step.ends_with("[]") { 4 } else { 2 })
            .sum();
        let is_first_of_item = parent.ends_with("[]")
            && lines
                .last()
                .is_some_and(|before| before.info.shape == KeyShape::List);
        let list = parent.split_once("[]").map(|(list, _)| list);
        let commented_at = list.and_then(|list| {
            let of_list = lines.iter().find(|line| line.info.path == list)?;
            of_list
                .info
                .example
                .is_empty()
                .then_some(of_list.indent + 2)
        });
        lines.push(Line {
            info,
            indent,
            is_first_of_item,
            commented_at,
        });
    }
    lines
}

/// Words in lines of at most `width` bytes.
fn wrapped(words: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn example() -> String {
    let keys = keys();
    let mut out = EXAMPLE_HEAD.to_owned();
    let mut before = 0;
    for line in lines(&keys) {
        let info = line.info;
        let key = info.path.rsplit('.').next().unwrap();
        let is_section = info.shape != KeyShape::Value;
        if line.indent == 0 || line.indent < before || line.indent == before && is_section {
            out.push('\n');
        }
        before = line.indent;
        for words in wrapped(&line.words(), WIDTH - 2 - line.indent) {
            line.write(&mut out, &words, true, false);
        }
        let default = info.default.trim_start_matches("required");
        match info.example {
            _ if info.shape != KeyShape::Value => {
                line.write(&mut out, &format!("{key}:"), false, true);
            }
            "" => line.write(&mut out, &format!("{key}: {default}"), true, true),
            example => match example.strip_prefix("- ") {
                Some(item) => {
                    line.write(&mut out, &format!("{key}:"), false, true);
                    line.write(&mut out, &format!("  - {item}"), false, true);
                }
                None => line.write(&mut out, &format!("{key}: {example}"), false, true),
            },
        }
    }
    out
}

fn page() -> String {
    let keys = keys();
    let mut out = PAGE_HEAD.to_owned();
    out.push_str("\n## The top of the file\n");
    write_table(&mut out, &keys, "");
    for info in &keys {
        let prefix = match info.shape {
            KeyShape::Value => continue,
            KeyShape::Section => info.path.clone(),
            KeyShape::List => format!("{}[]", info.path),
        };
        write!(out, "\n## `{prefix}`\n\n{}\n", info.doc).unwrap();
        write_table(&mut out, &keys, &prefix);
    }
    out
}

fn write_table(out: &mut String, keys: &[KeyInfo], section: &str) {
    out.push_str("\n| key | values | default | edit | meaning |\n|---|---|---|---|---|\n");
    for info in keys {
        let (parent, key) = info.path.rsplit_once('.').unwrap_or(("", &info.path));
        if info.shape != KeyShape::Value || parent != section {
            continue;
        }
        let default = match info.default.as_str() {
            "" | "required" => info.default.clone(),
            default => format!("`{default}`"),
        };
        let doc = match info.doc.as_str() {
            "" => "A file with that secret in it, instead of the key above.",
            doc => doc,
        };
        let secret = if info.is_secret { " (secret)" } else { "" };
        let (values, edit) = (&info.values, info.effect.words());
        writeln!(
            out,
            "| `{key}` | {values}{secret} | {default} | {edit} | {} |",
            cell(doc)
        )
        .unwrap();
    }
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_example_is_made_from_the_table() {
    expect_file!["../../../config.example.yaml"].assert_eq(&example());
}

#[test]
fn the_reference_page_is_made_from_the_table() {
    expect_file!["../../../docs/configuration.md"].assert_eq(&page());
}

#[test]
fn every_key_has_its_words() {
    for info in keys() {
        let is_twin = info.path.ends_with("_file") && info.doc.is_empty();
        assert!(
            is_twin || info.doc.ends_with(['.', ')']),
            "{}: {}",
            info.path,
            info.doc
        );
    }
}
