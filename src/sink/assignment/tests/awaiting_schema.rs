//! Records that wait for a schema.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::kafka::ConsumerRecord;
use crate::sink::record::SchemaRequest;

fn record(number: i32, offset: i64) -> ConsumerRecord {
    ConsumerRecord {
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
    fn defer(&self, number: i32, offset: i64, schema: u32) {
        let record = record(number, offset);
        let request = SchemaRequest {
            schema,
            or_none: false,
        };
        self.assignment
            .defer(&partition(number), record, request, Instant::now());
    }

    /// The offset of a record whose schema is one of these.
    fn take_ready(&self, known: &[u32]) -> Option<i64> {
        let is_known = |wait: &SchemaWait| known.contains(&wait.request.schema);
        let record = self.assignment.take_deferred(is_known);
        record.map(|(record, _)| record.offset)
    }

    fn waiting(&self) -> Vec<(i32, i64, u32)> {
        let waiting = self.assignment.schema_waits().into_iter();
        waiting
            .map(|it| (it.partition.number, it.offset, it.request.schema))
            .collect()
    }
}

#[test]
fn its_partition_is_paused_until_it_is_handed_out() {
    let rig = rig(4);
    rig.assign(0);
    rig.assign(1);
    rig.defer(0, 5, 7);
    assert!(
        rig.assignment.has_deferred(&partition(0)) && !rig.assignment.has_deferred(&partition(1))
    );
    assert_eq!(rig.assignment.flow_control().pause, [partition(0)]);
    assert_eq!(
        rig.assignment.flow_control(),
        FlowControl::default(),
        "it stays so"
    );
    assert!(rig.assignment.is_busy(), "answers are looked for often");
    assert_eq!(rig.take_ready(&[8]), None);
    assert_eq!(rig.waiting(), [(0, 5, 7)]);
    assert_eq!(rig.take_ready(&[7]), Some(5));
    assert_eq!(rig.take_ready(&[7]), None, "once");
    assert_eq!(rig.waiting(), []);
    // Its value may be behind another schema than its key.
    rig.defer(0, 5, 8);
    assert_eq!(rig.assignment.flow_control(), FlowControl::default());
    assert_eq!(rig.take_ready(&[7, 8]), Some(5));
    rig.begin(0, 5);
    assert_eq!(rig.assignment.flow_control().resume, [partition(0)]);
}

/// A topic that has room again resumes its partitions, but not this one.
#[test]
fn a_topic_with_room_does_not_resume_it() {
    let rig = rig(2);
    rig.assign(0);
    rig.assign(1);
    let out: Vec<RecordHandle> = (0..2).map(|offset| rig.begin(1, offset).0).collect();
    rig.defer(0, 5, 7);
    let both = vec![partition(0), partition(1)];
    assert_eq!(rig.assignment.flow_control().pause, both);
    assert_eq!(rig.take_ready(&[7]), None, "the topic is full");
    for handle in &out {
        rig.finish(handle, true);
    }
    rig.assignment.take_completions();
    assert_eq!(rig.assignment.flow_control().resume, [partition(1)]);
    assert_eq!(rig.take_ready(&[7]), Some(5));
    assert_eq!(rig.assignment.flow_control().resume, [partition(0)]);
}

#[test]
fn no_position_passes_it_and_nothing_waits_for_it() {
    let rig = rig(10);
    rig.assign(0);
    let (handle, ..) = rig.begin(0, 4);
    rig.defer(0, 5, 7);
    rig.finish(&handle, true);
    rig.assignment.take_completions();
    assert_eq!(rig.moved(), [(partition(0), 5)]);
    assert_eq!(
        rig.assignment.wait_until_idle(Instant::now()),
        0,
        "a stop is quick"
    );
    assert_eq!(rig.assignment.abandoned(), 0);
    let given_back = positions(rig.assignment.revoked(&[partition(0)]));
    assert_eq!(given_back, [(partition(0), 5)]);
}

#[test]
fn it_goes_away_with_its_partition() {
    let gone = [
        |rig: &Rig| drop(rig.assignment.revoked(&[partition(0)])),
        |rig: &Rig| rig.assignment.lost(&[partition(0)]),
        |rig: &Rig| {
            let start = killed(0, StartPosition::Oldest);
            rig.assignment.restarted(&[start]);
        },
        |rig: &Rig| rig.assignment.clear(),
    ];
    for go in gone {
        let rig = rig(10);
        rig.assign(0);
        rig.defer(0, 5, 7);
        rig.assignment.flow_control();
        go(&rig);
        assert_eq!((rig.waiting(), rig.take_ready(&[7])), (vec![], None));
        rig.assign(0);
        assert_eq!(rig.take_ready(&[7]), None, "nor does it come back with it");
        rig.begin(0, 5);
    }
}

#[test]
fn a_record_of_a_partition_that_is_not_ours_is_dropped() {
    let rig = rig(10);
    rig.defer(0, 5, 7);
    let gone = StartPosition::Gone {
        committed: 3,
        low: 7,
        high: 9,
    };
    rig.assignment.assigned(&[killed(1, gone)]);
    rig.defer(1, 8, 7);
    assert_eq!(rig.waiting(), []);
}

#[test]
fn a_partition_that_begins_anew_is_resumed() {
    let rig = rig(10);
    rig.assign(0);
    rig.defer(0, 5, 7);
    assert_eq!(rig.assignment.flow_control().pause, [partition(0)]);
    rig.assignment
        .restarted(&[killed(0, StartPosition::Oldest)]);
    assert_eq!(rig.assignment.flow_control().resume, [partition(0)]);
}

/// What happens, in order.
#[derive(Debug, Clone)]
enum Step {
    /// librdkafka has a record of this partition, behind a schema.
    Poll(i32, u32),
    /// The registry has answered.
    Known(u32),
    /// One of the records that are out is done.
    Finish(prop::sample::Index),
    /// The partition goes away, and comes back at what is committed.
    Move(i32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3, 0_u32..6).prop_map(|(number, schema)| Step::Poll(number, schema)),
        2 => (0_u32..6).prop_map(Step::Known),
        5 => any::<prop::sample::Index>().prop_map(Step::Finish),
        1 => (0..3).prop_map(Step::Move),
    ];
    prop::collection::vec(step, 0..200)
}

