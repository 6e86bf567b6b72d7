//! How many deletes are believed at once: pure, without I/O.
//!
//! A table that someone empties by mistake, or an instance that answers with less than it has, must not
//! empty a topic.

use serde::{Deserialize, Serialize};

/// The default is never more than this.
const MAX_DEFAULT: u64 = 1_000;
/// Nor less than this.
const MIN_DEFAULT: u64 = 10;
/// The part of a table's rows that the default is: one in so many, 5 %.
const DEFAULT_PART: u64 = 20;
/// Seconds of an hour of the tail.
const HOUR_SECONDS: i64 = 3_600;

/// The most deletes of a table with so many rows that pass without a decision; `configured` is
/// `delete_guard`. Where the rows are not known, the least default.
pub(in crate::source::capture) fn guard_limit(configured: Option<u32>, rows: Option<u64>) -> u64 {
    let default = rows.map_or(MIN_DEFAULT, |rows| {
        (rows / DEFAULT_PART).clamp(MIN_DEFAULT, MAX_DEFAULT)
    });
    configured.map_or(default, u64::from)
}

/// Counts the deletes of each hour of a tail, by the time at which the rows were deleted: what happened
/// during an outage counts in its own hours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::capture) struct HourlyGuard {
    /// The hour since 1970 that is counted.
    hour: i64,
    /// Deletes of that hour that have passed.
    passed: u64,
}

impl HourlyGuard {
    /// Whether the delete of a row at this second passes; counts it if it does.
    pub(in crate::source::capture) fn admits(&mut self, deleted_at: i64, limit: u64) -> bool {
        let hour = deleted_at.div_euclid(HOUR_SECONDS);
        // A delete that is told late counts in the hour that is counted.
        if hour > self.hour {
            (self.hour, self.passed) = (hour, 0);
        }
        if self.passed < limit {
            self.passed += 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_part_of_the_table_within_bounds() {
        let cases = [
            (None, None, 10),
            (None, Some(0), 10),
            (None, Some(300), 15),
            (None, Some(10_000), 500),
            (None, Some(1_000_000), 1_000),
            (Some(3), Some(1_000_000), 3),
            (Some(50_000), None, 50_000),
        ];
        for (configured, rows, limit) in cases {
            assert_eq!(
                guard_limit(configured, rows),
                limit,
                "{configured:?} {rows:?}"
            );
        }
    }

    #[test]
    fn each_hour_has_its_own_deletes() {
        let mut guard = HourlyGuard::default();
        let passed =
            |guard: &mut HourlyGuard, at: i64| (0..5).filter(|_| guard.admits(at, 3)).count();
        assert_eq!(passed(&mut guard, 7_200), 3);
        assert_eq!(passed(&mut guard, 10_799), 0, "the same hour");
        assert_eq!(passed(&mut guard, 10_800), 3);
        assert_eq!(passed(&mut guard, 7_200), 0, "told late");
    }
}
