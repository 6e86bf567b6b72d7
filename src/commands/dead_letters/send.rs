//! The two ways of a record that is replayed: to its topic, or straight to the instance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::commands::failure::{CommandFailure, exit_code};
use crate::config::Config;
use crate::health::Health;
use crate::kafka::{
    Batch, ConsumerRecord, Error, Producer, ProducerRecord, RecordHeaders, SendError,
};
use crate::metrics::Metrics;
use crate::sink::DirectWriter;
use crate::stop::Stop;

/// How long the acknowledgements of one lot are waited for.
const REPLAY_ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a record waits for others at most.
const REPLAY_LINGER: Duration = Duration::from_millis(5);

/// What became of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReplayOutcome {
    /// Acknowledged.
    Done,
    /// It would fail again.
    Failed(String),
    /// Not acknowledged; another attempt may help.
    Open(String),
}

/// Where records go.
pub(super) enum ReplayTarget {
    Topics(TopicTarget),
    Instance(Box<DirectWriter>),
}

impl ReplayTarget {
    /// Connects to Kafka, or to the instance.
    pub(super) fn open(config: &Config, to_instance: bool) -> Result<ReplayTarget, CommandFailure> {
        if to_instance {
            let direct = DirectWriter::new(config)
                .map_err(|error| CommandFailure::new(exit_code::CONFIGURATION, error))?;
            return Ok(ReplayTarget::Instance(Box::new(direct)));
        }
        // What is mistyped in a letter must not make topics.
        let mut kafka = config.kafka.clone();
        kafka.create_topics = None;
        // Each lot is waited for.
        kafka.linger = kafka.linger.min(REPLAY_LINGER);
        let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
        let producer = Producer::start(&kafka, &metrics, &health);
        let producer =
            producer.map_err(|error| CommandFailure::new(exit_code::CONFIGURATION, error))?;
        let (wake, woken) = bounded(1);
        Ok(ReplayTarget::Topics(TopicTarget {
            producer,
            known: BTreeMap::new(),
            wake,
            woken,
        }))
    }

    /// Whether a record must say where it was.
    pub(super) fn needs_place(&self) -> bool {
        matches!(self, ReplayTarget::Instance(_))
    }

    /// Sends records and waits for what becomes of them, in the same order.
    pub(super) fn send(&mut self, records: &[ConsumerRecord], now: &Stop) -> Vec<ReplayOutcome> {
        match self {
            ReplayTarget::Topics(topics) => topics.send(records, now),
            ReplayTarget::Instance(instance) => {
                let write = |record| match instance.write(record, now) {
                    _ if now.is_stopped() => ReplayOutcome::Open("interrupted".to_owned()),
                    Ok(_) => ReplayOutcome::Done,
                    Err(error) => ReplayOutcome::Failed(error),
                };
                records.iter().map(write).collect()
            }
        }
    }
}

/// Sends to topics of Kafka.
pub(super) struct TopicTarget {
    producer: Producer,
    /// Whether a topic may be sent to.
    known: BTreeMap<String, Result<(), String>>,
    wake: Sender<()>,
    woken: Receiver<()>,
}

impl TopicTarget {
    fn send(&mut self, records: &[ConsumerRecord], now: &Stop) -> Vec<ReplayOutcome> {
        let deadline = Instant::now() + REPLAY_ACK_TIMEOUT;
        let enqueue = |record| self.enqueue(record, now);
        let sent: Vec<Result<Arc<Batch>, ReplayOutcome>> = records.iter().map(enqueue).collect();
        let wait = |sent: Result<Arc<Batch>, ReplayOutcome>| match sent {
            Ok(batch) => self.wait(&batch, now, deadline),
            Err(outcome) => outcome,
        };
        sent.into_iter().map(wait).collect()
    }

    /// One batch for each record, so that each is known to be acknowledged.
    fn enqueue(
        &mut self,
        record: &ConsumerRecord,
        now: &Stop,
    ) -> Result<Arc<Batch>, ReplayOutcome> {
        self.look_up(&record.topic)?;
        let batch = Batch::new(self.wake.clone());
        let headers = RecordHeaders::copied(&record.headers);
        let native = ProducerRecord {
            topic: &record.topic,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            own_headers: &[],
        };
        let sent = self.producer.send(&native, &batch, now, REPLAY_ACK_TIMEOUT);
        batch.close();
        match sent {
            Ok(()) => Ok(batch),
            Err(error @ SendError::TooLarge { .. }) => {
                Err(ReplayOutcome::Failed(error.to_string()))
            }
            Err(SendError::Rejected(error)) if error.permanent => {
                Err(ReplayOutcome::Failed(error.to_string()))
            }
            Err(error) => Err(ReplayOutcome::Open(error.to_string())),
        }
    }

    /// Without this, a record to a topic that is not there would be waited for in vain.
    fn look_up(&mut self, topic: &str) -> Result<(), ReplayOutcome> {
        if let Some(known) = self.known.get(topic) {
            return known.clone().map_err(ReplayOutcome::Failed);
        }
        let found = match self.producer.topics(&[topic.to_owned()]) {
            Ok(_) => Ok(()),
            Err(error @ (Error::MissingTopics(_) | Error::ForbiddenTopics(_))) => {
                Err(error.to_string())
            }
            Err(error) => return Err(ReplayOutcome::Open(error.to_string())),
        };
        self.known.insert(topic.to_owned(), found.clone());
        found.map_err(ReplayOutcome::Failed)
    }

    fn wait(&self, batch: &Batch, now: &Stop, deadline: Instant) -> ReplayOutcome {
        loop {
            match batch.outcome() {
                Some(Ok(())) => return ReplayOutcome::Done,
                Some(Err(error)) if error.permanent => {
                    return ReplayOutcome::Failed(error.to_string());
                }
                Some(Err(error)) => return ReplayOutcome::Open(error.to_string()),
                None => {}
            }
            crossbeam_channel::select! {
                // It may be about another record of the lot.
                recv(self.woken) -> _ => {}
                recv(now.receiver()) -> _ => return ReplayOutcome::Open("interrupted".to_owned()),
                default(deadline.saturating_duration_since(Instant::now())) => {
                    let text = "not acknowledged in time; it may arrive all the same";
                    return ReplayOutcome::Open(text.to_owned());
                }
            }
        }
    }
}
