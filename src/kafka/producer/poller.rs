//! The thread `kafka-poll`: serves the callbacks of the producer, checks whether a broker answers, and
//! makes a new client after a fatal error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{ProducerClient, ProducerShared, purge};
use crate::backoff::Backoff;
use crate::health::{Condition, ConditionKey, Health, Heartbeat};
use crate::kafka::broker_health::{BrokerHealth, ReachabilityChange};
use crate::metrics::{Gauge, Metrics};
use crate::stop::Stop;

/// One wait for callbacks. Delivery reports are served as they come, the rest of the loop at its end.
///
/// rdkafka spins through the last millisecond of a wait: waits of 100 ms cost 0.85 % of a core in an
/// idle process, these 0.2 %.
const PRODUCER_POLL_TIMEOUT: Duration = Duration::from_millis(500);
/// Bound on the answer to the question whether a broker is there.
const BROKER_QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest turn of the loop: a question, a purge and the end of an old client, on a busy host.
const POLL_THREAD_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(30);
/// Shortest and longest pause before a new client, for fatal errors that come again (a missing right,
/// for instance).
const MIN_RECREATE_DELAY: Duration = Duration::from_millis(500);
const MAX_RECREATE_DELAY: Duration = Duration::from_secs(60);

/// The state of the thread.
pub(super) struct ProducerPoller {
    shared: Arc<ProducerShared>,
    client: Arc<ProducerClient>,
    queue: Gauge,
    connected: Gauge,
    heartbeat: Heartbeat,
    condition: Condition,
    broker: BrokerHealth,
    backoff: Backoff,
    stop: Stop,
}

impl ProducerPoller {
    pub(super) fn new(
        shared: Arc<ProducerShared>,
        client: Arc<ProducerClient>,
        metrics: &Metrics,
        health: &Arc<Health>,
        stop: Stop,
    ) -> ProducerPoller {
        let connected = metrics.kafka_connected.clone();
        connected.set(0.0);
        ProducerPoller {
            shared,
            client,
            queue: metrics.produce_queue.clone(),
            connected,
            heartbeat: health.thread("kafka-poll"),
            condition: health.condition(ConditionKey::Kafka, "no broker has answered yet"),
            broker: BrokerHealth::new(Instant::now()),
            backoff: Backoff::new(MIN_RECREATE_DELAY, MAX_RECREATE_DELAY),
            stop,
        }
    }

    /// Runs until stopped.
    pub(super) fn run(mut self) {
        while !self.stop.is_stopped() {
            self.heartbeat.beat(POLL_THREAD_HEARTBEAT_DEADLINE);
            self.client.poll(PRODUCER_POLL_TIMEOUT);
            self.queue.set(f64::from(self.client.in_flight_count()));
            if let Some((code, reason)) = self.client.client().fatal_error() {
                let reason = self.shared.settings.scrub(&reason);
                self.recreate_client(code, &reason);
            } else {
                self.check_broker();
                // Set at every turn, as a second producer (one that ends after a reload, or that a
                // reload tries out) sets the same gauge.
                let connected = self.condition.is_ok();
                self.connected.set(if connected { 1.0 } else { 0.0 });
            }
        }
        self.connected.set(0.0);
        self.queue.set(0.0);
    }

    /// Keeps the condition and the gauge up to date.
    fn check_broker(&mut self) {
        let lost = self.shared.signals.take_lost();
        if !lost && !self.broker.is_due(Instant::now()) {
            return;
        }
        // After the loss of all brokers an acknowledgement may be older than the loss; an answer is not.
        let acknowledged = self.shared.signals.take_acknowledged();
        if acknowledged {
            self.backoff.reset();
        }
        let answer = if acknowledged && !lost {
            Ok(())
        } else {
            self.query_broker()
        };
        let change = self.broker.checked(answer.is_ok(), Instant::now());
        match answer {
            Ok(()) => self.up(&change),
            Err(reason) => self.down(&change, &reason),
        }
    }

    /// Asks for the metadata of a topic, which any broker answers whether or not the topic exists.
    fn query_broker(&self) -> Result<(), String> {
        let topic = self.shared.known_topic();
        let answer = self
            .client
            .client()
            .fetch_metadata(topic.as_deref(), BROKER_QUERY_TIMEOUT);
        let no_answer = |_| {
            let cause = self.shared.signals.cause();
            cause
                .unwrap_or_else(|| format!("no answer within {} s", BROKER_QUERY_TIMEOUT.as_secs()))
        };
        answer.map(drop).map_err(no_answer)
    }

    fn up(&self, change: &ReachabilityChange) {
        self.shared.signals.answered();
        if *change != ReachabilityChange::Unchanged {
            log::info!(target: "kafka", brokers = self.shared.settings.brokers.as_str();
                "Kafka answers");
        }
        self.condition.ok();
        self.connected.set(1.0);
    }

    fn down(&self, change: &ReachabilityChange, reason: &str) {
        if *change != ReachabilityChange::Unchanged {
            log::warn!(target: "kafka", brokers = self.shared.settings.brokers.as_str(),
                reason = reason; "Kafka does not answer");
        }
        self.condition.fail(format!("no broker answers: {reason}"));
        self.connected.set(0.0);
    }

    /// Replaces the client after a fatal error. The records that it had enqueued fail, so that their
    /// tables go back to their checkpoints and read on from there; this keeps the order of rows.
    fn recreate_client(&mut self, code: Code, reason: &str) {
        log::error!(target: "kafka", code:debug = code, reason = reason,
            records = self.client.in_flight_count();
            "the Kafka producer cannot go on; a new one is made and unacknowledged rows are read again");
        self.condition
            .fail(format!("fatal producer error {code:?}: {reason}"));
        self.connected.set(0.0);
        self.shared.set_broken(code);
        purge(&self.client, &self.shared.signals);
        loop {
            let delay = self.backoff.next(fastrand::f64());
            self.heartbeat.beat(delay + POLL_THREAD_HEARTBEAT_DEADLINE);
            if self.stop.wait(delay) {
                return;
            }
            match self.shared.reopen() {
                Ok(client) => {
                    self.client = client;
                    self.broker = BrokerHealth::new(Instant::now());
                    return;
                }
                Err(error) => {
                    log::error!(target: "kafka", error:% = error; "no new Kafka producer yet");
                }
            }
        }
    }
}
