//! `schema`: the Avro schema of a table, beside the one that is registered.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::{CommandFailure, ExitResult, exit_code};
use super::terminal::Terminal;
use crate::avro::desired_schema;
use crate::avro::desired_schema::{DesiredSchema, SchemaUnavailable};
use crate::avro::{ForeignSchema, KEY_SCHEMA};
use crate::cli::{SchemaAction, SchemaOptions};
use crate::config::{Config, KeyFormat, TableConfig, TableFormat};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::registry;
use crate::registry::{LatestOwnVersion, NextSchema};
use crate::registry::{RecordPart, Registry, RegistryFailure, SubjectSchema};
use crate::servicenow::InstanceClient;
use crate::stop::{self, Stop};
use crate::terminal_text::clean_json;

/// Retries are for long-running bridges; a command answers soon.
const SCHEMA_COMMAND_RETRIES: u32 = 1;
/// The compatibility level of a subject whose versions are not compared.
const COMPATIBILITY_NONE: &str = "NONE";

impl From<registry::Error> for CommandFailure {
    fn from(error: registry::Error) -> CommandFailure {
        let refused = matches!(
            error.cause(),
            Some(
                RegistryFailure::Incompatible { .. }
                    | RegistryFailure::InvalidSchema { .. }
                    | RegistryFailure::References { .. }
            )
        );
        let code = match &error {
            registry::Error::Setup(_) => exit_code::CONFIGURATION,
            _ if refused => exit_code::CONFIGURATION,
            _ => exit_code::TRY_AGAIN,
        };
        CommandFailure::new(code, error)
    }
}

impl From<SchemaUnavailable> for CommandFailure {
    fn from(why: SchemaUnavailable) -> CommandFailure {
        let code = match why {
            SchemaUnavailable::Error(_) => exit_code::TRY_AGAIN,
            SchemaUnavailable::Hidden(_) => exit_code::CONFIGURATION,
        };
        CommandFailure::new(code, why)
    }
}

/// What is known of a table's schema.
struct SchemaFindings {
    table: String,
    subject: String,
    /// What is to be registered: what is there already, grown, or the wanted one.
    next: NextSchema,
    /// In words.
    changes: Vec<String>,
    notes: Vec<String>,
}

/// The keys of the configuration that the command uses.
pub(super) const NEEDED_KEYS: [&str; 6] = [
    "servicenow",
    "kafka.schema_registry_url",
    "schema_registry",
    "source.schema",
    "source.tables",
    "source.topic_prefix",
];

