//! Which versions of rows were delivered in the seconds of a table that have not settled: pure.
//!
//! A timestamp is set when a transaction begins, and the row can become visible minutes later, behind rows
//! with later timestamps that were read already. So the newest seconds of a table are read again for a while,
//! and what is known here is not produced again. A second is *settled* when no row can appear in it any
//! more; its versions are forgotten then.

use std::collections::{BTreeMap, HashSet};

/// Versions that wait to be written are counted up to here; beyond it the file is written anew.
const MAX_UNWRITTEN_VERSIONS: usize = 100_000;

/// Versions of one table, at about 100 bytes each, beyond which the older half settles early.
const MAX_VERSIONS: usize = 1_000_000;
/// Versions beyond which no further rows are read until that has happened.
const MAX_VERSIONS_WHILE_LISTED: usize = 1_500_000;

/// One version of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnsettledVersion {
    /// Its timestamp column, in seconds since 1970 UTC.
    pub seconds: i64,
    /// Its identifier as a number, or a hash of it.
    pub id: u128,
    /// What tells versions of the same second apart.
    pub mark: VersionMark,
}

/// What tells versions of a row that carry the same timestamp apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionMark {
    /// The instance's count of updates (`sys_mod_count`).
    Count(u32),
    /// The start of the SHA-256 of the row, where it was fetched without that column.
    Hash(u32),
}

/// How far a version is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It was handed to the sender.
    HandedOver,
    /// Kafka has acknowledged it.
    Acknowledged,
}

/// What changed since it was last taken for writing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UnsettledChanges {
    /// Versions that were acknowledged meanwhile.
    pub(super) acknowledged: Vec<UnsettledVersion>,
    /// The last settled second, when it moved.
    pub(super) settled: Option<i64>,
    /// Too many to be listed: all of them have to be written.
    pub(super) is_everything: bool,
}

impl UnsettledChanges {
    pub(super) fn is_empty(&self) -> bool {
        self.acknowledged.is_empty() && self.settled.is_none() && !self.is_everything
    }
}

/// The versions of one table that were delivered in its unsettled seconds.
#[derive(Debug, Default)]
pub struct UnsettledSpan {
    versions: BTreeMap<UnsettledVersion, Progress>,
    settled: Option<i64>,
    changes: UnsettledChanges,
}

impl UnsettledSpan {
    /// As it was written: acknowledged versions, and the last settled second.
    pub(super) fn restored(
        versions: impl IntoIterator<Item = UnsettledVersion>,
        settled: Option<i64>,
    ) -> UnsettledSpan {
        let versions = versions
            .into_iter()
            .map(|version| (version, Progress::Acknowledged));
        UnsettledSpan {
            versions: versions.collect(),
            settled,
            changes: UnsettledChanges::default(),
        }
    }

    /// Every row up to this second (since 1970 UTC) is delivered, and none can appear in it any more.
    /// `None`: nothing is settled yet.
    pub fn settled(&self) -> Option<i64> {
        self.settled
    }

    /// Versions that are remembered.
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Whether no version is remembered.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Versions with a timestamp of `seconds` or later, counted up to `max`.
    pub fn count_from(&self, seconds: i64, max: usize) -> usize {
        self.versions.range(first_of(seconds)..).take(max).count()
    }

    /// The latest timestamp of a version that is remembered.
    pub fn newest(&self) -> Option<i64> {
        let (version, _) = self.versions.last_key_value()?;
        Some(version.seconds)
    }

    /// Whether this version was handed over already.
    pub fn contains(&self, version: &UnsettledVersion) -> bool {
        self.versions.contains_key(version)
    }

    /// Whether the version of which a listing tells was handed over: `count` is its `sys_mod_count`, where the
    /// table has one. A version without a count is known by its timestamp alone.
    pub fn contains_listed(&self, seconds: i64, id: u128, count: Option<u32>) -> bool {
        let first = UnsettledVersion {
            seconds,
            id,
            mark: VersionMark::Count(0),
        };
        let last = UnsettledVersion {
            mark: VersionMark::Hash(u32::MAX),
            ..first
        };
        let mut known = self.versions.range(first..=last);
        known.any(|(version, _)| match (version.mark, count) {
            (VersionMark::Count(known), Some(listed)) => known == listed,
            _ => true,
        })
    }

