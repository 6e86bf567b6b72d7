//! The control endpoint, so that another process can script faults and read the request log.
//!
//! It needs no authentication and is not part of a real instance. README.md has the list of paths
//! and the JSON.

mod data;
mod truth;

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Instance;
use crate::error::Error;
use crate::faults::{Fault, Rule, Target};
use crate::http::Request;
use crate::http::answer::Answer;

/// Answers a control request; `None` for every other path.
pub(crate) fn answer(instance: &Instance, request: &Request) -> Option<Answer> {
    let path = request.path.strip_prefix("/sim/")?;
    let done = || Answer::json(200, "{}");
    let bad = |err: Error| Answer::json(400, json!({ "error": err.to_string() }).to_string());
    if let Some(result) = data::answer(instance, request, path) {
        return Some(match result {
            Ok(value) => Answer::json(200, value.to_string()),
            Err(err) => bad(err),
        });
    }
    Some(match (request.method.as_str(), path) {
        ("GET", "requests") => requests(instance),
        ("DELETE", "requests") => {
            instance.log.clear();
            done()
        }
        ("POST", "faults") => match script(&request.body) {
            Ok(rule) => Answer::json(
                201,
                json!({ "id": instance.faults.add(rule).0 }).to_string(),
            ),
            Err(err) => bad(err),
        },
        ("DELETE", "faults") => {
            instance.faults.clear();
            done()
        }
        ("POST", "tokens/revoke") => {
            instance.auth.revoke_all();
            done()
        }
        _ => Answer::json(404, json!({ "error": "no such control" }).to_string()),
    })
}

fn requests(instance: &Instance) -> Answer {
    let list: Vec<Value> = instance
        .log
        .all()
        .into_iter()
        .map(|entry| {
            json!({
                "id": entry.id,
                "age_ms": u64::try_from(entry.at.elapsed().as_millis()).unwrap_or(u64::MAX),
                "server_time": entry.server_time,
                "connection": entry.connection,
                "method": entry.method,
                "path": entry.path,
                "params": entry.params,
                "headers": entry.headers,
                "status": entry.status,
                "rows": entry.rows,
                "bytes": entry.bytes,
                "fault": entry.fault,
                "batch": entry.batch,
            })
        })
        .collect();
    Answer::json(200, json!({ "requests": list }).to_string())
}

/// Reads `{"fault": NAME, "table"|"path"|"stats"|"token": ..., "times": N, "skip": N, ...}`; with
/// `"writes": true` the target is the table's writes.
fn script(body: &[u8]) -> Result<Rule, Error> {
    let bad = |why: String| Error::Script(why);
    let value: Value = serde_json::from_slice(body).map_err(|err| bad(err.to_string()))?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let signed = |name: &str| value.get(name).and_then(Value::as_i64);
    let size = |name: &str| number(name).and_then(|it| usize::try_from(it).ok());
    let millis = |name: &str| number(name).map(Duration::from_millis);
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or_default();
    let need = |name: &str| bad(format!("{name} is missing"));
    let name = text("fault").ok_or_else(|| need("fault"))?;
    let fault = match name {
        "bad_gateway" => Fault::BadGateway,
        "unavailable" => Fault::Unavailable,
        "error" => Fault::Error {
            status: number("status")
                .and_then(|it| u16::try_from(it).ok())
                .ok_or_else(|| need("status"))?,
            message: text("message").unwrap_or("Scripted").to_owned(),
        },
        "rate_limited" => Fault::RateLimited {
            retry_after: number("retry_after").unwrap_or(1),
        },
        "semaphore_full" => Fault::SemaphoreFull,
        "hibernating" => Fault::Hibernating,
        "redirect_to_login" => Fault::RedirectToLogin,
        "unauthorized" => Fault::Unauthorized,
        "revoke_tokens" => Fault::RevokeTokens,
        "api_acl" => Fault::ApiAcl,
        "queued_timeout" => Fault::QueuedTimeout,
        "not_executed" => Fault::NotExecuted,
        "null_body" => Fault::NullBody,
        "empty_body" => Fault::EmptyBody,
        "reset" => Fault::Reset,
        "reset_mid_body" => Fault::ResetMidBody {
            after: size("after"),
        },
        "cut_chunks" => Fault::CutChunks {
            after: size("after"),
        },
        "cut_gzip" => Fault::CutGzip,
        "cut_json" => Fault::CutJson,
        "hold" => Fault::Hold,
        "delay" => Fault::Delay(millis("ms").ok_or_else(|| need("ms"))?),
        "hang" => Fault::Hang(millis("ms").ok_or_else(|| need("ms"))?),
        "stall_mid_body" => Fault::StallMidBody(millis("ms").ok_or_else(|| need("ms"))?),
        "partial_result" => Fault::PartialResult {
            share: value.get("share").and_then(Value::as_f64).unwrap_or(0.5),
            malformed: flag("malformed"),
        },
        "slow" => Fault::Slow {
            per_row: number("per_row_us")
                .map(Duration::from_micros)
                .unwrap_or_default(),
            per_offset: number("per_offset_us")
                .map(Duration::from_micros)
                .unwrap_or_default(),
            limit: millis("limit_ms").unwrap_or(Duration::from_secs(60)),
            malformed: flag("malformed"),
        },
        "ignore_conditions" => Fault::IgnoreConditions,
        "no_total_count" => Fault::NoTotalCount,
        "date_shift" => Fault::DateShift(signed("seconds").ok_or_else(|| need("seconds"))?),
        "date_scatter" => {
            let most = number("seconds").and_then(|it| u32::try_from(it).ok());
            Fault::DateScatter(most.ok_or_else(|| need("seconds, not negative,"))?)
        }
        "drop_columns" => {
            let list = value.get("columns").and_then(Value::as_array);
            let list = list
                .ok_or_else(|| need("columns"))?
                .iter()
                .filter_map(Value::as_str);
            Fault::DropColumns(list.map(str::to_owned).collect())
        }
        "applied_504" => Fault::AppliedTimeout504,
        "applied_reset" => Fault::AppliedReset,
        "applied_empty_200" => Fault::AppliedEmpty200,
        "applied_hang" => Fault::AppliedHang(millis("ms").ok_or_else(|| need("ms"))?),
        "late_apply_504" => Fault::LateApply504 {
            after: millis("after_ms").ok_or_else(|| need("after_ms"))?,
        },
        "inserted_but_403" => Fault::InsertedBut403,
        "broken_body_201" => Fault::BrokenBody201,
        other => return Err(bad(format!("unknown fault {other}"))),
    };
    let target = match (text("table"), text("stats"), text("path"), flag("token")) {
        (Some(table), ..) if flag("writes") => Target::writes(table),
        (Some(table), ..) => Target::table(table),
        (_, Some(table), ..) => Target::Stats(table.to_owned()),
        (_, _, Some(path), _) => Target::Path(path.to_owned()),
        (_, _, _, true) => Target::Token,
        _ => Target::Any,
    };
    let mut rule = Rule::new(target, fault).skip(size("skip").unwrap_or_default());
    if let Some(method) = text("method") {
        rule = rule.method(method);
    }
    if let Some(share) = value.get("chance").and_then(Value::as_f64) {
        rule = rule.chance(share).seed(number("seed").unwrap_or(1));
    }
    Ok(match size("times") {
        Some(times) => rule.times(times),
        None => rule,
    })
}
