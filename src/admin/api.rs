//! The admin API: commands to the running bridge for clients that have the admin token.
//!
//! Everything is below `/api/`. What changes something is POST only and is asked of the
//! supervisor; every answer is JSON, with `error` in words when it is none.

use std::hint::black_box;
use std::time::Instant;

use log::LevelFilter;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::http::{AdminMethod, AdminReply, AdminRequest, AdminResponse};
use super::services::AdminServices;
use super::threads::threads;
use crate::config::{self, Secret};
use crate::control::{AdminCommand, DeleteDecision, SnapshotOrder, SnapshotPart, TableCommand};

/// The body of pause, resume and poll.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineNameBody {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeletesBody {
    name: String,
    decision: Option<String>,
    ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RereadBody {
    name: String,
    ids: Vec<String>,
}

/// A part of a table to begin with, or what is to become of the snapshot that is under way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotBody {
    name: String,
    query: Option<String>,
    from: Option<String>,
    to: Option<String>,
    order: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RewindBody {
    name: String,
    since: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLevelBody {
    level: String,
}

/// The answer to a request for `path` below `/api/`.
pub(super) fn answer(services: &AdminServices, path: &str, request: &AdminRequest) -> AdminReply {
    if let Err(refusal) = admit(services, request) {
        return AdminReply::Now(refusal);
    }
    match path {
        "config" => look(request, || {
            AdminResponse::json(200, &config::show_tree(&services.config.get()))
        }),
        "threads" => look(request, || {
            AdminResponse::json(200, &threads(&services.health, Instant::now()))
        }),
        "pause" | "resume" | "poll" | "deletes" | "reread" | "snapshot" | "rewind"
        | "log-level" | "refresh-token" | "reload" => {
            if request.method != AdminMethod::Post {
                return AdminReply::Now(only("POST"));
            }
            match command(path, &request.body) {
                Ok(command) => send(services, command),
                Err(words) => AdminReply::Now(AdminResponse::error(400, &words)),
            }
        }
        _ => {
            let known = "the admin API has config, threads, pause, resume, poll, deletes, reread, snapshot, rewind, \
                         refresh-token, log-level and reload";
            AdminReply::Now(AdminResponse::error(404, known))
        }
    }
}

fn look(request: &AdminRequest, page: impl FnOnce() -> AdminResponse) -> AdminReply {
    AdminReply::Now(match request.method {
        AdminMethod::Get | AdminMethod::Head => page(),
        AdminMethod::Post | AdminMethod::Other => only("GET, HEAD"),
    })
}

fn only(methods: &str) -> AdminResponse {
    AdminResponse {
        headers: format!("Allow: {methods}\r\n"),
        ..AdminResponse::error(405, &format!("this takes {methods} only"))
    }
}

/// Admits a request with the admin token; the error is the answer to any other.
fn admit(services: &AdminServices, request: &AdminRequest) -> Result<(), AdminResponse> {
    let config = services.config.get();
    let Some(admin) = &config.observability.admin else {
        let words = "the admin API is off; set observability.admin_token_file to switch it on";
        return Err(AdminResponse::error(403, words));
    };
    let refused = |words: &str| AdminResponse {
        headers: "WWW-Authenticate: Bearer\r\n".to_owned(),
        ..AdminResponse::error(401, words)
    };
    match &request.bearer {
        Some(token) if same(token, &admin.token) => Ok(()),
        Some(_) => {
            // Without the path, which the client chooses: the same line again is not written again.
            log::warn!("the admin API was asked with a wrong token");
            Err(refused(
                "the token is not that of observability.admin_token_file",
            ))
        }
        None => Err(refused(
            "send the content of observability.admin_token_file as `Authorization: Bearer TOKEN`",
        )),
    }
}

/// Compares two secrets in a time that does not depend on where they differ.
fn same(one: &Secret, other: &Secret) -> bool {
    let digest = |secret: &Secret| Sha256::digest(secret.expose().as_bytes());
    let (one, other) = (digest(one), digest(other));
    let bytes = one.iter().zip(other.iter());
    0 == bytes.fold(0, |differ, (one, other)| black_box(differ | (one ^ other)))
}

fn command(path: &str, body: &[u8]) -> Result<AdminCommand, String> {
    let name = || read::<PipelineNameBody>(body, r#"{"name": "incident"}"#).map(|named| named.name);
    match path {
        "pause" => name().map(AdminCommand::Pause),
        "resume" => name().map(AdminCommand::Resume),
        "poll" => name().map(AdminCommand::PollNow),
        "deletes" => {
            let example = r#"{"name": "incident", "decision": "accept"}"#;
            deletes(read(body, example)?)
        }
        "reread" => {
            let example = r#"{"name": "incident", "ids": ["9d385017c611228701d22104cc95c371"]}"#;
            let RereadBody { name, ids } = read(body, example)?;
            Ok(AdminCommand::ForTable {
                table: name,
                command: TableCommand::Reread(ids),
            })
        }
        "snapshot" => snapshot(read(body, r#"{"name": "incident"}"#)?),
        "rewind" => {
            let RewindBody { name, since } = read(body, r#"{"name": "incident", "since": 0}"#)?;
            Ok(AdminCommand::ForTable {
                table: name,
                command: TableCommand::Snapshot(SnapshotPart {
                    since: Some(since),
                    ..SnapshotPart::default()
                }),
            })
        }
        "log-level" => {
            let LogLevelBody { level } = read(body, r#"{"level": "debug"}"#)?;
            log_level(&level).map(AdminCommand::LogLevel)
        }
        "refresh-token" => Ok(AdminCommand::RefreshToken),
        _ => Ok(AdminCommand::Reload),
    }
}

fn deletes(body: DeletesBody) -> Result<AdminCommand, String> {
    match (body.decision, body.ids) {
        (Some(word), None) => {
            let mut known = DeleteDecision::ALL.into_iter();
            let decision = known.find(|known| known.word() == word);
            let decision = decision.ok_or("the decision is one of accept, reject")?;
            Ok(AdminCommand::ForTable {
                table: body.name,
                command: TableCommand::DecideDeletes(decision),
            })
        }
        (None, Some(ids)) => Ok(AdminCommand::ForTable {
            table: body.name,
            command: TableCommand::FindDeleted(ids),
        }),
        _ => Err("give either a decision or the ids of rows that may be deleted".to_owned()),
    }
}

fn snapshot(body: SnapshotBody) -> Result<AdminCommand, String> {
    let part = SnapshotPart {
        query: body.query,
        since: None,
        from: body.from,
        to: body.to,
    };
    let command = match body.order {
        None => TableCommand::Snapshot(part),
        Some(_) if part != SnapshotPart::default() => {
            return Err(
                "an order is about the snapshot that is under way: leave out its part".to_owned(),
            );
        }
        Some(word) => {
            let mut known = SnapshotOrder::ALL.into_iter();
            let order = known.find(|order| order.word() == word);
            TableCommand::SteerSnapshot(order.ok_or("the order is one of pause, resume, stop")?)
        }
    };
    Ok(AdminCommand::ForTable {
        table: body.name,
        command,
    })
}

fn read<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("the body is not JSON as {example}: {error}"))
}

/// A level as the configuration names it.
fn log_level(word: &str) -> Result<LevelFilter, String> {
    match word {
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        _ => Err("the level is one of error, warn, info, debug, trace".to_owned()),
    }
}

fn send(services: &AdminServices, command: AdminCommand) -> AdminReply {
    log::info!(command:% = command; "asked over the admin API");
    match services.control.send(command) {
        Ok(pending) => AdminReply::Later(pending),
        Err(words) => AdminReply::Now(AdminResponse::error(503, &words)),
    }
}
