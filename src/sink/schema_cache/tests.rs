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

fn is_known(book: &SchemaCache, id: u32, now: Instant) -> bool {
    book.look(id, now).is_some()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks and is told that there is none; whether that is believed.
fn doubt(book: &mut SchemaCache, id: u32, now: Instant) -> bool {
    assert_eq!(book.questions([id].into_iter(), 64, now), [id]);
    book.answered(id, absence(), now);
    match book.look(id, now) {
        Some(SchemaLookup::Absent { sure, .. }) => sure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_absence_is_believed_when_it_lasts() {
    let (mut book, now) = (SchemaCache::default(), Instant::now());
    for (after, sure) in [(0, false), (5, false), (10, false), (15, true)] {
        let now = now + seconds(after);
        assert_eq!(doubt(&mut book, 7, now), sure, "after {after} s");
        let soon = now + REJECTION_TTL - Duration::from_millis(1);
        assert!(book.questions([7].into_iter(), 64, soon).is_empty());
        assert_eq!(book.absence(7).map(|why| why.error.as_str()), Some("none"));
    }
    let mut now = now + seconds(15) + REJECTION_TTL;
    assert!(doubt(&mut book, 7, now), "still");
    now += ABSENCE_MEMORY;
    assert!(!doubt(&mut book, 7, now), "that is long ago");
    book.answered(7, writer(7, "x"), now);
    assert!(matches!(book.look(7, now), Some(SchemaLookup::Known(_))));
    assert_eq!(book.absence(7), None);
}

/// A record whose key and value are behind schemas that are not there needs both answers at once.
#[test]
fn answers_count_longer_where_they_take_long() {
    let (mut book, now) = (SchemaCache::default(), Instant::now());
    book.questions([7].into_iter(), 64, now);
    book.answered(7, refusal(), now + seconds(20));
    let then = now + seconds(40);
    book.questions([8].into_iter(), 64, now + seconds(20));
    book.answered(8, refusal(), then);
    for id in [7, 8] {
        assert!(matches!(
            book.look(id, then),
            Some(SchemaLookup::Unusable(_))
        ));
    }
}

/// Bytes that only look like ids would hold up their partition for as long as each is doubted.
#[test]
fn a_registry_that_was_right_several_times_is_believed_at_once() {
    let (mut book, mut now) = (SchemaCache::default(), Instant::now());
    for id in 1..=4 {
        for after in [0, 5, 10, 15] {
            assert_eq!(doubt(&mut book, id, now + seconds(after)), after == 15);
        }
        now += seconds(15);
    }
    assert!(doubt(&mut book, 5, now) && doubt(&mut book, 6, now));
    // Of the four proofs the oldest is 45 seconds older than the newest.
    let later = now + ABSENCE_MEMORY - seconds(45);
    assert!(!doubt(&mut book, 7, later));
}

#[test]
fn each_schema_is_asked_for_once_until_it_is_answered() {
    let (mut book, now) = (SchemaCache::default(), Instant::now());
    assert_eq!(book.questions([7, 8, 7].into_iter(), 64, now), [7, 8]);
    assert!(book.questions([7, 8].into_iter(), 64, now).is_empty());
    assert!(book.look(7, now).is_none());
    book.answered(7, writer(7, "x"), now);
    assert!(matches!(book.look(7, now), Some(SchemaLookup::Known(_))));
    assert!(book.questions([7, 8].into_iter(), 64, now).is_empty());
}

#[test]
fn what_was_asked_in_vain_is_asked_again_while_somebody_wants_it() {
    let (mut book, mut now) = (SchemaCache::default(), Instant::now());
    for pause in [1, 2, 4, 8, 10, 10] {
        assert_eq!(book.questions([7].into_iter(), 64, now), [7]);
        book.answered(7, FetchResult::Failed("down".to_owned()), now);
        assert!(matches!(
            book.look(7, now),
            Some(SchemaLookup::RegistryUnavailable)
        ));
        now += seconds(pause);
        let before = now - Duration::from_millis(1);
        assert!(book.questions([7].into_iter(), 64, before).is_empty());
        assert_eq!(book.trouble(7), Some("down"));
    }
    book.questions([7].into_iter(), 64, now);
    book.answered(7, writer(7, "x"), now);
    assert_eq!(book.trouble(7), None);
    // Nobody wants this one any more.
    book.questions([8].into_iter(), 64, now);
    book.answered(8, FetchResult::Failed("down".to_owned()), now);
    let nobody = std::iter::empty;
    assert!(
        book.questions(nobody(), 64, now + FAILED_FETCH_MEMORY / 2)
            .is_empty()
    );
    assert!(is_known(&book, 8, now));
    assert!(
        book.questions(nobody(), 64, now + FAILED_FETCH_MEMORY)
            .is_empty()
    );
    assert!(!is_known(&book, 8, now));
}

/// A question in vain may take long: one at a time, and others go first.
#[test]
fn what_is_in_trouble_does_not_keep_others_waiting() {
    let (mut book, mut now) = (SchemaCache::default(), Instant::now());
    assert_eq!(book.questions(1..=3, 64, now), [1, 2, 3]);
    for id in 1..=3 {
        book.answered(id, FetchResult::Failed("down".to_owned()), now);
    }
    now += seconds(1);
    assert_eq!(book.questions(1..=5, 64, now), [4, 5, 1]);
    assert_eq!(book.questions(1..=6, 64, now), [6], "1 is still out");
    book.answered(1, FetchResult::Failed("down".to_owned()), now);
    assert_eq!(book.questions(1..=6, 64, now), [2]);
}

#[test]
fn no_more_are_asked_for_than_there_is_room() {
    let (mut book, now) = (SchemaCache::default(), Instant::now());
    assert_eq!(book.questions(1..=5, 2, now), [1, 2]);
    assert!(book.questions(1..=5, 2, now).is_empty());
    book.answered(2, refusal(), now);
    assert_eq!(book.questions(1..=5, 2, now), [3]);
}

#[test]
fn a_refusal_counts_for_a_while() {
    let (mut book, now) = (SchemaCache::default(), Instant::now());
    book.questions([7].into_iter(), 64, now);
    book.answered(7, refusal(), now);
    let later = now + REJECTION_TTL;
    let before = later.checked_sub(Duration::from_millis(1)).unwrap();
    assert!(matches!(
        book.look(7, before),
        Some(SchemaLookup::Unusable(_))
    ));
    assert!(book.questions([7].into_iter(), 64, before).is_empty());
    // Who does not need it need not wait.
    assert!(matches!(
        book.look(7, later),
        Some(SchemaLookup::RegistryUnavailable)
    ));
    assert_eq!(book.questions([7].into_iter(), 64, later), [7]);
    book.answered(7, writer(7, "x"), later);
    assert!(matches!(book.look(7, later), Some(SchemaLookup::Known(_))));
}

#[test]
fn what_is_kept_is_bounded() {
    let (mut book, now) = (SchemaCache::default(), Instant::now());
    let large = "x".repeat(MAX_CACHED_SCHEMA_BYTES / 4 + 1);
    for id in 1..=4 {
        book.answered(id, writer(id, &large), now);
    }
    assert!(!is_known(&book, 3, now) && is_known(&book, 4, now));
    assert!(book.weight <= MAX_CACHED_SCHEMA_BYTES);
    let mut id = 100;
    for _ in 0..=MAX_CACHED_SCHEMAS {
        id += 1;
        book.answered(id, refusal(), now);
    }
    assert!(is_known(&book, id, now) && book.refused.len() <= MAX_CACHED_SCHEMAS);
}