/// Executes the command.
pub(super) fn execute(
    config: &Config,
    action: SchemaAction,
    options: &SchemaOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    // A command is stopped by killing it only; its waits have bounds of their own.
    let (_trigger, stop) = stop::pair();
    let table = find(config, &options.table)?;
    let registry = Registry::new(&config.schema_registry, &Metrics::new())?;
    let findings = findings(config, table, &registry, &stop)?;
    let answer = match action {
        SchemaAction::Show => SchemaAnswer::of_show(&findings),
        SchemaAction::Diff => diff(&findings, &registry, &stop)?,
        SchemaAction::Register => register(&findings, table, &registry, &stop)?,
    };
    if options.json {
        terminal.json(&findings.json(answer.details))?;
    } else {
        terminal.text(&answer.text)?;
    }
    for note in &findings.notes {
        terminal.error(note);
    }
    Ok(answer.code)
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a TableConfig, CommandFailure> {
    let mut tables = config.source.tables.iter();
    let Some(table) = tables.find(|table| table.name == name) else {
        let words = format!("table `{name}` is not in `source.tables` of the configuration");
        return Err(CommandFailure::new(exit_code::USAGE, words));
    };
    if config.schema_registry.urls.is_empty() {
        let words = "`schema_registry.url` is not set: there is no Avro";
        return Err(CommandFailure::new(exit_code::CONFIGURATION, words));
    }
    if table.format == TableFormat::Json {
        let words = format!("table `{name}` has `format: json`, and so no schema");
        return Err(CommandFailure::new(exit_code::CONFIGURATION, words));
    }
    Ok(table)
}

fn findings(
    config: &Config,
    table: &TableConfig,
    registry: &Registry,
    stop: &Stop,
) -> Result<SchemaFindings, CommandFailure> {
    let DesiredSchema { schema, mut notes } = wanted(config, table, stop)?;
    let subject = registry.table_subject(table);
    let next = NextSchema::find(registry, &subject, &schema, None, stop)?;
    if let Some(why) = &next.foreign {
        notes.push(if next.grows {
            followed(&subject, why)
        } else {
            why.advice(&subject, &table.name)
        });
    }
    Ok(SchemaFindings {
        table: table.name.clone(),
        subject,
        changes: next.changes.iter().map(ToString::to_string).collect(),
        next,
        notes,
    })
}

/// Asks the instance only where the configuration does not say everything.
fn wanted(
    config: &Config,
    table: &TableConfig,
    stop: &Stop,
) -> Result<DesiredSchema, CommandFailure> {
    if let Some(schema) = desired_schema::without_instance(table) {
        let notes = Vec::new();
        return Ok(DesiredSchema { schema, notes });
    }
    let mut servicenow = config.servicenow.clone();
    servicenow.max_retries = Some(SCHEMA_COMMAND_RETRIES);
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let client = InstanceClient::start(&servicenow, &metrics, &health)
        .map_err(|error| CommandFailure::new(exit_code::CONFIGURATION, error))?;
    Ok(desired_schema::desired_schema(
        &client,
        &servicenow.table_api_path,
        table,
        stop,
    )?)
}

/// Whether rows of an Avro table can be written, for `doctor` and `check --connect`.
pub(super) fn check(
    config: &Config,
    table: &TableConfig,
    registry: &Registry,
    notes: &mut Vec<String>,
    stop: &Stop,
) -> Result<String, String> {
    let subject = registry.table_subject(table);
    let checked = if registry.auto_registers() {
        check_wanted(config, table, registry, notes, stop)
    } else {
        check_pinned(table, registry, notes, stop)
    };
    match checked {
        Ok(words) => Ok(format!("subject {subject}: {words}")),
        Err(CommandFailure { text, .. }) => Err(text),
    }
}

/// With `auto_register: false` it is what is registered that counts, whatever the instance says.
fn check_pinned(
    table: &TableConfig,
    registry: &Registry,
    notes: &mut Vec<String>,
    stop: &Stop,
) -> Result<String, CommandFailure> {
    let subject = registry.table_subject(table);
    let Some(latest) = registry.latest(&subject, stop)? else {
        let words = format!(
            "subject {subject}: nothing is registered; use `schema register {}`, or set \
             `schema_registry.auto_register: true`",
            table.name
        );
        return Err(CommandFailure::new(exit_code::CONFIGURATION, words));
    };
    let newest = LatestOwnVersion::find(registry, &subject, &latest, stop)?;
    let (version, _) = newest
        .or_advice(&subject, &table.name)
        .map_err(|words| CommandFailure::new(exit_code::CONFIGURATION, words))?;
    notes.extend(newest.foreign.as_ref().map(|why| followed(&subject, why)));
    Ok(described(Some(version)))
}

/// What is wanted is registered, or will be.
fn check_wanted(
    config: &Config,
    table: &TableConfig,
    registry: &Registry,
    notes: &mut Vec<String>,
    stop: &Stop,
) -> Result<String, CommandFailure> {
    let findings = findings(config, table, registry, stop)?;
    notes.extend_from_slice(&findings.notes);
    let registered = findings.registered();
    if findings.next.serves.is_some() {
        return Ok(registered);
    }
    let fit = CompatibilityVerdict::find(&findings, registry, stop)?;
    if fit.compatible {
        return Ok(format!("{registered}; a new one will be"));
    }
    let words = format!(
        "subject {}: {registered}, and would refuse what the table needs: {}",
        findings.subject,
        fit.reasons.join("; ")
    );
    Err(CommandFailure::new(exit_code::CONFIGURATION, words))
}

/// Whether the registry takes the schema that is to be registered.
struct CompatibilityVerdict {
    compatible: bool,
    /// Never empty where it does not.
    reasons: Vec<String>,
    /// The compatibility level of a subject that has a schema.
    level: Option<String>,
}

impl CompatibilityVerdict {
    /// Asks only where something is compared: Apicurio says of the rest that it does not fit, and then
    /// takes it.
    fn find(
        findings: &SchemaFindings,
        registry: &Registry,
        stop: &Stop,
    ) -> Result<CompatibilityVerdict, CommandFailure> {
        let (subject, next) = (&findings.subject, &findings.next);
        let level = match next.latest {
            Some(_) => registry.compatibility_level(subject, stop).ok(),
            None => None,
        };
        let mut compatible = next.serves.is_some() || level.as_deref() == Some(COMPATIBILITY_NONE);
        let mut reasons = Vec::new();
        if !compatible {
            let fits = registry.check(subject, next.schema.json(), stop)?;
            (compatible, reasons) = (fits.compatible, fits.reasons);
            if !compatible && reasons.is_empty() {
                reasons.push("it gives no reason".to_owned());
            }
        }
        Ok(CompatibilityVerdict {
            compatible,
            reasons,
            level,
        })
    }
}

impl SchemaFindings {
    /// What serves as it is, or else what is registered last.
    fn version(&self) -> Option<&SubjectSchema> {
        self.next.serves.as_ref().or(self.next.latest.as_ref())
    }

    fn registered(&self) -> String {
        described(self.version())
    }

    fn heading(&self) -> String {
        format!("subject {}: {}", self.subject, self.registered())
    }

    /// One object with what all actions know, and `more`.
    fn json(&self, more: SchemaReportDetails) -> String {
        let answer = SchemaReport {
            table: &self.table,
            subject: &self.subject,
            schema: serde_json::from_str(self.next.schema.json()).ok(),
            registered: self.version().map(|latest| RegisteredVersion {
                id: latest.id,
                version: latest.version,
                schema: serde_json::from_str(&latest.schema).ok(),
            }),
            is_registered: self.next.serves.is_some(),
            changes: &self.changes,
            notes: &self.notes,
            more,
        };
        // Texts, numbers and JSON always have a JSON form.
        serde_json::to_string(&answer).unwrap_or_default()
    }
}

/// Says that another producer's schema is registered on top of one of ours, and what is done then.
fn followed(subject: &str, why: &ForeignSchema) -> String {
    format!("what is registered as `{subject}` is {why}; our own version below it is followed")
}

/// `version 3, id 17, is registered`.
fn described(version: Option<&SubjectSchema>) -> String {
    let Some(registered) = version else {
        return "nothing is registered".to_owned();
    };
    let version = registered.version.unwrap_or_default();
    format!("version {version}, id {}, is registered", registered.id)
}

/// What `--json` prints. Schemas stay as they are: the order of their members is for people.
#[derive(Serialize)]
struct SchemaReport<'a> {
    table: &'a str,
    subject: &'a str,
    schema: Option<&'a RawValue>,
    registered: Option<RegisteredVersion<'a>>,
    is_registered: bool,
    changes: &'a [String],
    notes: &'a [String],
    #[serde(flatten)]
    more: SchemaReportDetails,
}

