//! A set of offsets that is nearly contiguous: all below its base, and some above.

use std::collections::BTreeMap;
use std::ops::Range;

/// The longest metadata of a committed offset that a broker takes by default
/// (`offset.metadata.max.bytes`).
pub(super) const MAX_METADATA_BYTES: usize = 4096;

/// The offsets of a partition that are done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct OffsetSet {
    /// The lowest offset that is not done.
    base: i64,
    /// Start and end (exclusive) of each run above the base. Runs touch neither each other nor the base.
    above: BTreeMap<i64, i64>,
}

impl OffsetSet {
    /// Everything below `base`.
    pub(super) fn below(base: i64) -> OffsetSet {
        let above = BTreeMap::new();
        OffsetSet { base, above }
    }

    /// The lowest offset that is not done.
    pub(super) fn base(&self) -> i64 {
        self.base
    }

    /// Whether an offset is done.
    pub(super) fn contains(&self, offset: i64) -> bool {
        let before = self.above.range(..=offset).next_back();
        offset < self.base || before.is_some_and(|(_, end)| offset < *end)
    }

    /// Adds one offset.
    pub(super) fn insert(&mut self, offset: i64) {
        self.insert_all(offset..offset.saturating_add(1));
    }

    /// Adds all offsets of a range.
    pub(super) fn insert_all(&mut self, range: Range<i64>) {
        let (mut start, mut end) = (range.start.max(self.base), range.end);
        if end <= start {
            return;
        }
        // Runs that overlap or touch become one.
        while let Some((&known, &its_end)) = self.above.range(..=end).next_back()
            && start <= its_end
        {
            self.above.remove(&known);
            (start, end) = (start.min(known), end.max(its_end));
        }
        if start == self.base {
            self.base = end;
        } else {
            self.above.insert(start, end);
        }
    }

    /// The runs above the base as text: `+`, then for each run the number of offsets before it that are
    /// not done and, if the run is longer than one, a dot and its length; runs are separated by commas.
    ///
    /// With base 10, `+2.4,1` means 12 to 15, and 17.
    pub(super) fn metadata(&self) -> String {
        let mut text = String::new();
        let mut last = self.base;
        for (start, end) in &self.above {
            text.push(if text.is_empty() { '+' } else { ',' });
            text.push_str(&(start - last).to_string());
            if end - start > 1 {
                text.push_str(&format!(".{}", end - start));
            }
            last = *end;
        }
        text
    }

    /// Reads a committed offset and its metadata. Metadata that is empty or that another program wrote
    /// stands for no run above the base. `None`: it begins like ours but cannot be read.
    pub(super) fn parse(base: i64, metadata: &str) -> Option<OffsetSet> {
        let mut set = OffsetSet::below(base);
        let Some(runs) = metadata.strip_prefix('+') else {
            return Some(set);
        };
        let mut last = base;
        for run in runs.split(',') {
            let (gap, length) = run.split_once('.').unwrap_or((run, "1"));
            let start = last.checked_add(number(gap)?)?;
            last = start.checked_add(number(length)?)?;
            set.above.insert(start, last);
        }
        Some(set)
    }

    /// Whether the metadata is short enough for Kafka.
    pub(super) fn fits(&self) -> bool {
        // A run takes two bytes at least, so that a long list need not be written out.
        self.above.len() <= MAX_METADATA_BYTES / 2 && self.metadata().len() <= MAX_METADATA_BYTES
    }
}

/// A positive number in decimal digits alone.
fn number(text: &str) -> Option<i64> {
    let is_digits = text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_digits { text.parse().ok()? } else { 0 };
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text() {
        let mut set = OffsetSet::below(10);
        assert_eq!(set.metadata(), "");
        for offset in [17, 12, 14, 13, 15, 3, 12] {
            set.insert(offset);
        }
        assert_eq!((set.base(), set.metadata().as_str()), (10, "+2.4,1"));
        set.insert(16);
        assert_eq!(set.metadata(), "+2.6");
        set.insert_all(5..12);
        assert_eq!((set.base(), set.metadata().as_str()), (18, ""));
    }

    #[test]
    fn texts_that_are_not_ours() {
        for text in ["", "consumer-1", "1,2"] {
            assert_eq!(OffsetSet::parse(5, text), Some(OffsetSet::below(5)));
        }
        for text in [
            "+",
            "+0",
            "+1,",
            "+-1",
            "+1.0",
            "+1.",
            "+1.2.3",
            "+ 1",
            "+1,0",
            "++1",
            "+9223372036854775807",
            "+99999999999999999999",
        ] {
            assert_eq!(OffsetSet::parse(5, text), None, "{text}");
        }
    }

    #[test]
    fn what_is_too_scattered_does_not_fit() {
        let mut set = OffsetSet::default();
        for offset in 0..2047 {
            set.insert(offset * 2 + 1);
            assert!(set.fits());
        }
        for offset in 2047..2100 {
            set.insert(offset * 2 + 1);
        }
        assert!(!set.fits());
        set.insert_all(0..200);
        assert!(set.fits(), "the older ones are done");
    }

    proptest! {
        #[test]
        fn is_a_set(
            base in 0_i64..20,
            ranges in proptest::collection::vec((0_i64..120, 0_i64..9), 0..40),
        ) {
            let mut set = OffsetSet::below(base);
            let mut model: BTreeSet<i64> = (0..base).collect();
            for (start, length) in ranges {
                set.insert_all(start..start + length);
                model.extend(start..start + length);
                let lowest = (0..).find(|offset| !model.contains(offset)).unwrap();
                prop_assert_eq!(set.base(), lowest);
                for offset in 0..140 {
                    prop_assert_eq!(set.contains(offset), model.contains(&offset));
                }
                let back = OffsetSet::parse(set.base(), &set.metadata());
                prop_assert_eq!(back.as_ref(), Some(&set));
            }
        }

        #[test]
        fn no_text_is_a_panic(base in 0..i64::MAX, text in "\\+?[0-9.,+a]{0,40}") {
            if let Some(set) = OffsetSet::parse(base, &text)
                && text.starts_with('+')
            {
                // Leading zeros apart, the text is the set.
                prop_assert_eq!(OffsetSet::parse(base, &set.metadata()), Some(set));
            }
        }
    }
}
