//! The supervisor: starts everything, owns every thread, stops everything inside a deadline.
//!
//! Each pipeline has a place (`slot`) that starts it, looks after it and ends it, and what is to run
//! follows from the configuration alone: a reload changes that, and the places follow. Decisions are
//! pure where they can be (`config::Plan`, `slot`); one loop (`supervisor`) does what they say.

mod connections;
mod factories;
mod helper_threads;
mod pipeline_slot;
mod pipelines;
mod reload;
mod reload_queue;
mod shutdown;
mod supervisor;
mod systemd;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use self::supervisor::Supervisor;
use crate::admin;
use crate::checkpoint;
use crate::config::{self, LoadedConfig};
use crate::control::{self, Control};
use crate::daemon::{self, LogControl};
use crate::health::Health;
use crate::kafka;
use crate::metrics::Metrics;
use crate::registry;
use crate::servicenow;

/// What lives as long as the process.
struct Services {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    store: Arc<checkpoint::CheckpointStore>,
    control: Control,
    /// For the admin port.
    current: Arc<config::CurrentConfig>,
}

/// Why the bridge does not run, or did not end well. Decides the exit code.
#[derive(Debug)]
pub enum Error {
    /// The checkpoint file.
    Checkpoint(checkpoint::Error),
    /// The ServiceNow client.
    ServiceNow(servicenow::Error),
    /// The Kafka producer.
    Kafka(kafka::Error),
    /// The client of the schema registry.
    Registry(registry::Error),
    /// No table can start, and there is nothing else to do.
    Refused(Vec<String>),
    /// The port for health and metrics.
    Admin(admin::Error),
    /// Threads or signals of the operating system.
    System(io::Error),
    /// Stopped before everything that was begun had an end.
    Undelivered {
        /// Rows read but not acknowledged, at least.
        rows: u64,
        /// Records whose writing was begun and has no answer.
        records: u64,
        /// Threads that did not end.
        threads: u64,
    },
}

impl Error {
    /// Exit code: 70 is a bug, 75 safe to start again, 78 a wrong configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            // The lock is free again when the other process ends; a full disk may be emptied.
            Error::Checkpoint(error)
                if error.is_retryable() || matches!(error, checkpoint::Error::Locked { .. }) =>
            {
                75
            }
            // By a predecessor that still stops, perhaps.
            Error::Admin(error) if error.is_in_use() => 75,
            Error::Checkpoint(_) | Error::ServiceNow(_) | Error::Kafka(_) => 78,
            Error::Registry(_) | Error::Refused(_) | Error::Admin(_) => 78,
            Error::System(_) => 75,
            Error::Undelivered { .. } => 75,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Checkpoint(error) => error.fmt(f),
            Error::ServiceNow(error) => error.fmt(f),
            Error::Kafka(error) => error.fmt(f),
            Error::Registry(error) => error.fmt(f),
            Error::Refused(why) => f.write_str(&why.join("; ")),
            Error::Admin(error) => error.fmt(f),
            Error::System(error) => write!(f, "the operating system refuses: {error}"),
            Error::Undelivered {
                rows,
                records,
                threads,
            } => {
                write!(
                    f,
                    "stopped with {rows} rows read but not acknowledged and {records} records \
                     written without an answer; they are repeated at the next start"
                )?;
                match threads {
                    0 => Ok(()),
                    _ => write!(f, " ({threads} threads did not end)"),
                }
            }
        }
    }
}

/// Runs the bridge until a signal stops it. `path` is the file that `loaded` came from.
///
/// # Errors
/// What kept it from starting, or what was left undone.
pub fn run(
    path: &Path,
    loaded: LoadedConfig,
    metrics: &Arc<Metrics>,
    logging: LogControl,
) -> Result<(), Error> {
    let health = Arc::new(Health::new());
    let config = &loaded.config;
    let store = checkpoint::CheckpointStore::open(&config.offset.file_path, metrics);
    let store = Arc::new(store.map_err(Error::Checkpoint)?);
    let (_signals, signals) = daemon::signals().map_err(Error::System)?;
    let (control, requests) = control::pair();
    let current = Arc::new(config::CurrentConfig::new(config.clone()));
    let shown = admin::AdminServices {
        metrics: Arc::clone(metrics),
        health: Arc::clone(&health),
        control: control.clone(),
        config: Arc::clone(&current),
    };
    let server =
        admin::AdminServer::start(&config.observability.addr, shown).map_err(Error::Admin)?;
    for addr in server.local_addrs() {
        log::info!(addr:% = addr; "health and metrics are served");
    }
    let parts = Services {
        metrics: Arc::clone(metrics),
        health,
        store,
        control,
        current,
    };
    metrics.record_reload(true);
    let inputs = (signals, requests);
    let result = Supervisor::start(path.to_owned(), loaded, parts, logging, inputs)
        .and_then(|(supervisor, inputs)| supervisor.run(inputs));
    server.stop();
    result
}
