//! When the checkpoint is written next (pure).
//!
//! It follows the acknowledgements: what is acknowledged is written at once, unless the last write
//! is over for too short a time. Then all that is acknowledged meanwhile goes into one write.

use std::time::Duration;

/// Shortest time between the end of a write and the next one: at most about ten writes a second.
const MIN_FLUSH_PAUSE: Duration = Duration::from_millis(100);
/// The weight of the newest measurement in the smoothed time is one part of this many.
const SYNC_SMOOTHING: u32 = 4;

/// How long the writer of the checkpoint waits before its next write; `None`: until a position moves.
///
/// `since_last_write` is the time since the last write ended, `sync` the smoothed time that a write
/// waits for the disk. A slow disk is left alone for as long as it has worked, so that the checkpoint
/// takes half of its time at most, but never longer than `longest`.
pub(super) fn pause_before_flush(
    is_dirty: bool,
    since_last_write: Option<Duration>,
    sync: Duration,
    longest: Duration,
) -> Option<Duration> {
    if !is_dirty {
        return None;
    }
    let pause = sync.max(MIN_FLUSH_PAUSE).min(longest);
    let passed = since_last_write.unwrap_or(Duration::MAX);
    Some(pause.saturating_sub(passed))
}

/// The smoothed time of the disk after one more measurement: a single slow write does not hold up the
/// next ones, a disk that stays slow does.
pub(super) fn smooth_sync(before: Option<Duration>, measured: Duration) -> Duration {
    let Some(before) = before else {
        return measured;
    };
    (before * (SYNC_SMOOTHING - 1) + measured) / SYNC_SMOOTHING
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_follows_the_acknowledgements_at_a_bounded_rate() {
        let cases = [
            // dirty, since the last write, sync, longest, the pause
            (false, None, ms(1), HOUR, None),
            (false, Some(HOUR), ms(1), HOUR, None),
            (true, None, ms(1), HOUR, Some(ms(0))),
            (true, Some(ms(0)), ms(1), HOUR, Some(ms(100))),
            (true, Some(ms(30)), ms(1), HOUR, Some(ms(70))),
            (true, Some(ms(100)), ms(1), HOUR, Some(ms(0))),
            (true, Some(HOUR), ms(1), HOUR, Some(ms(0))),
            // A slow disk, and one that is slower than the longest time.
            (true, Some(ms(100)), ms(400), HOUR, Some(ms(300))),
            (true, Some(ms(400)), ms(400), HOUR, Some(ms(0))),
            (true, Some(ms(100)), ms(400), ms(250), Some(ms(150))),
            (true, Some(ms(0)), ms(1), ms(10), Some(ms(10))),
        ];
        for (is_dirty, since, sync, longest, expected) in cases {
            let pause = pause_before_flush(is_dirty, since, sync, longest);
            assert_eq!(pause, expected, "{is_dirty} {since:?} {sync:?} {longest:?}");
        }
    }

    #[test]
    fn one_slow_write_counts_little_and_a_slow_disk_in_full() {
        let mut sync = smooth_sync(None, ms(2));
        assert_eq!(sync, ms(2));
        sync = smooth_sync(Some(sync), ms(402));
        assert_eq!(sync, ms(102));
        for _ in 0..20 {
            sync = smooth_sync(Some(sync), ms(402));
        }
        assert!(sync > ms(395) && sync <= ms(402), "{sync:?}");
    }
}
