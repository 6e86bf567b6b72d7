//! Rows that become visible up to nine minutes late.

use std::time::Duration;

use crate::source::late::late_rows;

/// `source.settle` is ten minutes.
const LATEST: Duration = Duration::from_secs(540);

#[test]
#[ignore = "ten minutes; make soak runs it"]
fn rows_of_transactions_that_take_nine_minutes() {
    let seed = fastrand::u64(..);
    println!("late rows: seed {seed}");
    let figures = late_rows(seed, LATEST);
    println!(
        "late rows: seed {seed}: delivered {:.1?} after they became visible at most; {} of {} requests were the \
         sweep's",
        figures.longest, figures.sweeps, figures.requests
    );
}
