//! CPU time of a process over the time that another process calls its work.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::proc::{Usage, usage};

/// Between two looks at /proc.
const EVERY: Duration = Duration::from_millis(20);

/// What a process had used, at many moments.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    samples: Vec<(Instant, Usage)>,
}

impl Watched {
    /// Watches `pid` until `done` says so.
    pub(crate) fn until(
        pid: &str,
        mut done: impl FnMut() -> Result<bool, Box<dyn Error>>,
    ) -> Result<Watched, Box<dyn Error>> {
        let mut watched = Watched::default();
        loop {
            watched.samples.push((Instant::now(), usage(pid)));
            if done()? {
                return Ok(watched);
            }
            crossbeam_channel::after(EVERY).recv()?;
        }
    }

    /// CPU time between two moments, in microseconds.
    pub(crate) fn cpu_us(&self, from: Instant, to: Instant) -> f64 {
        self.cpu_at(to) - self.cpu_at(from)
    }

    /// CPU time used until `when`, on the line between the two samples around it.
    fn cpu_at(&self, when: Instant) -> f64 {
        let next = self.samples.partition_point(|(at, _)| *at < when);
        let before = next.checked_sub(1).and_then(|it| self.samples.get(it));
        match (before, self.samples.get(next)) {
            (Some((begin, first)), Some((end, last))) => {
                let share = (when - *begin).as_secs_f64() / (*end - *begin).as_secs_f64().max(1e-9);
                first.cpu_us + share * (last.cpu_us - first.cpu_us)
            }
            (Some((_, only)), None) | (None, Some((_, only))) => only.cpu_us,
            (None, None) => 0.0,
        }
    }

    /// Largest resident set in MiB. The kernel forgets it when the process ends.
    pub(crate) fn peak_mib(&self) -> f64 {
        let peaks = self.samples.iter().map(|(_, usage)| usage.peak_mib);
        peaks.fold(0.0, f64::max)
    }
}
