//! Decides what to do next for one record. Pure: it is told what happened and when, and names the
//! next request.
//!
//! What drives it is doubt. A request whose answer was lost may have been executed, and may even
//! still run. Before it is sent again the instance is asked what it has, unless sending it twice does
//! no harm.

mod ambiguity;
mod replies;

use std::time::{Duration, Instant};

use self::ambiguity::Ambiguity;
use super::classify::refusal;
use super::indeterminate::{IndeterminateWrite, IndeterminateWrites};
use super::messages::{FirstAttempt, ReplyInputs, WriteReply, WriteRequest, WriteRules, WriteStep};
use super::retry_budget::{RetryBudget, RetryVerdict};
use super::{PriorAttempt, WriteOutcome, WriteOutcomeRow};
use crate::servicenow::{Error, InstanceFailure};
use crate::sink::Refusal;
use crate::sink::record::{NewRowIdentity, OperationKind, TargetRow, WriteOperation};

/// Before the next try after the client waited in vain for its turn.
const HELD_REQUEST_PAUSE: Duration = Duration::from_secs(1);

/// What is to be done, when `earliest` has come.
#[derive(Debug)]
enum WriteState {
    Find,
    Journal {
        id: String,
        left: Vec<&'static str>,
    },
    Version(String),
    Update(String),
    Delete(String),
    Insert,
    /// Is the row there that the lost insert would have made?
    OwnRow(String),
    /// The same, by the column that holds the identity.
    OwnField,
    Done(WriteOutcome),
}

/// One record on its way.
#[derive(Debug)]
pub(super) struct WriteMachine<'a> {
    op: &'a WriteOperation,
    rules: &'a WriteRules,
    /// A row's version is read before it is updated.
    guarded: bool,
    at: WriteState,
    patience: RetryBudget,
    earliest: Instant,
    probe: Option<Duration>,
    attempts: u32,
    last_error: Option<Error>,
    /// The last attempt that is not accounted for.
    doubt: Option<Ambiguity>,
    /// There was such an attempt at some time.
    doubted: bool,
    /// What this record has lost and may still be executed, over what is written later.
    late: Option<IndeterminateWrite>,
    suspect: bool,
    first_sent: Option<Instant>,
    /// Journal columns that have our entry already.
    without: Vec<&'static str>,
    /// The refusal of an insert, until it is known whether the row is there.
    insert_refused: Option<Error>,
    /// The row of the key was looked for again.
    found_again: bool,
    /// An insert was tried.
    inserted: bool,
    /// The instance gave the new row a sys_id of its own.
    foreign_id: bool,
    /// More than one row has the identity of this record.
    twins: bool,
    /// Journals could not be read.
    blind: bool,
}

