//! Which rows of the cursor's second were read: pure, without I/O.
//!
//! The cursor alone tells it where identifiers compare as the instance compares them, which is certain
//! only for 32 lower-case hex digits. The order of all others is the affair of the database's collation.
//! They are remembered here while reading stays in their second, so that one that comes again is known
//! for what it is.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::servicenow::query::hex_id;

/// Most identifiers that are remembered, at 8 bytes each. An instance that begins a second anew begins
/// with its first rows, and those are remembered.
const MAX_REMEMBERED_IDS: usize = 128 * 1024;

/// An identifier as rows are compared by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowId {
    /// 32 lower-case hex digits, as a number: their order is known.
    Ordered(u128),
    /// A hash of anything else: only whether two are the same is known.
    Opaque(u64),
}

/// The identifiers without a known order that were read in one second.
#[derive(Debug, Clone, Default)]
pub struct ReadIds {
    /// `None`: no row was read.
    second: Option<i64>,
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl ReadIds {
    /// An identifier in the form in which `self` knows it.
    pub fn row_id(&self, id: &[u8]) -> RowId {
        hex_id(id).map_or_else(|| RowId::Opaque(self.hasher.hash_one(id)), RowId::Ordered)
    }

    /// Nothing of any second yet, with identifiers in the same form as in `self`.
    pub fn emptied(&self) -> ReadIds {
        ReadIds {
            second: None,
            hashes: HashSet::new(),
            hasher: self.hasher.clone(),
        }
    }

    /// Remembers a row; those of an earlier second are forgotten.
    pub fn add(&mut self, second: i64, id: RowId) {
        self.enter(second);
        if let RowId::Opaque(hash) = id
            && self.hashes.len() < MAX_REMEMBERED_IDS
        {
            self.hashes.insert(hash);
        }
    }

    /// Adds what `later` remembers, which was read behind it.
    pub fn extend(&mut self, later: &ReadIds) {
        let Some(second) = later.second else { return };
        self.enter(second);
        for hash in &later.hashes {
            self.add(second, RowId::Opaque(*hash));
        }
    }

    fn enter(&mut self, second: i64) {
        if self.second != Some(second) {
            self.hashes.clear();
            self.second = Some(second);
        }
    }

    /// Whether this row is among those that are remembered.
    pub fn contains(&self, second: i64, id: RowId) -> bool {
        matches!(id, RowId::Opaque(hash) if self.second == Some(second) && self.hashes.contains(&hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_is_remembered() {
        let mut read = ReadIds::default();
        let (a, b) = (read.row_id(b"INC1"), read.row_id(b"INC2"));
        read.add(7, a);
        assert!(read.contains(7, a) && !read.contains(7, b) && !read.contains(8, a));
        let mut page = read.emptied();
        page.add(7, b);
        read.extend(&page);
        assert!(read.contains(7, a) && read.contains(7, b));
        page.add(8, a);
        read.extend(&page);
        assert!(read.contains(8, a) && !read.contains(7, b) && !read.contains(8, b));
        read.extend(&read.emptied());
        assert!(read.contains(8, a), "a page without rows changes nothing");
        let ordered = read.row_id(b"0123456789abcdef0123456789abcdef");
        assert!(matches!(ordered, RowId::Ordered(_)));
    }

    #[test]
    fn the_first_ones_are_kept_when_there_are_too_many() {
        let mut read = ReadIds::default();
        for hash in 0..200_000 {
            read.add(1, RowId::Opaque(hash));
        }
        assert_eq!(read.hashes.len(), MAX_REMEMBERED_IDS);
        assert!(read.contains(1, RowId::Opaque(0)));
    }
}
