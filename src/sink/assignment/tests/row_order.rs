//! Records that wait for writes of the last owner of their partition, and those behind them.

use super::*;
use crate::sink::record::{RecordAction, SkipReason};

/// So short that a test can wait for its end.
const SHORT: AssignmentTimes = AssignmentTimes {
    revoke_wait: SOON,
    transaction_time: Duration::from_millis(100),
};

impl Rig {
    /// Hands out a record of a row, as the consumer does. Gives the record's task, and until when it waits.
    pub(super) fn hand_out(&self, offset: i64, row: u64) -> (Option<SinkTask>, Option<Instant>) {
        self.hand_out_as(offset, row, RowEffect::Changes)
    }

    fn hand_out_as(
        &self,
        offset: i64,
        row: u64,
        effect: RowEffect,
    ) -> (Option<SinkTask>, Option<Instant>) {
        self.hand_out_bytes(offset, row, effect, 10)
    }

    /// Hands out a record of a row that fills the memory and waits. Gives until when.
    fn hand_out_large(&self, offset: i64, row: u64) -> Instant {
        let effect = RowEffect::Changes;
        let handed_out = self.hand_out_bytes(offset, row, effect, MAX_IN_FLIGHT_BYTES);
        handed_out.1.unwrap()
    }

    fn hand_out_bytes(
        &self,
        offset: i64,
        row: u64,
        effect: RowEffect,
        bytes: usize,
    ) -> (Option<SinkTask>, Option<Instant>) {
        let started = self
            .assignment
            .begin(partition(0), offset, bytes, Some(row), effect);
        let started = started.unwrap();
        let task = SinkTask {
            record: record(offset),
            decision: Ok(RecordAction::Skip(SkipReason::Tombstone)),
            ordering_key: Some(row),
            possibly_written_before: started.possibly_written_before,
            lease: started.lease,
            front: started.front,
            handle: started.handle,
        };
        match started.not_before {
            Some(until) => {
                self.assignment.set_aside(task, until);
                (None, Some(until))
            }
            None => (Some(task), None),
        }
    }

    /// The offsets of the records whose time has come.
    fn due(&self) -> Vec<i64> {
        let due = std::iter::from_fn(|| self.assignment.take_due(Instant::now()));
        due.map(|task| task.handle.offset).collect()
    }
}

fn record(offset: i64) -> ConsumerRecord {
    ConsumerRecord {
        topic: Arc::from("in"),
        partition: 0,
        offset,
        timestamp: None,
        key: None,
        value: None,
        headers: Vec::new(),
        unreadable_headers: false,
    }
}

/// The time of a waiting record is over, but it was not taken out yet, as its topic had no room.
#[test]
fn no_record_overtakes_one_of_its_row_that_waits() {
    let rig = rig_with(10, SHORT);
    rig.assign(0);
    assert!(rig.hand_out(0, 1).0.is_some(), "the first of its row");
    let until = rig.hand_out(1, 1).1.unwrap();
    while Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(rig.hand_out(2, 1).0.is_none(), "it would overtake");
    assert!(rig.hand_out(3, 2).0.is_some(), "another row");
    assert_eq!(rig.due(), [1, 2]);
    assert!(rig.hand_out(4, 1).0.is_some(), "none waits any more");
}

/// Were the row made before the waiting delete of its key, that would remove the new row. One that cannot be
/// written may be held, and with it all behind it.
#[test]
fn no_record_overtakes_one_of_its_key_that_waits_whatever_it_does() {
    for effect in [RowEffect::Makes, RowEffect::None] {
        let rig = rig_with(10, SHORT);
        rig.assign(0);
        assert!(rig.hand_out(0, 1).0.is_some());
        let until = rig.hand_out(1, 1).1.unwrap();
        assert_eq!(rig.hand_out_as(2, 1, effect).1, Some(until), "{effect:?}");
        assert!(rig.hand_out_as(3, 2, effect).0.is_some(), "{effect:?}");
        while Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(rig.due(), [1, 2], "{effect:?}");
    }
}

/// The waiting ones hold memory as well, and start although that is full.
#[test]
fn many_bytes_that_wait_pause_as_well() {
    let rig = rig_with(10, SHORT);
    rig.assign(0);
    let (handle, ..) = rig.begin(0, 0);
    assert!(rig.hand_out(1, 1).0.is_some());
    let large = rig.hand_out_large(2, 1);
    while Instant::now() < large {
        std::thread::yield_now();
    }
    for handle in [
        handle.clone(),
        RecordHandle {
            offset: 1,
            ..handle
        },
    ] {
        rig.finish(&handle, true);
    }
    rig.assignment.take_completions();
    assert_eq!(rig.assignment.flow_control().pause, [partition(0)]);
    assert_eq!(rig.due(), [2]);
}

#[test]
fn the_first_record_in_flight_is_known() {
    let rig = rig_with(10, TIMES);
    rig.assign(0);
    let tasks: Vec<SinkTask> = (5..8)
        .filter_map(|offset| rig.hand_out(offset, offset.unsigned_abs()).0)
        .collect();
    let first = || {
        let mut tasks = tasks.iter().map(|task| (&task.front, task.handle.offset));
        tasks.find_map(|(front, offset)| front.is_at(offset).then_some(offset))
    };
    assert_eq!(first(), Some(5));
    rig.finish(&tasks[1].handle, true);
    rig.assignment.take_completions();
    assert_eq!(first(), Some(5));
    rig.finish(&tasks[0].handle, true);
    rig.assignment.take_completions();
    assert_eq!(first(), Some(7), "the one between them is finished");
}

/// One that waits has no worker, and those behind it need not wait for it.
#[test]
fn a_record_that_waits_is_not_the_first_one_in_flight() {
    let rig = rig_with(10, SHORT);
    rig.assign(0);
    let first = rig.hand_out(0, 1).0.unwrap();
    let until = rig.hand_out(1, 1).1.unwrap();
    let third = rig.hand_out(2, 2).0.unwrap();
    rig.finish(&first.handle, true);
    rig.assignment.take_completions();
    assert!(third.front.is_at(2));
    while Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(rig.due(), [1]);
    assert!(third.front.is_at(1), "it is in flight now");
}
