//! When the next page of a content cycle is due: pure, without a clock.

use std::time::Duration;

/// How far a cycle is.
#[derive(Debug, Clone, Copy)]
pub(super) struct CyclePlace {
    /// Since it began.
    pub(super) passed: Duration,
    /// Rows that it has read.
    pub(super) read: u64,
    /// Rows that are left.
    pub(super) left: u64,
    /// Rows of a page.
    pub(super) page: u32,
}

/// The pause before the next page, or behind the last one before the next cycle, so that the pages are spread
/// over `cycle`. After a time without the bridge the rest comes at most twice as fast as it would have.
pub(super) fn pause(cycle: Duration, place: CyclePlace) -> Duration {
    let pages = |rows: u64| rows.div_ceil(u64::from(place.page.max(1)));
    let left = pages(place.left);
    let all = left.saturating_add(pages(place.read)).max(1);
    let time_left = cycle.saturating_sub(place.passed);
    divided(time_left, left.saturating_add(1)).max(divided(cycle, all) / 2)
}

fn divided(time: Duration, by: u64) -> Duration {
    let nanos = time.as_nanos() / u128::from(by.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn place(passed: Duration, read: u64, left: u64) -> CyclePlace {
        CyclePlace {
            passed,
            read,
            left,
            page: 1_000,
        }
    }

    #[test]
    fn the_pages_are_spread_over_the_cycle() {
        let mut at = Duration::ZERO;
        for page in 1..=10 {
            at += pause(10 * HOUR, place(at, page * 1_000, 10_000 - page * 1_000));
            assert_eq!(at, HOUR * u32::try_from(page).unwrap());
        }
        assert_eq!(
            pause(HOUR, place(Duration::ZERO, 0, 0)),
            HOUR,
            "an empty table"
        );
        assert_eq!(pause(HOUR, place(Duration::ZERO, 7, 0)), HOUR, "one page");
    }

    #[test]
    fn a_cycle_that_is_late_hurries_and_no_more_than_twice() {
        let middle = |passed| pause(10 * HOUR, place(passed, 5_000, 5_000));
        assert_eq!(middle(7 * HOUR), HOUR / 2);
        for late in [9 * HOUR, 10 * HOUR, 100 * HOUR] {
            assert_eq!(middle(late), HOUR / 2);
        }
        assert_eq!(pause(10 * HOUR, place(100 * HOUR, 10_000, 0)), HOUR / 2);
        // A table that grows meanwhile is read in the same time.
        assert_eq!(pause(10 * HOUR, place(5 * HOUR, 5_000, 9_000)), HOUR / 2);
    }
}
