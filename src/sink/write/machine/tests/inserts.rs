//! New rows.

use super::*;

const DUPLICATE: &str = "Operation Failed: Unique Key violation detected by database";
const RULE: &str = "Operation Failed: aborted by Business Rule 'No'";

#[test]
fn a_good_answer_is_the_end() {
    for create in [of_record(), of_key(), in_field(), NewRowIdentity::None] {
        let story = insert(create).writes("insert", &[("insert", Done(ID))]);
        assert!(!story.foreign_id);
    }
}

#[test]
fn a_lost_insert_is_looked_up_by_its_id() {
    for lost in [Silent, Breaks] {
        insert(of_record()).writes("insert", &[("insert", lost), ("row", Reads)]);
        let script = [("insert", lost), ("row", Misses), ("insert", Done(ID))];
        insert(of_record()).writes("insert", &script);
        // Looking may fail as well; that is no reason to insert.
        let script = [
            ("insert", lost),
            ("row", Away),
            ("row", Silent),
            ("probe", Silent),
            ("row", Reads),
        ];
        insert(of_record()).writes("insert", &script);
        let hidden = "Operation Failed: not allowed";
        let script = [
            ("insert", lost),
            ("row", Forbids(hidden)),
            ("insert", Done(ID)),
        ];
        insert(of_record()).writes("insert", &script);
    }
}

#[test]
fn what_was_not_executed_is_sent_again() {
    let login: fn() -> InstanceFailure = || InstanceFailure::Unauthorized {
        words: String::new(),
    };
    let slow: fn() -> InstanceFailure = || InstanceFailure::NotExecuted;
    for create in [of_record(), of_key(), in_field(), NewRowIdentity::None] {
        for failure in [
            Away,
            Says(login),
            Says(slow),
            Says(|| InstanceFailure::SameToken),
        ] {
            let script = [("insert", failure), ("insert", Done(ID))];
            assert_eq!(insert(create.clone()).writes("insert", &script).seconds, 0);
        }
    }
}

#[test]
fn a_row_that_others_may_mean_is_updated() {
    for create in [of_key(), NewRowIdentity::Given(ID.to_owned())] {
        let script = [("insert", Silent), ("row", Reads), ("update", Done(ID))];
        insert(create.clone()).writes("update", &script);
        let script = [
            ("insert", Forbids(DUPLICATE)),
            ("row", Reads),
            ("update", Silent),
            ("update", Done(ID)),
        ];
        insert(create).writes("update", &script);
    }
}

#[test]
fn a_lost_insert_may_have_left_its_entries() {
    let case = insert(of_key()).with(|case| case.op.journal = vec!["comments"]);
    let script = [
        ("insert", Silent),
        ("row", Reads),
        ("comments", Entry(true)),
        ("update", Done(ID)),
    ];
    assert_eq!(case.writes("update", &script).without, ["comments"]);
    // A 403 does not say that nothing was made.
    let script = [
        ("insert", Forbids(RULE)),
        ("row", Reads),
        ("comments", Entry(false)),
        ("update", Done(ID)),
    ];
    let story = case.writes("update", &script);
    assert!(story.without.is_empty() && story.seconds == 0);
}

#[test]
fn a_refused_insert_may_have_made_its_row() {
    insert(of_record()).writes("insert", &[("insert", Forbids(RULE)), ("row", Reads)]);
    let script = [("insert", Forbids(RULE)), ("row", Misses)];
    let refusal = insert(of_record()).refuses("business_rule", &script);
    assert_eq!((refusal.status, refusal.attempts), (Some(403), 2));
    let script = [("insert", Forbids(RULE)), ("row", Away), ("row", Reads)];
    insert(of_record()).writes("insert", &script);
    let conflict: fn() -> InstanceFailure = || InstanceFailure::BadRequest {
        status: 409,
        words: "x".to_owned(),
    };
    insert(of_record()).writes("insert", &[("insert", Says(conflict)), ("row", Reads)]);
    let script = [("insert", Forbids(RULE)), ("u_id=abc", Finds(&[]))];
    insert(in_field()).refuses("business_rule", &script);
    let script = [
        ("insert", Forbids(RULE)),
        ("u_id=abc", Finds(&[(OTHER, "abc")])),
    ];
    insert(in_field()).writes("insert", &script);
    insert(NewRowIdentity::None).refuses("business_rule", &[("insert", Forbids(RULE))]);
}

#[test]
fn a_duplicate_that_cannot_be_read() {
    let script = [
        ("insert", Silent),
        ("row", Misses),
        ("insert", Forbids(DUPLICATE)),
        ("row", Misses),
    ];
    insert(of_record()).writes("insert", &script);
    let first = [("insert", Forbids(DUPLICATE)), ("row", Misses)];
    let looked = [
        ("row", Misses),
        ("insert", Forbids(DUPLICATE)),
        ("row", Misses),
    ];
    let suspect = insert(of_record()).with(|case| case.suspect = true);
    suspect.writes("insert", &looked);
    let replayed = NewRowIdentity::Record {
        id: ID.to_owned(),
        replayed: true,
    };
    insert(replayed).writes("insert", &first);
    // It was not tried before: another column with a unique index has its value already.
    insert(of_record()).refuses("forbidden", &first);
    let named = "Duplicate entry '0123456789abcdef0123456789abcdef' for key 'PRIMARY'";
    insert(of_record()).writes("insert", &[("insert", Forbids(named)), ("row", Misses)]);
    // Neither does an earlier attempt make a duplicate in another column ours.
    let other: &str = "Unique Key violation ((conn=7) Duplicate entry 'A7' for key 'u_code')";
    let script = [("row", Misses), ("insert", Forbids(other)), ("row", Misses)];
    suspect.refuses("forbidden", &script);
    // Of an id that others may have used, nothing is known.
    let suspect = insert(of_key()).with(|case| case.suspect = true);
    suspect.refuses("forbidden", &looked);
}

