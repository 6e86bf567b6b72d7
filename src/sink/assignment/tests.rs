mod awaiting_schema;
mod clean_end;
mod row_order;

use super::in_flight::MAX_IN_FLIGHT_BYTES;
use super::*;
use crate::kafka::CommitNote;
use crate::stop;
use crossbeam_channel::{Sender, bounded};

const SOON: Duration = Duration::from_millis(50);
const TIMES: AssignmentTimes = AssignmentTimes {
    revoke_wait: SOON,
    transaction_time: Duration::from_secs(60),
};

struct Rig {
    assignment: Assignment,
    /// What the writer of the topic says.
    late: Arc<Mutex<Option<Instant>>>,
    done: Sender<Completion>,
    health: Arc<Health>,
}

fn rig(limit: usize) -> Rig {
    rig_with(limit, TIMES)
}

fn rig_with(limit: usize, times: AssignmentTimes) -> Rig {
    let health = Arc::new(Health::new());
    let (done, finished) = bounded(100);
    let limits = [(Arc::from("in"), limit)];
    let metrics = Arc::new(Metrics::new());
    let late = Arc::new(Mutex::new(None));
    let said = Arc::clone(&late);
    let late_until: LateUntil = Box::new(move |_| *said.lock());
    Rig {
        late,
        assignment: Assignment::new(&limits, finished, times, late_until, &health, &metrics),
        done,
        health,
    }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic: Arc::from("in"),
        number,
    }
}

/// A partition whose last owner has left this note.
fn start(number: i32, position: StartPosition, last_note: Option<CommitNote>) -> PartitionStart {
    let offset = match &position {
        StartPosition::Committed(offset) => Some(*offset),
        _ => None,
    };
    PartitionStart {
        partition: partition(number),
        position,
        offset,
        end: None,
        last_note,
        open_at: None,
    }
}

/// A partition whose last owner was killed.
fn killed(number: i32, position: StartPosition) -> PartitionStart {
    start(number, position, Some(CommitNote::default()))
}

/// The positions among what is committed.
fn positions(commits: Vec<OffsetCommit>) -> Vec<(TopicPartition, i64)> {
    let commits = commits.into_iter();
    commits.map(|it| (it.partition, it.offset)).collect()
}

impl Rig {
    /// The positions that have moved.
    fn moved(&self) -> Vec<(TopicPartition, i64)> {
        positions(self.assignment.take_positions())
    }

    fn assign(&self, number: i32) {
        self.assignment
            .assigned(&[killed(number, StartPosition::Committed(0))]);
    }

    /// Hands a record out: its handle, its lease, and when the partition came if the record may have
    /// been written before.
    fn begin(&self, number: i32, offset: i64) -> (RecordHandle, Stop, Option<Instant>) {
        let started = self
            .assignment
            .begin(partition(number), offset, 10, None, RowEffect::None);
        let started = started.unwrap();
        (
            started.handle,
            started.lease,
            started.possibly_written_before,
        )
    }

    fn finish(&self, handle: &RecordHandle, finished: bool) {
        let end = if finished {
            TaskOutcome::Finished
        } else {
            TaskOutcome::Abandoned
        };
        let handle = handle.clone();
        self.done
            .send(Completion {
                handle,
                outcome: end,
            })
            .unwrap();
    }
}

#[test]
fn the_limit_pauses_and_half_of_it_resumes() {
    let rig = rig(4);
    rig.assign(0);
    rig.assign(1);
    let out: Vec<RecordHandle> = (0..4).map(|offset| rig.begin(0, offset).0).collect();
    let both = vec![partition(0), partition(1)];
    assert_eq!(
        rig.assignment.flow_control().pause,
        both,
        "one topic, one pool"
    );
    assert_eq!(
        rig.assignment.flow_control(),
        FlowControl::default(),
        "told once"
    );
    rig.finish(&out[0], true);
    rig.assignment.take_completions();
    assert_eq!(rig.assignment.flow_control(), FlowControl::default());
    rig.finish(&out[1], true);
    rig.assignment.take_completions();
    assert_eq!(rig.assignment.flow_control().resume, both);
}

#[test]
fn a_full_topic_waits_for_the_next_record_to_come_back() {
    let rig = rig(2);
    let (trigger, stop) = stop::pair();
    assert!(!rig.assignment.wait_for_room(&stop), "nothing is ours");
    rig.assign(0);
    let (first, ..) = rig.begin(0, 0);
    assert!(!rig.assignment.wait_for_room(&stop), "there is room");
    rig.begin(0, 1);
    rig.finish(&first, true);
    assert!(rig.assignment.wait_for_room(&stop));
    assert_eq!(
        rig.assignment.flow_control(),
        FlowControl::default(),
        "not paused"
    );
    assert_eq!(rig.moved(), [(partition(0), 1)]);
    rig.begin(0, 2);
    drop(trigger);
    assert!(!rig.assignment.wait_for_room(&stop), "nothing comes back");
    assert_eq!(rig.assignment.flow_control().pause, [partition(0)]);
}

