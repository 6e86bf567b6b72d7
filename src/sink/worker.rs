//! A worker: takes the next record that may run and stays with it until it is done.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select};

use super::Refusal;
use super::task::{Done, End, Job};
use super::operation::Decision;
use super::topic_context::{PATIENCE, Policy, Refused, Topic, Who};
use super::write::{History, Outcome, Watch};
use crate::health::Heartbeat;
use crate::backoff::Backoff;
use crate::servicenow;
use crate::stop::Stop;

/// Between two signs of life while there is nothing to do.
const BEAT: Duration = Duration::from_secs(5);
/// How long a record may keep a worker silent: the longest back-off and a request, with room.
const SILENCE: Duration = Duration::from_secs(900);
/// First and longest pause before a held record is tried again.
const HOLD: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// One thread of a topic's pool.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) topic: Arc<Topic>,
    pub(super) queue: Receiver<Job>,
    pub(super) stop: Stop,
    /// What is out is no longer waited for: requests that run are ended.
    pub(super) abandon: Stop,
    pub(super) heartbeat: Heartbeat,
    /// A request for this record has failed.
    pub(super) failed: Cell<bool>,
}

impl Worker {
    /// Runs until stopped. A record that has begun is finished first.
    pub(super) fn run(self) {
        loop {
            self.heartbeat.beat(BEAT * 6);
            select! {
                recv(self.queue) -> job => match job {
                    Ok(job) => self.handle(job),
                    Err(_) => return,
                },
                recv(self.stop.receiver()) -> _ => return,
                default(BEAT) => {}
            }
        }
    }

    fn handle(&self, job: Job) {
        self.heartbeat.beat(SILENCE);
        let lane = job.lane;
        let done = if job.lease.is_stopped() {
            Some(done(job, End::Untouched))
        } else {
            self.write(job)
        };
        self.topic.troubles.over(Who::Worker(self.number));
        // In this order: who hears that a record is done may put the next one into its place.
        self.topic.lanes.done(lane);
        if let Some(done) = done {
            // There is room for every record that can be out. Nobody listens after the end.
            self.topic.done.try_send(done).ok();
        }
    }

    /// What became of the record; `None` when its letter is still to be written.
    fn write(&self, job: Job) -> Option<Done> {
        match self.attempt(&job) {
            Outcome::Written(operation, _) => {
                let labels = [self.topic.config.table.as_str(), operation];
                self.topic.metrics.sink_records.with(&labels).inc();
                Some(done(job, End::Finished))
            }
            Outcome::Skipped(reason) => Some(self.skip(job, reason)),
            Outcome::Stopped => Some(done(job, self.stopped())),
            Outcome::Refused(refusal) => self.refuse(job, refusal),
        }
    }

    /// How a record ends whose writing was stopped: nothing of it was begun, unless a request has
    /// failed or was ended.
    fn stopped(&self) -> End {
        match self.failed.get() || self.abandon.is_stopped() {
            true => End::GivenUp,
            false => End::Untouched,
        }
    }

    fn attempt(&self, job: &Job) -> Outcome {
        self.failed.set(false);
        let history = job
            .suspect
            .map_or(History::Fresh, |since| History::Suspect { since });
        match &job.decision {
            Ok(Decision::Write(operation)) => self
                .topic
                .writer
                .write(operation, history, &job.lease, self),
            Ok(Decision::Skip(reason)) => Outcome::Skipped(reason),
            Err(refusal) => Outcome::Refused(refusal.clone()),
        }
    }

    fn skip(&self, job: Job, reason: &'static str) -> Done {
        let table = self.topic.config.table.as_str();
        self.topic.metrics.sink_skipped.with(&[table, reason]).inc();
        log::debug!(table = table, partition:% = job.ticket.partition, offset = job.ticket.offset,
            reason = reason; "a record is passed over");
        done(job, End::Finished)
    }

    fn refuse(&self, job: Job, refusal: Refusal) -> Option<Done> {
        self.topic.count_error(refusal.kind);
        log::warn!(table = self.topic.config.table, partition:% = job.ticket.partition,
            offset = job.ticket.offset, kind = refusal.kind, attempts = refusal.attempts,
            error:% = refusal; "a record cannot be written");
        self.topic.troubles.note(&refusal.to_string());
        match &self.topic.policy {
            Policy::Letters(letters) => {
                let table = self.topic.config.table.clone();
                let refused = Refused {
                    job,
                    table,
                    refusal,
                };
                // There is room for every record that can be out; without the thread we stop.
                let back = letters.try_send(refused).err()?;
                Some(done(back.into_inner().job, End::GivenUp))
            }
            Policy::Skip => {
                let labels = [self.topic.config.table.as_str(), refusal.kind];
                self.topic.metrics.sink_skipped.with(&labels).inc();
                Some(done(job, End::Finished))
            }
            Policy::Hold => Some(self.hold(job, refusal)),
        }
    }

    /// Stays with the record until it can be written or its partition goes away.
    fn hold(&self, job: Job, mut refusal: Refusal) -> Done {
        let mut backoff = Backoff::new(HOLD.0, HOLD.1);
        loop {
            let place = format!("{} offset {}", job.ticket.partition, job.ticket.offset);
            self.topic
                .troubles
                .tell(Who::Worker(self.number), format!("{place}: {refusal}"));
            self.heartbeat.beat(SILENCE);
            let pause = backoff.ceiling();
            backoff.next(1.0);
            if job.lease.wait(pause) {
                return done(job, End::Untouched);
            }
            // What the record itself says does not change; the instance may.
            match self.attempt(&job) {
                Outcome::Refused(again) => refusal = again,
                Outcome::Written(operation, _) => {
                    let labels = [self.topic.config.table.as_str(), operation];
                    self.topic.metrics.sink_records.with(&labels).inc();
                    return done(job, End::Finished);
                }
                Outcome::Skipped(reason) => return self.skip(job, reason),
                Outcome::Stopped => return done(job, self.stopped()),
            }
        }
    }
}

fn done(job: Job, end: End) -> Done {
    let ticket = job.ticket;
    Done { ticket, end }
}

impl Watch for Worker {
    fn trouble(&self, error: &servicenow::Error, since: Instant) {
        self.heartbeat.beat(SILENCE);
        self.failed.set(true);
        self.topic.count_error(error.kind());
        self.topic.troubles.note(&error.to_string());
        if PATIENCE <= since.elapsed() {
            let seconds = since.elapsed().as_secs();
            self.topic.troubles.tell(
                Who::Worker(self.number),
                format!("for {seconds} s: {error}"),
            );
        }
    }

    fn fine(&self) {
        self.topic.troubles.over(Who::Worker(self.number));
    }
}

#[cfg(test)]
mod tests;
