//! The schema registry: whether it answers, what it takes, and whether the tables' schemas fit.

use super::asker::NOT_TRIED_AFTER_REFUSED_LOGIN;
use super::finding::{FindingArea, FindingLevel};
use super::report::FindingReport;
use crate::avro::desired_schema;
use crate::commands::schema;
use crate::config::{Config, TableFormat};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::stop::Stop;

/// `refused`: the instance is not asked for the columns of tables.
pub(super) fn examine(
    config: &Config,
    refused: bool,
    stop: &Stop,
    report: &mut FindingReport<'_, '_>,
) {
    let registry = match Registry::configured(&config.schema_registry, &Metrics::new()) {
        Ok(Some(registry)) => registry,
        Ok(None) => return,
        Err(error) => return report.add(FindingArea::Registry.error("client", &error)),
    };
    let subject = "schema registry";
    let mode = match registry.probe_mode(stop) {
        Ok(mode) => mode,
        Err(error) => {
            let cure =
                "check schema_registry.url, that the registry runs, and the firewalls on the way";
            let finding = FindingArea::Registry.error(subject, &error);
            return report.add(finding.or_cure(cure));
        }
    };
    report.add(match mode {
        Some(mode) if mode.starts_with("READONLY") && registry.auto_registers() => {
            let cure = "set its mode to READWRITE, or register the schemas yourself and set \
                        schema_registry.auto_register: false";
            let seen = format!(
                "its mode is {mode}: it takes no schemas, so that new columns would hold their tables"
            );
            FindingArea::Registry.failure(subject, seen, cure)
        }
        Some(mode) => FindingArea::Registry.ok(subject, format!("answers; its mode is {mode}")),
        None => FindingArea::Registry.ok(subject, "answers"),
    });
    let tables = config.active_tables().iter();
    for table in tables.filter(|table| table.format == TableFormat::Avro) {
        let subject = format!("schema of `{}`", table.name);
        if refused && desired_schema::without_instance(table).is_none() {
            report.add(FindingArea::Registry.error(subject, &NOT_TRIED_AFTER_REFUSED_LOGIN));
            continue;
        }
        if stop.is_stopped() {
            let seen = "not tried: the time for all checks together is up";
            let cure = "see which answers above took long, and call it again";
            report.add(FindingArea::Registry.warning(subject, seen, cure));
            continue;
        }
        let mut notes = Vec::new();
        match schema::check(config, table, &registry, &mut notes, stop) {
            Ok(words) => report.add(FindingArea::Registry.ok(subject.clone(), words)),
            Err(words) => report.add(FindingArea::Registry.error(subject.clone(), &words)),
        }
        for note in &notes {
            report.add(FindingArea::Registry.worded(FindingLevel::Warning, subject.clone(), note));
        }
    }
}
