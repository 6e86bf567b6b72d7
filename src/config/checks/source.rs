//! Checks of `source` and its tables.

use std::time::Duration;

use super::{content, deletes, schema};
use crate::config::key_table::{CheckKeys, FromKeys};
use crate::config::keys::{
    DisplayValue, OnOversize, Partitioner, PartitionerKeys, PartitionerKind, SchemaStyle,
    SourceConfig, TableConfig, TableContext, TableFormat,
};
use crate::config::names;
use crate::config::reader::Section;

impl CheckKeys for SourceConfig {
    fn check(section: &Section<'_>, source: SourceConfig, _: &bool) -> SourceConfig {
        let (fast, slow) = (source.fast_poll_interval, source.slow_poll_interval);
        check_poll_intervals(section, fast, slow);
        if source.enabled && source.tables.is_empty() && section.is_empty("tables") {
            let message = "is required: a list with a `name` for each table to poll";
            section.problem("tables", message);
        }
        deletes::check_topics(section, &source);
        content::check_topics(section, &source);
        for (index, table) in source.tables.iter().enumerate() {
            let name = &table.name;
            let mut before = source.tables.iter().take(index);
            if let Some(twin) = before.position(|other| other.name == *name)
                && !name.is_empty()
            {
                let message =
                    format!("`{name}` is already in source.tables[{twin}]; keep one of them");
                section.item_problem("tables", index, "name", message);
            }
        }
        source
    }
}

impl CheckKeys for TableConfig {
    fn check(section: &Section<'_>, mut table: TableConfig, source: &TableContext) -> TableConfig {
        if table.timestamp_field == table.identifier_field {
            let message = "is the same column as `timestamp_field`";
            section.problem("identifier_field", message);
        }
        let (fast, slow) = (table.fast_poll_interval, table.slow_poll_interval);
        if (fast, slow) != (source.fast_poll_interval, source.slow_poll_interval) {
            check_poll_intervals(section, fast, slow);
        }
        remove_doubles(&mut table.fields);
        check_key_columns(section, &table);
        if table.topic.is_empty() && section.is_empty("topic") && !table.name.is_empty() {
            table.topic = default_topic(section, &table.name, source);
        }
        let is_avro = table.format == TableFormat::Avro;
        schema::needs_registry(section, is_avro, source.avro);
        if is_avro {
            check_display_value(section, &table);
        }
        check_letters(section, &table);
        if table.proof_topic.as_ref() == Some(&table.topic) {
            section.problem("proof_topic", "is the topic of the table's records");
        }
        deletes::check_table(section, &table);
        content::check_table(section, &table);
        if table.query.as_deref().is_some_and(looks_percent_encoded) {
            let message = "looks percent-encoded; write it plain, as the list view shows it";
            section.warning("query", message);
        }
        table
    }
}

fn check_poll_intervals(section: &Section<'_>, fast: Duration, slow: Duration) {
    if fast > slow {
        let message = "is longer than `slow_poll_interval`: a poll that found rows is followed by a \
                       longer wait than one that found none";
        section.warning("fast_poll_interval", message);
    }
}

/// Letters of rows that are too large need a topic, and another one than the rows.
fn check_letters(section: &Section<'_>, table: &TableConfig) {
    match (table.on_oversize, &table.dlq_topic) {
        (OnOversize::DeadLetter, None) => {
            let message = "is dead_letter, so a `dlq_topic` is required, here or in `source`";
            section.problem("on_oversize", message);
        }
        (OnOversize::DeadLetter, Some(topic)) if *topic == table.topic => {
            section.problem("dlq_topic", "is the topic of the table's records");
        }
        _ => {}
    }
}

fn remove_doubles(names: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
}

fn default_topic(section: &Section<'_>, table: &str, source: &TableContext) -> String {
    if source.topic_prefix.is_empty() {
        if source.is_source_enabled && !section.is_wrong_elsewhere("source.topic_prefix") {
            section.problem("topic", "is required, as there is no `source.topic_prefix`");
        }
        return String::new();
    }
    let topic = format!("{}.{table}", source.topic_prefix);
    section.noted("topic", names::check_topic(&topic));
    topic
}

/// Avro takes the stored values, of which alone the types are known.
fn check_display_value(section: &Section<'_>, table: &TableConfig) {
    match table.display_value {
        DisplayValue::True if table.schema.style == SchemaStyle::Typed => {
            let message = "must be false or all with `schema.style: typed`, as what the user \
                           sees has no types";
            section.problem("display_value", message);
        }
        DisplayValue::All => {
            let message = "is all, but Avro holds the stored value alone";
            section.warning("display_value", message);
        }
        DisplayValue::False | DisplayValue::True => {}
    }
}

/// The columns of `partition_key_fields` must be among those that the rows come with.
fn check_key_columns(section: &Section<'_>, table: &TableConfig) {
    if table.fields.is_empty() {
        return;
    }
    let cursor = [&table.timestamp_field, &table.identifier_field];
    section.recheck_texts("partition_key_fields", |column| {
        let mut known = table.fields.iter().chain(cursor);
        if known.any(|known| known == column) || names::check_column(column).is_err() {
            return Ok(());
        }
        Err(format!(
            "`{column}` is not in `fields`, so the rows come without it; add it there"
        ))
    });
}

impl FromKeys for Partitioner {
    type Keys = PartitionerKeys;

    fn from_keys(section: &Section<'_>, keys: PartitionerKeys) -> Partitioner {
        const KEY: &str = "partition_key_fields";
        let is_field_based = keys.partitioner == PartitionerKind::FieldBased;
        if is_field_based && section.is_empty(KEY) {
            section.problem(KEY, "is required with `partitioner: field_based`");
        }
        if !is_field_based && !keys.partition_key_fields.is_empty() {
            let message = "is not used: set `partitioner: field_based` or remove it";
            section.warning(KEY, message);
        }
        match keys.partitioner {
            PartitionerKind::Default => Partitioner::Default,
            PartitionerKind::RoundRobin => Partitioner::RoundRobin,
            PartitionerKind::FieldBased => Partitioner::FieldBased(keys.partition_key_fields),
        }
    }

    fn to_keys(&self) -> PartitionerKeys {
        let (partitioner, columns) = match self {
            Partitioner::Default => (PartitionerKind::Default, &[][..]),
            Partitioner::RoundRobin => (PartitionerKind::RoundRobin, &[][..]),
            Partitioner::FieldBased(columns) => (PartitionerKind::FieldBased, &columns[..]),
        };
        PartitionerKeys {
            partitioner,
            partition_key_fields: columns.to_vec(),
        }
    }
}

fn looks_percent_encoded(query: &str) -> bool {
    ["%5E", "%5e", "%3D", "%3d", "%20"]
        .iter()
        .any(|part| query.contains(part))
}
