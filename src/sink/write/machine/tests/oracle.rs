//! The state machine of a write as it was before it was written anew with states that carry their own
//! data. It is kept as the oracle of [`super::random`]: both machines must answer all sequences of events
//! alike. But for names it was changed only where the behaviour was: a create that may have been sent
//! before is looked up first.

mod ambiguity;
mod replies;

use std::time::{Duration, Instant};

use self::ambiguity::OldDoubt;
use crate::servicenow::table_write::RowAfterWrite;
use crate::servicenow::{Error, InstanceFailure};
use crate::sink::record::{NewRowIdentity, OperationKind, TargetRow, WriteOperation};
use crate::sink::refusal::{Refusal, RefusalKind};
use crate::sink::write::classify::refusal;
use crate::sink::write::indeterminate::{IndeterminateWrite, IndeterminateWrites};
use crate::sink::write::messages::{
    FirstAttempt, PriorAttempt, ReplyInputs, WriteReply, WriteRules,
};
use crate::sink::write::outcome::{WriteKind, WriteOutcome};
use crate::sink::write::retry_budget::{FailureScope, RetryBudget, RetryVerdict};

/// A request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OldRequest {
    Insert,
    Update(String),
    Delete(String),
    Row(String),
    Find {
        field: String,
        value: String,
    },
    Journal {
        id: String,
        column: &'static str,
        since: FirstAttempt,
    },
    Version(String),
    Probe,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OldStep {
    Wait(Duration),
    Do(OldRequest),
    Done(WriteOutcome),
}

/// Before the next try after the client waited in vain for its turn.
const OLD_HELD_PAUSE: Duration = Duration::from_secs(1);

