//! From a [`ConfigDraft`] to the text of `config.yaml`, with its remarks as comments.

use super::draft::{ConfigDraft, DraftEntry, DraftValue, MigrationRemark, RemarkKind};
use crate::config::{keys, yaml_scalar};
use crate::terminal_text::clean;

/// Comments are broken into lines of this many characters.
const COMMENT_COLUMNS: usize = 98;

/// The whole text; `sources` says of each file what it is.
pub(super) fn config_yaml(draft: &ConfigDraft, sources: &[String]) -> String {
    let mut out = String::new();
    let made = format!(
        "Made by `servicenow-kafka-bridge migrate` from {}.",
        sources.join(", ")
    );
    comment(&mut out, &made, "");
    for (kind, heading) in [
        (RemarkKind::Decide, "To be decided before the first start:"),
        (RemarkKind::Differs, "Different from before:"),
        (RemarkKind::Unneeded, "Not needed here, and left out:"),
    ] {
        let lines: Vec<String> = draft.remarks(kind).map(remark_line).collect();
        list(&mut out, heading, &lines);
    }
    let variables = draft.variables.iter();
    let variables: Vec<String> = variables
        .map(|(name, variable)| format!("{name}: {}", variable.meaning))
        .collect();
    list(
        &mut out,
        "Variables to set (or use a `*_file` key for a secret):",
        &variables,
    );
    keys_with_values(&mut out, draft);
    out
}

/// A remark as one line.
pub(super) fn remark_line(remark: &MigrationRemark) -> String {
    format!("{}: {}", remark.settings.join(", "), remark.text)
}

fn list(out: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    out.push_str("#\n");
    comment(out, heading, "");
    for line in lines {
        comment(out, line, "- ");
    }
}

/// One comment, broken into lines; the first begins with `mark`.
fn comment(out: &mut String, text: &str, mark: &str) {
    let text = clean(text);
    let mut line = format!("# {mark}");
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COMMENT_COLUMNS {
            out.push_str(&line);
            out.push('\n');
            line = format!("# {}", " ".repeat(mark.len()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// Where a key stands in `config.example.yaml`, step by step, and in which item of a list.
type DraftOrder = Vec<(usize, usize)>;

fn keys_with_values(out: &mut String, draft: &ConfigDraft) {
    let known: Vec<String> = keys().into_iter().map(|info| info.path).collect();
    let mut entries: Vec<(DraftOrder, &DraftEntry)> = draft
        .entries
        .iter()
        .map(|entry| (order(&entry.path, &known), entry))
        .collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    let mut before: Vec<&str> = Vec::new();
    for (_, entry) in entries {
        let steps: Vec<&str> = entry.path.split('.').collect();
        if steps.first() != before.first() {
            out.push('\n');
        }
        parents_and_value(out, &steps, &before, entry);
        before = steps;
    }
}

fn order(path: &str, known: &[String]) -> DraftOrder {
    let mut plain = String::new();
    let step_order = |step: &str| {
        let (key, item) = key_and_item(step);
        if !plain.is_empty() {
            plain.push('.');
        }
        plain.push_str(key);
        let rank = known.iter().position(|it| *it == plain);
        if item.is_some() {
            plain.push_str("[]");
        }
        (rank.unwrap_or(usize::MAX), item.unwrap_or_default())
    };
    path.split('.').map(step_order).collect()
}

/// The key of a step such as `tables[2]`, and the number behind it.
fn key_and_item(step: &str) -> (&str, Option<usize>) {
    let parts = step.strip_suffix(']').and_then(|it| it.split_once('['));
    match parts.map(|(key, item)| (key, item.parse())) {
        Some((key, Ok(item))) => (key, Some(item)),
        Some((_, Err(_))) | None => (step, None),
    }
}

/// The lines of a key, after those of the sections that the key before was not in.
fn parents_and_value(out: &mut String, steps: &[&str], before: &[&str], entry: &DraftEntry) {
    let pairs = steps.iter().zip(before);
    let shared = pairs.take_while(|(one, other)| one == other).count();
    let (mut indent, mut dash) = (0_usize, false);
    let begin = |out: &mut String, indent: usize, dash: &mut bool| {
        let blanks = if *dash {
            indent.saturating_sub(2)
        } else {
            indent
        };
        out.push_str(&" ".repeat(blanks));
        out.push_str(if *dash { "- " } else { "" });
        *dash = false;
    };
    for (depth, step) in steps.iter().enumerate() {
        let (key, item) = key_and_item(step);
        if depth + 1 == steps.len() {
            begin(out, indent, &mut dash);
            value(out, key, indent, entry);
            return;
        }
        let is_next_item = depth == shared
            && item.is_some()
            && before
                .get(depth)
                .is_some_and(|it| key_and_item(it).0 == key);
        if depth >= shared && !is_next_item {
            begin(out, indent, &mut dash);
            out.push_str(&format!("{key}:\n"));
        }
        indent += if item.is_some() { 4 } else { 2 };
        dash = dash || (depth >= shared && item.is_some());
    }
}

fn value(out: &mut String, key: &str, indent: usize, entry: &DraftEntry) {
    let origin = match entry.origin.as_str() {
        "" => String::new(),
        origin => format!("  # {}", clean(origin)),
    };
    match &entry.value {
        DraftValue::Text(text) => {
            out.push_str(&format!("{key}: {}{origin}\n", scalar(text)));
        }
        DraftValue::Texts(texts) if texts.is_empty() => {
            out.push_str(&format!("{key}: []{origin}\n"));
        }
        DraftValue::Texts(texts) => {
            out.push_str(&format!("{key}:{origin}\n"));
            for text in texts {
                let blanks = " ".repeat(indent + 2);
                out.push_str(&format!("{blanks}- {}\n", scalar(text)));
            }
        }
    }
}

/// A scalar of one line. Numbers and the words for yes and no need no quotes: the type is the key's.
fn scalar(text: &str) -> String {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
        || ["true", "false"].contains(&text);
    if is_plain {
        text.to_owned()
    } else {
        yaml_scalar(&clean(text))
    }
}
