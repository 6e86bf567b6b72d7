//! Writes one record, whatever happens to its answers.
//!
//! `core` decides and `task` is its language; here its requests are made and their answers read.
//! Failures are waited out with exponential back-off as long as they may pass by themselves:
//! `servicenow.max_retries` is for reads and plays no part, as a record cannot be left out.

mod classify;
mod indeterminate;
mod journal;
mod loop_guard;
mod machine;
mod messages;
mod requests;
mod retry_budget;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use self::indeterminate::IndeterminateWrites;
use self::journal::JournalDeduper;
use self::loop_guard::VersionBeforeUpdate;
use self::machine::WriteMachine;
use self::messages::{ReplyInputs, WriteRules, WriteStep};
use self::retry_budget::{RetryBudget, RetryLimits};
use super::Refusal;
use super::record::WriteOperation;
use crate::config::{self, SinkTopicConfig};
use crate::servicenow::table_write::RowAfterWrite;
use crate::servicenow::{self, InstanceClient};
use crate::stop::Stop;
use crate::sync::Mutex;

pub use self::loop_guard::LoopGuard;

/// Counts the good answers of an instance, to anybody: whether it works while one record fails.
#[derive(Debug, Default)]
pub struct SuccessCounter(AtomicU64);

impl SuccessCounter {
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
pub struct RecordWriter {
    /// Whom to tell of changes that are ours, so that the source leaves them out. It costs a read
    /// before each update.
    pub loop_guard: Option<Arc<dyn LoopGuard>>,
    client: Arc<InstanceClient>,
    table_api_path: String,
    rules: WriteRules,
    limits: RetryLimits,
    pulse: Arc<SuccessCounter>,
    claims: Mutex<JournalDeduper>,
    late: IndeterminateWrites,
    /// The instance chooses the sys_ids of new rows itself.
    ids_ignored: AtomicBool,
    /// Journals cannot be read; this was said.
    blind: AtomicBool,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The instance has it: `insert`, `update` or `delete`, and the row as far as it is known.
    Written(&'static str, Option<WriteOutcomeRow>),
    /// There was nothing to do, for this reason (a bounded label): `missing`.
    Skipped(&'static str),
    /// It cannot be written.
    Refused(Refusal),
    /// The program is stopping; whether the instance has it is not known.
    Stopped,
}

/// The row after a write, as far as the answer tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOutcomeRow {
    /// Its sys_id.
    pub sys_id: Option<String>,
    /// Its `sys_mod_count`.
    pub mod_count: Option<u64>,
    /// Its `sys_updated_by`.
    pub updated_by: Option<String>,
}

/// What is known of a record's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorAttempt {
    /// Nobody tried it before.
    None,
    /// It may have been tried before: by this program before a crash, or by another member.
    Possible {
        /// Such an attempt was sent before this.
        since: Instant,
    },
}

/// Hears of trouble that is waited out.
pub trait RetryObserver {
    /// Before each wait: what went wrong, and since when.
    fn retry_scheduled(&self, error: &servicenow::Error, since: Instant);
    /// It is over, one way or the other. Called only after [`RetryObserver::retry_scheduled`].
    fn retries_ended(&self);
}

impl RecordWriter {
    /// For the records of `topic`.
    pub fn new(
        client: Arc<InstanceClient>,
        table_api_path: &str,
        topic: &SinkTopicConfig,
        sink: &config::SinkConfig,
        pulse: Arc<SuccessCounter>,
    ) -> RecordWriter {
        RecordWriter {
            loop_guard: None,
            client,
            table_api_path: table_api_path.to_owned(),
            rules: WriteRules {
                table: topic.table.clone(),
                on_missing: topic.on_missing,
                transaction_time: sink.transaction_time,
            },
            limits: RetryLimits {
                instance: sink.retry_for,
                record: sink.record_retry_for,
            },
            pulse,
            claims: Mutex::default(),
            late: IndeterminateWrites::default(),
            ids_ignored: AtomicBool::new(false),
            blind: AtomicBool::new(false),
        }
    }

    /// Writes until the instance has it, it is refused, or `stop`. It may take as long as the
    /// instance is away; `servicenow.max_retries` does not apply.
    pub fn write(
        &self,
        operation: &WriteOperation,
        history: PriorAttempt,
        stop: &Stop,
        watch: &dyn RetryObserver,
    ) -> WriteOutcome {
        let now = Instant::now();
        let backoff = self.client.backoff();
        let patience = RetryBudget::new(self.limits, backoff, now, self.pulse.count());
        let guarded = self.loop_guard.is_some();
        let mut core = WriteMachine::new(operation, &self.rules, guarded, history, patience, now);
        let mut attempt = WriteAttempt {
            operation,
            stop,
            version: None,
        };
        let mut alarm = RetryNotifier {
            watch,
            raised: false,
        };
        let outcome = self.drive(&mut core, &mut attempt, &mut alarm);
        // Also when stopped: the record may come again, and the next one with it.
        if let Some(lost) = core.late() {
            self.late.note(lost, Instant::now());
        }
        if outcome != WriteOutcome::Stopped {
            alarm.over();
            self.conclude(&core, &attempt, &outcome);
        }
        outcome
    }