/// What is to be done, when `earliest` has come.
#[derive(Debug)]
enum OldState {
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
pub(super) struct OldMachine<'a> {
    op: &'a WriteOperation,
    rules: &'a WriteRules,
    /// A row's version is read before it is updated.
    guarded: bool,
    at: OldState,
    patience: RetryBudget,
    earliest: Instant,
    probe: Option<Duration>,
    attempts: u32,
    last_error: Option<Error>,
    /// The last attempt that is not accounted for.
    doubt: Option<OldDoubt>,
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

impl<'a> OldMachine<'a> {
    pub(super) fn new(
        op: &'a WriteOperation,
        rules: &'a WriteRules,
        guarded: bool,
        history: PriorAttempt,
        patience: RetryBudget,
        now: Instant,
    ) -> OldMachine<'a> {
        let doubt = match history {
            PriorAttempt::None => None,
            PriorAttempt::Possible { since } => Some(OldDoubt {
                sent: since,
                running: true,
            }),
        };
        let mut core = OldMachine {
            op,
            rules,
            guarded,
            at: OldState::Find,
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
                core.at = OldState::Delete(id.clone());
            }
            (OperationKind::Update | OperationKind::Upsert, TargetRow::SysId(id)) => {
                core.update(id.clone());
            }
            (_, TargetRow::Field { .. }) => {}
        }
        core
    }

    /// What to do at `now`. `late` is what other records have left behind.
    pub(super) fn next(&mut self, now: Instant, late: &IndeterminateWrites) -> OldStep {
        if let OldState::Done(outcome) = &self.at {
            return OldStep::Done(outcome.clone());
        }
        if self.probe.is_some() {
            return OldStep::Do(OldRequest::Probe);
        }
        self.let_pass(late);
        if now < self.earliest {
            return OldStep::Wait(self.earliest.saturating_duration_since(now));
        }
        match self.task(now) {
            Some(task) => OldStep::Do(task),
            // No state leads here; a record must neither spin nor be lost should one.
            None => OldStep::Done(WriteOutcome::Refused(Refusal::unsent(
                RefusalKind::Internal,
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

    fn task(&mut self, now: Instant) -> Option<OldRequest> {
        let first_sent = self.first_sent;
        let mut sending = || *self.first_sent.get_or_insert(now);
        Some(match &self.at {
            OldState::Find => self.search_of_row()?,
            OldState::Journal { id, left } => OldRequest::Journal {
                id: id.clone(),
                column: left.last()?,
                since: FirstAttempt {
                    first_sent: first_sent.unwrap_or(now),
                    tried_before: self.suspect,
                },
            },
            OldState::Version(id) => OldRequest::Version(id.clone()),
            OldState::Update(id) => {
                sending();
                OldRequest::Update(id.clone())
            }
            OldState::Delete(id) => {
                sending();
                OldRequest::Delete(id.clone())
            }
            OldState::Insert => {
                sending();
                self.inserted = true;
                OldRequest::Insert
            }
            OldState::OwnRow(id) => {
                self.inserted = true;
                OldRequest::Row(id.clone())
            }
            OldState::OwnField => self.search_of_identity()?,
            OldState::Done(_) => return None,
        })
    }

    fn search_of_row(&self) -> Option<OldRequest> {
        match &self.op.row {
            TargetRow::Field { field, value } => Some(find(field, value)),
            TargetRow::SysId(_) | TargetRow::None => None,
        }
    }

    fn search_of_identity(&self) -> Option<OldRequest> {
        match &self.op.create {
            NewRowIdentity::Field { field, value, .. } => Some(find(field, value)),
            _ => None,
        }
    }

    // Where to go.

    fn done(&mut self, outcome: WriteOutcome) {
        self.at = OldState::Done(outcome);
    }

    fn refuse(&mut self, error: &Error) {
        let refusal = refusal(error).after(self.attempts);
        self.done(WriteOutcome::Refused(refusal));
    }

    fn refuse_as(&mut self, kind: RefusalKind, error: String) {
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
                self.at = OldState::OwnField;
            }
            (NewRowIdentity::None, TargetRow::Field { .. }, Some(doubt)) => {
                self.not_before(doubt.sent + self.rules.transaction_time);
                self.doubt = None;
                self.at = OldState::Find;
            }
            (create, row, Some(_)) => {
                let looked =
                    self.op.kind != OperationKind::Insert && matches!(row, TargetRow::SysId(_));
                self.at = match create.sys_id() {
                    Some(id) if !looked => OldState::OwnRow(id.to_owned()),
                    _ => OldState::Insert,
                };
            }
            (_, _, None) => self.at = OldState::Insert,
        }
    }

    /// Goes to an update of this row, or first to what must be known before one.
    fn update(&mut self, id: String) {
        let left = self.entries_to_send();
        if self.doubt.is_some() && !left.is_empty() {
            self.at = OldState::Journal { id, left };
            return;
        }
        let entries = !self.without.is_empty();
        let sent = |(name, _): &(String, _)| !self.without.contains(&name.as_str());
        if entries && !self.op.fields.iter().any(sent) {
            self.written(WriteKind::Update, row_of(&id));
        } else if self.guarded {
            self.at = OldState::Version(id);
        } else {
            self.at = OldState::Update(id);
        }
    }

    fn entries_to_send(&self) -> Vec<&'static str> {
        let journal = self.op.journal.iter();
        let open = journal.filter(|column| !self.without.contains(column));
        open.rev().copied().collect()
    }

    fn written(&mut self, kind: WriteKind, row: RowAfterWrite) {
        let known = row != RowAfterWrite::default();
        self.done(WriteOutcome::Written(kind, known.then_some(row)));
    }

    fn not_before(&mut self, time: Instant) {
        self.earliest = self.earliest.max(time);
    }

    // What happened.

    /// Takes in the result of a task. Gives the time since when there is trouble, if this was more
    /// of it.
    pub(super) fn answered(
        &mut self,
        task: &OldRequest,
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
                self.not_before(moment.now + OLD_HELD_PAUSE);
                return Some(self.patience.since(moment.now));
            }
            // The client itself keeps all requests waiting until the time is over.
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
        let scope = match error.is_instance_wide() {
            true => FailureScope::Instance,
            false => FailureScope::PerhapsRecord,
        };
        let verdict = self
            .patience
            .failed(moment.now, moment.successes, scope, moment.random);
        self.obey(verdict, moment.now);
    }

    fn obey(&mut self, verdict: RetryVerdict, now: Instant) {
        match verdict {
            _ if matches!(self.at, OldState::Done(_)) => {}
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
        let verdict = self
            .patience
            .probed(moment.now, moment.successes, works, delay);
        self.obey(verdict, moment.now);
    }
}

fn find(field: &str, value: &str) -> OldRequest {
    OldRequest::Find {
        field: field.to_owned(),
        value: value.to_owned(),
    }
}

fn row_of(sys_id: &str) -> RowAfterWrite {
    RowAfterWrite {
        sys_id: Some(sys_id.to_owned()),
        ..RowAfterWrite::default()
    }
}
