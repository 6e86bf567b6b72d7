//! How long a record is tried.
//!
//! An outage of the instance is waited out for as long as `retry_for` says; a record that fails while
//! the instance works for others is given up after `record_retry_for`, so that it does not hold up the
//! records behind it. Which of the two it is shows in the count of the instance's good answers to any
//! record of the sink: it grows while the instance works. Where no other record is being written, a
//! probe asks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// Failures in a row, without a good answer to any record in between, after which a probe asks
/// whether the instance works.
const FAILURES_BEFORE_PROBE: u32 = 3;
/// A record is not given up for its own sake before it has failed this often.
const MIN_RECORD_FAILURES: u32 = 5;

/// Counts the good answers of an instance to all records of the sink.
#[derive(Debug, Default)]
pub struct SuccessCounter(AtomicU64);

impl SuccessCounter {
    /// The instance gave a good answer.
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Good answers so far.
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The limits, from the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryLimits {
    /// `retry_for`: how long an outage of the instance is waited out; `None` is without end.
    pub(super) instance: Option<Duration>,
    /// `record_retry_for`: how long a record is tried that fails while the instance works.
    pub(super) record: Duration,
}

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureScope {
    /// Every request would have failed in this way.
    Instance,
    /// It may be this record alone.
    PerhapsRecord,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryVerdict {
    /// Try again after this time.
    Wait(Duration),
    /// Ask whether the instance works, then try again after this time.
    Probe(Duration),
    /// The record has been tried for long enough.
    GiveUp,
}

/// The failures of one record.
#[derive(Debug)]
pub(super) struct RetryBudget {
    limits: RetryLimits,
    backoff: Backoff,
    /// When the failures began, moved on by the pauses that the instance asked for.
    first_failure: Option<Instant>,
    /// The failures since the last sign that the instance itself is down.
    record_failures: Option<RecordFailures>,
    /// The instance's good answers at the last failure.
    successes: u64,
    /// Failures in a row without a good answer to any record in between.
    without_success: u32,
    last_event: Instant,
}

/// Failures that may be the record's own.
#[derive(Debug, Clone, Copy)]
struct RecordFailures {
    /// When they began, moved on by the pauses that the instance asked for.
    since: Instant,
    count: u32,
}

impl RetryBudget {
    /// For a record that is tried from `now` on, when the instance has given so many good answers.
    pub(super) fn new(
        limits: RetryLimits,
        backoff: Backoff,
        now: Instant,
        successes: u64,
    ) -> RetryBudget {
        RetryBudget {
            limits,
            backoff,
            first_failure: None,
            record_failures: None,
            successes,
            without_success: 0,
            last_event: now,
        }
    }

    /// When the failures began: `now` if there was none.
    pub(super) fn since(&self, now: Instant) -> Instant {
        self.first_failure.unwrap_or(now)
    }

    /// An attempt failed. `successes`: the instance's good answers so far. `random`: for the jitter,
    /// in `0.0..1.0`.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        successes: u64,
        scope: FailureScope,
        random: f64,
    ) -> RetryVerdict {
        self.last_event = now;
        self.first_failure.get_or_insert(now);
        let delay = self.backoff.next(random);
        let others_succeed = successes != self.successes;
        self.successes = successes;
        if scope == FailureScope::Instance {
            self.record_failures = None;
            return self.unless_instance_limit(now, delay);
        }
        let none = RecordFailures {
            since: now,
            count: 0,
        };
        let failures = self.record_failures.get_or_insert(none);
        failures.count = failures.count.saturating_add(1);
        if others_succeed {
            self.without_success = 0;
            return self.unless_record_limit(now, delay);
        }
        self.without_success = self.without_success.saturating_add(1);
        if self.without_success >= FAILURES_BEFORE_PROBE {
            return RetryVerdict::Probe(delay);
        }
        self.unless_instance_limit(now, delay)
    }

    /// A probe has shown whether the instance works; `None`: it has not. `delay`: the pause that came
    /// with [`RetryVerdict::Probe`].
    pub(super) fn probed(
        &mut self,
        now: Instant,
        successes: u64,
        works: Option<bool>,
        delay: Duration,
    ) -> RetryVerdict {
        self.last_event = now;
        self.successes = successes;
        match works {
            Some(true) => {
                self.without_success = 0;
                self.unless_record_limit(now, delay)
            }
            Some(false) => {
                self.record_failures = None;
                self.unless_instance_limit(now, delay)
            }
            None => RetryVerdict::Wait(delay),
        }
    }

    /// The instance is away, for all. That is no failure of the record, but time that `retry_for` limits; the
    /// pause after the next failure is a short one again. What the record has failed by itself stays: a
    /// record that always fails may be the only one that is tried for a while.
    pub(super) fn away(&mut self, now: Instant) -> RetryVerdict {
        if let Some(failures) = &mut self.record_failures {
            failures.since += now.saturating_duration_since(self.last_event);
        }
        self.last_event = now;
        self.backoff.reset();
        self.first_failure.get_or_insert(now);
        self.unless_instance_limit(now, Duration::ZERO)
    }

    /// The instance words a failure, and no other request has been answered since: as
    /// [`RetryBudget::failed`], without a pause.
    pub(super) fn suspected(&mut self, now: Instant, successes: u64, random: f64) -> RetryVerdict {
        let verdict = self.failed(now, successes, FailureScope::PerhapsRecord, random);
        self.backoff.reset();
        match verdict {
            RetryVerdict::Wait(_) => RetryVerdict::Wait(Duration::ZERO),
            RetryVerdict::Probe(_) => RetryVerdict::Probe(Duration::ZERO),
            RetryVerdict::GiveUp => RetryVerdict::GiveUp,
        }
    }

    /// The instance asked for a pause: the time since the last event does not count.
    pub(super) fn held(&mut self, now: Instant) {
        let pause = now.saturating_duration_since(self.last_event);
        self.last_event = now;
        self.first_failure = self.first_failure.map(|first| first + pause);
        if let Some(failures) = &mut self.record_failures {
            failures.since += pause;
        }
    }

    fn unless_instance_limit(&self, now: Instant, delay: Duration) -> RetryVerdict {
        let failing = now.saturating_duration_since(self.since(now));
        match self.limits.instance {
            Some(limit) if failing >= limit => RetryVerdict::GiveUp,
            _ => RetryVerdict::Wait(delay),
        }
    }

    fn unless_record_limit(&self, now: Instant, delay: Duration) -> RetryVerdict {
        match self.record_failures {
            Some(RecordFailures { since, count })
                if count >= MIN_RECORD_FAILURES
                    && now.saturating_duration_since(since) >= self.limits.record =>
            {
                RetryVerdict::GiveUp
            }
            _ => RetryVerdict::Wait(delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Bench {
        budget: RetryBudget,
        now: Instant,
        successes: u64,
    }

    /// The instance gets an hour, a record ten seconds.
    fn bench() -> Bench {
        let now = Instant::now();
        let limits = RetryLimits {
            instance: Some(SECOND * 3600),
            record: SECOND * 10,
        };
        let backoff = Backoff::new(SECOND, SECOND);
        Bench {
            budget: RetryBudget::new(limits, backoff, now, 0),
            now,
            successes: 0,
        }
    }

    impl Bench {
        /// A failure three seconds later, while others had `answers`.
        fn fail(&mut self, answers: u64) -> RetryVerdict {
            self.now += SECOND * 3;
            self.successes += answers;
            self.budget
                .failed(self.now, self.successes, FailureScope::PerhapsRecord, 1.0)
        }

        fn probe(&mut self, works: bool) -> RetryVerdict {
            self.successes += u64::from(works);
            self.budget
                .probed(self.now, self.successes, Some(works), SECOND)
        }
    }

    const WAIT: RetryVerdict = RetryVerdict::Wait(SECOND);
    const PROBE: RetryVerdict = RetryVerdict::Probe(SECOND);

    #[test]
    fn a_record_that_fails_alone_is_given_up() {
        let mut bench = bench();
        // Twelve seconds after the first one, with five attempts.
        let verdicts = [(); 5].map(|()| bench.fail(1));
        assert_eq!(verdicts, [WAIT, WAIT, WAIT, WAIT, RetryVerdict::GiveUp]);
    }

    #[test]
    fn a_record_has_five_attempts_however_long_they_take() {
        let mut bench = bench();
        for _ in 0..4 {
            bench.now += SECOND * 100;
            assert_eq!(bench.fail(1), WAIT);
        }
        assert_eq!(bench.fail(1), RetryVerdict::GiveUp);
    }

    #[test]
    fn trouble_of_all_is_waited_out() {
        let mut bench = bench();
        for verdict in [WAIT, WAIT, PROBE] {
            assert_eq!(bench.fail(0), verdict);
        }
        assert_eq!(bench.probe(false), WAIT);
        while bench.now < bench.budget.since(bench.now) + SECOND * 3590 {
            assert_eq!(bench.fail(0), PROBE);
            assert_eq!(bench.probe(false), WAIT);
        }
        for _ in 0..3 {
            bench.fail(0);
        }
        assert_eq!(bench.probe(false), RetryVerdict::GiveUp);
        bench.budget.limits.instance = None;
        assert_eq!(bench.probe(false), WAIT);
    }

    #[test]
    fn a_probe_stands_for_others() {
        let mut bench = bench();
        let mut failures = 0;
        loop {
            failures += 1;
            match bench.fail(0) {
                RetryVerdict::Wait(_) => {}
                RetryVerdict::Probe(_) => {
                    if bench.probe(true) == RetryVerdict::GiveUp {
                        break;
                    }
                }
                RetryVerdict::GiveUp => panic!("without a probe"),
            }
        }
        assert_eq!(failures, 6);
    }

    #[test]
    fn an_outage_is_not_held_against_a_record() {
        let mut bench = bench();
        for _ in 0..3 {
            bench.fail(0);
        }
        bench.probe(false);
        for _ in 0..20 {
            bench.fail(0);
            bench.probe(false);
        }
        // It is over, for the others.
        for _ in 0..4 {
            assert_eq!(bench.fail(1), WAIT);
        }
        assert_eq!(bench.fail(1), RetryVerdict::GiveUp);
    }

    #[test]
    fn what_a_record_fails_by_itself_counts_across_outages() {
        let mut bench = bench();
        for _ in 0..4 {
            assert_eq!(bench.fail(1), WAIT);
            for _ in 0..100 {
                bench.now += SECOND * 2;
                assert_eq!(
                    bench.budget.away(bench.now),
                    RetryVerdict::Wait(Duration::ZERO)
                );
            }
        }
        assert_eq!(bench.fail(1), RetryVerdict::GiveUp);
        // The time of the outages alone gives no record up.
        let mut bench = self::bench();
        bench.budget.limits.record = SECOND * 20;
        for _ in 0..5 {
            assert_eq!(bench.fail(1), WAIT);
            bench.now += SECOND * 100;
            bench.budget.away(bench.now);
        }
    }

    #[test]
    fn what_fails_for_all_is_never_the_records() {
        let mut bench = bench();
        for _ in 0..100 {
            bench.now += SECOND;
            bench.successes += 1;
            let verdict =
                bench
                    .budget
                    .failed(bench.now, bench.successes, FailureScope::Instance, 1.0);
            assert_eq!(verdict, WAIT);
        }
    }

    #[test]
    fn what_fails_for_all_begins_anew() {
        let mut bench = bench();
        for _ in 0..4 {
            assert_eq!(bench.fail(1), WAIT);
        }
        bench
            .budget
            .failed(bench.now, bench.successes, FailureScope::Instance, 1.0);
        for _ in 0..4 {
            assert_eq!(bench.fail(1), WAIT);
        }
        assert_eq!(bench.fail(1), RetryVerdict::GiveUp);
    }

    #[test]
    fn after_an_outage_pauses_begin_anew() {
        let mut bench = bench();
        bench.budget.backoff = Backoff::new(SECOND, SECOND * 300);
        bench.budget.limits.record = SECOND * 3600;
        for seconds in [1, 2, 4] {
            assert_eq!(bench.fail(1), RetryVerdict::Wait(SECOND * seconds));
        }
        for _ in 0..20 {
            bench.now += SECOND * 2;
            assert_eq!(
                bench.budget.away(bench.now),
                RetryVerdict::Wait(Duration::ZERO)
            );
        }
        assert_eq!(bench.fail(1), WAIT);
        let suspected = bench.budget.suspected(bench.now, bench.successes, 1.0);
        assert_eq!(suspected, RetryVerdict::Wait(Duration::ZERO));
        assert_eq!(bench.fail(1), WAIT);
    }

    #[test]
    fn a_pause_that_was_asked_for_costs_nothing() {
        let mut bench = bench();
        bench.budget.limits.instance = Some(SECOND * 10);
        assert_eq!(bench.fail(0), WAIT);
        for _ in 0..100 {
            bench.now += SECOND * 60;
            bench.budget.held(bench.now);
        }
        assert_eq!(bench.fail(0), WAIT);
        assert_eq!(bench.fail(1), WAIT);
        bench.successes += 1;
        assert_eq!(bench.fail(1), WAIT);
        assert_eq!(bench.fail(1), RetryVerdict::GiveUp);
    }
}
