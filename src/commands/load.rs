//! The configuration of a command.

use std::path::Path;

use super::failure::{CommandFailure, exit_code};
use crate::config::{self, Config, ConfigWarning};

/// Loads a configuration that has to be right.
pub(super) fn load(path: &Path) -> Result<Config, CommandFailure> {
    Ok(load_with_warnings(path)?.0)
}

/// The same, with what is doubtful in it.
pub(super) fn load_with_warnings(
    path: &Path,
) -> Result<(Config, Vec<ConfigWarning>), CommandFailure> {
    config::load(path).map_err(|problems| CommandFailure::new(exit_code::CONFIGURATION, problems))
}
