//! Records of topics as Avro: their schemas from the registry, their fields from another reader.

use std::collections::BTreeMap;
use std::time::Duration;

use real_kafka::Record;
use serde_json::Value;
use servicenow_kafka_bridge::avro::decode::{WireFrame, frame};
use servicenow_kafka_bridge::config::SchemaRegistryConfig;
use servicenow_kafka_bridge::metrics::Metrics;
use servicenow_kafka_bridge::registry::Registry;
use servicenow_kafka_bridge::stop;
use servicenow_sim::Row;

use super::fastavro;

/// The settings of a registry without any demands.
pub(crate) fn registry_at(url: &str) -> SchemaRegistryConfig {
    SchemaRegistryConfig {
        urls: vec![url.to_owned()],
        timeout: Duration::from_secs(30),
        ..SchemaRegistryConfig::default()
    }
}

/// A registry to ask.
pub(crate) struct Schemas(Registry);

impl Schemas {
    pub(crate) fn at(url: &str) -> Schemas {
        Schemas(Registry::new(&registry_at(url), &Metrics::new()).unwrap())
    }

    /// The text of a schema.
    pub(crate) fn text(&self, id: u32) -> String {
        let (_trigger, stop) = stop::pair();
        self.0.schema_by_id(id, &stop).unwrap().schema.clone()
    }

    /// The id and text of a subject's latest schema.
    pub(crate) fn latest(&self, subject: &str) -> Option<(u32, String)> {
        let (_trigger, stop) = stop::pair();
        let latest = self.0.latest(subject, &stop).unwrap()?;
        Some((latest.id, latest.schema))
    }

    /// What fastavro reads in the values of records, with the schema of `reader` if it is given.
    pub(crate) fn read(&self, records: &[Record], reader: Option<&str>) -> Vec<Value> {
        let mut texts = BTreeMap::new();
        for record in records {
            let (id, _) = framed(record.value.as_deref());
            texts.entry(id).or_insert_with(|| self.text(id));
        }
        let bodies: Vec<(&str, Option<&str>, &[u8])> = records
            .iter()
            .map(|record| {
                let (id, body) = framed(record.value.as_deref());
                (texts[&id].as_str(), reader, body)
            })
            .collect();
        fastavro::read(&bodies)
    }
}

/// Schema id and body of a key or value.
pub(crate) fn framed(bytes: Option<&[u8]>) -> (u32, &[u8]) {
    match frame(bytes.expect("a value")) {
        WireFrame::Framed { id, body } => (id, body),
        WireFrame::Plain => panic!("no schema id: {bytes:?}"),
    }
}

/// The text of an Avro string key, and its schema's id.
pub(crate) fn key_of(record: &Record) -> (u32, String) {
    let (id, body) = framed(record.key.as_deref());
    // Keys here are shorter than 64 letters: their length is one zig-zag byte.
    let (length, text) = body.split_first().unwrap();
    assert_eq!(usize::from(*length), 2 * text.len());
    (id, String::from_utf8(text.to_vec()).unwrap())
}

/// What a reader must see of a row in a field of this type.
pub(crate) fn expected(row: &Row, column: &str, schema_type: &Value) -> Value {
    let Some(text) = row.get(column) else {
        return Value::Null;
    };
    let logical = schema_type["logicalType"].as_str();
    let plain = schema_type.as_str().or(schema_type["type"].as_str());
    match (plain.unwrap(), logical) {
        ("string", _) => Value::from(text),
        (_, _) if text.is_empty() => Value::Null,
        ("boolean", _) => Value::from(text == "true" || text == "1"),
        ("long", None) => Value::from(text.parse::<i64>().unwrap()),
        ("double", _) => Value::from(text.parse::<f64>().unwrap()),
        ("long" | "int", Some(_)) => Value::from(text),
        ("bytes", Some("decimal")) => {
            let scale = usize::try_from(schema_type["scale"].as_u64().unwrap()).unwrap();
            let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
            assert!(digits.len() <= scale, "{text}");
            Value::from(format!("{whole}.{digits:0<scale$}"))
        }
        other => panic!("{column}: {other:?}"),
    }
}

/// Compares each field of a record with the row; `schema` is the writer's.
pub(crate) fn assert_equal(record: &Value, row: &Row, schema: &str) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    for field in schema["fields"].as_array().unwrap() {
        let name = field["name"].as_str().unwrap();
        let column = field["servicenow.name"].as_str().unwrap_or(name);
        if name == "_raw" {
            continue;
        }
        let expected = expected(row, column, &field["type"][1]);
        // A column that is gone by now may have been there, and empty.
        let was_empty = row.get(column).is_none() && record[name] == "";
        assert!(
            record[name] == expected || was_empty,
            "{column}: {}, not {expected}, of {row:?} with {schema}",
            record[name]
        );
    }
}
