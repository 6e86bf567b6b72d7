//! `reload`: finds the running bridge, sends it SIGHUP, and asks it what became of that.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::CommandOutcome;
use crate::checkpoint;
use crate::config::Config;

/// Bound on one question to the admin port.
const RELOAD_QUESTION_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a reload may take: the instance is asked whether the credentials work.
const RELOAD_MAX_WAIT: Duration = Duration::from_secs(60);
/// Between two questions.
const RELOAD_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// More than a page of metrics has.
const MAX_METRICS_PAGE_BYTES: u64 = 16 << 20;

pub(super) fn reload(config: &Config) -> CommandOutcome {
    let pid = match running(config) {
        Ok(pid) => pid,
        Err(why) => return CommandOutcome::failed(75, &why),
    };
    let addr = &config.observability.addr;
    let before = timestamp(addr);
    if let Err(error) = kill_process(pid, Signal::HUP) {
        return CommandOutcome::failed(
            75,
            &format!("cannot send SIGHUP to process {pid}: {error}"),
        );
    }
    let sent = format!("sent SIGHUP to process {pid}");
    let Some(before) = before else {
        return CommandOutcome::output(format!(
            "{sent}; what became of it is in its log, as {addr} does not answer"
        ));
    };
    let deadline = Instant::now() + RELOAD_MAX_WAIT;
    while Instant::now() < deadline {
        if timestamp(addr).is_some_and(|now| now != before) {
            return outcome(addr, &sent);
        }
        std::thread::park_timeout(RELOAD_POLL_INTERVAL);
    }
    CommandOutcome::output(format!(
        "{sent}; it is not through after {} s",
        RELOAD_MAX_WAIT.as_secs()
    ))
}

/// The bridge that works with this checkpoint, if it is really one that takes SIGHUP: to others the
/// signal is deadly.
fn running(config: &Config) -> Result<Pid, String> {
    let path = config.offset.file_path.display();
    let holder =
        checkpoint::lock_holder(&config.offset.file_path).map_err(|error| error.to_string())?;
    let (number, lock) = holder.ok_or_else(|| {
        format!("no bridge runs with the checkpoint {path}: nobody holds its lock")
    })?;
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("{}: `{number}` is no process id", lock.display()))?;
    let folder = format!("/proc/{number}");
    if !catches_hangup(Path::new(&folder)) || !has_open(Path::new(&folder), &lock) {
        return Err(format!(
            "process {number} of {} cannot be told to be a bridge from here: is it in another \
             container, or another user's, or `checkpoint set` at work? send it SIGHUP yourself",
            lock.display()
        ));
    }
    Ok(pid)
}

/// Whether the process has a handler for SIGHUP, bit 0 of the mask of caught signals.
fn catches_hangup(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// Whether the process has this file open.
fn has_open(process: &Path, file: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    let Ok(open) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    let wanted = identity(file);
    let mut open = open.flatten().map(|entry| identity(&entry.path()));
    wanted.is_some() && open.any(|it| it == wanted)
}

fn outcome(addr: &str, sent: &str) -> CommandOutcome {
    let page = get(addr, "/metrics").unwrap_or_default();
    if value(&page, "bridge_config_last_reload_successful ").as_deref() == Some("1") {
        return CommandOutcome::output(format!("{sent}: it runs with this configuration now"));
    }
    let why = get(addr, "/readyz").and_then(|body| {
        let page: serde_json::Value = serde_json::from_str(&body).ok()?;
        let notes = page.get("notes")?.as_array()?.iter();
        let notes: Vec<&str> = notes.filter_map(serde_json::Value::as_str).collect();
        Some(notes.join("; "))
    });
    let why = why.unwrap_or_else(|| "its log says why".to_owned());
    CommandOutcome::failed(
        75,
        &format!("{sent}: it does not use this configuration: {why}"),
    )
}

/// When the bridge last read its configuration, as it says it.
fn timestamp(addr: &str) -> Option<String> {
    let page = get(addr, "/metrics")?;
    value(&page, "bridge_config_last_reload_timestamp_seconds ")
}

fn value(page: &str, series: &str) -> Option<String> {
    page.lines()
        .find_map(|line| line.strip_prefix(series))
        .map(|value| value.trim().to_owned())
}

/// The body of a page of the admin port, on this machine where it listens on all addresses.
fn get(addr: &str, path: &str) -> Option<String> {
    let all = addr
        .strip_prefix(':')
        .or_else(|| addr.strip_prefix("[::]:"));
    let all = all.or_else(|| addr.strip_prefix("0.0.0.0:"));
    let addr = all.map_or_else(|| addr.to_owned(), |port| format!("127.0.0.1:{port}"));
    let addr = addr.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&addr, RELOAD_QUESTION_TIMEOUT).ok()?;
    stream
        .set_read_timeout(Some(RELOAD_QUESTION_TIMEOUT))
        .ok()?;
    stream
        .set_write_timeout(Some(RELOAD_QUESTION_TIMEOUT))
        .ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream
        .take(MAX_METRICS_PAGE_BYTES)
        .read_to_string(&mut answer)
        .ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}