    /// These versions are handed to the sender.
    pub fn hand_over(&mut self, versions: impl IntoIterator<Item = UnsettledVersion>) {
        for version in versions {
            if !self.is_settled(version.seconds) {
                self.versions.entry(version).or_insert(Progress::HandedOver);
            }
        }
    }

    /// The last second that is to settle early, as there are too many versions; before that it is listed once
    /// more. The older half, as far as whole seconds allow.
    pub fn settles_early(&self) -> Option<i64> {
        self.oldest_of(MAX_VERSIONS)
    }

    /// Whether no further rows are to be read until some seconds have settled. While all versions are of one
    /// second they are read to its end in any case, as it could not settle before.
    pub fn is_full(&self) -> bool {
        self.oldest_of(MAX_VERSIONS_WHILE_LISTED).is_some()
    }

    /// The last second of the older half of more than `max` versions. The newest second is not among them.
    fn oldest_of(&self, max: usize) -> Option<i64> {
        if self.versions.len() <= max {
            return None;
        }
        let first = self.versions.keys().next()?.seconds;
        let middle = self.versions.keys().nth(max / 2)?.seconds;
        if first < middle {
            return Some(middle.saturating_sub(1));
        }
        self.newest()
            .is_some_and(|newest| middle < newest)
            .then_some(middle)
    }

    /// Kafka has acknowledged these versions.
    pub fn acknowledge(&mut self, versions: &[UnsettledVersion]) {
        for version in versions {
            if self.is_settled(version.seconds) {
                continue;
            }
            let before = self.versions.insert(*version, Progress::Acknowledged);
            if before != Some(Progress::Acknowledged) && !self.changes.is_everything {
                self.changes.acknowledged.push(*version);
            }
        }
        if self.changes.acknowledged.len() > MAX_UNWRITTEN_VERSIONS {
            self.changes.acknowledged = Vec::new();
            self.changes.is_everything = true;
        }
    }

    /// What was handed over and not acknowledged is read and handed over again.
    pub fn forget_unacknowledged(&mut self) {
        self.versions
            .retain(|_, progress| *progress == Progress::Acknowledged);
    }

    /// Rows that are gone: one that comes back is none that was delivered.
    pub fn forget(&mut self, ids: &HashSet<u128>) {
        let before = self.versions.len();
        self.versions
            .retain(|version, _| !ids.contains(&version.id));
        if self.versions.len() < before {
            self.write_everything();
        }
    }

    /// Everything up to this second is settled.
    pub fn settle(&mut self, seconds: i64) {
        if self.is_settled(seconds) {
            return;
        }
        self.settled = Some(seconds);
        self.changes.settled = Some(seconds);
        self.versions = match seconds.checked_add(1) {
            Some(next) => self.versions.split_off(&first_of(next)),
            None => BTreeMap::new(),
        };
    }

    /// Takes what is to be written.
    pub(super) fn take_changes(&mut self) -> UnsettledChanges {
        std::mem::take(&mut self.changes)
    }

    /// The last write failed: all of it has to be written the next time.
    pub(super) fn write_everything(&mut self) {
        self.changes = UnsettledChanges {
            is_everything: true,
            ..UnsettledChanges::default()
        };
    }

    /// Whether there is something to write.
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// All acknowledged versions.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = UnsettledVersion> {
        self.versions
            .iter()
            .filter(|(_, progress)| **progress == Progress::Acknowledged)
            .map(|(version, _)| *version)
    }

    fn is_settled(&self, seconds: i64) -> bool {
        self.settled.is_some_and(|settled| seconds <= settled)
    }
}

