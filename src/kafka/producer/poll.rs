//! The thread `kafka-poll`: serves callbacks, watches the connection, makes a new client after a
//! fatal error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::{ProducerClient, ProducerShared, ProducerState, new_client, purge};
use crate::backoff::Backoff;
use crate::health::{Condition, ConditionKey, Health, Heartbeat};
use crate::kafka::broker_health::{BrokerHealth, ReachabilityChange};
use crate::metrics::{Gauge, Metrics};
use crate::stop::Stop;

/// One turn: reports are served as they come, everything else at its end.
///
/// rdkafka spins through the last millisecond of a turn: turns of 100 ms cost 0.85 % of a core while
/// nothing happens, these 0.2 %.
const PRODUCER_POLL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an answer may take when nothing else tells that Kafka is there.
const BROKER_QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest turn: a question, a purge and the end of an old client, with room for a busy host.
const POLL_THREAD_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(30);
/// Between new clients after fatal errors that do not end (a missing right, for instance).
const MIN_RECREATE_DELAY: Duration = Duration::from_millis(500);
const MAX_RECREATE_DELAY: Duration = Duration::from_secs(60);

pub(super) struct ProducerPoller {
    shared: Arc<ProducerShared>,
    client: Arc<ProducerClient>,
    queue: Gauge,
    connected: Gauge,
    heartbeat: Heartbeat,
    condition: Condition,
    link: BrokerHealth,
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
            link: BrokerHealth::new(Instant::now()),
            backoff: Backoff::new(MIN_RECREATE_DELAY, MAX_RECREATE_DELAY),
            stop,
        }
    }

    pub(super) fn run(mut self) {
        while !self.stop.is_stopped() {
            self.heartbeat.beat(POLL_THREAD_HEARTBEAT_DEADLINE);
            self.client.poll(PRODUCER_POLL_TIMEOUT);
            self.queue.set(f64::from(self.client.in_flight_count()));
            if let Some((code, reason)) = self.client.client().fatal_error() {
                let reason = self.shared.settings.scrub(&reason);
                self.renew(code, &reason);
            } else {
                self.watch();
                // Every turn: another producer that ends or is tried out sets it as well.
                let connected = self.condition.is_ok();
                self.connected.set(if connected { 1.0 } else { 0.0 });
            }
        }
        self.connected.set(0.0);
        self.queue.set(0.0);
    }

    /// Keeps condition and gauge up to date.
    fn watch(&mut self) {
        let lost = self.shared.signals.take_lost();
        if !lost && !self.link.is_due(Instant::now()) {
            return;
        }
        // After a loss only a new answer counts.
        let acknowledged = self.shared.signals.take_acknowledged();
        if acknowledged {
            self.backoff.reset();
        }
        let answer = if acknowledged && !lost {
            Ok(())
        } else {
            self.ask()
        };
        let change = self.link.found(answer.is_ok(), Instant::now());
        match answer {
            Ok(()) => self.up(&change),
            Err(reason) => self.down(&change, &reason),
        }
    }

    /// Any broker answers this, whether or not the topic exists.
    fn ask(&self) -> Result<(), String> {
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
        if *change != ReachabilityChange::Same {
            log::info!(target: "kafka", brokers = self.shared.settings.brokers.as_str();
                "Kafka answers");
        }
        self.condition.ok();
        self.connected.set(1.0);
    }

    fn down(&self, change: &ReachabilityChange, reason: &str) {
        if *change != ReachabilityChange::Same {
            log::warn!(target: "kafka", brokers = self.shared.settings.brokers.as_str(),
                reason = reason; "Kafka does not answer");
        }
        self.condition.fail(format!("no broker answers: {reason}"));
        self.connected.set(0.0);
    }

    /// Replaces the client after a fatal error. What it had enqueued fails, so that the tables go
    /// back to their checkpoints; order is kept by that.
    fn renew(&mut self, code: Code, reason: &str) {
        log::error!(target: "kafka", code:debug = code, reason = reason,
            records = self.client.in_flight_count();
            "the Kafka producer cannot go on; a new one is made and unacknowledged rows are read again");
        self.condition
            .fail(format!("fatal producer error {code:?}: {reason}"));
        self.connected.set(0.0);
        self.shared.set_unless_closed(ProducerState::Broken(code));
        purge(&self.client, &self.shared.signals);
        loop {
            let delay = self.backoff.next(fastrand::f64());
            self.heartbeat.beat(delay + POLL_THREAD_HEARTBEAT_DEADLINE);
            if self.stop.wait(delay) {
                return;
            }
            match new_client(&self.shared.settings, &self.shared.signals) {
                Ok(client) => {
                    self.client = Arc::clone(&client);
                    self.shared.set_unless_closed(ProducerState::Open(client));
                    self.link = BrokerHealth::new(Instant::now());
                    return;
                }
                Err(error) => {
                    log::error!(target: "kafka", error:% = error; "no new Kafka producer yet");
                }
            }
        }
    }
}
