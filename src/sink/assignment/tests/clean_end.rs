//! How the end of an owner is written down, and what the next one makes of it.

use super::*;
use std::thread;

/// The note beside the last commit of partition 0.
fn last_note(rig: &Rig) -> Option<(i64, CommitNote)> {
    let commits = rig.assignment.revoked(&[partition(0)]);
    commits.first().map(|commit| (commit.offset, commit.note))
}

fn ended(repeats: usize) -> CommitNote {
    CommitNote {
        ended: Some(repeats),
        late_until: None,
    }
}

#[test]
fn a_clean_end_is_written_down_with_what_comes_again() {
    let clean = || start(0, StartPosition::Committed(5), Some(ended(0)));
    let outcomes = |outcomes: &[TaskOutcome]| {
        let rig = rig(10);
        rig.assignment.assigned(&[clean()]);
        let handles: Vec<RecordHandle> = (5..)
            .take(outcomes.len())
            .map(|at| rig.begin(0, at).0)
            .collect();
        for (handle, outcome) in handles.into_iter().zip(outcomes) {
            let outcome = *outcome;
            rig.done.send(Completion { handle, outcome }).unwrap();
        }
        last_note(&rig)
    };
    use TaskOutcome::{Abandoned, Finished, NotStarted};
    let killed = CommitNote::default();
    for (given, expected) in [
        (&[][..], Some((5, ended(0)))),
        (&[Finished, Finished], Some((7, ended(0)))),
        (&[NotStarted, NotStarted], Some((5, ended(0)))),
        (
            &[Finished, NotStarted, Finished, NotStarted],
            Some((6, ended(2))),
        ),
        (&[Finished, Abandoned], Some((6, killed))),
        (&[Abandoned, Finished], None),
    ] {
        assert_eq!(outcomes(given), expected, "{given:?}");
    }
}

/// Of a partition that was taken over from a killed owner not all suspects have come yet.
#[test]
fn suspects_stay_suspects_over_a_clean_end() {
    let rig = rig(1);
    rig.assign(0);
    let (offset, note) = last_note(&rig).unwrap();
    assert_eq!((offset, note.ended), (0, Some(4)), "all of them");
    assert!(note.late_until.is_some(), "they may still be written");
    rig.assignment
        .assigned(&[start(0, StartPosition::Committed(0), Some(note))]);
    assert!(
        rig.hand_out(9, 1).0.is_none(),
        "one of them may be of its row"
    );
    rig.assignment.revoked(&[partition(0)]);
    let again = start(0, StartPosition::Committed(0), Some(ended(4)));
    rig.assignment.assigned(&[again]);
    let begun: Vec<_> = (0..5).map(|offset| rig.begin(0, offset)).collect();
    let suspects: Vec<bool> = begun.iter().map(|it| it.2.is_some()).collect();
    assert_eq!(suspects, [true, true, true, true, false]);
    for (handle, ..) in begun {
        rig.assignment.withdraw(handle);
    }
    assert_eq!(last_note(&rig), Some((0, ended(4))));
}

/// What is committed of a record that came again, after its own take-over and when its owner is killed as well.
#[test]
fn a_write_of_the_last_owner_outlives_the_commit_of_its_record() {
    let rig = rig(10);
    let late = |rig: &Rig| {
        let commits = rig.assignment.take_positions();
        commits
            .first()
            .map(|commit| commit.note.late_until.is_some())
    };
    rig.assign(0);
    let (unordered, ..) = rig.begin(0, 0);
    rig.finish(&unordered, true);
    rig.assignment.take_completions();
    assert_eq!(late(&rig), Some(false), "it is of no row");
    let first = rig.hand_out(1, 7).0.unwrap();
    rig.finish(&first.handle, true);
    rig.assignment.take_completions();
    assert_eq!(late(&rig), Some(true), "the next owner does not get it");
}

