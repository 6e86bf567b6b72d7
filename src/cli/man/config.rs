//! servicenow-kafka-bridge-config(5): every key of the configuration, from the table of keys.

use super::roff::{escaped, title};
use crate::config::{self, KeyInfo, KeyShape};

/// The example that packages install; its first comment says how the file is written.
const EXAMPLE: &str = include_str!("../../../config.example.yaml");

/// The page as roff.
pub(in crate::cli) fn page() -> String {
    let mut out = title(
        "servicenow-kafka-bridge-config",
        5,
        "File Formats",
        "configuration of servicenow-kafka-bridge",
    );
    out.push_str(".SH SYNOPSIS\n");
    for path in ["./config.yaml", "/etc/servicenow-kafka-bridge/config.yaml"] {
        out.push_str(&format!(".I {}\n.br\n", escaped(path)));
    }
    out.push_str(".SH DESCRIPTION\n");
    out.push_str(&introduction());
    out.push_str(".SH KEYS\n");
    for key in config::keys() {
        push_key(&mut out, &key);
    }
    out.push_str(
        ".SH SEE ALSO\n\\fBservicenow\\-kafka\\-bridge\\fR(1), \\fBservicenow\\-kafka\\-bridge\\fR(7)\n",
    );
    out
}

/// The comment at the head of the example: its paragraphs, and its indented lines as they stand.
fn introduction() -> String {
    let mut out = String::new();
    let head = EXAMPLE.lines().take_while(|line| line.starts_with('#'));
    let lines = head.map(|line| line.trim_start_matches('#'));
    // What is said of the example itself comes first; the last line is for developers.
    let lines = lines.skip_while(|line| !line.contains("${"));
    let mut is_literal = false;
    for line in lines.filter(|line| !line.contains("src/config")) {
        let literal = line.starts_with("   ");
        if literal != is_literal {
            out.push_str(if literal { ".PP\n.nf\n" } else { ".fi\n" });
            is_literal = literal;
        }
        match line.trim() {
            "" => out.push_str(".PP\n"),
            words => out.push_str(&format!("{}\n", escaped(words))),
        }
    }
    if is_literal {
        out.push_str(".fi\n");
    }
    out
}

/// A section as a heading, a key as a term with its values, its default and what an edit leads to.
fn push_key(out: &mut String, key: &KeyInfo) {
    let path = escaped(&key.path);
    let doc = match key.doc.as_str() {
        "" => "A file with that secret in it, instead of the key above.",
        doc => doc,
    };
    match key.shape {
        KeyShape::Section => out.push_str(&format!(".SS {path}\n{}\n", escaped(doc))),
        KeyShape::List => out.push_str(&format!(".SS {path}[]\n{}\n", escaped(doc))),
        KeyShape::Value => {
            let default = match key.default.as_str() {
                "" => String::new(),
                "required" => "; required".to_owned(),
                default => format!("; default `{default}`"),
            };
            let secret = if key.is_secret { " (secret)" } else { "" };
            let facts = format!(
                "{}{secret}{default}; an edit: {}",
                key.values,
                key.effect.words()
            );
            out.push_str(&format!(
                ".TP\n\\fB{path}\\fR\n{}\n.br\n({})\n",
                escaped(doc),
                escaped(&facts)
            ));
        }
    }
}
