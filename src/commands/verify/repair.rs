//! Names the rows that differ to the running bridge, whose stream alone writes to the topic.

use serde_json::json;

use crate::commands::admin;
use crate::commands::failure::CommandFailure;
use crate::commands::terminal::Terminal;
use crate::config::{Config, TableConfig};
use crate::verify::{Difference, ProvenDifference, Report};

/// Where the bridge is told of rows to read again.
const REREAD_PATH: &str = "/api/reread";
/// Where it is told of rows that may be deleted.
const DELETES_PATH: &str = "/api/deletes";
/// Rows that are named at once: the port takes bodies of 4 KiB.
const MAX_ROWS_PER_REQUEST: usize = 100;

/// Whether there is a bridge that could repair, before a comparison of hours.
pub(super) fn check(config: &Config) -> Result<(), CommandFailure> {
    admin::check_access(&config.observability).map_err(|failure| {
        let text = format!("--repair needs the running bridge: {}", failure.text);
        CommandFailure::new(failure.code, text)
    })
}

/// Names all rows that differ. What is missing or stale is read and produced again. What is extra is asked for where
/// the table has `deletes`, and tombstones follow what is gone, no more than the guard lets pass.
pub(super) fn hand_over(
    config: &Config,
    table: &TableConfig,
    report: &Report,
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    let (extra, lacking): (Vec<_>, Vec<_>) = report
        .differences
        .iter()
        .partition(|found| found.difference == Difference::Extra);
    name(config, table, (REREAD_PATH, &lacking), terminal)?;
    if table.deletes.is_on() {
        return name(config, table, (DELETES_PATH, &extra), terminal);
    }
    if !extra.is_empty() {
        terminal.note(&format!(
            "{} rows are extra, and their records stay: the table has `deletes: none`, with which no \
             tombstone is sent",
            extra.len()
        ));
    }
    Ok(())
}

fn name(
    config: &Config,
    table: &TableConfig,
    (path, rows): (&str, &[&ProvenDifference]),
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    for rows in rows.chunks(MAX_ROWS_PER_REQUEST) {
        let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
        let body = json!({ "name": table.name, "ids": ids });
        let done = admin::post(&config.observability, path, &body)?;
        terminal.note(&format!("{} rows: {done}", ids.len()));
    }
    Ok(())
}
