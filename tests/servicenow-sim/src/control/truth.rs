//! The truth about a table as JSON.

use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::api::Instance;
use crate::error::Error;
use crate::truth::{Lifetime, Truth, Version};

/// `GET /sim/truth?table=T`: see [`Truth`]; times are ages in milliseconds.
pub(super) fn truth(instance: &Instance, table: &str) -> Result<Value, Error> {
    let truth = instance.truth(table)?;
    // One moment for all ages, so that they can be compared.
    let now = Instant::now();
    let Truth {
        table,
        rows,
        history,
        forgotten,
    } = truth;
    let rows: Vec<Value> = rows.iter().map(version).collect();
    let history: Vec<Value> = history.iter().map(|it| lifetime(it, now)).collect();
    Ok(json!({ "table": table, "rows": rows, "history": history, "forgotten": forgotten }))
}

fn version(version: &Version) -> Value {
    Value::Object(fields(version))
}

fn fields(version: &Version) -> Map<String, Value> {
    let values = version.values.iter();
    let values: Map<String, Value> = values
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let named = [
        ("sys_id", &version.sys_id),
        ("class", &version.class),
        ("sys_updated_on", &version.sys_updated_on),
        ("sys_mod_count", &version.sys_mod_count),
    ];
    let named = named.map(|(name, text)| (name.to_owned(), Value::from(text.as_str())));
    let mut fields = Map::from_iter(named);
    fields.insert("values".to_owned(), values.into());
    fields
}

fn lifetime(lifetime: &Lifetime, now: Instant) -> Value {
    let age = |at: Instant| {
        let age = now.saturating_duration_since(at).as_millis();
        u64::try_from(age).unwrap_or(u64::MAX)
    };
    let mut fields = fields(&lifetime.version);
    fields.insert("from_age_ms".to_owned(), age(lifetime.from).into());
    if let Some((at, end)) = lifetime.until {
        fields.insert("until_age_ms".to_owned(), age(at).into());
        fields.insert("end".to_owned(), end.name().into());
    }
    Value::Object(fields)
}
