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
mod remembered;
mod sink;
mod turns;
mod verify;
mod watch;

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};

use bare::Job;
use instance::Instance;
use proc::{Sample, median};
use turns::{Ratio, in_turns};

/// Runs of each program; the middle one counts.
const TURNS: usize = 5;
/// Rows of the copy that is thrown away: the first one of a broker is slow.
const WARM_UP_ROWS: u64 = 200_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let parts: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match parts.as_slice() {
        ["bare", url, brokers, topic, page, rows, compression] => {
            bare_child(url, brokers, topic, page, rows, compression)
        }
        ["--encoder"] => avro::all(),
        ["--remembered"] => remembered::all(),
        ["--latency", bridge] => start_broker().and_then(|broker| live::latency(bridge, &broker)),
        ["bare-sink", url, brokers, topic, records, workers] => {
            bare_sink::child(url, brokers, topic, records, workers)
        }
        ["--against", before, after, simulator] => {
            start_broker().and_then(|broker| against::times(before, after, simulator, &broker))
        }
        ["--instructions", before, after, simulator] => start_broker()
            .and_then(|broker| against::instructions(before, after, simulator, &broker)),
        [bridge, simulator, "--sink"] => sink_only(bridge, simulator),
        [bridge, simulator, "--avro"] => avro_only(bridge, simulator),
        [bridge, simulator, "--verify"] => {
            start_broker().and_then(|broker| verify::all(bridge, simulator, &broker))
        }
        [bridge, simulator] => all(&[("bridge", bridge)], simulator),
        [bridge, simulator, "--quick"] => quick(&[("bridge", bridge)], simulator),
        [bridge, simulator, "--static", fixed] => all(&both(bridge, fixed), simulator),
        [bridge, simulator, "--static", fixed, "--quick"] => {
            quick(&both(bridge, fixed), simulator)
        }
        _ => Err(
            "usage: bridge-bench BRIDGE SIMULATOR [--static STATIC] [--quick], bridge-bench BRIDGE \
             SIMULATOR [--sink | --avro | --verify], bridge-bench --encoder, bridge-bench --remembered, bridge-bench --latency BRIDGE, bridge-bench --against BEFORE AFTER \
             SIMULATOR, or bridge-bench --instructions BEFORE AFTER SIMULATOR"
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

/// A build of the bridge: its name in the output, and its binary.
type Build<'a> = (&'static str, &'a str);

/// The static build beside the other one.
fn both<'a>(bridge: &'a str, fixed: &'a str) -> [Build<'a>; 2] {
    [("bridge", bridge), ("static", fixed)]
}

/// One line of the table: compression, rows per page, rows.
type Case = (&'static str, usize, u64);

/// Every case, the formats, latency, idling and the sink; some minutes.
fn all(builds: &[Build<'_>], simulator: &str) -> Result<(), Box<dyn Error>> {
    let broker = start_broker()?;
    warm_up(simulator, &broker)?;
    head();
    for case in [
        ("none", 20, 20_000),
        ("none", 1_000, 200_000),
        ("none", 10_000, 200_000),
        ("lz4", 20, 20_000),
        ("lz4", 1_000, 200_000),
        ("lz4", 10_000, 200_000),
    ] {
        compare(builds, simulator, &broker, case)?;
    }
    let (_, bridge) = builds.first().ok_or("no bridge")?;
    live::latency(bridge, &broker)?;
    live::idle(bridge, &broker)?;
    formats::all(bridge, simulator, &broker)?;
    avro::all()?;
    sink::all(bridge, simulator, &broker)?;
    verify::all(bridge, simulator, &broker)
}

/// The one case that has a goal; half a minute.
fn quick(builds: &[Build<'_>], simulator: &str) -> Result<(), Box<dyn Error>> {
    let broker = start_broker()?;
    warm_up(simulator, &broker)?;
    head();
    compare(builds, simulator, &broker, ("none", 1_000, 200_000))
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

/// A copy whose figures are thrown away.
fn warm_up(simulator: &str, broker: &real_kafka::Broker) -> Result<(), Box<dyn Error>> {
    let instance = Instance::start(simulator, WARM_UP_ROWS)?;
    let case = ("none", 1_000, WARM_UP_ROWS);
    run_bare(&job(&instance, broker, "warm-up", case)?).map(drop)
}

/// A copy into a topic of its own, which is made here.
fn job(
    instance: &Instance,
    broker: &real_kafka::Broker,
    name: &str,
    (compression, page, rows): Case,
) -> Result<Job, Box<dyn Error>> {
    let job = Job {
        url: instance.url.clone(),
        table: "incident".to_owned(),
        brokers: broker.plain_addr(),
        topic: format!("bench-{name}-{compression}-{page}"),
        page,
        rows,
        compression: compression.to_owned(),
    };
    broker.create_topic(&job.topic, 3, &[("file.delete.delay.ms", "100")])?;
    Ok(job)
}

/// Runs the bare copy and the builds in turns and prints their middle figures and the ratios.
fn compare(
    builds: &[Build<'_>],
    simulator: &str,
    broker: &real_kafka::Broker,
    case: Case,
) -> Result<(), Box<dyn Error>> {
    let (compression, page, rows) = case;
    let instance = Instance::start(simulator, rows)?;
    let samples = in_turns(builds.len() + 1, TURNS, |program, turn| {
        let job = job(&instance, broker, &format!("{program}-{turn}"), case)?;
        let sample = match program.checked_sub(1).and_then(|at| builds.get(at)) {
            None => run_bare(&job)?,
            Some((_, binary)) => bridge::copy(binary, &bridge::config(&job, ""), rows)?,
        };
        broker.delete_topic(&job.topic)?;
        Ok(sample)
    })?;
    let (bare, ours) = samples.split_first().ok_or("no sample")?;
    let print = |name: &str, samples: &[Sample]| {
        let Sample {
            rows_per_second,
            cpu_us_per_row,
            peak_mib,
        } = median(samples);
        println!(
            "| {compression} | {page} | {name} | {rows_per_second:.0} | {cpu_us_per_row:.2} | {peak_mib:.0} |"
        );
    };
    print("bare", bare);
    for ((name, _), samples) in builds.iter().zip(ours) {
        print(name, samples);
        println!(
            "| {compression} | {page} | {name} to bare | {} | {} | |",
            Ratio::of(samples, bare, |sample| sample.rows_per_second),
            Ratio::of(samples, bare, |sample| sample.cpu_us_per_row)
        );
    }
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
