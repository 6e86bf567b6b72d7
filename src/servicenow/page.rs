//! Reads one list answer: the response gate, and rows as slices of the bytes that arrived.
//!
//! A page counts only when it is complete JSON with `result` and without `error` or
//! `status: failure`: an instance that runs out of time answers 200 with the rows it had and an
//! error behind them (KB0778443). Rows are handed out while the page arrives; [`PageChunk::End`] says
//! that the whole page was good.

mod bad_row;
mod block;
mod cursor_columns;
pub mod row;
mod shape;
mod splitter;

use std::fmt;
use std::io::{self, Read};

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::bad_row::{BadRow, RowFault};
pub use self::block::{PageRow, RowBlock};
pub use self::cursor_columns::CursorColumns;
pub use self::shape::MOD_COUNT_COLUMN;

use self::cursor_columns::json_words;
use self::splitter::{MalformedRows, RowSpan, RowSplitter, SplitProgress};
use crate::config::OnBadRow;
use crate::http::error_body::error_words;

/// Size of a read buffer in bytes; a block of rows is at most this, or one larger row.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// Bytes that are read behind the rows, where the error object of a cancelled transaction may stand.
const MAX_TAIL_BYTES: usize = 64 * 1024;

/// The next part of a page.
#[derive(Debug)]
pub enum PageChunk {
    /// Some rows; whether the page is good is not known yet.
    Rows(RowBlock),
    /// The page is complete and passed the gate.
    End,
}

/// Why a page does not count.
#[derive(Debug)]
pub enum PageError {
    /// The connection failed while the body arrived.
    Read(io::Error),
    /// The body is not the JSON of a list; says what it is.
    Malformed(String),
    /// The body carries an error beside or instead of rows.
    Failed(String),
    /// A row that cannot be handed on.
    Row(BadRow),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PageError::Read(error) => write!(f, "reading the answer: {error}"),
            PageError::Malformed(what) => write!(f, "the answer is not a complete list: {what}"),
            PageError::Failed(message) => write!(f, "the instance reports: {message}"),
            PageError::Row(row) => write!(
                f,
                "{row}; the table waits at it until it is corrected, or `source.on_bad_row: skip` \
                 passes such rows over"
            ),
        }
    }
}

impl From<MalformedRows> for PageError {
    fn from(malformed: MalformedRows) -> PageError {
        PageError::Malformed(malformed.to_string())
    }
}

#[derive(Debug)]
enum PageState {
    Head,
    Rows(RowSplitter),
    Tail,
    Done,
}

/// Reads a list answer block by block.
#[derive(Debug)]
pub struct PageReader<R> {
    body: R,
    columns: CursorColumns,
    state: PageState,
    /// Bytes read and not yet handed out are `buffer[..filled]`.
    buffer: Vec<u8>,
    filled: usize,
    spans: Vec<RowSpan>,
    /// Rows so far.
    rows: u64,
    on_bad_row: OnBadRow,
    tail: Vec<u8>,
    ended: bool,
}

impl<R: Read> PageReader<R> {
    /// Begins to read `body`. `columns` are best those of the page before: they know how rows look.
    pub fn new(body: R, columns: CursorColumns) -> PageReader<R> {
        PageReader {
            body,
            columns,
            state: PageState::Head,
            buffer: Vec::new(),
            filled: 0,
            spans: Vec::new(),
            rows: 0,
            on_bad_row: OnBadRow::Hold,
            tail: br#"{"result":[]"#.to_vec(),
            ended: false,
        }
    }

    /// What becomes of rows that cannot be handed on; without this they are errors.
    #[must_use]
    pub fn on_bad_row(mut self, on_bad_row: OnBadRow) -> PageReader<R> {
        self.on_bad_row = on_bad_row;
        self
    }

    /// The columns, for the next page.
    pub fn into_columns(self) -> CursorColumns {
        self.columns
    }

    /// The next rows, or the end of a good page. `spare` is a used block to take the memory from.
    ///
    /// # Errors
    /// Every way a page can be incomplete or refused; the rows handed out so far must then not move
    /// a position.
    pub fn next(&mut self, spare: Option<RowBlock>) -> Result<PageChunk, PageError> {
        let mut spare = spare.unwrap_or_default();
        // Used memory keeps its length, so that it need not be cleared again.
        spare.bytes.truncate(READ_BUFFER_BYTES);
        if self.buffer.is_empty() {
            self.buffer = std::mem::take(&mut spare.bytes);
        }
        loop {
            match &mut self.state {
                PageState::Done => return Ok(PageChunk::End),
                PageState::Tail => self.read_tail()?,
                PageState::Head => self.read_head()?,
                PageState::Rows(splitter) => {
                    let seen = self.buffer.get(..self.filled).unwrap_or_default();
                    if let SplitProgress::End(end) =
                        splitter.scan(seen, self.columns.shape(), &mut self.spans)?
                    {
                        self.tail
                            .extend_from_slice(seen.get(end..).unwrap_or_default());
                        self.state = PageState::Tail;
                        if !self.spans.is_empty() {
                            let bytes = std::mem::take(&mut self.buffer);
                            return self.hand_out(bytes, spare.rows);
                        }
                    } else if self.filled >= READ_BUFFER_BYTES && !self.spans.is_empty() {
                        let keep = splitter.keep_from();
                        splitter.rebase(keep);
                        let mut next = std::mem::take(&mut spare.bytes);
                        let rest = self.buffer.get(keep..self.filled).unwrap_or_default();
                        if next.len() < rest.len() {
                            next.resize(READ_BUFFER_BYTES.max(rest.len()), 0);
                        }
                        if let Some(start) = next.get_mut(..rest.len()) {
                            start.copy_from_slice(rest);
                        }
                        self.filled = rest.len();
                        let bytes = std::mem::replace(&mut self.buffer, next);
                        return self.hand_out(bytes, spare.rows);
                    } else if self.ended {
                        return Err(PageError::Malformed("it ends inside the rows".to_owned()));
                    } else {
                        self.fill()?;
                    }
                }
            }
        }
    }

