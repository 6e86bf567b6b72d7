//! Whether a row is valid JSON, where it ends and where its cursor columns are, found out at the cost of a
//! comparison: pure, without I/O.
//!
//! The rows of a table have the same columns in the same order, and their values are texts, most of them
//! empty. So what stands between the values is compared with a row before, 16 bytes at a time, and
//! only the values are looked at. A row that differs is parsed instead, and is what the next
//! ones are compared with.

use std::collections::HashSet;
use std::ops::Range;

/// The columns of a row before.
#[derive(Debug, Clone, Default)]
pub(super) struct RowShape {
    /// A row of the same columns whose values are all `""`; empty: no row was learned.
    skeleton: Vec<u8>,
    /// Which values are wanted, and where they stand in the skeleton: the places of their closing quotes, in
    /// their order.
    wanted: Vec<(usize, WantedColumn)>,
}

/// The columns whose values are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WantedColumn {
    Timestamp,
    Identifier,
    ModCount,
}

/// The places of the two columns that make the cursor, and of the count of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CursorPlaces {
    pub(super) timestamp: Range<usize>,
    pub(super) identifier: Range<usize>,
    /// That of [`MOD_COUNT_COLUMN`]; empty where the row has no such column.
    pub(super) mod_count: Range<usize>,
}

impl CursorPlaces {
    fn set(&mut self, column: WantedColumn, place: Range<usize>) {
        match column {
            WantedColumn::Timestamp => self.timestamp = place,
            WantedColumn::Identifier => self.identifier = place,
            WantedColumn::ModCount => self.mod_count = place,
        }
    }
}

/// The column that counts the changes of a row, in every table that ServiceNow keeps (documentation "System
/// fields").
pub const MOD_COUNT_COLUMN: &str = "sys_mod_count";

/// A row that has the columns of one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecognizedRow {
    /// Its length in bytes.
    pub(super) length: usize,
    /// The values of the cursor columns, as places in the row; they may have escapes in them.
    pub(super) cursor: CursorPlaces,
}

impl RowShape {
    /// Takes the columns of `row`, which must be valid JSON. A row that is not made of texts alone, or
    /// has blanks between them, a name twice, or not both cursor columns, is like no other.
    pub(super) fn learn(&mut self, row: &[u8], timestamp: &str, identifier: &str) {
        *self = RowShape::of(row, timestamp, identifier).unwrap_or_default();
    }

    fn of(row: &[u8], timestamp: &str, identifier: &str) -> Option<RowShape> {
        let mut skeleton = Vec::new();
        let columns = [
            (timestamp, WantedColumn::Timestamp),
            (identifier, WantedColumn::Identifier),
            (MOD_COUNT_COLUMN, WantedColumn::ModCount),
        ];
        let mut wanted = Vec::new();
        let mut names = HashSet::new();
        let mut rest = row.strip_prefix(b"{")?;
        let mut open: &[u8] = b"{";
        loop {
            let (name, behind_name) = text(rest)?;
            // An escaped name could be written in another way.
            if name.contains(&b'\\') || !names.insert(name) {
                return None;
            }
            let (_, behind_value) = text(behind_name.strip_prefix(b":")?)?;
            for part in [open, b"\"", name, b"\":\"\""] {
                skeleton.extend_from_slice(part);
            }
            let these = columns
                .iter()
                .filter(|(column, _)| name == column.as_bytes());
            wanted.extend(these.map(|(_, column)| (skeleton.len() - 1, *column)));
            match behind_value {
                b"}" => break,
                more => rest = more.strip_prefix(b",")?,
            }
            open = b",";
        }
        skeleton.push(b'}');
        let has = |column| wanted.iter().any(|(_, found)| *found == column);
        let has_cursor = has(WantedColumn::Timestamp) && has(WantedColumn::Identifier);
        has_cursor.then_some(RowShape { skeleton, wanted })
    }

    /// Where the values of the cursor columns are in `row`, if all of it is a row of these columns.
    pub(super) fn cursor_of(&self, row: &[u8]) -> Option<CursorPlaces> {
        let known = self.recognize(row)?;
        (known.length == row.len()).then_some(known.cursor)
    }

