//! Limits on a clock that is passed in.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_burst_and_then_even_spaces() {
    let mut bucket = TokenBucket::new(2.0);
    let start = bucket.epoch;
    let waits: Vec<u128> = (0..5)
        .map(|_| bucket.reserve(start, SECOND * 60).unwrap().as_millis())
        .collect();
    assert_eq!(waits, [0, 0, 500, 1000, 1500]);
    // After a long rest the burst is there again, and no more.
    let later = start + SECOND * 100;
    let waits: Vec<u128> = (0..3)
        .map(|_| bucket.reserve(later, SECOND * 60).unwrap().as_millis())
        .collect();
    assert_eq!(waits, [0, 0, 500]);
}

#[test]
fn a_slow_rate_has_a_burst_of_one_and_a_bound() {
    let mut bucket = TokenBucket::new(0.01);
    let start = bucket.epoch;
    assert_eq!(bucket.reserve(start, SECOND), Ok(Duration::ZERO));
    let too_long = bucket.reserve(start, SECOND).unwrap_err();
    assert_eq!(too_long.as_secs(), 100);
    // What was refused took no turn.
    let wait = bucket.reserve(start, SECOND * 200).unwrap();
    assert_eq!(wait.as_secs(), 100);
}

#[test]
fn the_gate_takes_the_longest_request() {
    let mut gate = RetryAfterGate::new();
    let now = Instant::now();
    gate.close(now, now, Some(SECOND * 3), 0.0);
    gate.close(now, now, Some(SECOND), 0.0);
    assert_eq!(gate.wait(now), SECOND * 3);
    assert_eq!(gate.wait(now + ms(2999)), ms(1));
    assert_eq!(gate.wait(now + SECOND * 3), Duration::ZERO);
}

#[test]
fn silent_429s_double_once_per_round() {
    let mut gate = RetryAfterGate::new();
    let start = Instant::now();
    gate.close(start, start + ms(10), None, 1.0);
    assert_eq!(gate.wait(start + ms(10)), SECOND);
    // In flight at the same time: the same pause.
    gate.close(start, start + ms(20), None, 1.0);
    assert_eq!(gate.wait(start + ms(10)), SECOND);
    let again = start + SECOND * 2;
    gate.close(again, again, None, 1.0);
    assert_eq!(gate.wait(again), SECOND * 2);
    // An answer to what was sent before the gate closed proves nothing.
    assert_eq!(gate.answered(start, again), None);
    gate.answered(again + ms(1), again + ms(1));
    let last = again + SECOND * 5;
    gate.close(last, last, None, 1.0);
    assert_eq!(gate.wait(last), SECOND);
}

#[test]
fn pauses_that_follow_each_other_begin_and_end_once() {
    let mut gate = RetryAfterGate::new();
    let start = Instant::now();
    let at = |seconds| start + SECOND * seconds;
    assert_eq!(gate.answered(start, start), None, "there was none");
    assert!(gate.close(start, start, Some(SECOND), 0.0));
    assert!(
        !gate.close(start, at(1), Some(SECOND * 5), 0.0),
        "in flight"
    );
    assert!(
        !gate.close(at(7), at(7), Some(SECOND), 0.0),
        "the next pause"
    );
    assert_eq!(gate.answered(at(2), at(8)), None, "sent before the pause");
    assert_eq!(gate.answered(at(8), at(9)), Some(SECOND * 9));
    assert_eq!(gate.answered(at(10), at(10)), None, "told already");
    assert!(gate.close(at(11), at(11), Some(SECOND), 0.0), "a new one");
}

#[test]
fn a_stop_ends_the_wait() {
    let (trigger, stop) = crate::stop::pair();
    let limits = RequestLimiter::new(None, crate::metrics::Metrics::new().rate_limit_wait.clone());
    limits.rate_limited(Instant::now(), Some(SECOND * 30));
    drop(trigger);
    let error = limits
        .enter(&AttemptedRequest::default(), &stop)
        .unwrap_err();
    assert!(matches!(error, Error::Stopped));
}
