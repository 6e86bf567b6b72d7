//! What it costs to remember rows: the versions of unsettled seconds in memory, and the index of delivered rows
//! on disk.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "counts of rows"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use servicenow_kafka_bridge::checkpoint::{UnsettledSpan, UnsettledVersion, VersionMark};
use servicenow_kafka_bridge::delivered::{
    DeliveredContent, DeliveredIndex, DeliveredRow, RowVersion, path_beside,
};

use crate::proc::usage;

/// Rows that are remembered.
const ROWS: usize = 1_000_000;
/// Rows of a page, and of a second.
const PAGE: usize = 1_000;
/// Rows of the topic that one write takes in.
const RECORDS_OF_A_WRITE: usize = 10_000;
/// Rounds; the middle one counts.
const ROUNDS: usize = 5;

/// Prints both.
pub(crate) fn all() -> Result<(), Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(1);
    let ids: Vec<u128> = (0..ROWS).map(|_| random.u128(..)).collect();
    let mut spans: Vec<f64> = (0..ROUNDS).map(|_| span(&ids)).collect();
    spans.sort_by(f64::total_cmp);
    println!(
        "unsettled versions: {:.2} us of CPU a row, from its page to its settling",
        spans.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
    );
    let (micros, bytes) = index(&ids)?;
    println!(
        "index of delivered rows: {micros:.2} us of CPU a row, {:.1} MB for a million rows",
        bytes as f64 / 1e6
    );
    Ok(())
}

/// CPU time of this process so far, in microseconds.
fn cpu_us() -> f64 {
    usage("self").cpu_us
}

/// Microseconds a row: it is looked for, remembered, acknowledged, listed and forgotten.
fn span(ids: &[u128]) -> f64 {
    let mut span = UnsettledSpan::default();
    let before = cpu_us();
    for (second, page) in ids.chunks(PAGE).enumerate() {
        let seconds = 1_700_000_000 + second as i64;
        let versions = page.iter().map(|id| UnsettledVersion {
            seconds,
            id: *id,
            mark: VersionMark::Count(3),
        });
        let versions: Vec<UnsettledVersion> = versions.collect();
        let known = versions.iter().filter(|it| span.contains(it)).count();
        assert_eq!(known, 0);
        span.hand_over(versions.iter().copied());
        span.acknowledge(&versions);
    }
    for (second, page) in ids.chunks(PAGE).enumerate() {
        let seconds = 1_700_000_000 + second as i64;
        let mut listed = page.iter();
        assert!(listed.all(|id| span.contains_listed(seconds, *id, Some(3))));
        span.settle(seconds);
    }
    (cpu_us() - before) / ids.len() as f64
}

/// Microseconds a row, and bytes of the file.
fn index(ids: &[u128]) -> Result<(f64, u64), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = path_beside(&folder.path().join("offsets.json"), "incident");
    let (mut index, _) = DeliveredIndex::open(&path, "bench")?;
    let before = cpu_us();
    for (write, some) in ids.chunks(RECORDS_OF_A_WRITE).enumerate() {
        let row = DeliveredContent::Row(DeliveredRow {
            version: RowVersion {
                seconds: Some(1_700_000_000),
                mod_count: Some(3),
            },
            hash: 7,
        });
        let records = some.iter().map(|id| (format!("{id:032x}"), row.clone()));
        let records: Vec<(String, DeliveredContent)> = records.collect();
        index.apply(&records, &BTreeMap::from([(0, write as i64)]))?;
    }
    index.compact()?;
    drop(index);
    let micros = (cpu_us() - before) / ids.len() as f64;
    Ok((micros, fs::metadata(&path)?.len()))
}
