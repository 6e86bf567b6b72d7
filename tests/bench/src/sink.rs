//! The sink: how near the workers come to what the instance allows, and what a write costs.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use real_kafka::Broker;
use serde_json::{Value, json};

use crate::bare::AUTHORIZATION;
use crate::bridge::Bridge;
use crate::instance::Instance;
use crate::journal::{Journal, NUMBER};
use crate::proc::{Sample, median};
use crate::watch::Watched;

/// Different rows, or keys of new rows.
const ROWS: u64 = 1_000;
const PARTITIONS: u16 = 4;
/// What one write takes on an instance that is near and has little to do.
const LATENCY: Duration = Duration::from_millis(50);
/// Text in a record: with keys and columns, about 350 bytes.
const TEXT: usize = 200;
/// Workers and records where the instance takes no time.
const FREE: (u64, u64) = (16, 30_000);
const RUNS: usize = 3;
/// The longest run.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at the bridge's own count, whose page costs it something.
const COUNT_EVERY: Duration = Duration::from_millis(500);

/// What the records ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Updates,
    Creates,
}

impl Asked {
    fn method(self) -> &'static str {
        match self {
            Asked::Updates => "PATCH",
            Asked::Creates => "POST",
        }
    }

    /// The column that tells in the journal which records belong together; `None` is the sys_id.
    fn row(self) -> Option<&'static str> {
        match self {
            Asked::Updates => None,
            Asked::Creates => Some("correlation_id"),
        }
    }
}

/// All cases; about three minutes.
pub(crate) fn all(bridge: &str, simulator: &str, broker: &Broker) -> Result<(), Box<dyn Error>> {
    println!();
    println!(
        "| workers | operation | writes/s | of ideal | CPU us/write | peak MiB | order kept |"
    );
    println!("|---|---|---|---|---|---|---|");
    for asked in [Asked::Updates, Asked::Creates] {
        for (workers, records) in [(5, 1_500), (50, 15_000)] {
            let case = Case::new(simulator, broker, asked, LATENCY, records)?;
            let run = case.bridge(bridge, workers)?;
            #[expect(clippy::cast_precision_loss, reason = "a few workers")]
            let ideal = workers as f64 / LATENCY.as_secs_f64();
            let Sample {
                rows_per_second,
                cpu_us_per_row,
                peak_mib,
            } = run.sample;
            println!(
                "| {workers} | {} | {rows_per_second:.1} | {:.3} | {cpu_us_per_row:.0} | \
                 {peak_mib:.0} | {} |",
                asked.method(),
                rows_per_second / ideal,
                run.order
            );
        }
    }
    free(bridge, simulator, broker)
}

/// The bridge and the bare loop, in turns, with an instance that takes no time.
fn free(bridge: &str, simulator: &str, broker: &Broker) -> Result<(), Box<dyn Error>> {
    let (workers, records) = FREE;
    println!();
    println!("| workers | program | writes/s | CPU us/write | peak MiB | order kept |");
    println!("|---|---|---|---|---|---|");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let case = |asked| Case::new(simulator, broker, asked, Duration::ZERO, records);
        bare.push(case(Asked::Updates)?.bare(workers)?);
        ours.push(case(Asked::Updates)?.bridge(bridge, workers)?);
    }
    let middle = |runs: &[Run]| median(&runs.iter().map(|run| run.sample).collect::<Vec<_>>());
    let order = |runs: &[Run]| runs.iter().map(|it| it.order.clone()).max();
    for (name, runs) in [("bare", &bare), ("bridge", &ours)] {
        let sample = middle(runs);
        println!(
            "| {workers} | {name} | {:.0} | {:.0} | {:.0} | {} |",
            sample.rows_per_second,
            sample.cpu_us_per_row,
            sample.peak_mib,
            order(runs).unwrap_or_default()
        );
    }
    let (bare, ours) = (middle(&bare), middle(&ours));
    println!(
        "| {workers} | ratio | {:.2} | {:.2} | | |",
        ours.rows_per_second / bare.rows_per_second,
        ours.cpu_us_per_row / bare.cpu_us_per_row
    );
    Ok(())
}

/// One run of the bridge with an instance that takes no time.
pub(crate) fn updates(
    program: &str,
    simulator: &str,
    broker: &Broker,
) -> Result<Sample, Box<dyn Error>> {
    let (workers, records) = FREE;
    let case = Case::new(simulator, broker, Asked::Updates, Duration::ZERO, records)?;
    let run = case.bridge(program, workers)?;
    if run.order.starts_with("no") {
        return Err(format!("order: {}", run.order).into());
    }
    Ok(run.sample)
}

/// A topic that is full and an instance that waits.
struct Case {
    instance: Instance,
    brokers: String,
    topic: String,
    asked: Asked,
    records: u64,
}

/// What a run brought.
struct Run {
    sample: Sample,
    /// `yes`, or how many writes came too late.
    order: String,
}

