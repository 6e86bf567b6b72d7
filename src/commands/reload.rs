//! `reload`: finds the running bridge, sends it SIGHUP, and asks it what became of that.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::failure::{CommandFailure, ExitResult, exit_code};
use super::running_bridge::RunningBridge;
use super::terminal::Terminal;
use crate::checkpoint;
use crate::config::Config;

/// How long one answer of the port may take.
const RELOAD_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a reload may take: the instance is asked whether the credentials work.
const RELOAD_MAX_WAIT: Duration = Duration::from_secs(60);
/// After this long without an outcome it is said what the wait is for.
const RELOAD_TOLD_AFTER: Duration = Duration::from_secs(2);
/// Between two questions what became of it.
const RELOAD_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Executes the command.
pub(super) fn execute(config: &Config, terminal: &mut Terminal<'_>) -> ExitResult {
    let failed = |text| CommandFailure::new(exit_code::TRY_AGAIN, text);
    let pid = running(config).map_err(failed)?;
    let addr = &config.observability.addr;
    let bridge = RunningBridge::at(addr, RELOAD_ANSWER_TIMEOUT).ok();
    // An outcome counts when the configuration was read from now on: an edit before this one may be
    // under way.
    let asked = SystemTime::now();
    let is_shown = bridge.as_ref().and_then(last_reload).is_some();
    kill_process(pid, Signal::HUP)
        .map_err(|error| failed(format!("cannot send SIGHUP to process {pid}: {error}")))?;
    let outcome = match bridge {
        Some(bridge) if is_shown => outcome(&bridge, asked, pid, terminal),
        _ => Ok(format!(
            "; what became of it is in its log, as {addr} does not answer"
        )),
    };
    let sent = format!("sent SIGHUP to process {pid}");
    let outcome = outcome.map_err(|why| failed(format!("{sent}{why}")))?;
    terminal.line(&format!("{sent}{outcome}"))?;
    Ok(exit_code::DONE)
}

/// Waits until the bridge has tried the configuration as it was read after `asked`. An error: it does not
/// use it.
fn outcome(
    bridge: &RunningBridge,
    asked: SystemTime,
    pid: Pid,
    terminal: &mut Terminal<'_>,
) -> Result<String, String> {
    let asked = asked.duration_since(SystemTime::UNIX_EPOCH);
    let asked = asked.unwrap_or_default().as_secs_f64();
    let begin = Instant::now();
    let mut is_told = false;
    while begin.elapsed() < RELOAD_MAX_WAIT {
        if last_reload(bridge).is_some_and(|read_at| read_at >= asked) {
            return verdict(bridge);
        }
        if begin.elapsed() > RELOAD_TOLD_AFTER && !is_told {
            is_told = true;
            terminal.progress(&format!(
                "process {pid} is trying the configuration; this may take half a minute"
            ));
        }
        std::thread::park_timeout(RELOAD_POLL_INTERVAL);
    }
    let seconds = RELOAD_MAX_WAIT.as_secs();
    Ok(format!("; it is not through after {seconds} s"))
}

/// The bridge that works with this checkpoint, if it is really one that takes SIGHUP: to others the
/// signal is deadly.
fn running(config: &Config) -> Result<Pid, String> {
    let path = config.offset.file_path.display();
    let holder =
        checkpoint::lock_holder(&config.offset.file_path).map_err(|error| error.to_string())?;
    let (number, lock) = holder.ok_or_else(|| {
        format!("no bridge runs with the checkpoint {path}: no process holds its lock")
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

/// The process has a handler for SIGHUP: bit 0 of the mask of caught signals (proc(5), `SigCgt`).
fn catches_hangup(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// The process has this file open.
fn has_open(process: &Path, file: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    let Ok(open) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    let wanted = identity(file);
    let mut open = open.flatten().map(|entry| identity(&entry.path()));
    wanted.is_some() && open.any(|it| it == wanted)
}

fn verdict(bridge: &RunningBridge) -> Result<String, String> {
    let page = get(bridge, "/metrics").unwrap_or_default();
    if value(&page, "bridge_config_last_reload_successful ").as_deref() == Some("1") {
        return Ok(": it runs with this configuration now".to_owned());
    }
    let why = get(bridge, "/readyz").and_then(|body| {
        let page: serde_json::Value = serde_json::from_str(&body).ok()?;
        let notes = page.get("notes")?.as_array()?.iter();
        let notes: Vec<&str> = notes.filter_map(serde_json::Value::as_str).collect();
        Some(notes.join("; "))
    });
    let why = why.unwrap_or_else(|| "its log says why".to_owned());
    Err(format!(": it does not use this configuration: {why}"))
}

/// When the bridge read the configuration that it tried last, in seconds since the epoch.
fn last_reload(bridge: &RunningBridge) -> Option<f64> {
    let page = get(bridge, "/metrics")?;
    let text = value(&page, "bridge_config_last_reload_timestamp_seconds ")?;
    text.parse().ok()
}

fn value(page: &str, series: &str) -> Option<String> {
    page.lines()
        .find_map(|line| line.strip_prefix(series))
        .map(|value| value.trim().to_owned())
}

fn get(bridge: &RunningBridge, path: &str) -> Option<String> {
    let answer = bridge.request(path, None, None).ok()?;
    Some(answer.body)
}
