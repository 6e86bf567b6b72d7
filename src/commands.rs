//! What each command of the command line does. Output is handed back, not printed, so that `main`
//! alone owns the terminal; `run` and `check` report progress through their own channels, and
//! `dead-letters` and `status` write to the [`Terminal`] that `main` gives it.

use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{self, CheckpointEntry, CheckpointPosition};
use crate::cli::{self, CheckpointAction, CheckpointSetOptions, CliCommand, Invocation};
use crate::config::{self, Config, LoadedConfig};
use crate::daemon;
use crate::metrics::Metrics;
use crate::runtime;
use crate::source;

mod admin;
mod connect;
mod dead_letters;
mod reload;
mod schema;
mod terminal;

pub use self::terminal::Terminal;

/// What a command leaves behind.
#[derive(Debug, Default)]
pub struct CommandOutcome {
    /// Lines for standard output.
    pub output: Vec<String>,
    /// Lines for standard error.
    pub errors: Vec<String>,
    /// Exit code: 0 done, 1 partly done, 64 usage, 70 bug, 75 try again, 78 configuration.
    pub code: u8,
}

impl CommandOutcome {
    fn output(text: impl Into<String>) -> CommandOutcome {
        CommandOutcome {
            output: vec![text.into().trim_end().to_owned()],
            ..CommandOutcome::default()
        }
    }

    fn failed(code: u8, error: &impl ToString) -> CommandOutcome {
        CommandOutcome {
            errors: vec![error.to_string()],
            code,
            ..CommandOutcome::default()
        }
    }
}

/// Executes a command. `terminal` is for those that say more than fits into [`CommandOutcome`].
pub fn execute(invocation: Invocation, terminal: &mut Terminal<'_>) -> CommandOutcome {
    let Invocation { config, command } = invocation;
    match command {
        CliCommand::Version => CommandOutcome::output(cli::version()),
        CliCommand::Help(topic) => CommandOutcome::output(cli::help(topic)),
        CliCommand::Man => CommandOutcome::output(cli::man()),
        CliCommand::Completions(shell) => CommandOutcome::output(cli::completions(shell)),
        CliCommand::ShowConfig => {
            with_config(&config, |c, _| CommandOutcome::output(config::show(c)))
        }
        CliCommand::Check(options) => with_config(&config, |loaded, warnings| {
            let done = valid(&config, warnings);
            if options.connect {
                connect::check(loaded, done)
            } else {
                done
            }
        }),
        CliCommand::Checkpoint(action) => {
            with_config(&config, |loaded, _| checkpoint_command(loaded, action))
        }
        CliCommand::DeadLetters(action) => with_config(&config, |loaded, _| {
            dead_letters::execute(loaded, &action, terminal)
        }),
        CliCommand::Admin(action) => match config::load_observability(&config) {
            Ok((found, problems)) => {
                if let Some(problems) = problems {
                    terminal.note(&format!(
                        "{problems}; asking the running bridge all the same"
                    ));
                }
                admin::execute(&found, &action, terminal)
            }
            Err(problems) => CommandOutcome::failed(78, &problems),
        },
        CliCommand::Reload => with_config(&config, |c, _| reload::reload(c)),
        CliCommand::Schema(action, options) => with_config(&config, |loaded, _| {
            schema::execute(loaded, action, &options)
        }),
        CliCommand::Run => run(&config),
    }
}

fn with_config(
    path: &Path,
    then: impl FnOnce(&Config, &[String]) -> CommandOutcome,
) -> CommandOutcome {
    match config::load(path) {
        Ok((config, warnings)) => {
            let file = path.display().to_string();
            let warnings: Vec<String> = warnings
                .iter()
                .map(|warning| warning.in_file(&file))
                .collect();
            then(&config, &warnings)
        }
        Err(problems) => CommandOutcome::failed(78, &problems),
    }
}

