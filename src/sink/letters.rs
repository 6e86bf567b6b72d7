//! The thread that writes dead letters: a record counts as done when Kafka has its letter.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::task::{Done, End, Job};
use super::dead_letter::{KINDS, Letter};
use super::operation::{Decision, Kind, Operation};
use super::topic_context::Refused;
use crate::health::{Condition, Heartbeat};
use crate::kafka::{Batch, Headers, Producer, Record, SendError};
use crate::metrics::Metrics;
use crate::backoff::Backoff;
use crate::stop::Stop;

/// Longest wait without a sign of life.
const BEAT: Duration = Duration::from_secs(1);
/// How long the thread may be silent.
const SILENCE: Duration = Duration::from_secs(120);
/// Letters that wait for their acknowledgement; more wait in the channel.
const WINDOW: usize = 100;
/// First and longest pause after Kafka did not take a letter.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Writes dead letters.
pub(super) struct Letters {
    pub(super) topic: String,
    pub(super) producer: Arc<Producer>,
    pub(super) refused: Receiver<Refused>,
    pub(super) done: Sender<Done>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) condition: Condition,
    pub(super) heartbeat: Heartbeat,
    pub(super) stop: Stop,
}

/// A letter that was handed to the producer.
struct Sent {
    refused: Refused,
    batch: Arc<Batch>,
    /// It went without the payload.
    small: bool,
}

impl Letters {
    /// Runs until all workers have ended and every letter is acknowledged, or until stopped.
    pub(super) fn run(self) {
        let (wake, woken) = bounded(1);
        let mut sent: VecDeque<Sent> = VecDeque::new();
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        let mut open = true;
        while open || !sent.is_empty() {
            self.heartbeat.beat(SILENCE);
            let room = open && sent.len() < WINDOW;
            let refused = if room {
                self.refused.clone()
            } else {
                crossbeam_channel::never()
            };
            select! {
                recv(refused) -> refused => match refused {
                    Ok(refused) => sent.extend(self.send(refused, false, &wake, &mut backoff)),
                    Err(_) => open = false,
                },
                recv(woken) -> _ => {}
                recv(self.stop.receiver()) -> _ => break,
                default(BEAT) => {}
            }
            self.settle(&mut sent, &wake, &mut backoff);
            if sent.is_empty() && self.refused.is_empty() {
                // The last one went away with its partition: no letter waits.
                self.works(&mut backoff);
            }
        }
        for Sent { refused, .. } in sent {
            self.give_back(refused.job, End::GivenUp);
        }
    }

    /// Takes what is acknowledged, and sends again what was given up.
    fn settle(&self, sent: &mut VecDeque<Sent>, wake: &Sender<()>, backoff: &mut Backoff) {
        while let Some(outcome) = sent.front().and_then(|sent| sent.batch.outcome()) {
            let Some(Sent { refused, small, .. }) = sent.pop_front() else {
                return;
            };
            match outcome {
                Ok(()) => self.acknowledged(refused, backoff),
                // The broker's own limit is lower than ours.
                Err(error) if error.is_too_large() && !small => {
                    sent.extend(self.send(refused, true, wake, backoff));
                }
                Err(error) => {
                    self.pause(&refused.job, &error.to_string(), backoff);
                    sent.extend(self.send(refused, small, wake, backoff));
                }
            }
        }
    }

    fn acknowledged(&self, refused: Refused, backoff: &mut Backoff) {
        let labels = [refused.table.as_str(), refused.refusal.kind];
        debug_assert!(
            KINDS.contains(&refused.refusal.kind),
            "not listed: {labels:?}"
        );
        self.metrics.sink_dead_letters.with(&labels).inc();
        self.give_back(refused.job, End::Finished);
        if backoff.failures() > 0 {
            log::info!(topic = self.topic; "dead letters are taken again");
        }
        self.works(backoff);
    }

    fn works(&self, backoff: &mut Backoff) {
        if backoff.failures() > 0 {
            backoff.reset();
            self.condition.ok();
        }
    }

    /// Hands a letter to the producer, however long that takes; `None` when its partition goes away
    /// or the program stops.
    fn send(
        &self,
        refused: Refused,
        mut small: bool,
        wake: &Sender<()>,
        backoff: &mut Backoff,
    ) -> Option<Sent> {
        let letter = letter(&refused);
        loop {
            self.heartbeat.beat(SILENCE);
            if refused.job.lease.is_stopped() || self.stop.is_stopped() {
                // No letter of it is on its way.
                self.give_back(refused.job, End::Untouched);
                return None;
            }
            let batch = Batch::new(wake.clone());
            let result = match small {
                false => self.hand_over(&refused.job, &letter, &batch),
                true => self.hand_over(&refused.job, &letter.without_payload(), &batch),
            };
            match result {
                Ok(()) => {
                    batch.close();
                    return Some(Sent {
                        refused,
                        batch,
                        small,
                    });
                }
                Err(SendError::TooLarge { .. }) if !small => small = true,
                Err(SendError::Stopped) => {}
                Err(error) => self.pause(&refused.job, &error.to_string(), backoff),
            }
        }
    }

    fn hand_over(&self, job: &Job, letter: &Letter, batch: &Arc<Batch>) -> Result<(), SendError> {
        // A key that is left out of the letter does not fit beside it either.
        let key = job
            .record
            .key
            .as_deref()
            .filter(|_| !letter.payload_omitted);
        let record = Record {
            topic: &self.topic,
            key,
            value: Some(&letter.encode()),
            headers: &Headers::copied(&letter.headers()),
        };
        self.producer.send(&record, batch, &job.lease, BEAT)
    }

    /// Kafka does not take letters: says so and waits a little.
    fn pause(&self, job: &Job, why: &str, backoff: &mut Backoff) {
        let pause = backoff.ceiling();
        if backoff.failures() == 0 {
            log::error!(topic = self.topic, partition:% = job.ticket.partition,
                offset = job.ticket.offset, error = why;
                "a dead letter cannot be written; its record waits");
        }
        backoff.next(1.0);
        self.condition
            .fail(format!("dead letters cannot be written: {why}"));
        // An old lease ends this wait, so that a stop does not wait for it.
        job.lease.wait(pause);
    }

    fn give_back(&self, job: Job, end: End) {
        let ticket = job.ticket;
        // There is room for every record that can be out.
        self.done.try_send(Done { ticket, end }).ok();
    }
}

fn letter(refused: &Refused) -> Letter {
    let Refused {
        job,
        table,
        refusal,
    } = refused;
    let operation = match &job.decision {
        Ok(Decision::Write(operation)) => Some(operation),
        Ok(Decision::Skip(_)) | Err(_) => None,
    };
    let create_id = operation.and_then(Operation::create_id);
    let name = operation.map(|operation| match operation.kind {
        Kind::Insert => "insert",
        Kind::Update => "update",
        Kind::Upsert => "upsert",
        Kind::Delete => "delete",
    });
    let now = jiff::Timestamp::now();
    Letter::new(&job.record, table, name, create_id, refusal, now)
}

#[cfg(test)]
mod tests;
