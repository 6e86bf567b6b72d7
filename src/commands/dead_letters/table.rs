//! Letters as lines: a table for people, JSON for programs.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::text::{clean, clean_json, of_bytes, shorten};
use super::{FoundLetter, Terminal};
use crate::cli::UNREADABLE_KIND;

/// Lines that are aligned together.
const ALIGNED_BLOCK_ROWS: usize = 100;
/// The most columns of one cell before the last, and of the key, on a terminal.
const MAX_LETTER_CELL_COLUMNS: usize = 40;
const MAX_KEY_COLUMNS: usize = 24;
/// Columns for the error at least.
const MIN_ERROR_COLUMNS: usize = 20;

const LETTER_TABLE_HEAD: [&str; 8] = [
    "PLACE", "TIME", "TABLE", "ORIGIN", "KEY", "KIND", "STATUS", "ERROR",
];

/// Collects letters and prints them.
pub(super) struct LetterTable {
    json: bool,
    rows: Vec<[String; 8]>,
    widths: [usize; 8],
    headed: bool,
}

impl LetterTable {
    /// A table, or JSON lines.
    pub(super) fn new(json: bool) -> LetterTable {
        LetterTable {
            json,
            rows: Vec::new(),
            widths: LETTER_TABLE_HEAD.map(str::len),
            headed: false,
        }
    }

    /// Adds a letter.
    pub(super) fn add(
        &mut self,
        found: &FoundLetter,
        terminal: &mut Terminal<'_>,
    ) -> io::Result<()> {
        if self.json {
            return terminal.line(&clean_json(&json(found, false)));
        }
        self.rows.push(row(found, terminal.width().is_some()));
        if ALIGNED_BLOCK_ROWS <= self.rows.len() {
            self.print(terminal)?;
        }
        Ok(())
    }

    /// Prints what was not yet.
    pub(super) fn end(mut self, terminal: &mut Terminal<'_>) -> io::Result<()> {
        self.print(terminal)?;
        terminal.flush()
    }

    fn print(&mut self, terminal: &mut Terminal<'_>) -> io::Result<()> {
        for row in &self.rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        // What is no terminal has room for all of it.
        let total = terminal.width().unwrap_or(usize::MAX);
        if !self.headed && !self.rows.is_empty() {
            self.headed = true;
            terminal.line(&aligned(
                &LETTER_TABLE_HEAD.map(str::to_owned),
                &self.widths,
                total,
            ))?;
        }
        for row in self.rows.drain(..) {
            terminal.line(&aligned(&row, &self.widths, total))?;
        }
        Ok(())
    }
}

/// Cells side by side, the last one as wide as there is room.
fn aligned(row: &[String; 8], widths: &[usize; 8], total: usize) -> String {
    let mut line = String::new();
    let (cells, last) = (row.iter().take(7), row.last());
    for (cell, width) in cells.zip(widths) {
        line.push_str(&format!("{cell:width$}  "));
    }
    let room = total
        .saturating_sub(line.chars().count())
        .max(MIN_ERROR_COLUMNS);
    line.push_str(&shorten(last.map_or("", String::as_str), room));
    line.trim_end().to_owned()
}

fn row(found: &FoundLetter, narrow: bool) -> [String; 8] {
    let most = |columns: usize| if narrow { columns } else { usize::MAX };
    let cell = |text: &str| shorten(&clean(text), most(MAX_LETTER_CELL_COLUMNS));
    let time = found
        .time()
        .and_then(|time| time.round(jiff::Unit::Second).ok());
    let time = time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let key = found.key().map_or_else(|| "-".to_owned(), of_bytes);
    let (table, origin, kind, status, error) = match &found.letter {
        Ok(letter) => {
            let number = |number: Option<i64>| number.map_or("-".to_owned(), |n| n.to_string());
            let partition = number(letter.partition.map(i64::from));
            (
                cell(&letter.table),
                format!(
                    "{}/{partition}/{}",
                    cell(&letter.topic),
                    number(letter.offset)
                ),
                cell(letter.error_kind.as_deref().unwrap_or("-")),
                letter
                    .status
                    .map_or("-".to_owned(), |status| status.to_string()),
                clean(&letter.error).into_owned(),
            )
        }
        Err(error) => (
            "-".to_owned(),
            "-".to_owned(),
            UNREADABLE_KIND.to_owned(),
            "-".to_owned(),
            error.to_string(),
        ),
    };
    let mut place = found.place.to_string();
    if found.done {
        place.push_str(" done");
    }
    [
        place,
        time,
        table,
        origin,
        shorten(&key, most(MAX_KEY_COLUMNS)),
        kind,
        status,
        error,
    ]
}

/// A letter without its body as a JSON object, with its place. What is no letter may come with its
/// body, as there is nothing else to show.
pub(super) fn json(found: &FoundLetter, with_body: bool) -> String {
    let mut object: Map<String, Value> = match &found.letter {
        Ok(letter) => {
            let mut object: Map<String, Value> =
                serde_json::from_slice(&letter.encode()).unwrap_or_default();
            object.remove("original_payload");
            object.remove("original_payload_base64");
            let bytes = letter.value.as_ref().map(Vec::len);
            object.insert("payload_bytes".to_owned(), Value::from(bytes));
            object
        }
        Err(error) => {
            let mut object = Map::new();
            object.insert("error_kind".to_owned(), Value::from(UNREADABLE_KIND));
            object.insert("error".to_owned(), Value::from(error.to_string()));
            if with_body {
                put(&mut object, "value", found.record.value.as_deref());
            }
            object
        }
    };
    // Letters of the Go program have the key beside them.
    put(&mut object, "key", found.key());
    object.insert("place".to_owned(), Value::from(found.place.to_string()));
    object.insert("done".to_owned(), Value::from(found.done));
    Value::Object(object).to_string()
}

/// Bytes as in letters: text, or Base64 under another name.
fn put(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    let text = bytes.map(str::from_utf8);
    match (bytes, text) {
        (Some(bytes), Some(Err(_))) => {
            let base64 = Value::from(STANDARD.encode(bytes));
            object.insert(format!("{name}_base64"), base64);
        }
        (_, text) => {
            let text = text.and_then(Result::ok);
            object.insert(name.to_owned(), Value::from(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_and_the_last_is_cut() {
        let mut row = LETTER_TABLE_HEAD.map(|_| "x".to_owned());
        row[7] = "a long story about an error that goes on".to_owned();
        let widths = [5; 8];
        let line = aligned(&row, &widths, 80);
        assert_eq!(line.chars().count(), 80);
        assert!(line.starts_with("x      x      ") && line.ends_with('\u{2026}'));
        assert!(aligned(&row, &widths, usize::MAX).ends_with(" that goes on"));
        let narrow = aligned(&row, &widths, 10);
        assert_eq!(narrow.chars().count(), 7 * 7 + MIN_ERROR_COLUMNS);
        row[7] = String::new();
        assert!(!aligned(&row, &widths, 80).ends_with(' '));
    }
}