    /// The row at the start of `text`, if that is valid JSON of these columns, as far as it is UTF-8.
    /// `None` says nothing: the row is another one, or not whole.
    pub(super) fn recognize(&self, text: &[u8]) -> Option<RecognizedRow> {
        let (mut known, mut rest) = (self.skeleton.as_slice(), text);
        if known.is_empty() {
            return None;
        }
        let mut cursor = CursorPlaces::default();
        let (mut next, mut later) = next_of(&self.wanted);
        loop {
            // A row is as long as its skeleton at least.
            let same = common_prefix(known, rest.get(..known.len())?);
            known = known.get(same..)?;
            rest = rest.get(same..)?;
            let place = text.len() - rest.len();
            if known.is_empty() {
                return Some(RecognizedRow {
                    length: place,
                    cursor,
                });
            }
            // They may differ only where a value begins, which the skeleton's ends at once.
            let at = self.skeleton.len() - known.len();
            if !self.skeleton.get(..=at)?.ends_with(b":\"\"") {
                return None;
            }
            let length = end_of_text(rest)?;
            // Empty values of them were passed without a halt.
            while at >= next.0 {
                if at == next.0 {
                    cursor.set(next.1, place..place + length);
                }
                (next, later) = next_of(later);
            }
            rest = rest.get(length..)?;
        }
    }
}

/// The next value that is wanted, and those behind it; without one a place that no value has.
fn next_of(wanted: &[(usize, WantedColumn)]) -> ((usize, WantedColumn), &[(usize, WantedColumn)]) {
    match wanted.split_first() {
        Some((next, later)) => (*next, later),
        None => ((usize::MAX, WantedColumn::ModCount), &[]),
    }
}

/// The inside of a text that stands at the start of `json`, and what is behind it.
fn text(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = json.strip_prefix(b"\"")?;
    let end = end_of_text(inside)?;
    Some((inside.get(..end)?, inside.get(end + 1..)?))
}

/// The place of the quote that ends a text; `None`: it has none, or something that no text may have in it.
#[inline]
fn end_of_text(inside: &[u8]) -> Option<usize> {
    let mut at = first_special(inside)?;
    while inside.get(at) == Some(&b'\\') {
        at += length_of_escape(inside.get(at..)?)?;
        at += first_special(inside.get(at..)?)?;
    }
    (inside.get(at) == Some(&b'"')).then_some(at)
}

/// The length of the escape at the start of `text`; `None`: there is no such escape.
fn length_of_escape(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' if text.get(2..6)?.iter().all(u8::is_ascii_hexdigit) => Some(6),
        _ => None,
    }
}

/// The place of the first byte of a text that does not stand for itself: a quote, a backslash, or a byte below
/// the space, which JSON forbids. Most values are short, so that a search which is prepared for long texts
/// would cost more than it finds.
#[inline]
fn first_special(text: &[u8]) -> Option<usize> {
    let mut rest = text;
    while let Some((piece, behind)) = rest.split_first_chunk::<16>() {
        // The compiler makes vector instructions of this, and not of a search for the place.
        let mut any = 0;
        for byte in piece {
            any |= u8::from(is_quote_or_control(*byte)) | u8::from(*byte == b'\\');
        }
        if any != 0 {
            let place = special_bytes(u128::from_le_bytes(*piece)).trailing_zeros() as usize / 8;
            return Some(text.len() - rest.len() + place);
        }
        rest = behind;
    }
    let is_special = |byte: &u8| is_quote_or_control(*byte) || *byte == b'\\';
    Some(text.len() - rest.len() + rest.iter().position(is_special)?)
}

/// The difference in one bit makes a space of the quote, and leaves what is below the space there.
const QUOTE_TO_SPACE: u8 = b'"' ^ b' ';

fn is_quote_or_control(byte: u8) -> bool {
    byte ^ QUOTE_TO_SPACE <= b' '
}

/// The top bit of the first byte that is special (see [`first_special`]), and of some behind it.
fn special_bytes(word: u128) -> u128 {
    const fn each(byte: u8) -> u128 {
        u128::from_le_bytes([byte; 16])
    }
    // A byte that is smaller than what is taken away borrows, which sets its top bit.
    let quotes_and_controls = (word ^ each(QUOTE_TO_SPACE)).wrapping_sub(each(b' ' + 1));
    let backslashes = (word ^ each(b'\\')).wrapping_sub(each(1));
    (quotes_and_controls | backslashes) & !word & each(0x80)
}

/// How many bytes two texts have in common at their start.
#[inline]
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let (mut rest, mut other_rest) = (one, other);
    while let (Some((piece, behind)), Some((other_piece, other_behind))) = (
        rest.split_first_chunk::<16>(),
        other_rest.split_first_chunk::<16>(),
    ) {
        let differ = u128::from_le_bytes(*piece) ^ u128::from_le_bytes(*other_piece);
        if differ != 0 {
            return one.len() - rest.len() + differ.trailing_zeros() as usize / 8;
        }
        (rest, other_rest) = (behind, other_behind);
    }
    let both = rest.iter().zip(other_rest);
    one.len() - rest.len() + both.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests;
