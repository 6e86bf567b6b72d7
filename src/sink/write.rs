//! Writes one record, whatever happens to its answers.
//!
//! `core` decides and `task` is its language; here its requests are made and their answers read.
//! Failures are waited out with exponential back-off as long as they may pass by themselves:
//! `servicenow.max_retries` is for reads and plays no part, as a record cannot be left out.

mod machine;
mod loop_guard;
mod journal;
mod indeterminate;
mod retry_budget;
mod classify;
mod requests;
mod messages;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use self::machine::Core;
use self::loop_guard::Version;
use self::journal::Claims;
use self::indeterminate::Late;
use self::retry_budget::{Limits, Patience};
use self::messages::{Moment, Rules, Step};
use super::Refusal;
use super::operation::Operation;
use crate::config::{self, SinkTopic};
use crate::servicenow::table_write::Written;
use crate::servicenow::{self, Client};
use crate::stop::Stop;

pub use self::loop_guard::OwnWrites;

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
    /// Whom to tell of changes that are ours, so that the source leaves them out. It costs a read
    /// before each update.
    pub guard: Option<Arc<dyn OwnWrites>>,
    client: Arc<Client>,
    table_api_path: String,
    rules: Rules,
    limits: Limits,
    pulse: Arc<Pulse>,
    claims: Mutex<Claims>,
    late: Late,
    /// The instance chooses the sys_ids of new rows itself.
    ids_ignored: AtomicBool,
    /// Journals cannot be read; this was said.
    blind: AtomicBool,
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
    /// Before each wait: what went wrong, and since when.
    fn trouble(&self, error: &servicenow::Error, since: Instant);
    /// It is over, one way or the other. Called only after [`Watch::trouble`].
    fn fine(&self);
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
        Writer {
            guard: None,
            client,
            table_api_path: table_api_path.to_owned(),
            rules: Rules {
                table: topic.table.clone(),
                on_missing: topic.on_missing,
                transaction_time: sink.transaction_time,
            },
            limits: Limits {
                instance: sink.retry_for,
                record: sink.record_retry_for,
            },
            pulse,
            claims: Mutex::default(),
            late: Late::default(),
            ids_ignored: AtomicBool::new(false),
            blind: AtomicBool::new(false),
        }
    }

    /// Writes until the instance has it, it is refused, or `stop`. It may take as long as the
    /// instance is away; `servicenow.max_retries` does not apply.
    pub fn write(
        &self,
        operation: &Operation,
        history: History,
        stop: &Stop,
        watch: &dyn Watch,
    ) -> Outcome {
        let now = Instant::now();
        let backoff = self.client.backoff();
        let patience = Patience::new(self.limits, backoff, now, self.pulse.count());
        let guarded = self.guard.is_some();
        let mut core = Core::new(operation, &self.rules, guarded, history, patience, now);
        let mut attempt = Attempt {
            operation,
            stop,
            version: None,
        };
        let mut alarm = Alarm {
            watch,
            raised: false,
        };
        let outcome = self.drive(&mut core, &mut attempt, &mut alarm);
        // Also when stopped: the record may come again, and the next one with it.
        if let Some(lost) = core.late() {
            self.late.note(lost, Instant::now());
        }
        if outcome != Outcome::Stopped {
            alarm.over();
            self.conclude(&core, &attempt, &outcome);
        }
        outcome
    }

    /// Makes the requests of a record, one after the other.
    fn drive(
        &self,
        core: &mut Core<'_>,
        attempt: &mut Attempt<'_>,
        alarm: &mut Alarm<'_>,
    ) -> Outcome {
        loop {
            match core.next(Instant::now(), &self.late) {
                Step::Wait(time) => {
                    if attempt.stop.wait(time) {
                        return Outcome::Stopped;
                    }
                }
                Step::Do(task) => {
                    let result = self.request(&task, attempt, core.without());
                    if result
                        .as_ref()
                        .map_or_else(servicenow::Error::is_answer, |_| true)
                    {
                        self.pulse.beat();
                    }
                    let error = result.as_ref().err().cloned();
                    let since = core.answered(&task, result, self.moment());
                    if let (Some(error), Some(since)) = (error, since) {
                        alarm.raise(&error, since, &self.rules.table);
                    }
                }
                Step::Done(outcome) => return outcome,
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            now: Instant::now(),
            pulse: self.pulse.count(),
            random: fastrand::f64(),
            ids_ignored: self.ids_ignored.load(Relaxed),
        }
    }

    /// What others should know after a record is done.
    fn conclude(&self, core: &Core<'_>, attempt: &Attempt<'_>, outcome: &Outcome) {
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
        if let (Some(guard), Outcome::Written(word, Some(row))) = (&self.guard, outcome) {
            match (*word, &attempt.version) {
                ("insert", _) => loop_guard::inserted(guard.as_ref(), row),
                ("update", Some(before)) => loop_guard::updated(guard.as_ref(), before, row),
                _ => {}
            }
        }
    }
}

/// A record while it is written.
struct Attempt<'a> {
    operation: &'a Operation,
    stop: &'a Stop,
    /// The row before the update.
    version: Option<Version>,
}

/// Tells the owner of trouble and of its end.
struct Alarm<'a> {
    watch: &'a dyn Watch,
    raised: bool,
}

impl Alarm<'_> {
    fn raise(&mut self, error: &servicenow::Error, since: Instant, table: &str) {
        if !self.raised {
            log::debug!(table, error:% = error; "a record waits for the instance");
        }
        self.raised = true;
        self.watch.trouble(error, since);
    }

    fn over(&mut self) {
        if std::mem::take(&mut self.raised) {
            self.watch.fine();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("rules", &self.rules)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl WrittenRow {
    fn of(sys_id: &str) -> WrittenRow {
        WrittenRow {
            sys_id: Some(sys_id.to_owned()),
            ..WrittenRow::default()
        }
    }

    /// With this sys_id if it has none.
    fn or(mut self, sys_id: &str) -> WrittenRow {
        self.sys_id.get_or_insert_with(|| sys_id.to_owned());
        self
    }
}

impl From<Written> for WrittenRow {
    fn from(written: Written) -> WrittenRow {
        WrittenRow {
            sys_id: written.sys_id,
            mod_count: written.mod_count,
            updated_by: written.updated_by,
        }
    }
}

#[cfg(test)]
mod tests;