    /// Makes the requests of a record, one after the other.
    fn drive(
        &self,
        core: &mut WriteMachine<'_>,
        attempt: &mut WriteAttempt<'_>,
        alarm: &mut RetryNotifier<'_>,
    ) -> WriteOutcome {
        loop {
            match core.next(Instant::now(), &self.late) {
                WriteStep::Wait(time) => {
                    if attempt.stop.wait(time) {
                        return WriteOutcome::Stopped;
                    }
                }
                WriteStep::Do(task) => {
                    let result = self.request(&task, attempt, core.without());
                    if result
                        .as_ref()
                        .map_or_else(servicenow::Error::is_api_verdict, |_| true)
                    {
                        self.pulse.beat();
                    }
                    let error = result.as_ref().err().cloned();
                    let since = core.answered(&task, result, self.moment());
                    if let (Some(error), Some(since)) = (error, since) {
                        alarm.raise(&error, since, &self.rules.table);
                    }
                }
                WriteStep::Done(outcome) => return outcome,
            }
        }
    }

    fn moment(&self) -> ReplyInputs {
        ReplyInputs {
            now: Instant::now(),
            pulse: self.pulse.count(),
            random: fastrand::f64(),
            ids_ignored: self.ids_ignored.load(Relaxed),
        }
    }

    /// What others should know after a record is done.
    fn conclude(
        &self,
        core: &WriteMachine<'_>,
        attempt: &WriteAttempt<'_>,
        outcome: &WriteOutcome,
    ) {
        let table = self.rules.table.as_str();
        if core.foreign_id() && !self.ids_ignored.swap(true, Relaxed) {
            log::error!(
                table;
                "the instance chooses the sys_ids of new rows itself; records whose insert is not \
                 answered cannot be written: set `create_id: field`"
            );
        }
        if core.blind() && !self.blind.swap(true, Relaxed) {
            log::warn!(
                table;
                "journal entries cannot be read, so that one whose update is not answered may show \
                 twice: give the integration user read access to sys_journal_field"
            );
        }
        if core.twins() {
            log::warn!(table; "more than one row carries the identity of a record");
        }
        if let (Some(guard), WriteOutcome::Written(word, Some(row))) = (&self.loop_guard, outcome) {
            match (*word, &attempt.version) {
                ("insert", _) => loop_guard::inserted(guard.as_ref(), row),
                ("update", Some(before)) => loop_guard::updated(guard.as_ref(), before, row),
                _ => {}
            }
        }
    }
}

/// A record while it is written.
struct WriteAttempt<'a> {
    operation: &'a WriteOperation,
    stop: &'a Stop,
    /// The row before the update.
    version: Option<VersionBeforeUpdate>,
}

/// Tells the owner of trouble and of its end.
struct RetryNotifier<'a> {
    watch: &'a dyn RetryObserver,
    raised: bool,
}

impl RetryNotifier<'_> {
    fn raise(&mut self, error: &servicenow::Error, since: Instant, table: &str) {
        if !self.raised {
            log::debug!(table, error:% = error; "a record waits for the instance");
        }
        self.raised = true;
        self.watch.retry_scheduled(error, since);
    }

    fn over(&mut self) {
        if std::mem::take(&mut self.raised) {
            self.watch.retries_ended();
        }
    }
}

impl fmt::Debug for RecordWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("rules", &self.rules)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl WriteOutcomeRow {
    fn of(sys_id: &str) -> WriteOutcomeRow {
        WriteOutcomeRow {
            sys_id: Some(sys_id.to_owned()),
            ..WriteOutcomeRow::default()
        }
    }

    /// With this sys_id if it has none.
    fn or(mut self, sys_id: &str) -> WriteOutcomeRow {
        self.sys_id.get_or_insert_with(|| sys_id.to_owned());
        self
    }
}

impl From<RowAfterWrite> for WriteOutcomeRow {
    fn from(written: RowAfterWrite) -> WriteOutcomeRow {
        WriteOutcomeRow {
            sys_id: written.sys_id,
            mod_count: written.mod_count,
            updated_by: written.updated_by,
        }
    }
}

#[cfg(test)]
mod tests;
