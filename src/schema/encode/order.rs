//! Which column comes next. Rows of a page nearly always have their keys in the same order, so the
//! key that came next in the row before is compared first.

use std::collections::HashMap;

use super::scan::{Malformed, Scanner};

/// Keys that are remembered beyond those of the schema.
const MORE_KEYS: usize = 1024;
/// Unknown columns that are named.
const MAX_NAMED: usize = 64;

/// A key that was seen.
#[derive(Debug)]
struct Known {
    /// `"key":`, as it stood in the row.
    text: Vec<u8>,
    /// The field of that column.
    field: Option<usize>,
}

/// The keys in the order in which they came last.
#[derive(Debug)]
pub(super) struct Order {
    /// Fields by column.
    fields: HashMap<Vec<u8>, usize>,
    known: Vec<Known>,
    /// Places in `known` by key.
    places: HashMap<Vec<u8>, usize>,
    /// The place to look at next.
    next: usize,
    /// Keys of this row that stood elsewhere.
    moved: usize,
    /// Columns without a field.
    unknown: Vec<String>,
}

impl Order {
    /// For the columns and their places among the fields.
    pub(super) fn new<'a>(columns: impl Iterator<Item = (&'a str, usize)>) -> Order {
        Order {
            fields: columns
                .map(|(name, at)| (name.as_bytes().to_vec(), at))
                .collect(),
            known: Vec::new(),
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
            self.places.clear();
        }
        self.next = 0;
        self.moved = 0;
    }

    /// The names of columns without a field, the first of them.
    pub(super) fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Passes over a key and its colon; gives the field, if the column has one.
    pub(super) fn key(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<usize>, Malformed> {
        if let Some(known) = self.known.get(self.next)
            && scanner.rest().starts_with(&known.text)
        {
            scanner.advance(known.text.len());
            self.next += 1;
            return Ok(known.field);
        }
        self.find(scanner)
    }

    fn find(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<usize>, Malformed> {
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
        if field.is_none() && self.unknown.len() < MAX_NAMED {
            let name = String::from_utf8_lossy(&name).into_owned();
            if !self.unknown.contains(&name) {
                self.unknown.push(name);
            }
        }
        if self.known.len() < self.fields.len() + MORE_KEYS {
            let mut text = start.get(..length).unwrap_or_default().to_vec();
            text.push(b':');
            self.places.insert(name, self.known.len());
            self.known.push(Known { text, field });
            self.next = self.known.len();
        }
        Ok(field)
    }
}