impl<'a> WriteMachine<'a> {
    pub(super) fn new(
        op: &'a WriteOperation,
        rules: &'a WriteRules,
        guarded: bool,
        history: PriorAttempt,
        patience: RetryBudget,
        now: Instant,
    ) -> WriteMachine<'a> {
        let doubt = match history {
            PriorAttempt::None => None,
            PriorAttempt::Possible { since } => Some(Ambiguity {
                sent: since,
                running: true,
            }),
        };
        let mut core = WriteMachine {
            op,
            rules,
            guarded,
            at: WriteState::Find,
            patience,
            earliest: now,
            probe: None,
            attempts: 0,
            last_error: None,
            doubt,
            doubted: doubt.is_some(),
            late: None,
            suspect: doubt.is_some(),
            first_sent: None,
            without: Vec::new(),
            insert_refused: None,
            found_again: false,
            inserted: false,
            foreign_id: false,
            twins: false,
            blind: false,
        };
        match (op.kind, &op.row) {
            (OperationKind::Insert, _) | (_, TargetRow::None) => core.insert(),
            (OperationKind::Delete, TargetRow::SysId(id)) => {
                core.at = WriteState::Delete(id.clone());
            }
            (OperationKind::Update | OperationKind::Upsert, TargetRow::SysId(id)) => {
                core.update(id.clone());
            }
            (_, TargetRow::Field { .. }) => {}
        }
        core
    }

    /// What to do at `now`. `late` is what other records have left behind.
    pub(super) fn next(&mut self, now: Instant, late: &IndeterminateWrites) -> WriteStep {
        if let WriteState::Done(outcome) = &self.at {
            return WriteStep::Done(outcome.clone());
        }
        if self.probe.is_some() {
            return WriteStep::Do(WriteRequest::Probe);
        }
        self.let_pass(late);
        if now < self.earliest {
            return WriteStep::Wait(self.earliest.saturating_duration_since(now));
        }
        match self.task(now) {
            Some(task) => WriteStep::Do(task),
            // No state leads here; a record must neither spin nor be lost should one.
            None => WriteStep::Done(WriteOutcome::Refused(Refusal::unsent(
                "internal",
                "there is no next step for this record: please report this",
            ))),
        }
    }

    /// Columns to leave out of an update.
    pub(super) fn without(&self) -> &[&'static str] {
        &self.without
    }

    /// What this record has lost and may still be executed.
    pub(super) fn late(&self) -> Option<&IndeterminateWrite> {
        self.late.as_ref()
    }

    pub(super) fn foreign_id(&self) -> bool {
        self.foreign_id
    }

    pub(super) fn twins(&self) -> bool {
        self.twins
    }

    pub(super) fn blind(&self) -> bool {
        self.blind
    }

    fn task(&mut self, now: Instant) -> Option<WriteRequest> {
        let first_sent = self.first_sent;
        let mut sending = || *self.first_sent.get_or_insert(now);
        Some(match &self.at {
            WriteState::Find => self.search_of_row()?,
            WriteState::Journal { id, left } => WriteRequest::Journal {
                id: id.clone(),
                column: left.last()?,
                since: FirstAttempt {
                    first_sent: first_sent.unwrap_or(now),
                    suspect: self.suspect,
                },
            },
            WriteState::Version(id) => WriteRequest::Version(id.clone()),
            WriteState::Update(id) => {
                sending();
                WriteRequest::Update(id.clone())
            }
            WriteState::Delete(id) => {
                sending();
                WriteRequest::Delete(id.clone())
            }
            WriteState::Insert => {
                sending();
                self.inserted = true;
                WriteRequest::Insert
            }
            WriteState::OwnRow(id) => WriteRequest::Row(id.clone()),
            WriteState::OwnField => self.search_of_identity()?,
            WriteState::Done(_) => return None,
        })
    }

    fn search_of_row(&self) -> Option<WriteRequest> {
        match &self.op.row {
            TargetRow::Field { field, value } => Some(find(field, value)),
            TargetRow::SysId(_) | TargetRow::None => None,
        }
    }

    fn search_of_identity(&self) -> Option<WriteRequest> {
        match &self.op.create {
            NewRowIdentity::Field { field, value, .. } => Some(find(field, value)),
            _ => None,
        }
    }

    // Where to go.

    fn done(&mut self, outcome: WriteOutcome) {
        self.at = WriteState::Done(outcome);
    }

    fn refuse(&mut self, error: &Error) {
        let refusal = refusal(error, self.attempts);
        self.done(WriteOutcome::Refused(refusal));
    }

    fn refuse_as(&mut self, kind: &'static str, error: String) {
        let attempts = self.attempts;
        self.done(WriteOutcome::Refused(Refusal {
            attempts,
            ..Refusal::unsent(kind, error)
        }));
    }

    /// Goes to an insert, or first to what must be known before one.
    fn insert(&mut self) {
        let doubt = self.doubt;
        match (&self.op.create, &self.op.row, doubt) {
            // The first one is over then, so that what is not there now will never be.
            (NewRowIdentity::Field { .. }, _, Some(doubt)) => {
                self.not_before(doubt.sent + self.rules.transaction_time);
                self.at = WriteState::OwnField;
            }
            (NewRowIdentity::None, TargetRow::Field { .. }, Some(doubt)) => {
                self.not_before(doubt.sent + self.rules.transaction_time);
                self.doubt = None;
                self.at = WriteState::Find;
            }
            _ => self.at = WriteState::Insert,
        }
    }

    /// Goes to an update of this row, or first to what must be known before one.
    fn update(&mut self, id: String) {
        let left = self.entries_to_send();
        if self.doubt.is_some() && !left.is_empty() {
            self.at = WriteState::Journal { id, left };
            return;
        }
        let entries = !self.without.is_empty();
        let sent = |(name, _): &(String, _)| !self.without.contains(&name.as_str());
        if entries && !self.op.fields.iter().any(sent) {
            self.written("update", WriteOutcomeRow::of(&id));
        } else if self.guarded {
            self.at = WriteState::Version(id);
        } else {
            self.at = WriteState::Update(id);
        }
    }

    fn entries_to_send(&self) -> Vec<&'static str> {
        let journal = self.op.journal.iter();
        let open = journal.filter(|column| !self.without.contains(column));
        open.rev().copied().collect()
    }

    fn written(&mut self, word: &'static str, row: WriteOutcomeRow) {
        let known = row != WriteOutcomeRow::default();
        self.done(WriteOutcome::Written(word, known.then_some(row)));
    }

    fn not_before(&mut self, time: Instant) {
        self.earliest = self.earliest.max(time);
    }

    // What happened.

    /// Takes in the result of a task. Gives the time since when there is trouble, if this was more
    /// of it.
    pub(super) fn answered(
        &mut self,
        task: &WriteRequest,
        result: Result<WriteReply, Error>,
        moment: ReplyInputs,
    ) -> Option<Instant> {
        if let Some(delay) = self.probe.take() {
            self.probed(&result, delay, moment);
            return None;
        }
        let error = match result {
            Ok(answer) => {
                self.attempts = self.attempts.saturating_add(1);
                self.good(task, answer);
                return None;
            }
            Err(error) => error,
        };
        match error.cause() {
            None => {
                self.done(WriteOutcome::Stopped);
                return None;
            }
            Some(InstanceFailure::Held { .. }) => {
                self.patience.held(moment.now);
                self.not_before(moment.now + HELD_REQUEST_PAUSE);
                return Some(self.patience.since(moment.now));
            }
            // The client itself keeps everybody waiting until the time is over.
            Some(InstanceFailure::RateLimited { .. }) => {
                self.patience.held(moment.now);
                return Some(self.patience.since(moment.now));
            }
            Some(_) => {}
        }
        self.attempts = self.attempts.saturating_add(1);
        if !error.is_retryable() && !error.is_instance_wide() {
            self.refused(task, error);
            return None;
        }
        self.last_error = Some(error.clone());
        self.doubt_after(task, &error, moment);
        self.wait_out(&error, moment);
        Some(self.patience.since(moment.now))
    }

    fn wait_out(&mut self, error: &Error, moment: ReplyInputs) {
        let verdict = self.patience.failed(
            moment.now,
            moment.pulse,
            error.is_instance_wide(),
            moment.random,
        );
        self.obey(verdict, moment.now);
    }

    fn obey(&mut self, verdict: RetryVerdict, now: Instant) {
        match verdict {
            _ if matches!(self.at, WriteState::Done(_)) => {}
            RetryVerdict::Wait(delay) => self.not_before(now + delay),
            RetryVerdict::Probe(delay) => {
                self.probe = Some(delay);
                self.not_before(now + delay);
            }
            RetryVerdict::GiveUp => {
                if let Some(error) = self.last_error.take() {
                    self.refuse(&error);
                }
            }
        }
    }

    fn probed(&mut self, result: &Result<WriteReply, Error>, delay: Duration, moment: ReplyInputs) {
        let works = match result {
            Ok(_) => Some(true),
            Err(error) => match error.cause() {
                None => return self.done(WriteOutcome::Stopped),
                Some(InstanceFailure::Held { .. } | InstanceFailure::RateLimited { .. }) => None,
                Some(_) => Some(error.is_api_verdict()),
            },
        };
        let verdict = self.patience.probed(moment.now, moment.pulse, works, delay);
        self.obey(verdict, moment.now);
    }
}

fn find(field: &str, value: &str) -> WriteRequest {
    WriteRequest::Find {
        field: field.to_owned(),
        value: value.to_owned(),
    }
}

#[cfg(test)]
mod tests;
