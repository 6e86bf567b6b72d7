//! A worker thread: takes the next record that may run and stays with it until it is finished.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select};

use super::record::{RecordAction, SkipReason};
use super::refusal::Refusal;
use super::task::{Completion, SinkTask, TaskOutcome};
use super::topic_context::{HOLD_REPORT_DELAY, HeldBy, RefusalPolicy, RefusedRecord, TopicContext};
use super::write::{PriorAttempt, RetryObserver, WriteOutcome};
use crate::backoff::Backoff;
use crate::health::Heartbeat;
use crate::servicenow;
use crate::stop::StopSignals;

/// Time between two heartbeats while there is nothing to do.
const WORKER_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a worker with a record may give no heartbeat: the longest back-off and a request, and more.
const RECORD_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(900);
/// First and longest pause before a held record is tried again.
const HELD_RECORD_BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// One thread of a topic's pool.
pub(super) struct SinkWorker {
    pub(super) number: usize,
    pub(super) topic: Arc<TopicContext>,
    pub(super) queue: Receiver<SinkTask>,
    /// `stop` ends the thread; after `abandon`, requests are being ended from outside.
    pub(super) signals: StopSignals,
    pub(super) heartbeat: Heartbeat,
    /// When a request for the present record failed last, in this try of it or an earlier one: until then it may
    /// have been written.
    pub(super) last_failure: Cell<Option<Instant>>,
}

impl SinkWorker {
    /// Runs until stopped. A record that has begun is finished first.
    pub(super) fn run(self) {
        loop {
            self.heartbeat.beat(WORKER_HEARTBEAT_INTERVAL * 6);
            select! {
                recv(self.queue) -> task => match task {
                    Ok(task) => self.handle(task),
                    Err(_) => return,
                },
                recv(self.signals.stop.receiver()) -> _ => return,
                default(WORKER_HEARTBEAT_INTERVAL) => {}
            }
        }
    }

    fn handle(&self, task: SinkTask) {
        self.heartbeat.beat(RECORD_HEARTBEAT_DEADLINE);
        self.last_failure.set(None);
        let ordering_key = task.ordering_key;
        let completion = if task.lease.is_stopped() {
            Some(completed(task, TaskOutcome::NotStarted))
        } else {
            self.write(task)
        };
        self.topic.hold_reasons.clear(HeldBy::Worker(self.number));
        // First the queue, then the completion: the consumer thread, when it gets that, may push the next
        // record into the place.
        self.topic.queue.finish(ordering_key);
        if let Some(completion) = completion {
            // The channel has room for every record in flight. After the end no thread receives.
            self.topic.completions.try_send(completion).ok();
        }
    }

    /// Works on a record; `None` when its dead letter is still to be written.
    fn write(&self, task: SinkTask) -> Option<Completion> {
        match self.attempt(&task) {
            WriteOutcome::Written(kind, _) => {
                let labels = [self.topic.config.table.as_str(), kind.word()];
                self.topic.metrics.sink_records.with(&labels).inc();
                Some(completed(task, TaskOutcome::Finished))
            }
            WriteOutcome::Skipped(reason) => Some(self.skip(task, reason)),
            WriteOutcome::Stopped => Some(completed(task, self.stopped())),
            WriteOutcome::Refused(refusal) => self.refuse(task, refusal),
            WriteOutcome::Blocked(why) => Some(self.hold(task, why)),
        }
    }

    /// The outcome of a record whose writing was stopped: it was not begun, unless a request for it has
    /// failed or was ended.
    fn stopped(&self) -> TaskOutcome {
        if self.signals.abandon.is_stopped() {
            TaskOutcome::Abandoned
        } else {
            self.unfinished()
        }
    }

    /// The outcome of a record for which no request is under way: it was not begun, unless one has failed.
    fn unfinished(&self) -> TaskOutcome {
        match self.last_failure.get() {
            Some(_) => TaskOutcome::Abandoned,
            None => TaskOutcome::NotStarted,
        }
    }

    fn attempt(&self, task: &SinkTask) -> WriteOutcome {
        // A held record is tried again, and a try that failed may have written it.
        let last_try = task.possibly_written_before.max(self.last_failure.get());
        let history = last_try.map_or(PriorAttempt::None, |since| PriorAttempt::Possible { since });
        match &task.decision {
            Ok(RecordAction::Write(operation)) => {
                let writer = &self.topic.writer;
                let observer = TaskObserver { worker: self, task };
                writer.write(operation, history, &task.lease, &observer)
            }
            Ok(RecordAction::Skip(reason)) => WriteOutcome::Skipped(*reason),
            Err(refusal) => WriteOutcome::Refused(refusal.clone()),
        }
    }

