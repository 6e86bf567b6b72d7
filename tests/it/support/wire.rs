//! A TCP path to the simulated instance that can be cut: refused connections, and a black hole in which
//! the kernel drops every packet. `wire.py` does it, as the product's language has no safe call for it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use real_kafka::java;

use super::process::Process;

/// The path; removed when dropped.
pub(crate) struct Wire {
    _process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
}

/// For the first line of a test: false when it is to be skipped, as Python is missing.
pub(crate) fn require_or_skip() -> bool {
    static SAID: OnceLock<()> = OnceLock::new();
    let version = Command::new("python3").arg("--version").output();
    let found = version.map(|_| ()).map_err(|why| format!("python3: {why}"));
    java::require_or_skip("a path that can be cut", found, &SAID)
}

impl Wire {
    /// A path to the port of `url`, which lets everything through.
    pub(crate) fn to(url: &str) -> Wire {
        let port = url.rsplit(':').next().unwrap();
        let mut child = Command::new("python3")
            .args(["-I", "-c", include_str!("wire.py"), port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Wire {
            _process: Process(child),
            input,
            output,
            port: line.trim().parse().unwrap(),
        }
    }

    /// Where a client connects.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets everything through again.
    pub(crate) fn pass(&mut self) {
        self.tell("pass");
    }

    /// Ends all connections and refuses new ones.
    pub(crate) fn refuse(&mut self) {
        self.tell("refuse");
    }

    /// Drops every packet.
    pub(crate) fn drop_packets(&mut self) {
        self.tell("drop");
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "ok\n");
    }
}
