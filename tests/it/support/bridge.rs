//! The real binary as a child process.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::process::Process;
use super::{LONG, wait_at_most, wait_for};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_servicenow-kafka-bridge");

/// A running bridge; killed when dropped.
pub(crate) struct Bridge {
    process: Process,
    log: PathBuf,
    addr: Option<SocketAddr>,
}

impl Bridge {
    /// Starts the bridge with the configuration in `folder/config.yaml` and waits for its port.
    pub(crate) fn start(folder: &Path) -> Bridge {
        let mut bridge = Bridge::spawn(folder);
        bridge.wait_port();
        bridge
    }

    /// Waits for the port of a spawned bridge.
    pub(crate) fn wait_port(&mut self) {
        let addr = wait_for("the admin port", || {
            assert!(
                self.try_exit().is_none(),
                "the bridge ended:\n{}",
                self.log()
            );
            self.addr_in_log()
        });
        self.addr = Some(addr);
    }

    /// Starts the bridge without waiting for anything.
    pub(crate) fn spawn(folder: &Path) -> Bridge {
        Bridge::spawn_command(folder, Command::new(PROGRAM))
    }

    /// Like `spawn`, with a prepared command, for limits and environment.
    pub(crate) fn spawn_command(folder: &Path, mut command: Command) -> Bridge {
        let log = folder.join("bridge.log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let offset = file.metadata().unwrap().len();
        fs::write(folder.join("bridge.log.start"), offset.to_string()).unwrap();
        let child = command
            .arg("run")
            .arg("--config")
            .arg(folder.join("config.yaml"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Bridge {
            process: Process(child),
            log,
            addr: None,
        }
    }

    /// Everything this process has logged.
    pub(crate) fn log(&self) -> String {
        let start = fs::read_to_string(self.log.with_extension("log.start")).unwrap();
        let text = fs::read(&self.log).unwrap();
        String::from_utf8_lossy(&text[start.parse::<usize>().unwrap()..]).into_owned()
    }

    fn addr_in_log(&self) -> Option<SocketAddr> {
        let log = self.log();
        let line = log
            .lines()
            .find(|line| line.contains("health and metrics are served"))?;
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        value["addr"].as_str()?.parse().ok()
    }

    /// The admin port.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr.expect("the port is known")
    }

    /// The address of a page of the admin port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    /// Answer of the admin port: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).expect("the admin port answers")
    }

    /// What `/status.json` says.
    pub(crate) fn status(&self) -> serde_json::Value {
        let (_, body) = self.get("/status.json");
        serde_json::from_str(&body).unwrap()
    }

    /// POSTs JSON to the port with an admin token; status and answer.
    pub(crate) fn post(
        &self,
        path: &str,
        token: &str,
        body: &serde_json::Value,
    ) -> (u16, serde_json::Value) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let request = agent.build().new_agent().post(self.url(path));
        let request = request.header("Authorization", format!("Bearer {token}"));
        let mut answer = request.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&text).unwrap())
    }

    fn try_get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let addr = self.addr();
        let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Ok((status, body.to_owned()))
    }

    /// Value of one series, by its full text such as `name{label="x"}`; 0 when absent.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        self.metric_if_any(series).unwrap_or(0.0)
    }

    /// The value of a series; `None`: the page has no such series, or there is no page.
    pub(crate) fn metric_if_any(&self, series: &str) -> Option<f64> {
        let (_, text) = self.try_get("/metrics").ok()?;
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Waits until a series is at least `value`.
    pub(crate) fn wait_metric(&mut self, series: &str, value: f64) {
        let deadline = Instant::now() + LONG;
        wait_at_most(LONG * 2, series, || {
            assert!(
                self.try_exit().is_none(),
                "the bridge ended:\n{}",
                self.log()
            );
            let now = self.metric(series);
            assert!(
                Instant::now() < deadline,
                "{series} is {now}, not {value}:\n{}",
                self.log_tail()
            );
            (now >= value).then_some(())
        });
    }

    /// Waits until `/readyz` says 200.
    pub(crate) fn wait_ready(&mut self) {
        wait_for("readiness", || {
            assert!(
                self.try_exit().is_none(),
                "the bridge ended:\n{}",
                self.log()
            );
            (self.get("/readyz").0 == 200).then_some(())
        });
    }

    /// Waits until `/readyz` says 503 and its body contains `words`.
    pub(crate) fn wait_not_ready(&self, words: &str) {
        wait_for(&format!("/readyz to say `{words}`"), || {
            let (status, body) = self.get("/readyz");
            (status == 503 && body.contains(words)).then_some(())
        });
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The most memory that it has had so far.
    pub(crate) fn peak_memory_mib(&self) -> u64 {
        self.memory_kib("VmHWM") >> 10
    }

    /// One of the figures of proc(5), `status`, such as `VmRSS`.
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or_else(|| panic!("{name} in {status}"))
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Exit code, if it has ended; 255 after a signal.
    pub(crate) fn try_exit(&mut self) -> Option<i32> {
        self.process
            .0
            .try_wait()
            .unwrap()
            .map(|status| status.code().unwrap_or(255))
    }

    /// Waits for the end by itself.
    pub(crate) fn wait_exit(&mut self) -> i32 {
        wait_for("the bridge to end", || self.try_exit())
    }

    /// SIGTERM, then the exit code.
    pub(crate) fn terminate(mut self) -> i32 {
        self.signal("TERM");
        wait_at_most(Duration::from_secs(60), "the bridge to stop", || {
            self.try_exit()
        })
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status();
        assert!(status.unwrap().success());
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }
}

/// Runs the program to its end.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Standard output and error of a finished program, and its exit code.
pub(crate) fn texts(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap_or(255),
    )
}
