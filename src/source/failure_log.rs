//! Writes the failures of a table's polls to the log, and the same one again only every few minutes.

use std::time::{Duration, Instant};

use super::poll_error::PollError;

/// A failure that goes on is written again after this time.
const REPEATED_FAILURE_LOG_INTERVAL: Duration = Duration::from_secs(300);

/// The last failure that was written as an error.
#[derive(Debug)]
pub(super) struct PollFailureLog {
    table: String,
    /// Its words, and when it was written.
    last: Option<(String, Instant)>,
    /// How often it was left out since.
    left_out: u64,
}

/// A failed poll, as it is written.
pub(super) struct PollFailure<'a> {
    pub(super) error: &'a PollError,
    /// Failures in a row.
    pub(super) attempt: u32,
    /// The time to the next request.
    pub(super) wait: Duration,
    /// Rows that the next page asks for.
    pub(super) page_size: u32,
    /// The next attempt may bring the page, so that this is no more than a warning.
    pub(super) is_passing: bool,
}

impl PollFailureLog {
    pub(super) fn new(table: &str) -> PollFailureLog {
        PollFailureLog {
            table: table.to_owned(),
            last: None,
            left_out: 0,
        }
    }

    /// Writes a failure, unless it is the one that was just written.
    pub(super) fn report(&mut self, failure: &PollFailure<'_>, now: Instant) {
        let error = failure.error;
        let Some(repeated) = self.admit(error.to_string(), failure.is_passing, now) else {
            return;
        };
        let (table, attempt) = (self.table.as_str(), failure.attempt);
        let retry_in = format!("{:.1}s", failure.wait.as_secs_f64());
        if failure.is_passing {
            log::warn!(table, error:% = error, attempt, retry_in, page_size = failure.page_size;
                "a page failed");
        } else if repeated == 0 {
            log::error!(table, error:% = error, attempt, retry_in; "the table cannot be read");
        } else {
            log::error!(table, error:% = error, attempt, retry_in, repeated;
                "the table still cannot be read");
        }
    }

    /// A poll succeeded: the next failure is news.
    pub(super) fn succeeded(&mut self) {
        self.last = None;
        self.left_out = 0;
    }

    /// `Some` when a failure is to be written now, with how often it was left out since it was last
    /// written. One of these words that only passes is left out as well while they were an error.
    fn admit(&mut self, words: String, is_passing: bool, now: Instant) -> Option<u64> {
        let mut left_out = 0;
        if let Some((last, written)) = &self.last
            && *last == words
        {
            if now.saturating_duration_since(*written) < REPEATED_FAILURE_LOG_INTERVAL {
                self.left_out += 1;
                return None;
            }
            left_out = self.left_out;
        }
        self.left_out = 0;
        self.last = (!is_passing).then_some((words, now));
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_written_when_it_changes_and_every_few_minutes() {
        let mut log = PollFailureLog::new("incident");
        let begin = Instant::now();
        let mut admit = |words: &str, is_passing, seconds| {
            let now = begin + Duration::from_secs(seconds);
            log.admit(words.to_owned(), is_passing, now)
        };
        assert_eq!(admit("403", true, 0), Some(0), "warnings are all written");
        assert_eq!(admit("403", true, 1), Some(0));
        assert_eq!(admit("403", false, 2), Some(0), "but this one is an error");
        assert_eq!(admit("403", false, 12), None);
        assert_eq!(admit("403", true, 22), None);
        assert_eq!(admit("404", false, 32), Some(0), "other words");
        assert_eq!(admit("404", false, 331), None);
        assert_eq!(admit("404", false, 332), Some(1));
        assert_eq!(admit("404", false, 342), None);
        log.succeeded();
        let now = begin + Duration::from_secs(343);
        assert_eq!(log.admit("404".to_owned(), false, now), Some(0));
    }
}
