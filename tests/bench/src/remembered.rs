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
    DeliveredContent, DeliveredIndex, DeliveredRow, RowVersion, content_hash, path_beside,
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
    println!(
        "content of a row of 80 columns: {:.2} us of CPU to hash",
        content()
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

/// Microseconds to hash what a row of 80 columns holds, half of them empty: 3 kB.
fn content() -> f64 {
    const HASHED_ROWS: u32 = 100_000;
    let columns = (0..80).map(|column| {
        let value = ["", "a value of thirty letters or so"];
        let value = value.get(column % 2).copied().unwrap_or_default();
        format!("\"u_column_{column}\":\"{value}\"")
    });
    let row = format!("{{{}}}", columns.collect::<Vec<_>>().join(","));
    let before = cpu_us();
    let hashes = (0..HASHED_ROWS).map(|_| content_hash(std::hint::black_box(row.as_bytes())));
    std::hint::black_box(hashes.fold(0, |all, hash| all ^ hash));
    (cpu_us() - before) / f64::from(HASHED_ROWS)
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
            content: Some(7),
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
