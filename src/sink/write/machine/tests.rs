//! Decisions, by tables: the requests that are made, what the instance replies, and what becomes of the
//! record.

mod creates;
mod indeterminate;
mod inserts;
mod rows;

use super::*;
use crate::backoff::Backoff;
use crate::config::OnMissing;
use crate::servicenow::AttemptedRequest;
use crate::servicenow::table_write::RowAfterWrite;
use crate::sink::record::{NewRowIdentity, OperationKind, SkipReason, TargetRow, fields_of};
use crate::sink::refusal::Refusal;
use crate::sink::write::indeterminate::LateEffect;
use crate::sink::write::messages::FoundRow;
use crate::sink::write::retry_budget::RetryLimits;

const ID: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "ffffffffffffffffffffffffffffffff";
const SECOND: Duration = Duration::from_secs(1);
/// How long the instance may go on working on a lost request.
const TRANSACTION: Duration = Duration::from_secs(60);

/// What the instance does with one request.
#[derive(Debug, Clone, Copy)]
enum ScriptedReply {
    /// It is done, the row has this sys_id.
    Done(&'static str),
    /// It reads the row, or anything.
    Reads,
    /// It finds rows with this value.
    Finds(&'static [(&'static str, &'static str)]),
    /// Whether the row holds what was sent.
    Holds(bool),
    /// 200 with an empty body.
    Empty,
    /// Whether the entry is there.
    Entry(bool),
    /// Nothing came in time.
    Silent,
    /// A 500 of its own.
    Breaks,
    /// No connection.
    Away,
    /// 403 with these words.
    Forbids(&'static str),
    /// 404 of the API.
    Misses,
    /// Any other cause.
    Says(fn() -> InstanceFailure),
}

use ScriptedReply::*;

fn error(cause: InstanceFailure, sent: Option<Instant>) -> Error {
    Error::Request {
        asked: Box::new(AttemptedRequest::default()),
        cause,
        sent,
        outage: OutageSign::None,
    }
}

fn result(does: ScriptedReply, now: Instant) -> Result<WriteReply, Error> {
    let timeout = InstanceFailure::Timeout {
        limit: String::new(),
        connecting: false,
    };
    let words = |words: &str| words.to_owned();
    let found = |(id, value): &(&str, &str)| FoundRow {
        sys_id: Some(words(id)),
        value: Some(words(value)),
    };
    match does {
        Done(id) => Ok(WriteReply::Written(RowAfterWrite {
            sys_id: Some(words(id)),
            ..RowAfterWrite::default()
        })),
        Reads => Ok(WriteReply::RowExists),
        Finds(rows) => Ok(WriteReply::Rows(rows.iter().map(found).collect())),
        Holds(is_updated) => Ok(WriteReply::RowChecked { is_updated }),
        Empty => Err(error(InstanceFailure::Body(words("empty")), Some(now))),
        Entry(there) => Ok(WriteReply::JournalRead { has_entry: there }),
        Silent => Err(error(timeout, Some(now))),
        Breaks => Err(error(
            InstanceFailure::Server {
                status: 500,
                words: words("x"),
            },
            Some(now),
        )),
        Away => Err(error(InstanceFailure::Network(words("refused")), None)),
        Forbids(said) => Err(error(
            InstanceFailure::Forbidden { words: words(said) },
            Some(now),
        )),
        Misses => Err(error(
            InstanceFailure::NotFound {
                words: words("No Record found"),
            },
            Some(now),
        )),
        Says(cause) => Err(error(cause(), Some(now))),
    }
}

/// A record and its circumstances.
struct WriteCase {
    op: WriteOperation,
    rules: WriteRules,
    suspect: bool,
    ids_ignored: bool,
    limits: RetryLimits,
    /// What may still be done to the row of [`ID`] in the first minute.
    late: Option<LateEffect>,
}

fn case(kind: OperationKind, row: TargetRow, create: NewRowIdentity) -> WriteCase {
    WriteCase {
        op: WriteOperation {
            kind,
            row,
            fields: fields_of(r#"{"a":"1"}"#),
            create,
            journal: Vec::new(),
            record_time: Some(0),
        },
        rules: WriteRules {
            table: "incident".to_owned(),
            on_missing: OnMissing::DeadLetter,
            transaction_time: TRANSACTION,
            reads_version: false,
        },
        suspect: false,
        ids_ignored: false,
        limits: RetryLimits {
            instance: None,
            record: SECOND * 600,
        },
        late: None,
    }
}

/// How it went.
struct WriteStory {
    outcome: WriteOutcome,
    /// Seconds until the outcome; requests take none, back-off at most 5 milliseconds each.
    seconds: u64,
    foreign_id: bool,
    twins: bool,
    blind: bool,
    without: Vec<&'static str>,
    /// What may still be done to the row of [`ID`], and for how many seconds from the start.
    late: Option<(LateEffect, u64)>,
}

impl WriteCase {
    fn with(mut self, change: impl FnOnce(&mut WriteCase)) -> WriteCase {
        change(&mut self);
        self
    }

    /// Drives the record through `script`: each request must be the one that is named.
    fn play(&self, script: &[(&str, ScriptedReply)]) -> WriteStory {
        let start = Instant::now();
        let mut now = start;
        let prior = if self.suspect {
            PriorAttempt::Possible { since: start }
        } else {
            PriorAttempt::None
        };
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(5));
        let budget = RetryBudget::new(self.limits, backoff, now, 0);
        let mut machine = WriteMachine::new(&self.op, &self.rules, prior, budget, now);
        let late = IndeterminateWrites::default();
        if let Some(effect) = self.late {
            let (row, until) = (ID.to_owned(), start + TRANSACTION);
            late.note(&IndeterminateWrite { row, effect, until }, start);
        }
        let mut successes = 0;
        let mut without = Vec::new();
        let mut script = script.iter();
        loop {
            match machine.next(now, &late) {
                WriteStep::Wait(time) => now += time,
                WriteStep::Send(request) => {
                    let (expected, does) = script.next().unwrap_or_else(|| {
                        panic!("not in the script: {request:?}");
                    });
                    assert_eq!(name(&request), *expected);
                    if let WriteRequest::Update {
                        without: left_out, ..
                    } = request
                    {
                        without = left_out.to_vec();
                    }
                    let result = result(*does, now);
                    let good = result.as_ref().map_or_else(Error::is_api_verdict, |_| true);
                    successes += u64::from(good);
                    let inputs = ReplyInputs {
                        now,
                        successes,
                        random: 1.0,
                        ids_ignored: self.ids_ignored,
                    };
                    machine.replied(result, inputs);
                }
                WriteStep::Done(outcome) => {
                    assert_eq!(script.len(), 0, "not asked: {script:?}");
                    let observed = |it| machine.observations().contains(&it);
                    return WriteStory {
                        outcome,
                        seconds: now.duration_since(start).as_secs(),
                        foreign_id: observed(Observation::SysIdIgnored),
                        twins: observed(Observation::IdentityNotUnique),
                        blind: observed(Observation::JournalUnreadable),
                        without,
                        late: machine.left_behind().map(|write| {
                            assert_eq!(write.row, ID);
                            (write.effect, write.until.duration_since(start).as_secs())
                        }),
                    };
                }
            }
        }
    }

    /// As [`WriteCase::play`], to be written.
    fn writes(&self, word: &str, script: &[(&str, ScriptedReply)]) -> WriteStory {
        let story = self.play(script);
        match &story.outcome {
            WriteOutcome::Written(kind, _) => assert_eq!(kind.word(), word),
            other => panic!("{other:?}"),
        }
        story
    }

    /// As [`WriteCase::play`], to be refused.
    fn refuses(&self, kind: &str, script: &[(&str, ScriptedReply)]) -> Refusal {
        match self.play(script).outcome {
            WriteOutcome::Refused(refusal) => {
                assert_eq!(refusal.kind.label(), kind);
                refusal
            }
            other => panic!("{other:?}"),
        }
    }

    fn skips(&self, script: &[(&str, ScriptedReply)]) {
        assert_eq!(
            self.play(script).outcome,
            WriteOutcome::Skipped(SkipReason::Missing)
        );
    }
}

/// A short name of a request.
fn name(request: &WriteRequest<'_>) -> String {
    match *request {
        WriteRequest::Insert => "insert".to_owned(),
        WriteRequest::Update { id: ID, .. } => "update".to_owned(),
        WriteRequest::Update { id, .. } => format!("update {id}"),
        WriteRequest::Delete(_) => "delete".to_owned(),
        WriteRequest::LookUpRow(id) => {
            assert_eq!(id, ID);
            "row".to_owned()
        }
        WriteRequest::CheckUpdate { id, .. } => {
            assert_eq!(id, ID);
            "check".to_owned()
        }
        WriteRequest::FindRows { column, value } => format!("{column}={value}"),
        WriteRequest::SearchJournal { column, .. } => column.to_owned(),
        WriteRequest::ReadVersion(_) => "version".to_owned(),
        WriteRequest::Probe => "probe".to_owned(),
    }
}

fn by_id() -> TargetRow {
    TargetRow::SysId(ID.to_owned())
}

fn by_key() -> TargetRow {
    TargetRow::Field {
        field: "u_key".to_owned(),
        value: "K1".to_owned(),
    }
}

fn of_record() -> NewRowIdentity {
    NewRowIdentity::Record {
        id: ID.to_owned(),
        replayed: false,
    }
}

fn of_key() -> NewRowIdentity {
    NewRowIdentity::Key(ID.to_owned())
}

fn in_field() -> NewRowIdentity {
    NewRowIdentity::Field {
        field: "u_id".to_owned(),
        value: "abc".to_owned(),
        hashed: true,
    }
}

fn insert(create: NewRowIdentity) -> WriteCase {
    case(OperationKind::Insert, TargetRow::None, create)
}

fn update() -> WriteCase {
    case(OperationKind::Update, by_id(), NewRowIdentity::None)
}
