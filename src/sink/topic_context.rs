//! What the consumer thread and the workers of one topic share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::keyed_queue::KeyedQueue;
use super::refusal::Refusal;
use super::task::{Completion, SinkTask};
use super::write::RecordWriter;
use crate::config::SinkTopicConfig;
use crate::health::Condition;
use crate::metrics::{Gauge, Metrics};
use crate::sync::Mutex;

/// Readiness reports the trouble of a record when it has lasted this long.
pub(super) const HOLD_REPORT_DELAY: Duration = Duration::from_secs(5);

/// A topic of the sink at run time.
pub(super) struct TopicContext {
    /// Its name, shared with the consumer.
    pub(super) name: Arc<str>,
    pub(super) config: SinkTopicConfig,
    pub(super) queue: KeyedQueue<SinkTask>,
    pub(super) writer: RecordWriter,
    pub(super) policy: RefusalPolicy,
    pub(super) completions: Sender<Completion>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) hold_reasons: HoldReasons,
}

/// What is done with a record that cannot be written.
#[derive(Debug)]
pub(super) enum RefusalPolicy {
    /// It goes to the thread that writes dead letters.
    DeadLetter(Sender<RefusedRecord>),
    /// It is tried again until it can be written. Its partition waits with it.
    Hold,
    /// It is passed over.
    Skip,
}

/// A record on its way to the dead letter topic.
#[derive(Debug)]
pub(super) struct RefusedRecord {
    pub(super) task: SinkTask,
    pub(super) table: String,
    pub(super) refusal: Refusal,
}

/// Where a record is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HeldBy {
    /// By a worker, given by its number, which stays with the record.
    Worker(usize),
    /// In a partition, given by its number, whose next record waits for a schema.
    Partition(i32),
}

/// Why records of a topic are held at this moment: at most one reason for each worker and each partition.
/// Readiness fails while there is one.
#[derive(Debug)]
pub(super) struct HoldReasons {
    reasons: Mutex<BTreeMap<HeldBy, String>>,
    /// Why the whole topic is held, for as long as its settings are these.
    of_topic: Mutex<Option<String>>,
    condition: Condition,
    held: Gauge,
}

impl HoldReasons {
    pub(super) fn new(condition: Condition, held: Gauge) -> HoldReasons {
        condition.ok();
        held.set(0.0);
        HoldReasons {
            reasons: Mutex::default(),
            of_topic: Mutex::default(),
            condition,
            held,
        }
    }

    /// A record is held there, for this reason.
    pub(super) fn set(&self, holder: HeldBy, reason: String) {
        self.change(|reasons| drop(reasons.insert(holder, reason)));
    }

    /// No record is held there any more.
    pub(super) fn clear(&self, holder: HeldBy) {
        self.change(|reasons| drop(reasons.remove(&holder)));
    }

    /// The topic is held from now on, until its settings are changed.
    pub(super) fn set_of_topic(&self, reason: String) {
        let is_new = self.of_topic.lock().replace(reason).is_none();
        if is_new {
            self.change(|_| {});
        }
    }

    /// Remembers an error for the status page, which shows the last one, without failing readiness.
    pub(super) fn record_error(&self, words: &str) {
        self.condition.record_error(words);
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<HeldBy, String>)) {
        let mut reasons = self.reasons.lock();
        let before = reasons.len();
        change(&mut reasons);
        let number = u32::try_from(reasons.len()).unwrap_or(u32::MAX);
        self.held.set(f64::from(number));
        let of_records = reasons.values().next().map(|reason| {
            let records = if number == 1 {
                "record is"
            } else {
                "records are"
            };
            format!("{number} {records} held: {reason}")
        });
        match self.of_topic.lock().clone().or(of_records) {
            Some(reason) => self.condition.fail(reason),
            None if before > 0 => self.condition.ok(),
            None => {}
        }
    }
}

impl TopicContext {
    /// Counts a record that was not written.
    pub(super) fn count_error(&self, kind: &str) {
        self.metrics
            .sink_errors
            .with(&[&self.config.table, kind])
            .inc();
    }
}
