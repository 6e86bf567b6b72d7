//! `migrate`: from the configurations of other programs to a `config.yaml`, and from their offsets to a
//! checkpoint file.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::failure::{CommandFailure, ExitResult, exit_code};
use super::new_file::write_new;
use super::terminal::Terminal;
use crate::checkpoint::{CheckpointEntry, CheckpointPosition};
use crate::cli::MigrateOptions;
use crate::config;
use crate::regular_file::RegularFile;
use crate::terminal_text::is_active;

mod connect;
mod connector;
mod connectors;
mod draft;
mod foreign;
mod go;
mod offsets;
mod properties;
mod render;
mod rules;

use self::connector::TranslatedConnector;
use self::draft::{ConfigDraft, RemarkKind};
use self::foreign::ForeignConfig;
use self::offsets::{ConnectOffset, MigratedPosition};

/// A larger file is no configuration of one of these programs.
const MAX_FOREIGN_BYTES: u64 = 1 << 20;
/// Offsets of a topic's dump may be many.
const MAX_OFFSETS_BYTES: u64 = 16 << 20;
const STANDARD_INPUT: &str = "-";

/// Executes the command.
pub(super) fn execute(options: &MigrateOptions, terminal: &mut Terminal<'_>) -> ExitResult {
    if options.checkpoint.is_some() && options.offsets.is_none() {
        let words = "--checkpoint: says where what `--offsets` makes is written, and there is no `--offsets`";
        return Err(CommandFailure::new(exit_code::USAGE, words));
    }
    let checkpoint = options.offsets.as_ref().map(|_| checkpoint_path(options));
    refuse_existing(options.output.iter().chain(&checkpoint))?;
    let mut migration = Migration::default();
    for file in &options.files {
        migration.take(file)?;
    }
    if !migration.connectors.is_empty() {
        connect::brokers_of_worker(&mut migration.draft);
    }
    let mut notes = Vec::new();
    if let Some(file) = &options.offsets {
        let offsets = read_offsets(file)?;
        notes = migration.positions(&offsets)?;
    }
    if let Some(path) = &checkpoint {
        migration.name_checkpoint(path)?;
    }
    migration.note_starts();
    migration.check();
    let text = render::config_yaml(&migration.draft, &migration.sources);
    match &options.output {
        Some(path) => write_new(path, &text)?,
        None => terminal.text(&text)?,
    }
    // The last that is written, as root's rights are given up for it.
    if let Some(path) = &checkpoint {
        write_checkpoint(path, &migration.positions).inspect_err(|_| {
            // Without its checkpoint the configuration would send whole tables again.
            options.output.as_ref().map(fs::remove_file);
        })?;
    }
    report(&migration, &notes, checkpoint.as_deref(), terminal);
    let is_open = migration.draft.remarks(RemarkKind::Decide).next().is_some();
    Ok(if is_open {
        exit_code::NOT_AS_ASKED
    } else {
        exit_code::DONE
    })
}

/// What was read, and what is being made of it.
#[derive(Default)]
struct Migration {
    draft: ConfigDraft,
    /// Of each file its name and what it is.
    sources: Vec<String>,
    connectors: Vec<TranslatedConnector>,
    positions: Vec<MigratedPosition>,
}

impl Migration {
    /// Reads a file and translates it into the draft.
    fn take(&mut self, file: &Path) -> Result<(), CommandFailure> {
        let name = file_name(file);
        let wrong =
            |why: String| CommandFailure::new(exit_code::CONFIGURATION, format!("{name}: {why}"));
        let text = read_text(file, MAX_FOREIGN_BYTES).map_err(wrong)?;
        match foreign::read(&text).map_err(wrong)? {
            ForeignConfig::Go(config) => {
                if !self.sources.is_empty() {
                    return Err(wrong(
                        "a configuration of the Go program is migrated alone".to_owned(),
                    ));
                }
                go::translate(&config, &mut self.draft);
                self.sources.push(format!("{name} (of the Go program)"));
            }
            ForeignConfig::Connect(configs) => {
                for config in &configs {
                    let done = connectors::translate(config, &mut self.draft).map_err(wrong)?;
                    self.sources
                        .push(format!("{name} ({})", done.connector.title));
                    self.connectors.push(done);
                }
            }
        }
        Ok(())
    }

    /// Turns offsets into positions; what was assumed, in words.
    fn positions(&mut self, all: &[ConnectOffset]) -> Result<Vec<String>, CommandFailure> {
        let sources: Vec<&TranslatedConnector> = self
            .connectors
            .iter()
            .filter(|connector| connector.connector.offsets.is_some())
            .collect();
        if sources.is_empty() {
            let words = "--offsets: is for source connectors of Kafka Connect, and there is none; the Go \
                         program's `offsets.json` is a checkpoint file already, and a sink goes on at the \
                         offsets of its group";
            return Err(CommandFailure::new(exit_code::USAGE, words));
        }
        if sources.len() > 1 && all.iter().any(|offset| offset.connector.is_none()) {
            let words = "--offsets: does not say of which connector it is, and there are several: give \
                         records of the offsets topic, or migrate one connector at a time";
            return Err(CommandFailure::new(exit_code::USAGE, words));
        }
        let mut notes = Vec::new();
        let now = jiff::Timestamp::now().as_second();
        for connector in sources {
            let (found, said) = offsets::positions(all, connector, &self.draft, now);
            self.positions.extend(found);
            notes.extend(said);
        }
        Ok(notes)
    }