/// What `check` says of a configuration without a problem.
fn valid(path: &Path, warnings: &[String]) -> CommandOutcome {
    let counted = match warnings.len() {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    let warning = |text: &String| format!("warning: {text}");
    CommandOutcome {
        output: vec![format!(
            "{}: configuration is valid{counted}",
            path.display()
        )],
        errors: warnings.iter().map(warning).collect(),
        code: 0,
    }
}

fn run(path: &Path) -> CommandOutcome {
    let (loaded, files) = config::load_with_files(path);
    let (config, warnings) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => return CommandOutcome::failed(78, &problems),
    };
    let metrics = Arc::new(Metrics::new());
    let logging = daemon::init_logging(config.log_level, config.log_format, &metrics);
    let logging = match logging {
        Ok(logging) => logging,
        Err(error) => return CommandOutcome::failed(70, &error),
    };
    metrics
        .build_info
        .with(&[cli::VERSION, cli::BUILD_REVISION, cli::BUILD_TARGET])
        .set(1.0);
    log::info!(version = cli::VERSION, revision = cli::BUILD_REVISION, instance = config.servicenow.base_url,
        tables = config.source.tables.len(); "servicenow-kafka-bridge starts");
    let file = path.display().to_string();
    for warning in warnings {
        log::warn!(warning = warning.in_file(&file); "configuration");
    }
    let loaded = LoadedConfig { config, files };
    match runtime::run(path, loaded, &metrics, logging) {
        Ok(()) => CommandOutcome::default(),
        Err(error) => {
            let code = error.exit_code();
            log::error!(error:% = error, exit_code = code; "the bridge ends");
            CommandOutcome {
                code,
                ..CommandOutcome::default()
            }
        }
    }
}

fn checkpoint_command(config: &Config, action: CheckpointAction) -> CommandOutcome {
    let path = &config.offset.file_path;
    let result = match action {
        CheckpointAction::Show(options) => show(path, options.table.as_deref()),
        CheckpointAction::Set(options) => set(config, options),
        CheckpointAction::Reset(table) => reset(path, &table),
    };
    result.unwrap_or_else(|error| {
        let error = runtime::Error::Checkpoint(error);
        CommandOutcome::failed(error.exit_code(), &error)
    })
}

fn show(path: &Path, table: Option<&str>) -> Result<CommandOutcome, checkpoint::Error> {
    let entries = checkpoint::read_only(path)?;
    let mut done = CommandOutcome::default();
    for (name, CheckpointEntry { position, .. }) in entries {
        if table.is_none_or(|table| table == name) {
            done.output.push(line(&name, &position));
        }
    }
    if done.output.is_empty() {
        let what = table.map_or("any table".to_owned(), |table| format!("table `{table}`"));
        done.errors
            .push(format!("{}: no checkpoint of {what} yet", path.display()));
    }
    Ok(done)
}

fn set(
    config: &Config,
    options: CheckpointSetOptions,
) -> Result<CommandOutcome, checkpoint::Error> {
    let table = options.table.as_str();
    let position = CheckpointPosition {
        timestamp: options.timestamp.0,
        last_identifier: options.last_identifier.unwrap_or_default(),
    };
    let Some(found) = config
        .source
        .tables
        .iter()
        .find(|known| known.name == table)
    else {
        let error =
            format!("table `{table}` is not in the configuration; a position needs its query");
        return Ok(CommandOutcome::failed(64, &error));
    };
    let store = checkpoint::CheckpointStore::open(&config.offset.file_path, &Metrics::new())?;
    let fingerprint = Some(source::fingerprint(&config.servicenow.base_url, found));
    let shown = line(table, &position);
    store.advance(
        table,
        CheckpointEntry {
            position,
            fingerprint,
        },
        0,
    );
    store.flush()?;
    Ok(CommandOutcome::output(shown))
}

fn reset(path: &Path, table: &str) -> Result<CommandOutcome, checkpoint::Error> {
    let store = checkpoint::CheckpointStore::open(path, &Metrics::new())?;
    if !store.remove(table) {
        let error = format!("{}: no checkpoint of table `{table}`", path.display());
        return Ok(CommandOutcome::failed(64, &error));
    }
    store.flush()?;
    Ok(CommandOutcome::output(format!(
        "{table}: will be read from the beginning"
    )))
}

fn line(table: &str, position: &CheckpointPosition) -> String {
    let time = jiff::Timestamp::from_second(position.timestamp)
        .map_or_else(|_| position.timestamp.to_string(), |time| time.to_string());
    format!("{table}\t{time}\t{}", position.last_identifier)
        .trim_end()
        .to_owned()
}
