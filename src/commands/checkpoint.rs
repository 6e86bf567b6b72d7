//! `checkpoint`: shows how far tables have been read, or changes it while the bridge is stopped.

use std::path::Path;

use super::failure::{CommandFailure, ExitResult, exit_code};
use super::terminal::Terminal;
use crate::checkpoint::{self, CheckpointEntry, CheckpointPosition};
use crate::cli::{CheckpointAction, CheckpointSetOptions, EpochSeconds};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::servicenow::query::query_value_fault;
use crate::terminal_text::clean;
use crate::{regular_file, runtime, source};

impl From<checkpoint::Error> for CommandFailure {
    fn from(error: checkpoint::Error) -> CommandFailure {
        let error = runtime::Error::Checkpoint(error);
        CommandFailure::new(error.exit_code(), error)
    }
}

/// The keys of the configuration that the command uses.
pub(super) fn needed_keys(action: &CheckpointAction) -> &'static [&'static str] {
    match action {
        CheckpointAction::Show(_) | CheckpointAction::Reset(_) => &["offset"],
        // A position belongs to the query of its table.
        CheckpointAction::Set(_) => &["offset", "servicenow.base_url", "source.tables"],
    }
}

/// Executes the command.
pub(super) fn execute(
    config: &Config,
    action: CheckpointAction,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let path = &config.offset.file_path;
    match action {
        CheckpointAction::Show(options) => show(path, options.table.as_deref(), terminal)?,
        CheckpointAction::Set(options) => set(config, options, terminal)?,
        CheckpointAction::Reset(table) => reset(path, &table, terminal)?,
    }
    Ok(exit_code::DONE)
}

fn show(
    path: &Path,
    table: Option<&str>,
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    let mut entries = checkpoint::read_only(path)?;
    entries.retain(|name, _| table.is_none_or(|table| table == name));
    for (name, CheckpointEntry { position, .. }) in &entries {
        terminal.line(&line(name, position))?;
    }
    if entries.is_empty() {
        let what = table.map_or("any table".to_owned(), |table| format!("table `{table}`"));
        terminal.error(&format!("{}: no checkpoint of {what} yet", path.display()));
    }
    Ok(())
}

fn set(
    config: &Config,
    options: CheckpointSetOptions,
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    let name = options.table.as_str();
    let mut tables = config.source.tables.iter();
    let table = tables.find(|table| table.name == name).ok_or_else(|| {
        let why = "is not in the configuration; a position needs its query";
        CommandFailure::new(exit_code::USAGE, format!("table `{name}` {why}"))
    })?;
    let identifier = options.last_identifier.unwrap_or_default();
    if let Some(fault) = query_value_fault(identifier.as_bytes()) {
        let text = format!(
            "--last-identifier: `{}` is none of a row: {fault}",
            clean(&identifier)
        );
        return Err(CommandFailure::new(exit_code::USAGE, text));
    }
    let store = open(&config.offset.file_path)?;
    let now = EpochSeconds(jiff::Timestamp::now().as_second());
    let EpochSeconds(timestamp) = options.timestamp.resolve(now);
    if timestamp > now.0 {
        terminal.note(&format!(
            "{} is in the future: no row that changes before then is ever sent",
            time(timestamp)
        ));
    }
    let position = CheckpointPosition {
        timestamp,
        last_identifier: identifier,
    };
    let shown = line(name, &position);
    let fingerprint = Some(source::fingerprint(&config.servicenow.base_url, table));
    let entry = CheckpointEntry {
        position,
        fingerprint,
    };
    store.move_to(name, entry);
    store.flush()?;
    Ok(terminal.line(&shown)?)
}

/// As the owner of the folder, so that root changes nothing there that the service could not.
pub(super) fn open(path: &Path) -> Result<checkpoint::CheckpointStore, CommandFailure> {
    // Behind a link of root's the folder of the file itself counts: it may be the service's.
    let file = regular_file::resolve(path).unwrap_or_else(|_| path.to_owned());
    regular_file::become_folder_owner(&file).map_err(|error| {
        let path = path.display();
        let why = format!("cannot go on as the owner of the folder of {path}: {error}");
        CommandFailure::new(exit_code::TRY_AGAIN, why)
    })?;
    Ok(checkpoint::CheckpointStore::open(path, &Metrics::new())?)
}

fn reset(path: &Path, table: &str, terminal: &mut Terminal<'_>) -> Result<(), CommandFailure> {
    let store = open(path)?;
    if !store.remove(table) {
        let text = format!("{}: no checkpoint of table `{table}`", path.display());
        return Err(CommandFailure::new(exit_code::USAGE, text));
    }
    store.flush()?;
    Ok(terminal.line(&format!("{table}: will be read from the beginning"))?)
}

fn line(table: &str, position: &CheckpointPosition) -> String {
    let time = time(position.timestamp);
    let line = format!("{table}\t{time}\t{}", position.last_identifier);
    line.trim_end().to_owned()
}

/// A second as a time in UTC.
pub(super) fn time(second: i64) -> String {
    jiff::Timestamp::from_second(second)
        .map_or_else(|_| second.to_string(), |time| time.to_string())
}
