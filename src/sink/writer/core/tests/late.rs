//! Requests of other records that may still be executed.

use super::*;

fn late(case: Case) -> Case {
    case.with(|case| case.late = Some(ID))
}

/// All that changes a row, and the looks before it, wait; the search that finds the row does not.
#[test]
fn a_row_that_something_may_come_to_is_waited_for() {
    let found = ("u_key=K1", Finds(&[(ID, "K1")]));
    let by = |kind, row| late(case(kind, row, Create::None));
    let guarded = by(Kind::Update, by_id()).with(|case| case.guarded = true);
    let again = by(Kind::Update, by_id()).with(|case| {
        case.suspect = true;
        case.op.journal = vec!["comments"];
    });
    let stories = [
        by(Kind::Update, by_id()).play(&[("update", Done(ID))]),
        by(Kind::Update, by_key()).play(&[found, ("update", Done(ID))]),
        by(Kind::Delete, by_id()).play(&[("delete", Done(ID))]),
        by(Kind::Delete, by_key()).play(&[found, ("delete", Done(ID))]),
        guarded.play(&[("version", Reads), ("update", Done(ID))]),
        again.play(&[("comments", Entry(true)), ("update", Done(ID))]),
        late(insert(of_key())).play(&[("insert", Done(ID))]),
        late(insert(Create::Given(ID.to_owned()))).play(&[("insert", Done(ID))]),
    ];
    for (number, story) in stories.iter().enumerate() {
        assert!(matches!(story.outcome, Outcome::Written(..)));
        assert_eq!(story.seconds, 60, "story {number}");
    }
}

/// At the first request that changes a row, whatever was searched for or failed before.
#[test]
fn it_is_waited_for_when_the_row_is_known() {
    let minute = Instant::now() + TRANSACTION;
    let late = Late::default();
    late.note(ID, minute, Instant::now());
    let case = case(Kind::Update, by_key(), Create::None);
    let start = Instant::now();
    let backoff = Backoff::new(SECOND, SECOND);
    let patience = Patience::new(case.limits, backoff, start, 0);
    let mut core = Core::new(
        &case.op,
        &case.rules,
        false,
        History::Fresh,
        patience,
        start,
    );
    let Step::Do(find) = core.next(start, &late) else {
        panic!("the search waits for nobody")
    };
    let moment = Moment {
        now: start,
        pulse: 0,
        random: 1.0,
        ids_ignored: false,
    };
    core.answered(&find, result(Finds(&[(ID, "K1")]), start), moment);
    assert_eq!(core.next(start, &late), Step::Wait(minute - start));
    assert!(matches!(core.next(minute, &late), Step::Do(Task::Update(id)) if id == ID));
}

#[test]
fn nobody_else_waits() {
    let found = ("u_key=K1", Finds(&[(OTHER, "K1")]));
    let other = late(case(Kind::Update, by_key(), Create::None));
    let script = [
        found,
        ("update ffffffffffffffffffffffffffffffff", Done(OTHER)),
    ];
    assert_eq!(other.writes("update", &script).seconds, 0);
    for create in [in_field(), Create::None] {
        let story = late(insert(create)).writes("insert", &[("insert", Done(ID))]);
        assert_eq!(story.seconds, 0);
    }
    // Its own lost request does a record no harm: it says the same.
    let script = [("update", Silent), ("update", Done(ID))];
    assert_eq!(update().writes("update", &script).seconds, 0);
}

#[test]
fn what_a_record_leaves_behind() {
    let minute = Some((ID.to_owned(), 60));
    let update = case(Kind::Update, by_key(), Create::None);
    let found = ("u_key=K1", Finds(&[(ID, "K1")]));
    let delete = case(Kind::Delete, by_id(), Create::None);
    let gateway: fn() -> Cause = || Cause::Server {
        status: 504,
        words: String::new(),
    };
    let unavailable: fn() -> Cause = || Cause::Server {
        status: 503,
        words: String::new(),
    };
    for (lost, late) in [
        (Silent, &minute),
        (Says(gateway), &minute),
        // The instance has finished with it, or never had it.
        (Breaks, &None),
        (Away, &None),
        (Says(unavailable), &None),
    ] {
        let script = [found, ("update", lost), ("update", Done(ID))];
        assert_eq!(update.play(&script).late, *late, "{lost:?}");
        let script = [("delete", lost), ("delete", Misses)];
        assert_eq!(delete.play(&script).late, *late, "{lost:?}");
        // Also when it is refused in the end.
        let script = [("delete", lost), ("delete", Forbids("no"))];
        assert_eq!(delete.play(&script).late, *late, "{lost:?}");
    }
}
