//! `check --connect`: asks the instance, Kafka and the schema registry everything that `run` will
//! need.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::query_terms::QueryTerms;
use super::report::CheckReport;
use crate::avro::desired_schema;
use crate::commands::schema;
use crate::config::{Config, TableConfig, TableFormat};
use crate::health::Health;
use crate::kafka::{self, Producer};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::servicenow::query::{Slice, TimeLiterals};
use crate::servicenow::table_api;
use crate::servicenow::table_api::TableRequests;
use crate::servicenow::{
    self, AnswerRow, AnswerRows, InstanceClient, InstanceFailure, ReadRequest, ResponseHead,
};
use crate::source::time_zone::TimeZoneError;
use crate::source::{self, SourceInstance};
use crate::stop::{self, Stop};

/// Rows in which one is looked for that can be read, when the first cannot.
const READABLE_ROW_SAMPLE: u32 = 1000;
/// What is said instead of trying once more.
const NOT_TRIED_AFTER_REFUSED_LOGIN: &str = "not tried: the log-in was refused";

/// Asks for all that the configuration names.
pub(super) fn check(config: &Config, report: &mut CheckReport<'_, '_>) {
    let mut config = config.clone();
    // Retries are for long-running bridges; a check answers soon.
    config.servicenow.max_retries = Some(0);
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::new());
    let (_trigger, stop) = stop::pair();
    let mut login_refused = false;
    match InstanceClient::start(&config.servicenow, &metrics, &health) {
        Ok(client) => login_refused = instance(&config, client, &stop, report),
        Err(error) => report.bad(&error),
    }
    kafka(&config, &metrics, &health, report);
    match Registry::configured(&config.schema_registry, &metrics) {
        Ok(Some(found)) => registry(&config, &found, login_refused, &stop, report),
        Ok(None) => {}
        Err(error) => report.bad(&error),
    }
}

/// Whether the instance refused the log-in.
fn instance(
    config: &Config,
    client: InstanceClient,
    stop: &Stop,
    report: &mut CheckReport<'_, '_>,
) -> bool {
    let servicenow = &config.servicenow;
    let path = servicenow.table_api_path.as_str();
    let zone = servicenow.query_time_zone.clone();
    let mut checker = InstanceChecker {
        instance: SourceInstance::new(Arc::new(client), path, zone),
        stop,
        refused: false,
    };
    let literals = match checker.literals() {
        Ok(literals) => {
            report.good(&format!("times in queries are read as {literals}"));
            literals
        }
        Err(error) => {
            report.bad(&error);
            TimeLiterals::Utc
        }
    };
    for table in config.active_tables() {
        match checker.look(path, table, &literals) {
            Ok(words) => {
                report.good(&format!("table `{}`: {words}", table.name));
                checker.query(path, table, report);
            }
            Err(error) => report.bad(&format!("table `{}`: {error}", table.name)),
        }
    }
    for topic in config.active_topics() {
        let (topic, table) = (&topic.topic, &topic.table);
        match checker.ask(&table_api::one_row(path, table)) {
            Ok(_) => report.good(&format!("table `{table}` (sink, from {topic}) answers")),
            Err(error) => report.bad(&format!("table `{table}` (sink): {error}")),
        }
    }
    if let Some(lead) = checker.instance.host_lead() {
        clock(lead, report);
    }
    checker.instance.client().shutdown();
    checker.refused
}

/// `lead`: by how many seconds this host's clock is ahead.
fn clock(lead: f64, report: &mut CheckReport<'_, '_>) {
    if lead.abs() < source::CLOCK_DIFFERENCE_SECONDS {
        report.good(&format!(
            "the instance's clock is {:.0} s from this host's",
            lead.abs()
        ));
    } else {
        report.note(&source::clock_difference(lead));
    }
}

/// Asks the instance until it refuses the log-in: each further try helps to lock the account.
struct InstanceChecker<'a> {
    instance: SourceInstance,
    stop: &'a Stop,
    refused: bool,
}

