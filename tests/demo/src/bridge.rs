//! The bridge as a child process with a generated configuration.

use std::fmt;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use rustix::process::{Pid, Signal, kill_process};

use crate::inbox::{self, INBOX};
use crate::{Failure, TABLES, topics, tried};

/// Longest wait for the port of the bridge.
const START: Duration = Duration::from_secs(30);
/// Longest wait for its end after SIGTERM; its own `shutdown_timeout` is 25 s.
const STOP: Duration = Duration::from_secs(40);
/// Longest wait for its metrics.
const ANSWER: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);
/// The checkpoint of an earlier demo, whose instance is gone, must not be there.
pub(crate) const CHECKPOINT: &str = "offsets.json";
const TOKEN: &str = "admin-token";

/// A running bridge; killed when dropped.
pub(crate) struct Bridge {
    child: Child,
    log: PathBuf,
    url: String,
}

/// Writes a configuration that needs nothing from outside, and the token of the admin API beside it.
pub(crate) fn write_config(
    folder: &Path,
    url: &str,
    brokers: &str,
    port: u16,
) -> Result<PathBuf, Failure> {
    let mut text = format!(
        "servicenow:
  base_url: {url}
  auth:
    type: oauth
    oauth: {{client_id: client-id, client_secret: client-secret, username: bridge, password: secret}}
kafka:
  brokers: ['{brokers}']
source:
  enabled: true
  topic_prefix: {}
  fast_poll_interval: 100ms
  slow_poll_interval: 250ms
  tables:
",
        topics::PREFIX
    );
    for (table, _) in TABLES {
        text.push_str(&format!("    - name: {table}\n"));
    }
    text.push_str(&format!(
        "sink:
  enabled: true
  dlq_topic: {}
  topics:
    - topic: {INBOX}
      table: {}
offset:
  file_path: {}
observability:
  addr: 127.0.0.1:{port}
  admin_token_file: {}
log_format: json
",
        topics::LETTERS,
        inbox::TABLE,
        folder.join(CHECKPOINT).display(),
        folder.join(TOKEN).display()
    ));
    let token: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(32)
        .collect();
    write_private(&folder.join(TOKEN), &token)?;
    let path = folder.join("config.yaml");
    write_private(&path, &text)?;
    Ok(path)
}

/// Writes a file for its owner alone, as one with a secret in it earns a warning otherwise.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let what = tried("write the configuration");
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(what(error)),
        Ok(()) | Err(_) => {}
    }
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(&what)?;
    file.write_all(text.as_bytes()).map_err(&what)
}

/// `wish` where it is free, else a free port. Another program may still take it before the bridge does.
pub(crate) fn free_port(wish: Option<u16>) -> Result<u16, Failure> {
    let bound =
        |port| TcpListener::bind(("127.0.0.1", port)).and_then(|socket| socket.local_addr());
    let address = match wish.map(bound) {
        Some(Ok(address)) => Ok(address),
        Some(Err(_)) | None => bound(0),
    };
    Ok(address.map_err(tried("find a free port"))?.port())
}

impl Bridge {
    /// Starts it and waits for its port, or for a signal.
    pub(crate) fn start(
        program: &Path,
        config: &Path,
        signals: &Receiver<()>,
    ) -> Result<Bridge, Failure> {
        let program = program
            .canonicalize()
            .map_err(|error| Failure(format!("{}: {error}", program.display())))?;
        let folder = config.parent().unwrap_or(Path::new("."));
        let log = folder.join("bridge.log");
        let file = File::create(&log).map_err(tried("make the log"))?;
        let child = Command::new(&program)
            .arg("run")
            .arg("--config")
            .arg(config)
            .current_dir(folder)
            // Ctrl-C reaches a whole group: the demo alone stops the bridge.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|error| Failure(format!("start {}: {error}", program.display())))?;
        let mut bridge = Bridge {
            child,
            log,
            url: String::new(),
        };
        let deadline = Instant::now() + START;
        while bridge.url.is_empty() {
            bridge.check()?;
            if Instant::now() > deadline {
                return Err(bridge.failure("the bridge does not serve its port"));
            }
            if signals.recv_timeout(PAUSE).is_ok() {
                return Err(Failure("stopped before the bridge had started".into()));
            }
            bridge.url = bridge.url_in_log().unwrap_or_default();
        }
        Ok(bridge)
    }

    fn url_in_log(&self) -> Option<String> {
        let log = fs::read_to_string(&self.log).ok()?;
        let line = log
            .lines()
            .find(|line| line.contains("health and metrics are served"))?;
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(format!("http://{}", event.get("addr")?.as_str()?))
    }

    /// Where health and metrics are served.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Records that it holds because they or the instance are in trouble; `None` when it does not
    /// say.
    pub(crate) fn held(&self) -> Option<u64> {
        let address = self.url.strip_prefix("http://")?;
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        let line = page
            .lines()
            .find(|line| line.starts_with("bridge_sink_held{"))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// What it logs.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    /// An error when it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self
            .child
            .try_wait()
            .map_err(tried("look after the bridge"))?
        {
            None => Ok(()),
            Some(status) => Err(self.failure(&format!("the bridge {}", Ended(status)))),
        }
    }

    /// An error with the last lines of the log, as the log goes away with the demo.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(10).collect();
        last.reverse();
        Failure(format!("{what}; its log ends with\n{}", last.join("\n")))
    }

    /// SIGTERM, then how it ended.
    pub(crate) fn stop(&mut self) -> Result<Ended, Failure> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure("the bridge has no process id".into()))?;
        let deadline = Instant::now() + STOP;
        if let Some(status) = self
            .child
            .try_wait()
            .map_err(tried("wait for the bridge"))?
        {
            return Ok(Ended(status));
        }
        kill_process(pid, Signal::TERM).map_err(tried("stop the bridge"))?;
        let (_open, pause) = crossbeam_channel::bounded::<()>(0);
        while Instant::now() < deadline {
            if let Some(status) = self
                .child
                .try_wait()
                .map_err(tried("wait for the bridge"))?
            {
                return Ok(Ended(status));
            }
            pause.recv_timeout(PAUSE).ok();
        }
        Err(self.failure("the bridge does not stop"))
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended(ExitStatus);

impl Ended {
    /// Exit code 0.
    pub(crate) fn is_clean(self) -> bool {
        self.0.success()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "ended with exit code {code}"),
            (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
            (None, None) => f.write_str("ended"),
        }
    }
}
