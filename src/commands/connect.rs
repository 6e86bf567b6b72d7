//! `check --connect`: asks the instance, Kafka and the schema registry everything that `run` will
//! need.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Done, schema};
use crate::config::{Config, Format, Table};
use crate::health::Health;
use crate::kafka::Producer;
use crate::metrics::Metrics;
use crate::schema::registry::Registry;
use crate::servicenow::query::Slice;
use crate::servicenow::table::{self, TableRequests};
use crate::servicenow::{Client, Meta};
use crate::sink;
use crate::source::Instance;
use crate::stop::{self, Stop};

/// Retries are for long-running bridges; a check answers soon.
const RETRIES: u32 = 1;
/// A clock that is further off than this is worth a word, in seconds.
const SKEW: i64 = 5;

/// Adds the findings to `done`; exit code 75 when something did not work.
pub(super) fn check(config: &Config, mut done: Done) -> Done {
    let mut config = config.clone();
    config.servicenow.max_retries = Some(RETRIES);
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::new());
    let (_trigger, stop) = stop::pair();
    match Client::start(&config.servicenow, &metrics, &health) {
        Ok(client) => instance(&config, &Arc::new(client), &stop, &mut done),
        Err(error) => bad(&mut done, &error),
    }
    kafka(&config, &metrics, &health, &mut done);
    match Registry::configured(&config.schema_registry, &metrics) {
        Ok(Some(found)) => registry(&config, &found, &stop, &mut done),
        Ok(None) => {}
        Err(error) => bad(&mut done, &error),
    }
    done
}

fn good(done: &mut Done, what: impl AsRef<str>) {
    done.output.push(format!("ok      {}", what.as_ref()));
}

fn bad(done: &mut Done, what: &impl ToString) {
    done.output.push(format!("FAILED  {}", what.to_string()));
    done.code = 75;
}

fn instance(config: &Config, client: &Arc<Client>, stop: &Stop, done: &mut Done) {
    let servicenow = &config.servicenow;
    let instance = Instance::new(
        Arc::clone(client),
        &servicenow.table_api_path,
        servicenow.query_time_zone.clone(),
    );
    let mut zone_known = false;
    match instance.literals(stop) {
        Ok(literals) => {
            zone_known = true;
            good(done, format!("times in queries are read as {literals}"));
        }
        Err(error) => bad(done, &error),
    }
    let source = &config.source;
    for table in source.tables.iter().filter(|_| source.enabled) {
        match one_row(
            &instance,
            servicenow.table_api_path.as_str(),
            table,
            zone_known,
            stop,
        ) {
            Ok((words, meta)) => {
                instance.observe(&meta);
                good(done, words);
            }
            Err(error) => bad(done, &format!("table `{}`: {error}", table.name)),
        }
    }
    let sink = &config.sink;
    for topic in sink.topics.iter().filter(|_| sink.enabled) {
        match client.get_result(&sink::probe(&servicenow.table_api_path, &topic.table), stop) {
            Ok((_, meta)) => {
                instance.observe(&meta);
                let (topic, table) = (&topic.topic, &topic.table);
                good(
                    done,
                    format!("table `{table}` (sink, from {topic}) answers"),
                );
            }
            Err(error) => bad(done, &format!("table `{}` (sink): {error}", topic.table)),
        }
    }
    if let Some(closed) = instance.closed_second(Instant::now()) {
        let skew = closed + 1 - Timestamp::now().as_second();
        let words = format!("the instance's clock is {skew} s from this host's");
        if skew.abs() > SKEW {
            done.output.push(format!(
                "note    {words}; only the instance's clock is used"
            ));
        } else {
            good(done, words);
        }
    }
    client.shutdown();
}

fn registry(config: &Config, registry: &Registry, stop: &Stop, done: &mut Done) {
    match registry.reach(stop) {
        Ok(Some(mode)) if mode.starts_with("READONLY") && registry.registers() => {
            let words = "it takes no schemas, so that new columns would hold their tables";
            bad(
                done,
                &format!("the schema registry's mode is {mode}: {words}"),
            );
        }
        Ok(Some(mode)) => good(
            done,
            format!("the schema registry answers; its mode is {mode}"),
        ),
        Ok(None) => good(done, "the schema registry answers"),
        Err(error) => return bad(done, &error),
    }
    let tables = config
        .source
        .tables
        .iter()
        .filter(|_| config.source.enabled);
    for table in tables.filter(|table| table.format == Format::Avro) {
        let mut notes = Vec::new();
        match schema::check(config, table, registry, &mut notes) {
            Ok(words) => good(done, words),
            Err(words) => bad(done, &words),
        }
        let notes = notes.iter().map(|note| format!("note    {note}"));
        done.output.extend(notes);
    }
}

/// Reads one row the way the source would.
fn one_row(
    instance: &Instance,
    table_api_path: &str,
    table: &Table,
    zone_known: bool,
    stop: &Stop,
) -> Result<(String, Meta), String> {
    let columns = table::columns(table);
    let slice = Slice {
        after: None,
        to: Timestamp::now().as_second() + 86_400,
        id_to: None,
    };
    let literals = if zone_known {
        instance
            .literals(stop)
            .map_err(|error| error.to_string())?
            .clone()
    } else {
        crate::servicenow::query::Literals::Utc
    };
    let encoded = columns.encode(&slice, &literals);
    let get = TableRequests::new(table_api_path, table).list(&encoded, 1, true);
    let (result, meta) = instance
        .client()
        .get_result(&get, stop)
        .map_err(|error| error.to_string())?;
    let rows = result.as_array().ok_or("the answer is no list")?;
    let counted = meta
        .total_count
        .map_or("rows not counted".to_owned(), |n| format!("{n} rows"));
    let Some(row) = rows.first() else {
        return Ok((
            format!("table `{}`: {counted}, none readable", table.name),
            meta,
        ));
    };
    for column in [&table.timestamp_field, &table.identifier_field] {
        if row.get(column).is_none() {
            return Err(format!(
                "the integration user may not read column `{column}`"
            ));
        }
    }
    Ok((format!("table `{}`: {counted}, one read", table.name), meta))
}

fn kafka(config: &Config, metrics: &Arc<Metrics>, health: &Arc<Health>, done: &mut Done) {
    // A check must not make topics.
    let mut kafka = config.kafka.clone();
    kafka.create_topics = None;
    let producer = match Producer::start(&kafka, metrics, health) {
        Ok(producer) => producer,
        Err(error) => return bad(done, &error),
    };
    let topics = config.topics();
    match producer.topics(&topics) {
        Ok(topics) => {
            let words = topics
                .iter()
                .map(|topic| format!("{} ({} partitions)", topic.name, topic.partitions));
            let list: Vec<String> = words.collect();
            good(done, format!("kafka answers; topics: {}", list.join(", ")));
        }
        Err(error) => bad(done, &error),
    }
    producer.shutdown(Instant::now() + Duration::from_secs(1));
}
