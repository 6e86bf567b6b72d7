//! Which seconds of a table are closed, read to their end, and settled: pure.
//!
//! Rows are read as soon as they are visible, so also in the second that is still open on the instance. A
//! second is *closed* some seconds after its first row was seen: until then it is read again with each poll,
//! as rows may follow with lower identifiers, and the checkpoint stays before it. It *settles*
//! `source.settle` after it was first read to its end: so long it is listed again, as a transaction that began in
//! it may still be committed.
//!
//! What counts is the monotonic time since a row was seen, not what time it is: a `Date` header that is off
//! by up to two hours loses nothing. The instance's clock only holds back rows that carry a time of the future.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::whole_seconds;

/// How long a second is read again after its first row was seen. Most transactions are shorter.
const OPEN_TIME: Duration = Duration::from_secs(3);
/// How far the instance's clock is trusted, in seconds: what is older was closed long ago. More than the two
/// hours by which a `Date` header may be wrong.
pub(super) const MAX_CLOCK_ERROR_SECONDS: i64 = 9_000;
/// How many reads are remembered while their seconds settle. More would only settle them a little earlier.
const MAX_REMEMBERED_READS: u32 = 512;
/// Shortest time between two that are remembered.
const MIN_READ_INTERVAL: Duration = Duration::from_secs(1);

/// What one table knows of its newest seconds.
#[derive(Debug)]
pub(super) struct Frontier {
    settle: Duration,
    /// The latest timestamp so far each time that it grew, with when it was first seen; oldest first.
    growth: VecDeque<(i64, Instant)>,
    /// The last second that is closed by what was seen.
    closed: Option<i64>,
    /// Seconds up to which the table was read to its end, and when they settle; oldest first.
    reads: VecDeque<(i64, Instant)>,
    /// The last second that was read to its end.
    read_to: Option<i64>,
}

/// Which seconds are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedSeconds {
    /// The last one that is closed by what was seen before.
    by_time: i64,
    /// The last second that is over by the instance's clock.
    clock: i64,
}

impl ClosedSeconds {
    /// Every second.
    pub(super) const ALL: ClosedSeconds = ClosedSeconds {
        by_time: i64::MAX,
        clock: i64::MAX,
    };

    /// The last closed second.
    pub(super) fn last(&self) -> i64 {
        self.by_time.min(self.clock)
    }

    /// The same, now that a row of this second was seen. A second that is so far behind it was read in the same
    /// poll, or later, when it was over for that long.
    pub(super) fn behind(&self, newest: i64) -> i64 {
        let open = whole_seconds(OPEN_TIME);
        let behind = newest.min(self.clock).saturating_sub(open + 1);
        self.by_time.max(behind).min(self.clock)
    }
}

/// A read of a table to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadToEnd {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    /// The last second that is closed and read.
    pub(super) closed: i64,
    /// The latest timestamp that was seen, at most the instance's time.
    pub(super) newest: i64,
}

impl Frontier {
    /// Of a table whose seconds settle after `settle`.
    pub(super) fn new(settle: Duration) -> Frontier {
        Frontier {
            settle,
            growth: VecDeque::new(),
            closed: None,
            reads: VecDeque::new(),
            read_to: None,
        }
    }

    /// Rows up to this second were seen.
    pub(super) fn saw(&mut self, second: i64, now: Instant) {
        let newest = self.growth.back().map(|(newest, _)| *newest);
        if newest.or(self.closed).is_none_or(|newest| second > newest) {
            self.growth.push_back((second, now));
        }
    }

    /// What is closed at `now`. `clock` is the last second that is over by the instance's clock.
    pub(super) fn closed(&mut self, clock: i64, now: Instant) -> ClosedSeconds {
        while let Some((second, seen)) = self.growth.front()
            && now.saturating_duration_since(*seen) >= OPEN_TIME
        {
            self.closed = Some(*second);
            self.growth.pop_front();
        }
        let long_ago = clock.saturating_sub(MAX_CLOCK_ERROR_SECONDS);
        let by_time = self.closed.map_or(long_ago, |closed| closed.max(long_ago));
        let newest = self.growth.back().map(|(newest, _)| *newest);
        let closed = ClosedSeconds { by_time, clock };
        ClosedSeconds {
            by_time: newest
                .or(self.closed)
                .map_or(by_time, |it| closed.behind(it)),
            clock,
        }
    }

