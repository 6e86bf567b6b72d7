//! The process's own figures, read from `/proc/self` whenever the page is asked for.
//!
//! Only `/proc/self` is used, so that it also works under `ProcSubset=pid`. What cannot be read
//! is left out.

use std::fs;

use serde::{Deserialize, Serialize};

use super::exposition::ExpositionText;

/// Ticks per second of the times in `/proc/self/stat`. The kernel counts in its own HZ but reports
/// in `USER_HZ`, which is part of the ABI: 100 on every architecture Rust's Linux targets have
/// (`include/asm-generic/param.h`; `sysconf(_SC_CLK_TCK)` would need unsafe code).
pub const USER_HZ: f64 = 100.0;

/// Figures of `/proc/self`; `None` is unknown.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessFigures {
    /// CPU time spent so far.
    pub cpu_seconds: Option<f64>,
    /// Memory that is in use.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// How many there may be.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl ProcessFigures {
    /// Reads them now.
    pub fn read() -> ProcessFigures {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        let stat = text("stat");
        // The listing opens one descriptor of its own.
        let fds = fs::read_dir("/proc/self/fd").map(|list| list.count().saturating_sub(1));
        ProcessFigures {
            cpu_seconds: stat.as_deref().and_then(cpu_seconds),
            threads: stat.as_deref().and_then(|stat| stat_field(stat, 20)),
            resident_bytes: text("status").as_deref().and_then(resident_bytes),
            open_fds: fds.ok().and_then(|count| u64::try_from(count).ok()),
            max_fds: text("limits").as_deref().and_then(max_fds),
        }
    }

    pub(super) fn show(&self, start_seconds: f64, out: &mut ExpositionText) {
        let mut gauge = |name, help, value: Option<u64>| {
            if let Some(value) = value {
                out.family(name, help, "gauge");
                out.integer("", &[], value);
            }
        };
        gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            self.max_fds,
        );
        gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            self.open_fds,
        );
        let help = "Resident memory size in bytes.";
        gauge("process_resident_memory_bytes", help, self.resident_bytes);
        gauge("process_threads", "Number of threads.", self.threads);
        if let Some(seconds) = self.cpu_seconds {
            let help = "Total user and system CPU time spent in seconds.";
            out.family("process_cpu_seconds_total", help, "counter");
            out.number("", &[], seconds);
        }
        let help = "Start time of the process since the Unix epoch in seconds.";
        out.family("process_start_time_seconds", help, "gauge");
        out.number("", &[], start_seconds);
    }
}

/// A field of `/proc/self/stat`, counted from 1 as in proc(5). The second, the program's name in
/// parentheses, may itself hold blanks and parentheses, so counting starts after its end.
fn stat_field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split_ascii_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    let ticks = stat_field(stat, 14)?.checked_add(stat_field(stat, 15)?)?;
    // Exact: 2^53 ticks are millions of years.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    Some(ticks as f64 / USER_HZ)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    value
        .trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

fn max_fds(limits: &str) -> Option<u64> {
    let value = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    // The soft limit; "unlimited" is no number and is left out.
    value.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_understood() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 17 0 999 1 2";
        assert_eq!(cpu_seconds(stat), Some(1.54));
        assert_eq!(stat_field(stat, 20), Some(17));
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t   12340 kB\n"),
            Some(12_636_160)
        );
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  524288  files\n";
        assert_eq!(max_fds(limits), Some(1024));
        assert_eq!(max_fds("Max open files  unlimited  unlimited  files"), None);
        assert_eq!(cpu_seconds("garbage"), None);
    }

    #[test]
    fn this_process_has_figures() {
        let process = ProcessFigures::read();
        assert!(process.cpu_seconds.is_some());
        assert!(process.resident_bytes.is_some_and(|bytes| 100_000 < bytes));
        assert!(process.open_fds.is_some_and(|fds| 2 < fds));
        assert!(process.threads.is_some_and(|threads| 0 < threads));
    }
}
