//! Writes one record: drives the machine, waits where it says so, and tells what came of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::client_ids::{self, ClientIds, CreatePermit};
use super::column_check::ColumnCheck;
use super::indeterminate::IndeterminateWrites;
use super::journal::JournalDeduper;
use super::machine::WriteMachine;
use super::messages::{
    Observation, PriorAttempt, ReplyInputs, WriteReply, WriteRequest, WriteRules, WriteStep,
};
use super::outcome::{WriteKind, WriteOutcome};
use super::retry_budget::{RetryBudget, RetryLimits, SuccessCounter};
use super::row_versions;
use super::row_versions::VersionBeforeUpdate;

use crate::config::{self, SinkTopicConfig};
use crate::own_writes::OwnWriteLog;
use crate::servicenow::{self, InstanceClient};
use crate::sink::record::{NewRowIdentity, WriteOperation};
use crate::stop::Stop;
use crate::sync::Mutex;

/// How soon a create asks again whether another one, which is under way, has told if the instance takes the
/// sys_ids of new rows.
const CREATE_PERMIT_INTERVAL: Duration = Duration::from_millis(20);

/// How long a create waits for records before it in its partition when no create has told that yet. Such a
/// record may be held, and its worker with it, and creates of other partitions need workers too.
const MAX_TRIAL_WAIT: Duration = Duration::from_secs(10);

/// A wait before the first request of a record that is at least so long is logged.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Writes the records of one topic; shared by its workers.
pub struct RecordWriter {
    pub(super) client: Arc<InstanceClient>,
    pub(super) table_api_path: String,
    pub(super) rules: WriteRules,
    limits: RetryLimits,
    /// Good answers of the instance to any record of the sink.
    successes: Arc<SuccessCounter>,
    /// Where the versions of rows that this writer makes are noted, so that the source leaves them
    /// out.
    pub(super) own_writes: Option<Arc<OwnWriteLog>>,
    pub(super) journal_entries: Mutex<JournalDeduper>,
    /// Writes that were lost and may still be executed, over those that follow.
    indeterminate: IndeterminateWrites,
    /// Finds columns that the table lacks, where that is wanted.
    columns: Option<ColumnCheck>,
    /// Whether the instance takes the sys_ids that are sent with new rows.
    client_ids: ClientIds,
    /// It was logged that journals cannot be read.
    journal_warned: AtomicBool,
}

/// Is told of failures that are waited out.
pub trait RetryObserver {
    /// An attempt failed and will be repeated. `since`: when the record's failures began.
    fn retry_scheduled(&self, error: &servicenow::Error, since: Instant);
    /// The record waits for the answer to a create of another one.
    fn waits_for_another_create(&self) {}
    /// Whether no record before it in its partition is in flight. Those that wait for writes of an earlier owner do
    /// not count.
    fn is_first_of_its_partition(&self) -> bool {
        true
    }
    /// The instance chose another sys_id than the one that was sent: no row is made any more, for this reason.
    fn creates_are_refused(&self, _why: String) {}
    /// The record is done, written or not. Called only after [`RetryObserver::retry_scheduled`].
    fn retries_ended(&self);
}

impl RecordWriter {
    /// For the records of `topic`.
    pub fn new(
        client: Arc<InstanceClient>,
        table_api_path: &str,
        topic: &SinkTopicConfig,
        sink: &config::SinkConfig,
        successes: Arc<SuccessCounter>,
    ) -> RecordWriter {
        RecordWriter {
            client,
            table_api_path: table_api_path.to_owned(),
            rules: WriteRules {
                table: topic.table.clone(),
                on_missing: topic.on_missing,
                transaction_time: sink.transaction_time,
                reads_version: false,
            },
            limits: RetryLimits {
                instance: sink.retry_for,
                record: sink.record_retry_for,
            },
            successes,
            own_writes: None,
            journal_entries: Mutex::default(),
            indeterminate: IndeterminateWrites::default(),
            columns: ColumnCheck::new(&topic.table, topic.on_unknown_column),
            client_ids: ClientIds::default(),
            journal_warned: AtomicBool::new(false),
        }
    }

    /// Notes in `own_writes` which versions of rows are this writer's doing, so that the source
    /// leaves them out. It costs a read before each update.
    #[must_use]
    pub fn noting(mut self, own_writes: Option<Arc<OwnWriteLog>>) -> RecordWriter {
        self.rules.reads_version = own_writes.is_some();
        self.own_writes = own_writes;
        self
    }

