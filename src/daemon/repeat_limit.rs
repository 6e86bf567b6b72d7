//! Keeps repeated lines from flooding the log: a line that was just written is not written again. A
//! client of the admin port could otherwise fill the disk with one message.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A line is not written again within this time.
const REPEAT_WINDOW: Duration = Duration::from_secs(10);
/// Lines remembered. A flood of more different lines than this is let through.
const MAX_REMEMBERED_LINES: usize = 512;

/// The lines of the last seconds. Pure; the clock is passed in.
#[derive(Debug, Default)]
pub(super) struct RepeatLimiter {
    seen: HashMap<u64, SeenLine>,
}

#[derive(Debug)]
struct SeenLine {
    written: Instant,
    suppressed: u64,
}

impl RepeatLimiter {
    /// `Some` if the line with this hash is to be written now, with the number of times that it was
    /// suppressed since it was last written.
    pub(super) fn admit(&mut self, hash: u64, now: Instant) -> Option<u64> {
        if let Some(seen) = self.seen.get_mut(&hash) {
            if now.duration_since(seen.written) < REPEAT_WINDOW {
                seen.suppressed += 1;
                return None;
            }
            let suppressed = seen.suppressed;
            *seen = SeenLine {
                written: now,
                suppressed: 0,
            };
            return Some(suppressed);
        }
        if self.seen.len() >= MAX_REMEMBERED_LINES {
            self.seen
                .retain(|_, seen| now.duration_since(seen.written) < REPEAT_WINDOW);
        }
        if self.seen.len() < MAX_REMEMBERED_LINES {
            self.seen.insert(
                hash,
                SeenLine {
                    written: now,
                    suppressed: 0,
                },
            );
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_line_is_written_once_per_window() {
        let mut limiter = RepeatLimiter::default();
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        assert_eq!(limiter.admit(1, at(0)), Some(0));
        assert_eq!(limiter.admit(1, at(1)), None);
        assert_eq!(limiter.admit(2, at(1)), Some(0), "another line");
        assert_eq!(limiter.admit(1, at(9_999)), None);
        assert_eq!(limiter.admit(1, at(10_000)), Some(2));
        assert_eq!(limiter.admit(1, at(10_001)), None);
        assert_eq!(limiter.admit(2, at(60_000)), Some(0));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut limiter = RepeatLimiter::default();
        let begin = Instant::now();
        for hash in 0..10_000 {
            assert_eq!(limiter.admit(hash, begin), Some(0));
        }
        assert_eq!(limiter.seen.len(), MAX_REMEMBERED_LINES);
        assert_eq!(limiter.admit(99_999, begin + REPEAT_WINDOW), Some(0));
        assert_eq!(limiter.seen.len(), 1, "old lines are forgotten");
    }
}
