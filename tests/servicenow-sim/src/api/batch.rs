//! The Batch API (servicenow_api.md section 9, lines 337 to 340; capture.md section 6).
//!
//! The items run one after the other in the slot of the batch. Each goes the way of a request of its
//! own past the door: log, faults, journal of writes, rate rule. That a rule counts items is inferred;
//! no document says so.

use std::time::Instant;

use serde_json::{Value, json};

use crate::api::route::{Route, route};
use crate::api::{Arrival, Context, Instance, payload};
use crate::auth::base64;
use crate::http::answer::{Answer, Body, Breakage, reason};
use crate::http::{Request, url};

/// Header by which a client lowers the limit of an item's answer.
const MAX_OUTPUT: &str = "X-BATCHREQUEST-MAX-OUTPUT-SIZE";

/// One item of `rest_requests`.
struct Item {
    id: String,
    request: Request,
    exclude_headers: bool,
    /// Bytes of the item as it came.
    size: usize,
}

impl Item {
    /// Reads an item; `None` when something that is required is missing.
    fn read(value: &Value, connection: u64) -> Option<Item> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let target = text("url")?;
        let (path, raw_query) = target.split_once('?').unwrap_or((target, ""));
        let headers = value.get("headers").and_then(Value::as_array);
        let header = |value: &Value| {
            let part = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
            Some((part("name")?, part("value")?))
        };
        let body = text("body").unwrap_or_default();
        Some(Item {
            id: text("id")?.to_owned(),
            exclude_headers: value.get("exclude_response_headers") == Some(&Value::Bool(true)),
            size: value.to_string().len(),
            request: Request {
                connection,
                method: text("method")?.to_owned(),
                path: url::decode(path, false),
                raw_query: raw_query.to_owned(),
                params: url::pairs(raw_query),
                headers: headers.into_iter().flatten().filter_map(header).collect(),
                body: base64::decode(body)?,
                target: target.to_owned(),
            },
        })
    }
}

impl Instance {
    /// `POST /api/now[/v1]/batch`. The status is 200 whatever became of the items.
    pub(super) fn batch(&self, context: &Context<'_>) -> Result<Answer, Answer> {
        let request = context.request;
        if request.method == "HEAD" {
            // Clients probe with it (line 337).
            return Ok(Answer::json(200, ""));
        }
        if request.method != "POST" {
            return Err(Answer::error(405, "Method not supported", None));
        }
        if !payload::is_json(request) {
            return Err(payload::Unreadable::MediaType.answer());
        }
        // The texts of both refusals are inferred.
        let bad = |what: &str| Answer::error(400, "Invalid batch request", Some(what));
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|_| bad("The payload is not valid JSON"))?;
        let items = body.get("rest_requests").and_then(Value::as_array);
        let items = items.ok_or_else(|| bad("rest_requests is missing"))?;
        let read = |item| Item::read(item, request.connection);
        let items: Option<Vec<Item>> = items.iter().map(read).collect();
        let items = items.ok_or_else(|| bad("id, method or url of an item is missing"))?;
        let id = body.get("batch_request_id").and_then(Value::as_str);
        Ok(self.run(context, id.unwrap_or_default(), &items))
    }

    /// Carries the items out, up to the first that meets a limit: it and all after it are unserviced.
    fn run(&self, context: &Context<'_>, id: &str, items: &[Item]) -> Answer {
        let limits = &self.options.batch;
        let asked = context.request.header(MAX_OUTPUT);
        let asked = asked.and_then(|it| it.trim().parse().ok());
        let most = limits.max_output.min(asked.unwrap_or(usize::MAX));
        let begin = Instant::now();
        let mut serviced = Vec::new();
        let mut lost = false;
        for item in items {
            if item.size > limits.max_input {
                break;
            }
            let began = Instant::now();
            let (answer, number) = self.item(context, &item.request);
            lost |= answer.breakage == Breakage::ResetFirst;
            let (status, headers) = (answer.status, answer.headers);
            let body = match item.request.method.as_str() {
                "HEAD" => Vec::new(),
                _ => Body::into_bytes(answer.body),
            };
            // It may have been carried out all the same (line 340).
            if body.len() > most || begin.elapsed() > limits.time || context.stop.is_stopped() {
                break;
            }
            self.log.update(number, |entry| {
                entry.bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
            });
            let headers = headers.iter().filter(|_| !item.exclude_headers);
            let headers: Vec<Value> = headers
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect();
            let took = u64::try_from(began.elapsed().as_millis());
            serviced.push(json!({
                "id": item.id,
                "body": base64::encode(&body),
                "status_code": status,
                "status_text": reason(status),
                "headers": headers,
                "execution_time": took.unwrap_or(u64::MAX),
            }));
        }
        let rest = items.get(serviced.len()..).unwrap_or_default();
        let rest: Vec<&str> = rest.iter().map(|item| item.id.as_str()).collect();
        let body = json!({
            "batch_request_id": id,
            "serviced_requests": serviced,
            "unserviced_requests": rest,
        });
        let mut answer = Answer::json(200, body.to_string());
        if lost {
            // The node of an item is the node of the batch.
            answer.breakage = Breakage::ResetFirst;
        }
        answer
    }

    /// Answers one item; gives its number in the log.
    fn item(&self, batch: &Context<'_>, request: &Request) -> (Answer, u64) {
        let arrival = Arrival {
            request,
            batch: Some(batch.number),
            ..batch.arrival
        };
        let served = self.logged(arrival, |arrival| {
            let instead = arrival
                .fault
                .and_then(|fault| self.instead(fault, request, arrival.stop));
            instead.unwrap_or_else(|| match route(&request.path) {
                // A batch in a batch is refused; the text is inferred.
                Route::Batch => Answer::error(400, "Nested batch requests are not supported", None),
                route => self.rated(
                    &Context {
                        arrival,
                        user: batch.user,
                    },
                    &route,
                ),
            })
        });
        (served.answer, served.number)
    }
}
