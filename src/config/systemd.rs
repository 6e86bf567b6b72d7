//! What systemd tells a service in environment variables.

use std::ffi::OsString;

/// The variables that systemd sets for a service; each is `None` where it is not set.
#[derive(Debug, Clone, Default)]
pub struct SystemdEnvironment {
    /// `NOTIFY_SOCKET`: where the service reports its state (sd_notify(3)).
    pub notify_socket: Option<OsString>,
    /// `WATCHDOG_USEC`: within how many microseconds systemd expects a sign of life
    /// (sd_watchdog_enabled(3)).
    pub watchdog_usec: Option<u64>,
    /// `WATCHDOG_PID`: the process that the watchdog is meant for.
    pub watchdog_pid: Option<u64>,
    /// `JOURNAL_STREAM`: device and inode of stderr when it is the journal (systemd.exec(5)).
    pub journal_stream: Option<OsString>,
}

impl SystemdEnvironment {
    /// Reads the variables of this process.
    pub fn read() -> SystemdEnvironment {
        let number = |name| variable(name)?.to_str()?.parse().ok();
        SystemdEnvironment {
            notify_socket: variable("NOTIFY_SOCKET"),
            watchdog_usec: number("WATCHDOG_USEC"),
            watchdog_pid: number("WATCHDOG_PID"),
            journal_stream: variable("JOURNAL_STREAM"),
        }
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
