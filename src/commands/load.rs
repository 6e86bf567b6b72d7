//! The configuration of a command.

use std::path::{Path, PathBuf};

use super::failure::{CommandFailure, exit_code};
use crate::config::{self, Config, ConfigWarning};

/// Where the configuration is looked for when none is named. The first is that of the Go program, the
/// second that of the packages.
const CONFIG_FILES: [&str; 2] = ["config.yaml", "/etc/servicenow-kafka-bridge/config.yaml"];

/// The configuration that was named, or the first that there is.
pub(super) fn config_file(named: Option<PathBuf>) -> PathBuf {
    named.unwrap_or_else(|| first_existing(CONFIG_FILES.map(Path::new)))
}

/// The first of some files that exists, or else the first.
fn first_existing<const N: usize>(files: [&Path; N]) -> PathBuf {
    let existing = files.iter().find(|file| file.exists());
    let first = existing.or(files.first());
    first.map_or_else(PathBuf::new, |file| file.to_path_buf())
}

/// Loads a configuration of which what stands under these keys has to be right.
pub(super) fn load_needed(path: &Path, needed: &[&str]) -> Result<Config, CommandFailure> {
    config::load_needed(path, needed)
        .map_err(|problems| CommandFailure::new(exit_code::CONFIGURATION, problems))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_that_exists_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| folder.path().join(name));
        assert_eq!(first_existing([&here, &there]), here);
        std::fs::write(&there, "").unwrap();
        assert_eq!(first_existing([&here, &there]), there);
        std::fs::write(&here, "").unwrap();
        assert_eq!(first_existing([&here, &there]), here);
    }
}