    fn skip(&self, task: SinkTask, reason: SkipReason) -> Completion {
        let table = self.topic.config.table.as_str();
        self.topic
            .metrics
            .sink_skipped
            .with(&[table, reason.label()])
            .inc();
        log::debug!(table = table, partition:% = task.handle.partition, offset = task.handle.offset,
            reason = reason.label(); "a record is passed over");
        completed(task, TaskOutcome::Finished)
    }

    fn refuse(&self, task: SinkTask, refusal: Refusal) -> Option<Completion> {
        self.topic.count_error(refusal.kind.label());
        log::warn!(table = self.topic.config.table, partition:% = task.handle.partition,
            offset = task.handle.offset, kind = refusal.kind.label(), attempts = refusal.attempts,
            error:% = refusal; "a record cannot be written");
        self.topic.hold_reasons.record_error(&refusal.to_string());
        match &self.topic.policy {
            RefusalPolicy::DeadLetter(letters) => {
                let table = self.topic.config.table.clone();
                let refused = RefusedRecord {
                    task,
                    table,
                    refusal,
                };
                // The channel has room for every record in flight. Without the thread the sink is about to
                // stop.
                let back = letters.try_send(refused).err()?;
                Some(completed(back.into_inner().task, TaskOutcome::Abandoned))
            }
            RefusalPolicy::Skip => {
                let labels = [self.topic.config.table.as_str(), refusal.kind.label()];
                self.topic.metrics.sink_skipped.with(&labels).inc();
                Some(completed(task, TaskOutcome::Finished))
            }
            RefusalPolicy::Hold => Some(self.hold(task, refusal.error)),
        }
    }

    /// Stays with the record until it can be written or its partition goes away.
    fn hold(&self, task: SinkTask, mut why: String) -> Completion {
        let mut backoff = Backoff::new(HELD_RECORD_BACKOFF.0, HELD_RECORD_BACKOFF.1);
        loop {
            let place = format!("{} offset {}", task.handle.partition, task.handle.offset);
            self.topic
                .hold_reasons
                .set(HeldBy::Worker(self.number), format!("{place}: {why}"));
            self.heartbeat.beat(RECORD_HEARTBEAT_DEADLINE);
            let pause = backoff.next_ceiling();
            if task.lease.wait(pause) {
                return completed(task, self.unfinished());
            }
            // The record stays the same, but the instance may answer otherwise now.
            match self.attempt(&task) {
                WriteOutcome::Refused(refusal) => why = refusal.error,
                WriteOutcome::Blocked(again) => why = again,
                WriteOutcome::Written(kind, _) => {
                    let labels = [self.topic.config.table.as_str(), kind.word()];
                    self.topic.metrics.sink_records.with(&labels).inc();
                    return completed(task, TaskOutcome::Finished);
                }
                WriteOutcome::Skipped(reason) => return self.skip(task, reason),
                WriteOutcome::Stopped => return completed(task, self.stopped()),
            }
        }
    }
}

fn completed(task: SinkTask, outcome: TaskOutcome) -> Completion {
    let handle = task.handle;
    Completion { handle, outcome }
}

/// What the writer tells of a record, and asks.
struct TaskObserver<'a> {
    worker: &'a SinkWorker,
    task: &'a SinkTask,
}

impl RetryObserver for TaskObserver<'_> {
    fn retry_scheduled(&self, error: &servicenow::Error, since: Instant) {
        self.worker.heartbeat.beat(RECORD_HEARTBEAT_DEADLINE);
        if !error.is_unsent_wait() {
            self.worker.last_failure.set(Some(Instant::now()));
            self.worker.topic.count_error(error.metric_label());
        }
        self.worker
            .topic
            .hold_reasons
            .record_error(&error.to_string());
        if error.is_held_by_client() {
            // All wait for the instance, which has a condition of its own.
            self.worker
                .topic
                .hold_reasons
                .clear(HeldBy::Worker(self.worker.number));
            return;
        }
        if since.elapsed() >= HOLD_REPORT_DELAY {
            let seconds = since.elapsed().as_secs();
            self.worker.topic.hold_reasons.set(
                HeldBy::Worker(self.worker.number),
                format!("for {seconds} s: {error}"),
            );
        }
    }

    fn waits_for_another_create(&self) {
        self.worker.heartbeat.beat(RECORD_HEARTBEAT_DEADLINE);
    }

    fn creates_are_refused(&self, why: String) {
        self.worker.topic.hold_reasons.set_of_topic(why);
    }

    fn is_first_of_its_partition(&self) -> bool {
        self.task.front.is_at(self.task.handle.offset)
    }

    fn retries_ended(&self) {
        self.worker
            .topic
            .hold_reasons
            .clear(HeldBy::Worker(self.worker.number));
    }
}

#[cfg(test)]
mod tests;
