//! Findings on their way to the output.

use std::io;

use serde::Serialize;

use super::finding::{Finding, FindingArea, FindingLevel};
use crate::commands::terminal::Terminal;

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum ReportStyle {
    /// A line for each, as it is found.
    Lines,
    /// The same below a heading for each area, with what to do in a line of its own, and sums at the end.
    ByArea,
    /// One JSON object at the end.
    Json,
}

/// Writes findings, and counts them.
pub(in crate::commands) struct FindingReport<'r, 't> {
    terminal: &'r mut Terminal<'t>,
    style: ReportStyle,
    /// The first error while writing; nothing is written behind it.
    written: io::Result<()>,
    area: Option<FindingArea>,
    findings: Vec<Finding>,
}

/// The report as JSON.
#[derive(Serialize)]
struct JsonReport<'a> {
    /// The worst of all.
    level: FindingLevel,
    warnings: usize,
    failures: usize,
    findings: &'a [Finding],
}

impl<'r, 't> FindingReport<'r, 't> {
    pub(in crate::commands) fn new(
        terminal: &'r mut Terminal<'t>,
        style: ReportStyle,
    ) -> FindingReport<'r, 't> {
        FindingReport {
            terminal,
            style,
            written: Ok(()),
            area: None,
            findings: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        if self.written.is_ok() {
            self.written = self.write(&finding);
        }
        self.findings.push(finding);
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    fn write(&mut self, finding: &Finding) -> io::Result<()> {
        match self.style {
            ReportStyle::Json => return Ok(()),
            ReportStyle::Lines => self.terminal.line(&finding.line())?,
            ReportStyle::ByArea => {
                if self.area != Some(finding.area) {
                    if self.area.is_some() {
                        self.terminal.line("")?;
                    }
                    self.area = Some(finding.area);
                    self.terminal.line(finding.area.heading())?;
                }
                self.terminal.line(&format!("  {}", finding.headline()))?;
                if let Some(cure) = &finding.cure {
                    self.terminal.line(&format!("          -> {cure}"))?;
                }
            }
        }
        self.terminal.flush()
    }

    fn count(&self, level: FindingLevel) -> usize {
        let all = self.findings.iter();
        all.filter(|finding| finding.level == level).count()
    }

    /// Writes what comes at the end. Gives the worst level.
    pub(in crate::commands) fn end(self) -> io::Result<FindingLevel> {
        let (warnings, failures) = (
            self.count(FindingLevel::Warning),
            self.count(FindingLevel::Failure),
        );
        let levels = self.findings.iter().map(|finding| finding.level);
        let level = levels.max().unwrap_or(FindingLevel::Ok);
        self.written?;
        match self.style {
            ReportStyle::Lines => {}
            ReportStyle::ByArea => {
                let well = self.findings.len() - warnings - failures;
                let sums = format!("ok: {well}, warnings: {warnings}, failures: {failures}");
                self.terminal.line("")?;
                self.terminal.line(&sums)?;
            }
            ReportStyle::Json => {
                let report = JsonReport {
                    level,
                    warnings,
                    failures,
                    findings: &self.findings,
                };
                let json = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
                self.terminal.json(&json)?;
            }
        }
        Ok(level)
    }
}
