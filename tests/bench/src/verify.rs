//! What a comparison of a large table with its topic takes: by sums, and row by row.

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use real_kafka::Broker;

use crate::bare::Job;
use crate::bridge::{Bridge, config};
use crate::instance::Instance;
use crate::proc::usage;

/// Rows of the table.
const VERIFIED_ROWS: u64 = 1_000_000;
/// Bytes of each: they are read from the topic, and not compared.
const VERIFIED_ROW_BYTES: usize = 500;
/// Between two looks at the command.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Copies the table, and prints what the comparisons of it took.
pub(crate) fn all(program: &str, simulator: &str, broker: &Broker) -> Result<(), Box<dyn Error>> {
    let instance = Instance::of_size(simulator, VERIFIED_ROWS, VERIFIED_ROW_BYTES)?;
    let job = Job {
        url: instance.url.clone(),
        table: "incident".to_owned(),
        brokers: broker.plain_addr(),
        topic: "bench-verify".to_owned(),
        page: 10_000,
        rows: VERIFIED_ROWS,
        compression: "lz4".to_owned(),
    };
    broker.create_topic(&job.topic, 3, &[("file.delete.delay.ms", "100")])?;
    let bridge = Bridge::launch(program, &config(&job, "  version_headers: true\n"))?;
    bridge.wait_for(VERIFIED_ROWS)?;
    println!("\n| `verify` of {VERIFIED_ROWS} rows | s | requests | CPU s | peak MiB |");
    println!("|---|---|---|---|---|");
    for flags in [&[][..], &["--full"]] {
        compare(program, bridge.folder(), flags)?;
    }
    Ok(broker.delete_topic(&job.topic)?)
}

fn compare(program: &str, folder: &Path, flags: &[&str]) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let mut child = Command::new(Path::new(program).canonicalize()?)
        .args(["verify", "incident", "--json"])
        .args(flags)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = child.id().to_string();
    let (mut cpu_us, mut peak_mib) = (0.0_f64, 0.0_f64);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let now = usage(&pid);
        (cpu_us, peak_mib) = (cpu_us.max(now.cpu_us), peak_mib.max(now.peak_mib));
        crossbeam_channel::after(LOOK_INTERVAL).recv()?;
    };
    let seconds = began.elapsed().as_secs_f64();
    let mut text = String::new();
    child
        .stdout
        .take()
        .ok_or("no output")?
        .read_to_string(&mut text)?;
    let requests = number_of(&text, "requests").ok_or("the report says no number of requests")?;
    if !status.success() {
        return Err(format!("verify {}: {status}", flags.join(" ")).into());
    }
    println!(
        "| {} | {seconds:.1} | {requests} | {:.1} | {peak_mib:.0} |",
        flags.first().unwrap_or(&"by sums"),
        cpu_us / 1e6
    );
    Ok(())
}

/// A number in one line of JSON.
fn number_of<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = json.split_once(&format!("\"{name}\":"))?;
    behind.split([',', '}']).next()
}
