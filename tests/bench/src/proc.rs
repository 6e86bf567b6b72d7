//! What the kernel says of a process.

use std::fs;

/// CPU time and peak memory so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time in microseconds.
    pub(crate) cpu_us: f64,
    /// Largest resident set in MiB.
    pub(crate) peak_mib: f64,
}

/// Usage of `pid`, or of this process for `self`.
pub(crate) fn usage(pid: &str) -> Usage {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields 14 and 15 (proc(5)), counted behind the name in parentheses; 100 ticks a second.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Usage {
        cpu_us: (ticks(11) + ticks(12)) * 10_000.0,
        peak_mib: kib.unwrap_or(0.0) / 1024.0,
    }
}

/// Resident set of `pid` now, in MiB.
pub(crate) fn resident_mib(pid: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// One run of a copy, from its first acknowledged row to its last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) rows_per_second: f64,
    pub(crate) cpu_us_per_row: f64,
    pub(crate) peak_mib: f64,
}

impl Sample {
    /// From the counts, times and usages at two moments.
    pub(crate) fn between(first: (u64, f64, Usage), last: (u64, f64, Usage)) -> Sample {
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let rows = last.0.saturating_sub(first.0).max(1) as f64;
        Sample {
            rows_per_second: rows / (last.1 - first.1).max(1e-6),
            cpu_us_per_row: (last.2.cpu_us - first.2.cpu_us) / rows,
            peak_mib: last.2.peak_mib,
        }
    }

    /// As one line for another process.
    pub(crate) fn to_line(self) -> String {
        format!(
            "{} {} {}",
            self.rows_per_second, self.cpu_us_per_row, self.peak_mib
        )
    }

    /// Back from [`Sample::to_line`].
    pub(crate) fn from_line(line: &str) -> Option<Sample> {
        let mut numbers = line.split_whitespace().map(|part| part.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Sample {
            rows_per_second: next()?,
            cpu_us_per_row: next()?,
            peak_mib: next()?,
        })
    }
}

/// Middle value of each figure.
pub(crate) fn median(samples: &[Sample]) -> Sample {
    let middle = |figure: fn(&Sample) -> f64| {
        let mut figures: Vec<f64> = samples.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(0.0)
    };
    Sample {
        rows_per_second: middle(|s| s.rows_per_second),
        cpu_us_per_row: middle(|s| s.cpu_us_per_row),
        peak_mib: middle(|s| s.peak_mib),
    }
}
