//! Counts and sums of slices, by which most rows need not be listed: pure.
//!
//! Equal sums are no proof: a missing and an extra row of the same count in one slice cancel out.

use std::time::Duration;

/// What one request for sums is to take.
const AIMED_TIME: Duration = Duration::from_secs(10);
/// Rows of the first slice, of which it is not known yet how long it takes.
const FIRST_ROWS: usize = 50_000;
/// By how much a slice grows or shrinks at once.
const MOST_CHANGE: f64 = 4.0;
/// Slices in a row whose sums differed although their rows were equal, after which sums are of no use: the
/// instance counts rows that the user may not read.
const USELESS_SLICES: u32 = 3;

/// Sums over the rows of a slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SliceSums {
    /// How many there are.
    pub(super) rows: u64,
    /// The sum of their counts of changes.
    pub(super) mod_counts: u64,
}

/// How the sieve goes on.
#[derive(Debug)]
pub(super) struct Sieve {
    rows: usize,
    false_alarms: u32,
    refusal: Option<&'static str>,
}

impl Default for Sieve {
    fn default() -> Sieve {
        Sieve {
            rows: FIRST_ROWS,
            false_alarms: 0,
            refusal: None,
        }
    }
}

impl Sieve {
    /// Why sums are not asked for any more.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        self.refusal
    }

    /// How many rows the next slice may have.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The instance does not give sums.
    pub(super) fn refused(&mut self) {
        self.refusal =
            Some("the instance gives no sums to this user, so that every row was compared");
    }

    /// Sums of a slice of `rows` took so long.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "rows of a table, as a rough size"
    )]
    pub(super) fn took(&mut self, rows: usize, time: Duration) {
        let aimed = AIMED_TIME.as_secs_f64() / time.as_secs_f64().max(0.001);
        let change = aimed.clamp(1.0 / MOST_CHANGE, MOST_CHANGE);
        // A slice at the end of the table may be small, and says little.
        let known = rows.max(self.rows / 2) as f64;
        self.rows = (known * change).max(1.0) as usize;
    }

    /// The rows of a slice were listed because its sums differed, and so many of them differed.
    pub(super) fn listed(&mut self, differing: u64) {
        if differing > 0 {
            self.false_alarms = 0;
            return;
        }
        self.false_alarms += 1;
        if self.false_alarms >= USELESS_SLICES {
            self.refusal = Some(
                "the instance's sums hold rows that the integration user may not read, so that every row \
                 was compared",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_grows_to_what_ten_seconds_take() {
        let mut sieve = Sieve::default();
        sieve.took(FIRST_ROWS, Duration::from_millis(10));
        assert_eq!(sieve.rows(), FIRST_ROWS * 4);
        sieve.took(FIRST_ROWS * 4, Duration::from_secs(20));
        assert_eq!(sieve.rows(), FIRST_ROWS * 2);
        sieve.took(3, Duration::from_secs(10));
        assert_eq!(sieve.rows(), FIRST_ROWS);
    }

    /// Requests for the sums of a million rows, of which an instance adds up so many a second.
    fn requests(rows_per_second: u32) -> u32 {
        let (mut sieve, mut left, mut requests) = (Sieve::default(), 1_000_000, 0);
        while left > 0 {
            let rows = sieve.rows().min(left);
            let seconds = f64::from(u32::try_from(rows).unwrap()) / f64::from(rows_per_second);
            sieve.took(rows, Duration::from_secs_f64(seconds));
            left -= rows;
            requests += 1;
        }
        requests
    }

    #[test]
    fn a_million_rows_take_at_most_ten_requests_where_that_is_a_hundred_seconds() {
        let asked = [1_000_000, 100_000, 20_000, 12_000, 10_000].map(requests);
        assert_eq!(asked, [3, 3, 6, 9, 11]);
    }

    #[test]
    fn sums_that_differ_for_nothing_are_given_up() {
        let mut sieve = Sieve::default();
        for differing in [0, 0, 1, 0, 0] {
            sieve.listed(differing);
            assert_eq!(sieve.refusal(), None);
        }
        sieve.listed(0);
        assert!(sieve.refusal().is_some());
    }
}
