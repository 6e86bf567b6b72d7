//! Rows that are there, or should be; and how long it is tried.

use super::*;

fn entries(columns: &[&'static str]) -> WriteCase {
    update().with(|case| case.op.journal = columns.to_vec())
}

fn on_missing(case: WriteCase, on_missing: OnMissing) -> WriteCase {
    case.with(|case| case.rules.on_missing = on_missing)
}

#[test]
fn an_update_by_sys_id() {
    update().writes("update", &[("update", Done(ID))]);
    for lost in [Silent, Breaks, Away] {
        let script = [("update", lost), ("update", Done(ID))];
        assert_eq!(update().writes("update", &script).seconds, 0);
    }
    let script = [("update", Misses)];
    let refusal = update().refuses("not_found", &script);
    assert_eq!((refusal.status, refusal.attempts), (Some(404), 1));
    on_missing(update(), OnMissing::Skip).skips(&script);
    let given = update().with(|case| case.op.create = NewRowIdentity::Given(ID.to_owned()));
    let script = [("update", Misses), ("insert", Done(ID))];
    on_missing(given, OnMissing::Insert).writes("insert", &script);
}

#[test]
fn an_upsert_by_sys_id() {
    let case = case(
        OperationKind::Upsert,
        by_id(),
        NewRowIdentity::Given(ID.to_owned()),
    );
    case.writes("update", &[("update", Done(ID))]);
    case.writes("insert", &[("update", Misses), ("insert", Done(ID))]);
    let script = [
        ("update", Misses),
        ("insert", Silent),
        ("row", Reads),
        ("update", Done(ID)),
    ];
    case.writes("update", &script);
    // Hidden: it is there, but may be neither seen nor changed.
    let hidden = "Operation Failed: Unique Key violation";
    let script = [
        ("update", Misses),
        ("insert", Forbids(hidden)),
        ("row", Misses),
    ];
    case.refuses("forbidden", &script);
}

#[test]
fn rows_of_a_key() {
    let found: &[_] = &[(ID, "k1")];
    let update = case(OperationKind::Update, by_key(), NewRowIdentity::None);
    let upsert = case(OperationKind::Upsert, by_key(), of_record());
    for case in [&update, &upsert] {
        let script = [("u_key=K1", Finds(found)), ("update", Done(ID))];
        case.writes("update", &script);
        let script = [
            ("u_key=K1", Silent),
            ("u_key=K1", Finds(found)),
            ("update", Silent),
            ("update", Done(ID)),
        ];
        case.writes("update", &script);
        let two: &[_] = &[(ID, "K1"), (OTHER, "K1")];
        case.refuses("ambiguous_key", &[("u_key=K1", Finds(two))]);
        for ignored in [&[(ID, "x")] as &[_], &[(ID, "K1"), (OTHER, "x")]] {
            case.refuses("key_field_ignored", &[("u_key=K1", Finds(ignored))]);
        }
        case.refuses("forbidden", &[("u_key=K1", Forbids("Insufficient rights"))]);
    }
    for none in [Finds(&[]), Misses] {
        let script = [("u_key=K1", none), ("insert", Done(ID))];
        upsert.writes("insert", &script);
        let script = [("u_key=K1", none)];
        assert_eq!(update.refuses("not_found", &script).attempts, 1);
    }
    let update = on_missing(update, OnMissing::Skip);
    update.skips(&[("u_key=K1", Finds(&[]))]);
    let create = case(OperationKind::Update, by_key(), of_record());
    let script = [("u_key=K1", Finds(&[])), ("insert", Done(ID))];
    on_missing(create, OnMissing::Insert).writes("insert", &script);
}

#[test]
fn a_row_that_goes_between_search_and_update() {
    let found = Finds(&[(ID, "K1")]);
    let case = case(OperationKind::Upsert, by_key(), of_record());
    let script = [
        ("u_key=K1", found),
        ("update", Misses),
        ("u_key=K1", Finds(&[])),
        ("insert", Done(ID)),
    ];
    case.writes("insert", &script);
    // Still there: it may not be written, and a second row would not help.
    let script = [
        ("u_key=K1", found),
        ("update", Misses),
        ("u_key=K1", found),
        ("update", Misses),
    ];
    case.refuses("not_found", &script);
}

#[test]
fn deletes() {
    let delete = case(OperationKind::Delete, by_id(), NewRowIdentity::None);
    delete.writes("delete", &[("delete", Done(ID))]);
    for on_missing_ in [OnMissing::DeadLetter, OnMissing::Skip, OnMissing::Insert] {
        let delete = on_missing(
            case(OperationKind::Delete, by_id(), NewRowIdentity::None),
            on_missing_,
        );
        delete.skips(&[("delete", Misses)]);
    }
    delete.skips(&[("delete", Away), ("delete", Misses)]);
    delete.writes("delete", &[("delete", Silent), ("delete", Misses)]);
    delete.refuses("acl", &[("delete", Forbids("ACL Exception Delete Failed"))]);
    let suspect =
        case(OperationKind::Delete, by_id(), NewRowIdentity::None).with(|case| case.suspect = true);
    suspect.writes("delete", &[("delete", Misses)]);
    let by_key = case(OperationKind::Delete, by_key(), NewRowIdentity::None);
    let script = [("u_key=K1", Finds(&[(ID, "K1")])), ("delete", Done(ID))];
    by_key.writes("delete", &script);
    by_key.skips(&[("u_key=K1", Finds(&[]))]);
}

#[test]
fn entries_do_not_show_twice() {
    let case = entries(&["work_notes", "comments"]);
    case.writes("update", &[("update", Done(ID))]);
    case.writes("update", &[("update", Away), ("update", Done(ID))]);
    // The instance has finished: one look is enough.
    let script = [
        ("update", Breaks),
        ("work_notes", Entry(true)),
        ("comments", Entry(false)),
        ("update", Done(ID)),
    ];
    let story = case.writes("update", &script);
    assert_eq!((story.seconds, story.without), (0, vec!["work_notes"]));
    // It may still be at it: the last look is when it cannot be.
    let script = [
        ("update", Silent),
        ("work_notes", Entry(true)),
        ("comments", Entry(false)),
        ("comments", Entry(false)),
        ("update", Silent),
        ("comments", Entry(false)),
        ("comments", Entry(true)),
        ("update", Done(ID)),
    ];
    let story = case.writes("update", &script);
    assert_eq!(story.seconds, 120);
    assert_eq!(story.without, ["work_notes", "comments"]);
    // After an update that was certainly not executed the journals need no further look.
    let script = [
        ("update", Breaks),
        ("work_notes", Entry(false)),
        ("comments", Silent),
        ("comments", Entry(false)),
        ("update", Away),
        ("update", Done(ID)),
    ];
    case.writes("update", &script);
}

#[test]
fn entries_alone() {
    let case = entries(&["comments"]).with(|case| {
        case.op.fields = fields_of(r#"{"comments":"x"}"#);
    });
    case.writes("update", &[("update", Silent), ("comments", Entry(true))]);
}

#[test]
fn entries_of_a_record_that_may_have_been_tried() {
    let case = entries(&["comments"]).with(|case| case.suspect = true);
    let script = [("comments", Entry(true)), ("update", Done(ID))];
    assert_eq!(case.writes("update", &script).seconds, 0);
    let script = [
        ("comments", Entry(false)),
        ("comments", Entry(false)),
        ("update", Done(ID)),
    ];
    assert_eq!(case.writes("update", &script).seconds, 60);
    // Without entries nothing is lost by writing again.
    let plain = update().with(|case| case.suspect = true);
    assert_eq!(plain.writes("update", &[("update", Done(ID))]).seconds, 0);
}

#[test]
fn journals_that_cannot_be_read() {
    let case = entries(&["comments"]);
    let script = [
        ("update", Breaks),
        ("comments", Forbids("Insufficient rights")),
        ("update", Done(ID)),
    ];
    assert!(case.writes("update", &script).blind);
}

#[test]
fn the_version_is_read_before_each_update() {
    let case = update().with(|case| case.rules.reads_version = true);
    let script = [
        ("version", Reads),
        ("update", Silent),
        ("version", Silent),
        ("version", Forbids("hidden")),
        ("update", Done(ID)),
    ];
    case.writes("update", &script);
    case.refuses("not_found", &[("version", Misses), ("update", Misses)]);
}

#[test]
fn refusals_are_final() {
    let bad: fn() -> InstanceFailure = || InstanceFailure::BadRequest {
        status: 400,
        words: "Invalid table x".to_owned(),
    };
    let large: fn() -> InstanceFailure = || InstanceFailure::BadRequest {
        status: 413,
        words: "no reason given".to_owned(),
    };
    let odd: fn() -> InstanceFailure = || InstanceFailure::Status { status: 205 };
    for (says, kind) in [(bad, "bad_request"), (large, "too_large"), (odd, "status")] {
        assert_eq!(
            update().refuses(kind, &[("update", Says(says))]).attempts,
            1
        );
        insert(of_record()).refuses(kind, &[("insert", Says(says))]);
    }
}

#[test]
fn trouble_at_the_door_is_waited_out() {
    let door: fn() -> InstanceFailure = || InstanceFailure::Forbidden {
        words: "User Not Authorized: Failed API level ACL Validation".to_owned(),
    };
    let elsewhere: fn() -> InstanceFailure = || InstanceFailure::Redirect {
        host: "login".to_owned(),
    };
    let bare: fn() -> InstanceFailure = || InstanceFailure::NotFound {
        words: "no reason given".to_owned(),
    };
    let tls: fn() -> InstanceFailure = || InstanceFailure::Tls("expired".to_owned());
    for says in [door, elsewhere, bare, tls] {
        let mut script = vec![("update", Says(says)); 20];
        script.push(("update", Done(ID)));
        let case = update().with(|case| case.limits.record = Duration::ZERO);
        case.writes("update", &script);
    }
}

#[test]
fn a_pause_costs_nothing() {
    let held: fn() -> InstanceFailure = || InstanceFailure::Held {
        wait: Duration::from_secs(60),
    };
    let limited: fn() -> InstanceFailure = || InstanceFailure::RateLimited {
        wait: Duration::from_secs(60),
        words: String::new(),
    };
    let case = update().with(|case| {
        case.limits.instance = Some(Duration::ZERO);
        case.limits.record = Duration::ZERO;
    });
    let mut script = vec![("update", Says(held)); 10];
    script.extend(vec![("update", Says(limited)); 10]);
    script.push(("update", Forbids("no")));
    assert_eq!(case.refuses("forbidden", &script).attempts, 1);
}

#[test]
fn how_long_it_is_tried() {
    // Others are answered: here, the looks at the row.
    let case = insert(of_record()).with(|case| case.limits.record = Duration::ZERO);
    let mut script = [("insert", Silent), ("row", Misses)].repeat(4);
    script.push(("insert", Silent));
    let refusal = case.refuses("timeout", &script);
    assert_eq!((refusal.status, refusal.attempts), (None, 9));
    // No record is answered: a probe asks.
    let case = update().with(|case| case.limits.record = Duration::ZERO);
    let three = vec![("update", Breaks); 3];
    let works = [("probe", Reads)];
    let script = [three.clone(), works.to_vec(), three.clone(), works.to_vec()].concat();
    let refusal = case.refuses("server", &script);
    assert_eq!((refusal.status, refusal.attempts), (Some(500), 6));
    // It does not work: that is waited out, for as long as is configured.
    let mut script = three;
    for failure in [Silent, Away, Says(|| InstanceFailure::NotExecuted)] {
        script.extend([("probe", failure), ("update", Breaks)]);
    }
    script.extend([("probe", Away), ("update", Done(ID))]);
    case.writes("update", &script);
    let case = update().with(|case| case.limits.instance = Some(Duration::ZERO));
    case.refuses("server", &[("update", Breaks)]);
}

#[test]
fn a_stop_ends_it() {
    let op = update();
    let now = Instant::now();
    let backoff = Backoff::new(SECOND, SECOND);
    let budget = RetryBudget::new(op.limits, backoff, now, 0);
    let mut machine = WriteMachine::new(&op.op, &op.rules, PriorAttempt::None, budget, now);
    let step = machine.next(now, &IndeterminateWrites::default());
    assert!(matches!(step, WriteStep::Send(_)), "nothing to do");
    let inputs = ReplyInputs {
        now,
        successes: 0,
        random: 1.0,
        ids_ignored: false,
    };
    machine.replied(Err(Error::Stopped), inputs);
    assert_eq!(
        machine.next(now, &IndeterminateWrites::default()),
        WriteStep::Done(WriteOutcome::Stopped)
    );
}

/// A gateway that takes the body away, or an instance under load: the status alone says that it was done.
#[test]
fn after_an_answer_without_content_the_row_tells() {
    let script = [("update", Empty), ("check", Holds(true))];
    assert_eq!(update().writes("update", &script).seconds, 0);
    let script = [
        ("update", Empty),
        ("check", Holds(false)),
        ("update", Empty),
        ("check", Away),
        ("check", Misses),
        ("update", Done(ID)),
    ];
    update().writes("update", &script);
    let delete = || case(OperationKind::Delete, by_id(), NewRowIdentity::None);
    delete().writes("delete", &[("delete", Empty), ("row", Misses)]);
    let script = [
        ("delete", Empty),
        ("row", Reads),
        ("delete", Empty),
        ("row", Forbids("no")),
        ("delete", Done(ID)),
    ];
    delete().writes("delete", &script);
    // Of entries the row tells nothing.
    let both = || {
        update().with(|case| {
            case.op.fields = fields_of(r#"{"a":"1","comments":"x"}"#);
            case.op.journal = vec!["comments"];
        })
    };
    let script = [
        ("update", Empty),
        ("check", Holds(true)),
        ("comments", Entry(true)),
        ("update", Empty),
        ("check", Holds(true)),
    ];
    assert_eq!(both().writes("update", &script).without, ["comments"]);
    let alone = both().with(|case| case.op.fields = fields_of(r#"{"comments":"x"}"#));
    let script = [("update", Empty), ("comments", Entry(true))];
    alone.writes("update", &script);
    // The pause between two tries stays, and with it the bound of tries.
    let mut script = [("update", Empty), ("check", Holds(false))].repeat(4);
    script.push(("update", Empty));
    let case = update().with(|case| case.limits.record = Duration::ZERO);
    case.refuses("body", &script);
}
