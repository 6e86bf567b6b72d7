//! A simulated instance as a process of its own.

use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bare::AUTHORIZATION;

/// Size of a row in bytes.
pub(crate) const ROW_BYTES: usize = 1800;

/// An incident with [`EMPTY_COLUMNS`] more columns.
pub(crate) const WIDE: &str = "u_wide";
/// With these a row has about as many columns as a real one, most of them empty.
const EMPTY_COLUMNS: usize = 46;

/// A simulated instance; killed when dropped.
pub(crate) struct Instance {
    child: Child,
    pub(crate) url: String,
}

impl Instance {
    /// With so many rows of [`ROW_BYTES`].
    pub(crate) fn start(simulator: &str, rows: u64) -> Result<Instance, Box<dyn Error>> {
        Instance::of_size(simulator, rows, ROW_BYTES)
    }

    /// With so many rows of so many bytes.
    pub(crate) fn of_size(
        simulator: &str,
        rows: u64,
        bytes: usize,
    ) -> Result<Instance, Box<dyn Error>> {
        let (rows, bytes) = (rows.to_string(), bytes.to_string());
        let instance = Instance::spawn(simulator, &["--rows", &rows, "--row-bytes", &bytes])?;
        instance.wait(&rows)?;
        Ok(instance)
    }

    /// With so many rows of [`ROW_BYTES`] in the table [`WIDE`], most of whose columns are empty.
    pub(crate) fn wide(simulator: &str, rows: u64) -> Result<Instance, Box<dyn Error>> {
        // Each empty column is `"u_45":"",`.
        let bytes = (ROW_BYTES - EMPTY_COLUMNS * 10).to_string();
        let (rows, columns) = (rows.to_string(), EMPTY_COLUMNS.to_string());
        let flags = ["--rows", &rows, "--row-bytes", &bytes, "--no-gzip"];
        let wide = ["--empty-columns", &columns, "--tables", WIDE];
        let instance = Instance::spawn(simulator, &[flags.as_slice(), &wide].concat())?;
        instance.wait(&rows)?;
        Ok(instance)
    }

    /// Without rows; each write takes `latency`.
    pub(crate) fn empty(simulator: &str, latency: Duration) -> Result<Instance, Box<dyn Error>> {
        let millis = latency.as_millis().to_string();
        let flags = ["--rows", "0", "--no-gzip", "--write-latency", &millis];
        let instance = Instance::spawn(simulator, &flags)?;
        instance.wait("0")?;
        Ok(instance)
    }

    fn spawn(simulator: &str, flags: &[&str]) -> Result<Instance, Box<dyn Error>> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let addr = format!("127.0.0.1:{port}");
        let child = Command::new(simulator)
            .args(["--addr", &addr])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Instance {
            child,
            url: format!("http://{addr}"),
        })
    }

    fn wait(&self, rows: &str) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.is_filled(rows) {
            if Instant::now() > deadline {
                return Err("the simulated instance does not start".into());
            }
            crossbeam_channel::after(Duration::from_millis(50)).recv()?;
        }
        Ok(())
    }

    /// Whether all rows are there: the simulator listens before it has made them.
    fn is_filled(&self, rows: &str) -> bool {
        let url = format!("{}/api/now/stats/incident?sysparm_count=true", self.url);
        let answer = ureq::get(url).header("authorization", AUTHORIZATION).call();
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        text.is_ok_and(|text| text.contains(&format!("\"count\":\"{rows}\"")))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
