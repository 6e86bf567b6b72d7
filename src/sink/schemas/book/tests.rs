use super::*;
use crate::schema::registry::Kind;
use crate::sink::Refusal;

fn writer(id: u32, text: &str) -> Found {
    let writer = Writer::new(id, Kind::Avro, text.to_owned(), Vec::new());
    Found::Schema(Schema::Known(Arc::new(writer)))
}

fn refusal() -> Found {
    Found::Schema(Schema::Refused(Refusal::unsent("invalid_schema", "none")))
}

fn absence() -> Found {
    Found::Schema(Schema::Absent(Refusal::unsent("unknown_schema", "none")))
}

fn is_known(book: &Book, id: u32, now: Instant) -> bool {
    book.look(id, now).is_some()
}

/// Who waits for it all the same is told why, and it is asked for again.
#[test]
fn an_absence_is_asked_for_again_while_somebody_waits() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.questions([7].into_iter(), 64, now);
    book.answered(7, absence(), now);
    assert!(matches!(book.look(7, now), Some(Schema::Absent(_))));
    assert!(book.questions([7].into_iter(), 64, now).is_empty());
    assert_eq!(book.trouble(7), Some("none; it is asked again"));
    assert_eq!(book.questions([7].into_iter(), 64, now + REFUSED_FOR), [7]);
    book.answered(7, refusal(), now);
    assert_eq!(book.trouble(7), None);
}

#[test]
fn each_schema_is_asked_for_once_until_it_is_answered() {
    let (mut book, now) = (Book::default(), Instant::now());
    assert_eq!(book.questions([7, 8, 7].into_iter(), 64, now), [7, 8]);
    assert!(book.questions([7, 8].into_iter(), 64, now).is_empty());
    assert!(book.look(7, now).is_none());
    book.answered(7, writer(7, "x"), now);
    assert!(matches!(book.look(7, now), Some(Schema::Known(_))));
    assert!(book.questions([7, 8].into_iter(), 64, now).is_empty());
}

#[test]
fn what_was_asked_in_vain_is_asked_again_while_somebody_waits() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.questions([7].into_iter(), 64, now);
    book.answered(7, Found::Trouble("down".to_owned()), now);
    assert_eq!(book.trouble(7), Some("down"));
    assert!(!is_known(&book, 7, now));
    assert_eq!(book.questions([7].into_iter(), 64, now), [7]);
    assert_eq!(book.trouble(7), Some("down"), "it has not answered yet");
    book.answered(7, writer(7, "x"), now);
    assert_eq!(book.trouble(7), None);
    // Nobody waits for this one any more.
    book.questions([8].into_iter(), 64, now);
    book.answered(8, Found::Trouble("down".to_owned()), now);
    assert!(book.questions(std::iter::empty(), 64, now).is_empty());
    assert_eq!(book.trouble(8), None);
}

#[test]
fn no_more_are_asked_for_than_there_is_room() {
    let (mut book, now) = (Book::default(), Instant::now());
    assert_eq!(book.questions(1..=5, 2, now), [1, 2]);
    assert!(book.questions(1..=5, 2, now).is_empty());
    book.answered(2, refusal(), now);
    assert_eq!(book.questions(1..=5, 2, now), [3]);
}

#[test]
fn a_refusal_counts_for_a_while() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.questions([7].into_iter(), 64, now);
    book.answered(7, refusal(), now);
    let later = now + REFUSED_FOR;
    let before = later.checked_sub(Duration::from_millis(1)).unwrap();
    assert!(matches!(book.look(7, before), Some(Schema::Refused(_))));
    assert!(book.questions([7].into_iter(), 64, before).is_empty());
    assert!(book.look(7, later).is_none() && !is_known(&book, 7, later));
    assert_eq!(book.questions([7].into_iter(), 64, later), [7]);
    book.answered(7, writer(7, "x"), later);
    assert!(matches!(book.look(7, later), Some(Schema::Known(_))));
}

#[test]
fn what_is_kept_is_bounded() {
    let (mut book, now) = (Book::default(), Instant::now());
    let large = "x".repeat(MAX_WEIGHT / 4 + 1);
    for id in 1..=4 {
        book.answered(id, writer(id, &large), now);
    }
    assert!(!is_known(&book, 3, now) && is_known(&book, 4, now));
    assert!(book.weight <= MAX_WEIGHT);
    let mut id = 100;
    for _ in 0..=MAX_COUNT {
        id += 1;
        book.answered(id, refusal(), now);
    }
    assert!(is_known(&book, id, now) && book.refused.len() <= MAX_COUNT);
}
