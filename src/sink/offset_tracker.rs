//! Which records of a partition are finished, and up to which offset it may be committed (pure).
//!
//! Records finish in any order; the position to commit is the first offset that is not finished. Records
//! that were handed out and are not finished when the process dies come again.

use std::collections::VecDeque;

/// One assigned partition.
#[derive(Debug, Default)]
pub(super) struct OffsetTracker {
    /// Offsets that were handed out, ascending, from the first that is not finished on; with whether each
    /// is finished.
    open: VecDeque<(i64, bool)>,
    /// The offset behind the last one that was handed out; `None`: none was.
    next: Option<i64>,
    /// Number of records before the position.
    passed: u64,
    /// Of these, the number before the committed position.
    committed: u64,
    /// Positions that are being committed, and the number of records before each.
    committing: VecDeque<(i64, u64)>,
}

impl OffsetTracker {
    /// A record is handed out. Offsets only grow; gaps are normal (transactions, compaction).
    pub(super) fn begin(&mut self, offset: i64) {
        self.open.push_back((offset, false));
        self.next = Some(offset.saturating_add(1));
    }

    /// A record is finished.
    pub(super) fn finish(&mut self, offset: i64) {
        let Ok(at) = self
            .open
            .binary_search_by_key(&offset, |(offset, _)| *offset)
        else {
            return;
        };
        if let Some((_, done)) = self.open.get_mut(at) {
            *done = true;
        }
        while self.open.front().is_some_and(|(_, done)| *done) {
            self.open.pop_front();
            self.passed += 1;
        }
    }

    /// The first offset that is not finished; `None`: no record was handed out.
    pub(super) fn position(&self) -> Option<i64> {
        self.open.front().map(|(offset, _)| *offset).or(self.next)
    }

    /// The offset behind the last record that was handed out; `None`: none was.
    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }

    /// The offsets of the records that were handed out and are not finished, ascending.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = i64> {
        let unfinished = self.open.iter().filter(|(_, done)| !done);
        unfinished.map(|(offset, _)| *offset)
    }

    /// Number of records that were handed out, from the first that is not finished on.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// How many of those there are up to the last finished one, and up to this offset.
    pub(super) fn begun_until(&self, offset: Option<i64>) -> usize {
        let is_begun = |(at, done): &(i64, bool)| *done || offset.is_some_and(|last| *at <= last);
        self.open
            .iter()
            .rposition(is_begun)
            .map_or(0, |last| last + 1)
    }

    /// The position, if it has moved since the last call.
    pub(super) fn take_position(&mut self) -> Option<i64> {
        let position = self.position()?;
        let last = self.committing.back().map(|(position, _)| *position);
        if self.passed == self.committed || last == Some(position) {
            return None;
        }
        self.committing.push_back((position, self.passed));
        Some(position)
    }

    /// Kafka has committed this position.
    pub(super) fn committed(&mut self, position: i64) {
        while let Some((_, passed)) = self
            .committing
            .pop_front_if(|(committing, _)| *committing <= position)
        {
            self.committed = passed;
        }
    }

    /// Whether Kafka has committed the position.
    pub(super) fn is_committed(&self) -> bool {
        self.passed == self.committed
    }

    /// The number of records before the position that are not committed.
    pub(super) fn finished_uncommitted(&self) -> u64 {
        self.passed.saturating_sub(self.committed)
    }

    /// The number of records that would come again after a crash, finished or not.
    pub(super) fn uncommitted(&self) -> u64 {
        self.passed - self.committed + self.open.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_position_waits_for_the_first() {
        let mut tracker = OffsetTracker::default();
        assert_eq!(tracker.take_position(), None);
        for offset in [3, 4, 9] {
            tracker.begin(offset);
        }
        tracker.finish(4);
        assert_eq!(tracker.take_position(), None, "nothing has moved");
        tracker.finish(3);
        assert_eq!((tracker.position(), tracker.uncommitted()), (Some(9), 3));
        assert_eq!(tracker.take_position(), Some(9));
        assert_eq!(tracker.take_position(), None);
        tracker.committed(9);
        assert_eq!(tracker.uncommitted(), 1);
        tracker.finish(9);
        assert_eq!(tracker.take_position(), Some(10));
        tracker.committed(9);
        assert_eq!(tracker.uncommitted(), 1, "that was the one before");
        tracker.committed(10);
        assert_eq!((tracker.position(), tracker.uncommitted()), (Some(10), 0));
    }

    /// What happens to the offsets of a partition, in order.
    #[derive(Debug, Clone)]
    enum TrackerStep {
        /// A record comes, this far behind the one before.
        Begin(i64),
        /// One of the open records is done.
        Finish(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<TrackerStep>> {
        let step = prop_oneof![
            (1_i64..4).prop_map(TrackerStep::Begin),
            any::<prop::sample::Index>().prop_map(TrackerStep::Finish),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever the order and wherever the process dies: nothing before the position is open,
        /// everything from it on that was handed out is either open or comes again.
        #[test]
        fn a_crash_at_any_point_loses_nothing(steps in steps()) {
            let (mut tracker, mut last) = (OffsetTracker::default(), 0);
            let (mut begun, mut done) = (Vec::new(), std::collections::BTreeSet::new());
            let mut before = 0;
            for step in steps {
                match step {
                    TrackerStep::Begin(gap) => {
                        last += gap;
                        begun.push(last);
                        tracker.begin(last);
                    }
                    TrackerStep::Finish(index) if !begun.is_empty() => {
                        let offset = *index.get(&begun);
                        done.insert(offset);
                        tracker.finish(offset);
                    }
                    TrackerStep::Finish(_) => {}
                }
                let open: Vec<i64> = begun.iter().filter(|it| !done.contains(it)).copied().collect();
                let expected = open.first().copied().or(begun.last().map(|last| last + 1));
                prop_assert_eq!(tracker.position(), expected);
                let position = tracker.position().unwrap_or(0);
                prop_assert!(before <= position, "it never goes back");
                before = position;
            }
        }
    }
}
