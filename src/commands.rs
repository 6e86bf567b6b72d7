//! What each command of the command line does.
//!
//! A command writes to the [`Terminal`] that `main` gives it, and hands back its exit code; only `run`
//! speaks through the log.

use std::path::Path;

use crate::cli::{self, CliCommand, Invocation};
use crate::config::{self, ObservabilityConfig};

mod admin;
mod check;
mod checkpoint;
mod dead_letters;
mod doctor;
mod failure;
mod interrupt;
mod load;
mod migrate;
mod new_file;
mod offline;
mod probe;
mod reload;
mod run;
mod running_bridge;
mod schema;
mod table;
mod terminal;
mod verify;

pub use self::failure::exit_code;
use self::failure::{CommandFailure, ExitResult, conclude};
use self::load::{config_file, load, load_needed};
pub use self::terminal::Terminal;

/// Executes a command; the exit code.
pub fn execute(invocation: Invocation, terminal: &mut Terminal<'_>) -> u8 {
    let result = dispatch(invocation, terminal);
    conclude(result, terminal)
}

fn dispatch(invocation: Invocation, terminal: &mut Terminal<'_>) -> ExitResult {
    let Invocation { config, command } = invocation;
    let config = config_file(config);
    match command {
        CliCommand::Version => print(&cli::version(), terminal),
        CliCommand::Help(topic) => print(&cli::help(&topic), terminal),
        CliCommand::Man(page) => print(&cli::man(page), terminal),
        CliCommand::Completions(shell) => print(&cli::completions(shell), terminal),
        CliCommand::Run => run::run(&config),
        CliCommand::Check(options) => check::execute(&config, &options, terminal),
        CliCommand::Doctor(options) => doctor::execute(&config, &options, terminal),
        CliCommand::ShowConfig => print(&config::show(&load(&config)?), terminal),
        CliCommand::Reload => reload::execute(&load(&config)?, terminal),
        CliCommand::Checkpoint(action) => {
            let config = checkpoint::load(&config, &action)?;
            checkpoint::execute(&config, action, terminal)
        }
        CliCommand::DeadLetters(action) => {
            let config = load_needed(&config, dead_letters::needed_keys(&action))?;
            dead_letters::execute(&config, &action, terminal)
        }
        CliCommand::Schema(action, options) => {
            let config = load_needed(&config, &schema::NEEDED_KEYS)?;
            schema::execute(&config, action, &options, terminal)
        }
        CliCommand::Verify(options) => verify::execute(&load(&config)?, &options, terminal),
        CliCommand::Migrate(options) => migrate::execute(&options, terminal),
        CliCommand::Admin(action) => admin::execute(&port(&config, terminal)?, &action, terminal),
        CliCommand::Probe(options) => {
            let addr = match options.addr {
                Some(address) => address.0,
                None => port(&config, terminal)?.addr,
            };
            probe::execute(&addr, options.question.unwrap_or_default(), terminal)
        }
    }
}

fn print(text: &str, terminal: &mut Terminal<'_>) -> ExitResult {
    terminal.text(text)?;
    Ok(exit_code::DONE)
}

/// Where a running bridge is asked. That can be done with a configuration that is broken elsewhere: that
/// is when one wants to ask it.
fn port(path: &Path, terminal: &mut Terminal<'_>) -> Result<ObservabilityConfig, CommandFailure> {
    let (observability, problems) = config::load_observability(path)
        .map_err(|problems| CommandFailure::new(exit_code::CONFIGURATION, problems))?;
    if let Some(problems) = problems {
        terminal.note(&format!(
            "{problems}; asking the running bridge all the same"
        ));
    }
    Ok(observability)
}
