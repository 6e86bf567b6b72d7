//! The supervisor: starts everything, owns every thread, stops everything inside a deadline.
//!
//! Each pipeline, a table or the sink, has a slot (`pipeline_slot`) that starts it, watches it and ends
//! it. Which slots are to run follows from the configuration alone: a reload changes that, and the slots
//! follow step by step. Decisions are pure where they can be (`config::ConfigDiff`, `pipeline_slot`); one
//! loop (`supervisor`) acts on them.

mod activity_log;
mod connections;
mod error;
mod factories;
mod helper_threads;
mod pause_display;
mod pipeline_slot;
mod pipelines;
mod reload;
mod reload_queue;
mod services;
mod shutdown;
mod supervisor;
mod systemd;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::{CurrentConfig, LoadedConfig};
use crate::daemon::{self, LogControl};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::{admin, control};
use services::Services;
use supervisor::Supervisor;

pub use error::Error;

/// Runs the bridge until a signal stops it. `path` is the file that `loaded` came from.
///
/// # Errors
/// The reason that kept it from starting, or the work that it left unfinished.
pub fn run(
    path: &Path,
    loaded: LoadedConfig,
    metrics: &Arc<Metrics>,
    logging: LogControl,
) -> Result<(), Error> {
    let health = Arc::new(Health::new());
    let config = &loaded.config;
    let current = Arc::new(CurrentConfig::new(config.clone()));
    let store = factories::checkpoints(&current, metrics).map_err(Error::Checkpoint)?;
    let (_signals, signals) = daemon::signals().map_err(Error::System)?;
    let (control, requests) = control::pair();
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
    let services = Services {
        metrics: Arc::clone(metrics),
        health,
        store,
        control,
        current,
    };
    metrics.record_reload(true, SystemTime::now());
    let inputs = (signals, requests);
    let result = Supervisor::start(path.to_owned(), loaded, services, logging, inputs)
        .and_then(|(supervisor, inputs)| supervisor.run(inputs));
    server.stop();
    result
}
