//! Writes one record, whatever happens to its answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::Refusal;
use super::operation::Operation;
use crate::config::{self, SinkTopic};
use crate::servicenow::{self, Client};
use crate::stop::Stop;

/// Counts the good answers of an instance, to anybody: whether it works while one record fails.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// The instance gave a good answer.
    pub fn beat(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Good answers so far.
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Writes records of one topic; shared by its workers.
pub struct Writer {
    /// Whom to tell of changes that are ours, so that the source leaves them out.
    pub guard: Option<Arc<dyn OwnWrites>>,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The instance has it: `insert`, `update` or `delete`, and the row as far as it is known.
    Written(&'static str, Option<WrittenRow>),
    /// There was nothing to do, for this reason (a bounded label): `missing`.
    Skipped(&'static str),
    /// It cannot be written.
    Refused(Refusal),
    /// The program is stopping; whether the instance has it is not known.
    Stopped,
}

/// The row after a write, as far as the answer tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrittenRow {
    /// Its sys_id.
    pub sys_id: Option<String>,
    /// Its `sys_mod_count`.
    pub mod_count: Option<u64>,
    /// Its `sys_updated_by`.
    pub updated_by: Option<String>,
}

/// What is known of a record's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Nobody tried it before.
    Fresh,
    /// It may have been tried before: by this program before a crash, or by another member.
    Suspect {
        /// Such an attempt was sent before this.
        since: Instant,
    },
}

/// Hears of trouble that is waited out.
pub trait Watch {
    /// Before each wait: what went wrong, and since when nothing went right.
    fn trouble(&self, error: &servicenow::Error, since: Instant);
    /// It is over, one way or the other. Called only after [`Watch::trouble`].
    fn fine(&self);
}

/// The loop guard: what keeps the source from sending our own changes back.
pub trait OwnWrites: Send + Sync {
    /// Whether the source has read the row's version of this time (as the instance writes it) and
    /// `mod_count`.
    fn seen(&self, updated_on: &str, mod_count: u64, sys_id: &str) -> bool;
    /// This version of the row is our doing alone.
    fn wrote(&self, sys_id: &str, mod_count: u64, updated_by: &str);
}

impl Writer {
    /// For the records of `topic`.
    pub fn new(
        client: Arc<Client>,
        table_api_path: &str,
        topic: &SinkTopic,
        sink: &config::Sink,
        pulse: Arc<Pulse>,
    ) -> Writer {
        let _ = (client, table_api_path, topic, sink, pulse);
        Writer { guard: None }
    }

    /// Writes until the instance has it, it is refused, or `stop`. It may take as long as the
    /// instance is away.
    pub fn write(
        &self,
        operation: &Operation,
        history: History,
        stop: &Stop,
        watch: &dyn Watch,
    ) -> Outcome {
        let _ = (operation, history, stop, watch);
        Outcome::Stopped
    }
}
