//! Tells systemd how the service does: plain datagrams to the socket it names, as `sd_notify` does.
//!
//! Without `NOTIFY_SOCKET` nothing is sent. A message that cannot be sent is dropped: systemd's
//! silence must not hold the bridge up.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::config::SystemdEnvironment;

/// The way to systemd.
#[derive(Debug)]
pub struct SystemdNotifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl SystemdNotifier {
    /// Opens the way to systemd as far as its environment asks for one.
    pub fn new(environment: &SystemdEnvironment) -> SystemdNotifier {
        let socket = environment.notify_socket.as_ref().and_then(|name| {
            let opened = open(name);
            opened
                .inspect_err(|error| log::warn!(error:% = error; "cannot tell systemd anything"))
                .ok()
        });
        let own_pid = u64::from(std::process::id());
        let is_meant = environment.watchdog_pid.is_none_or(|pid| pid == own_pid);
        let watchdog = match environment.watchdog_usec {
            Some(usec) if is_meant && socket.is_some() && usec > 0 => {
                Some(Duration::from_micros(usec))
            }
            Some(_) | None => None,
        };
        SystemdNotifier { socket, watchdog }
    }

    /// The pause between two feeds of the watchdog: half of the time that it waits.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / 2)
    }

    /// The service runs, or runs again after a reload.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The service still starts, and may take this much longer.
    pub fn starting(&self, longer: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", longer.as_micros()));
    }

    /// A reload begins; [`SystemdNotifier::ready`] ends it.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// A stop begins.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) {
        let line = line.replace('\n', " ");
        self.send(&format!("STATUS={line}"));
    }

    /// Feeds the watchdog.
    pub fn watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        if let Some((socket, addr)) = &self.socket
            && let Err(error) = socket.send_to_addr(message.as_bytes(), addr)
        {
            log::debug!(error:% = error; "a message to systemd is lost");
        }
    }
}

/// A path, or with `@` in front a name that is in no file system.
fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let addr = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn arrives(name: &OsStr, receiver: &UnixDatagram) {
        let notify = SystemdNotifier {
            socket: Some(open(name).unwrap()),
            watchdog: Some(Duration::from_secs(10)),
        };
        assert_eq!(notify.watchdog_interval(), Some(Duration::from_secs(5)));
        notify.status("2 tables\nREADY=1");
        notify.reloading();
        let mut buffer = [0; 200];
        let length = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STATUS=2 tables READY=1");
        let length = receiver.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let micros = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().is_ok(), "{micros}");
    }

    #[test]
    fn a_path_and_an_abstract_name_are_both_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        arrives(path.as_os_str(), &UnixDatagram::bind(&path).unwrap());
        let name = format!("snkb-test-{}", std::process::id());
        let addr = SocketAddr::from_abstract_name(&name).unwrap();
        let receiver = UnixDatagram::bind_addr(&addr).unwrap();
        arrives(OsStr::new(&format!("@{name}")), &receiver);
    }

    #[test]
    fn a_socket_without_a_listener_is_no_failure() {
        let notify = SystemdNotifier {
            socket: Some(open(OsStr::new("/nowhere/notify")).unwrap()),
            watchdog: None,
        };
        notify.ready();
        assert_eq!(notify.watchdog_interval(), None);
    }
}