    /// Names the checkpoint file in the configuration, so that the bridge reads this one wherever it starts.
    fn name_checkpoint(&mut self, path: &Path) -> Result<(), CommandFailure> {
        let absolute = std::path::absolute(path).ok();
        let text = absolute.as_deref().and_then(Path::to_str);
        let plain = text.filter(|text| !text.chars().any(is_active));
        let Some(text) = plain else {
            let words = format!(
                "{}: `offset.file_path` cannot name it: choose a path of plain text with `--checkpoint`",
                path.display()
            );
            return Err(CommandFailure::new(exit_code::USAGE, words));
        };
        self.draft
            .set_text("offset.file_path", &draft::literal(text));
        Ok(())
    }

    /// Says where the tables of source connectors begin. One without a position would send again what its
    /// connector had sent, which is to be decided.
    fn note_starts(&mut self) {
        let starts = std::mem::take(&mut self.draft.starts);
        let sources = self.connectors.iter();
        let sources = sources.filter(|it| it.connector.offsets.is_some());
        let places = sources.flat_map(|source| source.tables.iter().map(|(_, place)| place));
        for place in places {
            let start = starts.iter().find(|start| start.place == *place);
            let is_known = self.positions.iter().any(|it| it.place == *place);
            match start {
                Some(start) if is_known => {
                    let words = "the offset says where the table goes on";
                    let kind = RemarkKind::Unneeded;
                    self.draft.remark(kind, &start.setting, words);
                }
                Some(start) => self.draft.note_since(start),
                None => {}
            }
            if !is_known {
                self.draft.decide_start(place);
            }
        }
    }

    /// Checks the result as `check` does, with stand-ins for variables; what is wrong is to be decided.
    fn check(&mut self) {
        let text = render::config_yaml(&self.draft, &[]);
        let variables = self.draft.variables.clone();
        let env = |name: &str| {
            variables
                .get(name)
                .map(|variable| variable.stand_in.clone())
        };
        let Err(problems) = config::parse(&text, &env) else {
            return;
        };
        for problem in problems.list {
            let path = match problem.path.as_str() {
                "" => "config.yaml",
                path => path,
            };
            self.draft
                .remark(RemarkKind::Decide, path, &problem.message);
        }
    }
}

fn file_name(file: &Path) -> String {
    if file == Path::new(STANDARD_INPUT) {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

fn read_text(file: &Path, max: u64) -> Result<String, String> {
    let bytes = if file == Path::new(STANDARD_INPUT) {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().take(max + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("cannot read it: {error}"))?;
        if bytes.len() as u64 > max {
            return Err(format!("is larger than {max} bytes"));
        }
        bytes
    } else {
        let read = RegularFile::read(file, max);
        let read = read.map_err(|fault| format!("cannot read it: {fault}"))?;
        read.bytes.to_vec()
    };
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

fn read_offsets(file: &Path) -> Result<Vec<ConnectOffset>, CommandFailure> {
    let text = read_text(file, MAX_OFFSETS_BYTES);
    text.and_then(|text| offsets::read(&text)).map_err(|why| {
        let words = format!("{}: {why}", file_name(file));
        CommandFailure::new(exit_code::CONFIGURATION, words)
    })
}

/// Where the checkpoint goes: as named, else beside the configuration under the name that it has there.
fn checkpoint_path(options: &MigrateOptions) -> PathBuf {
    options.checkpoint.clone().unwrap_or_else(|| {
        let folder = options.output.as_deref().and_then(Path::parent);
        folder.unwrap_or(Path::new("")).join("offsets.json")
    })
}

/// Nothing is written over.
fn refuse_existing<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<(), CommandFailure> {
    for path in paths {
        if path.symlink_metadata().is_ok() {
            let words = format!(
                "{} is there already, and nothing is written over",
                path.display()
            );
            return Err(CommandFailure::new(exit_code::USAGE, words));
        }
    }
    Ok(())
}

fn write_checkpoint(path: &Path, positions: &[MigratedPosition]) -> Result<(), CommandFailure> {
    let store = checkpoint::open_file(path)?;
    for position in positions {
        let entry = CheckpointEntry {
            position: CheckpointPosition {
                timestamp: position.second,
                last_identifier: String::new(),
            },
            // The first start ties the position to its query.
            fingerprint: None,
        };
        store.advance(&position.table, entry);
    }
    Ok(store.flush()?)
}

/// Says beside the output what the comments of the file say, but for what needs no thought.
fn report(
    migration: &Migration,
    notes: &[String],
    checkpoint: Option<&Path>,
    terminal: &mut Terminal<'_>,
) {
    for (kind, word) in [
        (RemarkKind::Decide, "decide"),
        (RemarkKind::Differs, "differs"),
    ] {
        for remark in migration.draft.remarks(kind) {
            terminal.note(&format!("{word}: {}", render::remark_line(remark)));
        }
    }
    for note in notes {
        terminal.note(&format!("offsets: {note}"));
    }
    if let Some(path) = checkpoint {
        for position in &migration.positions {
            let words = format!("{} reads the whole second again", path.display());
            let time = checkpoint::time(position.second);
            terminal.note(&format!(
                "checkpoint: {} goes on at {time}; {words}",
                position.table
            ));
        }
    }
    for (name, variable) in &migration.draft.variables {
        terminal.note(&format!("set: {name}: {}", variable.meaning));
    }
}

#[cfg(test)]
mod tests;
