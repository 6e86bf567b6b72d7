//! Finds the field of each column of a row, quickly where rows are alike.
//!
//! Rows of a page nearly always have their keys in the same order, and most columns of a row are
//! empty. So a row that has the keys of earlier rows and an empty text in each column is kept, and
//! the next row is compared with it byte by byte, eight at a time. As far as both are the same, no key
//! has to be read and no field looked up.

use std::collections::HashMap;

use super::scan::{MalformedRow, RowScanner};

/// How many keys are remembered beyond those of the schema.
const MAX_EXTRA_KEYS: usize = 1024;
/// How many unknown columns are remembered by name.
const MAX_UNKNOWN_NAMES: usize = 64;

/// A key of earlier rows, and the offsets in [`KeyOrder::empty_row`] where it stands.
#[derive(Debug)]
struct KnownKey {
    start: usize,
    /// Behind the key's colon.
    value: usize,
    /// Behind the comma after its empty text.
    end: usize,
    /// The index of the column's field; `None`: the schema has none.
    field: Option<usize>,
}

/// The keys of rows, in the order in which they came last.
#[derive(Debug)]
pub(super) struct KeyOrder {
    /// Indices of fields by column.
    fields: HashMap<Vec<u8>, usize>,
    known: Vec<KnownKey>,
    /// `"key":"",` for each known key, the key with the escapes that it had in the row.
    empty_row: Vec<u8>,
    /// Indices in `known` by key.
    indices: HashMap<Vec<u8>, usize>,
    /// The index in `known` of the key that is expected next.
    next: usize,
    /// How many keys of this row did not come where they were expected.
    moved: usize,
    /// Names of columns without a field.
    unknown: Vec<String>,
}

impl KeyOrder {
    /// For these columns and the indices of their fields.
    pub(super) fn new<'a>(columns: impl Iterator<Item = (&'a str, usize)>) -> KeyOrder {
        KeyOrder {
            fields: columns
                .map(|(name, at)| (name.as_bytes().to_vec(), at))
                .collect(),
            known: Vec::new(),
            empty_row: Vec::new(),
            indices: HashMap::new(),
            next: 0,
            moved: 0,
            unknown: Vec::new(),
        }
    }

    /// Begins another row.
    pub(super) fn begin(&mut self) {
        // That row had another order, not just a column less: learn the new order.
        if self.moved > 4 && self.moved > self.known.len() / 4 {
            self.known.clear();
            self.empty_row.clear();
            self.indices.clear();
        }
        self.next = 0;
        self.moved = 0;
    }

    /// The names of columns without a field, at most [`MAX_UNKNOWN_NAMES`].
    pub(super) fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Passes over columns that are empty, calling `empty` with the field of each, then over a key and
    /// its colon. Gives the field of that key's column, if it has one.
    pub(super) fn key(
        &mut self,
        scanner: &mut RowScanner<'_>,
        mut empty: impl FnMut(Option<usize>),
    ) -> Result<Option<usize>, MalformedRow> {
        let Some(start) = self.known.get(self.next).map(|known| known.start) else {
            return self.find(scanner);
        };
        let rest = self.empty_row.get(start..).unwrap_or_default();
        let same = start + common(scanner.rest(), rest);
        let mut passed = start;
        for known in self.known.get(self.next..).unwrap_or_default() {
            if same < known.value {
                break;
            }
            self.next += 1;
            if same < known.end {
                scanner.advance(known.value - start);
                return Ok(known.field);
            }
            passed = known.end;
            empty(known.field);
        }
        scanner.advance(passed - start);
        self.find(scanner)
    }

    /// Reads a key and its colon, and looks the key up. A new key is remembered.
    fn find(&mut self, scanner: &mut RowScanner<'_>) -> Result<Option<usize>, MalformedRow> {
        scanner.space();
        let start = scanner.rest();
        scanner.expect(b'"')?;
        let key = scanner.string()?;
        let length = start.len() - scanner.rest().len();
        let name = scanner.text(key);
        if let Some(&index) = self.indices.get(name) {
            self.moved += 1;
            self.next = index + 1;
            let field = self.known.get(index).and_then(|known| known.field);
            scanner.expect(b':')?;
            return Ok(field);
        }
        let field = self.fields.get(name).copied();
        let name = name.to_vec();
        scanner.expect(b':')?;
        if field.is_none() && self.unknown.len() < MAX_UNKNOWN_NAMES {
            let name = String::from_utf8_lossy(&name).into_owned();
            if !self.unknown.contains(&name) {
                self.unknown.push(name);
            }
        }
        if self.known.len() < self.fields.len() + MAX_EXTRA_KEYS {
            let key = start.get(..length).unwrap_or_default();
            let start = self.empty_row.len();
            self.empty_row.extend_from_slice(key);
            self.empty_row.push(b':');
            let value = self.empty_row.len();
            self.empty_row.extend_from_slice(b"\"\",");
            self.indices.insert(name, self.known.len());
            self.known.push(KnownKey {
                start,
                value,
                end: self.empty_row.len(),
                field,
            });
            self.next = self.known.len();
        }
        Ok(field)
    }
}

/// The length of the common beginning of two texts.
fn common(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let mut same = 0;
    for (one, other) in words {
        let differ = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differ != 0 {
            return same + differ.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    let (one, other) = (one.get(same..), other.get(same..));
    let pairs = one
        .unwrap_or_default()
        .iter()
        .zip(other.unwrap_or_default());
    same + pairs.take_while(|(one, other)| one == other).count()
}
