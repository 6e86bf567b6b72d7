//! Log lines about a long read.

use std::time::{Duration, Instant};

/// Time between two lines.
const READ_PROGRESS_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A read that takes more than one page.
pub(super) struct ReadProgress {
    started: Instant,
    reported: Instant,
    /// The table's row counter when the read began.
    rows: u64,
}

/// Tells of a page at level debug. `total`: how many rows the instance counts in its slice.
pub(super) fn log_page(table: &str, rows: u64, total: Option<u64>) {
    match total {
        Some(total) => log::debug!(table, rows, total; "a page"),
        None => log::debug!(table, rows; "a page"),
    }
}

impl ReadProgress {
    /// Begins with `rows` on the table's row counter.
    pub(super) fn new(rows: u64) -> ReadProgress {
        let now = Instant::now();
        ReadProgress {
            started: now,
            reported: now,
            rows,
        }
    }

    /// Writes a line if the last one is long enough ago. `rows` is the row counter; `left` rows are still
    /// to come, if that is known.
    pub(super) fn report(&mut self, table: &str, rows: u64, left: Option<u64>) {
        let now = Instant::now();
        if now.duration_since(self.reported) < READ_PROGRESS_LOG_INTERVAL {
            return;
        }
        self.reported = now;
        let done = rows - self.rows;
        let rate = done / now.duration_since(self.started).as_secs().max(1);
        let time = left.and_then(|left| left.checked_div(rate));
        let left = words(left, "");
        let time_left = words(time, " s");
        log::info!(table = table, rows = done, left = left, rows_per_second = rate,
            time_left = time_left; "reading the table");
    }

    /// Writes the last line: all is read.
    pub(super) fn end(&self, table: &str, rows: u64) {
        let seconds = self.started.elapsed().as_secs();
        log::info!(table = table, rows = rows - self.rows, seconds = seconds;
            "the table is read to its end");
    }
}

fn words(number: Option<u64>, unit: &str) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| format!("{number}{unit}"))
}
