//! servicenow-kafka-bridge(7): parts of the handbook that an operator wants at the terminal, from its
//! Markdown.

use super::roff::{escaped, title};

/// Title, the page of the handbook, and the heading there; without one what stands before its first.
const PARTS: [(&str, &str, &str); 5] = [
    ("DESCRIPTION", include_str!("../../../README.md"), ""),
    (
        "FILES",
        include_str!("../../../docs/install.md"),
        "What is where",
    ),
    (
        "SECRETS",
        include_str!("../../../docs/install.md"),
        "Secrets",
    ),
    (
        "STOPPING",
        include_str!("../../../docs/operations.md"),
        "Stop it",
    ),
    (
        "HOST NAMES",
        include_str!("../../../docs/install.md"),
        "Names that are not found",
    ),
];

/// The page as roff.
pub(in crate::cli) fn page() -> String {
    let mut out = title(
        "servicenow-kafka-bridge",
        7,
        "Miscellaneous",
        "how rows and records move, and what is promised",
    );
    for (heading, text, part) in PARTS {
        out.push_str(&format!(".SH {heading}\n"));
        push_part(&mut out, part_of(text, part));
    }
    out.push_str(
        ".SH SEE ALSO\n\\fBservicenow\\-kafka\\-bridge\\fR(1), \\fBservicenow\\-kafka\\-bridge\\-config\\fR(5)\n",
    );
    out
}

/// The lines below the heading, up to the next; with no heading those of the page's begin.
fn part_of<'a>(text: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    let is_heading = move |line: &&str| match heading {
        "" => line.starts_with("# "),
        heading => line.strip_prefix("## ") == Some(heading),
    };
    let below = text.lines().skip_while(move |line| !is_heading(line));
    below.skip(1).take_while(|line| !line.starts_with("## "))
}

fn push_part<'a>(out: &mut String, lines: impl Iterator<Item = &'a str>) {
    let mut is_literal = false;
    let mut lines = lines.peekable();
    while let Some(line) = lines.next() {
        let literal = line.starts_with("    ");
        if literal != is_literal {
            out.push_str(if literal {
                ".PP\n.nf\n.RS 2\n"
            } else {
                ".RE\n.fi\n"
            });
            is_literal = literal;
        }
        let next = lines.peek().copied().unwrap_or_default();
        match line {
            _ if literal => out.push_str(&format!("{}\n", escaped(line))),
            // The head of a table is above a rule.
            _ if line.starts_with("|--") || next.starts_with("|--") => {}
            _ => push_line(out, line),
        }
    }
    if is_literal {
        out.push_str(".RE\n.fi\n");
    }
}

/// A line outside of code: an item of a list, a row of a table, a line of a paragraph.
fn push_line(out: &mut String, line: &str) {
    if let Some(item) = line.strip_prefix("- ") {
        out.push_str(&format!(".IP \\(bu 2\n{}\n", plain(item)));
    } else if let Some(row) = line.strip_prefix("| ") {
        let mut cells = row.trim_end_matches('|').split(" | ").map(str::trim);
        let term = plain(cells.next().unwrap_or_default());
        let rest: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
        out.push_str(&format!(".TP\n{term}\n{}\n", plain(&rest.join("; "))));
    } else if line.is_empty() {
        let last = out.lines().next_back().unwrap_or_default();
        if last != ".PP" && !last.starts_with(".S") {
            out.push_str(".PP\n");
        }
    } else {
        out.push_str(&format!("{}\n", plain(line.trim_start())));
    }
}

/// A text with its bold words bold, and of its links the words alone.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        let parts = link
            .split_once("](")
            .and_then(|(words, target)| Some((words, target.split_once(')')?.1)));
        if let Some((words, after)) = parts {
            out.push_str(words);
            rest = after;
        } else {
            out.push('[');
            rest = link;
        }
    }
    out.push_str(rest);
    escaped(&out.replace("**", "`"))
}
