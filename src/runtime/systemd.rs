//! The messages to systemd: readiness, status line, watchdog.

use std::ops::Add as _;
use std::time::{Duration, Instant};

use super::services::Services;
use crate::daemon::SystemdNotifier;
use crate::metrics::Metrics;

/// Between two status lines.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// While the bridge waits to start, systemd is asked for this much more time with every line.
const START_TIMEOUT_EXTENSION: Duration = Duration::from_secs(60);

/// What systemd was told, and when it is told next.
pub(super) struct Systemd {
    notify: SystemdNotifier,
    ready: bool,
    status_at: Instant,
    watchdog_at: Instant,
    before: Option<(Instant, u64, u64)>,
}

impl Systemd {
    pub(super) fn new(notify: SystemdNotifier) -> Systemd {
        let now = Instant::now();
        Systemd {
            notify,
            ready: false,
            status_at: now,
            watchdog_at: now,
            before: None,
        }
    }

    /// systemd was told that the service is ready.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Sends the messages that are due. The watchdog is fed only while `/healthz` is good, so that systemd
    /// restarts a process with a dead or hanging thread.
    pub(super) fn step(&mut self, now: Instant, services: &Services, running: bool) {
        if running && !self.ready {
            self.ready = true;
            self.notify.ready();
        }
        if let Some(interval) = self.notify.watchdog_interval()
            && self.watchdog_at <= now
            && services.health.liveness(now).ok
        {
            self.notify.watchdog();
            // The supervisor looks once a second.
            self.watchdog_at = now + interval.min(STATUS_INTERVAL).mul_f64(0.8);
        }
        if self.status_at <= now {
            self.status_at = now + STATUS_INTERVAL;
            if !self.ready {
                self.notify.starting(START_TIMEOUT_EXTENSION);
            }
            let line = self.status(now, services);
            self.notify.status(&line);
        }
    }

    /// A reload begins.
    pub(super) fn reloading(&self) {
        self.notify.reloading();
    }

    /// A reload has ended.
    pub(super) fn reloaded(&self) {
        if self.ready {
            self.notify.ready();
        }
    }

    /// The stop begins.
    pub(super) fn stopping(&self, timeout: Duration) {
        self.notify.stopping();
        let seconds = timeout.as_secs();
        self.notify.status(&format!(
            "stopping: delivering what was begun, {seconds} s at most"
        ));
    }

    fn status(&mut self, now: Instant, services: &Services) -> String {
        let metrics = &services.metrics;
        let read = metrics.source_produced.sum();
        let written = metrics.sink_records.sum();
        let before = self.before.replace((now, read, written));
        let (read, written) = before.map_or((0, 0), |(at, read_then, written_then)| {
            let seconds = now.saturating_duration_since(at).as_secs().max(1);
            let rate = |now: u64, then: u64| now.saturating_sub(then) / seconds;
            (rate(read, read_then), rate(written, written_then))
        });
        let line = line(read, written, metrics);
        let report = services.health.readiness();
        match report.lines.first() {
            None => line,
            Some(reason) => format!("{line}; not ready: {reason}"),
        }
    }
}

/// Rates per second and what is behind.
fn line(read: u64, written: u64, metrics: &Metrics) -> String {
    let lag = metrics.offset_lag.values().into_iter().fold(0.0, f64::max);
    // The sum of no numbers is -0 otherwise.
    let behind = metrics.sink_lag.values().into_iter().fold(0.0, f64::add);
    format!(
        "source {read} rows/s, {lag:.0} s behind; sink {written} records/s, {behind:.0} records behind"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_sink_nothing_is_behind() {
        let line = line(0, 0, &Metrics::new());
        assert!(line.ends_with("records/s, 0 records behind"), "{line}");
    }

    #[test]
    fn the_line_has_rates_and_lags() {
        let metrics = Metrics::new();
        metrics.offset_lag.with(&["a"]).set(3.2);
        metrics.offset_lag.with(&["b"]).set(1.0);
        metrics.sink_lag.with(&["t", "0"]).set(5.0);
        metrics.sink_lag.with(&["t", "1"]).set(f64::NAN);
        assert_eq!(
            line(10, 2, &metrics),
            "source 10 rows/s, 3 s behind; sink 2 records/s, 5 records behind"
        );
    }
}
