//! One real registry: started, gone with its value.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use real_kafka::{Context, Error, java};
use tempfile::TempDir;

use crate::archive;

/// How long a start may take; it takes about 7 s on an idle host.
const START: Duration = Duration::from_secs(240);
/// Confluent's API is below this path.
const API: &str = "/apis/ccompat/v7";
/// A small, quick start: no second compiler, one collector thread.
const JVM: [&str; 4] = [
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
];

/// A running registry with nothing in it, and compatibility `NONE`.
#[derive(Debug)]
pub struct Server {
    process: Child,
    port: u16,
    // Removed after the process is gone: `Drop` kills first.
    folder: TempDir,
}

/// The one registry of this process. Use subjects of your own.
pub fn shared() -> Result<&'static Server, Error> {
    static SERVER: OnceLock<Result<Server, Error>> = OnceLock::new();
    SERVER
        .get_or_init(Server::start)
        .as_ref()
        .map_err(Clone::clone)
}

impl Server {
    /// Starts a registry and waits until it answers.
    pub fn start() -> Result<Server, Error> {
        let mut result = Err(Error::new("not tried"));
        // A port that was free a moment ago may be taken.
        for _ in 0..3 {
            result = Server::start_once();
            match &result {
                Err(error) if error.to_string().contains("already bound") => {}
                Ok(_) | Err(_) => break,
            }
        }
        result
    }

    fn start_once() -> Result<Server, Error> {
        let folder = tempfile::Builder::new()
            .prefix("real-registry-")
            .tempdir()
            .context("make a folder for the registry")?;
        let (port, management) = (java::free_port()?, java::free_port()?);
        let log = File::create(folder.path().join("log")).context("make the registry's log")?;
        let program = archive::java().map_err(Error::new)?;
        let process = java::guarded(folder.path(), &program, log)?
            .args(JVM)
            .arg(format!("-Djava.io.tmpdir={}", folder.path().display()))
            .arg("-Dquarkus.http.host=127.0.0.1")
            .arg(format!("-Dquarkus.http.port={port}"))
            // It would listen on 9000 of all addresses.
            .arg("-Dquarkus.management.host=127.0.0.1")
            .arg(format!("-Dquarkus.management.port={management}"))
            .arg("-jar")
            .arg(archive::jar()?)
            .current_dir(folder.path())
            .spawn()
            .context("start the registry")?;
        let mut server = Server {
            process,
            port,
            folder,
        };
        server.wait_until_it_answers()?;
        Ok(server)
    }

    /// Address of Confluent's API, with its path and without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }

    /// The registry's log.
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Sets the compatibility level of a subject, as `BACKWARD`.
    pub fn set_level(&self, subject: &str, level: &str) -> Result<(), Error> {
        let body = format!(r#"{{"compatibility":"{level}"}}"#);
        self.call("PUT", &format!("/config/{subject}"), &body)
            .map(drop)
    }

    /// What the bridge's client never asks for: the answer to a request below [`Server::url`], head
    /// included, which must be good.
    pub fn call(&self, method: &str, path: &str, body: &str) -> Result<String, Error> {
        let answer = self.ask(method, &format!("{API}{path}"), body)?;
        if answer.contains(" 200 ") {
            Ok(answer)
        } else {
            Err(Error::new(format!("{method} {path}: {answer}")))
        }
    }

    /// The answer's first kilobytes, head included.
    fn ask(&self, method: &str, path: &str, body: &str) -> Result<String, Error> {
        let time = Some(Duration::from_secs(10));
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.port)).context("reach the registry")?;
        stream
            .set_read_timeout(time)
            .context("bound a wait for the registry")?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream
            .write_all(request.as_bytes())
            .context("ask the registry")?;
        let mut answer = Vec::new();
        stream
            .take(16 << 10)
            .read_to_end(&mut answer)
            .context("read the registry's answer")?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn wait_until_it_answers(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + START;
        loop {
            let answer = self.ask("GET", &format!("{API}/mode"), "");
            if answer.is_ok_and(|answer| answer.contains("READWRITE")) {
                return Ok(());
            }
            let ended = !matches!(self.process.try_wait(), Ok(None));
            if ended || deadline <= Instant::now() {
                let why = if ended { "ended" } else { "does not answer" };
                let tail = self.log_tail();
                return Err(Error::new(format!("the registry {why}: {tail}")));
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stdin) = &mut self.process.stdin {
            stdin.write_all(b"kill\n").ok();
        }
        self.process.wait().ok();
    }
}
