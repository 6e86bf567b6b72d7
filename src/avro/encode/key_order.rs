//! Which column comes next. Rows of a page nearly always have their keys in the same order, and most
//! columns of a row are empty. So the row is compared with one that has the keys of the rows before
//! and nothing in its columns: as far as it is the same, nothing needs to be looked at.

use std::collections::HashMap;

use super::scan::{MalformedRow, RowScanner};

/// Keys that are remembered beyond those of the schema.
const MAX_EXTRA_KEYS: usize = 1024;
/// Unknown columns that are named.
const MAX_UNKNOWN_NAMES: usize = 64;

/// A key that was seen, and where it stands in the empty row.
#[derive(Debug)]
struct KnownKey {
    start: usize,
    /// Behind its colon.
    value: usize,
    /// Behind the comma.
    end: usize,
    /// The field of that column.
    field: Option<usize>,
}

/// The keys in the order in which they came last.
#[derive(Debug)]
pub(super) struct KeyOrder {
    /// Fields by column.
    fields: HashMap<Vec<u8>, usize>,
    known: Vec<KnownKey>,
    /// `"key":"",` for each of them, the key as it stood in the row.
    empty: Vec<u8>,
    /// Places in `known` by key.
    places: HashMap<Vec<u8>, usize>,
    /// The place to look at next.
    next: usize,
    /// Keys of this row that stood elsewhere.
    moved: usize,
    /// Columns without a field.
    unknown: Vec<String>,
}

impl KeyOrder {
    /// For the columns and their places among the fields.
    pub(super) fn new<'a>(columns: impl Iterator<Item = (&'a str, usize)>) -> KeyOrder {
        KeyOrder {
            fields: columns
                .map(|(name, at)| (name.as_bytes().to_vec(), at))
                .collect(),
            known: Vec::new(),
            empty: Vec::new(),
            places: HashMap::new(),
            next: 0,
            moved: 0,
            unknown: Vec::new(),
        }
    }

    /// Another row begins.
    pub(super) fn begin(&mut self) {
        // Another order, not just a column less: learn it.
        if self.moved > 4 && self.moved > self.known.len() / 4 {
            self.known.clear();
            self.empty.clear();
            self.places.clear();
        }
        self.next = 0;
        self.moved = 0;
    }

    /// The names of columns without a field, the first of them.
    pub(super) fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Passes over columns that are empty, each of which is told to `empty`, then over a key and its
    /// colon. Gives the field, if the column has one.
    pub(super) fn key(
        &mut self,
        scanner: &mut RowScanner<'_>,
        mut empty: impl FnMut(Option<usize>),
    ) -> Result<Option<usize>, MalformedRow> {
        let Some(start) = self.known.get(self.next).map(|known| known.start) else {
            return self.find(scanner);
        };
        let rest = self.empty.get(start..).unwrap_or_default();
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

    fn find(&mut self, scanner: &mut RowScanner<'_>) -> Result<Option<usize>, MalformedRow> {
        scanner.space();
        let start = scanner.rest();
        scanner.expect(b'"')?;
        let key = scanner.string()?;
        let length = start.len() - scanner.rest().len();
        let name = scanner.text(key);
        if let Some(&place) = self.places.get(name) {
            self.moved += 1;
            self.next = place + 1;
            let field = self.known.get(place).and_then(|known| known.field);
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
            let start = self.empty.len();
            self.empty.extend_from_slice(key);
            self.empty.push(b':');
            let value = self.empty.len();
            self.empty.extend_from_slice(b"\"\",");
            self.places.insert(name, self.known.len());
            self.known.push(KnownKey {
                start,
                value,
                end: self.empty.len(),
                field,
            });
            self.next = self.known.len();
        }
        Ok(field)
    }
}

/// How many bytes are the same from the start on.
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