#[derive(Serialize)]
struct RegisteredVersion<'a> {
    id: u32,
    version: Option<u32>,
    schema: Option<&'a RawValue>,
}

/// What only some actions know.
#[derive(Default, Serialize)]
#[serde(untagged)]
enum SchemaReportDetails {
    #[default]
    Nothing,
    Fit {
        compatible: bool,
        reasons: Vec<String>,
        compatibility: Option<String>,
    },
    Registered {
        ids: Vec<RegisteredSubject>,
    },
}

#[derive(Serialize)]
struct RegisteredSubject {
    subject: String,
    id: u32,
}

/// What an action says of a schema.
struct SchemaAnswer {
    /// For people: lines.
    text: String,
    /// For programs, beside what all actions know.
    details: SchemaReportDetails,
    code: u8,
}

impl SchemaAnswer {
    fn of_show(findings: &SchemaFindings) -> SchemaAnswer {
        let schema = lines(&clean_json(findings.next.schema.json()));
        SchemaAnswer {
            text: format!("{}\n{schema}", findings.heading()),
            details: SchemaReportDetails::Nothing,
            code: exit_code::DONE,
        }
    }
}

/// JSON with a line for each member of the record and for each field.
fn lines(json: &str) -> String {
    const MAX_BROKEN_DEPTH: usize = 2;
    let mut out = String::new();
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    for letter in json.chars() {
        let mark = !in_text && !escaped;
        match letter {
            '"' if !escaped => in_text = !in_text,
            '}' | ']' if mark => {
                depth = depth.saturating_sub(1);
                if depth < MAX_BROKEN_DEPTH {
                    line(&mut out, depth);
                }
            }
            _ => {}
        }
        out.push(letter);
        match letter {
            '{' | '[' if mark => {
                depth += 1;
                if depth <= MAX_BROKEN_DEPTH {
                    line(&mut out, depth);
                }
            }
            ',' if mark && depth <= MAX_BROKEN_DEPTH => line(&mut out, depth),
            _ => {}
        }
        escaped = in_text && letter == '\\' && !escaped;
    }
    out
}

