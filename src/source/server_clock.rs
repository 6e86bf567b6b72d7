//! The instance's clock, as far as the `Date` headers of its answers tell it.
//!
//! A `Date` header gives whole seconds (RFC 9110, section 5.6.7): when it arrives, the clock reads
//! `[date, date + 1)` or more. Several answers narrow that range down. From an accepted reading on,
//! time runs by the monotonic clock of this host. Behind one address stand several nodes whose clocks
//! differ; a node that lags a little pulls the reading down, because rows that it stamps from now on
//! must not fall behind the cursor. A reading that is far off is doubted until others agree with it:
//! a single wrong header, of a proxy for instance, must not stop the reading of all tables.

use std::time::{Duration, Instant};

/// A reading that no answer has agreed with for this long gives way to the next answer, also to one that
/// says that it is a little later: the instance's clock was set forward.
const CLOCK_READING_MAX_AGE: Duration = Duration::from_secs(60);
/// A reading that leaves a gap of so many seconds to what is known, or more, is doubted.
const MAX_CLOCK_STEP_SECONDS: f64 = 2.0;
/// So many doubted readings that agree with each other are believed.
const READINGS_UNTIL_BELIEVED: u32 = 3;
/// Doubted readings that say that it is much later are believed only when no answer has agreed with a
/// good reading for this long: nodes whose clocks are ahead of others may answer a few times in a row.
const CLOCK_FORWARD_MIN_AGE: Duration = Duration::from_secs(10);

/// The instance's time, of which the lower bound counts: a second that may still be open is not read.
#[derive(Debug, Clone, Default)]
pub struct ServerClock {
    reading: Option<ClockReading>,
    /// Readings that are far from `reading` and agree with each other.
    doubted: Option<ClockReading>,
}

/// What became of a `Date` header.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClockObservation {
    /// It fits what is known, or is taken for a small difference between nodes.
    Accepted,
    /// It is off by so many seconds and stays without effect; negative: behind.
    Doubted(f64),
    /// Enough headers agree that the clock is off by so many seconds; negative: behind.
    Stepped(f64),
}

#[derive(Debug, Clone, Copy)]
struct ClockReading {
    /// At `at` the server's time was at least `low` and below `high`, in seconds since 1970.
    low: f64,
    high: f64,
    at: Instant,
    /// When an answer last agreed with this reading.
    agreed: Instant,
    /// How many answers agreed with it, the first one included.
    answers: u32,
}

impl ClockReading {
    /// What it says at `now`: the bounds of the server's time.
    fn bounds(&self, now: Instant) -> (f64, f64) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.low + passed, self.high + passed)
    }

    /// Seconds between what it says and what `fresh` says; negative: `fresh` is behind. Zero where
    /// both may be true.
    fn distance_to(&self, fresh: &ClockReading) -> f64 {
        let (low, high) = self.bounds(fresh.at);
        if fresh.low >= high {
            fresh.low - high
        } else {
            (fresh.high - low).min(0.0)
        }
    }

    fn agrees_with(&self, fresh: &ClockReading) -> bool {
        let (low, high) = self.bounds(fresh.at);
        low.max(fresh.low) < high.min(fresh.high)
    }

    /// Both are true.
    fn narrowed_by(&self, fresh: ClockReading) -> ClockReading {
        let (low, high) = self.bounds(fresh.at);
        ClockReading {
            low: low.max(fresh.low),
            high: high.min(fresh.high),
            answers: self.answers.saturating_add(1),
            ..fresh
        }
    }
}

