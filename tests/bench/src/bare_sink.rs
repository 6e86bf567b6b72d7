//! The least that writing a topic to a table can cost: consume, PATCH, read the answer.
//!
//! No order, no commits, no retries, no look at the answer: the yardstick for the sink.

use std::error::Error;
use std::io;
use std::thread;
use std::time::Duration;

use rdkafka::Message as _;
use real_kafka::Reader;

use crate::bare::AUTHORIZATION;

/// The whole run must be over by then.
const PATIENCE: Duration = Duration::from_secs(300);

/// Writes all records of the topic, in a process of its own, so that its CPU time is its own.
pub(crate) fn child(
    url: &str,
    brokers: &str,
    topic: &str,
    records: &str,
    workers: &str,
) -> Result<(), Box<dyn Error>> {
    let (records, workers): (u64, usize) = (records.parse()?, workers.parse()?);
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .max_idle_connections(workers)
        .max_idle_connections_per_host(workers);
    let agent: ureq::Agent = config.build().into();
    let (sender, queue) = crossbeam_channel::bounded::<(Vec<u8>, Vec<u8>)>(workers * 16);
    let mut threads = Vec::new();
    for _ in 0..workers {
        let (agent, queue) = (agent.clone(), queue.clone());
        let table = format!("{url}/api/now/table/incident/");
        let work = move || {
            queue
                .iter()
                .try_for_each(|(key, body)| patch(&agent, &table, &key, &body))
        };
        threads.push(thread::Builder::new().spawn(work)?);
    }
    drop(queue);
    let mut read = 0;
    Reader::new(brokers).each(topic, PATIENCE, |message| {
        let copy = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
        let sent = sender.send((copy(message.key()), copy(message.payload())));
        read += 1;
        sent.is_err() || read == records
    })?;
    drop(sender);
    for thread in threads {
        thread.join().map_err(|_| "a worker died")??;
    }
    Ok(())
}

fn patch(agent: &ureq::Agent, table: &str, key: &[u8], body: &[u8]) -> Result<(), ureq::Error> {
    let mut answer = agent
        .patch(format!("{table}{}", String::from_utf8_lossy(key)))
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("authorization", AUTHORIZATION)
        .send(body)?;
    io::copy(&mut answer.body_mut().as_reader(), &mut io::sink())?;
    Ok(())
}
