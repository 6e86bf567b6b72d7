//! Control of data and writes: seeding, the journal, duplicates, refusals, rate rules.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::api::Instance;
use crate::control::truth::truth;
use crate::error::Error;
use crate::http::Request;
use crate::row::Row;
use crate::sim::OTHER_USER;
use crate::store::{Actor, Refusal, RefusalRule};
use crate::writes::Operation;

/// Answers a control request; `None` for every other path.
pub(super) fn answer(
    instance: &Instance,
    request: &Request,
    path: &str,
) -> Option<Result<Value, Error>> {
    Some(match (request.method.as_str(), path) {
        ("GET", "writes") => Ok(writes(instance)),
        ("DELETE", "writes") => {
            instance.writes.clear();
            Ok(json!({}))
        }
        ("GET", "truth") => param(request, "table").and_then(|table| truth(instance, table)),
        ("GET", "duplicates") => duplicates(instance, request),
        ("POST", "rows") => body(request).and_then(|body| rows(instance, &body)),
        ("POST", "undelete") => body(request).and_then(|body| undelete(instance, &body)),
        ("POST", "refusals") => body(request).and_then(|body| refuse(instance, &body)),
        ("DELETE", "refusals") => accept(instance, request),
        ("POST", "rate") => body(request).map(|body| {
            let limit = body.get("limit_per_hour").and_then(Value::as_u64);
            instance.rate.set(limit);
            json!({})
        }),
        ("POST", "rate/reset") => {
            instance.rate.reset();
            Ok(json!({}))
        }
        _ => return None,
    })
}

fn body(request: &Request) -> Result<Value, Error> {
    serde_json::from_slice(&request.body).map_err(|err| Error::Script(err.to_string()))
}

fn missing(name: &str) -> Error {
    Error::Script(format!("{name} is missing"))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Error> {
    let found = value.get(name).and_then(Value::as_str);
    found.ok_or_else(|| missing(name))
}

fn param<'a>(request: &'a Request, name: &str) -> Result<&'a str, Error> {
    request.param(name).ok_or_else(|| missing(name))
}

fn writes(instance: &Instance) -> Value {
    // A write that is due by now counts as applied.
    drop(instance.read());
    // One moment for all ages, so that they can be compared.
    let now = Instant::now();
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let list: Vec<Value> = instance
        .writes
        .all()
        .into_iter()
        .map(|write| {
            json!({
                "id": write.id,
                "table": write.table,
                "operation": write.operation.name().to_ascii_lowercase(),
                "sys_id": write.sys_id,
                "fields": &*write.fields,
                "age_ms": millis(now.duration_since(write.began)),
                "took_ms": millis(write.ended.duration_since(write.began)),
                "status": write.status,
                "applied": write.applied,
                "sequence": write.sequence,
                "fault": write.fault,
                "user": write.user,
            })
        })
        .collect();
    json!({ "writes": list })
}

fn duplicates(instance: &Instance, request: &Request) -> Result<Value, Error> {
    let (table, column) = (param(request, "table")?, param(request, "column")?);
    Ok(json!({ "duplicates": instance.duplicates(table, column)? }))
}

/// `{"table": NAME, "rows": [{COLUMN: VALUE, ...}, ...]}`
fn rows(instance: &Instance, body: &Value) -> Result<Value, Error> {
    let table = text(body, "table")?;
    let list = body.get("rows").and_then(Value::as_array);
    let mut rows = Vec::new();
    for row in list.ok_or_else(|| missing("rows"))? {
        let columns = row.as_object();
        let columns = columns.ok_or_else(|| Error::Script("a row is an object".to_owned()))?;
        let values = columns.iter().map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (Cow::Owned(name.clone()), value)
        });
        rows.push(Row(values.collect()));
    }
    let mut store = instance.write();
    let actor = admin(instance);
    let built = store.build(table, rows.into_iter(), actor)?;
    Ok(json!({ "sys_ids": store.add(table, built, actor)? }))
}

/// `{"table": NAME, "sys_id": ID}`
fn undelete(instance: &Instance, body: &Value) -> Result<Value, Error> {
    let (table, id) = (text(body, "table")?, text(body, "sys_id")?);
    let mut store = instance.write();
    store.undelete(table, id, admin(instance))?;
    Ok(json!({}))
}

/// `{"table": NAME, "refusal": NAME, "operation": NAME, "column": NAME, "value": TEXT, ...}`
fn refuse(instance: &Instance, body: &Value) -> Result<Value, Error> {
    let optional = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let refusal = match text(body, "refusal")? {
        "acl" => Refusal::Acl,
        "business_rule" => Refusal::business_rule(text(body, "name")?),
        "script_error" => Refusal::script_error(text(body, "message")?),
        "data_policy" => {
            let list = body.get("fields").and_then(Value::as_array);
            let list = list.ok_or_else(|| missing("fields"))?;
            let labels: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            Refusal::data_policy(&labels)
        }
        other => return Err(Error::Script(format!("unknown refusal {other}"))),
    };
    let operation = match optional("operation").as_deref() {
        None => None,
        Some("insert") => Some(Operation::Insert),
        Some("update") => Some(Operation::Update),
        Some("delete") => Some(Operation::Delete),
        Some(other) => return Err(Error::Script(format!("unknown operation {other}"))),
    };
    let column = optional("column");
    let value = optional("value").unwrap_or_default();
    let rule = RefusalRule {
        refusal,
        when: Arc::new(move |asked, row| {
            operation.is_none_or(|only| only == asked)
                && column
                    .as_deref()
                    .is_none_or(|column| row.get(column) == value)
        }),
    };
    instance.write().refuse(text(body, "table")?, rule)?;
    Ok(json!({}))
}

fn accept(instance: &Instance, request: &Request) -> Result<Value, Error> {
    instance.write().accept(param(request, "table")?)?;
    Ok(json!({}))
}

fn admin(instance: &Instance) -> Actor<'static> {
    Actor {
        now: instance.stamp(),
        user: OTHER_USER,
    }
}
