//! The producer: enqueue without waiting, one thread that serves the reports, a new librdkafka
//! client after a fatal error.

mod poll;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;

use self::poll::ProducerPoller;
use super::batch::{Batch, DeliveryError};
use super::client_context::{ClientCallbacks, ClientSignals};
use super::client_settings::ClientSettings;
use super::{Error, ProducerRecord};
use crate::config::{CreateTopics, KafkaConfig};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::stop::{self, Stop, StopTrigger};
use crate::sync::{Mutex, RwLock};

/// How long a blocked sender waits before it looks at the queue itself.
const QUEUE_RECHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How long a shutdown waits for the reports of what it purged.
const PURGE_REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// librdkafka's producer with our callbacks.
pub(in crate::kafka) type ProducerClient = BaseProducer<ClientCallbacks>;

/// A producer of records; shared as `Arc<Producer>`. It owns the thread `kafka-poll`.
pub struct Producer {
    shared: Arc<ProducerShared>,
    thread: Mutex<Option<PollThread>>,
}

struct PollThread {
    /// Dropping it stops the thread.
    stop: StopTrigger,
    handle: JoinHandle<()>,
}

/// What the producer and its thread share.
pub(in crate::kafka) struct ProducerShared {
    pub(super) settings: ClientSettings,
    pub(super) max_message_bytes: usize,
    pub(super) create_topics: Option<CreateTopics>,
    pub(super) signals: Arc<ClientSignals>,
    state: RwLock<ProducerState>,
    /// A topic of ours, to ask for when we want to know whether Kafka answers.
    known_topic: Mutex<Option<String>>,
}

enum ProducerState {
    Open(Arc<ProducerClient>),
    /// After a fatal error, until a new client is made.
    Broken(Code),
    Closed,
}