#[test]
fn an_instance_that_chooses_ids() {
    let story = insert(of_record()).writes("insert", &[("insert", Done(OTHER))]);
    assert!(story.foreign_id);
    assert!(
        !insert(in_field())
            .play(&[("insert", Done(OTHER))])
            .foreign_id
    );
    let upper = "0123456789ABCDEF0123456789ABCDEF";
    assert!(
        !insert(of_record())
            .play(&[("insert", Done(upper))])
            .foreign_id
    );
    let case = insert(of_record()).with(|case| case.ids_ignored = true);
    let refusal = case.refuses("ambiguous", &[("insert", Silent)]);
    assert!(refusal.error.contains("create_id: field"), "{refusal}");
    case.writes("insert", &[("insert", Away), ("insert", Done(OTHER))]);
    let case = insert(in_field()).with(|case| case.ids_ignored = true);
    let script = [("insert", Silent), ("u_id=abc", Finds(&[(OTHER, "abc")]))];
    case.writes("insert", &script);
}

#[test]
fn an_identity_in_a_column_is_looked_up_when_the_first_request_is_over() {
    for lost in [Silent, Breaks] {
        let script = [("insert", lost), ("u_id=abc", Finds(&[(OTHER, "ABC ")]))];
        let story = insert(in_field()).writes("insert", &script);
        assert_eq!(story.seconds, 60);
        assert!(!story.twins);
        let script = [
            ("insert", lost),
            ("u_id=abc", Away),
            ("u_id=abc", Finds(&[])),
            ("insert", lost),
            ("u_id=abc", Finds(&[])),
            ("insert", Done(OTHER)),
        ];
        assert_eq!(insert(in_field()).writes("insert", &script).seconds, 120);
    }
    // After the look-up, what was not executed needs no other one.
    let script = [
        ("insert", Silent),
        ("u_id=abc", Finds(&[])),
        ("insert", Away),
        ("insert", Done(OTHER)),
    ];
    assert_eq!(insert(in_field()).writes("insert", &script).seconds, 60);
    let twins: &[_] = &[(OTHER, "abc"), (ID, "abc")];
    let script = [("insert", Silent), ("u_id=abc", Finds(twins))];
    assert!(insert(in_field()).writes("insert", &script).twins);
    // A column that is not there: everything is found.
    let script = [("insert", Silent), ("u_id=abc", Finds(&[(OTHER, "x")]))];
    insert(in_field()).refuses("key_field_ignored", &script);
}

#[test]
fn a_record_that_may_have_been_tried() {
    let case = insert(in_field()).with(|case| case.suspect = true);
    let script = [("u_id=abc", Finds(&[])), ("insert", Done(OTHER))];
    assert_eq!(case.writes("insert", &script).seconds, 60);
    case.writes("insert", &[("u_id=abc", Finds(&[(OTHER, "abc")]))]);
    // Its row is looked up before it is sent again, at once: should the first request still run, the
    // id meets itself.
    let case = insert(of_record()).with(|case| case.suspect = true);
    case.writes("insert", &[("row", Reads)]);
    let story = case.writes("insert", &[("row", Misses), ("insert", Done(ID))]);
    assert_eq!(story.seconds, 0);
    let script = [
        ("row", Misses),
        ("insert", Forbids(DUPLICATE)),
        ("row", Reads),
    ];
    case.writes("insert", &script);
    // The row of a key has the entries of the first attempt, or not.
    let case = insert(of_key()).with(|case| {
        case.suspect = true;
        case.op.journal = vec!["comments"];
    });
    let script = [
        ("row", Reads),
        ("comments", Entry(true)),
        ("update", Done(ID)),
    ];
    assert_eq!(case.writes("update", &script).without, ["comments"]);
    // An update that found no row is a look.
    let upsert = super::case(
        OperationKind::Upsert,
        by_id(),
        NewRowIdentity::Given(ID.to_owned()),
    );
    let upsert = upsert.with(|case| case.suspect = true);
    upsert.writes("insert", &[("update", Misses), ("insert", Done(ID))]);
    let case = insert(NewRowIdentity::None).with(|case| case.suspect = true);
    case.writes("insert", &[("insert", Done(ID))]);
}

#[test]
fn without_identity_a_lost_insert_is_sent_again() {
    let script = [("insert", Silent), ("insert", Done(ID))];
    assert_eq!(
        insert(NewRowIdentity::None)
            .writes("insert", &script)
            .seconds,
        0
    );
    // A key is as good as an identity, when the first request is over.
    let case = case(OperationKind::Upsert, by_key(), NewRowIdentity::None);
    let script = [
        ("u_key=K1", Finds(&[])),
        ("insert", Silent),
        ("u_key=K1", Finds(&[(ID, "K1")])),
        ("update", Done(ID)),
    ];
    assert_eq!(case.writes("update", &script).seconds, 60);
}

#[test]
fn a_row_that_can_be_read_but_not_written_ends() {
    let script = [
        ("insert", Forbids(DUPLICATE)),
        ("row", Reads),
        ("update", Misses),
    ];
    insert(of_key()).refuses("not_found", &script);
}
