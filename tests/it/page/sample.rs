//! A made-up `/status.json` with something of everything, the same at each run.

use serde_json::{Value, json};

const NOW: f64 = 1_768_471_200.0;
const POINTS: u32 = 180;

/// A curve of 15 minutes: `at` gives each point from its number.
fn curve(at: impl Fn(f64, f64) -> f64) -> Vec<Value> {
    let point = |number: u32| {
        // A noise that is no random number.
        let noise =
            (f64::from(number * number % 97) / 97.0 + f64::from(number * 31 % 17) / 17.0) / 2.0;
        json!((at(f64::from(number), noise).max(0.0) * 100.0).round() / 100.0)
    };
    (0..POINTS).map(point).collect()
}

struct Made {
    rate: Vec<Value>,
    lag: Vec<Value>,
    value: Value,
}

fn made(name: &str, to: &str, rate: Vec<Value>, lag: Vec<Value>, more: &Value) -> Made {
    let minute: f64 = rate.iter().rev().take(12).filter_map(Value::as_f64).sum();
    let mut value = json!({
        "name": name, "to": to, "state": "running", "words": null, "rows": 0,
        "rate": (minute / 12.0 * 100.0).round() / 100.0, "lag": lag.last(), "remaining": null,
        "last_success": NOW - 2.0, "next_poll": null, "in_flight": null, "skipped": null,
        "dead_letters": null, "errors": 0, "last_error": null,
        "history": {"rate": rate, "lag": lag},
    });
    for (key, more) in more.as_object().unwrap() {
        value[key] = more.clone();
    }
    Made { rate, lag, value }
}

fn tables() -> Vec<Made> {
    let too_large = "record 9d385017c611228701d22104cc95c371 is larger than \
                     kafka.max_message_bytes (1000000)";
    let forbidden = "403 from the instance: User Not Authorized; grant the \
                     integration user read access";
    vec![
        made(
            "incident",
            "servicenow.incident",
            curve(|x, noise| 14.0 + 6.0 * (x / 14.0).sin() + 4.0 * noise),
            curve(|_, noise| 1.0 + noise),
            &json!({"rows": 1_284_311, "next_poll": NOW + 0.3,
                "late": {"rows": 1_204, "longest": 184.0, "unsettled": 3_310},
                "deletes": {"mode": "all", "compared": NOW - 4_000.0, "held": 0, "sent": 12_411}}),
        ),
        made(
            "problem",
            "servicenow.problem",
            curve(|x, noise| if x % 9.0 < 1.0 { 2.0 * noise } else { 0.0 }),
            curve(|_, noise| 3.0 + 6.0 * noise),
            &json!({"rows": 40_211, "next_poll": NOW + 11.0}),
        ),
        made(
            "change_request",
            "servicenow.change_request",
            curve(|x, noise| if x < 120.0 { 3.0 * noise } else { 0.0 }),
            curve(|x, noise| {
                if x < 120.0 {
                    2.0 + noise
                } else {
                    (x - 120.0) * 5.0
                }
            }),
            &json!({"rows": 88_120, "state": "held", "words": too_large, "errors": 7,
                "next_poll": NOW + 22.0, "last_error": {"at": NOW - 41.0, "words": too_large}}),
        ),
        made(
            "cmdb_ci_server",
            "servicenow.cmdb_ci_server",
            curve(|x, noise| {
                if x < 40.0 {
                    0.0
                } else {
                    420.0 + 60.0 * (x / 20.0).sin() + 40.0 * noise
                }
            }),
            curve(|x, _| 4100.0 - x * 18.0),
            &json!({"rows": 3_310_448, "remaining": 1_820_400.0, "next_poll": NOW - 1.0}),
        ),
        made(
            "sys_user_group",
            "servicenow.sys_user_group",
            curve(|_, _| 0.0),
            curve(|_, _| 0.4),
            &json!({"rows": 912, "state": "paused"}),
        ),
        made(
            "task_sla",
            "servicenow.task_sla",
            curve(|_, _| 0.0),
            vec![Value::Null; POINTS as usize],
            &json!({"state": "error", "words": forbidden, "errors": 31, "next_poll": NOW + 18.0,
                "last_error": {"at": NOW - 12.0, "words": forbidden}, "last_success": null}),
        ),
    ]
}

