//! Reads of the Table API (servicenow_api.md section 2).

use std::sync::Arc;
use std::time::Duration;

use crate::api::{Context, Instance, broken, link, refuse};
use crate::faults::Fault;
use crate::http::Request;
use crate::http::answer::{Answer, Body};
use crate::options::NoCount;
use crate::query::compile::{Compiled, Compiler, Refused};
use crate::query::evaluate::Evaluator;
use crate::query::plan::Window;
use crate::query::{Condition, Operator, Query, parse};
use crate::render::{Display, Field, Renderer};
use crate::row::Stored;
use crate::store::{Store, TableData};

/// Rows per page without `sysparm_limit` (section 2.2).
const DEFAULT_LIMIT: usize = 10_000;

/// Parameters that shape an answer rather than filter it.
const PLAIN: &str = "sysparm_";

impl Instance {
    /// `GET /api/now/table/{table}`.
    pub(super) fn list(
        &self,
        context: &Context<'_>,
        version: &str,
        table: &str,
    ) -> Result<Answer, Answer> {
        let request = context.request;
        let store = self.read();
        let data = self.known_table(&store, table)?;
        let compiled = self.compile(context, &store, data)?;
        let number = |name: &str| request.param(name).and_then(|it| it.trim().parse().ok());
        let no_count = request.flag("sysparm_no_count");
        let limit = number("sysparm_limit").unwrap_or(DEFAULT_LIMIT);
        let offset = number("sysparm_offset").unwrap_or(0);
        let window = Window {
            offset,
            limit,
            count: !no_count,
        };
        let evaluator = self.evaluator(&store);
        let selection = evaluator.select(data, &compiled, window);
        // The limit comes before access rules: hidden rows shorten the page (line 118).
        let selected = selection.rows.len();
        let rows = selection.rows.into_iter().filter(|row| !row.is_hidden());
        let mut rows: Vec<Arc<Stored>> = rows.collect();
        let cost = Cost::of(context.fault, offset, rows.len());
        rows.truncate(cost.rows);
        if rows.is_empty() && version == "v1" {
            return Err(Answer::error(
                404,
                "No Record found",
                Some("Records matching query not found. Check query parameter or offset parameter"),
            ));
        }
        let mut headers = Vec::new();
        match (no_count, self.options.no_count) {
            // The whole set, hidden rows too (section 2.4).
            (false, _) => headers.push(("X-Total-Count", selection.total.to_string())),
            (true, NoCount::PageRows) => headers.push(("X-Total-Count", rows.len().to_string())),
            (true, NoCount::Omit) => {}
        }
        let total = if no_count {
            offset + selected
        } else {
            selection.total
        };
        let base = self.base.get().map(String::as_str).unwrap_or_default();
        if !request.flag("sysparm_suppress_pagination_header") {
            let link = link::header(base, request, limit, offset, total);
            if link
                .as_ref()
                .is_some_and(|link| link.len() > self.options.max_link)
            {
                return Err(link::too_long(total));
            }
            headers.extend(link.map(|link| ("Link", link)));
        }
        let renderer = self.renderer(context, &store, data, version);
        let sent = rows.len();
        let body = match renderer.shape() {
            Some(shape) => Body::Rows(rows, shape),
            None => Body::Bytes(render(&renderer, &rows)),
        };
        drop(renderer);
        // Nothing below needs the data: a slow client must not hold up a change.
        drop(store);
        let mut answer = Answer::json(200, "");
        answer.body = body;
        answer.rows = sent;
        answer.headers.extend(headers);
        context.stop.wait(cost.time);
        if let Some(malformed) = cost.cancelled {
            broken::cancel(&mut answer, malformed);
        }
        Ok(answer)
    }

    /// `GET /api/now/table/{table}/{sys_id}`.
    pub(super) fn one(
        &self,
        context: &Context<'_>,
        version: &str,
        table: &str,
        id: &str,
    ) -> Result<Answer, Answer> {
        let store = self.read();
        let data = self.known_table(&store, table)?;
        // Missing and unreadable are the same answer (section 2.6).
        let row = data
            .find(id)
            .filter(|row| !row.is_hidden())
            .ok_or_else(refuse::missing)?;
        let mut answer = Answer::json(200, "");
        answer.body = self.rendered(context, &store, data, version, row);
        answer.rows = 1;
        Ok(answer)
    }

    /// `{"result":{...}}` of one row, as the request's parameters shape it (checklist 19).
    pub(super) fn rendered(
        &self,
        context: &Context<'_>,
        store: &Store,
        data: &TableData,
        version: &str,
        row: &Stored,
    ) -> Body {
        let mut text = "{\"result\":".to_owned();
        self.renderer(context, store, data, version)
            .row(&mut text, row);
        text.push('}');
        Body::Bytes(text.into_bytes())
    }

