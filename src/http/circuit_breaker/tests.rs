use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const A: RequesterId = RequesterId(1);
const B: RequesterId = RequesterId(2);
const C: RequesterId = RequesterId(3);

/// A breaker, with a clock that tests move. Jitter is at its longest.
struct Bench {
    breaker: CircuitBreaker,
    spacing: ProbeSpacing,
    now: Instant,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            breaker: CircuitBreaker::default(),
            spacing: ProbeSpacing::default(),
            now: Instant::now(),
        }
    }

    fn admit(&mut self, ticket: QueueTicket) -> CircuitAdmission {
        self.breaker.admit(ticket, self.now, &mut self.spacing, 1.0)
    }

    /// Joins and is let through.
    fn pass(&mut self) -> PassKind {
        let ticket = self.breaker.join();
        match self.admit(ticket) {
            CircuitAdmission::Send(pass) => pass,
            CircuitAdmission::Wait(wait) => panic!("waits for {wait:?}"),
        }
    }

    /// A request of `who` that fails ten milliseconds after it went out.
    fn fail(&mut self, who: RequesterId, pass: PassKind) -> FailureBlame {
        let sent = self.now;
        self.now += MS * 10;
        self.breaker.failed(who, pass, sent, self.now, 1.0)
    }

    fn succeed(&mut self, who: RequesterId, pass: PassKind) -> Option<Duration> {
        self.now += MS * 10;
        self.breaker.succeeded(who, pass, self.now)
    }

    /// One whose place has been away for a second.
    fn in_outage() -> Bench {
        let mut bench = Bench::new();
        let pass = bench.pass();
        assert_eq!(bench.fail(A, pass), FailureBlame::Place);
        bench.now += SECOND;
        bench
    }

    /// One whose place has just come back.
    fn after_outage() -> Bench {
        let mut bench = Bench::in_outage();
        let probe = bench.pass();
        let outage = bench.succeed(A, probe);
        assert!(outage.is_some_and(|time| time >= SECOND));
        bench
    }
}

#[test]
fn probes_come_soon_then_every_two_seconds_each_by_the_next_that_waits() {
    let mut bench = Bench::new();
    let pass = bench.pass();
    assert_eq!(pass, PassKind::Free);
    assert_eq!(bench.fail(A, pass), FailureBlame::Place);
    let mut tickets = [bench.breaker.join(), bench.breaker.join()];
    for pause in [250, 500, 1000, 2000, 2000, 2000] {
        let [first, second] = tickets;
        assert_eq!(bench.admit(second), CircuitAdmission::Wait(UNTIL_ANNOUNCED));
        let wait = bench.admit(first);
        let CircuitAdmission::Wait(wait) = wait else {
            panic!("{wait:?}");
        };
        assert!(wait <= MS * pause, "{wait:?} of {pause} ms");
        bench.now += wait;
        let CircuitAdmission::Send(probe @ PassKind::Probe(_)) = bench.admit(first) else {
            panic!("no probe goes out");
        };
        assert_eq!(bench.fail(A, probe), FailureBlame::Place);
        tickets = [second, bench.breaker.join()];
    }
}

#[test]
fn a_probe_that_is_not_answered_makes_way_for_the_next() {
    let mut bench = Bench::in_outage();
    let mut probe = bench.pass();
    for _ in 1..MAX_PROBES_IN_FLIGHT {
        bench.now += SECOND * 2;
        probe = bench.pass();
    }
    bench.now += SECOND * 60;
    let ticket = bench.breaker.join();
    assert_eq!(bench.admit(ticket), CircuitAdmission::Wait(UNTIL_ANNOUNCED));
    bench.breaker.released(probe);
    assert_eq!(bench.admit(ticket), CircuitAdmission::Send(probe));
}

#[test]
fn what_waits_goes_on_in_a_ramp() {
    let mut bench = Bench::after_outage();
    let mut under_way: VecDeque<PassKind> = VecDeque::new();
    let mut most = Vec::new();
    while !bench.breaker.is_closed() {
        loop {
            let ticket = bench.breaker.join();
            match bench.admit(ticket) {
                CircuitAdmission::Send(pass) => under_way.push_back(pass),
                CircuitAdmission::Wait(_) => {
                    bench.breaker.leave(ticket);
                    break;
                }
            }
        }
        most.push(under_way.len());
        let pass = under_way.pop_front().unwrap();
        assert_eq!(bench.succeed(B, pass), None);
    }
    assert_eq!(most, [2, 4, 8, 16, 32, 64]);
}