impl Case {
    fn new(
        simulator: &str,
        broker: &Broker,
        asked: Asked,
        latency: Duration,
        records: u64,
    ) -> Result<Case, Box<dyn Error>> {
        let instance = Instance::empty(simulator, latency)?;
        let topic = format!("bench-sink-{:016x}", fastrand::u64(..));
        broker.create_topic(&topic, PARTITIONS, &[])?;
        if asked == Asked::Updates {
            make_rows(&instance.url)?;
        }
        let brokers = broker.plain_addr();
        fill(&brokers, &topic, asked, records)?;
        Ok(Case {
            instance,
            brokers,
            topic,
            asked,
            records,
        })
    }

    /// The sink writes the topic.
    fn bridge(&self, program: &str, workers: u64) -> Result<Run, Box<dyn Error>> {
        let bridge = Bridge::launch(program, &self.config(workers))?;
        let begun = Instant::now();
        let mut counted = begun;
        let watched = Watched::until(&bridge.pid(), || {
            if counted.elapsed() < COUNT_EVERY {
                return Ok(false);
            }
            counted = Instant::now();
            let written = bridge.written();
            if begun.elapsed() > PATIENCE {
                let (all, log) = (self.records, bridge.log_tail());
                return Err(format!("{written} of {all} records were written: {log}").into());
            }
            Ok(self.records <= written)
        })?;
        self.run(&watched)
    }

    /// The bare loop writes the topic.
    fn bare(&self, workers: u64) -> Result<Run, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bare-sink", &self.instance.url, &self.brokers, &self.topic])
            .args([self.records.to_string(), workers.to_string()])
            .stdin(Stdio::null())
            .spawn()?;
        let pid = child.id().to_string();
        let mut status = None;
        let watched = Watched::until(&pid, || {
            status = child.try_wait()?;
            Ok(status.is_some())
        })?;
        match status {
            Some(status) if status.success() => self.run(&watched),
            _ => Err("the bare loop failed".into()),
        }
    }

    fn run(&self, watched: &Watched) -> Result<Run, Box<dyn Error>> {
        let journal = Journal::read(&self.instance.url, self.asked.row())?;
        if journal.writes != self.records {
            let (all, writes, failed) = (self.records, journal.writes, journal.failed);
            return Err(format!("{all} records became {writes} writes, {failed} failed").into());
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of records")]
        let writes = journal.writes as f64;
        let sample = Sample {
            rows_per_second: writes / journal.seconds().max(1e-6),
            cpu_us_per_row: watched.cpu_us(journal.begun, journal.ended) / writes,
            peak_mib: watched.peak_mib(),
        };
        let order = match journal.late {
            0 => format!("yes ({} rows)", journal.rows),
            late => format!("no: {late} writes came too late"),
        };
        Ok(Run { sample, order })
    }

    fn config(&self, workers: u64) -> String {
        let Case {
            instance,
            brokers,
            topic,
            ..
        } = self;
        format!(
            "servicenow:\n  base_url: {}\n  auth:\n    type: basic\n    \
             basic: {{username: bridge, password: secret}}\n\
             kafka:\n  brokers: ['{brokers}']\n\
             sink:\n  enabled: true\n  group_id: {topic}\n  concurrency: {workers}\n  \
             topics:\n    - {{topic: {topic}, table: incident}}\n",
            instance.url
        )
    }
}

/// The sys_id of a row.
fn sys_id(row: u64) -> String {
    format!("{:032x}", row + 1)
}

/// Makes the rows that are updated.
fn make_rows(url: &str) -> Result<(), Box<dyn Error>> {
    let row = |row| json!({ "sys_id": sys_id(row), "short_description": "to be updated" });
    let rows: Vec<Value> = (0..ROWS).map(row).collect();
    ureq::post(format!("{url}/sim/rows"))
        .header("authorization", AUTHORIZATION)
        .send(json!({ "table": "incident", "rows": rows }).to_string())?;
    Ok(())
}

/// Fills the topic. The rows take no turns: a busy row comes again while others wait.
fn fill(brokers: &str, topic: &str, asked: Asked, records: u64) -> Result<(), Box<dyn Error>> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .create()?;
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..records {
        let row = random.u64(..ROWS);
        let mut record = json!({
            "short_description": format!("change {number} of the benchmark"),
            "description": "x".repeat(TEXT),
            "state": "2",
        });
        let key = match asked {
            Asked::Updates => sys_id(row),
            Asked::Creates => format!("key-{row}"),
        };
        let column = asked.row().unwrap_or("sys_id");
        for (name, value) in [(column, &key), (NUMBER, &number.to_string())] {
            if let Some(columns) = record.as_object_mut() {
                columns.insert(name.to_owned(), value.as_str().into());
            }
        }
        let value = record.to_string();
        let mut waiting = BaseRecord::to(topic).key(&key).payload(&value);
        while let Err((error, back)) = producer.send(waiting) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(20));
            waiting = back;
        }
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(())
}
