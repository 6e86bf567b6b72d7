//! How long to wait between two requests, so that a comparison stays in the background: pure.

use std::time::Duration;

/// Longest wait after one request.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The wait after a request that took so long: as long again, so that the instance works for a comparison at
/// most half of the time.
pub(super) fn pause_after(request: Duration) -> Duration {
    request.min(LONGEST_PAUSE)
}

/// How much of `all` is done after `elapsed`, in words.
pub(super) fn progress_words(
    what: &str,
    unit: &str,
    done: u64,
    all: u64,
    elapsed: Duration,
) -> String {
    let left = time_left(done, all, elapsed);
    let left = left.map(|left| format!(", about {} s left", left.as_secs()));
    format!("{what}: {done} of {all} {unit}{}", left.unwrap_or_default())
}

/// The time that is left, if what is done took `elapsed`; `None` at the very beginning.
fn time_left(done: u64, all: u64, elapsed: Duration) -> Option<Duration> {
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
    fn progress_names_the_time_that_is_left_once_that_is_known() {
        let words = |done| progress_words("table", "rows", done, 100, Duration::from_secs(60));
        assert_eq!(words(0), "table: 0 of 100 rows");
        assert_eq!(words(25), "table: 25 of 100 rows, about 180 s left");
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_done() {
        let minute = Duration::from_secs(60);
        assert_eq!(time_left(0, 100, minute), None);
        assert_eq!(time_left(25, 100, minute), Some(minute * 3));
        assert_eq!(time_left(200, 100, minute), Some(Duration::ZERO));
    }
}
