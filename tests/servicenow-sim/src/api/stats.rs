//! The Aggregate API (servicenow_api.md section 9): count, min and max, with or without groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::api::{Context, Instance};
use crate::http::answer::Answer;
use crate::query::plan::Window;
use crate::row::Stored;
use crate::schema::Schema;

impl Instance {
    /// `GET /api/now/stats/{table}`. Counts what `X-Total-Count` counts, hidden rows too.
    pub(super) fn stats(&self, context: &Context<'_>, table: &str) -> Result<Answer, Answer> {
        let request = context.request;
        let store = self.read();
        let data = self.known_table(&store, table)?;
        let compiled = self.compile(context, &store, data)?;
        let evaluator = self.evaluator(&store);
        let list = |name: &str| -> Vec<String> {
            let text = request.param(name).unwrap_or_default();
            text.split(',')
                .map(str::trim)
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let (lowest, highest) = (list("sysparm_min_fields"), list("sysparm_max_fields"));
        let groups = list("sysparm_group_by");
        let count = request.flag("sysparm_count");
        if lowest.is_empty() && highest.is_empty() && groups.is_empty() {
            let window = Window {
                offset: 0,
                limit: 0,
                count: true,
            };
            let total = evaluator.select(data, &compiled, window).total;
            let stats = if count {
                json!({ "count": total.to_string() })
            } else {
                json!({})
            };
            return Ok(Answer::json(
                200,
                json!({ "result": { "stats": stats } }).to_string(),
            ));
        }
        let window = Window {
            offset: 0,
            limit: usize::MAX,
            count: false,
        };
        let rows = evaluator.select(data, &compiled, window).rows;
        let stats = |rows: &[Arc<Stored>]| {
            let mut stats = Map::new();
            if count {
                stats.insert("count".to_owned(), rows.len().to_string().into());
            }
            let schema = &data.schema;
            for (name, fields, last) in [("min", &lowest, false), ("max", &highest, true)] {
                if !fields.is_empty() {
                    stats.insert(name.to_owned(), extremes(schema, rows, fields, last));
                }
            }
            Value::Object(stats)
        };
        if groups.is_empty() {
            let body = json!({ "result": { "stats": stats(&rows) } });
            return Ok(Answer::json(200, body.to_string()));
        }
        let columns: Vec<usize> = groups
            .iter()
            .filter_map(|it| data.schema.find(it))
            .collect();
        let mut grouped: BTreeMap<Vec<String>, Vec<Arc<Stored>>> = BTreeMap::new();
        for row in rows {
            let key = columns
                .iter()
                .map(|at| row.value(*at).into_owned())
                .collect();
            grouped.entry(key).or_default().push(row);
        }
        let entry = |(key, rows): (&Vec<String>, &Vec<Arc<Stored>>)| {
            let fields: Vec<Value> = groups
                .iter()
                .zip(key)
                .map(|(field, value)| json!({ "field": field, "value": value }))
                .collect();
            json!({ "stats": stats(rows), "groupby_fields": fields })
        };
        let result: Vec<Value> = grouped.iter().map(entry).collect();
        Ok(Answer::json(200, json!({ "result": result }).to_string()))
    }
}

/// Lowest or highest value of each field; stamps and ids sort as text.
fn extremes(schema: &Schema, rows: &[Arc<Stored>], fields: &[String], last: bool) -> Value {
    let mut result = Map::new();
    for field in fields {
        let Some(at) = schema.find(field) else {
            continue;
        };
        let values = rows
            .iter()
            .map(|row| row.value(at))
            .filter(|value| !value.is_empty());
        let value = if last { values.max() } else { values.min() };
        result.insert(field.clone(), value.unwrap_or_default().into_owned().into());
    }
    Value::Object(result)
}
