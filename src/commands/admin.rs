//! The commands that ask something of a running bridge, over its admin port.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::failure::{CommandFailure, ExitResult, exit_code};
use super::running_bridge::{PortAnswer, RunningBridge};
use super::terminal::Terminal;
use crate::admin::status::BridgeStatus;
use crate::admin::threads::ThreadsReport;
use crate::cli::{AdminAction, EpochSeconds, RewindOptions, SnapshotOptions};
use crate::config::ObservabilityConfig;
use crate::control::SnapshotOrder;

mod words;

/// How long an answer may take: longer than the port itself waits for the supervisor.
const ADMIN_ANSWER_TIMEOUT: Duration = Duration::from_secs(75);

/// Asks, and prints the answer.
pub(super) fn execute(
    port: &ObservabilityConfig,
    action: &AdminAction,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let answer = ask(port, action)?;
    print(&answer, action, terminal)?;
    Ok(exit_code::DONE)
}

/// Asks a running bridge to do something, with the admin token; its own words on what was done.
pub(super) fn post(
    port: &ObservabilityConfig,
    path: &str,
    body: &Value,
) -> Result<String, CommandFailure> {
    let bridge = RunningBridge::at(&port.addr, ADMIN_ANSWER_TIMEOUT)?;
    let answer = bridge.request(path, Some(body), Some(&bearer(port)?))?;
    if answer.status != 200 {
        return Err(refusal(&answer));
    }
    let done: Value = understood(&answer.body)?;
    let words = done.get("done").and_then(Value::as_str);
    Ok(words.unwrap_or("done").to_owned())
}

/// Whether there is a running bridge that takes commands.
pub(super) fn check_access(port: &ObservabilityConfig) -> Result<(), CommandFailure> {
    let bearer = bearer(port)?;
    let bridge = RunningBridge::at(&port.addr, ADMIN_ANSWER_TIMEOUT)?;
    let answer = bridge.request("/api/threads", None, Some(&bearer))?;
    if answer.status == 200 {
        Ok(())
    } else {
        Err(refusal(&answer))
    }
}

/// Sends the request; the body of a good answer.
fn ask(port: &ObservabilityConfig, action: &AdminAction) -> Result<String, CommandFailure> {
    let named = |name: &str| Some(json!({ "name": name }));
    let (path, body) = match action {
        AdminAction::Status(_) => ("/status.json", None),
        AdminAction::Threads(_) => ("/api/threads", None),
        AdminAction::Config => ("/api/config", None),
        AdminAction::Pause(name) => ("/api/pause", named(name)),
        AdminAction::Resume(name) => ("/api/resume", named(name)),
        AdminAction::Poll(name) => ("/api/poll", named(name)),
        AdminAction::Deletes { decision, table } => {
            let body = json!({ "name": table, "decision": decision });
            ("/api/deletes", Some(body))
        }
        AdminAction::Snapshot(options) => ("/api/snapshot", Some(snapshot(options))),
        AdminAction::Rewind(RewindOptions { table, time }) => {
            let now = EpochSeconds(jiff::Timestamp::now().as_second());
            let body = json!({ "name": table, "since": time.resolve(now).0 });
            ("/api/rewind", Some(body))
        }
        AdminAction::RefreshToken => ("/api/refresh-token", Some(Value::Null)),
        AdminAction::LogLevel(level) => ("/api/log-level", Some(json!({ "level": level }))),
    };
    let bridge = RunningBridge::at(&port.addr, ADMIN_ANSWER_TIMEOUT)?;
    let bearer = if path.starts_with("/api/") {
        Some(bearer(port)?)
    } else {
        None
    };
    let answer = bridge.request(path, body.as_ref(), bearer.as_deref())?;
    match answer.status {
        200 => Ok(answer.body),
        _ => Err(refusal(&answer)),
    }
}