/// The consumer thread and librdkafka, without both.
struct Play {
    rig: Rig,
    known: BTreeSet<u32>,
    /// Of each partition: the next offset that librdkafka gives, and whether it is paused.
    fetch: [(i64, bool); 3],
    /// Of each partition: the next offset to be handed out.
    expected: [i64; 3],
    committed: [i64; 3],
    out: Vec<RecordHandle>,
}

impl Play {
    /// What the loop does between two polls.
    fn turn(&mut self) {
        self.rig.assignment.take_completions();
        let known = &self.known;
        let is_known = |wait: &SchemaWait| known.contains(&wait.request.schema);
        while let Some((record, _)) = self.rig.assignment.take_deferred(is_known) {
            let at = usize::try_from(record.partition).unwrap();
            assert_eq!(
                record.offset, self.expected[at],
                "the deferred record comes first"
            );
            self.expected[at] += 1;
            let (handle, ..) = self.rig.begin(record.partition, record.offset);
            self.out.push(handle);
        }
        assert!(self.out.len() <= 3, "the queue has no room for more");
        let flow = self.rig.assignment.flow_control();
        for (list, paused) in [(flow.pause, true), (flow.resume, false)] {
            for partition in list {
                let at = usize::try_from(partition.number).unwrap();
                assert_ne!(self.fetch[at].1, paused, "told once");
                self.fetch[at].1 = paused;
            }
        }
        let taken = self.rig.moved();
        self.rig.assignment.committed(Ok(&taken));
        self.committed(&taken);
    }

    fn committed(&mut self, positions: &[(TopicPartition, i64)]) {
        for (partition, position) in positions {
            let at = usize::try_from(partition.number).unwrap();
            let open = self.out.iter().filter(|it| it.partition == *partition);
            let first = open.map(|it| it.offset).min();
            let first = first.unwrap_or(self.expected[at]);
            assert_eq!(
                *position, first,
                "neither past a record in flight nor past one that waits"
            );
            self.committed[at] = *position;
        }
    }

    fn poll(&mut self, number: i32, schema: u32) {
        let at = usize::try_from(number).unwrap();
        let (offset, paused) = self.fetch[at];
        if paused {
            return;
        }
        self.fetch[at].0 += 1;
        assert!(!self.rig.assignment.has_deferred(&partition(number)));
        assert_eq!(offset, self.expected[at], "nothing is left out");
        if self.known.contains(&schema) {
            self.expected[at] += 1;
            self.out.push(self.rig.begin(number, offset).0);
        } else {
            self.rig.defer(number, offset, schema);
        }
    }

    fn go(&mut self, number: i32) {
        let at = usize::try_from(number).unwrap();
        self.rig.assignment.lost(&[partition(number)]);
        // Its records in flight come back and do not count.
        let (gone, left) = self
            .out
            .drain(..)
            .partition(|it| it.partition.number == number);
        self.out = left;
        let gone: Vec<RecordHandle> = gone;
        for handle in &gone {
            self.rig.finish(handle, true);
        }
        self.rig.assign(number);
        self.fetch[at] = (self.committed[at], false);
        self.expected[at] = self.committed[at];
    }
}

proptest! {
    /// Whatever comes when: each partition is handed out without a gap and in order, and no position
    /// passes what is not done.
    #[test]
    fn a_partition_is_handed_out_in_order(steps in steps()) {
        let mut play = Play {
            rig: rig(3),
            known: BTreeSet::new(),
            fetch: [(0, false); 3],
            expected: [0; 3],
            committed: [0; 3],
            out: Vec::new(),
        };
        for number in 0..3 {
            play.rig.assign(number);
        }
        for step in steps {
            match step {
                Step::Poll(number, schema) => play.poll(number, schema),
                Step::Known(schema) => drop(play.known.insert(schema)),
                Step::Finish(index) if !play.out.is_empty() => {
                    let handle = play.out.swap_remove(index.index(play.out.len()));
                    play.rig.finish(&handle, true);
                }
                Step::Finish(_) => {}
                Step::Move(number) => play.go(number),
            }
            play.turn();
        }
        // In the end nothing is left behind.
        play.known.extend(0..6);
        while !play.out.is_empty() || !play.rig.waiting().is_empty() {
            for handle in std::mem::take(&mut play.out) {
                play.rig.finish(&handle, true);
            }
            play.turn();
        }
        prop_assert_eq!(play.committed, play.expected);
        prop_assert_eq!(play.expected, play.fetch.map(|(offset, _)| offset));
    }
}
