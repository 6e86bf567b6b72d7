//! Benchmarks: the bridge next to a bare copy of the same bytes, in the same run.
//!
//! `bridge-bench BRIDGE SIMULATOR` prints the tables of docs/performance.md. Figures of one run may
//! be compared with each other, not with those of another machine or day.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod against;
mod avro;
mod bare;
mod bare_sink;
mod bridge;
mod formats;
mod instance;
mod journal;
mod live;
mod proc;
mod sink;
mod watch;

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};

use bare::Job;
use instance::Instance;
use proc::{Sample, median};

/// Runs of each program; the middle one counts.
const RUNS: usize = 3;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let parts: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match parts.as_slice() {
        ["bare", url, brokers, topic, page, rows, compression] => {
            bare_child(url, brokers, topic, page, rows, compression)
        }
        ["--encoder"] => avro::all(),
        ["bare-sink", url, brokers, topic, records, workers] => {
            bare_sink::child(url, brokers, topic, records, workers)
        }
        ["--against", before, after, simulator] => {
            start_broker().and_then(|broker| against::times(before, after, simulator, &broker))
        }
        ["--instructions", before, after, simulator] => start_broker()
            .and_then(|broker| against::instructions(before, after, simulator, &broker)),
        [bridge, simulator] => all(bridge, simulator),
        [bridge, simulator, "--quick"] => quick(bridge, simulator),
        [bridge, simulator, "--sink"] => sink_only(bridge, simulator),
        [bridge, simulator, "--avro"] => avro_only(bridge, simulator),
        _ => Err(
            "usage: bridge-bench BRIDGE SIMULATOR [--quick | --sink | --avro], bridge-bench \
             --encoder, bridge-bench --against BEFORE AFTER SIMULATOR, or \
             bridge-bench --instructions BEFORE AFTER SIMULATOR"
                .into(),
        ),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bridge-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The bare copy in a process of its own, so that its CPU time is its own.
fn bare_child(
    url: &str,
    brokers: &str,
    topic: &str,
    page: &str,
    rows: &str,
    compression: &str,
) -> Result<(), Box<dyn Error>> {
    let job = Job {
        url: url.to_owned(),
        table: "incident".to_owned(),
        brokers: brokers.to_owned(),
        topic: topic.to_owned(),
        page: page.parse()?,
        rows: rows.parse()?,
        compression: compression.to_owned(),
    };
    println!("{}", bare::copy(&job)?.to_line());
    Ok(())
}

/// One line of the table: compression, rows per page, rows.
type Case = (&'static str, usize, u64);

/// Every case, the formats, latency, idling and the sink; some minutes.
fn all(bridge: &str, simulator: &str) -> Result<(), Box<dyn Error>> {
    let broker = start_broker()?;
    head();
    for case in [
        ("none", 20, 20_000),
        ("none", 1_000, 200_000),
        ("none", 10_000, 200_000),
        ("lz4", 20, 20_000),
        ("lz4", 1_000, 200_000),
        ("lz4", 10_000, 200_000),
    ] {
        compare(bridge, simulator, &broker, case)?;
    }
    live::latency(bridge, &broker)?;
    live::idle(bridge, &broker)?;
    formats::all(bridge, simulator, &broker)?;
    avro::all()?;
    sink::all(bridge, simulator, &broker)
}

/// The one case that has a goal; half a minute.
fn quick(bridge: &str, simulator: &str) -> Result<(), Box<dyn Error>> {
    let broker = start_broker()?;
    head();
    compare(bridge, simulator, &broker, ("none", 1_000, 200_000))
}

/// The sink's cases; three minutes.
fn sink_only(bridge: &str, simulator: &str) -> Result<(), Box<dyn Error>> {
    sink::all(bridge, simulator, &start_broker()?)
}

/// Rows as Avro; three minutes.
fn avro_only(bridge: &str, simulator: &str) -> Result<(), Box<dyn Error>> {
    formats::all(bridge, simulator, &start_broker()?)?;
    avro::all()
}

fn start_broker() -> Result<real_kafka::Broker, Box<dyn Error>> {
    real_kafka::available()?;
    eprintln!("starting a real Kafka 4.1 ...");
    Ok(real_kafka::Broker::start(&real_kafka::Options::default())?)
}

fn head() {
    println!("| compression | page | copy | rows/s | CPU us/row | peak MiB |");
    println!("|---|---|---|---|---|---|");
}

/// Runs both programs in turns and prints their middle figures and the ratio.
fn compare(
    bridge: &str,
    simulator: &str,
    broker: &real_kafka::Broker,
    (compression, page, rows): Case,
) -> Result<(), Box<dyn Error>> {
    let instance = Instance::start(simulator, rows)?;
    let mut bare_runs = Vec::new();
    let mut bridge_runs = Vec::new();
    for run in 0..RUNS {
        let job = |who: &str| Job {
            url: instance.url.clone(),
            table: "incident".to_owned(),
            brokers: broker.plain_addr(),
            topic: format!("bench-{who}-{compression}-{page}-{run}"),
            page,
            rows,
            compression: compression.to_owned(),
        };
        for job in [job("bare"), job("bridge")] {
            broker.create_topic(&job.topic, 3, &[])?;
        }
        bare_runs.push(run_bare(&job("bare"))?);
        let job = job("bridge");
        bridge_runs.push(bridge::copy(bridge, &bridge::config(&job, ""), rows)?);
    }
    let (bare, ours) = (median(&bare_runs), median(&bridge_runs));
    for (name, sample) in [("bare", bare), ("bridge", ours)] {
        println!(
            "| {compression} | {page} | {name} | {:.0} | {:.2} | {:.0} |",
            sample.rows_per_second, sample.cpu_us_per_row, sample.peak_mib
        );
    }
    println!(
        "| {compression} | {page} | ratio | {:.2} | {:.2} | |",
        ours.rows_per_second / bare.rows_per_second,
        ours.cpu_us_per_row / bare.cpu_us_per_row
    );
    Ok(())
}

fn run_bare(job: &Job) -> Result<Sample, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["bare", &job.url, &job.brokers, &job.topic])
        .args([
            job.page.to_string(),
            job.rows.to_string(),
            job.compression.clone(),
        ])
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    Sample::from_line(&text).ok_or_else(|| "the bare copy failed".into())
}