#[test]
fn late_answers_of_probes_do_not_end_a_ramp_at_once() {
    let mut bench = Bench::in_outage();
    let mut probes = Vec::new();
    for _ in 0..8 {
        bench.now += SECOND * 2;
        probes.push(bench.pass());
    }
    for probe in probes {
        bench.succeed(A, probe);
    }
    let (_, _) = (bench.pass(), bench.pass());
    let ticket = bench.breaker.join();
    assert_eq!(bench.admit(ticket), CircuitAdmission::Wait(RAMP_STEP_TIME));
}

#[test]
fn a_ramp_goes_on_without_answers_and_ends() {
    let mut bench = Bench::after_outage();
    let (_, _) = (bench.pass(), bench.pass());
    let ticket = bench.breaker.join();
    assert_eq!(bench.admit(ticket), CircuitAdmission::Wait(RAMP_STEP_TIME));
    bench.now += SECOND;
    assert!(matches!(bench.admit(ticket), CircuitAdmission::Send(_)));
    bench.now += SECOND * 5;
    bench.pass();
    assert!(bench.breaker.is_closed());
}

#[test]
fn a_place_that_fails_again_in_the_ramp_is_waited_for_again() {
    let mut bench = Bench::after_outage();
    let pass = bench.pass();
    assert_eq!(bench.fail(B, pass), FailureBlame::Place);
    assert!(bench.breaker.open_since().is_some());
}

#[test]
fn a_request_that_fails_while_others_succeed_has_a_fault_of_its_own() {
    let mut bench = Bench::new();
    // Another one is answered while this one is under way.
    let sent = bench.now;
    bench.succeed(B, PassKind::Free);
    bench.now += SECOND;
    let blame = bench
        .breaker
        .failed(A, PassKind::Free, sent, bench.now, 1.0);
    assert_eq!(blame, FailureBlame::Request);
    // Another one is answered between two failures.
    let pass = bench.pass();
    assert_eq!(bench.fail(C, pass), FailureBlame::Place);
    bench.now += SECOND;
    let pass = bench.pass();
    bench.succeed(B, pass);
    for _ in 0..5 {
        let pass = bench.pass();
        assert_eq!(bench.fail(C, pass), FailureBlame::Request);
        bench.succeed(B, pass);
    }
    // Its own success is the end of it.
    bench.now += SECOND * 10;
    let pass = bench.pass();
    bench.succeed(C, pass);
    let pass = bench.pass();
    assert_eq!(bench.fail(C, pass), FailureBlame::Place);
}

#[test]
fn what_was_sent_before_the_outage_changes_nothing_when_it_fails_late() {
    let mut bench = Bench::new();
    let before = bench.now;
    let pass = bench.pass();
    bench.fail(A, pass);
    bench.now += SECOND;
    let pass = bench.pass();
    bench.succeed(A, pass);
    bench.now += SECOND;
    let blame = bench
        .breaker
        .failed(B, PassKind::Free, before, bench.now, 1.0);
    assert_eq!(blame, FailureBlame::Request);
    assert!(bench.breaker.open_since().is_none());
}

#[test]
fn an_answer_to_what_was_sent_before_the_outage_does_not_end_it() {
    let mut bench = Bench::new();
    let (early, pass) = (bench.pass(), bench.pass());
    assert_eq!(bench.fail(A, pass), FailureBlame::Place);
    assert_eq!(bench.succeed(B, early), None);
    assert!(bench.breaker.open_since().is_some());
    bench.now += SECOND;
    let probe = bench.pass();
    assert!(bench.succeed(B, probe).is_some());
}

#[test]
fn an_outcome_of_a_probe_of_an_earlier_outage_is_not_taken_for_one_of_this() {
    let again = || {
        let mut bench = Bench::in_outage();
        let (slow, quick) = (bench.pass(), {
            bench.now += SECOND;
            bench.pass()
        });
        assert!(bench.succeed(A, quick).is_some());
        let pass = bench.pass();
        bench.now += SECOND;
        assert_eq!(bench.fail(B, pass), FailureBlame::Place);
        (bench, slow)
    };
    let (mut bench, slow) = again();
    assert_eq!(bench.succeed(C, slow), None);
    assert!(bench.breaker.open_since().is_some());

    // Nor does its end make room for one more.
    let (mut bench, slow) = again();
    for _ in 0..MAX_PROBES_IN_FLIGHT {
        bench.now += SECOND * 2;
        bench.pass();
    }
    bench.now += SECOND * 2;
    bench.breaker.released(slow);
    let ticket = bench.breaker.join();
    assert_eq!(bench.admit(ticket), CircuitAdmission::Wait(UNTIL_ANNOUNCED));
}

