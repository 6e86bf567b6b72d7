//! `source`: tables and how they are polled.

use std::time::Duration;

use super::schema;
use crate::config::reader::{KeyNeed, Section};
use crate::config::{
    DisplayValue, Partitioner, SchemaStyle, SourceConfig, TableConfig, TableFormat, defaults, names,
};

/// `avro`: there is a schema registry.
pub(super) fn source(section: &Section<'_>, avro: bool) -> SourceConfig {
    let enabled = section.boolean("enabled").unwrap_or(false);
    let mut source = SourceConfig {
        enabled,
        topic_prefix: section
            .text("topic_prefix", KeyNeed::Optional)
            .unwrap_or_default(),
        tables: Vec::new(),
        fast_poll_interval: section.duration("fast_poll_interval", &defaults::FAST_POLL_INTERVAL),
        slow_poll_interval: section.duration("slow_poll_interval", &defaults::SLOW_POLL_INTERVAL),
        batch_size: rows(section.whole("batch_size", &defaults::BATCH_SIZE)),
        initial_query_hours_ago: section
            .whole_or_none("initial_query_hours_ago", defaults::INITIAL_HOURS_MOST),
        timestamp_delay: Duration::from_secs(
            section.whole("timestamp_delay_seconds", &defaults::TIMESTAMP_DELAY),
        ),
        schema: section.section("schema", |s| schema::table(s, defaults::TABLE_SCHEMA)),
    };
    source.tables = section.sections("tables", |table_section| {
        table(table_section, &source, avro)
    });
    if enabled && source.tables.is_empty() && section.is_empty("tables") {
        section.problem(
            "tables",
            "is required: a list with a `name` for each table to poll",
        );
    }
    for (index, table) in source.tables.iter().enumerate() {
        let twin = source
            .tables
            .iter()
            .take(index)
            .position(|other| other.name == table.name);
        if let Some(twin) = twin.filter(|_| !table.name.is_empty()) {
            let name = &table.name;
            let message = format!("`{name}` is already in source.tables[{twin}]; keep one of them");
            section.item_problem("tables", index, "name", message);
        }
    }
    source
}

