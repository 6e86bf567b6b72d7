//! What each command of the command line does. Output is handed back, not printed, so that `main`
//! alone owns the terminal; `run` and `check` report progress through their own channels, and
//! `dead-letters` and `status` write to the [`Screen`] that `main` gives it.

use std::path::Path;
use std::sync::Arc;

use crate::runtime;
use crate::checkpoint::{self, Entry, Position};
use crate::cli::{self, CheckpointAction, Command};
use crate::config::{self, Config, Loaded};
use crate::daemon;
use crate::metrics::Metrics;
use crate::source;

mod admin;
mod connect;
mod dead_letters;
mod reload;
mod schema;
mod terminal;

pub use self::terminal::Screen;

/// What a command leaves behind.
#[derive(Debug, Default)]
pub struct Done {
    /// Lines for standard output.
    pub output: Vec<String>,
    /// Lines for standard error.
    pub errors: Vec<String>,
    /// Exit code: 0 done, 1 partly done, 64 usage, 70 bug, 75 try again, 78 configuration.
    pub code: u8,
}

impl Done {
    fn output(text: impl Into<String>) -> Done {
        Done {
            output: vec![text.into().trim_end().to_owned()],
            ..Done::default()
        }
    }

    fn failed(code: u8, error: &impl ToString) -> Done {
        Done {
            errors: vec![error.to_string()],
            code,
            ..Done::default()
        }
    }
}

/// Executes a command. `screen` is for those that say more than fits into [`Done`].
pub fn execute(command: Command, screen: &mut Screen<'_>) -> Done {
    match command {
        Command::Version => Done::output(cli::version()),
        Command::Help(topic) => Done::output(cli::help(topic)),
        Command::ShowConfig { config } => {
            with_config(&config, |c, _| Done::output(config::show(c)))
        }
        Command::Check { config, connect } => with_config(&config, |loaded, warnings| {
            let done = valid(&config, warnings);
            match connect {
                true => connect::check(loaded, done),
                false => done,
            }
        }),
        Command::Checkpoint { config, action } => with_config(&config, |loaded, _| {
            checkpoint_command(loaded, action.clone())
        }),
        Command::DeadLetters {
            config,
            action,
            which,
            json,
        } => with_config(&config, |loaded, _| {
            dead_letters::execute(loaded, &action, &which, json, screen)
        }),
        Command::Admin { config, action } => match config::load_observability(&config) {
            Ok((found, problems)) => {
                if let Some(problems) = problems {
                    screen.note(&format!(
                        "{problems}; asking the running bridge all the same"
                    ));
                }
                admin::execute(&found, &action, screen)
            }
            Err(problems) => Done::failed(78, &problems),
        },
        Command::Reload { config } => with_config(&config, |c, _| reload::reload(c)),
        Command::Schema {
            config,
            action,
            table,
            json,
        } => with_config(&config, |loaded, _| {
            schema::execute(loaded, action, &table, json)
        }),
        Command::Run { config } => run(&config),
    }
}

fn with_config(path: &Path, then: impl FnOnce(&Config, &[String]) -> Done) -> Done {
    match config::load(path) {
        Ok((config, warnings)) => {
            let file = path.display().to_string();
            let warnings: Vec<String> = warnings
                .iter()
                .map(|warning| warning.in_file(&file))
                .collect();
            then(&config, &warnings)
        }
        Err(problems) => Done::failed(78, &problems),
    }
}

/// What `check` says of a configuration without a problem.
fn valid(path: &Path, warnings: &[String]) -> Done {
    let counted = match warnings.len() {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    let warning = |text: &String| format!("warning: {text}");
    Done {
        output: vec![format!(
            "{}: configuration is valid{counted}",
            path.display()
        )],
        errors: warnings.iter().map(warning).collect(),
        code: 0,
    }
}

fn run(path: &Path) -> Done {
    let (loaded, files) = config::load_with_files(path);
    let (config, warnings) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => return Done::failed(78, &problems),
    };
    let metrics = Arc::new(Metrics::new());
    let logging = daemon::init_logging(config.log_level, config.log_format, &metrics);
    let logging = match logging {
        Ok(logging) => logging,
        Err(error) => return Done::failed(70, &error),
    };
    metrics
        .build_info
        .with(&[cli::VERSION, cli::REVISION, cli::TARGET])
        .set(1.0);
    log::info!(version = cli::VERSION, revision = cli::REVISION, instance = config.servicenow.base_url,
        tables = config.source.tables.len(); "servicenow-kafka-bridge starts");
    let file = path.display().to_string();
    for warning in warnings {
        log::warn!(warning = warning.in_file(&file); "configuration");
    }
    let loaded = Loaded { config, files };
    match runtime::run(path, loaded, &metrics, logging) {
        Ok(()) => Done::default(),
        Err(error) => {
            let code = error.exit_code();
            log::error!(error:% = error, exit_code = code; "the bridge ends");
            Done {
                code,
                ..Done::default()
            }
        }
    }
}

fn checkpoint_command(config: &Config, action: CheckpointAction) -> Done {
    let path = &config.offset.file_path;
    let result = match action {
        CheckpointAction::Show { table } => show(path, table.as_deref()),
        CheckpointAction::Set {
            table,
            timestamp,
            last_identifier,
        } => set(
            config,
            &table,
            Position {
                timestamp,
                last_identifier,
            },
        ),
        CheckpointAction::Reset { table } => reset(path, &table),
    };
    result.unwrap_or_else(|error| {
        let error = runtime::Error::Checkpoint(error);
        Done::failed(error.exit_code(), &error)
    })
}

fn show(path: &Path, table: Option<&str>) -> Result<Done, checkpoint::Error> {
    let entries = checkpoint::read_only(path)?;
    let mut done = Done::default();
    for (name, Entry { position, .. }) in entries {
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

fn set(config: &Config, table: &str, position: Position) -> Result<Done, checkpoint::Error> {
    let Some(found) = config
        .source
        .tables
        .iter()
        .find(|known| known.name == table)
    else {
        let error =
            format!("table `{table}` is not in the configuration; a position needs its query");
        return Ok(Done::failed(64, &error));
    };
    let store = checkpoint::Store::open(&config.offset.file_path, &Metrics::new())?;
    let fingerprint = Some(source::fingerprint(&config.servicenow.base_url, found));
    let shown = line(table, &position);
    store.advance(
        table,
        Entry {
            position,
            fingerprint,
        },
        0,
    );
    store.flush()?;
    Ok(Done::output(shown))
}

fn reset(path: &Path, table: &str) -> Result<Done, checkpoint::Error> {
    let store = checkpoint::Store::open(path, &Metrics::new())?;
    if !store.remove(table) {
        let error = format!("{}: no checkpoint of table `{table}`", path.display());
        return Ok(Done::failed(64, &error));
    }
    store.flush()?;
    Ok(Done::output(format!(
        "{table}: will be read from the beginning"
    )))
}

fn line(table: &str, position: &Position) -> String {
    let time = jiff::Timestamp::from_second(position.timestamp)
        .map_or_else(|_| position.timestamp.to_string(), |time| time.to_string());
    format!("{table}\t{time}\t{}", position.last_identifier)
        .trim_end()
        .to_owned()
}
