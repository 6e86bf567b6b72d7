//! The newest record of each row of a topic, in about 40 bytes a row: pure.
//!
//! Rows with a hexadecimal identifier, nearly all, lie in one sorted list. New records are collected
//! beside it and merged into it when they are many, so that the list is never copied.

use std::collections::BTreeMap;
use std::ops::Range;

use super::row_identifier::RowIdentifier;
use super::sieve::SliceSums;
use crate::delivered::RowVersion;

/// The fewest records that are merged before they are asked for.
const MIN_MERGED_RECORDS: usize = 1 << 16;
/// Of the list's length that part is collected at most.
const COLLECTED_PART: usize = 4;

/// No stamp is known.
const NO_SECONDS: i64 = i64::MIN;
/// No count is known. A row that was changed so often is compared by its stamp.
const NO_COUNT: u32 = u32::MAX;

/// What a topic says of its rows.
#[derive(Debug, Default)]
pub(super) struct TopicIndex {
    /// Sorted by identifier, each once.
    rows: Vec<HexRow>,
    /// In the order of the topic.
    recent: Vec<HexRow>,
    /// Rows with other identifiers.
    others: BTreeMap<Box<str>, TopicRow>,
}

/// The newest record of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicRow {
    seconds: i64,
    mod_count: u32,
    is_deleted: bool,
    is_misplaced: bool,
    was_seen: bool,
}

#[derive(Debug, Clone, Copy)]
struct HexRow {
    id: u128,
    row: TopicRow,
}

impl TopicRow {
    /// A record with a body, of this version of its row.
    pub(super) fn of(version: RowVersion) -> TopicRow {
        TopicRow {
            seconds: version.seconds.unwrap_or(NO_SECONDS),
            mod_count: version.mod_count.unwrap_or(NO_COUNT),
            is_deleted: false,
            is_misplaced: false,
            was_seen: false,
        }
    }

    /// A tombstone.
    pub(super) fn deleted() -> TopicRow {
        TopicRow {
            is_deleted: true,
            ..TopicRow::of(RowVersion::default())
        }
    }

    /// The record stands in another partition than that of its key.
    #[must_use]
    pub(super) fn misplaced(self) -> TopicRow {
        TopicRow {
            is_misplaced: true,
            ..self
        }
    }

    /// The version that the topic holds; `None`: a tombstone.
    pub(super) fn version(self) -> Option<RowVersion> {
        (!self.is_deleted).then_some(RowVersion {
            seconds: (self.seconds != NO_SECONDS).then_some(self.seconds),
            mod_count: (self.mod_count != NO_COUNT).then_some(self.mod_count),
        })
    }

    /// Takes the place of an earlier record. One that stands in a wrong partition has no order with those in the
    /// right one, which count.
    fn replace(self, earlier: &mut TopicRow) {
        if !self.is_misplaced || earlier.is_misplaced {
            let was_seen = earlier.was_seen;
            *earlier = TopicRow { was_seen, ..self };
        }
    }
}

impl TopicIndex {
    /// The topic's next record.
    pub(super) fn record(&mut self, id: RowIdentifier, row: TopicRow) {
        match id {
            RowIdentifier::Hex(id) => {
                self.recent.push(HexRow { id, row });
                let most = MIN_MERGED_RECORDS.max(self.rows.len() / COLLECTED_PART);
                if self.recent.len() >= most {
                    self.merge();
                }
            }
            RowIdentifier::Other(id) => match self.others.get_mut(&id) {
                Some(earlier) => row.replace(earlier),
                None => {
                    self.others.insert(id, row);
                }
            },
        }
    }

    /// The newest record of a row.
    pub(super) fn get(&mut self, id: &RowIdentifier) -> Option<TopicRow> {
        self.find(id).map(|row| *row)
    }

    /// The newest record of a row, which counts as seen from now on.
    pub(super) fn see(&mut self, id: &RowIdentifier) -> Option<TopicRow> {
        let row = self.find(id)?;
        row.was_seen = true;
        Some(*row)
    }

    fn find(&mut self, id: &RowIdentifier) -> Option<&mut TopicRow> {
        self.merge();
        match id {
            RowIdentifier::Hex(id) => {
                let at = self.rows.binary_search_by_key(id, |row| row.id).ok()?;
                self.rows.get_mut(at).map(|row| &mut row.row)
            }
            RowIdentifier::Other(id) => self.others.get_mut(id),
        }
    }

    /// Rows that are in the topic and were not seen, of those with hexadecimal identifiers in `ids`.
    pub(super) fn unseen(&mut self, ids: &Range<u128>) -> Vec<RowIdentifier> {
        let rows = self.within(ids).iter();
        let unseen = rows.filter(|row| !row.row.was_seen && !row.row.is_deleted);
        unseen.map(|row| RowIdentifier::Hex(row.id)).collect()
    }