impl InstanceChecker<'_> {
    fn literals(&mut self) -> Result<TimeLiterals, String> {
        match self.instance.literals(self.stop) {
            Ok(literals) => Ok(literals.clone()),
            Err(TimeZoneError::Request(why)) if refuses_login(&why) => {
                self.refused = true;
                Err(format!("the log-in was refused: {why}"))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn ask(&mut self, get: &ReadRequest<'_>) -> Result<(AnswerRows, ResponseHead), String> {
        if self.refused {
            return Err(NOT_TRIED_AFTER_REFUSED_LOGIN.to_owned());
        }
        let client = self.instance.client();
        let answer = match client.get_result(get, self.stop) {
            // Once more, so that a single slip on the way does not call for a second check.
            Err(error) if error.is_retryable() && !refuses_login(&error) => {
                client.get_result(get, self.stop)
            }
            answer => answer,
        };
        match answer {
            Ok(answer) => {
                self.instance.observe(&answer.head);
                let rows = answer.rows(get).map_err(|cause| cause.to_string())?;
                Ok((rows, answer.head))
            }
            Err(error) => {
                self.refused = refuses_login(&error);
                Err(format!("{error:#}"))
            }
        }
    }

    /// Looks up the columns of the table's query, and counts the rows with and without each condition: an
    /// instance drops a condition that it does not understand, and says nothing.
    fn query(&mut self, path: &str, table: &TableConfig, report: &mut CheckReport<'_, '_>) {
        let Some(query) = table.query.as_deref() else {
            return;
        };
        let name = &table.name;
        let Some(terms) = QueryTerms::of(query) else {
            report.note(&format!(
                "table `{name}`: the conditions of its query cannot be compared"
            ));
            return;
        };
        let compared = self
            .missing_columns(path, table, &terms)
            .and_then(|missing| {
                let with = self.count(path, table, Some(query))?;
                for (term, rest) in terms.each_without() {
                    let without = self.count(path, table, rest.as_deref())?;
                    if with < without || without == 0 {
                        continue;
                    }
                    let term_text = term.text();
                    let words = format!(
                        "table `{name}`: the condition `{term_text}` of its query narrows nothing: \
                     {with} rows with it and without it"
                    );
                    match term.columns().find(|column| missing.contains(column)) {
                    Some(column) => report.bad(&format!(
                        "{words}; the table has no column `{column}` that the integration user \
                         may read, so the instance drops the condition"
                    )),
                    None => report.note(&format!(
                        "{words}; an instance drops a condition whose operator or value it does \
                         not understand"
                    )),
                }
                }
                Ok(())
            });
        if let Err(why) = compared {
            report.note(&format!(
                "table `{name}`: the conditions of its query were not compared: {why}"
            ));
        }
    }

    /// The columns of a query that no row shows: they do not exist, or are hidden.
    fn missing_columns<'q>(
        &mut self,
        path: &str,
        table: &TableConfig,
        terms: &QueryTerms<'q>,
    ) -> Result<Vec<&'q str>, String> {
        let columns = terms.columns();
        let params = vec![
            ("sysparm_fields", columns.join(",")),
            ("sysparm_limit", "1".to_owned()),
        ];
        let (found, _) = self.ask(&table_api::look_up(path, &table.name, params))?;
        Ok(match list_of(found)?.first() {
            Some(row) => columns
                .into_iter()
                .filter(|column| !row.has(column))
                .collect(),
            None => Vec::new(),
        })
    }

    fn count(
        &mut self,
        path: &str,
        table: &TableConfig,
        query: Option<&str>,
    ) -> Result<u64, String> {
        let mut params = vec![
            ("sysparm_fields", table.identifier_field.clone()),
            ("sysparm_limit", "1".to_owned()),
        ];
        if let Some(query) = query {
            params.push(("sysparm_query", query.to_owned()));
        }
        let (_, head) = self.ask(&table_api::look_up(path, &table.name, params))?;
        head.total_count
            .ok_or_else(|| "the instance does not count the rows of an answer".to_owned())
    }

    /// Reads one row the way the source would.
    fn look(
        &mut self,
        path: &str,
        table: &TableConfig,
        literals: &TimeLiterals,
    ) -> Result<String, String> {
        let slice = Slice {
            after: None,
            to: Timestamp::now().as_second() + 86_400,
            id_to: None,
        };
        let encoded = table_api::query_columns(table).encode(&slice, literals);
        let get = TableRequests::new(path, table).list(&encoded, 1, true);
        let (found, meta) = self.ask(&get)?;
        let rows = list_of(found)?;
        let counted = meta
            .total_count
            .map_or("rows not counted".to_owned(), |n| format!("{n} rows"));
        if let Some(row) = rows.first() {
            has_cursor(row, table)?;
            return Ok(format!("{counted}, one read"));
        }
        match meta.total_count {
            Some(0) => Ok(counted),
            None => Ok(format!("{counted}, none read")),
            // Rules may hide the first row and show others.
            Some(_) => {
                let mut narrow = table.clone();
                narrow.fields = vec![table.identifier_field.clone()];
                let get =
                    TableRequests::new(path, &narrow).list(&encoded, READABLE_ROW_SAMPLE, false);
                let (found, _) = self.ask(&get)?;
                let rows = list_of(found)?;
                let Some(row) = rows.first() else {
                    return Err(format!(
                        "{counted}, none readable; give the integration user read access: a \
                         read ACL on the table that lets its rows through"
                    ));
                };
                has_cursor(row, table)?;
                let shown = rows.len();
                Ok(format!(
                    "{counted}, {shown} of the first {READABLE_ROW_SAMPLE} readable"
                ))
            }
        }
    }
}

