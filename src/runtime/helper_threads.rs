//! The small threads beside the pipelines: the flush of checkpoints, the look for topics, the probe
//! of the sink's tables.

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
/// How long a thread whose work is done waits at a time for its stop.
const ONE_SHOT_PARK_TIME: Duration = Duration::from_secs(3600);

/// One thread of a slot of its own.
pub(super) struct HelperThread(JoinHandle<()>);

impl HelperThread {
    /// Starts a thread.
    pub(super) fn start(
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<HelperThread, StartRefusal> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map(HelperThread).map_err(|error| {
            StartRefusal::Later(format!("cannot start the thread {name}: {error}"))
        })
    }
}

impl Managed for HelperThread {
    fn is_over(&mut self) -> bool {
        self.0.is_finished()
    }

    fn has_died(&mut self) -> bool {
        self.0.is_finished()
    }

    fn threads(&self) -> Vec<String> {
        vec![self.0.thread().name().unwrap_or_default().to_owned()]
    }

    fn join(self) -> u64 {
        u64::from(self.0.join().is_err())
    }
}

/// Writes checkpoints until stopped, and then once more.
pub(super) fn flush(
    store: &CheckpointStore,
    interval: Duration,
    condition: &Condition,
    stop: &Stop,
) {
    let mut backoff = Backoff::new(HELPER_BACKOFF.0, interval.max(HELPER_BACKOFF.1));
    condition.ok();
    loop {
        let stopped = store.wait_until_flush_due(interval, stop);
        match store.flush() {
            Ok(()) => {
                backoff.reset();
                condition.ok();
            }
            Err(error) => {
                log::error!(error:% = error; "the checkpoint cannot be written");
                condition.fail(error.to_string());
                stop.wait(backoff.next(1.0));
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
) {
    let condition = health.condition(ConditionKey::Topics, "not looked up yet");
    let mut backoff = Backoff::new(HELPER_BACKOFF.0, HELPER_BACKOFF.1);
    loop {
        let (there, troubles) = look(producer, &wanted);
        wanted.retain(|topic| !there.contains(topic));
        if !there.is_empty() && found.send(there).is_err() {
            return;
        }
        if wanted.is_empty() {
            break;
        }
        let why = troubles.join("; ");
        log::warn!(error = why; "topics are not ready");
        condition.fail(why);
        if stop.wait(backoff.next(fastrand::f64())) {
            return;
        }
    }
    condition.ok();
    // The thread is there as long as it is wanted, so that its end is always a fault.
    while !stop.wait(ONE_SHOT_PARK_TIME) {}
}

/// The topics that are there, and what is wrong with the others.
pub(super) fn look(
    producer: &Producer,
    wanted: &BTreeSet<String>,
) -> (BTreeSet<String>, Vec<String>) {
    let mut asked = wanted.clone();
    let mut troubles = Vec::new();
    // Each turn asks for less.
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
