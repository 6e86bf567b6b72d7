//! Which letters are meant.

use std::collections::BTreeMap;
use std::ops::Range;

use super::found::FoundLetter;
use super::text::of_bytes;
use crate::cli::{DeadLetterFilter, EpochSeconds, UNREADABLE_KIND};

/// The offsets that are to be looked at.
pub(super) fn ranges(
    filter: &DeadLetterFilter,
    partitions: &BTreeMap<i32, Range<i64>>,
) -> BTreeMap<i32, Range<i64>> {
    let places = filter.places.as_ref();
    let only = places.and_then(|places| places.partition);
    let wanted = |partition: &i32| only.is_none_or(|only| only == *partition);
    let narrow = |(partition, range): (&i32, &Range<i64>)| {
        let (mut start, mut end) = (range.start, range.end);
        if let Some(offsets) = places.map(|places| &places.offsets) {
            start = start.max(*offsets.start());
            end = end.min(offsets.end().saturating_add(1));
        }
        (*partition, start..end)
    };
    let chosen = partitions.iter().filter(|(partition, _)| wanted(partition));
    chosen.map(narrow).collect()
}

/// Whether a letter is one of those that are meant by a command that began at `now`. Its place was
/// looked at before.
pub(super) fn matches(filter: &DeadLetterFilter, now: EpochSeconds, found: &FoundLetter) -> bool {
    let letter = found.letter.as_ref().ok();
    let table = letter.map(|letter| letter.table.as_str());
    let topic = letter.map(|letter| letter.topic.as_str());
    let kind = match &found.letter {
        Ok(letter) => letter.error_kind.as_deref(),
        Err(_) => Some(UNREADABLE_KIND),
    };
    let same =
        |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
    let second = found.time().map(|time| EpochSeconds(time.as_second()));
    same(&filter.table, table)
        && same(&filter.topic, topic)
        && same(&filter.kind, kind)
        && filter
            .since
            .is_none_or(|since| second.is_some_and(|second| second >= since.resolve(now)))
        && filter
            .until
            .is_none_or(|until| second.is_some_and(|second| second < until.resolve(now)))
        && filter.key.as_ref().is_none_or(|wanted| {
            // As it is, or as it is printed.
            let same = |key: &[u8]| key == wanted.as_bytes() || of_bytes(key) == *wanted;
            found.key().is_some_and(same)
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::cli::{DeadLetterPlace, DeadLetterPlaces, PointInTime};
    use crate::kafka::ConsumerRecord;
    use crate::sink::{DeadLetter, Refusal, RefusalKind};
    use std::ops::RangeInclusive;

    /// One second after the letter of [`found`].
    const NOW: EpochSeconds = EpochSeconds(2_001);

    fn found(text: Option<&[u8]>) -> FoundLetter {
        let mut record = ConsumerRecord {
            topic: Arc::from("t"),
            partition: 3,
            offset: 42,
            timestamp: Some(1_000_500),
            key: Some(b"K".to_vec()),
            value: Some(b"{}".to_vec()),
            headers: Vec::new(),
            unreadable_headers: false,
        };
        let now = Timestamp::from_second(2_000).unwrap();
        let refusal = Refusal::unsent(RefusalKind::NoIdentity, "has none");
        let letter = DeadLetter::new(&record, "incident", None, None, &refusal, now);
        record.value = Some(text.map_or_else(|| letter.encode(), <[u8]>::to_vec));
        FoundLetter {
            place: DeadLetterPlace {
                partition: 0,
                offset: 1,
            },
            letter: DeadLetter::decode(record.value.as_deref().unwrap()),
            record,
            done: false,
        }
    }

    #[test]
    fn every_filter_must_hold() {
        let some = |text: &str| Some(text.to_owned());
        let all = DeadLetterFilter {
            table: some("incident"),
            topic: some("t"),
            kind: some("no_identity"),
            since: Some(PointInTime::At(EpochSeconds(2_000))),
            until: Some(PointInTime::At(EpochSeconds(2_001))),
            key: some("K"),
            ..DeadLetterFilter::default()
        };
        assert!(
            matches(&DeadLetterFilter::default(), NOW, &found(None))
                && matches(&all, NOW, &found(None))
        );
        type Change = fn(&mut DeadLetterFilter);
        let changes: [Change; 7] = [
            |filter| filter.table = Some("problem".to_owned()),
            |filter| filter.topic = Some("u".to_owned()),
            |filter| filter.kind = Some("forbidden".to_owned()),
            |filter| filter.since = Some(PointInTime::At(EpochSeconds(2_001))),
            |filter| filter.until = Some(PointInTime::At(EpochSeconds(2_000))),
            |filter| filter.key = Some("L".to_owned()),
            |filter| filter.since = Some(PointInTime::Ago(Duration::ZERO)),
        ];
        for change in changes {
            let mut filter = all.clone();
            change(&mut filter);
            assert!(!matches(&filter, NOW, &found(None)), "{filter:?}");
        }
    }

    #[test]
    fn a_key_of_bytes_is_meant_as_it_is_printed() {
        let mut framed = found(None);
        let key = Some(b"\0\0\0\0\x07\x02k".to_vec());
        if let Ok(letter) = &mut framed.letter {
            letter.key = key;
        }
        let filter = |key: &str| DeadLetterFilter {
            key: Some(key.to_owned()),
            ..DeadLetterFilter::default()
        };
        assert!(matches(&filter("base64:AAAAAAcCaw=="), NOW, &framed));
        assert!(!matches(&filter("k"), NOW, &framed));
    }

    #[test]
    fn what_is_no_letter_has_a_kind_a_time_and_a_key() {
        let broken = found(Some(b"{"));
        let mut filter = DeadLetterFilter {
            kind: Some(UNREADABLE_KIND.to_owned()),
            since: Some(PointInTime::At(EpochSeconds(1_000))),
            until: Some(PointInTime::At(EpochSeconds(1_001))),
            key: Some("K".to_owned()),
            ..DeadLetterFilter::default()
        };
        assert!(matches(&filter, NOW, &broken));
        assert!(!matches(&filter, NOW, &found(None)));
        filter.table = Some("incident".to_owned());
        assert!(!matches(&filter, NOW, &broken));
    }

    #[test]
    fn offsets_are_looked_up_where_they_are() {
        let partitions = BTreeMap::from([(0, 5..20), (1, 0..3)]);
        let ranges_of = |partition, offsets: Option<RangeInclusive<i64>>| {
            let offsets = offsets.unwrap_or(0..=i64::MAX);
            let filter = DeadLetterFilter {
                places: Some(DeadLetterPlaces { partition, offsets }),
                ..DeadLetterFilter::default()
            };
            ranges(&filter, &partitions)
        };
        assert_eq!(
            ranges(&DeadLetterFilter::default(), &partitions),
            partitions
        );
        assert_eq!(ranges_of(None, None), partitions);
        assert_eq!(ranges_of(Some(0), Some(7..=8)), BTreeMap::from([(0, 7..9)]));
        assert_eq!(ranges_of(Some(7), None), BTreeMap::new());
        let both = ranges_of(None, Some(2..=i64::MAX));
        assert_eq!(both, BTreeMap::from([(0, 5..20), (1, 2..3)]));
    }
}
