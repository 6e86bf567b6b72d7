//! Log lines and gauges about a long read, its end, and rows that are hidden.

use std::time::{Duration, Instant};

use super::poller_metrics::PollerMetrics;

/// Time between two lines.
const READ_PROGRESS_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What is said of the reads of one table.
pub(super) struct ReadProgress {
    table: String,
    current: Option<LongRead>,
    /// Whether the log has the end of this read already: it was reached before the sender asked to
    /// read the last rows again.
    end_is_logged: bool,
    warned_of_hidden: bool,
}

/// A read that takes more than one request.
struct LongRead {
    started: Instant,
    reported: Instant,
    /// The table's row counter when the read began.
    rows: u64,
    /// The same after the newest page.
    newest_rows: u64,
    /// Pages that had rows.
    pages_with_rows: u32,
}

/// Tells of a page at level debug. `total`: how many rows the instance counts in its slice.
pub(super) fn log_page(table: &str, rows: u64, total: Option<u64>) {
    match total {
        Some(total) => log::debug!(table, rows, total; "a page"),
        None => log::debug!(table, rows; "a page"),
    }
}

impl ReadProgress {
    pub(super) fn new(table: &str) -> ReadProgress {
        ReadProgress {
            table: table.to_owned(),
            current: None,
            end_is_logged: false,
            warned_of_hidden: false,
        }
    }

    /// More is to come: `left` rows, if that is known. The read began with `rows_before` on the table's
    /// row counter.
    pub(super) fn report(&mut self, left: Option<u64>, rows_before: u64, metrics: &PollerMetrics) {
        if let Some(left) = left {
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics.remaining.set(left as f64);
        }
        let current = self
            .current
            .get_or_insert_with(|| LongRead::new(rows_before));
        current.report(&self.table, metrics.rows.get(), left);
    }

    /// All is read, but for `hidden` rows.
    pub(super) fn caught_up(&mut self, hidden: u64, metrics: &PollerMetrics) {
        self.report_hidden(hidden, metrics);
        metrics.remaining.set(0.0);
        let is_logged = std::mem::take(&mut self.end_is_logged);
        if let Some(mut current) = self.current.take() {
            current.take_in_page(metrics.rows.get());
            if !is_logged && current.is_news() {
                current.end(&self.table);
            }
        }
    }

    /// The last rows are read again after all had been read once.
    pub(super) fn reads_again(&mut self) {
        self.end_is_logged = true;
    }

    /// Shows how many rows are hidden from the integration user. In the next round they lie behind
    /// the cursor and are not counted again, so the gauge keeps the last number that is not zero.
    /// Rows are often hidden on purpose: one warning is enough.
    fn report_hidden(&mut self, hidden: u64, metrics: &PollerMetrics) {
        if hidden == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics.hidden.set(hidden as f64);
        if !self.warned_of_hidden {
            self.warned_of_hidden = true;
            log::warn!(table = self.table, rows = hidden;
                "rows are hidden from the integration user and do not arrive");
        }
    }
}

impl LongRead {
    /// Begins with `rows` on the table's row counter.
    fn new(rows: u64) -> LongRead {
        let now = Instant::now();
        LongRead {
            started: now,
            reported: now,
            rows,
            newest_rows: rows,
            pages_with_rows: 0,
        }
    }

    /// Takes in that the row counter stands at `rows` after one more page.
    fn take_in_page(&mut self, rows: u64) {
        self.pages_with_rows += u32::from(rows > self.newest_rows);
        self.newest_rows = rows;
    }

    /// Whether its end is worth a line: requests without rows are no long read, and come with each poll where
    /// nothing counts the rows.
    fn is_news(&self) -> bool {
        self.pages_with_rows > 1
    }

    /// Writes a line if the last one is long enough ago. `rows` is the row counter; `left` rows are still
    /// to come, if that is known.
    fn report(&mut self, table: &str, rows: u64, left: Option<u64>) {
        self.take_in_page(rows);
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
    fn end(&self, table: &str) {
        let seconds = self.started.elapsed().as_secs();
        log::info!(table = table, rows = self.newest_rows - self.rows, seconds = seconds;
            "the table is read to its end");
    }
}

fn words(number: Option<u64>, unit: &str) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| format!("{number}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_of_reads_with_several_pages_of_rows() {
        for (counter, is_news) in [
            (&[7, 7, 7][..], false),
            (&[9, 9, 9], false),
            (&[9, 11], true),
            (&[7, 9, 9, 11], true),
        ] {
            let mut read = LongRead::new(7);
            counter.iter().for_each(|rows| read.take_in_page(*rows));
            assert_eq!(read.is_news(), is_news, "{counter:?}");
        }
    }
}