/// What is asked about a snapshot.
fn snapshot(options: &SnapshotOptions) -> Value {
    let orders = [
        (options.pause, SnapshotOrder::Pause),
        (options.resume, SnapshotOrder::Resume),
        (options.stop, SnapshotOrder::Stop),
    ];
    let order = orders.iter().find(|(is_given, _)| *is_given);
    if let Some((_, order)) = order {
        return json!({ "name": options.table, "order": order.word() });
    }
    let bound = |id: Option<u128>| id.map(|id| format!("{id:032x}"));
    json!({
        "name": options.table,
        "query": options.query,
        "from": bound(options.slice.and_then(|slice| slice.from)),
        "to": bound(options.slice.and_then(|slice| slice.to)),
    })
}

fn bearer(port: &ObservabilityConfig) -> Result<String, CommandFailure> {
    let admin = port.admin.as_ref().ok_or_else(|| {
        let text = "this needs observability.admin_token_file in the configuration: make a token \
                    with `openssl rand -hex 32`";
        CommandFailure::new(exit_code::CONFIGURATION, text)
    })?;
    Ok(format!("Bearer {}", admin.token.expose()))
}

/// A refusal in the words of the bridge.
fn refusal(answer: &PortAnswer) -> CommandFailure {
    let status = answer.status;
    let body: Option<Value> = serde_json::from_str(&answer.body).ok();
    let words = body.as_ref().and_then(|body| body.get("error")?.as_str());
    let text = words.map_or_else(
        || format!("what listens there is no bridge of this version: status {status}"),
        str::to_owned,
    );
    let code = match status {
        401 | 403 => exit_code::CONFIGURATION,
        503 | 504 => exit_code::TRY_AGAIN,
        _ => exit_code::NOT_AS_ASKED,
    };
    CommandFailure::new(code, text)
}

fn print(
    answer: &str,
    action: &AdminAction,
    terminal: &mut Terminal<'_>,
) -> Result<(), CommandFailure> {
    match action {
        AdminAction::Status(options) | AdminAction::Threads(options) if options.json => {
            terminal.json(answer)?;
        }
        AdminAction::Config => {
            let config: Value = understood(answer)?;
            terminal.json(&serde_json::to_string_pretty(&config).unwrap_or_default())?;
        }
        AdminAction::Status(_) => {
            let status: BridgeStatus = understood(answer)?;
            words::status(&status, terminal)?;
        }
        AdminAction::Threads(_) => {
            let threads: ThreadsReport = understood(answer)?;
            words::threads(&threads, terminal)?;
        }
        _ => {
            let done: Value = understood(answer)?;
            terminal.line(done.get("done").and_then(Value::as_str).unwrap_or("done"))?;
        }
    }
    Ok(())
}

fn understood<T: DeserializeOwned>(answer: &str) -> Result<T, CommandFailure> {
    serde_json::from_str(answer).map_err(|error| {
        let text = format!("the answer is not understood: {error}");
        CommandFailure::new(exit_code::TRY_AGAIN, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::terminal::tests::written;

    #[test]
    fn refusals_are_told_in_the_bridges_words() {
        let told = |status, body: &str| {
            let body = body.to_owned();
            let CommandFailure { code, text } = refusal(&PortAnswer { status, body });
            (code, text)
        };
        assert_eq!(told(401, r#"{"error":"no"}"#), (78, "no".to_owned()));
        assert_eq!(told(409, r#"{"error":"busy"}"#), (1, "busy".to_owned()));
        let hostile = PortAnswer {
            status: 409,
            body: r#"{"error":"a\u001b[1m"}"#.to_owned(),
        };
        let shown = written(None, |_| Err(refusal(&hostile)));
        assert_eq!(shown.errors, "servicenow-kafka-bridge: a\u{fffd}[1m\n");
        assert_eq!(told(503, r#"{"error":"later"}"#).0, 75);
        assert!(
            told(404, "404 page not found")
                .1
                .contains("no bridge of this version")
        );
    }
}