fn diff(
    findings: &SchemaFindings,
    registry: &Registry,
    stop: &Stop,
) -> Result<SchemaAnswer, CommandFailure> {
    let fit = CompatibilityVerdict::find(findings, registry, stop)?;
    let mut text = vec![findings.heading()];
    text.extend(findings.changes.iter().map(|change| format!("  {change}")));
    text.push(verdict(findings, &fit).to_owned());
    text.extend(fit.reasons.iter().map(|reason| format!("  {reason}")));
    if let (Some(level), false) = (&fit.level, fit.compatible) {
        text.push(format!("  the subject's compatibility is {level}"));
    }
    Ok(SchemaAnswer {
        text: text.join("\n"),
        code: if !fit.compatible {
            exit_code::CONFIGURATION
        } else if findings.next.serves.is_some() {
            exit_code::DONE
        } else {
            exit_code::NOT_AS_ASKED
        },
        details: SchemaReportDetails::Fit {
            compatible: fit.compatible,
            reasons: fit.reasons,
            compatibility: fit.level,
        },
    })
}

fn verdict(findings: &SchemaFindings, fit: &CompatibilityVerdict) -> &'static str {
    if findings.next.serves.is_some() {
        return "what is registered serves: there is nothing to register";
    }
    if !fit.compatible {
        "the registry would refuse the schema of `schema show`"
    } else if fit.level.as_deref() == Some(COMPATIBILITY_NONE) {
        "the registry takes the schema of `schema show`: it compares nothing (NONE)"
    } else {
        "the registry would take the schema of `schema show`"
    }
}

/// Registers the schema whatever `auto_register` says: that is about what `run` does by itself.
fn register(
    findings: &SchemaFindings,
    table: &TableConfig,
    registry: &Registry,
    stop: &Stop,
) -> Result<SchemaAnswer, CommandFailure> {
    let subject = findings.subject.clone();
    let id = findings.next.register(registry, &subject, stop)?;
    let mut ids = vec![RegisteredSubject { subject, id }];
    if table.schema.key == KeyFormat::Avro {
        let subject = registry.subject(&table.topic, RecordPart::Key, None);
        let id = registry.register(&subject, KEY_SCHEMA, stop)?;
        ids.push(RegisteredSubject { subject, id });
    }
    let line = |it: &RegisteredSubject| format!("subject {}: id {}\n", it.subject, it.id);
    Ok(SchemaAnswer {
        text: ids.iter().map(line).collect(),
        details: SchemaReportDetails::Registered { ids },
        code: exit_code::DONE,
    })
}

#[cfg(test)]
mod tests;
