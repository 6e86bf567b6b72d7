//! The same table as JSON and as Avro, copied by the bridge in turns.

use std::error::Error;

use real_kafka::Broker;
use real_registry::Server;

use crate::bare::Job;
use crate::bridge;
use crate::instance::{Instance, WIDE};
use crate::proc::{Sample, median};

/// A run takes a second or two; the kernel counts its CPU time in hundredths of one.
const ROWS: u64 = 400_000;
const PAGE: usize = 1_000;
/// Runs of each format; the middle one counts.
const RUNS: usize = 9;

/// What the rows become.
#[derive(Debug, Clone, Copy)]
enum Format {
    Json,
    Strings,
    Typed,
}

const FORMATS: [Format; 3] = [Format::Json, Format::Strings, Format::Typed];

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Json => "JSON",
            Format::Strings => "Avro, strings",
            Format::Typed => "Avro, typed",
        }
    }

    /// The whole configuration of the bridge.
    fn config(self, job: &Job, registry: &str) -> String {
        let style = match self {
            Format::Json => return bridge::config(job, ""),
            Format::Strings => "strings",
            Format::Typed => "typed",
        };
        let config = bridge::config(job, &format!("  schema: {{style: {style}}}\n"));
        format!("{config}schema_registry: {{url: '{registry}'}}\n")
    }
}

/// The runs of one format, and what Kafka stores for a record.
#[derive(Debug, Default)]
struct Runs {
    samples: Vec<Sample>,
    stored: f64,
}

/// Both compressions; two minutes.
pub(crate) fn all(bridge: &str, simulator: &str, broker: &Broker) -> Result<(), Box<dyn Error>> {
    println!();
    if let Err(why) = real_registry::available() {
        println!("skipped: rows as Avro, end to end: {why}");
        return Ok(());
    }
    let registry = Server::start()?;
    let instance = Instance::wide(simulator, ROWS)?;
    println!(
        "| compression | format | rows/s | CPU us/row | of JSON | least, most | peak MiB | stored \
         bytes/record |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for compression in ["none", "lz4"] {
        let mut all: [Runs; FORMATS.len()] = Default::default();
        for run in 0..RUNS {
            let mut turn: Vec<_> = FORMATS.into_iter().zip(&mut all).collect();
            // None is always the one behind another.
            turn.rotate_left(run % FORMATS.len());
            for (format, runs) in turn {
                let topic = format!("bench-{format:?}-{compression}-{run}");
                let job = Job {
                    url: instance.url.clone(),
                    table: WIDE.to_owned(),
                    brokers: broker.plain_addr(),
                    topic,
                    page: PAGE,
                    rows: ROWS,
                    compression: compression.to_owned(),
                };
                one(
                    bridge,
                    broker,
                    &format.config(&job, &registry.url()),
                    &job,
                    runs,
                )?;
            }
        }
        print(compression, &all);
    }
    Ok(())
}

fn one(
    bridge: &str,
    broker: &Broker,
    config: &str,
    job: &Job,
    runs: &mut Runs,
) -> Result<(), Box<dyn Error>> {
    // What is measured is gone before the next run, which would wait for its way to the disk.
    broker.create_topic(&job.topic, 3, &[("file.delete.delay.ms", "100")])?;
    runs.samples.push(bridge::copy(bridge, config, job.rows)?);
    #[expect(clippy::cast_precision_loss, reason = "some hundred megabytes")]
    let stored = broker.stored_bytes(&job.topic)? as f64 / job.rows as f64;
    runs.stored = stored;
    broker.delete_topic(&job.topic)?;
    Ok(())
}

/// The ratio is that of the two runs of a turn, which had the same machine: the middle one, and how
/// far the others are from it.
fn print(compression: &str, all: &[Runs; FORMATS.len()]) {
    let [json, ..] = all;
    for (format, runs) in FORMATS.into_iter().zip(all) {
        let pairs = runs.samples.iter().zip(&json.samples);
        let mut ratios: Vec<f64> = pairs
            .map(|(ours, json)| ours.cpu_us_per_row / json.cpu_us_per_row)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let at = |place: usize| ratios.get(place).copied().unwrap_or_default();
        let sample = median(&runs.samples);
        println!(
            "| {compression} | {} | {:.0} | {:.2} | {:.2} | {:.2}, {:.2} | {:.0} | {:.0} |",
            format.name(),
            sample.rows_per_second,
            sample.cpu_us_per_row,
            at(RUNS / 2),
            at(0),
            at(RUNS - 1),
            sample.peak_mib,
            runs.stored
        );
    }
}