    fn hand_out(&mut self, bytes: Vec<u8>, mut rows: Vec<PageRow>) -> Result<PageChunk, PageError> {
        let last = self.spans.last().map_or(0, |span| span.bytes.end);
        // JSON is UTF-8; a page cut or mixed up on the way often is not.
        let text = bytes.get(..last).unwrap_or_default();
        if !text.is_ascii() {
            std::str::from_utf8(text).map_err(|error| PageError::Malformed(error.to_string()))?;
        }
        rows.clear();
        let mut block = RowBlock {
            bytes,
            rows,
            bad: Vec::new(),
        };
        for span in self.spans.drain(..) {
            self.rows += 1;
            if let Err(fault) = self.columns.locate(&mut block, &span) {
                let bad = self.columns.pass_over(&mut block, &span, self.rows, fault);
                match self.on_bad_row {
                    OnBadRow::Hold => return Err(PageError::Row(bad)),
                    OnBadRow::Skip => block.bad.push(bad),
                }
            }
        }
        Ok(PageChunk::Rows(block))
    }

    /// Reads once more; grows the buffer when one row fills it.
    fn fill(&mut self) -> Result<(), PageError> {
        if self.buffer.len() < READ_BUFFER_BYTES || self.filled == self.buffer.len() {
            let larger = (self.filled * 2).max(READ_BUFFER_BYTES);
            self.buffer.resize(larger, 0);
        }
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let read = self.body.read(free).map_err(PageError::Read)?;
        self.filled += read;
        self.ended = read == 0;
        Ok(())
    }

    fn read_head(&mut self) -> Result<(), PageError> {
        let seen = self.buffer.get(..self.filled).unwrap_or_default();
        match list_start(seen) {
            ListStart::List(position) => self.state = PageState::Rows(RowSplitter::new(position)),
            // What is looked at again with each piece must not grow without end.
            ListStart::Unfinished if !self.ended && self.filled < READ_BUFFER_BYTES => {
                self.fill()?;
            }
            ListStart::Unfinished | ListStart::Other => self.read_other()?,
        }
        Ok(())
    }

    /// An answer that does not begin with the rows: an error object, `null`, another order of keys.
    fn read_other(&mut self) -> Result<(), PageError> {
        while !self.ended {
            self.fill()?;
        }
        self.buffer.truncate(self.filled);
        if self.buffer.trim_ascii().is_empty() {
            return Err(PageError::Malformed("it is empty".to_owned()));
        }
        let envelope: ListEnvelope<'_> = serde_json::from_slice(&self.buffer)
            .map_err(|error| PageError::Malformed(json_words(&error)))?;
        envelope.check()?;
        let Some(list) = envelope
            .result
            .map(RawValue::get)
            .filter(|text| text.starts_with('['))
        else {
            return Err(PageError::Malformed("it has no `result` list".to_owned()));
        };
        let list = list.as_bytes().to_vec();
        self.filled = list.len();
        self.buffer = list;
        self.tail.push(b'}');
        self.state = PageState::Rows(RowSplitter::new(1));
        Ok(())
    }

    /// Reads the rest behind the rows, which must close the object and report no error.
    fn read_tail(&mut self) -> Result<(), PageError> {
        while !self.ended {
            let mut piece = [0; 4096];
            let read = self.body.read(&mut piece).map_err(PageError::Read)?;
            self.ended = read == 0;
            self.tail
                .extend_from_slice(piece.get(..read).unwrap_or_default());
            if self.tail.len() > MAX_TAIL_BYTES {
                return Err(PageError::Malformed(format!(
                    "more than {MAX_TAIL_BYTES} bytes behind the rows"
                )));
            }
        }
        let envelope: ListEnvelope<'_> = serde_json::from_slice(&self.tail).map_err(|error| {
            PageError::Malformed(format!("behind the rows {}", json_words(&error)))
        })?;
        envelope.check()?;
        self.state = PageState::Done;
        Ok(())
    }
}

enum ListStart {
    /// The rows begin at this byte.
    List(usize),
    /// Could still become a list.
    Unfinished,
    Other,
}

/// Looks for `{"result":[` at the beginning of `text`, white space apart.
fn list_start(text: &[u8]) -> ListStart {
    let mut rest = text;
    for token in [b"{".as_slice(), b"\"result\"", b":", b"["] {
        rest = rest.trim_ascii_start();
        match rest.strip_prefix(token) {
            Some(after) => rest = after,
            None if token.starts_with(rest) => return ListStart::Unfinished,
            None => return ListStart::Other,
        }
    }
    ListStart::List(text.len() - rest.len())
}

/// The outer object of every answer of the Table API.
#[derive(Deserialize)]
struct ListEnvelope<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

impl ListEnvelope<'_> {
    fn check(&self) -> Result<(), PageError> {
        if let Some(error) = self.error {
            return Err(PageError::Failed(error_words(error.get().as_bytes())));
        }
        if self
            .status
            .is_some_and(|status| status.get().contains("failure"))
        {
            return Err(PageError::Failed("status: failure".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
