//! Whether a row is valid JSON, found out at the cost of a comparison: pure, without I/O.
//!
//! The rows of a table have the same columns in the same order, and their values are texts, most of them
//! empty. So what stands between the values is compared with the row before, eight bytes at a time, and
//! only the values are looked at. A row that differs is parsed instead, and is what the next
//! ones are compared with.

use std::collections::HashSet;

/// The row before, without its values.
#[derive(Debug, Clone, Default)]
pub(super) struct RowShape {
    /// A row of the same columns whose values are all `""`; empty: no row was learned.
    skeleton: Vec<u8>,
    /// For each byte of the skeleton whether it is the closing quote of a value.
    ends_value: Vec<bool>,
}

impl RowShape {
    /// Takes the columns of `row`, which must be valid JSON. A row that is not made of texts alone, or
    /// has blanks between them, or a name twice, is like no other.
    pub(super) fn learn(&mut self, row: &[u8]) {
        *self = RowShape::of(row).unwrap_or_default();
    }

    fn of(row: &[u8]) -> Option<RowShape> {
        let mut shape = RowShape::default();
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
            for part in [open, b"\"", name, b"\":\""] {
                shape.skeleton.extend_from_slice(part);
            }
            shape.ends_value.resize(shape.skeleton.len(), false);
            shape.skeleton.push(b'"');
            shape.ends_value.push(true);
            match behind_value {
                b"}" => break,
                more => rest = more.strip_prefix(b",")?,
            }
            open = b",";
        }
        shape.skeleton.push(b'}');
        shape.ends_value.push(false);
        Some(shape)
    }

    /// Whether `row`, which must be UTF-8 and without control characters, is valid JSON of these columns.
    /// False says nothing: it has to be parsed.
    pub(super) fn fits(&self, row: &[u8]) -> bool {
        if self.skeleton.is_empty() {
            return false;
        }
        let (mut known, mut rest) = (self.skeleton.as_slice(), row);
        loop {
            let same = common_prefix(known, rest);
            let at = self.skeleton.len() - known.len() + same;
            let (Some(left), Some(value)) = (known.get(same..), rest.get(same..)) else {
                return false;
            };
            if left.is_empty() {
                return value.is_empty();
            }
            // They may differ only where a value begins.
            if self.ends_value.get(at) != Some(&true) {
                return false;
            }
            let Some(end) = end_of_text(value) else {
                return false;
            };
            known = left;
            rest = value.get(end..).unwrap_or_default();
        }
    }
}

/// The inside of a text that stands at the start of `json`, and what is behind it.
fn text(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = json.strip_prefix(b"\"")?;
    let end = end_of_text(inside)?;
    Some((inside.get(..end)?, inside.get(end + 1..)?))
}

/// The place of the quote that ends a text; `None`: it has none, or an escape that does not exist.
fn end_of_text(inside: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += quote_or_backslash(inside.get(at..)?)?;
        if inside.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += match inside.get(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' if inside
                .get(at + 2..at + 6)?
                .iter()
                .all(u8::is_ascii_hexdigit) =>
            {
                6
            }
            _ => return None,
        };
    }
}

/// The place of the first quote or backslash. Values are short, so that a search which is prepared for
/// long texts would cost more than it finds.
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let mut at = 0;
    while let Some(eight) = text.get(at..at + 8) {
        let word = word(eight);
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let found = quotes | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = text.get(at..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(at + end)
}

/// How many bytes two texts have in common at their start.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let (pieces, _) = one.as_chunks::<32>();
    let (other_pieces, _) = other.as_chunks::<32>();
    let pieces = pieces.iter().zip(other_pieces);
    let mut same = 32 * pieces.take_while(|(one, other)| one == other).count();
    while let (Some(one), Some(other)) = (one.get(same..same + 8), other.get(same..same + 8)) {
        let differ = word(one) ^ word(other);
        if differ != 0 {
            return same + differ.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    let rest = one.iter().skip(same).zip(other.iter().skip(same));
    same + rest.take_while(|(one, other)| one == other).count()
}

/// Eight bytes as a number, the first one lowest.
fn word(eight: &[u8]) -> u64 {
    eight.try_into().map_or(0, u64::from_le_bytes)
}

/// Whether there is a byte below the space, which no text of JSON may have in it. It looks at all bytes instead of stopping at the first one,
/// so that the compiler can use vector instructions.
pub(super) fn has_controls(text: &[u8]) -> bool {
    text.iter()
        .fold(false, |found, byte| found | (*byte < b' '))
}

#[cfg(test)]
mod tests;
