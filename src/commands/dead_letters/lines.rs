//! Letters as lines: a table for people, JSON for programs.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::found::FoundLetter;
use super::text::of_bytes;
use crate::cli::UNREADABLE_KIND;
use crate::commands::table::{Column, Table};
use crate::commands::terminal::Terminal;

const LETTER_COLUMNS: [Column; 8] = [
    Column::text("PLACE"),
    Column::text("TIME"),
    Column::text("TABLE").at_most(40),
    Column::text("ORIGIN").at_most(80),
    Column::text("KEY").at_most(24),
    Column::text("KIND").at_most(40),
    Column::text("STATUS"),
    Column::text("ERROR"),
];

/// Prints letters, a line for each: as a table, or as JSON.
pub(super) struct LetterLines {
    json: bool,
    table: Table<8>,
}

impl LetterLines {
    pub(super) fn new(json: bool) -> LetterLines {
        let table = Table::new(LETTER_COLUMNS);
        LetterLines { json, table }
    }

    pub(super) fn add(
        &mut self,
        found: &FoundLetter,
        terminal: &mut Terminal<'_>,
    ) -> io::Result<()> {
        if self.json {
            return terminal.json(&json(found, false));
        }
        self.table.add(&row(found), terminal)
    }

    /// Prints what the table holds back until its widths are known.
    pub(super) fn end(self, terminal: &mut Terminal<'_>) -> io::Result<()> {
        self.table.end(terminal)?;
        terminal.flush()
    }
}

fn row(found: &FoundLetter) -> [String; 8] {
    let none = || "-".to_owned();
    let mut place = found.place.to_string();
    if found.done {
        place.push_str(" done");
    }
    let time = found.time();
    let time = time.and_then(|time| time.round(jiff::Unit::Second).ok());
    let time = time.map_or_else(none, |time| time.to_string());
    let key = found.key().map_or_else(none, of_bytes);
    let letter = match &found.letter {
        Ok(letter) => letter,
        Err(error) => {
            let kind = UNREADABLE_KIND.to_owned();
            let error = error.to_string();
            return [place, time, none(), none(), key, kind, none(), error];
        }
    };
    let number = |number: Option<i64>| number.map_or_else(none, |number| number.to_string());
    let partition = number(letter.partition.map(i64::from));
    [
        place,
        time,
        letter.table.clone(),
        format!("{}/{partition}/{}", letter.topic, number(letter.offset)),
        key,
        letter.error_kind.clone().unwrap_or_else(none),
        number(letter.status.map(i64::from)),
        letter.error.clone(),
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