    /// The table, or 400 "Invalid table X" (section 2.6).
    pub(super) fn known_table<'s>(
        &self,
        store: &'s Store,
        table: &str,
    ) -> Result<&'s TableData, Answer> {
        store.table(table).map_err(|_| {
            let detail = self.options.invalid_table_detail.as_deref();
            Answer::error(400, &format!("Invalid table {table}"), detail)
        })
    }

    pub(super) fn evaluator<'a>(&'a self, store: &'a Store) -> Evaluator<'a> {
        Evaluator {
            store,
            options: &self.options,
        }
    }

    /// Reads the request's filter and order.
    pub(super) fn compile(
        &self,
        context: &Context<'_>,
        store: &Store,
        data: &TableData,
    ) -> Result<Compiled, Answer> {
        let request = context.request;
        let mut query = match request.param("sysparm_query") {
            Some(text) => parse(text, self.options.double_caret),
            None => simple(request, data),
        };
        if matches!(context.fault, Some(Fault::IgnoreConditions)) {
            query.branches = vec![Vec::new()];
        }
        if let Some(domain) = &self.options.domain
            && !request.flag("sysparm_query_no_domain")
        {
            // Before the query, so that rows of other domains do not count either.
            let own = Condition {
                field: "sys_domain_path".to_owned(),
                operator: Some(Operator::Equal),
                value: domain.clone(),
            };
            for branch in &mut query.branches {
                branch.push(vec![own.clone()]);
            }
        }
        let session = self.session(context);
        let compiler = Compiler {
            store,
            table: data,
            options: &self.options,
            session: &session,
        };
        compiler.compile(&query).map_err(|refused| match refused {
            Refused::Forbidden { detail } => {
                Answer::error(403, "Insufficient rights to query records", detail)
            }
            Refused::Sort { field } => Answer::error(
                500,
                &format!("Invalid column name {field} in order by"),
                Some("Check logs for error trace or enable glide.rest.debug property to verify REST request processing"),
            ),
        })
    }

    fn renderer<'a>(
        &'a self,
        context: &Context<'_>,
        store: &'a Store,
        data: &'a TableData,
        version: &str,
    ) -> Renderer<'a> {
        let request = context.request;
        let display = match request.param("sysparm_display_value") {
            Some("true") => Display::True,
            Some("all") => Display::All,
            _ => Display::False,
        };
        let session = self.session(context);
        let compiler = Compiler {
            store,
            table: data,
            options: &self.options,
            session: &session,
        };
        let names: Vec<&str> = match request.param("sysparm_fields").filter(|it| !it.is_empty()) {
            Some(list) => list.split(',').map(str::trim).collect(),
            None => data
                .schema
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .collect(),
        };
        let mut fields: Vec<Field> = Vec::with_capacity(names.len());
        for name in names {
            if fields.iter().any(|field| field.key == name) {
                continue;
            }
            // Unknown names are ignored: the key is absent (section 2.2).
            let known = compiler.lookup(name);
            fields.extend(known.map(|path| Field {
                key: name.to_owned(),
                path,
            }));
        }
        if let Some(Fault::DropColumns(columns)) = context.fault {
            fields.retain(|field| !columns.contains(&field.key));
        }
        let base = self.base.get().map(String::as_str).unwrap_or_default();
        let slash = if version.is_empty() { "" } else { "/" };
        Renderer {
            evaluator: self.evaluator(store),
            table: data,
            display,
            exclude_link: request.flag("sysparm_exclude_reference_link"),
            fields,
            api: format!("{base}/api/now/{version}{slash}"),
            zone: &self.zone,
        }
    }
}

fn render(renderer: &Renderer<'_>, rows: &[Arc<Stored>]) -> Vec<u8> {
    let mut text = "{\"result\":[".to_owned();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        renderer.row(&mut text, row);
    }
    text.push_str("]}");
    text.into_bytes()
}

/// Simple filters: `name=value` parameters, only without `sysparm_query`; they accept display
/// values (section 2.2, line 116).
fn simple(request: &Request, data: &TableData) -> Query {
    let mut branch = Vec::new();
    for (name, value) in &request.params {
        let Some(column) = data.schema.find(name).and_then(|at| data.schema.column(at)) else {
            continue;
        };
        if name.starts_with(PLAIN) {
            continue;
        }
        let stored = column
            .choices
            .iter()
            .find(|(_, label)| label.eq_ignore_ascii_case(value));
        let value = stored.map_or(value, |(stored, _)| stored);
        branch.push(vec![Condition {
            field: name.clone(),
            operator: Some(Operator::Equal),
            value: value.clone(),
        }]);
    }
    Query {
        branches: vec![branch],
        order: Vec::new(),
    }
}

/// What the transaction costs, and how far it gets (section 2.7).
struct Cost {
    time: Duration,
    rows: usize,
    /// `Some(malformed)` when the transaction is cancelled.
    cancelled: Option<bool>,
}

impl Cost {
    fn of(fault: Option<&Fault>, offset: usize, rows: usize) -> Cost {
        let times = |time: Duration, count: usize| {
            time.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
        };
        match fault {
            Some(Fault::PartialResult { share, malformed }) => {
                let sent = (0..rows)
                    .take_while(|at| (*at as f64) < share * rows as f64)
                    .count();
                Cost {
                    time: Duration::ZERO,
                    rows: sent,
                    cancelled: Some(*malformed),
                }
            }
            Some(Fault::Slow {
                per_row,
                per_offset,
                limit,
                malformed,
            }) => {
                let skipped = times(*per_offset, offset);
                let time = skipped.saturating_add(times(*per_row, rows));
                if time <= *limit {
                    return Cost {
                        time,
                        rows,
                        cancelled: None,
                    };
                }
                let left = limit.saturating_sub(skipped);
                let sent = left
                    .as_nanos()
                    .checked_div(per_row.as_nanos())
                    .unwrap_or_default();
                let sent = usize::try_from(sent).unwrap_or(usize::MAX).min(rows);
                Cost {
                    time: *limit,
                    rows: sent,
                    cancelled: Some(*malformed),
                }
            }
            _ => Cost {
                time: Duration::ZERO,
                rows,
                cancelled: None,
            },
        }
    }
}
