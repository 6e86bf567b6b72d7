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

/// The longest copy.
const COPY_DEADLINE: Duration = Duration::from_secs(300);
/// Between two looks at a copy whose time is not measured.
const COUNT_EVERY: Duration = Duration::from_millis(200);

/// A running bridge; killed when dropped.
pub(crate) struct Bridge {
    child: Child,
    addr: String,
    folder: tempfile::TempDir,
}

impl Bridge {
    /// Starts `program` for one table; `extra` are further lines below `source:`.
    pub(crate) fn start(program: &str, job: &Job, extra: &str) -> Result<Bridge, Box<dyn Error>> {
        Bridge::launch(program, &config(job, extra))
    }

    /// Starts `program` with this configuration, which lacks the port only.
    pub(crate) fn launch(program: &str, config: &str) -> Result<Bridge, Box<dyn Error>> {
        Bridge::spawn(Command::new(Path::new(program).canonicalize()?), config)
    }

    /// As [`Bridge::launch`], below callgrind, which counts its instructions.
    pub(crate) fn launch_counted(program: &str, config: &str) -> Result<Bridge, Box<dyn Error>> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=instructions"]);
        command.arg(Path::new(program).canonicalize()?);
        Bridge::spawn(command, config)
    }

    fn spawn(mut command: Command, config: &str) -> Result<Bridge, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let addr = format!("127.0.0.1:{port}");
        let path = folder.path().join("config.yaml");
        fs::write(
            &path,
            format!("{config}observability:\n  addr: {addr}\nlog_level: warn\n"),
        )?;
        let child = command
            .arg("--config")
            .arg(&path)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log"))?)
            .spawn()?;
        Ok(Bridge {
            child,
            addr,
            folder,
        })
    }

    /// The end of its log, for an error.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(5).collect();
        last.reverse();
        last.join("\n")
    }

    /// Its folder, with the configuration and the checkpoint.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Process id, as text for /proc.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Rows acknowledged by Kafka so far.
    pub(crate) fn produced(&self) -> u64 {
        self.sum("bridge_source_produce_total{")
    }

    /// Waits until so many rows are acknowledged.
    pub(crate) fn wait_for(&self, rows: u64) -> Result<(), Box<dyn Error>> {
        let started = Instant::now();
        while self.produced() < rows {
            if started.elapsed() > COPY_DEADLINE {
                let (count, log) = (self.produced(), self.log_tail());
                return Err(format!("the bridge copied {count} of {rows} rows: {log}").into());
            }
            crossbeam_channel::after(COUNT_EVERY).recv()?;
        }
        Ok(())
    }

    /// Ends a bridge of [`Bridge::launch_counted`] in its own time; its instructions.
    pub(crate) fn end_counted(mut self) -> Result<u64, Box<dyn Error>> {
        Command::new("kill").args(["-TERM", &self.pid()]).status()?;
        self.child.wait()?;
        let text = fs::read_to_string(self.folder.path().join("instructions"))?;
        let total = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("totals: "));
        Ok(total.ok_or("callgrind wrote no total")?.trim().parse()?)
    }

    /// Records written to the instance so far.
    pub(crate) fn written(&self) -> u64 {
        self.sum("bridge_sink_records_total{")
    }

    /// All series of a counter together.
    fn sum(&self, start: &str) -> u64 {
        let text = self.get("/metrics").unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
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

/// The configuration for one table; `extra` are further lines below `source:`.
pub(crate) fn config(job: &Job, extra: &str) -> String {
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
         source:\n  enabled: true\n  topic_prefix: bench\n  batch_size: {page}\n{extra}  tables:\n    - name: {table}\n      topic: {topic}\n"
    )
}

/// Copies all rows with the bridge, started anew with a configuration.
pub(crate) fn copy(program: &str, config: &str, rows: u64) -> Result<Sample, Box<dyn Error>> {
    let bridge = Bridge::launch(program, config)?;
    let started = Instant::now();
    let mut first = None;
    loop {
        let count = bridge.produced();
        let now = (count, started.elapsed().as_secs_f64(), usage(&bridge.pid()));
        if count > 0 && first.is_none() {
            first = Some(now);
        }
        if count >= rows {
            return Ok(Sample::between(first.unwrap_or(now), now));
        }
        if started.elapsed() > Duration::from_secs(300) {
            let log = bridge.log_tail();
            return Err(format!("the bridge copied {count} of {rows} rows in 300 s: {log}").into());
        }
        crossbeam_channel::after(Duration::from_millis(10)).recv()?;
    }
}