/// The smallest version that a second can have.
fn first_of(seconds: i64) -> UnsettledVersion {
    UnsettledVersion {
        seconds,
        id: 0,
        mark: VersionMark::Count(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(seconds: i64, id: u128, count: u32) -> UnsettledVersion {
        UnsettledVersion {
            seconds,
            id,
            mark: VersionMark::Count(count),
        }
    }

    #[test]
    fn a_version_is_known_by_its_second_its_identifier_and_its_mark() {
        let mut span = UnsettledSpan::default();
        span.hand_over([version(100, 1, 4)]);
        assert!(span.contains(&version(100, 1, 4)));
        for other in [version(101, 1, 4), version(100, 2, 4), version(100, 1, 5)] {
            assert!(!span.contains(&other), "{other:?}");
        }
        assert!(span.contains_listed(100, 1, Some(4)));
        assert!(!span.contains_listed(100, 1, Some(5)));
        assert!(span.contains_listed(100, 1, None));
        assert!(!span.contains_listed(100, 2, None));
        let mark = VersionMark::Hash(7);
        span.hand_over([UnsettledVersion {
            mark,
            ..version(100, 3, 0)
        }]);
        assert!(span.contains_listed(100, 3, Some(7)), "no count to compare");
        assert!(!span.contains(&version(100, 3, 7)));
    }

    #[test]
    fn what_is_not_acknowledged_comes_again_and_what_is_settled_is_forgotten() {
        let mut span = UnsettledSpan::default();
        span.hand_over([version(100, 1, 0), version(101, 2, 0), version(102, 3, 0)]);
        span.acknowledge(&[version(100, 1, 0), version(101, 2, 0)]);
        span.forget_unacknowledged();
        assert!(span.contains(&version(101, 2, 0)));
        assert!(!span.contains(&version(102, 3, 0)));
        span.settle(100);
        assert_eq!((span.len(), span.settled()), (1, Some(100)));
        span.hand_over([version(100, 9, 0)]);
        span.acknowledge(&[version(99, 9, 0)]);
        assert_eq!(span.len(), 1, "settled seconds stay forgotten");
        span.settle(50);
        assert_eq!(span.settled(), Some(100), "it does not go back");
        assert_eq!((span.newest(), span.count_from(101, 9)), (Some(101), 1));
    }

    #[test]
    fn the_older_half_of_too_many_settles_early_in_whole_seconds() {
        let mut span = UnsettledSpan::default();
        span.hand_over((0..10).map(|second| version(second, 1, 0)));
        assert_eq!((span.oldest_of(10), span.oldest_of(9)), (None, Some(3)));
        assert_eq!(span.len(), 10, "not before they were listed");
        span.settle(3);
        assert_eq!((span.len(), span.oldest_of(9)), (6, None));
        // One second has more than half of them, and then it is the newest one.
        let mut span = UnsettledSpan::default();
        span.hand_over((0..8).map(|id| version(7, id, 0)));
        assert_eq!(span.oldest_of(6), None, "it is still being read");
        span.hand_over([version(8, 1, 0)]);
        assert_eq!(span.oldest_of(6), Some(7));
        span.hand_over([version(6, 1, 0)]);
        assert_eq!(span.oldest_of(6), Some(6));
    }

    #[test]
    fn changes_are_told_once_and_again_when_they_could_not_be_written() {
        let mut span = UnsettledSpan::default();
        let one = version(100, 1, 0);
        span.acknowledge(&[one]);
        span.acknowledge(&[one]);
        assert_eq!(span.take_changes().acknowledged, [one]);
        assert!(!span.has_changes());
        span.settle(99);
        assert_eq!(span.take_changes().settled, Some(99));
        span.write_everything();
        assert!(span.take_changes().is_everything);
        let many: Vec<UnsettledVersion> = (0..=100_000).map(|id| version(200, id, 0)).collect();
        span.acknowledge(&many);
        let changes = span.take_changes();
        assert!(changes.is_everything && changes.acknowledged.is_empty());
        assert_eq!(span.acknowledged().count(), 100_002);
    }
}
