//! The threads beside the pipelines: the writer of the checkpoint, the look-up of topics, the probe of
//! the sink's tables.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::pipeline_slot::{Managed, StartRefusal};
use crate::backoff::Backoff;
use crate::checkpoint::CheckpointStore;
use crate::health::{Condition, ConditionKey, Health};
use crate::kafka::{Error, Producer};
use crate::stop::Stop;

/// First and longest pause between two looks for topics, and between writes that fail.
const HELPER_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// First and longest pause between two attempts to read positions, for which all tables wait.
const READ_BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// A thread that has a slot of its own.
pub(super) struct HelperThread {
    name: &'static str,
    lifetime: ThreadLifetime,
    thread: Option<JoinHandle<Vec<Condition>>>,
    /// The result of the thread once it was joined. Its conditions stay registered for as long as the
    /// slot holds this: the topics that were found are still there after the thread has ended.
    result: Option<thread::Result<Vec<Condition>>>,
}

/// When a helper thread may end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ThreadLifetime {
    /// Never: any end before its stop is a fault.
    Service,
    /// When its work is done: then the slot has nothing more to do until it is renewed.
    OneShot,
}

impl HelperThread {
    /// Starts a thread that runs until its stop.
    pub(super) fn service(
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<HelperThread, StartRefusal> {
        HelperThread::start(name, ThreadLifetime::Service, move || {
            run();
            Vec::new()
        })
    }

    /// Starts a thread that ends when its work is done. The conditions that `run` returns go on to
    /// be part of readiness.
    pub(super) fn one_shot(
        name: &'static str,
        run: impl FnOnce() -> Vec<Condition> + Send + 'static,
    ) -> Result<HelperThread, StartRefusal> {
        HelperThread::start(name, ThreadLifetime::OneShot, run)
    }

    fn start(
        name: &'static str,
        lifetime: ThreadLifetime,
        run: impl FnOnce() -> Vec<Condition> + Send + 'static,
    ) -> Result<HelperThread, StartRefusal> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.map_err(|error| {
            StartRefusal::Later(format!("cannot start the thread {name}: {error}"))
        })?;
        Ok(HelperThread {
            name,
            lifetime,
            thread: Some(thread),
            result: None,
        })
    }

    /// Joins the thread if it has ended.
    fn settle(&mut self) {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            self.result = Some(thread.join());
        }
    }
}

impl Managed for HelperThread {
    fn is_over(&mut self) -> bool {
        self.settle();
        self.thread.is_none()
    }

    fn has_died(&mut self) -> bool {
        self.settle();
        match &self.result {
            None => false,
            Some(Ok(_)) => self.lifetime == ThreadLifetime::Service,
            Some(Err(_)) => true,
        }
    }

    fn threads(&self) -> Vec<String> {
        vec![self.name.to_owned()]
    }

    fn join(mut self) -> u64 {
        if let Some(thread) = self.thread.take() {
            self.result = Some(thread.join());
        }
        u64::from(matches!(self.result, Some(Err(_))))
    }
}

/// Reads the positions where that is still to be done, writes checkpoints until stopped, and then once more.
pub(super) fn flush(
    store: &CheckpointStore,
    longest_pause: Duration,
    condition: &Condition,
    stop: &Stop,
) {
    let mut backoff = Backoff::new(READ_BACKOFF.0, READ_BACKOFF.1);
    while let Err(error) = store.take_over(stop) {
        if !stop.is_stopped() {
            log::error!(error:% = error; "the checkpoint cannot be read, so that no table begins");
            condition.fail(error.to_string());
        }
        if stop.wait(backoff.next(fastrand::f64())) {
            return;
        }
    }
    let mut backoff = Backoff::new(HELPER_BACKOFF.0, HELPER_BACKOFF.1);
    condition.ok();
    loop {
        let stopped = store.wait_until_flush_due(longest_pause, stop);
        match store.flush() {
            Ok(()) => {
                backoff.reset();
                condition.ok();
            }
            Err(error) => {
                log::error!(error:% = error; "the checkpoint cannot be written");
                condition.fail(error.to_string());
                stop.wait(backoff.next_ceiling());
            }
        }
        if stopped {
            return;
        }
    }
}

/// Looks for topics until all are there, and makes missing ones where that is wanted. What is found
/// is sent at once: a topic that is missing holds only its own table.
pub(super) fn find_topics(
    producer: &Producer,
    mut wanted: BTreeSet<String>,
    found: &Sender<BTreeSet<String>>,
    health: &Arc<Health>,
    stop: &Stop,
) -> Vec<Condition> {
    let condition = health.condition(ConditionKey::Topics, "not looked up yet");
    if wanted.is_empty() {
        condition.ok();
        return vec![condition];
    }
    let mut backoff = Backoff::new(HELPER_BACKOFF.0, HELPER_BACKOFF.1);
    loop {
        let (there, troubles) = look(producer, &wanted);
        wanted.retain(|topic| !there.contains(topic));
        if !there.is_empty() && found.send(there).is_err() {
            break;
        }
        if wanted.is_empty() {
            condition.ok();
            break;
        }
        let why = troubles.join("; ");
        log::warn!(error = why; "topics are not ready");
        condition.fail(why);
        if stop.wait(backoff.next(fastrand::f64())) {
            break;
        }
    }
    vec![condition]
}

/// The topics that are there, and what is wrong with the others.
pub(super) fn look(
    producer: &Producer,
    wanted: &BTreeSet<String>,
) -> (BTreeSet<String>, Vec<String>) {
    let mut asked = wanted.clone();
    let mut troubles = Vec::new();
    // Each round asks for fewer topics, so this ends.
    loop {
        let names: Vec<String> = asked.iter().cloned().collect();
        let Err(error) = producer.topics(&names) else {
            return (asked, troubles);
        };
        troubles.push(error.to_string());
        let before = asked.len();
        match error {
            Error::MissingTopics(names) | Error::ForbiddenTopics(names) => {
                asked.retain(|topic| !names.contains(topic));
            }
            Error::CreateTopic { topic, .. } => asked.retain(|it| *it != topic),
            _ => asked.clear(),
        }
        if asked.len() == before || asked.is_empty() {
            return (BTreeSet::new(), troubles);
        }
    }
}

#[cfg(test)]
mod tests;
