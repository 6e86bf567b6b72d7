//! A log record as one line: readable text or a JSON object.
//!
//! Everything that is not a plain character is escaped, so that no value can forge a line, split
//! one, or move the cursor of a terminal.

use std::fmt::Write as _;

use jiff::Timestamp;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};

use crate::terminal_text::is_active;

/// Letters of one value or sentence that are shown.
const MAX_VALUE_CHARS: usize = 4096;
/// Modules of this crate; others say where a line comes from.
const CRATE_TARGET: &str = "servicenow_kafka_bridge";

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineStyle {
    /// `2026-01-31T12:00:00.000Z INFO sentence key=value`.
    Text,
    /// `<6>INFO sentence key=value`: the journal has its own clock, and reads the priority.
    Journal,
    /// An object with the keys of Go's slog: `time`, `level`, `msg`, and the fields.
    Json,
}

impl LineStyle {
    /// A record without its time, so that two that say the same are the same.
    pub(super) fn body(self, record: &Record<'_>) -> String {
        let sentence = match record.args().as_str() {
            Some(text) => text.to_owned(),
            None => record.args().to_string(),
        };
        let mut fields = LineFields {
            style: self,
            text: String::new(),
        };
        match self {
            LineStyle::Text | LineStyle::Journal => {
                fields.text.push_str(record.level().as_str());
                fields.text.push(' ');
                escape(&mut fields.text, &sentence);
            }
            LineStyle::Json => {
                fields.json("level", record.level().as_str());
                fields.json("msg", &sentence);
            }
        }
        if Level::Debug <= record.level() || !is_ours(record.target()) {
            fields.string("target", record.target());
        }
        // Only our own visitor could refuse, and it does not.
        record.key_values().visit(&mut fields).ok();
        fields.text
    }

    /// The whole line around a body.
    pub(super) fn line(self, level: Level, time: Timestamp, suppressed: u64, body: &str) -> String {
        let mut fields = LineFields {
            style: self,
            text: String::with_capacity(body.len() + 64),
        };
        match self {
            LineStyle::Text => write!(fields.text, "{time:.3} "),
            LineStyle::Journal => write!(fields.text, "<{}>", priority(level)),
            LineStyle::Json => write!(fields.text, "{{\"time\":\"{time:.3}\","),
        }
        // Writing to a String cannot fail.
        .ok();
        fields.text.push_str(body);
        if suppressed > 0 {
            fields.bare("suppressed", &suppressed.to_string());
        }
        if self == LineStyle::Json {
            fields.text.push('}');
        }
        fields.text.push('\n');
        fields.text
    }
}

/// The record comes from this program and not from a library.
pub(super) fn is_ours(target: &str) -> bool {
    let rest = target.strip_prefix(CRATE_TARGET);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// As in syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A line that fields are added to.
struct LineFields {
    style: LineStyle,
    text: String,
}

impl LineFields {
    /// A field whose value needs no quotes.
    fn bare(&mut self, key: &str, value: &str) {
        match self.style {
            LineStyle::Text | LineStyle::Journal => {
                self.text.push(' ');
                escape(&mut self.text, key);
                self.text.push('=');
                self.text.push_str(value);
            }
            LineStyle::Json => {
                self.json_key(key);
                self.text.push_str(value);
            }
        }
    }

    fn string(&mut self, key: &str, value: &str) {
        match self.style {
            LineStyle::Text | LineStyle::Journal => {
                let plain = |letter: char| !(letter.is_whitespace() || "=\"\\".contains(letter));
                if !value.is_empty() && value.chars().all(plain) {
                    let mut escaped = String::new();
                    escape(&mut escaped, value);
                    self.bare(key, &escaped);
                } else {
                    self.bare(key, &quoted(value));
                }
            }
            LineStyle::Json => self.json(key, value),
        }
    }

    fn json(&mut self, key: &str, value: &str) {
        self.json_key(key);
        self.text.push_str(&quoted(value));
    }

    fn json_key(&mut self, key: &str) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(&quoted(key));
        self.text.push(':');
    }
}

impl<'kvs> VisitSource<'kvs> for LineFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        value.visit(LineField {
            fields: self,
            key: key.as_str(),
        })
    }
}

/// Writes one value by its kind: JSON keeps numbers and truth values as such.
struct LineField<'a> {
    fields: &'a mut LineFields,
    key: &'a str,
}

impl<'v> VisitValue<'v> for LineField<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.visit_str(&value.to_string())
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.fields.bare(self.key, "null");
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.fields.bare(self.key, &value.to_string());
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.fields.bare(self.key, &value.to_string());
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        // JSON has no infinity.
        if value.is_finite() {
            self.fields.bare(self.key, &value.to_string());
        } else {
            self.fields.string(self.key, &value.to_string());
        }
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.fields
            .bare(self.key, if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.fields.string(self.key, value);
        Ok(())
    }
}

fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for letter in shown(value) {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            other => escape_letter(&mut text, other),
        }
    }
    text.push_str(if is_cut(value) { "...\"" } else { "\"" });
    text
}

fn escape(text: &mut String, value: &str) {
    for letter in shown(value) {
        escape_letter(text, letter);
    }
    if is_cut(value) {
        text.push_str("...");
    }
}

fn shown(value: &str) -> impl Iterator<Item = char> {
    value.chars().take(MAX_VALUE_CHARS)
}

fn is_cut(value: &str) -> bool {
    value.len() > MAX_VALUE_CHARS && value.chars().nth(MAX_VALUE_CHARS).is_some()
}

/// The escapes of JSON, which people read as well.
fn escape_letter(text: &mut String, letter: char) {
    match letter {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        active if is_active(active) => hex(text, active),
        other => text.push(other),
    }
}

fn hex(text: &mut String, letter: char) {
    // Writing to a String cannot fail.
    write!(text, "\\u{:04x}", u32::from(letter)).ok();
}
