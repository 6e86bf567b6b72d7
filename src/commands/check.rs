//! `check`: whether the configuration is right, and with `--connect` whether what it names answers.

use std::path::Path;

use super::failure::{ExitResult, exit_code};
use super::load::load_with_warnings;
use super::terminal::Terminal;
use crate::cli::CheckOptions;

mod connect;
mod report;

use self::report::CheckReport;

/// Executes the command.
pub(super) fn execute(
    path: &Path,
    options: &CheckOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let (config, warnings) = load_with_warnings(path)?;
    let counted = match warnings.len() {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    let file = path.display().to_string();
    terminal.line(&format!("{file}: configuration is valid{counted}"))?;
    for warning in &warnings {
        terminal.error(&format!("warning: {}", warning.in_file(&file)));
    }
    if !options.connect {
        return Ok(exit_code::DONE);
    }
    let mut report = CheckReport {
        terminal,
        written: Ok(()),
        has_failures: false,
    };
    connect::check(&config, &mut report);
    report.written?;
    Ok(if report.has_failures {
        exit_code::TRY_AGAIN
    } else {
        exit_code::DONE
    })
}
