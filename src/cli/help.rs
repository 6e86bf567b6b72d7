//! Pages of the help as text.

use super::command::HelpTopic;
use super::page::{self, Block};
use super::table;

/// Columns of a line at most.
const MAX_COLUMNS: usize = 100;
const PROGRAM: &str = "servicenow-kafka-bridge";

/// The help text of a topic, with a newline at its end.
pub fn help(topic: &HelpTopic) -> String {
    let spec = topic.0.as_deref().and_then(table::page);
    let blocks = match spec {
        Some(spec) => page::of_command(spec),
        None => page::of_program(),
    };
    let parts = blocks.iter().map(text).filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.collect();
    parts.join("\n")
}

fn text(block: &Block) -> String {
    match block {
        Block::Usage(lines) => {
            let line = |(at, line): (usize, &String)| {
                let start = if at == 0 { "usage:" } else { "      " };
                format!("{start} {PROGRAM} {line}\n")
            };
            lines.iter().enumerate().map(line).collect()
        }
        Block::Text(text) if text.is_empty() => String::new(),
        Block::Text(text) => format!("{text}\n"),
        Block::List(heading, items) => {
            let mut out = headed(heading);
            let width = items.iter().map(|(term, _)| term.len()).max();
            let width = width.unwrap_or_default();
            for (term, text) in items {
                let lines = wrapped(text, MAX_COLUMNS.saturating_sub(width + 4));
                for (at, line) in lines.iter().enumerate() {
                    let term = if at == 0 { term } else { "" };
                    out.push_str(&format!("  {term:width$}  {line}\n"));
                }
            }
            out
        }
        Block::Examples(lines) => {
            let heading = if lines.len() == 1 {
                "example"
            } else {
                "examples"
            };
            let lines = lines.iter().map(|line| format!("  {PROGRAM} {line}\n"));
            [headed(heading)].into_iter().chain(lines).collect()
        }
    }
}

fn headed(heading: &str) -> String {
    if heading.is_empty() {
        String::new()
    } else {
        format!("{heading}:\n")
    }
}

/// Lines of at most so many columns, broken between words.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
