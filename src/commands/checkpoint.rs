//! `checkpoint`: shows how far tables have been read, or changes it while the bridge is stopped.

mod place;

use std::path::Path;

use self::place::{open, read};
use super::failure::{CommandFailure, ExitResult, exit_code};
use super::load::load_needed;
use super::new_file::write_new;
use super::terminal::Terminal;
use crate::checkpoint::{self, CheckpointEntry, CheckpointPosition};
use crate::cli::{
    CheckpointAction, CheckpointImportOptions, CheckpointResetOptions, CheckpointSetOptions,
    EpochSeconds,
};
use crate::config::{CheckpointStorage, Config};
use crate::servicenow::query::query_value_fault;
use crate::terminal_text::clean;
use crate::{runtime, source};

pub(super) use self::place::{open_file, position_of};

impl From<checkpoint::Error> for CommandFailure {
    fn from(error: checkpoint::Error) -> CommandFailure {
        let error = runtime::Error::Checkpoint(error);
        CommandFailure::new(error.exit_code(), error)
    }
}

/// Loads the configuration, of which the keys that the command uses have to be right.
pub(super) fn load(path: &Path, action: &CheckpointAction) -> Result<Config, CommandFailure> {
    let mut needed = match action {
        // A position belongs to the query of its table.
        CheckpointAction::Set(_) => vec!["offset", "servicenow.base_url", "source.tables"],
        _ => vec!["offset"],
    };
    let config = load_needed(path, &needed)?;
    if config.offset.storage == CheckpointStorage::File {
        return Ok(config);
    }
    needed.extend(["kafka", "servicenow.base_url"]);
    load_needed(path, &needed)
}

/// Executes the command.
pub(super) fn execute(
    config: &Config,
    action: CheckpointAction,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    match action {
        CheckpointAction::Show(options) => show(config, options.table.as_deref(), terminal)?,
        CheckpointAction::Set(options) => set(config, options, terminal)?,
        CheckpointAction::Reset(options) => reset(config, &options, terminal)?,
        CheckpointAction::Export(file) => return export(config, &file, terminal),
        CheckpointAction::Import(options) => import(config, &options, terminal)?,
    }
    Ok(exit_code::DONE)
}

fn show(
    config: &Config,
    table: Option<&str>,
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    let stored = read(config)?;
    let is_asked = |name: &str| table.is_none_or(|table| table == name);
    let mut shown = 0;
    for (name, CheckpointEntry { position, .. }) in checkpoint::entries(stored.tables) {
        if is_asked(&name) {
            terminal.line(&line(&name, &position))?;
            shown += 1;
        }
    }
    for (name, why) in stored.refused.iter().filter(|(name, _)| is_asked(name)) {
        terminal.error(&format!("{name}: {why}"));
        shown += 1;
    }
    if shown == 0 {
        let what = table.map_or("any table".to_owned(), |table| format!("table `{table}`"));
        terminal.error(&format!("{}: no checkpoint of {what} yet", stored.place));
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
    let store = open(config, options.take_over)?;
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
    place::finish(&store)?;
    Ok(terminal.line(&shown)?)
}

fn reset(
    config: &Config,
    options: &CheckpointResetOptions,
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    let table = &options.table;
    let store = open(config, options.take_over)?;
    if !store.remove(table) {
        place::release(&store)?;
        let place = place::name(config);
        let text = format!("{place}: no checkpoint of table `{table}`");
        return Err(CommandFailure::new(exit_code::USAGE, text));
    }
    place::finish(&store)?;
    Ok(terminal.line(&format!("{table}: will be read from the beginning"))?)
}

fn export(config: &Config, file: &Path, terminal: &mut Terminal<'_>) -> ExitResult {
    let stored = read(config)?;
    write_new(file, &checkpoint::render(&stored.tables))?;
    let (count, shown) = (stored.tables.len(), file.display());
    terminal.line(&format!("{shown}: positions of {count} tables"))?;
    for (name, why) in &stored.refused {
        terminal.error(&format!("{name} is not in it: {why}"));
    }
    Ok(if stored.refused.is_empty() {
        exit_code::DONE
    } else {
        exit_code::NOT_AS_ASKED
    })
}

fn import(
    config: &Config,
    options: &CheckpointImportOptions,
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    let file = &options.file;
    let Some(mut found) = checkpoint::read_stored(file)? else {
        let text = format!("{}: there is no such file", file.display());
        return Err(CommandFailure::new(exit_code::USAGE, text));
    };
    found.retain(|_, stored| stored.entry().is_some());
    let store = open(config, options.take_over)?;
    store.import(found.clone());
    place::finish(&store)?;
    for (name, entry) in checkpoint::entries(found) {
        terminal.line(&line(&name, &entry.position))?;
    }
    Ok(())
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
