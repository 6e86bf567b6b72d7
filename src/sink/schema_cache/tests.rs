use super::*;
use crate::registry::SchemaFormat;
use crate::sink::refusal::RefusalKind;

fn writer(id: u32, text: &str) -> FetchResult {
    let writer = RegisteredSchema::new(id, SchemaFormat::Avro, text.to_owned(), Vec::new());
    FetchResult::Schema(SchemaLookup::Known(Arc::new(writer)))
}

fn refusal() -> FetchResult {
    FetchResult::Schema(SchemaLookup::Unusable(Refusal::unsent(
        RefusalKind::InvalidSchema,
        "none",
    )))
}

fn absence() -> FetchResult {
    let why = Refusal::unsent(RefusalKind::UnknownSchema, "none");
    FetchResult::Schema(SchemaLookup::Absent { why, sure: false })
}

fn is_known(cache: &SchemaCache, id: u32, now: Instant) -> bool {
    cache.look_up(id, now).is_some()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The registry answers that it does not have the schema: whether that is believed.
fn is_absence_believed(cache: &mut SchemaCache, id: u32, now: Instant) -> bool {
    assert_eq!(cache.due_requests([id].into_iter(), 64, now), [id]);
    cache.answered(id, absence(), now);
    match cache.look_up(id, now) {
        Some(SchemaLookup::Absent { sure, .. }) => sure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_absence_is_believed_when_it_lasts() {
    let (mut cache, now) = (SchemaCache::default(), Instant::now());
    for (after, sure) in [(0, false), (5, false), (10, false), (15, true)] {
        let now = now + seconds(after);
        assert_eq!(
            is_absence_believed(&mut cache, 7, now),
            sure,
            "after {after} s"
        );
        let soon = now + REJECTION_TTL - Duration::from_millis(1);
        assert!(cache.due_requests([7].into_iter(), 64, soon).is_empty());
        assert_eq!(cache.absence(7).map(|why| why.error.as_str()), Some("none"));
    }
    let mut now = now + seconds(15) + REJECTION_TTL;
    assert!(is_absence_believed(&mut cache, 7, now), "still");
    now += ABSENCE_MEMORY;
    assert!(!is_absence_believed(&mut cache, 7, now), "that is long ago");
    cache.answered(7, writer(7, "x"), now);
    assert!(matches!(
        cache.look_up(7, now),
        Some(SchemaLookup::Known(_))
    ));
    assert_eq!(cache.absence(7), None);
}

/// A record whose key and value are behind schemas that are not there needs both answers at once.
#[test]
fn answers_count_longer_where_they_take_long() {
    let (mut cache, now) = (SchemaCache::default(), Instant::now());
    cache.due_requests([7].into_iter(), 64, now);
    cache.answered(7, refusal(), now + seconds(20));
    let then = now + seconds(40);
    cache.due_requests([8].into_iter(), 64, now + seconds(20));
    cache.answered(8, refusal(), then);
    for id in [7, 8] {
        assert!(matches!(
            cache.look_up(id, then),
            Some(SchemaLookup::Unusable(_))
        ));
    }
}

/// Bytes that only look like ids would hold up their partition for as long as each is doubted.
#[test]
fn a_registry_that_was_right_several_times_is_believed_at_once() {
    let (mut cache, mut now) = (SchemaCache::default(), Instant::now());
    for id in 1..=4 {
        for after in [0, 5, 10, 15] {
            assert_eq!(
                is_absence_believed(&mut cache, id, now + seconds(after)),
                after == 15
            );
        }
        now += seconds(15);
    }
    assert!(is_absence_believed(&mut cache, 5, now) && is_absence_believed(&mut cache, 6, now));
    // Of the four proofs the oldest is 45 seconds older than the newest.
    let later = now + ABSENCE_MEMORY - seconds(45);
    assert!(!is_absence_believed(&mut cache, 7, later));
}

#[test]
fn each_schema_is_asked_for_once_until_it_is_answered() {
    let (mut cache, now) = (SchemaCache::default(), Instant::now());
    assert_eq!(cache.due_requests([7, 8, 7].into_iter(), 64, now), [7, 8]);
    assert!(cache.due_requests([7, 8].into_iter(), 64, now).is_empty());
    assert!(cache.look_up(7, now).is_none());
    cache.answered(7, writer(7, "x"), now);
    assert!(matches!(
        cache.look_up(7, now),
        Some(SchemaLookup::Known(_))
    ));
    assert!(cache.due_requests([7, 8].into_iter(), 64, now).is_empty());
}

#[test]
fn a_failed_request_is_made_again_while_a_record_waits_for_it() {
    let (mut cache, mut now) = (SchemaCache::default(), Instant::now());
    for pause in [1, 2, 2, 2] {
        assert_eq!(cache.due_requests([7].into_iter(), 64, now), [7]);
        cache.answered(7, FetchResult::Failed("down".to_owned()), now);
        assert!(matches!(
            cache.look_up(7, now),
            Some(SchemaLookup::RegistryUnavailable)
        ));
        now += seconds(pause);
        let before = now - Duration::from_millis(1);
        assert!(cache.due_requests([7].into_iter(), 64, before).is_empty());
        assert_eq!(cache.failure(7), Some("down"));
    }
    cache.due_requests([7].into_iter(), 64, now);
    cache.answered(7, writer(7, "x"), now);
    assert_eq!(cache.failure(7), None);
    // No record waits for this schema any more.
    cache.due_requests([8].into_iter(), 64, now);
    cache.answered(8, FetchResult::Failed("down".to_owned()), now);
    let no_schema = std::iter::empty;
    assert!(
        cache
            .due_requests(no_schema(), 64, now + FAILED_FETCH_MEMORY / 2)
            .is_empty()
    );
    assert!(is_known(&cache, 8, now));
    assert!(
        cache
            .due_requests(no_schema(), 64, now + FAILED_FETCH_MEMORY)
            .is_empty()
    );
    assert!(!is_known(&cache, 8, now));
}

/// A request that failed may take long again: such are made one at a time, and after the others.
#[test]
fn a_failed_request_does_not_keep_others_waiting() {
    let (mut cache, mut now) = (SchemaCache::default(), Instant::now());
    assert_eq!(cache.due_requests(1..=3, 64, now), [1, 2, 3]);
    for id in 1..=3 {
        cache.answered(id, FetchResult::Failed("down".to_owned()), now);
    }
    now += seconds(1);
    assert_eq!(cache.due_requests(1..=5, 64, now), [4, 5, 1]);
    assert_eq!(
        cache.due_requests(1..=6, 64, now),
        [6],
        "1 is still requested"
    );
    cache.answered(1, FetchResult::Failed("down".to_owned()), now);
    assert_eq!(cache.due_requests(1..=6, 64, now), [2]);
}

#[test]
fn no_more_are_asked_for_than_there_is_room() {
    let (mut cache, now) = (SchemaCache::default(), Instant::now());
    assert_eq!(cache.due_requests(1..=5, 2, now), [1, 2]);
    assert!(cache.due_requests(1..=5, 2, now).is_empty());
    cache.answered(2, refusal(), now);
    assert_eq!(cache.due_requests(1..=5, 2, now), [3]);
}

#[test]
fn a_refusal_counts_for_a_while() {
    let (mut cache, now) = (SchemaCache::default(), Instant::now());
    cache.due_requests([7].into_iter(), 64, now);
    cache.answered(7, refusal(), now);
    let later = now + REJECTION_TTL;
    let before = later.checked_sub(Duration::from_millis(1)).unwrap();
    assert!(matches!(
        cache.look_up(7, before),
        Some(SchemaLookup::Unusable(_))
    ));
    assert!(cache.due_requests([7].into_iter(), 64, before).is_empty());
    // Who does not need it need not wait.
    assert!(matches!(
        cache.look_up(7, later),
        Some(SchemaLookup::RegistryUnavailable)
    ));
    assert_eq!(cache.due_requests([7].into_iter(), 64, later), [7]);
    cache.answered(7, writer(7, "x"), later);
    assert!(matches!(
        cache.look_up(7, later),
        Some(SchemaLookup::Known(_))
    ));
}

#[test]
fn what_is_kept_is_bounded() {
    let (mut cache, now) = (SchemaCache::default(), Instant::now());
    let large = "x".repeat(MAX_CACHED_SCHEMA_BYTES / 4 + 1);
    for id in 1..=4 {
        cache.answered(id, writer(id, &large), now);
    }
    assert!(!is_known(&cache, 3, now) && is_known(&cache, 4, now));
    assert!(cache.bytes <= MAX_CACHED_SCHEMA_BYTES);
    let mut id = 100;
    for _ in 0..=MAX_CACHED_SCHEMAS {
        id += 1;
        cache.answered(id, refusal(), now);
    }
    assert!(is_known(&cache, id, now) && cache.rejected.len() <= MAX_CACHED_SCHEMAS);
}