    /// Writes until the instance has the record, it is refused, or `stop`. It may take as long as the
    /// instance is away.
    pub fn write(
        &self,
        operation: &WriteOperation,
        prior: PriorAttempt,
        stop: &Stop,
        observer: &dyn RetryObserver,
    ) -> WriteOutcome {
        if let Some(columns) = &self.columns {
            let path = &self.table_api_path;
            if let Some(outcome) = columns.objection(operation, &self.client, path, stop) {
                return outcome;
            }
        }
        let now = Instant::now();
        let backoff = self.client.backoff();
        let budget = RetryBudget::new(self.limits, backoff, now, self.successes.count());
        let mut machine = WriteMachine::new(operation, &self.rules, prior, budget, now);
        let mut attempt = WriteAttempt {
            operation,
            stop,
            version: None,
            has_trial: false,
            waits_for_trial: None,
        };
        let mut notifier = RetryNotifier {
            observer,
            notified: false,
            waits: false,
        };
        let outcome = self.drive(&mut machine, &mut attempt, &mut notifier);
        self.end_trial(&mut attempt);
        // Also when stopped: the record may come again, and the next one of its row with it.
        if let Some(write) = machine.left_behind() {
            self.indeterminate.note(write, Instant::now());
        }
        if outcome != WriteOutcome::Stopped {
            notifier.retries_ended();
            self.log_observations(machine.observations());
            self.note_own_write(&attempt, &outcome);
        }
        outcome
    }

    /// When no write whose answer was lost can be executed any more; `None`: there was none.
    pub fn late_until(&self) -> Option<Instant> {
        self.indeterminate.last_end()
    }

    /// Makes the requests of a record, one after the other.
    fn drive(
        &self,
        machine: &mut WriteMachine<'_>,
        attempt: &mut WriteAttempt<'_>,
        notifier: &mut RetryNotifier<'_>,
    ) -> WriteOutcome {
        loop {
            match machine.next(Instant::now(), &self.indeterminate) {
                WriteStep::Wait(time) => {
                    notifier.waiting(time, &self.rules.table);
                    if attempt.stop.wait(time) {
                        return WriteOutcome::Stopped;
                    }
                }
                WriteStep::Send(request) => {
                    let id = id_of_create(&request, attempt.operation);
                    match id.map(|id| self.permit(id, attempt, notifier.observer)) {
                        None | Some(CreatePermit::Granted | CreatePermit::Trial) => {}
                        Some(CreatePermit::TrialRuns | CreatePermit::TrialReserved) => {
                            notifier.observer.waits_for_another_create();
                            if attempt.stop.wait(CREATE_PERMIT_INTERVAL) {
                                return WriteOutcome::Stopped;
                            }
                            continue;
                        }
                        Some(CreatePermit::Refused) => {
                            let table = &self.rules.table;
                            return WriteOutcome::Blocked(client_ids::words(
                                attempt.operation,
                                table,
                            ));
                        }
                    }
                    let result = self.send(&request, attempt);
                    if let (Some(id), Ok(reply)) = (id, &result) {
                        self.learn(id, reply, attempt, notifier.observer);
                    }
                    let error = result.as_ref().err().cloned();
                    if error.as_ref().is_none_or(servicenow::Error::is_api_verdict) {
                        self.successes.add();
                    }
                    let failing_since = machine.replied(result, self.inputs(attempt));
                    if let (Some(error), Some(since)) = (error, failing_since) {
                        // Another create may be answered before this one is.
                        self.end_trial(attempt);
                        notifier.retry_scheduled(&error, since, &self.rules.table);
                    }
                }
                WriteStep::Done(outcome) => return outcome,
            }
        }
    }

    /// Whether a create, or the look-up before it, may be sent.
    fn permit(
        &self,
        id: &str,
        attempt: &mut WriteAttempt<'_>,
        observer: &dyn RetryObserver,
    ) -> CreatePermit {
        if attempt.has_trial {
            return CreatePermit::Trial;
        }
        let waited_long = |since: Instant| since.elapsed() >= MAX_TRIAL_WAIT;
        let may_try = observer.is_first_of_its_partition()
            || attempt.waits_for_trial.is_some_and(waited_long);
        let permit = self.client_ids.permit(id, may_try);
        attempt.has_trial = permit == CreatePermit::Trial;
        attempt.waits_for_trial = match permit {
            CreatePermit::TrialReserved => attempt.waits_for_trial.or_else(|| Some(Instant::now())),
            _ => None,
        };
        permit
    }

