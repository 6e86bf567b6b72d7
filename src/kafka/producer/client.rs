//! librdkafka's producer, which is replaced after a fatal error, and what the threads around it share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::config::{CreateTopics, KafkaConfig};
use crate::kafka::client_context::{ClientCallbacks, ClientSignals};
use crate::kafka::client_settings::ClientSettings;
use crate::kafka::error::Error;
use crate::metrics::Metrics;
use crate::sync::{Mutex, RwLock, RwLockReadGuard};

/// One wait for the queue to drain before the deadline is looked at again.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(10);
/// How long a shutdown waits for the reports of the records that it purged.
const PURGE_REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// librdkafka's producer with our callbacks.
pub(in crate::kafka) type ProducerClient = BaseProducer<ClientCallbacks>;

/// Shared by the threads that send, the thread `kafka-poll` and the look-up of topics.
pub(in crate::kafka) struct ProducerShared {
    pub(in crate::kafka) settings: ClientSettings,
    pub(in crate::kafka) max_message_bytes: usize,
    pub(in crate::kafka) create_topics: Option<CreateTopics>,
    pub(in crate::kafka) signals: Arc<ClientSignals>,
    state: RwLock<ProducerState>,
    /// The topic that `kafka-poll` asks for to find out whether a broker answers.
    known_topic: Mutex<Option<String>>,
}

/// Whether records can be sent.
pub(super) enum ProducerState {
    Open(Arc<ProducerClient>),
    /// A fatal error ended the client; a new one is being made.
    Broken(Code),
    /// The producer was shut down, which is final.
    Closed,
}

impl ProducerShared {
    /// Makes librdkafka's client. It contacts the brokers in the background.
    pub(super) fn new(
        config: &KafkaConfig,
        metrics: &Arc<Metrics>,
    ) -> Result<(ProducerShared, Arc<ProducerClient>), Error> {
        let settings = ClientSettings::producer(config)?;
        let signals = ClientSignals::new(settings.clone(), metrics);
        let client = new_client(&settings, &signals)?;
        let shared = ProducerShared {
            settings,
            max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(usize::MAX),
            create_topics: config.create_topics.clone(),
            signals,
            state: RwLock::new(ProducerState::Open(Arc::clone(&client))),
            known_topic: Mutex::default(),
        };
        Ok((shared, client))
    }

    /// The state, which does not change while the guard is held.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, ProducerState> {
        self.state.read()
    }

    /// The client, unless it is broken or closed.
    pub(in crate::kafka) fn client(&self) -> Option<Arc<ProducerClient>> {
        match &*self.state() {
            ProducerState::Open(client) => Some(Arc::clone(client)),
            ProducerState::Broken(_) | ProducerState::Closed => None,
        }
    }

    /// Remembers a topic for the question whether a broker answers. The first one is kept.
    pub(in crate::kafka) fn know_topic(&self, topic: &str) {
        self.known_topic
            .lock()
            .get_or_insert_with(|| topic.to_owned());
    }

    /// The topic for the question whether a broker answers.
    pub(super) fn known_topic(&self) -> Option<String> {
        self.known_topic.lock().clone()
    }

    /// Refuses all further sends. Gives the client that was open.
    pub(super) fn close(&self) -> Option<Arc<ProducerClient>> {
        let mut state = self.state.write();
        match std::mem::replace(&mut *state, ProducerState::Closed) {
            ProducerState::Open(client) => Some(client),
            ProducerState::Broken(_) | ProducerState::Closed => None,
        }
    }

    /// After a fatal error: refuses sends, which fail with the code of the error.
    pub(super) fn set_broken(&self, code: Code) {
        self.set_unless_closed(ProducerState::Broken(code));
    }

    /// Makes a client in place of the broken one, and lets records be sent with it.
    pub(super) fn reopen(&self) -> Result<Arc<ProducerClient>, Error> {
        let client = new_client(&self.settings, &self.signals)?;
        self.set_unless_closed(ProducerState::Open(Arc::clone(&client)));
        Ok(client)
    }

    fn set_unless_closed(&self, new: ProducerState) {
        let mut state = self.state.write();
        if !matches!(*state, ProducerState::Closed) {
            *state = new;
        }
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

/// Waits for the reports of all records until `deadline`, then purges the rest. Gives the number of
/// purged records.
pub(super) fn drain(client: &ProducerClient, signals: &ClientSignals, deadline: Instant) -> usize {
    // A flush also tells librdkafka not to linger. Its error says that records are left; unlike the
    // client's own count it leaves out events, and an event that no thread serves any more would
    // keep this loop running until the deadline.
    while client.flush(FLUSH_TIMEOUT).is_err() && Instant::now() < deadline {}
    purge(client, signals)
}

/// Gives up all records; each is reported to its batch as purged. Gives the number of them.
pub(super) fn purge(client: &ProducerClient, signals: &ClientSignals) -> usize {
    let before = signals.purged();
    client.purge(PurgeConfig::default().queue().inflight());
    if client.flush(PURGE_REPORT_TIMEOUT).is_err() {
        log::error!(target: "kafka", events = client.in_flight_count();
            "records were given up without a report");
    }
    // librdkafka's own count also has log lines and errors in it that were not served yet.
    signals.purged().saturating_sub(before)
}