#[test]
fn kinds_of_requests_share_one_probe_a_second_in_a_long_outage() {
    let mut spacing = ProbeSpacing::default();
    let mut now = Instant::now();
    let mut breakers: [CircuitBreaker; 3] = Default::default();
    for breaker in &mut breakers {
        breaker.failed(A, PassKind::Free, now, now, 1.0);
    }
    let tickets: Vec<QueueTicket> = breakers.iter_mut().map(CircuitBreaker::join).collect();
    let mut tickets: Vec<QueueTicket> = tickets;
    let began = now;
    let mut late = 0;
    while now < began + SECOND * 70 {
        for (breaker, ticket) in breakers.iter_mut().zip(&mut tickets) {
            if let CircuitAdmission::Send(pass) = breaker.admit(*ticket, now, &mut spacing, 0.0) {
                late += u32::from(now >= began + SECOND * 10);
                breaker.failed(A, pass, now, now, 0.0);
                *ticket = breaker.join();
            }
        }
        now += MS * 10;
    }
    assert!((30..=61).contains(&late), "{late} probes in 60 s");
}

proptest! {
    /// Whatever happens, in whatever order: with an instance that answers, all that wait get through.
    #[test]
    fn nothing_waits_for_ever(events in prop::collection::vec((0_u8..5, 0_u64..4, 0_u64..3000), 0..80)) {
        let mut bench = Bench::new();
        let mut under_way: Vec<(PassKind, Instant)> = Vec::new();
        let mut waiting: VecDeque<QueueTicket> = VecDeque::new();
        for (what, who, wait) in events {
            bench.now += MS * u32::try_from(wait).unwrap();
            let who = RequesterId(who);
            match what {
                0 => waiting.push_back(bench.breaker.join()),
                1 => if let Some(ticket) = waiting.front().copied()
                    && let CircuitAdmission::Send(pass) = bench.admit(ticket) {
                    waiting.pop_front();
                    under_way.push((pass, bench.now));
                },
                2 => if let Some((pass, sent)) = under_way.pop() {
                    bench.breaker.failed(who, pass, sent, bench.now, 0.5);
                },
                3 => if let Some((pass, _)) = under_way.pop() {
                    bench.breaker.succeeded(who, pass, bench.now);
                },
                _ => if let Some(ticket) = waiting.pop_back() {
                    bench.breaker.leave(ticket);
                },
            }
        }
        // What is under way ends without a word; the rest is answered.
        for (pass, _) in under_way {
            bench.breaker.released(pass);
        }
        let (mut turns, end) = (0, waiting.len() * 10 + 10);
        while let Some(ticket) = waiting.front().copied() {
            match bench.admit(ticket) {
                CircuitAdmission::Send(pass) => {
                    waiting.pop_front();
                    bench.succeed(A, pass);
                }
                CircuitAdmission::Wait(wait) => {
                    prop_assert!(wait <= SECOND * 2, "the first waits for {wait:?}");
                    bench.now += wait;
                }
            }
            turns += 1;
            prop_assert!(turns < end);
        }
    }
}

/// Each failure at once behind an answer to another one is its own fault; the next ones must not be taken
/// for an outage, or they would hold up the others again and again.
#[test]
fn a_requester_that_always_fails_does_not_open_it_again_and_again() {
    let mut bench = Bench::new();
    assert_eq!(bench.fail(A, PassKind::Free), FailureBlame::Place);
    bench.now += SECOND;
    let pass = bench.pass();
    bench.succeed(B, pass);
    for _ in 0..20 {
        for _ in 0..3 {
            assert_eq!(bench.fail(A, PassKind::Free), FailureBlame::Request);
            bench.now += SECOND;
        }
        assert!(bench.breaker.open_since().is_none());
        bench.succeed(B, PassKind::Free);
    }
    // An outage that begins then is still seen, by another one at once and by this one soon.
    let mut alone = Bench::new();
    alone.succeed(B, PassKind::Free);
    let sent = alone.now - MS * 20;
    let first = alone
        .breaker
        .failed(A, PassKind::Free, sent, alone.now, 1.0);
    assert_eq!(first, FailureBlame::Request);
    alone.now += OWN_FAULT_MEMORY;
    assert_eq!(alone.fail(A, PassKind::Free), FailureBlame::Place);
    bench.now += MS;
    assert_eq!(bench.fail(C, PassKind::Free), FailureBlame::Place);
}
