//! Two binaries of the bridge in turns: what a change costs, in time and in instructions.
//!
//! Times drift, so both run in turns (`turns`). Instructions do not: callgrind counts them for two lengths of
//! the same work, and the difference is what a row costs without start and stop.

use std::error::Error;

use real_kafka::Broker;
use real_registry::Server;

use crate::bare::Job;
use crate::bridge::{self, Bridge};
use crate::instance::{Instance, WIDE};
use crate::proc::{Sample, median};
use crate::sink;
use crate::turns::{Ratio, in_turns};

/// Turns of each case.
const TURNS: usize = 9;
/// Rows of a timed copy.
const ROWS: u64 = 400_000;
const PAGE: usize = 1_000;
/// Rows of the shorter and the longer copy whose instructions are counted.
const COUNTED_ROWS: (u64, u64) = (20_000, 60_000);

/// A copy of a table: its name in the output, and the lines it adds to the configuration.
struct Copy {
    name: &'static str,
    source: &'static str,
    avro: bool,
}

const COPIES: [Copy; 3] = [
    Copy {
        name: "source, JSON",
        source: "",
        avro: false,
    },
    Copy {
        name: "source, Avro strings",
        source: "  schema: {style: strings}\n",
        avro: true,
    },
    Copy {
        name: "source, Avro typed",
        source: "  schema: {style: typed}\n",
        avro: true,
    },
];

/// Prints the times of `before` and `after`; a quarter of an hour.
pub(crate) fn times(
    before: &str,
    after: &str,
    simulator: &str,
    broker: &Broker,
) -> Result<(), Box<dyn Error>> {
    let bench = Against::start(before, after, broker)?;
    println!("| case | binary | rows/s | CPU us/row | peak MiB |");
    println!("|---|---|---|---|---|");
    let instance = Instance::wide(simulator, ROWS)?;
    for copy in &COPIES {
        let mut number = 0;
        bench.in_turns(copy.name, |program| {
            number += 1;
            bench.copy(program, copy, &instance, ROWS, number)
        })?;
    }
    drop(instance);
    bench.in_turns("sink, updates", |program| {
        sink::updates(program, simulator, broker)
    })
}

/// Prints the instructions of `before` and `after` per row; some minutes, and needs valgrind. What else
/// runs on the machine does not matter.
pub(crate) fn instructions(
    before: &str,
    after: &str,
    simulator: &str,
    broker: &Broker,
) -> Result<(), Box<dyn Error>> {
    let bench = Against::start(before, after, broker)?;
    println!("| case | before, instructions/row | after | ratio |");
    println!("|---|---|---|---|");
    for copy in &COPIES {
        let before = bench.instructions(before, copy, simulator)?;
        let after = bench.instructions(after, copy, simulator)?;
        println!(
            "| {} | {before:.0} | {after:.0} | {:.3} |",
            copy.name,
            after / before
        );
    }
    Ok(())
}

struct Against<'a> {
    before: &'a str,
    after: &'a str,
    broker: &'a Broker,
    registry: Server,
}

impl<'a> Against<'a> {
    /// Two binaries beside a broker, and a registry of their own.
    fn start(
        before: &'a str,
        after: &'a str,
        broker: &'a Broker,
    ) -> Result<Against<'a>, Box<dyn Error>> {
        Ok(Against {
            before,
            after,
            broker,
            registry: Server::start()?,
        })
    }

    /// Runs both binaries [`TURNS`] times and prints their middle figures, then the ratios of the turns.
    fn in_turns(
        &self,
        name: &str,
        mut run: impl FnMut(&str) -> Result<Sample, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let samples = in_turns(2, TURNS, |program, _| {
            run(if program == 0 {
                self.before
            } else {
                self.after
            })
        })?;
        let [before, after] = samples.as_slice() else {
            return Err("two binaries are needed".into());
        };
        for (binary, samples) in [("before", before), ("after", after)] {
            let Sample {
                rows_per_second,
                cpu_us_per_row,
                peak_mib,
            } = median(samples);
            println!(
                "| {name} | {binary} | {rows_per_second:.0} | {cpu_us_per_row:.2} | {peak_mib:.0} |"
            );
        }
        println!(
            "| {name} | ratio, middle (least to most) | {} | {} | |",
            Ratio::of(after, before, |sample| sample.rows_per_second),
            Ratio::of(after, before, |sample| sample.cpu_us_per_row)
        );
        Ok(())
    }

    fn job(&self, copy: &Copy, instance: &Instance, rows: u64, topic: String) -> (Job, String) {
        let job = Job {
            url: instance.url.clone(),
            table: WIDE.to_owned(),
            brokers: self.broker.plain_addr(),
            topic,
            page: PAGE,
            rows,
            compression: "none".to_owned(),
        };
        let mut config = bridge::config(&job, copy.source);
        if copy.avro {
            let url = self.registry.url();
            config.push_str(&format!("schema_registry: {{url: '{url}'}}\n"));
        }
        (job, config)
    }

    /// One timed copy into a topic of its own, which is gone afterwards.
    fn copy(
        &self,
        program: &str,
        copy: &Copy,
        instance: &Instance,
        rows: u64,
        number: usize,
    ) -> Result<Sample, Box<dyn Error>> {
        let topic = format!("against-{}-{number}", copy.name.replace([' ', ','], "-"));
        let (job, config) = self.job(copy, instance, rows, topic);
        self.broker
            .create_topic(&job.topic, 3, &[("file.delete.delay.ms", "100")])?;
        let sample = bridge::copy(program, &config, rows)?;
        self.broker.delete_topic(&job.topic)?;
        Ok(sample)
    }

    /// Instructions that one more row costs the whole process.
    fn instructions(
        &self,
        program: &str,
        copy: &Copy,
        simulator: &str,
    ) -> Result<f64, Box<dyn Error>> {
        let (few, many) = COUNTED_ROWS;
        let mut counts = Vec::new();
        for rows in [few, many] {
            let instance = Instance::wide(simulator, rows)?;
            let topic = format!("counted-{:016x}", fastrand::u64(..));
            let (job, config) = self.job(copy, &instance, rows, topic);
            self.broker.create_topic(&job.topic, 3, &[])?;
            let bridge = Bridge::launch_counted(program, &config)?;
            bridge.wait_for(rows)?;
            counts.push(bridge.end_counted()?);
            self.broker.delete_topic(&job.topic)?;
        }
        let [first, second] = counts.as_slice() else {
            return Err("two counts are needed".into());
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of rows and instructions"
        )]
        Ok(second.saturating_sub(*first) as f64 / (many - few) as f64)
    }
}