/// Why a record was not enqueued. It was not sent and will not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The queue stayed full for the whole time-out: Kafka does not take records fast enough.
    Full,
    /// Stopped, or the producer was shut down.
    Stopped,
    /// The record is larger than `kafka.max_message_bytes`.
    TooLarge {
        /// Bytes of key and value.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// librdkafka did not take it; `permanent` says whether to try again.
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
    /// Makes the client and starts its thread. Brokers are contacted in the background; that they
    /// do not answer is told by the health condition `kafka`, not here.
    pub fn start(
        config: &KafkaConfig,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Result<Producer, Error> {
        let settings = ClientSettings::producer(config)?;
        let signals = ClientSignals::new(settings.clone(), metrics);
        let client = new_client(&settings, &signals)?;
        let shared = Arc::new(ProducerShared {
            settings,
            max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(usize::MAX),
            create_topics: config.create_topics.clone(),
            signals,
            state: RwLock::new(ProducerState::Open(Arc::clone(&client))),
            known_topic: Mutex::default(),
        });
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

    /// Enqueues a record; its acknowledgement is counted by `batch`.
    ///
    /// While the queue is full it waits until a good part has drained, at most `timeout` or until
    /// `stop`. A record is either enqueued or an error is returned, never dropped.
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
            headers: record.headers.copy(),
            delivery_opaque: Arc::clone(batch),
        };
        loop {
            let waiting = {
                let state = self.shared.state.read();
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

    /// Waits until half of the `waiting` records have been reported.
    fn wait_for_room(&self, waiting: i32, stop: &Stop, deadline: Instant) -> Result<(), SendError> {
        let half = waiting / 2;
        let drained = self.shared.signals.drain.after(i64::from(half));
        loop {
            let now = Instant::now();
            if deadline <= now {
                return Err(SendError::Full);
            }
            crossbeam_channel::select! {
                recv(stop.receiver()) -> _ => return Err(SendError::Stopped),
                recv(drained) -> _ => return Ok(()),
                default(QUEUE_RECHECK_INTERVAL.min(deadline - now)) => {}
            }
            // Reports may have come in before we began to wait for them.
            match self.shared.client() {
                Some(client) if half < client.in_flight_count() => {}
                _ => return Ok(()),
            }
        }
    }

    /// Records that wait for their report.
    pub fn queued(&self) -> usize {
        let queued = self.shared.client().map(|client| client.in_flight_count());
        usize::try_from(queued.unwrap_or(0)).unwrap_or(0)
    }

    /// Lets what is enqueued be delivered until `deadline`, gives up the rest, and ends the thread.
    ///
    /// Returns how many records were given up; their batches fail. From the call on, sends are
    /// refused as stopped. A second call does nothing.
    pub fn shutdown(&self, deadline: Instant) -> usize {
        let Some(thread) = self.thread.lock().take() else {
            return 0;
        };
        let (client, signals) = (self.shared.close(), &self.shared.signals);
        // The thread may just be asking whether Kafka is there: let that pass during the drain,
        // which serves the reports itself.
        drop(thread.stop);
        let left = client
            .as_deref()
            .map_or(0, |client| drain(client, signals, deadline));
        if thread.handle.join().is_err() {
            log::error!(target: "kafka", "the polling thread had panicked");
        }
        left
    }

    pub(super) fn shared(&self) -> &ProducerShared {
        &self.shared
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shutdown(Instant::now());
    }
}

impl ProducerShared {
    /// The client, unless it is broken or closed.
    pub(super) fn client(&self) -> Option<Arc<ProducerClient>> {
        match &*self.state.read() {
            ProducerState::Open(client) => Some(Arc::clone(client)),
            ProducerState::Broken(_) | ProducerState::Closed => None,
        }
    }

    /// Remembers a topic to ask for.
    pub(super) fn know_topic(&self, topic: &str) {
        self.known_topic
            .lock()
            .get_or_insert_with(|| topic.to_owned());
    }

    fn known_topic(&self) -> Option<String> {
        self.known_topic.lock().clone()
    }

    /// Refuses all further sends.
    fn close(&self) -> Option<Arc<ProducerClient>> {
        match self.replace(ProducerState::Closed) {
            ProducerState::Open(client) => Some(client),
            ProducerState::Broken(_) | ProducerState::Closed => None,
        }
    }

    /// Sets a state, unless closed.
    fn set_unless_closed(&self, new: ProducerState) {
        let mut state = self.state.write();
        if !matches!(*state, ProducerState::Closed) {
            *state = new;
        }
    }

    fn replace(&self, new: ProducerState) -> ProducerState {
        let mut state = self.state.write();
        std::mem::replace(&mut *state, new)
    }
}

fn new_client(
    settings: &ClientSettings,
    signals: &Arc<ClientSignals>,
) -> Result<Arc<ProducerClient>, Error> {
    settings
        .client
        .create_with_context(ClientCallbacks(Arc::clone(signals)))
        .map(Arc::new)
        .map_err(|error| settings.creation_error(error))
}

/// Waits for the reports of all records until `deadline`, then purges; returns how many it purged.
fn drain(client: &ProducerClient, signals: &ClientSignals, deadline: Instant) -> usize {
    const SLICE: Duration = Duration::from_millis(10);
    // Besides waiting, this tells librdkafka not to linger. Its error is "not empty yet", and unlike
    // its count it is about records only: an error nobody serves would keep us until the deadline.
    while client.flush(SLICE).is_err() && Instant::now() < deadline {}
    purge(client, signals)
}

/// Gives up all records; each is reported to its batch as purged. Returns how many.
fn purge(client: &ProducerClient, signals: &ClientSignals) -> usize {
    let before = signals.purged();
    client.purge(PurgeConfig::default().queue().inflight());
    if client.flush(PURGE_REPORT_TIMEOUT).is_err() {
        log::error!(target: "kafka", events = client.in_flight_count();
            "records were given up without a report");
    }
    // Not librdkafka's count, which has log lines and errors in it that were not served yet.
    signals.purged().saturating_sub(before)
}

#[cfg(test)]
mod tests;
