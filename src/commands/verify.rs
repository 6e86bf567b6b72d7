//! `verify`: whether a topic holds what its table holds.

mod certificates;
mod repair;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::checkpoint::position_of;
use super::failure::{CommandFailure, ExitResult, exit_code};
use super::interrupt::InterruptListener;
use super::terminal::Terminal;
use crate::cli::VerifyOptions;
use crate::config::{Config, TableConfig};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::servicenow::InstanceClient;
use crate::source::SourceInstance;
use crate::stop::{self, Stop};
use crate::verify::{
    self, DEFAULT_WAIT, DeliveredTo, IdSlice, KnownFrom, RowIdentifier, Surroundings, Thoroughness,
    Wish,
};

/// Attempts of a request, so that a failure that passes does not end a comparison of hours.
const VERIFY_RETRIES: u32 = 5;
/// Time between two words on the progress where they do not replace each other.
const PROGRESS_LINE_INTERVAL: Duration = Duration::from_secs(10);

impl From<verify::Error> for CommandFailure {
    fn from(error: verify::Error) -> CommandFailure {
        let code = match &error {
            verify::Error::Topic(error) if error.is_missing_topic() => exit_code::NOT_AS_ASKED,
            verify::Error::Topic(error) if error.is_configuration() => exit_code::CONFIGURATION,
            verify::Error::Unusable(_) => exit_code::CONFIGURATION,
            _ => exit_code::TRY_AGAIN,
        };
        let text = match error {
            verify::Error::Stopped => "stopped; the same command goes on where it was".to_owned(),
            error => error.to_string(),
        };
        CommandFailure::new(code, text)
    }
}

/// Executes the command.
pub(super) fn execute(
    config: &Config,
    options: &VerifyOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let table = find(config, &options.table)?;
    if options.repair {
        repair::check(config)?;
    }
    let interrupt = InterruptListener::listen()
        .map_err(|error| CommandFailure::new(exit_code::TRY_AGAIN, error))?;
    if let Some(file) = &options.topic_only {
        return certificates::check(config, table, file, &interrupt.soon, terminal);
    }
    let instance = instance(config)?;
    let delivered = || {
        let position = position_of(config, &table.name)?;
        Some(DeliveredTo {
            seconds: position.timestamp,
            id: RowIdentifier::new(&position.last_identifier),
        })
    };
    let mut told: Option<Instant> = None;
    let mut progress = |words: &str| {
        let is_due = told.is_none_or(|told| told.elapsed() >= PROGRESS_LINE_INTERVAL);
        if terminal.is_live() || is_due {
            told = Some(Instant::now());
            terminal.progress(words);
        }
    };
    let wish = Wish {
        thoroughness: if options.full {
            Thoroughness::Full
        } else {
            Thoroughness::Sums
        },
        known_from: if options.index {
            KnownFrom::Index
        } else {
            KnownFrom::Topic
        },
        slice: options.slice.unwrap_or(IdSlice::ALL),
        wait: options.wait.unwrap_or(DEFAULT_WAIT),
        certificate: options.certificate.is_some() || is_proof_due(table, options),
    };
    let around = Surroundings {
        config,
        instance: &instance,
        stop: &interrupt.soon,
        delivered: &delivered,
        progress: &mut progress,
    };
    let report = abortable(&instance, &interrupt.soon, || {
        verify::compare(table, wish, around)
    })??;
    if let Some(certificate) = &report.certificate {
        if let Some(file) = &options.certificate {
            certificates::write(certificate, file)?;
        }
        certificates::publish(config, table, certificate, &interrupt.now)?;
    }
    if options.repair {
        repair::hand_over(config, table, &report, terminal)?;
    }
    if options.json {
        terminal.json(&report.json().to_string())?;
    } else {
        terminal.text(&report.to_string())?;
    }
    Ok(if report.differs() {
        exit_code::NOT_AS_ASKED
    } else {
        exit_code::DONE
    })
}

/// Does `work`, whose request under way a stop ends at once.
fn abortable<T>(
    instance: &SourceInstance,
    stop: &Stop,
    work: impl FnOnce() -> T,
) -> Result<T, CommandFailure> {
    let (over, is_over) = stop::pair();
    thread::scope(|scope| {
        let watch = || {
            crossbeam_channel::select! {
                recv(stop.receiver()) -> _ => instance.client().abort(),
                recv(is_over.receiver()) -> _ => {}
            }
        };
        thread::Builder::new()
            .name("verify-stop".to_owned())
            .spawn_scoped(scope, watch)
            .map_err(|error| CommandFailure::new(exit_code::TRY_AGAIN, error))?;
        let result = work();
        drop(over);
        Ok(result)
    })
}

/// A full comparison of all rows goes to the topic of proofs, where there is one.
fn is_proof_due(table: &TableConfig, options: &VerifyOptions) -> bool {
    table.proof_topic.is_some() && options.full && options.slice.is_none() && !options.index
}

fn find<'c>(config: &'c Config, name: &str) -> Result<&'c TableConfig, CommandFailure> {
    let mut tables = config.source.tables.iter();
    tables.find(|table| table.name == name).ok_or_else(|| {
        let words = format!("table `{name}` is not in `source.tables` of the configuration");
        CommandFailure::new(exit_code::USAGE, words)
    })
}

/// A client of its own, beside that of a running bridge.
fn instance(config: &Config) -> Result<SourceInstance, CommandFailure> {
    let mut servicenow = config.servicenow.clone();
    servicenow.max_retries = Some(VERIFY_RETRIES);
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let client = InstanceClient::start(&servicenow, &metrics, &health)
        .map_err(|error| CommandFailure::new(exit_code::CONFIGURATION, error))?;
    Ok(SourceInstance::new(Arc::new(client), &servicenow))
}
