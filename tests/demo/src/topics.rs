//! Follows the topics from their beginning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::{Failure, PARTITIONS, tried};

/// First part of the topics' names.
pub(crate) const PREFIX: &str = "servicenow";
/// Where the bridge puts records that cannot be written.
pub(crate) const LETTERS: &str = "servicenow.dead-letters";

/// The topic of a table.
pub(crate) fn name(table: &str) -> String {
    format!("{PREFIX}.{table}")
}

/// A record that came out of a topic.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A row of a table.
    Row(Row),
    /// A record that could not be written.
    Letter(Letter),
}

/// A row on its way from the instance.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) table: String,
    pub(crate) key: String,
    pub(crate) partition: i32,
    /// `sys_updated_on` of the row, epoch seconds.
    pub(crate) stamp: Option<i64>,
    /// The record's headers, as text.
    pub(crate) headers: Vec<(String, String)>,
    /// The whole value, readable.
    pub(crate) value: String,
}

/// A dead letter.
#[derive(Debug)]
pub(crate) struct Letter {
    /// Topic, partition and offset of the record.
    pub(crate) place: String,
    /// Why it was refused.
    pub(crate) error: String,
}

/// A thread that reads; ends with this value.
pub(crate) struct Topics {
    arrivals: Receiver<Arrival>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Topics {
    /// Begins to read the topics of `tables` and the dead letters.
    pub(crate) fn follow(bootstrap: &str, tables: &[&str]) -> Result<Topics, Failure> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "demo") // never joined
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            .create()
            .map_err(tried("read topics"))?;
        let mut list = TopicPartitionList::new();
        let names = tables.iter().map(|table| name(table));
        for topic in names.chain([LETTERS.to_owned()]) {
            for partition in 0..PARTITIONS {
                list.add_partition_offset(&topic, partition, Offset::Beginning)
                    .map_err(tried("read topics"))?;
            }
        }
        consumer.assign(&list).map_err(tried("read topics"))?;
        let (sender, arrivals) = bounded(1_000);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("topics".to_owned())
            .spawn(move || read(&consumer, &sender, &stopped))
            .map_err(tried("start a thread"))?;
        Ok(Topics {
            arrivals,
            stop,
            thread: Some(thread),
        })
    }

    /// What arrives.
    pub(crate) fn arrivals(&self) -> &Receiver<Arrival> {
        &self.arrivals
    }
}

fn read(consumer: &BaseConsumer, sender: &Sender<Arrival>, stopped: &AtomicBool) {
    while !stopped.load(Ordering::Relaxed) {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let mut arrival = arrival(&message);
            // A full channel must not keep the thread when the reader has gone.
            while let Err(error) = sender.send_timeout(arrival, Duration::from_millis(100)) {
                if stopped.load(Ordering::Relaxed) || error.is_disconnected() {
                    return;
                }
                arrival = error.into_inner();
            }
        }
    }
}

fn arrival(message: &BorrowedMessage<'_>) -> Arrival {
    let value: Option<serde_json::Value> = message
        .payload()
        .and_then(|value| serde_json::from_slice(value).ok());
    let field = |name: &str| value.as_ref().and_then(|value| value.get(name));
    let text = |name: &str| field(name).and_then(|value| value.as_str());
    let topic = message.topic();
    if topic == LETTERS {
        let number = |name: &str| {
            field(name)
                .and_then(serde_json::Value::as_i64)
                .unwrap_or(-1)
        };
        let of = text("topic").unwrap_or_default();
        return Arrival::Letter(Letter {
            place: format!("{of}/{} offset {}", number("partition"), number("offset")),
            error: text("error").unwrap_or_default().to_owned(),
        });
    }
    let table = topic.strip_prefix(PREFIX).unwrap_or(topic);
    Arrival::Row(Row {
        table: table.trim_start_matches('.').to_owned(),
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        partition: message.partition(),
        stamp: text("sys_updated_on").and_then(servicenow_sim::parse_stamp),
        headers: message.headers().map_or(Vec::new(), |headers| {
            let text = |bytes: Option<&[u8]>| {
                String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
            };
            let header = |header: Header<'_, &[u8]>| (header.key.to_owned(), text(header.value));
            headers.iter().map(header).collect()
        }),
        value: value
            .as_ref()
            .map_or(String::new(), |value| format!("{value:#}")),
    })
}

impl Drop for Topics {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
