//! librdkafka's callbacks: delivery reports, errors, log lines. They run on the thread that polls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, NoCustomPartitioner, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::batch::{Batch, DeliveryError};
use super::client_settings::ClientSettings;
use super::librdkafka_words::no_broker_words;
use super::queue_drain::QueueDrain;
use crate::metrics::{Histogram, Metrics};
use crate::name_lookup::LOOKUP_SOURCES;
use crate::sync::Mutex;

/// An error of one code is logged once in this time, as librdkafka repeats it with each attempt.
const REPEATED_ERROR_LOG_INTERVAL: Duration = Duration::from_secs(30);

/// What the callbacks report to the threads that poll and send.
pub(super) struct ClientSignals {
    settings: ClientSettings,
    metrics: Arc<Metrics>,
    latency: Histogram,
    pub(super) drain: QueueDrain,
    /// A record was acknowledged since the last call of [`ClientSignals::take_acknowledged`].
    acknowledged: AtomicBool,
    /// Number of records that were given up at the producer's own request.
    purged: AtomicUsize,
    /// librdkafka lost the connections to all brokers since the last call of
    /// [`ClientSignals::take_lost`].
    lost: AtomicBool,
    /// The error that best explains why brokers do not answer.
    cause: Mutex<Option<String>>,
    /// For each code: when an error was logged last, and how many were left out since.
    logged: Mutex<BTreeMap<i32, (Instant, u64)>>,
}

impl ClientSignals {
    pub(super) fn new(settings: ClientSettings, metrics: &Arc<Metrics>) -> Arc<ClientSignals> {
        Arc::new(ClientSignals {
            settings,
            metrics: Arc::clone(metrics),
            latency: metrics.produce_latency.clone(),
            drain: QueueDrain::default(),
            acknowledged: AtomicBool::new(false),
            purged: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
            cause: Mutex::default(),
            logged: Mutex::default(),
        })
    }

    /// Whether a record was acknowledged since the last call.
    pub(super) fn take_acknowledged(&self) -> bool {
        self.acknowledged.swap(false, Ordering::Relaxed)
    }

    /// Whether all brokers were lost since the last call.
    pub(super) fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }

    /// The number of records that were ever given up at the producer's own request.
    pub(super) fn purged(&self) -> usize {
        self.purged.load(Ordering::Relaxed)
    }

    /// The last error of a connection, until a broker has answered again.
    pub(super) fn cause(&self) -> Option<String> {
        self.cause.lock().clone()
    }

    /// Forgets the error of a connection, as a broker has answered.
    pub(super) fn answered(&self) {
        *self.cause.lock() = None;
    }

    /// `Some` when an error of this code is to be logged now, with the number that was left out before.
    fn may_log(&self, code: Code, now: Instant) -> Option<u64> {
        let mut logged = self.logged.lock();
        match logged.get_mut(&(code as i32)) {
            Some((at, hidden))
                if now.saturating_duration_since(*at) < REPEATED_ERROR_LOG_INTERVAL =>
            {
                *hidden += 1;
                None
            }
            Some(entry) => {
                let hidden = entry.1;
                *entry = (now, 0);
                Some(hidden)
            }
            None => {
                logged.insert(code as i32, (now, 0));
                Some(0)
            }
        }
    }

    fn failed(&self, error: &KafkaError, topic: &str, batch: &Batch) {
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        self.metrics.produce_errors.with(&[topic]).inc();
        let failure = DeliveryError::new(topic, code);
        // The code that purges logs it.
        let purged = matches!(code, Code::PurgeQueue | Code::PurgeInflight);
        if purged {
            self.purged.fetch_add(1, Ordering::Relaxed);
        } else if let Some(hidden) = self.may_log(code, Instant::now()) {
            log::error!(target: "kafka", topic = topic, code:debug = code, more = hidden,
                permanent = failure.permanent, error:% = failure; "a record was not delivered");
        }
        batch.fail(failure);
    }
}

/// The callbacks of one client of librdkafka.
#[derive(Clone)]
pub(super) struct ClientCallbacks(pub(super) Arc<ClientSignals>);

impl ClientContext for ClientCallbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        let level = match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => log::Level::Error,
            RDKafkaLogLevel::Warning => log::Level::Warn,
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => log::Level::Info,
            RDKafkaLogLevel::Debug => log::Level::Debug,
        };
        if log::log_enabled!(target: "kafka", level) {
            let text = self.0.settings.scrub(text);
            log::log!(target: "kafka", level, facility = facility, text = text.as_str();
                "librdkafka");
        }
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    /// rdkafka 0.39 calls this twice for each error of a producer; all of it may be repeated.
    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let mut reason = self.0.settings.scrub(reason);
        match code {
            Code::Resolve => reason.push_str(LOOKUP_SOURCES),
            Code::AllBrokersDown => reason = no_broker_words(&self.0.settings.brokers),
            _ => {}
        }
        let now = Instant::now();
        if let Some(hidden) = self.0.may_log(code, now) {
            log::warn!(target: "kafka", code:debug = code, more = hidden,
                reason = reason.as_str(); "a connection to Kafka failed");
        }
        if code == Code::AllBrokersDown {
            self.0.lost.store(true, Ordering::Relaxed);
            self.0.cause.lock().get_or_insert(reason);
        } else {
            *self.0.cause.lock() = Some(reason);
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for ClientCallbacks {
    type DeliveryOpaque = Arc<Batch>;

    // Called for each record: takes no lock and allocates nothing unless the record failed.
    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        match result {
            Ok(_) => {
                if let Some(latency) = batch.acknowledge() {
                    self.0.latency.observe(latency.as_secs_f64());
                }
                if !self.0.acknowledged.load(Ordering::Relaxed) {
                    self.0.acknowledged.store(true, Ordering::Relaxed);
                }
            }
            Err((error, message)) => self.0.failed(error, message.topic(), &batch),
        }
        self.0.drain.report();
    }
}