fn list_of(found: AnswerRows) -> Result<Vec<AnswerRow>, String> {
    let wrong = "the answer is no list".to_owned();
    if found.is_list {
        Ok(found.rows)
    } else {
        Err(wrong)
    }
}

fn has_cursor(row: &AnswerRow, table: &TableConfig) -> Result<(), String> {
    let mut columns = [&table.timestamp_field, &table.identifier_field].into_iter();
    match columns.find(|column| !row.has(column)) {
        None => Ok(()),
        Some(column) => Err(format!(
            "the integration user may not read column `{column}`"
        )),
    }
}

/// Whether the credentials are what is wrong.
fn refuses_login(error: &servicenow::Error) -> bool {
    match error {
        servicenow::Error::Request { asked, cause, .. } => match cause {
            InstanceFailure::Unauthorized { .. } | InstanceFailure::SameToken => true,
            cause => asked.login && !cause.is_retryable(),
        },
        servicenow::Error::Setup(_) | servicenow::Error::Stopped => false,
    }
}

/// `refused`: the instance is not asked for the columns of tables.
fn registry(
    config: &Config,
    registry: &Registry,
    refused: bool,
    stop: &Stop,
    report: &mut CheckReport<'_, '_>,
) {
    match registry.probe_mode(stop) {
        Ok(Some(mode)) if mode.starts_with("READONLY") && registry.auto_registers() => {
            let words = "it takes no schemas, so that new columns would hold their tables";
            report.bad(&format!("the schema registry's mode is {mode}: {words}"));
        }
        Ok(Some(mode)) => report.good(&format!("the schema registry answers; its mode is {mode}")),
        Ok(None) => report.good("the schema registry answers"),
        Err(error) => return report.bad(&error),
    }
    let tables = config.active_tables().iter();
    for table in tables.filter(|table| table.format == TableFormat::Avro) {
        if refused && desired_schema::without_instance(table).is_none() {
            report.bad(&format!(
                "schema of `{}`: {NOT_TRIED_AFTER_REFUSED_LOGIN}",
                table.name
            ));
            continue;
        }
        let mut notes = Vec::new();
        match schema::check(config, table, registry, &mut notes) {
            Ok(words) => report.good(&words),
            Err(words) => report.bad(&words),
        }
        notes.iter().for_each(|note| report.note(note));
    }
}

fn kafka(
    config: &Config,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
    report: &mut CheckReport<'_, '_>,
) {
    // A check must not make topics.
    let mut kafka = config.kafka.clone();
    kafka.create_topics = None;
    let producer = match Producer::start(&kafka, metrics, health) {
        Ok(producer) => producer,
        Err(error) => return report.bad(&error),
    };
    let mut topics = config.topics();
    let mut found = producer.topics(&topics);
    if let Err(kafka::Error::MissingTopics(missing)) = &found
        && let Some(how) = &config.kafka.create_topics
    {
        for topic in missing {
            report.note(&format!(
                "topic {topic} does not exist yet; `run` makes it with {} partitions \
                 (kafka.create_topics)",
                how.partitions
            ));
        }
        topics.retain(|topic| !missing.contains(topic));
        found = producer.topics(&topics);
    }
    match found {
        Ok(topics) => {
            let words = topics
                .iter()
                .map(|topic| format!("{} ({} partitions)", topic.name, topic.partitions));
            let list: Vec<String> = words.collect();
            let list = match list.join(", ") {
                none if none.is_empty() => "none yet".to_owned(),
                list => list,
            };
            report.good(&format!("kafka answers; topics: {list}"));
        }
        Err(error) => report.bad(&error),
    }
    producer.shutdown(Instant::now() + Duration::from_secs(1));
}
