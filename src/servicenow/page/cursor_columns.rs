//! Finds the cursor columns of rows, and with them whether a row can be handed on.

use std::ops::Range;

use memchr::memchr;
use memchr::memmem;
use serde_json::error::Category;

use super::bad_row::{BadRow, RowFault};
use super::block::{PageRow, RowBlock};
use super::row;
use super::shape::{CursorPlaces, MOD_COUNT_COLUMN, RowShape};
use super::splitter::RowSpan;
use crate::config::DisplayValue;
use crate::servicenow::query::{parse_time, query_value_fault};

/// Finds the cursor columns of the rows of a table.
#[derive(Debug, Clone)]
pub struct CursorColumns {
    timestamp: String,
    identifier: String,
    display: DisplayValue,
    /// Of the rows so far; empty where values come in other forms.
    shape: RowShape,
}

impl CursorColumns {
    /// For a table's two cursor columns.
    pub fn new(timestamp: &str, identifier: &str, display: DisplayValue) -> CursorColumns {
        CursorColumns {
            timestamp: timestamp.to_owned(),
            identifier: identifier.to_owned(),
            display,
            shape: RowShape::default(),
        }
    }

    /// The shape of the rows so far.
    pub(super) fn shape(&self) -> &RowShape {
        &self.shape
    }

    /// Makes `span` a row of `block`.
    pub(super) fn locate(&mut self, block: &mut RowBlock, span: &RowSpan) -> Result<(), RowFault> {
        let known = span.cursor.clone();
        let cursor = known.or_else(|| self.shape.cursor_of(block.slice(&span.bytes)));
        let is_known = cursor.is_some();
        if let Some(row) = cursor.and_then(|cursor| row_at(&block.bytes, &span.bytes, cursor)) {
            block.rows.push(row);
        } else {
            self.locate_parsed(block, span)?;
            if span.flat && self.display == DisplayValue::False && !is_known {
                let row = block.slice(&span.bytes);
                self.shape.learn(row, &self.timestamp, &self.identifier);
            }
        }
        let id = block.rows.last().map(|row| block.slice(&row.id));
        match id.and_then(query_value_fault) {
            None => Ok(()),
            Some(fault) => {
                block.rows.pop();
                Err(RowFault::Column(format!(
                    "has an identifier that cannot be part of a query: {fault}; choose another \
                     identifier_field than `{}`",
                    self.identifier
                )))
            }
        }
    }

    /// Describes a row that cannot be handed on. Where its place in the table can be read all the same, it
    /// becomes a row without a text, so that reading goes on behind it.
    pub(super) fn pass_over(
        &self,
        block: &mut RowBlock,
        span: &RowSpan,
        number: u64,
        fault: RowFault,
    ) -> BadRow {
        let place = span
            .flat
            .then(|| self.search(&block.bytes, &span.bytes))
            .flatten()
            .filter(|row| query_value_fault(block.slice(&row.id)).is_none());
        let id = place.map(|row| {
            let id = String::from_utf8_lossy(block.slice(&row.id)).into_owned();
            block.rows.push(PageRow { text: 0..0, ..row });
            id
        });
        BadRow { number, id, fault }
    }

    /// Looks for the cursor columns of a row that may not be valid JSON. A key with its opening quote of a value
    /// can stand only once in a flat row, as quotes inside values are escaped.
    fn search(&self, bytes: &[u8], text: &Range<usize>) -> Option<PageRow> {
        let row = bytes.get(text.clone())?;
        let value = |column: &str| -> Option<Range<usize>> {
            let key = format!("\"{column}\":\"");
            let start = memmem::find(row, key.as_bytes())? + key.len();
            Some(start..start + memchr(b'"', row.get(start..)?)?)
        };
        let cursor = CursorPlaces {
            timestamp: value(&self.timestamp)?,
            identifier: value(&self.identifier)?,
            mod_count: value(MOD_COUNT_COLUMN).unwrap_or_default(),
        };
        row_at(bytes, text, cursor)
    }

    /// The careful way: other forms of values, escapes, white space.
    fn locate_parsed(&self, block: &mut RowBlock, span: &RowSpan) -> Result<(), RowFault> {
        let text = block.slice(&span.bytes);
        let wanted = [&self.identifier, &self.timestamp, MOD_COUNT_COLUMN];
        let found = row::raw_values(text, &wanted)
            .map_err(|error| RowFault::NotJson(json_words(&error)))?;
        let column = |at: usize| -> Result<String, RowFault> {
            let value = found
                .get(at)
                .cloned()
                .flatten()
                .filter(|value| !value.is_empty());
            value.ok_or_else(|| {
                let name = wanted.get(at).copied().unwrap_or_default();
                RowFault::Column(format!(
                    "has no value in `{name}`; the integration user needs read access to it, \
                     and the table must fill it (see timestamp_field and identifier_field)"
                ))
            })
        };
        let (id, time) = (column(0)?, column(1)?);
        let mod_count = found.get(2).cloned().flatten();
        let mod_count = mod_count.and_then(|count| parse_count(count.as_bytes()));
        let seconds = parse_time(time.as_bytes()).ok_or_else(|| {
            let column = &self.timestamp;
            RowFault::Column(format!(
                "has something else than a date and time in `{column}`"
            ))
        })?;
        let text = if self.display == DisplayValue::True {
            let start = block.bytes.len();
            let row = block.slice(&span.bytes).to_vec();
            row::display_only(&row, &mut block.bytes)
                .map_err(|error| RowFault::NotJson(json_words(&error)))?;
            start..block.bytes.len()
        } else {
            span.bytes.clone()
        };
        let start = block.bytes.len();
        block.bytes.extend_from_slice(id.as_bytes());
        block.rows.push(PageRow {
            text,
            id: start..block.bytes.len(),
            seconds,
            mod_count,
        });
        Ok(())
    }
}

/// The row at `text`, with these places in it; `None` where they are empty or have to be unescaped.
fn row_at(bytes: &[u8], text: &Range<usize>, cursor: CursorPlaces) -> Option<PageRow> {
    let value = |place: Range<usize>| {
        let place = text.start + place.start..text.start + place.end;
        let value = bytes.get(place.clone())?;
        let is_plain = !value.is_empty() && memchr(b'\\', value).is_none();
        is_plain.then_some((place, value))
    };
    let (id, _) = value(cursor.identifier)?;
    let (_, time) = value(cursor.timestamp)?;
    let mod_count = value(cursor.mod_count).and_then(|(_, count)| parse_count(count));
    Some(PageRow {
        text: text.clone(),
        id,
        seconds: parse_time(time)?,
        mod_count,
    })
}

/// The number that a row has in its column of changes; `None`: it is no such number.
fn parse_count(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |count, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        count.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

/// Where JSON is wrong. The parser's own words may quote the body, which is not ours to show.
pub(super) fn json_words(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Io => "the text cannot be read",
        Category::Syntax => "the JSON is not valid",
        Category::Data => "the JSON has another shape",
        Category::Eof => "the JSON ends too early",
    };
    format!("{what} (line {} column {})", error.line(), error.column())
}