#[test]
fn a_partition_that_comes_while_its_topic_is_paused_is_paused() {
    let rig = rig(1);
    rig.assign(0);
    rig.begin(0, 0);
    assert_eq!(rig.assignment.flow_control().pause, [partition(0)]);
    rig.assign(1);
    assert_eq!(rig.assignment.flow_control().pause, [partition(1)]);
}

#[test]
fn many_bytes_pause_as_well() {
    let rig = rig(100);
    rig.assign(0);
    let big = rig
        .assignment
        .begin(partition(0), 0, MAX_IN_FLIGHT_BYTES, None, RowEffect::None);
    assert!(big.is_some());
    assert_eq!(rig.assignment.flow_control().pause, [partition(0)]);
}

#[test]
fn a_revocation_waits_for_what_runs_and_commits_it() {
    let rig = rig(10);
    rig.assign(0);
    rig.assign(1);
    let (first, lease, _) = rig.begin(0, 5);
    let (second, ..) = rig.begin(0, 6);
    let (_, other, _) = rig.begin(1, 9);
    rig.finish(&first, true);
    rig.finish(&second, false);
    let positions = positions(rig.assignment.revoked(&[partition(0)]));
    assert_eq!(
        positions,
        [(partition(0), 6)],
        "what was not done comes again"
    );
    assert!(lease.is_stopped() && !other.is_stopped());
    let again = rig
        .assignment
        .begin(partition(0), 5, 10, None, RowEffect::None);
    assert!(again.is_none(), "the partition is gone");
}

#[test]
fn a_revocation_does_not_wait_for_ever() {
    let rig = rig(10);
    rig.assign(0);
    let (running, ..) = rig.begin(0, 5);
    assert_eq!(rig.assignment.revoked(&[partition(0)]), []);
    rig.assign(0);
    let (again, ..) = rig.begin(0, 5);
    rig.finish(&running, true);
    rig.assignment.take_completions();
    assert_eq!(rig.moved(), [], "that was under the old assignment");
    rig.finish(&again, true);
    rig.assignment.take_completions();
    assert_eq!(rig.moved(), [(partition(0), 6)]);
}

#[test]
fn what_was_lost_is_not_committed() {
    let rig = rig(10);
    rig.assign(0);
    let (handle, lease, _) = rig.begin(0, 5);
    rig.assignment.lost(&[partition(0)]);
    assert!(lease.is_stopped());
    rig.finish(&handle, true);
    rig.assignment.take_completions();
    assert_eq!(rig.moved(), []);
    assert!(!rig.assignment.is_busy(), "its place is free again");
}

#[test]
fn a_failing_commit_is_told_until_one_succeeds() {
    let rig = rig(10);
    rig.assign(0);
    let (handle, ..) = rig.begin(0, 5);
    rig.finish(&handle, true);
    rig.assignment.take_completions();
    assert_eq!(rig.moved(), [(partition(0), 6)]);
    assert_eq!(rig.moved(), []);
    rig.assignment.committed(Err("no coordinator".to_owned()));
    assert_eq!(
        rig.health.readiness().lines,
        ["sink commits: positions cannot be committed: no coordinator"]
    );
    rig.assignment.committed(Ok(&[(partition(0), 6)]));
    assert!(rig.health.readiness().ok);
}

#[test]
fn a_partition_that_cannot_begin_is_told_and_never_resumed() {
    let rig = rig(1);
    let gone = StartPosition::Gone {
        committed: 3,
        low: 7,
        high: 9,
    };
    rig.assignment.assigned(&[killed(0, gone)]);
    let said = rig.health.readiness().lines.concat();
    assert!(
        said.contains("sink in/0: held: the group has committed offset 3"),
        "{said}"
    );
    rig.assign(1);
    rig.begin(1, 0);
    assert_eq!(rig.assignment.flow_control().pause, [partition(1)]);
    rig.assignment.revoked(&[partition(0)]);
    assert!(rig.health.readiness().ok);
}

#[test]
fn what_would_come_again_is_bounded() {
    let rig = rig(1);
    rig.assign(0);
    for offset in 0..4 {
        let (handle, ..) = rig.begin(0, offset);
        rig.finish(&handle, true);
        rig.assignment.take_completions();
    }
    assert_eq!(rig.assignment.flow_control().pause, [partition(0)]);
    assert_eq!(rig.moved(), [(partition(0), 4)]);
    assert_eq!(
        rig.assignment.flow_control(),
        FlowControl::default(),
        "Kafka has not answered"
    );
    rig.assignment.committed(Ok(&[(partition(0), 4)]));
    assert_eq!(rig.assignment.flow_control().resume, [partition(0)]);
}

