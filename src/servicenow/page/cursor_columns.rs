//! Finds the cursor columns of rows, and with them whether a row can be handed on.

use std::ops::Range;

use memchr::memchr;
use memchr::memmem::Finder;
use serde_json::error::Category;

use super::bad_row::{BadRow, RowFault};
use super::block::{PageRow, RowBlock};
use super::row;
use super::shape::RowShape;
use super::splitter::RowSpan;
use crate::config::DisplayValue;
use crate::servicenow::query::{parse_time, query_value_fault};

/// Finds the cursor columns of the rows of a table.
#[derive(Debug, Clone)]
pub struct CursorColumns {
    timestamp: String,
    identifier: String,
    find_timestamp: Finder<'static>,
    find_identifier: Finder<'static>,
    display: DisplayValue,
    /// Of the rows so far; none is learned where values come in other forms.
    shape: RowShape,
}

impl CursorColumns {
    /// For a table's two cursor columns.
    pub fn new(timestamp: &str, identifier: &str, display: DisplayValue) -> CursorColumns {
        let finder = |column: &str| Finder::new(&format!("\"{column}\":\"")).into_owned();
        CursorColumns {
            timestamp: timestamp.to_owned(),
            identifier: identifier.to_owned(),
            find_timestamp: finder(timestamp),
            find_identifier: finder(identifier),
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
        let is_flat = span.flat && self.display == DisplayValue::False;
        let fits = is_flat && (span.known || self.shape.fits(block.slice(&span.bytes)));
        if fits && let Some(row) = self.locate_flat(&block.bytes, &span.bytes) {
            block.rows.push(row);
        } else {
            self.locate_parsed(block, span)?;
            if is_flat && !fits {
                self.shape.learn(block.slice(&span.bytes));
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
            .then(|| self.locate_flat(&block.bytes, &span.bytes))
            .flatten()
            .filter(|row| query_value_fault(block.slice(&row.id)).is_none());
        let id = place.map(|row| {
            let id = String::from_utf8_lossy(block.slice(&row.id)).into_owned();
            block.rows.push(PageRow { text: 0..0, ..row });
            id
        });
        BadRow { number, id, fault }
    }

    /// A key with its opening quote of a value can stand only once in a flat row, as quotes inside
    /// values are escaped.
    fn locate_flat(&self, bytes: &[u8], text: &Range<usize>) -> Option<PageRow> {
        let row = bytes.get(text.clone())?;
        let value = |finder: &Finder<'_>| -> Option<Range<usize>> {
            let start = finder.find(row)? + finder.needle().len();
            let rest = row.get(start..)?;
            let length = memchr(b'"', rest)?;
            let clean = length > 0 && memchr(b'\\', rest.get(..length)?).is_none();
            clean.then(|| text.start + start..text.start + start + length)
        };
        let id = value(&self.find_identifier)?;
        let seconds = parse_time(bytes.get(value(&self.find_timestamp)?)?)?;
        Some(PageRow {
            text: text.clone(),
            id,
            seconds,
        })
    }

    /// The careful way: other forms of values, escapes, white space.
    fn locate_parsed(&self, block: &mut RowBlock, span: &RowSpan) -> Result<(), RowFault> {
        let text = block.slice(&span.bytes);
        let wanted = [self.identifier.as_str(), self.timestamp.as_str()];
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
        });
        Ok(())
    }
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
