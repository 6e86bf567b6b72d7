//! What the threads of one topic share.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::Refusal;
use super::task::{Done, Job};
use super::keyed_queue::Lanes;
use super::write::Writer;
use crate::config::SinkTopic;
use crate::health::Condition;
use crate::metrics::{Gauge, Metrics};
use std::sync::Arc;

/// Trouble of one record is told to readiness when it has lasted this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A topic of the sink.
pub(super) struct Topic {
    /// Its name, shared with the consumer.
    pub(super) name: Arc<str>,
    pub(super) config: SinkTopic,
    pub(super) lanes: Lanes<Job>,
    pub(super) writer: Writer,
    pub(super) policy: Policy,
    pub(super) done: Sender<Done>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) troubles: Troubles,
}

/// What becomes of a record that cannot be written.
#[derive(Debug)]
pub(super) enum Policy {
    /// To the thread that writes dead letters.
    Letters(Sender<Refused>),
    /// The record waits, and its partition with it.
    Hold,
    /// It is passed over.
    Skip,
}

/// A record on its way to the dead letter topic.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) job: Job,
    pub(super) table: String,
    pub(super) refusal: Refusal,
}

/// Whose trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// A worker, by its number, with its record.
    Worker(usize),
    /// A partition whose next record waits for a schema.
    Partition(i32),
}

/// What is wrong with a topic at this moment: of each worker and each partition one reason.
#[derive(Debug)]
pub(super) struct Troubles {
    reasons: Mutex<BTreeMap<Who, String>>,
    condition: Condition,
    held: Gauge,
}

impl Troubles {
    pub(super) fn new(condition: Condition, held: Gauge) -> Troubles {
        condition.ok();
        held.set(0.0);
        Troubles {
            reasons: Mutex::default(),
            condition,
            held,
        }
    }

    /// `who` is in trouble.
    pub(super) fn tell(&self, who: Who, reason: String) {
        self.change(|reasons| drop(reasons.insert(who, reason)));
    }

    /// `who` is out of trouble.
    pub(super) fn over(&self, who: Who) {
        self.change(|reasons| drop(reasons.remove(&who)));
    }

    /// Something went wrong with a record; the status page shows it.
    pub(super) fn note(&self, words: &str) {
        self.condition.remember(words);
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Who, String>)) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reasons.len();
        change(&mut reasons);
        let number = u32::try_from(reasons.len()).unwrap_or(u32::MAX);
        self.held.set(f64::from(number));
        match reasons.values().next() {
            Some(reason) => {
                let records = if number == 1 {
                    "record is"
                } else {
                    "records are"
                };
                self.condition
                    .fail(format!("{number} {records} held: {reason}"));
            }
            None if before > 0 => self.condition.ok(),
            None => {}
        }
    }
}

impl Topic {
    /// Counts a record that was not written.
    pub(super) fn count_error(&self, kind: &str) {
        self.metrics
            .sink_errors
            .with(&[&self.config.table, kind])
            .inc();
    }
}
