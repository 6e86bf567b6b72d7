//! Records that wait for a schema.

use super::*;
use crate::kafka::Received;

fn record(number: i32, offset: i64) -> Received {
    Received {
        topic: Arc::from("in"),
        partition: number,
        offset,
        timestamp: None,
        key: None,
        value: None,
        headers: Vec::new(),
        unreadable_headers: false,
    }
}

impl Rig {
    fn park(&self, number: i32, offset: i64, schema: u32) {
        let record = record(number, offset);
        self.assignment.park(&partition(number), record, schema);
    }

    /// The offset of a record whose schema is one of these.
    fn unpark(&self, known: &[u32]) -> Option<i64> {
        let record = self.assignment.unpark(|id| known.contains(&id));
        record.map(|record| record.offset)
    }

    fn waiting(&self) -> Vec<(i32, i64, u32)> {
        let waiting = self.assignment.waiting().into_iter();
        waiting
            .map(|it| (it.partition.number, it.offset, it.schema))
            .collect()
    }
}

#[test]
fn its_partition_is_paused_until_it_is_handed_out() {
    let rig = rig(4);
    rig.assign(0);
    rig.assign(1);
    rig.park(0, 5, 7);
    assert!(rig.assignment.is_parked(&partition(0)) && !rig.assignment.is_parked(&partition(1)));
    assert_eq!(rig.assignment.flow().pause, [partition(0)]);
    assert_eq!(rig.assignment.flow(), Flow::default(), "it stays so");
    assert!(rig.assignment.is_busy(), "answers are looked for often");
    assert_eq!(rig.unpark(&[8]), None);
    assert_eq!(rig.waiting(), [(0, 5, 7)]);
    assert_eq!(rig.unpark(&[7]), Some(5));
    assert_eq!(rig.unpark(&[7]), None, "once");
    assert_eq!(rig.waiting(), []);
    // Its value may be behind another schema than its key.
    rig.park(0, 5, 8);
    assert_eq!(rig.assignment.flow(), Flow::default());
    assert_eq!(rig.unpark(&[7, 8]), Some(5));
    rig.begin(0, 5);
    assert_eq!(rig.assignment.flow().resume, [partition(0)]);
}

/// A topic that has room again resumes its partitions, but not this one.
#[test]
fn a_topic_with_room_does_not_resume_it() {
    let rig = rig(2);
    rig.assign(0);
    rig.assign(1);
    let out: Vec<Ticket> = (0..2).map(|offset| rig.begin(1, offset).0).collect();
    rig.park(0, 5, 7);
    let both = vec![partition(0), partition(1)];
    assert_eq!(rig.assignment.flow().pause, both);
    assert_eq!(rig.unpark(&[7]), None, "the topic is full");
    for ticket in &out {
        rig.finish(ticket, true);
    }
    rig.assignment.settle();
    assert_eq!(rig.assignment.flow().resume, [partition(1)]);
    assert_eq!(rig.unpark(&[7]), Some(5));
    assert_eq!(rig.assignment.flow().resume, [partition(0)]);
}

#[test]
fn no_position_passes_it_and_nothing_waits_for_it() {
    let rig = rig(10);
    rig.assign(0);
    let (ticket, ..) = rig.begin(0, 4);
    rig.park(0, 5, 7);
    rig.finish(&ticket, true);
    rig.assignment.settle();
    assert_eq!(rig.assignment.take_positions(), [(partition(0), 5)]);
    assert_eq!(
        rig.assignment.wait_all(Instant::now()),
        0,
        "a stop is quick"
    );
    assert_eq!(rig.assignment.given_up(), 0);
    assert_eq!(rig.assignment.revoked(&[partition(0)]), []);
}

#[test]
fn it_goes_away_with_its_partition() {
    let gone = [
        |rig: &Rig| drop(rig.assignment.revoked(&[partition(0)])),
        |rig: &Rig| rig.assignment.lost(&[partition(0)]),
        |rig: &Rig| {
            let start = (partition(0), Start::Oldest);
            rig.assignment.restarted(&[start]);
        },
        |rig: &Rig| rig.assignment.renewed(),
    ];
    for go in gone {
        let rig = rig(10);
        rig.assign(0);
        rig.park(0, 5, 7);
        rig.assignment.flow();
        go(&rig);
        assert_eq!((rig.waiting(), rig.unpark(&[7])), (vec![], None));
        rig.assign(0);
        assert_eq!(rig.unpark(&[7]), None, "nor does it come back with it");
        rig.begin(0, 5);
    }
}

#[test]
fn a_record_of_somebody_else_is_not_parked() {
    let rig = rig(10);
    rig.park(0, 5, 7);
    let gone = Start::Gone {
        committed: 3,
        low: 7,
        high: 9,
    };
    rig.assignment.assigned(&[(partition(1), gone)]);
    rig.park(1, 8, 7);
    assert_eq!(rig.waiting(), []);
}

#[test]
fn a_partition_that_begins_anew_is_resumed() {
    let rig = rig(10);
    rig.assign(0);
    rig.park(0, 5, 7);
    assert_eq!(rig.assignment.flow().pause, [partition(0)]);
    rig.assignment.restarted(&[(partition(0), Start::Oldest)]);
    assert_eq!(rig.assignment.flow().resume, [partition(0)]);
}
