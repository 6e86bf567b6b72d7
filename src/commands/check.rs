//! `check`: whether the configuration is right, and with `--connect` whether what it names answers.

use std::io;
use std::path::Path;

use super::{CommandResult, Terminal, exit_code, load_with_warnings};
use crate::cli::CheckOptions;

mod connect;

/// Executes the command.
pub(super) fn execute(
    path: &Path,
    options: &CheckOptions,
    terminal: &mut Terminal<'_>,
) -> CommandResult {
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

/// Findings as lines of the output, which are written as they are found.
struct CheckReport<'r, 't> {
    terminal: &'r mut Terminal<'t>,
    /// The first error while writing; nothing is written behind it.
    written: io::Result<()>,
    has_failures: bool,
}

impl CheckReport<'_, '_> {
    fn good(&mut self, what: &str) {
        self.write("ok", what);
    }

    /// Something the reader should know that is no failure.
    fn note(&mut self, what: &str) {
        self.write("note", what);
    }

    fn bad(&mut self, what: &impl ToString) {
        self.has_failures = true;
        self.write("FAILED", &what.to_string());
    }

    fn write(&mut self, verdict: &str, what: &str) {
        if self.written.is_ok() {
            let written = self.terminal.line(&format!("{verdict:6}  {what}"));
            self.written = written.and_then(|()| self.terminal.flush());
        }
    }
}
