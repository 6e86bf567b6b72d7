//! One new row, whatever becomes of the requests for it: an instance that carries each out at once,
//! later, or never, and of whose answers any may be lost.

use fastrand::Rng;

use super::*;

/// Sequences of requests, each named by its number, which is the seed of all that is random in it.
const SEQUENCES: u64 = 5_000;
/// No sequence needs more requests: seldom are more than some answers in a row lost.
const MAX_REQUESTS: usize = 200;
const DUPLICATE_ID: &str = "Operation Failed: Unique Key violation detected by database";

/// An instance with room for the rows of one record.
struct Instance {
    rng: Rng,
    /// When each create was carried out, or will be.
    creates: Vec<Instant>,
    /// It refuses a second row with the same identity, as it does for sys_id.
    refuses_second: bool,
}

impl Instance {
    fn has_row(&self, now: Instant) -> bool {
        self.creates.iter().any(|at| *at <= now)
    }

    fn reply(&mut self, request: &WriteRequest<'_>, now: Instant) -> Result<WriteReply, Error> {
        let lost = self.rng.u8(..3) == 0;
        let reply = match request {
            _ if self.rng.u8(..5) == 0 => Away,
            WriteRequest::Insert => self.create(now, lost),
            WriteRequest::LookUpRow(_) if self.has_row(now) => Reads,
            WriteRequest::LookUpRow(_) => Misses,
            WriteRequest::FindRows { .. } if self.has_row(now) => Finds(&[(ID, "abc")]),
            WriteRequest::FindRows { .. } => Finds(&[]),
            WriteRequest::Probe => Reads,
            // A row that others may mean too is brought to what the record says.
            WriteRequest::Update { .. } => Done(ID),
            other => panic!("a new row needs no {other:?}"),
        };
        result(if lost { Silent } else { reply }, now)
    }

    /// Of a create whose answer is lost the instance may not know, or it may still be at work on it.
    fn create(&mut self, now: Instant, lost: bool) -> ScriptedReply {
        if self.refuses_second && self.has_row(now) {
            return Forbids(DUPLICATE_ID);
        }
        match (lost, self.rng.u8(..3)) {
            (true, 0) => {}
            (true, 1) => {
                let late = Duration::from_secs(self.rng.u64(..=TRANSACTION.as_secs()));
                self.creates.push(now + late);
            }
            _ => self.creates.push(now),
        }
        if self.refuses_second {
            // Of several with the same identity only the first is carried out.
            self.creates = self.creates.iter().min().copied().into_iter().collect();
        }
        Done(ID)
    }
}

#[test]
fn a_row_is_created_once_and_none_is_asked_for_after_a_good_answer() {
    let mut looked = 0;
    for seed in 0..SEQUENCES {
        let mut rng = Rng::with_seed(seed);
        let (create, refuses_second) = match rng.u8(..3) {
            0 => (of_record(), true),
            1 => (of_key(), true),
            _ => (in_field(), false),
        };
        let case = insert(create).with(|case| case.limits.record = SECOND * 6_000);
        let start = Instant::now();
        let mut now = start;
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let budget = RetryBudget::new(case.limits, backoff, now, 0);
        let mut machine = WriteMachine::new(&case.op, &case.rules, PriorAttempt::None, budget, now);
        let others = IndeterminateWrites::default();
        let mut instance = Instance {
            rng,
            creates: Vec::new(),
            refuses_second,
        };
        let mut was_confirmed = false;
        let mut requests = 0;
        let outcome = loop {
            match machine.next(now, &others) {
                WriteStep::Wait(time) => now += time,
                WriteStep::Done(outcome) => break outcome,
                WriteStep::Send(request) => {
                    assert!(!was_confirmed, "{seed}: {request:?} after a good answer");
                    requests += 1;
                    assert!(requests < MAX_REQUESTS, "{seed}: comes to no end");
                    let is_insert = matches!(request, WriteRequest::Insert);
                    looked += u64::from(!is_insert);
                    let reply = instance.reply(&request, now);
                    was_confirmed = is_insert && reply.is_ok();
                    let inputs = ReplyInputs {
                        now,
                        successes: requests as u64,
                        random: 0.5,
                        ids_ignored: false,
                    };
                    machine.replied(reply, inputs);
                }
            }
        };
        match outcome {
            WriteOutcome::Written(..) => assert_eq!(instance.creates.len(), 1, "{seed}"),
            other => panic!("{seed}: {other:?}"),
        }
    }
    assert!(looked > SEQUENCES / 10, "only {looked} look-ups");
}
