//! What is asked of a running bridge, over its admin port.

use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::dead_letters::text::{clean, clean_json};
use super::{CommandOutcome, Terminal};
use crate::admin::status::BridgeStatus;
use crate::admin::threads::ThreadsReport;
use crate::cli::AdminAction;
use crate::config::ObservabilityConfig;

mod table;
mod words;

/// How long we wait for an answer: longer than the port waits for the supervisor.
const ADMIN_ANSWER_TIMEOUT: Duration = Duration::from_secs(75);
/// How long for a connection.
const ADMIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MAX_ADMIN_ANSWER_BYTES: u64 = 16 << 20;

/// Asks, and prints what comes back.
pub(super) fn execute(
    port: &ObservabilityConfig,
    action: &AdminAction,
    terminal: &mut Terminal<'_>,
) -> CommandOutcome {
    match ask(port, action).and_then(|answer| print(&answer, action, terminal)) {
        Ok(()) => CommandOutcome::default(),
        Err(AdminFailure { code, words }) => CommandOutcome::failed(code, &words),
    }
}

/// Why there is nothing to print.
struct AdminFailure {
    code: u8,
    words: String,
}

impl AdminFailure {
    fn new(code: u8, words: impl Into<String>) -> AdminFailure {
        let words = words.into();
        AdminFailure { code, words }
    }
}

impl From<io::Error> for AdminFailure {
    fn from(error: io::Error) -> AdminFailure {
        AdminFailure::new(75, format!("cannot write: {error}"))
    }
}

/// Sends the request; the body of a good answer.
fn ask(port: &ObservabilityConfig, action: &AdminAction) -> Result<String, AdminFailure> {
    let named = |name: &str| Some(json!({ "name": name }));
    let (path, body) = match action {
        AdminAction::Status(_) => ("/status.json", None),
        AdminAction::Threads(_) => ("/api/threads", None),
        AdminAction::Config => ("/api/config", None),
        AdminAction::Pause(name) => ("/api/pause", named(name)),
        AdminAction::Resume(name) => ("/api/resume", named(name)),
        AdminAction::Poll(name) => ("/api/poll", named(name)),
        AdminAction::RefreshToken => ("/api/refresh-token", Some(Value::Null)),
        AdminAction::LogLevel(level) => ("/api/log-level", Some(json!({ "level": level }))),
    };
    let addr = address(&port.addr)?;
    let url = format!("http://{addr}{path}");
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .timeout_global(Some(ADMIN_ANSWER_TIMEOUT))
            .timeout_connect(Some(ADMIN_CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            // The port is near; a proxy of the environment would get the token.
            .proxy(None)
            .build(),
    );
    let token = port.admin.as_ref();
    let bearer = token.map(|admin| format!("Bearer {}", admin.token.expose()));
    let bearer = if path.starts_with("/api/") {
        Some(bearer.ok_or_else(|| {
            let words = "this needs observability.admin_token_file in the configuration: make a \
                         token with `openssl rand -hex 32`";
            AdminFailure::new(78, words)
        })?)
    } else {
        None
    };
    let sent = match &body {
        None => with_token(agent.get(&url), bearer).call(),
        Some(body) => with_token(agent.post(&url), bearer).send(body.to_string()),
    };
    let no_answer = |error: ureq::Error| {
        AdminFailure::new(75, format!("no answer from a bridge at {addr}: {error}"))
    };
    let mut response = sent.map_err(no_answer)?;
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(MAX_ADMIN_ANSWER_BYTES);
    let body = body.read_to_string().map_err(no_answer)?;
    match status {
        200 => Ok(body),
        _ => Err(refusal(status, &body)),
    }
}

fn with_token<B>(
    request: ureq::RequestBuilder<B>,
    bearer: Option<String>,
) -> ureq::RequestBuilder<B> {
    match bearer {
        Some(bearer) => request.header("Authorization", bearer),
        None => request,
    }
}

/// Where a bridge that listens on `addr` is reached from here.
fn address(addr: &str) -> Result<String, AdminFailure> {
    let (host, port) = addr.rsplit_once(':').unwrap_or((addr, ""));
    if port == "0" {
        let words = "observability.addr has port 0, so nobody knows where the bridge listens; set \
                     a port";
        return Err(AdminFailure::new(78, words));
    }
    Ok(match host {
        "" | "0.0.0.0" | "[::]" => format!("127.0.0.1:{port}"),
        host => format!("{host}:{port}"),
    })
}

/// The words of an answer that is none.
fn refusal(status: u16, body: &str) -> AdminFailure {
    let answer: Option<Value> = serde_json::from_str(body).ok();
    let words = answer
        .as_ref()
        .and_then(|answer| answer.get("error")?.as_str());
    let words = match words {
        Some(words) => clean(words).into_owned(),
        None => format!("what listens there is no bridge of this version: status {status}"),
    };
    let code = match status {
        401 | 403 => 78,
        503 | 504 => 75,
        _ => 1,
    };
    AdminFailure::new(code, words)
}

fn print(
    answer: &str,
    action: &AdminAction,
    terminal: &mut Terminal<'_>,
) -> Result<(), AdminFailure> {
    match action {
        AdminAction::Status(options) | AdminAction::Threads(options) if options.json => {
            terminal.line(&clean_json(answer))?;
        }
        AdminAction::Config => {
            let config: Value = understood(answer)?;
            let text = serde_json::to_string_pretty(&config).unwrap_or_default();
            text.lines()
                .try_for_each(|line| terminal.line(&clean_json(line)))?;
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
            terminal.line(&clean(
                done.get("done").and_then(Value::as_str).unwrap_or("done"),
            ))?;
        }
    }
    terminal.flush()?;
    Ok(())
}

fn understood<T: DeserializeOwned>(answer: &str) -> Result<T, AdminFailure> {
    serde_json::from_str(answer)
        .map_err(|error| AdminFailure::new(75, format!("the answer is not understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_ask() {
        let at = |addr| address(addr).map_err(|failure| failure.code);
        assert_eq!(at(":8080"), Ok("127.0.0.1:8080".to_owned()));
        assert_eq!(at("0.0.0.0:80"), Ok("127.0.0.1:80".to_owned()));
        assert_eq!(at("[::]:80"), Ok("127.0.0.1:80".to_owned()));
        assert_eq!(at("[::1]:80"), Ok("[::1]:80".to_owned()));
        assert_eq!(at("bridge.example:80"), Ok("bridge.example:80".to_owned()));
        assert_eq!(at("127.0.0.1:0"), Err(78));
    }

    #[test]
    fn refusals_are_told_in_the_bridges_words() {
        let told = |status, body| {
            let AdminFailure { code, words } = refusal(status, body);
            (code, words)
        };
        assert_eq!(told(401, r#"{"error":"no"}"#), (78, "no".to_owned()));
        assert_eq!(
            told(409, r#"{"error":"a\u001b[1m"}"#),
            (1, "a\u{fffd}[1m".to_owned())
        );
        assert_eq!(told(503, r#"{"error":"later"}"#).0, 75);
        assert!(
            told(404, "404 page not found")
                .1
                .contains("no bridge of this version")
        );
    }
}
