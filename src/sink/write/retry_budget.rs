//! How long a record is tried.
//!
//! Trouble of the instance is waited out; a record that fails while the instance works for others is
//! given up sooner, so that it does not hold its lane. Which of the two it is shows in the pulse,
//! the count of the instance's good answers to anybody. Where nobody else asks, a probe does.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// Failures in a row without a pulse after which a probe asks whether the instance works.
const FAILURES_BEFORE_PROBE: u32 = 3;
/// Failures of its own that a record has at least.
const MIN_RECORD_FAILURES: u32 = 5;

/// The limits, from the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryLimits {
    /// For trouble of the instance; `None` is without end.
    pub(super) instance: Option<Duration>,
    /// For trouble of the record.
    pub(super) record: Duration,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryVerdict {
    /// Try again after this time.
    Wait(Duration),
    /// Ask whether the instance works, then try again after this time.
    Probe(Duration),
    /// It was long enough.
    GiveUp,
}

/// The failures of one record.
#[derive(Debug)]
pub(super) struct RetryBudget {
    limits: RetryLimits,
    backoff: Backoff,
    /// When the failures began, less the time that the instance asked for.
    first: Option<Instant>,
    /// The same, of those that may be the record's own: since the last sign that the instance
    /// itself is in trouble.
    own: Option<(Instant, u32)>,
    /// The pulse at the last failure.
    mark: u64,
    silent: u32,
    /// The last event.
    last: Instant,
}

impl RetryBudget {
    pub(super) fn new(
        limits: RetryLimits,
        backoff: Backoff,
        now: Instant,
        pulse: u64,
    ) -> RetryBudget {
        RetryBudget {
            limits,
            backoff,
            first: None,
            own: None,
            mark: pulse,
            silent: 0,
            last: now,
        }
    }

    /// When the failures began.
    pub(super) fn since(&self, now: Instant) -> Instant {
        self.first.unwrap_or(now)
    }

    /// An attempt failed. `of_instance`: it would have failed for every record. `random` is in
    /// `0.0..1.0`.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        pulse: u64,
        of_instance: bool,
        random: f64,
    ) -> RetryVerdict {
        self.last = now;
        self.first.get_or_insert(now);
        let delay = self.backoff.next(random);
        let moved = pulse != self.mark;
        self.mark = pulse;
        if of_instance {
            self.own = None;
            return self.unless_over(now, delay);
        }
        let (_, count) = self.own.get_or_insert((now, 0));
        *count = count.saturating_add(1);
        if moved {
            self.silent = 0;
            return self.unless_own_is_over(now, delay);
        }
        self.silent = self.silent.saturating_add(1);
        if self.silent >= FAILURES_BEFORE_PROBE {
            return RetryVerdict::Probe(delay);
        }
        self.unless_over(now, delay)
    }

    /// The probe was answered, or not; `None`: it told nothing. `delay` is the probe's verdict's.
    pub(super) fn probed(
        &mut self,
        now: Instant,
        pulse: u64,
        works: Option<bool>,
        delay: Duration,
    ) -> RetryVerdict {
        self.last = now;
        self.mark = pulse;
        match works {
            Some(true) => {
                self.silent = 0;
                self.unless_own_is_over(now, delay)
            }
            Some(false) => {
                self.own = None;
                self.unless_over(now, delay)
            }
            None => RetryVerdict::Wait(delay),
        }
    }

    /// The instance asked for a pause: the time until now does not count.
    pub(super) fn held(&mut self, now: Instant) {
        let gone = now.saturating_duration_since(self.last);
        self.last = now;
        self.first = self.first.map(|first| first + gone);
        self.own = self.own.map(|(since, count)| (since + gone, count));
    }

    fn unless_over(&self, now: Instant, delay: Duration) -> RetryVerdict {
        let gone = now.saturating_duration_since(self.since(now));
        match self.limits.instance {
            Some(limit) if limit <= gone => RetryVerdict::GiveUp,
            _ => RetryVerdict::Wait(delay),
        }
    }

    fn unless_own_is_over(&self, now: Instant, delay: Duration) -> RetryVerdict {
        match self.own {
            Some((since, count))
                if MIN_RECORD_FAILURES <= count
                    && self.limits.record <= now.saturating_duration_since(since) =>
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
        patience: RetryBudget,
        now: Instant,
        pulse: u64,
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
            patience: RetryBudget::new(limits, backoff, now, 0),
            now,
            pulse: 0,
        }
    }

    impl Bench {
        /// A failure three seconds later, while others had `answers`.
        fn fail(&mut self, answers: u64) -> RetryVerdict {
            self.now += SECOND * 3;
            self.pulse += answers;
            self.patience.failed(self.now, self.pulse, false, 1.0)
        }

        fn probe(&mut self, works: bool) -> RetryVerdict {
            self.pulse += u64::from(works);
            self.patience
                .probed(self.now, self.pulse, Some(works), SECOND)
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
        while bench.now < bench.patience.since(bench.now) + SECOND * 3590 {
            assert_eq!(bench.fail(0), PROBE);
            assert_eq!(bench.probe(false), WAIT);
        }
        for _ in 0..3 {
            bench.fail(0);
        }
        assert_eq!(bench.probe(false), RetryVerdict::GiveUp);
        bench.patience.limits.instance = None;
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
    fn what_fails_for_all_is_never_the_records() {
        let mut bench = bench();
        for _ in 0..100 {
            bench.now += SECOND;
            bench.pulse += 1;
            let verdict = bench.patience.failed(bench.now, bench.pulse, true, 1.0);
            assert_eq!(verdict, WAIT);
        }
    }

    #[test]
    fn what_fails_for_all_begins_anew() {
        let mut bench = bench();
        for _ in 0..4 {
            assert_eq!(bench.fail(1), WAIT);
        }
        bench.patience.failed(bench.now, bench.pulse, true, 1.0);
        for _ in 0..4 {
            assert_eq!(bench.fail(1), WAIT);
        }
        assert_eq!(bench.fail(1), RetryVerdict::GiveUp);
    }

    #[test]
    fn a_pause_that_was_asked_for_costs_nothing() {
        let mut bench = bench();
        bench.patience.limits.instance = Some(SECOND * 10);
        assert_eq!(bench.fail(0), WAIT);
        for _ in 0..100 {
            bench.now += SECOND * 60;
            bench.patience.held(bench.now);
        }
        assert_eq!(bench.fail(0), WAIT);
        assert_eq!(bench.fail(1), WAIT);
        bench.pulse += 1;
        assert_eq!(bench.fail(1), WAIT);
        assert_eq!(bench.fail(1), RetryVerdict::GiveUp);
    }
}
