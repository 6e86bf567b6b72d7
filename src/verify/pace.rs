//! How long to wait between two requests, so that a comparison stays in the background: pure.

use std::time::Duration;

/// Longest wait after one request.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The wait after a request that took so long: as long again, so that the instance works for a comparison at
/// most half of the time.
pub(super) fn pause_after(request: Duration) -> Duration {
    request.min(LONGEST_PAUSE)
}

/// The time that is left, if what is done took `elapsed`; `None` at the very beginning.
pub(super) fn time_left(done: u64, all: u64, elapsed: Duration) -> Option<Duration> {
    if done == 0 {
        return None;
    }
    let left = u32::try_from(all.saturating_sub(done)).unwrap_or(u32::MAX);
    let per_row = elapsed.as_secs_f64() / f64::from(u32::try_from(done).unwrap_or(u32::MAX));
    Duration::try_from_secs_f64(per_row * f64::from(left)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_time_is_left_to_others() {
        let second = Duration::from_secs(1);
        assert_eq!(pause_after(second), second);
        assert_eq!(pause_after(second * 600), LONGEST_PAUSE);
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_done() {
        let minute = Duration::from_secs(60);
        assert_eq!(time_left(0, 100, minute), None);
        assert_eq!(time_left(25, 100, minute), Some(minute * 3));
        assert_eq!(time_left(200, 100, minute), Some(Duration::ZERO));
    }
}
