//! What `check --connect` finds.

use std::io;

use crate::commands::terminal::Terminal;

/// Findings as lines of the output, which are written as they are found.
pub(super) struct CheckReport<'r, 't> {
    pub(super) terminal: &'r mut Terminal<'t>,
    /// The first error while writing; nothing is written behind it.
    pub(super) written: io::Result<()>,
    pub(super) has_failures: bool,
}

impl CheckReport<'_, '_> {
    pub(super) fn good(&mut self, what: &str) {
        self.write("ok", what);
    }

    /// Something the reader should know that is no failure.
    pub(super) fn note(&mut self, what: &str) {
        self.write("note", what);
    }

    pub(super) fn bad(&mut self, what: &impl ToString) {
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