    /// Whether there are rows with other identifiers.
    pub(super) fn has_others(&self) -> bool {
        self.others.values().any(|row| !row.is_deleted)
    }

    /// Rows that are in the topic and were not seen, of those with other identifiers.
    pub(super) fn unseen_others(&self) -> Vec<RowIdentifier> {
        let rows = self.others.iter();
        let unseen = rows.filter(|(_, row)| !row.was_seen && !row.is_deleted);
        unseen
            .map(|(id, _)| RowIdentifier::Other(id.clone()))
            .collect()
    }

    fn within(&mut self, ids: &Range<u128>) -> &[HexRow] {
        self.merge();
        let start = self.rows.partition_point(|row| row.id < ids.start);
        let end = self.rows.partition_point(|row| row.id < ids.end);
        self.rows.get(start..end).unwrap_or_default()
    }

    /// Every row in the byte order of the identifiers, with its record.
    pub(super) fn in_order(&mut self) -> impl Iterator<Item = (RowIdentifier, TopicRow)> {
        self.merge();
        let mut hex = self.rows.iter().peekable();
        let mut others = self.others.iter().peekable();
        std::iter::from_fn(move || {
            let is_other_next = match (hex.peek(), others.peek()) {
                (Some(hex), Some((other, _))) => is_before(other, hex.id),
                (hex, _) => hex.is_none(),
            };
            if is_other_next {
                let (id, row) = others.next()?;
                Some((RowIdentifier::Other(id.clone()), *row))
            } else {
                let row = hex.next()?;
                Some((RowIdentifier::Hex(row.id), row.row))
            }
        })
    }

    /// Rows whose record stands in a wrong partition: how many, and one of them.
    pub(super) fn misplaced(&mut self) -> (usize, Option<RowIdentifier>) {
        self.merge();
        let hex = self.rows.iter();
        let hex = hex.map(|row| (RowIdentifier::Hex(row.id), row.row));
        let others = self.others.iter();
        let others = others.map(|(id, row)| (RowIdentifier::Other(id.clone()), *row));
        let mut rows = hex
            .chain(others)
            .filter(|(_, row)| row.is_misplaced && !row.is_deleted);
        let first = rows.next().map(|(id, _)| id);
        (usize::from(first.is_some()) + rows.count(), first)
    }

    /// The identifier behind so many rows from `from` on; `None`: there are no more.
    pub(super) fn cut_behind(&mut self, from: u128, rows: usize) -> Option<u128> {
        self.merge();
        let start = self.rows.partition_point(|row| row.id < from);
        self.rows.get(start + rows.max(1)).map(|row| row.id)
    }

    /// How many rows, with tombstones, have hexadecimal identifiers below `to`, and how many there are.
    pub(super) fn place(&mut self, to: u128) -> (usize, usize) {
        self.merge();
        (
            self.rows.partition_point(|row| row.id < to),
            self.rows.len(),
        )
    }

    /// Sums over the rows with hexadecimal identifiers in `ids`; `None`: the count of one is not known.
    pub(super) fn sums(&mut self, ids: &Range<u128>) -> Option<SliceSums> {
        let mut sums = SliceSums::default();
        let live = self.within(ids).iter().filter(|row| !row.row.is_deleted);
        for row in live {
            sums.rows += 1;
            sums.mod_counts += u64::from(row.row.version()?.mod_count?);
        }
        Some(sums)
    }

    /// Merges the records that were collected into the list.
    fn merge(&mut self) {
        if self.recent.is_empty() {
            return;
        }
        let mut recent = std::mem::take(&mut self.recent);
        // Stable, so that the records of one row stay in the order of the topic.
        recent.sort_by_key(|row| row.id);
        let mut newest: Vec<HexRow> = Vec::new();
        for row in recent.drain(..) {
            match newest.last_mut() {
                Some(last) if last.id == row.id => row.row.replace(&mut last.row),
                _ => newest.push(row),
            }
        }
        self.recent = recent;
        // Those of rows that the list has take their place; the others make room from the end.
        newest.retain(|row| {
            let Ok(at) = self.rows.binary_search_by_key(&row.id, |row| row.id) else {
                return true;
            };
            if let Some(known) = self.rows.get_mut(at) {
                row.row.replace(&mut known.row);
            }
            false
        });
        self.rows.reserve_exact(newest.len());
        insert_sorted(&mut self.rows, &newest);
    }
}

