//! Sorted views of a table's rows.
//!
//! An index is a vector of rows in key order, so that a range is found by binary search, counted by
//! subtraction and read by walking. An insert moves the tail of the vector: cheap at the sizes that
//! tests use.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::row::Stored;
use crate::schema::SYS_ID;

/// Rows sorted by a stamp column and `sys_id`, or by `sys_id` alone.
#[derive(Debug)]
pub(crate) struct Index {
    /// The stamp column; `None` sorts by `sys_id` alone.
    pub(crate) stamp: Option<usize>,
    insensitive: bool,
    rows: Vec<Arc<Stored>>,
    counts: Mutex<Counts>,
}

/// How many rows before each place satisfy one condition, so that the pages of one window need not
/// count the rest of the window again and again. Any change of the index forgets it.
#[derive(Debug, Default)]
struct Counts {
    /// The condition that was counted last.
    key: String,
    /// Made when the same condition is counted again.
    before: Option<Vec<usize>>,
}

impl Index {
    pub(crate) fn new(stamp: Option<usize>, insensitive: bool) -> Index {
        Index {
            stamp,
            insensitive,
            rows: Vec::new(),
            counts: Mutex::default(),
        }
    }

    /// Counts the rows of `range` for which `holds` is true; `key` names the condition.
    pub(crate) fn count(
        &self,
        key: String,
        range: Range<usize>,
        holds: impl Fn(&Stored) -> bool,
    ) -> usize {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.key != key {
            *counts = Counts { key, before: None };
            drop(counts);
            let rows = self.rows.get(range).unwrap_or_default();
            return rows.iter().filter(|row| holds(row)).count();
        }
        let before = counts.before.get_or_insert_with(|| {
            let mut sum = 0;
            let mut before = vec![0];
            before.extend(self.rows.iter().map(|row| {
                sum += usize::from(holds(row));
                sum
            }));
            before
        });
        let at = |place: usize| before.get(place).copied().unwrap_or_default();
        at(range.end).saturating_sub(at(range.start))
    }

    /// The rows for a change.
    fn change(&mut self) -> &mut Vec<Arc<Stored>> {
        self.counts = Mutex::default();
        &mut self.rows
    }

    /// All rows in key order.
    pub(crate) fn rows(&self) -> &[Arc<Stored>] {
        &self.rows
    }

    /// First place whose key is not below (stamp, id).
    pub(crate) fn lower(&self, stamp: &str, id: &str) -> usize {
        self.rows
            .partition_point(|row| self.compare(row, stamp, id) == Ordering::Less)
    }

    /// First place whose key is above (stamp, id).
    pub(crate) fn upper(&self, stamp: &str, id: &str) -> usize {
        self.rows
            .partition_point(|row| self.compare(row, stamp, id) != Ordering::Greater)
    }

    /// First place whose stamp is not below `stamp`.
    pub(crate) fn stamp_lower(&self, stamp: &str) -> usize {
        self.rows.partition_point(|row| self.stamp_of(row) < stamp)
    }

    /// First place whose stamp is above `stamp`.
    pub(crate) fn stamp_upper(&self, stamp: &str) -> usize {
        self.rows.partition_point(|row| self.stamp_of(row) <= stamp)
    }

    fn stamp_of<'a>(&self, row: &'a Stored) -> &'a str {
        self.stamp.map_or("", |column| row.raw(column))
    }

    fn compare(&self, row: &Stored, stamp: &str, id: &str) -> Ordering {
        let stamps = match self.stamp {
            Some(column) => row.raw(column).cmp(stamp),
            None => Ordering::Equal,
        };
        stamps.then_with(|| compare_text(row.raw(SYS_ID), id, self.insensitive))
    }

    /// Total order of rows: ids that are equal without case still have one order.
    fn order(&self, a: &Stored, b: &Stored) -> Ordering {
        self.compare(a, self.stamp_of(b), b.sys_id())
            .then_with(|| a.sys_id().cmp(b.sys_id()))
    }

    fn place(&self, row: &Stored) -> Result<usize, usize> {
        self.rows.binary_search_by(|known| self.order(known, row))
    }

    /// Adds one row.
    pub(crate) fn insert(&mut self, row: Arc<Stored>) {
        let at = match self.place(&row) {
            Ok(at) | Err(at) => at,
        };
        self.change().insert(at, row);
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, row: &Stored) {
        if let Ok(at) = self.place(row) {
            self.change().remove(at);
        }
    }

    /// Adds many rows at once: one sort, which is quick on what is sorted already.
    pub(crate) fn extend(&mut self, rows: impl Iterator<Item = Arc<Stored>>) {
        let mut all = std::mem::take(self.change());
        all.extend(rows);
        all.sort_by(|a, b| self.order(a, b));
        self.rows = all;
    }

    /// Keeps the rows for which `keep` holds.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Arc<Stored>) -> bool) {
        self.change().retain(keep);
    }

    /// The row with exactly this `sys_id`; only on the index by `sys_id`.
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Stored>> {
        let from = self.lower("", id);
        let to = self.upper("", id);
        self.rows
            .get(from..to)?
            .iter()
            .find(|row| row.sys_id() == id)
    }
}

/// Compares texts as the database's collation does: with or without ASCII case.
pub(crate) fn compare_text(a: &str, b: &str, insensitive: bool) -> Ordering {
    if !insensitive {
        return a.cmp(b);
    }
    let (a_bytes, b_bytes) = (a.as_bytes(), b.as_bytes());
    for (x, y) in a_bytes.iter().zip(b_bytes) {
        let order = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}
