//! Row-to-topic latency, and what an idle bridge costs.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Message;
use real_kafka::Broker;
use servicenow_sim::{Options, Row, Sim};

use crate::bare::Job;
use crate::bridge::Bridge;
use crate::proc::{resident_mib, usage};

/// Rows whose way is measured.
const ROWS: usize = 400;
/// Time over which an idle bridge is watched.
const IDLE: Duration = Duration::from_secs(30);

fn job(sim: &Sim, broker: &Broker, topic: &str) -> Job {
    Job {
        url: sim.url().to_owned(),
        table: "incident".to_owned(),
        brokers: broker.plain_addr(),
        topic: topic.to_owned(),
        page: 1000,
        rows: 0,
        compression: "lz4".to_owned(),
    }
}

fn pause(time: Duration) {
    // A timer channel never disconnects.
    crossbeam_channel::after(time).recv().ok();
}

/// From the moment a row is written on the instance to the moment a consumer has it, with a poll
/// every 100 ms.
pub(crate) fn latency(bridge: &str, broker: &Broker) -> Result<(), Box<dyn Error>> {
    let sim = Sim::start(Options::default())?;
    broker.create_topic("bench-latency", 3, &[])?;
    let job = job(&sim, broker, "bench-latency");
    let polls = "  fast_poll_interval: 100ms\n  slow_poll_interval: 100ms\n";
    let bridge = Bridge::start(bridge, &job, polls)?;
    sim.insert(
        "incident",
        Row::new().set("short_description", "the first one"),
    )?;
    wait_until_produced(&bridge)?;
    let written: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let lock = |map: &Mutex<HashMap<String, Instant>>, id: &str| {
        map.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id)
    };
    let reader = {
        let (reader, written) = (broker.reader(), Arc::clone(&written));
        thread::Builder::new()
            .name("reader".into())
            .spawn(move || {
                let mut delays = Vec::new();
                reader
                    .each("bench-latency", Duration::from_secs(120), |message| {
                        let id = String::from_utf8_lossy(message.key().unwrap_or_default());
                        if let Some(at) = lock(&written, &id) {
                            delays.push(at.elapsed().as_secs_f64());
                        }
                        delays.len() == ROWS
                    })
                    .ok();
                delays
            })?
    };
    for number in 0..ROWS {
        let id = format!("{:032x}", number + 1);
        let row = Row::new()
            .set("sys_id", id.as_str())
            .set("short_description", "latency");
        written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Instant::now());
        sim.insert("incident", row)?;
        pause(Duration::from_millis(37));
    }
    let mut delays = reader.join().map_err(|_| "the reader died")?;
    delays.sort_by(f64::total_cmp);
    let share = |percent: usize| {
        delays
            .get(delays.len() * percent / 100)
            .copied()
            .unwrap_or(0.0)
    };
    println!();
    println!(
        "row to topic at a poll every 100 ms: p50 {:.2} s, p99 {:.2} s ({} of {ROWS} rows)",
        share(50),
        share(99),
        delays.len()
    );
    Ok(())
}

/// Waits until the bridge has started and Kafka has its first row.
fn wait_until_produced(bridge: &Bridge) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while bridge.produced() < 1 {
        if Instant::now() > deadline {
            return Err("the bridge never read its first row".into());
        }
        pause(Duration::from_millis(100));
    }
    Ok(())
}

/// CPU and memory of a bridge with the default intervals and nothing to do.
pub(crate) fn idle(bridge: &str, broker: &Broker) -> Result<(), Box<dyn Error>> {
    let sim = Sim::start(Options::default())?;
    sim.insert(
        "incident",
        Row::new().set("short_description", "the only one"),
    )?;
    broker.create_topic("bench-idle", 3, &[])?;
    let bridge = Bridge::start(bridge, &job(&sim, broker, "bench-idle"), "")?;
    wait_until_produced(&bridge)?;
    pause(Duration::from_secs(5));
    let (before, started) = (usage(&bridge.pid()), Instant::now());
    pause(IDLE);
    let used = usage(&bridge.pid()).cpu_us - before.cpu_us;
    let percent = used / 10_000.0 / started.elapsed().as_secs_f64();
    let memory = resident_mib(&bridge.pid());
    println!(
        "idle for {} s: {percent:.2} % of a core, {memory:.1} MiB",
        IDLE.as_secs()
    );
    Ok(())
}
