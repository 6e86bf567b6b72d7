//! The Aggregate API (servicenow_api.md section 9, line 342; capture.md section 2): counts, sums,
//! averages and extremes, with or without groups.

mod tally;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::stats::tally::{Tally, Wanted, list};
use crate::api::{Context, Instance};
use crate::http::answer::Answer;
use crate::options::AggregateAccess;
use crate::query::plan::Window;
use crate::schema::Kind;
use crate::store::TableData;

impl Instance {
    /// `GET /api/now/stats/{table}`. Counts what `X-Total-Count` counts, hidden rows too:
    /// GlideAggregate ignores row rules (capture.md section 2).
    pub(super) fn stats(&self, context: &Context<'_>, table: &str) -> Result<Answer, Answer> {
        let request = context.request;
        let store = self.read();
        let data = self.known_table(&store, table)?;
        self.may_aggregate(data)?;
        let compiled = self.compile(context, &store, data)?;
        let evaluator = self.evaluator(&store);
        let wanted = Wanted::of(request, &data.schema);
        let groups = self.groups(request.param("sysparm_group_by"), data)?;
        if groups.is_empty() {
            let mut tally = Tally::new(&wanted);
            if wanted.is_count_only() {
                let window = Window {
                    offset: 0,
                    limit: 0,
                    count: true,
                };
                tally.rows = evaluator.select(data, &compiled, window).total;
            } else {
                evaluator.each(data, &compiled, |row| tally.add(&wanted, row));
            }
            let body = json!({ "result": { "stats": tally.stats(&wanted) } });
            return Ok(Answer::json(200, body.to_string()));
        }
        let mut grouped: BTreeMap<Vec<String>, Tally> = BTreeMap::new();
        evaluator.each(data, &compiled, |row| {
            let values = groups.iter().map(|(_, at)| row.value(*at).into_owned());
            let tally = grouped.entry(values.collect());
            tally
                .or_insert_with(|| Tally::new(&wanted))
                .add(&wanted, row);
        });
        let kept = grouped.iter().filter(|(_, tally)| tally.passes(&wanted));
        let entry = |(values, tally): (&Vec<String>, &Tally)| {
            let named = groups.iter().zip(values);
            let fields: Vec<Value> = named
                .map(|((field, _), value)| json!({ "field": field, "value": value }))
                .collect();
            json!({ "stats": tally.stats(&wanted), "groupby_fields": fields })
        };
        let most = self.options.max_aggregates;
        let mut result: Vec<Value> = kept.take(most).map(entry).collect();
        // `sysparm_order_by` is not simulated: the order of groups is open.
        if self.options.shuffle {
            fastrand::shuffle(&mut result);
        }
        Ok(Answer::json(200, json!({ "result": result }).to_string()))
    }

    /// Whether the user may aggregate over the table: documents disagree about what decides
    /// (capture.md section 2). The text of the 403 is inferred.
    fn may_aggregate(&self, data: &TableData) -> Result<(), Answer> {
        let hides = || data.by_id().rows().iter().any(|row| row.is_hidden());
        let refused = data.no_aggregates
            || (self.options.aggregate_access == AggregateAccess::AllRecords && hides());
        if refused {
            let message = "Insufficient rights to query records";
            return Err(Answer::error(403, message, None));
        }
        Ok(())
    }

    /// Names and places of the columns to group by; unknown ones are dropped, as in a query.
    fn groups(
        &self,
        names: Option<&str>,
        data: &TableData,
    ) -> Result<Vec<(String, usize)>, Answer> {
        let mut groups = Vec::new();
        for name in list(names) {
            let Some(at) = data.schema.find(name) else {
                continue;
            };
            let kind = data.schema.column(at).map(|column| column.kind);
            if kind == Some(Kind::DateTime) && !self.options.group_by_date_time {
                let message = format!("Invalid group by field {name}");
                return Err(Answer::error(400, &message, None));
            }
            groups.push((name.to_owned(), at));
        }
        Ok(groups)
    }
}
