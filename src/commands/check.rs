//! `check`: whether the configuration is right, and with `--connect` whether what it names answers.

use std::path::Path;

use super::doctor::{self, FindingLevel, FindingReport, ReportStyle};
use super::failure::{CommandFailure, ExitResult, exit_code};
use super::load::load_with_warnings;
use super::offline::OfflineFindings;
use super::terminal::Terminal;
use crate::cli::CheckOptions;

/// Executes the command.
pub(super) fn execute(
    path: &Path,
    options: &CheckOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let (config, mut warnings) = load_with_warnings(path)?;
    let file = path.display().to_string();
    let OfflineFindings {
        problems,
        warnings: more,
    } = OfflineFindings::of(&config);
    if !problems.is_empty() {
        let text = listed(&file, &problems);
        return Err(CommandFailure::new(exit_code::CONFIGURATION, text));
    }
    warnings.extend(more);
    let counted = match warnings.len() {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    terminal.line(&format!("{file}: configuration is valid{counted}"))?;
    for warning in &warnings {
        terminal.error(&format!("warning: {}", warning.in_file(&file)));
    }
    if !options.connect {
        return Ok(exit_code::DONE);
    }
    let mut report = FindingReport::new(terminal, ReportStyle::Lines);
    doctor::examine_remote(&config, &mut report)?;
    Ok(match report.end()? {
        FindingLevel::Ok | FindingLevel::Warning => exit_code::DONE,
        FindingLevel::Failure => exit_code::TRY_AGAIN,
    })
}

/// Problems in the form of those that the configuration itself has.
fn listed(file: &str, problems: &[String]) -> String {
    let mut text: String = problems
        .iter()
        .map(|problem| format!("{file}: {problem}\n"))
        .collect();
    text.push_str(&match problems.len() {
        1 => format!("{file}: 1 problem"),
        count => format!("{file}: {count} problems"),
    });
    text
}