impl ServerClock {
    /// Takes in a `Date` header (seconds since 1970) that arrived at `now`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 fit a double to the microsecond"
    )]
    pub fn observe(&mut self, date: i64, now: Instant) -> ClockObservation {
        let fresh = ClockReading {
            low: date as f64,
            high: date as f64 + 1.0,
            at: now,
            agreed: now,
            answers: 1,
        };
        let Some(known) = self.reading else {
            self.reading = Some(fresh);
            return ClockObservation::Accepted;
        };
        if known.agrees_with(&fresh) {
            self.reading = Some(known.narrowed_by(fresh));
            // A node that lags answers in turn with the others; one that is ahead is not waited for.
            self.doubted = self.doubted.filter(|it| known.distance_to(it) < 0.0);
            return ClockObservation::Accepted;
        }
        let distance = known.distance_to(&fresh);
        if distance.abs() >= MAX_CLOCK_STEP_SECONDS {
            return self.doubt(known, fresh, distance);
        }
        let is_outdated = now.saturating_duration_since(known.agreed) > CLOCK_READING_MAX_AGE;
        if distance < 0.0 || is_outdated {
            self.reading = Some(fresh);
        }
        ClockObservation::Accepted
    }

    /// A reading that is far off: believed when enough of them agree with each other.
    fn doubt(
        &mut self,
        known: ClockReading,
        fresh: ClockReading,
        distance: f64,
    ) -> ClockObservation {
        let doubted = match self.doubted {
            Some(doubted) if doubted.agrees_with(&fresh) => doubted.narrowed_by(fresh),
            _ => fresh,
        };
        let good_for = fresh.at.saturating_duration_since(known.agreed);
        let is_due = distance < 0.0
            || known.answers < READINGS_UNTIL_BELIEVED
            || good_for > CLOCK_FORWARD_MIN_AGE;
        if doubted.answers >= READINGS_UNTIL_BELIEVED && is_due {
            self.reading = Some(doubted);
            self.doubted = None;
            return ClockObservation::Stepped(distance);
        }
        self.doubted = Some(doubted);
        ClockObservation::Doubted(distance)
    }

    /// The last second that is over on the instance at `now`, since 1970 UTC; `None` before the first
    /// answer.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "floored seconds since 1970 fit an i64"
    )]
    pub fn closed_second(&self, now: Instant) -> Option<i64> {
        let (low, _) = self.reading?.bounds(now);
        Some(low.floor() as i64 - 1)
    }

    /// How many seconds a clock that reads `time` (seconds since 1970) at `now` is ahead of the
    /// instance's; negative: behind. Zero where the two may agree, `None` before the first answer.
    pub fn lead_of(&self, time: f64, now: Instant) -> Option<f64> {
        let (low, high) = self.reading?.bounds(now);
        Some(if time >= high {
            time - high
        } else {
            (time - low).min(0.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "small whole seconds")]
    fn it_never_runs_ahead_of_the_server_and_comes_close() {
        let start = Instant::now();
        let mut clock = ServerClock::default();
        assert_eq!(clock.closed_second(start), None);
        // The server's clock is 1000.7 at the start.
        for step in 0..50 {
            let local = f64::from(step) * 0.3;
            let server = 1000.7 + local;
            clock.observe(server.floor() as i64, at(start, local));
            assert!(clock.closed_second(at(start, local)).unwrap() < server.floor() as i64);
        }
        let local = 20.0;
        assert_eq!(clock.closed_second(at(start, local + 0.35)), Some(1020));
    }

    #[test]
    fn a_lagging_node_pulls_it_down_and_a_fast_one_does_not_pull_it_up() {
        let start = Instant::now();
        let mut clock = ServerClock::default();
        clock.observe(1000, start);
        clock.observe(998, at(start, 0.1));
        assert_eq!(clock.closed_second(at(start, 0.1)), Some(997));
        clock.observe(1001, at(start, 1.1));
        assert_eq!(clock.closed_second(at(start, 1.1)), Some(998));
    }

    #[test]
    fn a_clock_that_was_set_forward_is_believed_after_a_while() {
        for (step, until_believed) in [(2, 60.0), (4000, 10.0)] {
            let start = Instant::now();
            let mut clock = ServerClock::default();
            for second in 0..4 {
                clock.observe(1000 + second, at(start, second as f64 + 0.5));
            }
            for second in 4..100 {
                let time = at(start, second as f64 + 0.5);
                clock.observe(1000 + step + second, time);
                let is_believed = clock.closed_second(time) >= Some(999 + step + second);
                assert_eq!(
                    is_believed,
                    second as f64 > 3.0 + until_believed,
                    "{second}"
                );
            }
        }
    }

    /// The server's second 1000 begins at the start; each header is `(seconds since the start, error)`.
    /// Gives the errors of the clock after each header, in whole seconds.
    #[expect(clippy::cast_possible_truncation, reason = "small whole seconds")]
    fn errors(headers: &[(f64, i64)]) -> Vec<i64> {
        let start = Instant::now();
        let mut clock = ServerClock::default();
        let error = |&(passed, error): &(f64, i64)| {
            let now = at(start, passed);
            let second = 1000 + passed.floor() as i64;
            clock.observe(second + error, now);
            clock.closed_second(now).unwrap() + 1 - second
        };
        headers.iter().map(error).collect()
    }

    #[test]
    fn headers_that_are_far_off_need_three_that_agree() {
        const BACK: i64 = -7200;
        // One that jumps, each in its own way, and 1970.
        for jump in [BACK, -3, 3, 7200, -1000] {
            let headers = [(0.5, 0), (1.5, jump), (2.5, 0), (3.5, jump), (4.5, 0)];
            assert_eq!(errors(&headers), [0; 5], "{jump}");
        }
        // Different at each answer: none is believed.
        let mixed: Vec<(f64, i64)> = (0..50)
            .map(|n| (n as f64 + 0.5, 7 * n % 300 * 10))
            .collect();
        assert_eq!(errors(&mixed), [0; 50]);
        // It stays: believed at the third, and so is the way back.
        let stays = [(0.5, 0), (1.5, BACK), (2.5, BACK), (3.5, BACK), (4.5, BACK)];
        assert_eq!(errors(&stays), [0, 0, 0, BACK, BACK]);
        let mut returns: Vec<(f64, i64)> = stays.to_vec();
        returns.extend((5..20).map(|n| (n as f64 + 0.5, 0)));
        assert_eq!(errors(&returns).last(), Some(&0));
        // The first header of all is the wrong one.
        for wrong in [BACK, 7200] {
            let headers = [(0.5, wrong), (1.5, 0), (2.5, 0), (3.5, 0)];
            assert_eq!(errors(&headers), [wrong, wrong, wrong, 0], "{wrong}");
        }
        // A node that lags far and answers in turn with the others.
        let in_turn = [
            (0.5, 0),
            (1.5, -5),
            (2.5, 0),
            (3.5, -5),
            (4.5, 0),
            (5.5, -5),
        ];
        assert_eq!(errors(&in_turn).last(), Some(&-5));
    }

    #[test]
    fn it_says_what_it_makes_of_a_header() {
        use ClockObservation::{Accepted, Doubted, Stepped};
        let start = Instant::now();
        let mut clock = ServerClock::default();
        let mut observe = |second: f64, date| clock.observe(date, at(start, second));
        assert_eq!(observe(0.0, 1000), Accepted);
        assert_eq!(observe(0.0, 1000), Accepted);
        assert_eq!(observe(1.0, 901), Doubted(-99.0));
        assert_eq!(observe(2.0, 902), Doubted(-99.0));
        assert_eq!(observe(3.0, 903), Stepped(-99.0));
        assert_eq!(observe(4.0, 904), Accepted);
    }

    #[test]
    fn other_clocks_are_compared_with_it() {
        let start = Instant::now();
        let mut clock = ServerClock::default();
        assert_eq!(clock.lead_of(1000.0, start), None);
        clock.observe(1000, start);
        let cases = [
            (1000.5, 0.0),
            (1003.0, 2.0),
            (998.0, -2.0),
            (8200.0, 7199.0),
        ];
        for (time, lead) in cases {
            assert_eq!(clock.lead_of(time, start), Some(lead));
            assert_eq!(clock.lead_of(time + 5.0, at(start, 5.0)), Some(lead));
        }
    }
}