/// Whether a name stands before the 32 hex digits of a number, in the byte order of their texts.
fn is_before(name: &str, number: u128) -> bool {
    const HEX_DIGITS: usize = 32;
    let digit = |at: usize| b"0123456789abcdef".get((number >> (4 * at) & 0xf) as usize);
    let digits = (0..HEX_DIGITS).rev().filter_map(digit);
    name.bytes().lt(digits.copied())
}

/// Puts `new`, sorted as well, between what is there.
fn insert_sorted(rows: &mut Vec<HexRow>, new: &[HexRow]) {
    let mut old = rows.len();
    let mut left = new;
    rows.extend_from_slice(new);
    let mut to = rows.len();
    while let Some((last, before)) = left.split_last() {
        to -= 1;
        let older = old.checked_sub(1).and_then(|at| rows.get(at).copied());
        let next = match older {
            Some(older) if older.id > last.id => {
                old -= 1;
                older
            }
            _ => {
                left = before;
                *last
            }
        };
        if let Some(place) = rows.get_mut(to) {
            *place = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn version(seconds: i64) -> RowVersion {
        RowVersion {
            seconds: Some(seconds),
            mod_count: Some(1),
        }
    }

    #[test]
    fn a_row_takes_about_forty_bytes() {
        assert_eq!(size_of::<HexRow>(), 32);
    }

    #[test]
    fn a_record_in_a_wrong_partition_gives_way() {
        let mut index = TopicIndex::default();
        for id in [RowIdentifier::Hex(7), RowIdentifier::new("name")] {
            index.record(id.clone(), TopicRow::of(version(1)).misplaced());
            assert!(index.get(&id).unwrap().is_misplaced);
            index.record(id.clone(), TopicRow::of(version(2)));
            index.record(id.clone(), TopicRow::of(version(3)).misplaced());
            assert_eq!(index.get(&id).unwrap().version(), Some(version(2)));
        }
        assert_eq!(index.misplaced(), (0, None));
    }

    #[test]
    fn what_was_not_seen_is_told() {
        let mut index = TopicIndex::default();
        for id in 0..10 {
            index.record(RowIdentifier::Hex(id), TopicRow::of(version(1)));
        }
        index.record(RowIdentifier::new("name"), TopicRow::of(version(1)));
        index.record(RowIdentifier::Hex(4), TopicRow::deleted());
        for id in [0, 1, 3, 5] {
            index.see(&RowIdentifier::Hex(id));
        }
        // What was seen stays so when another record comes.
        index.record(RowIdentifier::Hex(3), TopicRow::of(version(2)));
        assert_eq!(
            index.unseen(&(1..7)),
            [RowIdentifier::Hex(2), RowIdentifier::Hex(6)]
        );
        assert_eq!(index.unseen_others(), [RowIdentifier::new("name")]);
        assert_eq!(index.cut_behind(0, 4), Some(4));
        assert_eq!(index.cut_behind(4, 6), None);
        assert_eq!(index.place(4), (4, 10));
        let sums = SliceSums {
            rows: 3,
            mod_counts: 3,
        };
        assert_eq!(index.sums(&(2..6)), Some(sums), "row 4 is deleted");
    }

    #[test]
    fn names_stand_where_their_text_sorts() {
        let number = 0x0a << 120;
        for (name, expected) in [
            ("", true),
            ("0", true),
            ("09", true),
            ("0a", true),
            ("0b", false),
            ("GLOBAL", false),
            (&format!("{number:032x}"), false),
            (&format!("{number:032x}0"), false),
        ] {
            assert_eq!(is_before(name, number), expected, "{name}");
            assert_eq!(name < &*format!("{number:032x}"), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_last_record_of_each_row_counts(
            records in prop::collection::vec((0_u128..40, 0_i64..1000, any::<bool>()), 0..300),
            asked in 1_usize..50,
        ) {
            let mut index = TopicIndex::default();
            let mut expected = HashMap::new();
            for (at, (id, seconds, is_deleted)) in records.into_iter().enumerate() {
                let row = if is_deleted { TopicRow::deleted() } else { TopicRow::of(version(seconds)) };
                index.record(RowIdentifier::Hex(id), row);
                expected.insert(id, row);
                if at % asked == 0 {
                    prop_assert_eq!(index.get(&RowIdentifier::Hex(id)), Some(row));
                }
            }
            let mut sorted: Vec<_> = expected.into_iter().collect();
            sorted.sort_unstable_by_key(|(id, _)| *id);
            let found: Vec<_> = index
                .in_order()
                .map(|(id, row)| match id {
                    RowIdentifier::Hex(id) => (id, row),
                    RowIdentifier::Other(_) => unreachable!(),
                })
                .collect();
            prop_assert_eq!(found, sorted);
        }
    }
}
