//! The configuration, and what it names on this machine.

use std::path::Path;

use super::finding::{FindingArea, FindingLevel};
use super::report::FindingReport;
use crate::commands::offline::OfflineFindings;
use crate::config::{self, Config};

/// Loads the configuration. `None`: it has to be put right before anything else can be looked at.
pub(super) fn examine(path: &Path, report: &mut FindingReport<'_, '_>) -> Option<Config> {
    let file = path.display().to_string();
    let place = |line: Option<usize>, key: &str| match (line, key) {
        (Some(line), "") => format!("{file}:{line}"),
        (None, "") => file.clone(),
        (Some(line), key) => format!("{file}:{line}: {key}"),
        (None, key) => format!("{file}: {key}"),
    };
    let (config, warnings) = match config::load(path) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in &problems.list {
                let subject = place(problem.line, &problem.path);
                report.add(FindingArea::Configuration.worded(
                    FindingLevel::Failure,
                    subject,
                    &problem.message,
                ));
            }
            let more = match problems.unlisted {
                0 => String::new(),
                more => format!("{more} more problems of this file are not listed, and "),
            };
            let seen = format!("{more}nothing else was looked at");
            report.add(FindingArea::Configuration.failure(
                file,
                seen,
                "put the configuration right, then call `doctor` again",
            ));
            return None;
        }
    };
    let offline = OfflineFindings::of(&config);
    let what = format!(
        "valid; tables to read: {}, topics to write from: {}",
        config.active_tables().len(),
        config.active_topics().len()
    );
    report.add(FindingArea::Configuration.ok(file.clone(), what));
    for problem in &offline.problems {
        report.add(FindingArea::Configuration.worded(FindingLevel::Failure, file.clone(), problem));
    }
    for warning in warnings.iter().chain(&offline.warnings) {
        let subject = place(warning.line, &warning.path);
        report.add(FindingArea::Configuration.worded(
            FindingLevel::Warning,
            subject,
            &warning.message,
        ));
    }
    Some(config)
}
