//! Produces the records that the bridge writes to the instance.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use serde_json::json;
use servicenow_sim::Sim;

use crate::{Failure, tried};

/// The topic. Its table is none of those that are polled, or its rows would come back.
pub(crate) const INBOX: &str = "servicenow.change_request.in";
pub(crate) const TABLE: &str = "change_request";

/// Rows that exist at the start, to be changed.
const ROWS: usize = 20;
/// Between two records.
const EVERY: Duration = Duration::from_millis(500);
/// Records of [`Inbox::fill`].
const FILL: u64 = 100;
/// Of so many records one is bad.
const ONE_BAD_IN: u64 = 10;

/// The producer, and what it has produced.
pub(crate) struct Inbox {
    producer: ThreadedProducer<DefaultProducerContext>,
    /// Rows that are changed.
    rows: Vec<String>,
    produced: u64,
    last: Instant,
}

impl Inbox {
    /// Makes some rows.
    pub(crate) fn new(sim: &Sim, bootstrap: &str) -> Result<Inbox, Failure> {
        let row = |_| sim.insert(TABLE, [("short_description", "Replace the switch")]);
        let rows: Result<Vec<String>, _> = (0..ROWS).map(row).collect();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("linger.ms", "5")
            .create()
            .map_err(tried("make a producer"))?;
        Ok(Inbox {
            producer,
            rows: rows.map_err(tried("make rows"))?,
            produced: 0,
            last: Instant::now(),
        })
    }

    /// Produces the next record when it is time.
    pub(crate) fn tick(&mut self) -> Result<(), Failure> {
        if self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            self.produce()?;
        }
        Ok(())
    }

    /// Produces a hundred records at once.
    pub(crate) fn fill(&mut self) -> Result<(), Failure> {
        for _ in 0..FILL {
            self.produce()?;
        }
        self.producer
            .flush(Duration::from_secs(10))
            .map_err(tried("produce records"))
    }

    /// How many of the records cannot be written.
    pub(crate) fn bad(&self) -> u64 {
        self.produced / ONE_BAD_IN
    }

    /// How many can.
    pub(crate) fn good(&self) -> u64 {
        self.produced - self.bad()
    }

    /// New rows and changes of those that exist, in turns, and bad ones between them.
    fn produce(&mut self) -> Result<(), Failure> {
        self.produced += 1;
        let number = self.produced;
        let (key, value) = if number.is_multiple_of(ONE_BAD_IN) {
            (
                format!("demo-{number}"),
                "{\"short_description\": \"cut o".to_owned(),
            )
        } else if number.is_multiple_of(2) {
            let id = fastrand::choice(&self.rows).cloned().unwrap_or_default();
            let text = format!("Replace the switch, step {number}");
            let value = json!({ "sys_id": id, "short_description": text });
            (id, value.to_string())
        } else {
            let id = format!("demo-{number}");
            let value = json!({ "correlation_id": id, "short_description": "Add a disk" });
            (id, value.to_string())
        };
        let record = BaseRecord::to(INBOX).key(&key).payload(&value);
        self.producer
            .send(record)
            .map_err(|(error, _)| Failure(format!("produce a record: {error}")))
    }
}
