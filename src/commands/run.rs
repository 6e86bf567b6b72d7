//! `run`: moves records until it is told to stop.

use std::path::Path;
use std::sync::Arc;

use super::failure::{CommandFailure, ExitResult, exit_code};
use crate::cli;
use crate::config::{self, LoadedConfig};
use crate::daemon;
use crate::metrics::Metrics;
use crate::runtime;

/// Runs the bridge; the exit code is 0 when all that was read is delivered.
pub(super) fn run(path: &Path) -> ExitResult {
    let (loaded, files) = config::load_with_files(path);
    let (config, warnings) =
        loaded.map_err(|problems| CommandFailure::new(exit_code::CONFIGURATION, problems))?;
    let metrics = Arc::new(Metrics::new());
    let logging = daemon::init_logging(
        config.log_level,
        config.log_format,
        &metrics,
        &config::SystemdEnvironment::read(),
    )
    .map_err(|error| CommandFailure::new(exit_code::BUG, error))?;
    metrics
        .build_info
        .with(&[cli::VERSION, cli::BUILD_REVISION, cli::BUILD_TARGET])
        .set(1.0);
    log::info!(version = cli::VERSION, revision = cli::BUILD_REVISION,
        instance = config.servicenow.base_url, tables = config.source.tables.len();
        "servicenow-kafka-bridge starts");
    let file = path.display().to_string();
    for warning in warnings {
        log::warn!(warning = warning.in_file(&file); "configuration");
    }
    let loaded = LoadedConfig { config, files };
    match runtime::run(path, loaded, &metrics, logging) {
        Ok(()) => Ok(exit_code::DONE),
        Err(error) => {
            let code = error.exit_code();
            log::error!(error:% = error, exit_code = code; "the bridge ends");
            Ok(code)
        }
    }
}
