//! Requests of other records that may still be executed.

use super::*;

fn late(effect: LateEffect, case: WriteCase) -> WriteCase {
    case.with(|case| case.late = Some(effect))
}

/// All that changes a row, and the looks before it, wait.
#[test]
fn a_row_that_something_may_come_to_is_waited_for() {
    let found = ("u_key=K1", Finds(&[(ID, "K1")]));
    let guarded = update().with(|case| case.rules.reads_version = true);
    let again = update().with(|case| {
        case.suspect = true;
        case.op.journal = vec!["comments"];
    });
    let by = |kind, row| case(kind, row, NewRowIdentity::None);
    let cases = [
        (update(), vec![("update", Done(ID))]),
        (guarded, vec![("version", Reads), ("update", Done(ID))]),
        (again, vec![("comments", Entry(true)), ("update", Done(ID))]),
        (
            by(OperationKind::Update, by_key()),
            vec![found, ("update", Done(ID))],
        ),
        (insert(of_key()), vec![("insert", Done(ID))]),
        (
            by(OperationKind::Delete, by_id()),
            vec![("delete", Done(ID))],
        ),
        (
            by(OperationKind::Delete, by_key()),
            vec![found, ("delete", Done(ID))],
        ),
    ];
    for (number, (mut case, script)) in cases.into_iter().enumerate() {
        let deletes = case.op.kind == OperationKind::Delete;
        // A row that is there is not made once more.
        let revived = if deletes { 60 } else { 0 };
        for (effect, seconds) in [
            (LateEffect::MayModify, 60),
            (LateEffect::MayRecreate, revived),
        ] {
            case.late = Some(effect);
            let story = case.play(&script);
            assert!(matches!(story.outcome, WriteOutcome::Written(..)));
            assert_eq!(story.seconds, seconds, "case {number} {effect:?}");
        }
    }
}

/// The search that finds the row does not wait for other records.
#[test]
fn it_is_waited_for_when_the_row_is_known() {
    let (start, late) = (Instant::now(), IndeterminateWrites::default());
    let lost = IndeterminateWrite {
        row: ID.to_owned(),
        effect: LateEffect::MayModify,
        until: start + TRANSACTION,
    };
    late.note(&lost, start);
    let case = case(OperationKind::Update, by_key(), NewRowIdentity::None);
    let backoff = Backoff::new(SECOND, SECOND);
    let budget = RetryBudget::new(case.limits, backoff, start, 0);
    let mut machine = WriteMachine::new(&case.op, &case.rules, PriorAttempt::None, budget, start);
    let step = machine.next(start, &late);
    assert!(matches!(step, WriteStep::Send(_)), "it waits");
    let inputs = ReplyInputs {
        now: start,
        successes: 0,
        random: 1.0,
        ids_ignored: false,
    };
    machine.replied(result(Finds(&[(ID, "K1")]), start), inputs);
    assert_eq!(machine.next(start, &late), WriteStep::Wait(TRANSACTION));
    let update = WriteRequest::Update {
        id: ID,
        without: &[],
    };
    assert_eq!(machine.next(lost.until, &late), WriteStep::Send(update));
}

#[test]
fn other_rows_do_not_wait() {
    let other = case(OperationKind::Update, by_key(), NewRowIdentity::None);
    let script = [
        ("u_key=K1", Finds(&[(OTHER, "K1")])),
        ("update ffffffffffffffffffffffffffffffff", Done(OTHER)),
    ];
    let other = late(LateEffect::MayModify, other);
    assert_eq!(other.writes("update", &script).seconds, 0);
    for create in [in_field(), NewRowIdentity::None] {
        let insert = late(LateEffect::MayModify, insert(create));
        assert_eq!(insert.writes("insert", &[("insert", Done(ID))]).seconds, 0);
    }
    // Its own lost request does a record no effect: it says the same.
    let script = [("update", Silent), ("update", Done(ID))];
    assert_eq!(update().writes("update", &script).seconds, 0);
}

#[test]
fn what_a_record_leaves_behind() {
    let gateway: fn() -> InstanceFailure = || InstanceFailure::Server {
        status: 504,
        words: String::new(),
    };
    let unavailable: fn() -> InstanceFailure = || InstanceFailure::Server {
        status: 503,
        words: String::new(),
    };
    let key = case(OperationKind::Update, by_key(), NewRowIdentity::None);
    let found = ("u_key=K1", Finds(&[(ID, "K1")]));
    let delete = case(OperationKind::Delete, by_id(), NewRowIdentity::None);
    for (lost, late) in [
        (Silent, true),
        (Says(gateway), true),
        // The instance has finished with it, or never had it.
        (Breaks, false),
        (Away, false),
        (Says(unavailable), false),
    ] {
        let changes = late.then_some((LateEffect::MayModify, 60));
        let script = [found, ("update", lost), ("update", Done(ID))];
        assert_eq!(key.play(&script).late, changes, "{lost:?}");
        let script = [("delete", lost), ("delete", Misses)];
        assert_eq!(delete.play(&script).late, changes, "{lost:?}");
        // Also when it is refused in the end.
        let script = [("delete", lost), ("delete", Forbids("no"))];
        assert_eq!(delete.play(&script).late, changes, "{lost:?}");
    }
}

#[test]
fn what_a_lost_insert_leaves_behind() {
    for create in [of_record(), of_key(), NewRowIdentity::Given(ID.to_owned())] {
        let script = [("insert", Silent), ("row", Misses), ("insert", Done(ID))];
        let story = insert(create).writes("insert", &script);
        assert_eq!(story.late, Some((LateEffect::MayRecreate, 60)));
    }
    // The row of the lost insert is not known.
    let script = [("insert", Silent), ("insert", Done(ID))];
    assert_eq!(
        insert(NewRowIdentity::None).writes("insert", &script).late,
        None
    );
    // The update before it may come later still, to the row that was made.
    let upsert = case(
        OperationKind::Upsert,
        by_id(),
        NewRowIdentity::Given(ID.to_owned()),
    );
    let script = [
        ("update", Silent),
        ("update", Misses),
        ("insert", Silent),
        ("row", Misses),
        ("insert", Done(ID)),
    ];
    let late = upsert.writes("insert", &script).late;
    assert_eq!(late, Some((LateEffect::MayModify, 60)));
}
