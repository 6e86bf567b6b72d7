//! Names the rows that differ to the running bridge, whose stream alone writes to the topic.

use serde_json::json;

use crate::commands::admin;
use crate::commands::failure::CommandFailure;
use crate::commands::terminal::Terminal;
use crate::config::Config;
use crate::verify::Report;

/// Where the bridge is told of rows to read again.
const REREAD_PATH: &str = "/api/reread";
/// Rows that are named at once: the port takes bodies of 4 KiB.
const MAX_ROWS_PER_REQUEST: usize = 100;

/// Whether there is a bridge that could repair, before a comparison of hours.
pub(super) fn check(config: &Config) -> Result<(), CommandFailure> {
    admin::check_access(&config.observability).map_err(|failure| {
        let text = format!("--repair needs the running bridge: {}", failure.text);
        CommandFailure::new(failure.code, text)
    })
}

/// Names all rows that differ. What is missing or stale is read and produced again; of what is extra the
/// bridge decides by its own rules whether it was deleted.
pub(super) fn hand_over(
    config: &Config,
    report: &Report,
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    for rows in report.differences.chunks(MAX_ROWS_PER_REQUEST) {
        let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
        let body = json!({ "name": report.table, "ids": ids });
        let done = admin::post(&config.observability, REREAD_PATH, &body)?;
        terminal.note(&format!("{} rows: {done}", ids.len()));
    }
    Ok(())
}