#[test]
fn only_the_first_records_of_an_assignment_may_have_been_written_before() {
    let rig = rig(1);
    rig.assign(0);
    let suspects: Vec<bool> = (0..5)
        .map(|offset| rig.begin(0, offset).2.is_some())
        .collect();
    assert_eq!(suspects, [true, true, true, true, false]);
}

#[test]
fn a_record_that_is_not_handed_out_is_not_waited_for() {
    let rig = rig(10);
    rig.assign(0);
    let (handle, ..) = rig.begin(0, 5);
    rig.assignment.withdraw(handle);
    assert_eq!(rig.assignment.wait_until_idle(Instant::now() + SOON), 0);
    assert_eq!(rig.moved(), [], "it comes again");
}

#[test]
fn a_failed_commit_is_forgotten_with_its_partition() {
    let rig = rig(10);
    rig.assign(0);
    let (handle, ..) = rig.begin(0, 5);
    rig.finish(&handle, true);
    rig.assignment.take_completions();
    rig.moved();
    rig.assignment.committed(Err("not a member".to_owned()));
    rig.assignment.lost(&[partition(0)]);
    assert!(!rig.health.readiness().ok);
    assert_eq!(rig.moved(), []);
    assert!(rig.health.readiness().ok, "there is nothing to commit");
}

#[test]
fn what_begins_anew_while_it_is_paused_is_resumed() {
    let rig = rig(1);
    rig.assign(0);
    let (handle, ..) = rig.begin(0, 5);
    assert_eq!(rig.assignment.flow_control().pause, [partition(0)]);
    rig.finish(&handle, true);
    rig.assignment
        .restarted(&[killed(0, StartPosition::Oldest)]);
    rig.assignment.take_completions();
    assert_eq!(rig.assignment.flow_control().resume, [partition(0)]);
}

#[test]
fn large_records_of_one_topic_do_not_stop_another() {
    let health = Arc::new(Health::new());
    let (_done, finished) = bounded(100);
    let limits = [(Arc::from("in"), 10), (Arc::from("other"), 10)];
    let metrics = Arc::new(Metrics::new());
    let assignment = Assignment::new(
        &limits,
        finished,
        TIMES,
        Box::new(|_| None),
        &health,
        &metrics,
    );
    let other = TopicPartition {
        topic: Arc::from("other"),
        number: 0,
    };
    for partition in [partition(0), other.clone()] {
        assignment.assigned(&[PartitionStart {
            partition,
            ..killed(0, StartPosition::Oldest)
        }]);
    }
    let large = assignment.begin(partition(0), 0, MAX_IN_FLIGHT_BYTES, None, RowEffect::None);
    assert!(large.is_some());
    assert_eq!(assignment.flow_control().pause, [partition(0)]);
    assert!(
        assignment
            .begin(other.clone(), 0, 10, None, RowEffect::None)
            .is_some()
    );
    assert_eq!(assignment.flow_control().pause, [other], "one at a time");
}

#[test]
fn nothing_of_a_held_partition_is_handed_out() {
    let rig = rig(10);
    let gone = StartPosition::Gone {
        committed: 3,
        low: 7,
        high: 9,
    };
    rig.assignment.assigned(&[killed(0, gone)]);
    assert!(
        rig.assignment
            .begin(partition(0), 9, 10, None, RowEffect::None)
            .is_none()
    );
}

/// Its records in flight, and those that wait in its queue, are nowhere else any more.
#[test]
fn a_partition_that_is_cut_off_goes_on_with_what_it_has() {
    let rig = rig(10);
    rig.assign(0);
    let (handle, lease, _) = rig.begin(0, 4);
    let gone = |committed| {
        let (low, high) = (7, 9);
        StartPosition::Gone {
            committed,
            low,
            high,
        }
    };
    rig.assignment.restarted(&[killed(0, gone(5))]);
    assert!(rig.assignment.is_held(&partition(0)) && !lease.is_stopped());
    assert_eq!(
        rig.assignment.flow_control(),
        FlowControl::default(),
        "it stays paused"
    );
    let (queued, ..) = rig.begin(0, 5);
    for handle in [&handle, &queued] {
        rig.finish(handle, true);
    }
    rig.assignment.take_completions();
    assert_eq!(rig.moved(), [(partition(0), 6)]);
    // One that ends before the position is another topic.
    let (_, lease, _) = rig.begin(0, 6);
    rig.assignment.restarted(&[killed(0, gone(10))]);
    assert!(rig.assignment.is_held(&partition(0)) && lease.is_stopped());
}
