//! `doctor`: looks at everything that a first day can go wrong with. `check --connect` looks at those
//! parts of it that answer over the network.
//!
//! Observations are made at the rim (`instance`, `table`, `kafka`, `registry`, `host`); what they mean is
//! decided in `judge`. It stands beside a running bridge: it takes no lock, joins no group, and writes
//! nothing to the instance, to Kafka or to the registry.

use std::path::Path;

use super::failure::{CommandFailure, ExitResult, exit_code};
use super::terminal::Terminal;
use crate::cli::DoctorOptions;
use crate::config::Config;

mod asker;
mod configuration;
mod deletes;
mod finding;
mod host;
mod instance;
mod judge;
mod kafka;
mod query_terms;
mod registry;
mod report;
mod table;
mod time_bound;

pub(super) use self::finding::FindingLevel;
pub(super) use self::report::{FindingReport, ReportStyle};
use self::time_bound::{TimeBound, with_bounds};

/// Executes the command.
pub(super) fn execute(
    path: &Path,
    options: &DoctorOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let style = if options.json {
        ReportStyle::Json
    } else {
        ReportStyle::ByArea
    };
    let mut report = FindingReport::new(terminal, style);
    if let Some(config) = configuration::examine(path, &mut report) {
        host::examine(&config, &mut report);
        examine_remote(&config, &mut report)?;
    }
    Ok(match report.end()? {
        FindingLevel::Ok => exit_code::DONE,
        FindingLevel::Warning => exit_code::NOT_AS_ASKED,
        FindingLevel::Failure => exit_code::FAILURES_FOUND,
    })
}

/// Looks at what the configuration names elsewhere.
pub(super) fn examine_remote(
    config: &Config,
    report: &mut FindingReport<'_, '_>,
) -> Result<(), CommandFailure> {
    let config = with_bounds(config);
    let bound = TimeBound::begin()?;
    let refused = instance::examine(&config, &bound.stop, report);
    kafka::examine(&config, &bound.stop, report);
    registry::examine(&config, refused, &bound.stop, report);
    Ok(())
}