fn topics() -> Vec<Made> {
    let missing = "row 46d44a5dc611228501bc87c6d93a1c4d is not there";
    vec![
        made(
            "servicenow.incident.in",
            "incident",
            curve(|x, noise| 8.0 + 3.0 * (x / 9.0).sin() + 2.0 * noise),
            curve(|_, noise| (20.0 + 15.0 * noise).round()),
            &json!({"rows": 220_114, "in_flight": 12.0, "waiting": 2.0, "skipped": 0, "dead_letters": 3,
                "errors": 9, "last_error": {"at": NOW - 4100.0, "words": missing}}),
        ),
        made(
            "servicenow.cmdb.in",
            "cmdb_ci",
            curve(|_, noise| 2.0 * noise),
            curve(|_, _| 0.0),
            &json!({"rows": 5_114, "in_flight": 0.0, "skipped": 4, "dead_letters": 0}),
        ),
    ]
}

fn total(all: &[Made]) -> Value {
    let points = 0..POINTS as usize;
    let number = |list: &[Value], at: usize| list[at].as_f64().unwrap_or(0.0);
    let sum = |at: usize| all.iter().map(|it| number(&it.rate, at)).sum::<f64>();
    let most = |at: usize| all.iter().map(|it| number(&it.lag, at)).fold(0.0, f64::max);
    json!({
        "rate": points.clone().map(sum).collect::<Vec<_>>(),
        "lag": points.map(most).collect::<Vec<_>>(),
    })
}

/// The whole answer.
pub(super) fn status() -> Value {
    let (tables, topics) = (tables(), topics());
    let values = |all: &[Made]| all.iter().map(|it| it.value.clone()).collect::<Vec<_>>();
    json!({
        "version": "0.1.0", "revision": "784fad4", "time": NOW, "started": NOW - 273_000.0,
        "ready": false,
        "reasons": [
            "delivery of change_request: held: record 9d385017c611228701d22104cc95c371 is larger \
             than kafka.max_message_bytes (1000000)",
            "table task_sla: 403 from the instance: User Not Authorized; grant the \
             integration user read access",
        ],
        "unhealthy": [], "notes": [],
        "servicenow": {"url": "https://example.service-now.com", "ok": true, "words": null,
            "auth": "oauth", "token_expires": NOW + 1210.0, "requests": 418_233, "errors": 31,
            "limit_wait": 12.4},
        "kafka": {"brokers": ["kafka-1:9092", "kafka-2:9092"], "ok": true, "words": null,
            "queue": 128.0, "errors": 0},
        "outages": [{"place": "schema_registry", "since": NOW - 84.0,
            "words": "connection refused"}],
        "sink_member": {"group_id": "servicenow-kafka-bridge",
            "instance_id": "skb-0b7e4c5a-2f0d-4a53-9d6e-6a1f3f0c9b21"},
        "checkpoint": {"fsync_mean": 0.0042},
        "process": {"cpu_seconds": 812.3, "resident_bytes": 14_889_779, "open_fds": 31,
            "max_fds": 65_536, "threads": 27},
        "reloads": [
            {"at": NOW - 7300.0, "outcome": "applied", "words": ["started table task_sla",
                "log_level is debug"]},
            {"at": NOW - 9100.0, "outcome": "refused", "words": ["config.yaml:41: \
                source.tables[5].nmae: unknown key, did you mean `name`?"]},
        ],
        "history": {"every": 5.0, "points": POINTS, "end": NOW, "tables": total(&tables),
            "topics": total(&topics)},
        "tables": values(&tables), "topics": values(&topics),
    })
}