    /// The table was read to its end.
    pub(super) fn read_to_end(&mut self, read: ReadToEnd) {
        let settle = whole_seconds(self.settle);
        let took = whole_seconds(read.ended.saturating_duration_since(read.began));
        let took = took.saturating_add(1);
        // When this second was read the instance's time was past it by `settle` at least, as a row of the
        // newest one was seen so soon after.
        let long_past = read.newest.saturating_sub(settle).saturating_sub(took);
        let before = self.read_to;
        let is_later = |second: i64| before.is_none_or(|before| second > before);
        if is_later(long_past) && long_past < read.closed {
            self.reads.push_back((long_past, read.ended));
        }
        let read_to = before.map_or(read.closed, |before| before.max(read.closed));
        self.read_to = Some(read_to);
        let due = read.ended + self.settle;
        let interval = MIN_READ_INTERVAL.max(self.settle / MAX_REMEMBERED_READS);
        let is_noted = |(second, at): &(i64, Instant)| {
            *second >= read_to || (*at > read.ended && *at + interval > due)
        };
        if !self.reads.back().is_some_and(is_noted) {
            self.reads.push_back((read_to, due));
        }
    }

    /// The last second that was read to its end.
    pub(super) fn read_to(&self) -> Option<i64> {
        self.read_to
    }

    /// The last second that settles with a listing that begins now.
    pub(super) fn due(&mut self, now: Instant) -> Option<i64> {
        while self.reads.get(1).is_some_and(|(_, at)| *at <= now) {
            self.reads.pop_front();
        }
        // It stays, as it is due until it is listed.
        let (second, at) = self.reads.front()?;
        (*at <= now).then_some(*second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(600);

    fn read(start: Instant, began: u64, ended: u64, closed: i64, newest: i64) -> ReadToEnd {
        let at = |seconds| start + Duration::from_secs(seconds);
        ReadToEnd {
            began: at(began),
            ended: at(ended),
            closed,
            newest,
        }
    }

    #[test]
    fn a_second_closes_some_time_after_its_first_row_and_never_before_the_clock_says_so() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut frontier = Frontier::new(SETTLE);
        assert_eq!(
            frontier.closed(10_000, start).last(),
            1_000,
            "nothing was seen"
        );
        frontier.saw(10_000, at(0.0));
        frontier.saw(10_000, at(1.0));
        frontier.saw(10_001, at(1.0));
        assert_eq!(frontier.closed(10_002, at(2.9)).last(), 9_997);
        assert_eq!(frontier.closed(10_003, at(3.0)).last(), 10_000);
        assert_eq!(frontier.closed(10_004, at(4.0)).last(), 10_001);
        frontier.saw(10_000, at(4.0));
        assert_eq!(
            frontier.closed(10_004, at(9.0)).last(),
            10_001,
            "a late row"
        );
        // A row of the future, and a clock that was set back.
        frontier.saw(99_999, at(9.0));
        assert_eq!(frontier.closed(10_012, at(12.0)).last(), 10_012);
        assert_eq!(frontier.closed(3_000, at(12.0)).last(), 3_000);
    }

    #[test]
    fn what_is_read_settles_after_its_time_whatever_the_clock_says() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut frontier = Frontier::new(SETTLE);
        frontier.read_to_end(read(start, 0, 0, 100, 100));
        frontier.read_to_end(read(start, 50, 50, 150, 150));
        // A Date that is wrong by hours has no part in it.
        frontier.read_to_end(read(start, 51, 51, 151, 151));
        frontier.read_to_end(read(start, 59, 59, 151, 151));
        assert_eq!(frontier.read_to(), Some(151));
        assert_eq!(frontier.due(at(599)), Some(100 - 600 - 1));
        assert_eq!(frontier.due(at(600)), Some(100));
        assert_eq!(frontier.due(at(601)), Some(100), "until it is listed");
        assert_eq!(frontier.due(at(700)), Some(151));
    }

    #[test]
    fn a_first_load_settles_what_was_old_when_it_was_read() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut frontier = Frontier::new(SETTLE);
        frontier.read_to_end(read(start, 0, 99, 50_000, 50_003));
        assert_eq!(frontier.due(at(99)), Some(50_003 - 600 - 100));
        assert_eq!(frontier.due(at(698)), Some(50_003 - 700));
        assert_eq!(frontier.due(at(699)), Some(50_000));
        // The seconds of before were read when they were young.
        frontier.read_to_end(read(start, 700, 700, 50_100, 50_100));
        assert_eq!(frontier.due(at(701)), Some(50_000));
    }

    #[test]
    fn reads_that_are_remembered_are_bounded_and_the_last_one_counts() {
        let start = Instant::now();
        let mut frontier = Frontier::new(SETTLE);
        for tenth in 0..100_000_u64 {
            let now = start + Duration::from_millis(tenth * 100);
            let second = i64::try_from(tenth / 10).unwrap();
            let read = ReadToEnd {
                began: now,
                ended: now,
                closed: second,
                newest: second,
            };
            frontier.read_to_end(read);
            frontier.due(now);
            assert!(frontier.reads.len() < 700);
        }
        let end = start + Duration::from_secs(10_000);
        assert!(frontier.due(end + SETTLE).unwrap() >= 9_998);
        let quiet = read(start, 10_001, 10_001, 9_999, 9_999);
        frontier.read_to_end(quiet);
        let due = frontier.due(end + SETTLE * 2);
        assert!(due.unwrap() >= 9_998);
    }
}
