//! The thread `dead-letters`: writes a letter for each refused record, and reports the record as done
//! when Kafka has acknowledged its letter.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::record::DeadLetter;
use crate::backoff::Backoff;
use crate::health::{Condition, Heartbeat};
use crate::kafka::{Batch, Producer, ProducerRecord, RecordHeaders, SendError};
use crate::metrics::Metrics;
use crate::sink::record::{RecordAction, WriteOperation};
use crate::sink::task::{Completion, SinkTask, TaskOutcome};
use crate::sink::topic_context::RefusedRecord;
use crate::stop::Stop;

/// Pause between two heartbeats while there is nothing to do.
const DEAD_LETTER_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Time after a heartbeat at which the thread counts as hanging.
const DEAD_LETTER_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(120);
/// Letters that are sent before the first of them is acknowledged. More wait in the channel.
const MAX_UNACKNOWLEDGED_LETTERS: usize = 100;
/// First and longest pause after a letter that Kafka did not take.
const DEAD_LETTER_RETRY_PAUSE: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(30));

/// What the thread that writes dead letters works with.
pub(in crate::sink) struct DeadLetterProducer {
    pub(in crate::sink) topic: String,
    pub(in crate::sink) producer: Arc<Producer>,
    pub(in crate::sink) refused: Receiver<RefusedRecord>,
    pub(in crate::sink) done: Sender<Completion>,
    pub(in crate::sink) metrics: Arc<Metrics>,
    pub(in crate::sink) condition: Condition,
    pub(in crate::sink) heartbeat: Heartbeat,
    pub(in crate::sink) stop: Stop,
}

/// A letter that was handed to librdkafka and is not acknowledged yet.
struct UnacknowledgedLetter {
    refused: RefusedRecord,
    batch: Arc<Batch>,
    /// It was sent without the payload.
    small: bool,
}

impl DeadLetterProducer {
    /// Runs until all workers have ended and every letter is acknowledged, or until stopped.
    pub(in crate::sink) fn run(self) {
        let (wake, woken) = bounded(1);
        let mut sent: VecDeque<UnacknowledgedLetter> = VecDeque::new();
        let mut backoff = Backoff::new(DEAD_LETTER_RETRY_PAUSE.0, DEAD_LETTER_RETRY_PAUSE.1);
        let mut open = true;
        while open || !sent.is_empty() {
            self.heartbeat.beat(DEAD_LETTER_HEARTBEAT_DEADLINE);
            let room = open && sent.len() < MAX_UNACKNOWLEDGED_LETTERS;
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
                default(DEAD_LETTER_HEARTBEAT_INTERVAL) => {}
            }
            self.settle(&mut sent, &wake, &mut backoff);
            if sent.is_empty() && self.refused.is_empty() {
                // The last letter was dropped with its partition, so none waits for Kafka.
                self.works(&mut backoff);
            }
        }
        for UnacknowledgedLetter { refused, .. } in sent {
            self.give_back(refused.task, TaskOutcome::Abandoned);
        }
    }

    /// Reports records whose letters are acknowledged, and sends letters again that librdkafka gave up.
    fn settle(
        &self,
        sent: &mut VecDeque<UnacknowledgedLetter>,
        wake: &Sender<()>,
        backoff: &mut Backoff,
    ) {
        while let Some(outcome) = sent.front().and_then(|sent| sent.batch.outcome()) {
            let Some(UnacknowledgedLetter { refused, small, .. }) = sent.pop_front() else {
                return;
            };
            match outcome {
                Ok(()) => self.acknowledged(refused, backoff),
                // The broker's own limit is lower than ours.
                Err(error) if error.is_too_large() && !small => {
                    sent.extend(self.send(refused, true, wake, backoff));
                }
                Err(error) => {
                    self.pause(&refused.task, &error.to_string(), backoff);
                    sent.extend(self.send(refused, small, wake, backoff));
                }
            }
        }
    }

    fn acknowledged(&self, refused: RefusedRecord, backoff: &mut Backoff) {
        let labels = [refused.table.as_str(), refused.refusal.kind.label()];
        self.metrics.sink_dead_letters.with(&labels).inc();
        self.give_back(refused.task, TaskOutcome::Finished);
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

    /// Hands a letter to librdkafka, however long that takes; `None` if its partition is revoked
    /// or the program stops.
    fn send(
        &self,
        refused: RefusedRecord,
        mut small: bool,
        wake: &Sender<()>,
        backoff: &mut Backoff,
    ) -> Option<UnacknowledgedLetter> {
        let letter = letter(&refused);
        loop {
            self.heartbeat.beat(DEAD_LETTER_HEARTBEAT_DEADLINE);
            if refused.task.lease.is_stopped() || self.stop.is_stopped() {
                // No letter of this record is on its way.
                self.give_back(refused.task, TaskOutcome::NotStarted);
                return None;
            }
            let batch = Batch::new(wake.clone());
            let result = if small {
                self.hand_over(&refused.task, &letter.without_payload(), &batch)
            } else {
                self.hand_over(&refused.task, &letter, &batch)
            };
            match result {
                Ok(()) => {
                    batch.close();
                    return Some(UnacknowledgedLetter {
                        refused,
                        batch,
                        small,
                    });
                }
                Err(SendError::TooLarge { .. }) if !small => small = true,
                Err(SendError::Stopped) => {}
                Err(error) => self.pause(&refused.task, &error.to_string(), backoff),
            }
        }
    }

    fn hand_over(
        &self,
        job: &SinkTask,
        letter: &DeadLetter,
        batch: &Arc<Batch>,
    ) -> Result<(), SendError> {
        // The key is too large for the record of the letter as well.
        let key = if letter.payload_omitted {
            None
        } else {
            job.record.key.as_deref()
        };
        let record = ProducerRecord {
            topic: &self.topic,
            key,
            value: Some(&letter.encode()),
            headers: &RecordHeaders::copied(&letter.headers()),
            own_headers: &[],
        };
        self.producer
            .send(&record, batch, &job.lease, DEAD_LETTER_HEARTBEAT_INTERVAL)
    }

    /// Reports that Kafka does not take letters, and waits a little.
    fn pause(&self, job: &SinkTask, why: &str, backoff: &mut Backoff) {
        if backoff.failures() == 0 {
            log::error!(topic = self.topic, partition:% = job.handle.partition,
                offset = job.handle.offset, error = why;
                "a dead letter cannot be written; its record waits");
        }
        self.condition
            .fail(format!("dead letters cannot be written: {why}"));
        // The wait ends when the record's partition is revoked, so that a revocation need not wait.
        job.lease.wait(backoff.next_ceiling());
    }

    fn give_back(&self, job: SinkTask, end: TaskOutcome) {
        let ticket = job.handle;
        // The channel has room for every record that can be in flight.
        self.done
            .try_send(Completion {
                handle: ticket,
                outcome: end,
            })
            .ok();
    }
}

fn letter(refused: &RefusedRecord) -> DeadLetter {
    let RefusedRecord {
        task: job,
        table,
        refusal,
    } = refused;
    let operation = match &job.decision {
        Ok(RecordAction::Write(operation)) => Some(operation),
        Ok(RecordAction::Skip(_)) | Err(_) => None,
    };
    let create_id = operation.and_then(WriteOperation::create_id);
    let name = operation.map(|operation| operation.kind.word());
    let now = jiff::Timestamp::now();
    DeadLetter::new(&job.record, table, name, create_id, refusal, now)
}

#[cfg(test)]
mod tests;