/// The bounds of the key are below 2^32.
fn rows(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn table(section: &Section<'_>, source: &SourceConfig, avro: bool) -> TableConfig {
    let column = |key, default: &str| {
        let name = section.parsed(key, KeyNeed::Optional, |text| {
            names::check_column(text).map(|()| text.to_owned())
        });
        name.unwrap_or_else(|| default.to_owned())
    };
    let name = section.parsed("name", KeyNeed::Required(""), |text| {
        names::check_table(text).map(|()| text.to_owned())
    });
    let name = name.unwrap_or_default();
    let timestamp_field = column("timestamp_field", defaults::TIMESTAMP_FIELD);
    let identifier_field = column("identifier_field", defaults::IDENTIFIER_FIELD);
    if timestamp_field == identifier_field {
        section.problem(
            "identifier_field",
            "is the same column as `timestamp_field`",
        );
    }
    let mut fields = section.texts("fields", names::check_column);
    remove_doubles(&mut fields);
    let topic = topic(section, source, &name);
    let fast = defaults::FAST_POLL_INTERVAL.with_default(source.fast_poll_interval);
    let slow = defaults::SLOW_POLL_INTERVAL.with_default(source.slow_poll_interval);
    let batch = defaults::BATCH_SIZE.with_default(source.batch_size.into());
    let display = [
        ("false", DisplayValue::False),
        ("true", DisplayValue::True),
        ("all", DisplayValue::All),
    ];
    let table = TableConfig {
        partitioner: partitioner(section, &fields, [&timestamp_field, &identifier_field]),
        name,
        timestamp_field,
        identifier_field,
        fields,
        topic,
        fast_poll_interval: section.duration("fast_poll_interval", &fast),
        slow_poll_interval: section.duration("slow_poll_interval", &slow),
        batch_size: rows(section.whole("batch_size", &batch)),
        query: section.parsed("query", KeyNeed::Optional, check_query),
        display_value: section
            .choice("display_value", &display)
            .unwrap_or(DisplayValue::False),
        skip_own_writes: section.boolean("skip_own_writes").unwrap_or(false),
        format: schema::format(section, avro),
        schema: section.section("schema", |s| schema::table(s, source.schema)),
    };
    if table.format == TableFormat::Avro {
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
    if table
        .query
        .as_ref()
        .is_some_and(|query| looks_encoded(query))
    {
        section.warning(
            "query",
            "looks percent-encoded; write it plain, as the list view shows it",
        );
    }
    table
}

fn topic(section: &Section<'_>, source: &SourceConfig, table: &str) -> String {
    let given = section.parsed("topic", KeyNeed::Optional, |text| {
        names::check_topic(text).map(|()| text.to_owned())
    });
    if given.is_some() || !section.is_empty("topic") || table.is_empty() {
        return given.unwrap_or_default();
    }
    if source.topic_prefix.is_empty() {
        if source.enabled {
            section.problem("topic", "is required, as there is no `source.topic_prefix`");
        }
        return String::new();
    }
    let topic = format!("{}.{table}", source.topic_prefix);
    section.noted("topic", names::check_topic(&topic));
    topic
}

fn remove_doubles(names: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
}

#[derive(Clone, Copy)]
enum Kind {
    Default,
    RoundRobin,
    FieldBased,
}

fn partitioner(section: &Section<'_>, fields: &[String], cursor: [&String; 2]) -> Partitioner {
    let words = [
        ("default", Kind::Default),
        ("round_robin", Kind::RoundRobin),
        ("field_based", Kind::FieldBased),
    ];
    let kind = section
        .choice("partitioner", &words)
        .unwrap_or(Kind::Default);
    let keys = section.texts("partition_key_fields", |name| {
        names::check_column(name)?;
        let known = |field: &String| field == name;
        if fields.is_empty() || fields.iter().any(known) || cursor.into_iter().any(known) {
            return Ok(());
        }
        Err(format!(
            "`{name}` is not in `fields`, so the rows come without it; add it there"
        ))
    });
    match kind {
        Kind::FieldBased => {
            if keys.is_empty() && section.is_empty("partition_key_fields") {
                let message = "is required with `partitioner: field_based`";
                section.problem("partition_key_fields", message);
            }
            Partitioner::FieldBased(keys)
        }
        Kind::Default | Kind::RoundRobin => {
            if !keys.is_empty() {
                let message = "is not used: set `partitioner: field_based` or remove it";
                section.warning("partition_key_fields", message);
            }
            match kind {
                Kind::RoundRobin => Partitioner::RoundRobin,
                Kind::Default | Kind::FieldBased => Partitioner::Default,
            }
        }
    }
}

/// An encoded query that can be joined with a time window: it must not sort, and must not begin
/// with an operator that would tie it to the window.
fn check_query(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("must not hold line breaks or other control characters".to_owned());
    }
    let query = text.strip_prefix('^').unwrap_or(text);
    let query = query
        .strip_suffix("^EQ")
        .unwrap_or(query)
        .trim_end_matches('^');
    for word in ["ORDERBY", "GROUPBY"] {
        if query.split('^').any(|item| item.starts_with(word)) {
            return Err(format!(
                "must not hold `{word}`: rows are read in the order of the cursor"
            ));
        }
    }
    if query.starts_with("OR") || query.starts_with("NQ") {
        return Err("must not begin with `^OR` or `^NQ`".to_owned());
    }
    if query.is_empty() || query == "EQ" {
        return Err("holds no condition; remove it".to_owned());
    }
    Ok(query.to_owned())
}

fn looks_encoded(query: &str) -> bool {
    ["%5E", "%5e", "%3D", "%3d"]
        .iter()
        .any(|part| query.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        for (text, expected) in [
            ("active=true", "active=true"),
            ("^active=true^EQ", "active=true"),
            ("a=1^ORb=2", "a=1^ORb=2"),
            ("a=1^NQb=2", "a=1^NQb=2"),
            ("a=ORDERBYx", "a=ORDERBYx"),
        ] {
            assert_eq!(check_query(text), Ok(expected.to_owned()), "{text}");
        }
        for bad in [
            "ORDERBYnumber",
            "a=1^ORDERBYDESCnumber",
            "^ORa=1",
            "^NQa=1",
            "ORa=1",
            "a=1\nb=2",
            "^EQ",
            "^",
            "a=1^GROUPBYb",
        ] {
            assert!(check_query(bad).is_err(), "{bad}");
        }
    }
}
