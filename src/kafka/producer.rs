//! The producer. Sending enqueues a record and returns; the thread `kafka-poll` serves librdkafka's
//! delivery reports and makes a new client after a fatal error.

pub(super) mod client;
mod poller;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode as Code;

use self::client::{ProducerShared, ProducerState, drain};
use self::poller::ProducerPoller;
use super::batch::{Batch, DeliveryError};
use super::error::Error;
use super::producer_record::ProducerRecord;
use super::topic_admin::{self, TopicInfo};
use crate::config::KafkaConfig;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::stop::{self, Stop, StopTrigger};
use crate::sync::Mutex;

/// How long a sender that waits for room in the queue waits before it looks at the queue itself.
const QUEUE_RECHECK_INTERVAL: Duration = Duration::from_millis(100);

/// A producer of records; shared as `Arc<Producer>`. It owns the thread `kafka-poll`.
pub struct Producer {
    shared: Arc<ProducerShared>,
    thread: Mutex<Option<PollThread>>,
}

/// The thread `kafka-poll`. Dropping `stop` stops it.
struct PollThread {
    stop: StopTrigger,
    handle: JoinHandle<()>,
}

/// Why a record was not enqueued. Such a record is not sent later either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The queue stayed full for the whole time-out: Kafka does not take records fast enough.
    Full,
    /// The sending thread was stopped, or the producer was shut down.
    Stopped,
    /// The record is larger than `kafka.max_message_bytes`.
    TooLarge {
        /// Bytes of key and value.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// librdkafka refused the record; [`DeliveryError::permanent`] says whether another try may help.
    Rejected(DeliveryError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Full => f.write_str("the producer queue stayed full: Kafka is down or slow"),
            SendError::Stopped => f.write_str("the producer is stopped"),
            SendError::TooLarge { bytes, limit } => write!(
                f,
                "the record has {bytes} bytes, kafka.max_message_bytes is {limit}; raise it and \
                 the topic's max.message.bytes, or fetch fewer fields"
            ),
            SendError::Rejected(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}

impl Producer {
    /// Makes the client and starts its thread. The brokers are contacted in the background: that none
    /// answers is no error here, but makes the health condition `kafka` fail.
    ///
    /// # Errors
    /// librdkafka refuses the settings, or the operating system gives no thread.
    pub fn start(
        config: &KafkaConfig,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Result<Producer, Error> {
        let (shared, client) = ProducerShared::new(config, metrics)?;
        let shared = Arc::new(shared);
        let (trigger, stop) = stop::pair();
        let poller = ProducerPoller::new(Arc::clone(&shared), client, metrics, health, stop);
        let handle = std::thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || poller.run())
            .map_err(Error::Thread)?;
        Ok(Producer {
            shared,
            thread: Mutex::new(Some(PollThread {
                stop: trigger,
                handle,
            })),
        })
    }

    /// Enqueues a record; `batch` counts its acknowledgement.
    ///
    /// While the queue is full, this waits until half of it has drained, for `timeout` at most and
    /// not beyond `stop`. A record is either enqueued or an error is returned, never dropped.
    ///
    /// # Errors
    /// See [`SendError`]; the record does not count into `batch` then.
    pub fn send(
        &self,
        record: &ProducerRecord<'_>,
        batch: &Arc<Batch>,
        stop: &Stop,
        timeout: Duration,
    ) -> Result<(), SendError> {
        batch.add();
        self.enqueue(record, batch, stop, timeout)
            .inspect_err(|_| batch.withdraw())
    }

    fn enqueue(
        &self,
        record: &ProducerRecord<'_>,
        batch: &Arc<Batch>,
        stop: &Stop,
        timeout: Duration,
    ) -> Result<(), SendError> {
        let mut deadline = None;
        let mut native = BaseRecord::<[u8], [u8], _> {
            topic: record.topic,
            partition: None,
            payload: record.value,
            key: record.key,
            timestamp: None,
            headers: record.headers.copy_with(record.own_headers),
            delivery_opaque: Arc::clone(batch),
        };
        loop {
            let waiting = {
                let state = self.shared.state();
                let client = match &*state {
                    ProducerState::Open(client) => client,
                    ProducerState::Broken(code) => {
                        let error = DeliveryError::new(record.topic, *code);
                        return Err(SendError::Rejected(error));
                    }
                    ProducerState::Closed => return Err(SendError::Stopped),
                };
                match client.send(native) {
                    Ok(()) => return Ok(()),
                    Err((error, back)) => match error.rdkafka_error_code() {
                        Some(Code::QueueFull) => native = back,
                        code => return Err(self.refused(record, code.unwrap_or(Code::Unknown))),
                    },
                }
                client.in_flight_count()
            };
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + timeout);
            self.wait_for_room(waiting, stop, deadline)?;
        }
    }

    fn refused(&self, record: &ProducerRecord<'_>, code: Code) -> SendError {
        if code == Code::MessageSizeTooLarge {
            let len = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
            return SendError::TooLarge {
                bytes: len(record.key) + len(record.value),
                limit: self.shared.max_message_bytes,
            };
        }
        SendError::Rejected(DeliveryError::new(record.topic, code))
    }

    /// Waits until librdkafka has reported half of the `waiting` records.
    fn wait_for_room(&self, waiting: i32, stop: &Stop, deadline: Instant) -> Result<(), SendError> {
        let half = waiting / 2;
        let drained = self.shared.signals.drain.after(i64::from(half));
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(SendError::Full);
            }
            crossbeam_channel::select! {
                recv(stop.receiver()) -> _ => return Err(SendError::Stopped),
                recv(drained.woken()) -> _ => return Ok(()),
                default(QUEUE_RECHECK_INTERVAL.min(deadline - now)) => {}
            }
            // Reports that came in before this wait began are not told on the channel.
            match self.shared.client() {
                Some(client) if client.in_flight_count() > half => {}
                _ => return Ok(()),
            }
        }
    }

    /// The number of records that wait for their delivery report.
    pub fn queued(&self) -> usize {
        let queued = self.shared.client().map(|client| client.in_flight_count());
        usize::try_from(queued.unwrap_or(0)).unwrap_or(0)
    }

    /// Waits until `deadline` for the delivery of the enqueued records, gives up the rest, and ends the
    /// thread.
    ///
    /// Gives the number of records that were given up; their batches fail. From the call on, sends
    /// are refused as stopped. A second call does nothing.
    pub fn shutdown(&self, deadline: Instant) -> usize {
        let Some(thread) = self.thread.lock().take() else {
            return 0;
        };
        let (client, signals) = (self.shared.close(), &self.shared.signals);
        // The thread may be waiting for the answer of a broker. It is joined after the drain, which
        // serves the reports itself, so that the drain need not wait for that answer.
        drop(thread.stop);
        let left = client
            .as_deref()
            .map_or(0, |client| drain(client, signals, deadline));
        if thread.handle.join().is_err() {
            log::error!(target: "kafka", "the polling thread had panicked");
        }
        left
    }

    /// Checks that these topics exist and that the Kafka user may describe them; creates missing ones
    /// when `kafka.create_topics` says so. Takes 30 s at most. The result is sorted by name.
    ///
    /// # Errors
    /// A topic is missing or forbidden, could not be created, or no broker answers.
    pub fn topics(&self, names: &[String]) -> Result<Vec<TopicInfo>, Error> {
        topic_admin::ensure_topics(&self.shared, names)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shutdown(Instant::now());
    }
}

#[cfg(test)]
mod tests;
