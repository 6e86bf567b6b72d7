//! The threads of the process: the kernel's figures of each, and the heartbeats it owes to health.

use std::fs;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::health::Health;
use crate::metrics::USER_HZ;

/// Threads that are listed.
const MAX_LISTED_THREADS: usize = 2000;

/// The shape of `/api/threads`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadsReport {
    /// The kernel's list, in the order of their start. The kernel cuts names after 15 characters.
    pub threads: Vec<KernelThread>,
    /// Threads that are registered with health, under their whole names.
    pub heartbeats: Vec<ThreadHeartbeat>,
}

/// A thread of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelThread {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// running, sleeping or waiting (for a disk), else the kernel's letter.
    pub state: String,
    /// CPU time spent so far.
    pub cpu_seconds: f64,
}

/// A thread that is registered with health and owes it heartbeats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadHeartbeat {
    /// Its whole name.
    pub name: String,
    /// Why it does not count as alive; null while it does.
    pub wrong: Option<String>,
    /// Seconds until its next heartbeat is due; 0 when it is overdue.
    pub due_in: f64,
}

/// All threads now.
pub(super) fn threads(health: &Health, now: Instant) -> ThreadsReport {
    let tasks = fs::read_dir("/proc/self/task");
    let tasks = tasks.into_iter().flatten().flatten();
    let mut threads: Vec<KernelThread> = tasks
        .take(MAX_LISTED_THREADS)
        .filter_map(|task| thread(&fs::read_to_string(task.path().join("stat")).ok()?))
        .collect();
    threads.sort_by_key(|thread| thread.id);
    let heartbeats = health.threads(now).into_iter().map(|life| ThreadHeartbeat {
        name: life.name,
        wrong: life.problem,
        due_in: life.due_in.as_secs_f64().round(),
    });
    ThreadsReport {
        threads,
        heartbeats: heartbeats.collect(),
    }
}

/// A line of `/proc/PID/task/ID/stat`, as in proc(5). The name may hold blanks and parentheses.
fn thread(stat: &str) -> Option<KernelThread> {
    let (id, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let state = match fields.next()? {
        "R" => "running",
        "S" | "I" => "sleeping",
        "D" => "waiting",
        other => other,
    };
    // Fields 14 and 15 of the whole; the state was the third.
    let mut ticks = fields.skip(10).map(|field| field.parse::<u32>().ok());
    let ticks = f64::from(ticks.next()??) + f64::from(ticks.next()??);
    Some(KernelThread {
        id: id.parse().ok()?,
        name: name.to_owned(),
        state: state.to_owned(),
        cpu_seconds: ticks / USER_HZ,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_kernels_line_is_understood() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 17 0 999 1 2";
        let expected = KernelThread {
            id: 7,
            name: "a ) b".to_owned(),
            state: "sleeping".to_owned(),
            cpu_seconds: 1.54,
        };
        assert_eq!(thread(stat), Some(expected));
        assert_eq!(thread("garbage"), None);
    }

    #[test]
    fn this_process_has_threads() {
        let health = Arc::new(Health::new());
        let _beat = health.thread("token");
        let found = threads(&health, Instant::now());
        assert!(found.threads.iter().any(|it| it.state == "running"));
        assert_eq!(found.heartbeats[0].name, "token");
    }
}