    /// Takes in what a reply says of the sys_id that the row was sent with.
    fn learn(
        &self,
        id: &str,
        reply: &WriteReply,
        attempt: &mut WriteAttempt<'_>,
        observer: &dyn RetryObserver,
    ) {
        let is_taken = match (reply, &attempt.operation.create) {
            (WriteReply::Written(row), _) => match &row.sys_id {
                Some(theirs) => theirs.eq_ignore_ascii_case(id),
                None => return,
            },
            // No row has such a sys_id but by a create of this bridge.
            (WriteReply::RowExists, NewRowIdentity::Record { .. } | NewRowIdentity::Key(_)) => true,
            _ => return,
        };
        attempt.has_trial = false;
        if is_taken {
            self.client_ids.taken(id);
        } else {
            let why = client_ids::words(attempt.operation, &self.rules.table);
            self.client_ids.ignored(id, &why);
            observer.creates_are_refused(why);
        }
    }

    /// Lets another create tell what the one of this record has not told.
    fn end_trial(&self, attempt: &mut WriteAttempt<'_>) {
        if std::mem::take(&mut attempt.has_trial)
            && let Some(id) = attempt.operation.create.sys_id()
        {
            self.client_ids.give_back(id);
        }
    }

    fn inputs(&self, attempt: &WriteAttempt<'_>) -> ReplyInputs {
        let id = attempt.operation.create.sys_id();
        ReplyInputs {
            now: Instant::now(),
            successes: self.successes.count(),
            random: fastrand::f64(),
            ids_ignored: id.is_some_and(|id| self.client_ids.are_ignored(id)),
        }
    }

    fn log_observations(&self, observations: &[Observation]) {
        let table = self.rules.table.as_str();
        for observation in observations {
            match observation {
                Observation::SysIdIgnored => {
                    if let Some(why) = self.client_ids.objection() {
                        log::error!(table, error = why; "no further row is made");
                    }
                }
                Observation::JournalUnreadable => {
                    if !self.journal_warned.swap(true, Relaxed) {
                        log::warn!(
                            table;
                            "journal entries cannot be read, so that one whose update is not \
                             answered may show twice: give the integration user read access to \
                             sys_journal_field"
                        );
                    }
                }
                Observation::IdentityNotUnique => {
                    log::warn!(table; "more than one row carries the identity of a record");
                }
            }
        }
    }

    /// Tells the source of a version of a row that is certainly this writer's doing alone.
    fn note_own_write(&self, attempt: &WriteAttempt<'_>, outcome: &WriteOutcome) {
        let (Some(own_writes), WriteOutcome::Written(kind, Some(row))) =
            (&self.own_writes, outcome)
        else {
            return;
        };
        match (kind, &attempt.version) {
            (WriteKind::Insert, _) => row_versions::inserted(own_writes, row),
            (WriteKind::Update, Some(before)) => row_versions::updated(own_writes, before, row),
            (WriteKind::Update, None) | (WriteKind::Delete, _) => {}
        }
    }
}

/// A record while it is written.
pub(super) struct WriteAttempt<'a> {
    pub(super) operation: &'a WriteOperation,
    pub(super) stop: &'a Stop,
    /// The row before the update, if that was read.
    pub(super) version: Option<VersionBeforeUpdate>,
    /// Its create tells whether the instance takes the sys_ids of new rows.
    has_trial: bool,
    /// Since when no create tells that and this one waits for records before it.
    waits_for_trial: Option<Instant>,
}

/// The sys_id that is sent with the new row, if the request is a create or the look at its row.
fn id_of_create<'a>(request: &WriteRequest<'_>, operation: &'a WriteOperation) -> Option<&'a str> {
    match request {
        WriteRequest::Insert | WriteRequest::LookUpRow(_) => operation.create.sys_id(),
        _ => None,
    }
}

/// Tells an observer of failures, and of their end if there were any.
struct RetryNotifier<'a> {
    observer: &'a dyn RetryObserver,
    notified: bool,
    /// It was logged that the record waits for an earlier write.
    waits: bool,
}

impl RetryNotifier<'_> {
    /// The record waits, without that a request for it has failed.
    fn waiting(&mut self, time: Duration, table: &str) {
        if !self.notified && !self.waits && time >= LONG_WAIT {
            self.waits = true;
            let seconds = time.as_secs();
            log::info!(table, seconds;
                "a record waits until an earlier write of it, or of its row, cannot run any more on the instance");
        }
    }

    fn retry_scheduled(&mut self, error: &servicenow::Error, since: Instant, table: &str) {
        if !self.notified {
            log::debug!(table, error:% = error; "a record waits for the instance");
        }
        self.notified = true;
        self.observer.retry_scheduled(error, since);
    }

    fn retries_ended(&mut self) {
        if std::mem::take(&mut self.notified) {
            self.observer.retries_ended();
        }
    }
}

impl fmt::Debug for RecordWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordWriter")
            .field("rules", &self.rules)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
