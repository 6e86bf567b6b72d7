//! Token times, without a clock.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn granted(access: &str, expires_in: u64) -> TokenGrant {
    TokenGrant {
        access: Zeroizing::new(access.to_owned()),
        expires_in: Some(expires_in),
    }
}

#[test]
fn margins() {
    assert_eq!(margin(SECOND * 1800), SECOND * 60);
    assert_eq!(margin(SECOND * 600), SECOND * 60);
    assert_eq!(margin(SECOND * 100), SECOND * 10);
    assert_eq!(margin(SECOND * 5), Duration::from_millis(500));
    assert_eq!(life(None, false), DEFAULT_TOKEN_LIFETIME);
    assert_eq!(life(Some(0), false), DEFAULT_TOKEN_LIFETIME);
    assert_eq!(life(Some(0), true), Duration::ZERO);
    assert_eq!(life(Some(u64::MAX), false), MAX_TOKEN_LIFETIME);
}

#[test]
fn a_token_is_renewed_before_its_end() {
    let start = Instant::now();
    let mut schedule = RefreshSchedule::new(start);
    assert_eq!(schedule.due(), start);
    assert_eq!(schedule.usable(start), None);
    assert_eq!(
        schedule.granted(granted("a", 1800), start),
        GrantOutcome::Usable
    );
    assert_eq!(schedule.usable(start), Some(1));
    let due = schedule.due();
    assert_eq!(due, start + SECOND * 1740);
    assert_eq!(schedule.granted(granted("b", 5), due), GrantOutcome::Usable);
    assert_eq!(schedule.due(), due + Duration::from_millis(4500));
    assert_eq!(schedule.usable(due + SECOND * 4), Some(2));
    assert_eq!(schedule.usable(due + SECOND * 5), None);
}

#[test]
fn a_token_that_counts_down_is_asked_for_again_after_its_end() {
    let start = Instant::now();
    let mut schedule = RefreshSchedule::new(start);
    schedule.granted(granted("a", 1800), start);
    let due = schedule.due();
    schedule.granted(granted("a", 60), due);
    assert_eq!(schedule.usable(due + SECOND * 59), Some(2));
    let mut now = schedule.due();
    assert_eq!(now, due + SECOND * 60 + EXPIRY_ROUNDING);
    // The instance is late: the waits grow, there is no loop.
    let mut waits = Vec::new();
    for _ in 0..8 {
        schedule.granted(granted("a", 0), now);
        waits.push((schedule.due() - now).as_millis());
        now = schedule.due();
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    // If its end never comes it must be good.
    assert!(schedule.usable(now - SECOND).is_some());
    schedule.granted(granted("b", 1800), now);
    assert_eq!(schedule.due(), now + SECOND * 1740);
}

#[test]
fn many_refusals_of_one_token_are_one_renewal() {
    let start = Instant::now();
    let mut schedule = RefreshSchedule::new(start);
    schedule.granted(granted("a", 1800), start);
    let now = start + SECOND * 100;
    assert!(schedule.refuse(1, now));
    for _ in 0..20 {
        assert!(!schedule.refuse(1, now));
    }
    assert_eq!(schedule.usable(now), None);
    assert_eq!(schedule.due(), now);
    schedule.granted(granted("b", 1800), now);
    // Late news about the old token.
    assert!(!schedule.refuse(1, now));
    assert_eq!(schedule.usable(now), Some(2));
}

#[test]
fn renewals_without_a_good_answer_in_between_are_spaced() {
    let start = Instant::now();
    let mut schedule = RefreshSchedule::new(start);
    let mut now = start;
    let mut waits = Vec::new();
    for generation in 1..=12 {
        schedule.granted(granted(&format!("t{generation}"), 1800), now);
        schedule.refuse(generation, now);
        waits.push((schedule.due() - now).as_secs());
        now = schedule.due();
    }
    assert_eq!(waits, [0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    schedule.granted(granted("good", 1800), now);
    schedule.proven(13);
    schedule.refuse(13, now);
    assert_eq!(schedule.due(), now);
}

#[test]
fn a_refused_token_that_is_repeated_waits() {
    let start = Instant::now();
    let mut schedule = RefreshSchedule::new(start);
    schedule.granted(granted("a", 1800), start);
    let now = start + SECOND * 10;
    schedule.refuse(1, now);
    assert_eq!(
        schedule.granted(granted("a", 1700), now),
        GrantOutcome::SameAsRefused
    );
    assert_eq!(schedule.usable(now), None);
    let later = schedule.due();
    assert_eq!(later, now + SECOND * 2);
    // The second time it is tried: the refusal may have passed.
    assert_eq!(
        schedule.granted(granted("a", 1698), later),
        GrantOutcome::Usable
    );
    assert_eq!(schedule.usable(later), Some(2));
}

#[test]
fn failures_back_off_and_refusals_more_slowly() {
    let start = Instant::now();
    let mut schedule = RefreshSchedule::new(start);
    let mut wait = |trouble| {
        schedule.failed(trouble, start, 0.0);
        (schedule.due() - start).as_millis()
    };
    let broken: Vec<u128> = (0..4).map(|_| wait(TokenFailure::Broken)).collect();
    assert_eq!(broken, [500, 1000, 2000, 4000]);
    let refused: Vec<u128> = (0..8).map(|_| wait(TokenFailure::Refused)).collect();
    assert_eq!(
        refused,
        [
            5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000
        ]
    );
    assert_eq!(wait(TokenFailure::Pause(SECOND * 7)), 7000);
}

#[test]
fn nobody_shortens_a_wait_by_refusing() {
    let start = Instant::now();
    let mut schedule = RefreshSchedule::new(start);
    schedule.granted(granted("a", 1800), start);
    let due = schedule.due();
    schedule.failed(TokenFailure::Refused, due, 0.0);
    // The old token is still good for a minute; then it is refused.
    assert_eq!(schedule.usable(due), Some(1));
    schedule.refuse(1, due + SECOND);
    assert_eq!(schedule.due(), due + SECOND * 5);
}
