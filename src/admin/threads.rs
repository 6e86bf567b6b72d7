//! The threads of the process: what the kernel knows of them and what they promised.

use std::fs;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::health::Health;

/// Threads that are listed.
const MAX_LISTED_THREADS: usize = 2000;
/// Ticks per second of the times in `/proc`: 100 on every architecture Rust's Linux targets have.
const USER_HZ: f64 = 100.0;

/// The shape of `/api/threads`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadsReport {
    /// What the kernel knows, in the order of their start. It cuts names after 15 letters.
    pub threads: Vec<KernelThread>,
    /// What threads promised to health.
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

/// A thread that promises to be heard of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadHeartbeat {
    /// Its whole name.
    pub name: String,
    /// What is wrong with it; null: nothing.
    pub wrong: Option<String>,
    /// Within how many seconds it will be heard of.
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