#[test]
fn what_was_not_in_the_partition_at_the_take_over_is_no_suspect() {
    let rig = rig(10);
    let taken_over = PartitionStart {
        end: Some(6),
        ..killed(0, StartPosition::Committed(5))
    };
    rig.assignment.assigned(&[taken_over]);
    let suspects: Vec<bool> = (5..8).map(|at| rig.begin(0, at).2.is_some()).collect();
    assert_eq!(suspects, [true, false, false]);
    // None at all.
    let taken_over = PartitionStart {
        end: Some(5),
        ..killed(1, StartPosition::Committed(5))
    };
    rig.assignment.assigned(&[taken_over]);
    let commits = rig.assignment.revoked(&[partition(1)]);
    assert_eq!(commits[0].note, ended(0));
}

/// A revocation waits for writes in flight, and some of them may be lost meanwhile.
#[test]
fn a_write_that_was_lost_during_a_revocation_is_written_down() {
    let patient = AssignmentTimes {
        revoke_wait: Duration::from_secs(30),
        ..TIMES
    };
    let rig = rig_with(10, patient);
    let clean = start(0, StartPosition::Committed(5), Some(ended(0)));
    rig.assignment.assigned(&[clean]);
    let (handle, ..) = rig.begin(0, 5);
    let end = thread::scope(|scope| {
        let end = scope.spawn(|| last_note(&rig));
        *rig.late.lock() = Some(Instant::now() + TIMES.transaction_time);
        rig.finish(&handle, true);
        end.join().unwrap()
    });
    let (offset, note) = end.unwrap();
    assert_eq!((offset, note.ended), (6, Some(0)));
    assert!(note.late_until.is_some());
}

/// The commit before the first record takes the place of the last owner's.
#[test]
fn what_the_last_owner_said_of_late_writes_stays_at_the_opening() {
    let rig = rig(10);
    let note = CommitNote {
        ended: Some(0),
        late_until: Some(u64::MAX),
    };
    rig.assignment.assigned(&[PartitionStart {
        open_at: Some(5),
        ..start(0, StartPosition::Committed(5), Some(note))
    }]);
    let opening = rig.assignment.opening_commits();
    assert_eq!(opening[0].note.late_until, Some(u64::MAX));
    assert_eq!(opening[0].note.ended, None);
}

#[test]
fn a_partition_that_must_be_opened_waits_for_that_commit() {
    let rig = rig(10);
    let clean = start(0, StartPosition::Committed(5), Some(ended(0)));
    rig.assignment.assigned(&[PartitionStart {
        open_at: Some(5),
        ..clean
    }]);
    assert_eq!(rig.assignment.flow_control(), FlowControl::default());
    assert_eq!(
        positions(rig.assignment.opening_commits()),
        [(partition(0), 5)]
    );
    rig.assignment.opened(&[partition(1)]);
    assert_eq!(rig.assignment.flow_control(), FlowControl::default());
    rig.assignment.opened(&[partition(0)]);
    assert_eq!(rig.assignment.flow_control().resume, [partition(0)]);
    assert_eq!(rig.assignment.opening_commits(), []);
}

/// What was finished and not committed comes again, which the exit code is to say.
#[test]
fn at_the_end_an_unconfirmed_commit_counts() {
    for lost in [false, true] {
        let rig = rig(10);
        rig.assign(0);
        let (handle, ..) = rig.begin(0, 5);
        rig.finish(&handle, true);
        rig.assignment.end_leases();
        assert_eq!(rig.assignment.wait_until_idle(Instant::now() + SOON), 0);
        if lost {
            rig.assignment.lost(&[partition(0)]);
        } else {
            rig.assignment.revoked(&[partition(0)]);
        }
        assert_eq!(rig.assignment.unconfirmed(), 1);
        rig.assignment.committed(Ok(&[(partition(0), 6)]));
        assert_eq!(rig.assignment.unconfirmed(), 0);
    }
}
