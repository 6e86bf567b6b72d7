//! The bridge as a process, watched through its own metrics.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bare::Job;
use crate::proc::{Sample, usage};

/// A running bridge; killed when dropped.
pub(crate) struct Bridge {
    child: Child,
    addr: String,
    _folder: tempfile::TempDir,
}

impl Bridge {
    /// Starts `program` for one table; `extra` are further lines below `source:`.
    pub(crate) fn start(program: &str, job: &Job, extra: &str) -> Result<Bridge, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let addr = format!("127.0.0.1:{port}");
        let config = folder.path().join("config.yaml");
        fs::write(&config, text(job, &addr, extra))?;
        let child = Command::new(Path::new(program).canonicalize()?)
            .arg("--config")
            .arg(&config)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log"))?)
            .spawn()?;
        Ok(Bridge {
            child,
            addr,
            _folder: folder,
        })
    }

    /// Process id, as text for /proc.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Rows acknowledged by Kafka so far.
    pub(crate) fn produced(&self) -> u64 {
        let text = self.get("/metrics").unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.starts_with("bridge_source_produce_total{"));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0)
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn text(job: &Job, addr: &str, extra: &str) -> String {
    let Job {
        url,
        table,
        brokers,
        topic,
        page,
        compression,
        ..
    } = job;
    format!(
        "servicenow:\n  base_url: {url}\n  auth:\n    type: basic\n    basic: {{username: bridge, password: secret}}\n\
         kafka:\n  brokers: ['{brokers}']\n  compression: {compression}\n\
         source:\n  enabled: true\n  topic_prefix: bench\n  batch_size: {page}\n{extra}  tables:\n    - name: {table}\n      topic: {topic}\n\
         observability:\n  addr: {addr}\nlog_level: warn\n"
    )
}

/// Copies all rows with the bridge, started anew.
pub(crate) fn copy(program: &str, job: &Job) -> Result<Sample, Box<dyn Error>> {
    let bridge = Bridge::start(program, job, "")?;
    let started = Instant::now();
    let mut first = None;
    loop {
        let count = bridge.produced();
        let now = (count, started.elapsed().as_secs_f64(), usage(&bridge.pid()));
        if count > 0 && first.is_none() {
            first = Some(now);
        }
        if count >= job.rows {
            return Ok(Sample::between(first.unwrap_or(now), now));
        }
        if started.elapsed() > Duration::from_secs(300) {
            return Err(format!("the bridge copied {count} of {} rows in 300 s", job.rows).into());
        }
        crossbeam_channel::after(Duration::from_millis(10)).recv()?;
    }
}
