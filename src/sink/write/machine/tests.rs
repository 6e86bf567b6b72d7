//! Decisions, by tables: what is asked, what comes back, what becomes of the record.

mod indeterminate;
mod inserts;
mod rows;

use super::*;
use crate::backoff::Backoff;
use crate::config::OnMissing;
use crate::servicenow::AttemptedRequest;
use crate::servicenow::table_write::RowAfterWrite;
use crate::sink::record::fields_of;
use crate::sink::write::indeterminate::LateEffect;
use crate::sink::write::messages::FoundRow;
use crate::sink::write::retry_budget::RetryLimits;

const ID: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "ffffffffffffffffffffffffffffffff";
const SECOND: Duration = Duration::from_secs(1);
/// How long the instance may go on.
const TRANSACTION: Duration = Duration::from_secs(60);

/// What the instance does with one request.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// It is done, the row has this sys_id.
    Done(&'static str),
    /// It reads the row, or anything.
    Reads,
    /// It finds rows with this value.
    Finds(&'static [(&'static str, &'static str)]),
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

use Does::*;

fn error(cause: InstanceFailure, sent: Option<Instant>) -> Error {
    Error::Request {
        asked: Box::new(AttemptedRequest::default()),
        cause,
        sent,
    }
}

fn result(does: Does, now: Instant) -> Result<WriteReply, Error> {
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
        Reads => Ok(WriteReply::There),
        Finds(rows) => Ok(WriteReply::Rows(rows.iter().map(found).collect())),
        Entry(there) => Ok(WriteReply::Entry(there)),
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
struct Case {
    op: WriteOperation,
    rules: WriteRules,
    guarded: bool,
    suspect: bool,
    ids_ignored: bool,
    limits: RetryLimits,
    /// What may still be done to the row of [`ID`] in the first minute.
    late: Option<LateEffect>,
}

fn case(kind: OperationKind, row: TargetRow, create: NewRowIdentity) -> Case {
    Case {
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
        },
        guarded: false,
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
struct Story {
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

impl Case {
    fn with(mut self, change: impl FnOnce(&mut Case)) -> Case {
        change(&mut self);
        self
    }

    /// Drives the record through `script`: each request must be the one that is named.
    fn play(&self, script: &[(&str, Does)]) -> Story {
        let start = Instant::now();
        let mut now = start;
        let history = match self.suspect {
            true => PriorAttempt::Possible { since: start },
            false => PriorAttempt::None,
        };
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(5));
        let patience = RetryBudget::new(self.limits, backoff, now, 0);
        let mut core =
            WriteMachine::new(&self.op, &self.rules, self.guarded, history, patience, now);
        let late = IndeterminateWrites::default();
        if let Some(harm) = self.late {
            let (row, until) = (ID.to_owned(), start + TRANSACTION);
            late.note(&IndeterminateWrite { row, harm, until }, start);
        }
        let mut pulse = 0;
        let mut script = script.iter();
        loop {
            match core.next(now, &late) {
                WriteStep::Wait(time) => now += time,
                WriteStep::Do(task) => {
                    let (expected, does) = script.next().unwrap_or_else(|| {
                        panic!("not in the script: {task:?}");
                    });
                    assert_eq!(name(&task), *expected);
                    let result = result(*does, now);
                    let good = result.as_ref().map_or_else(Error::is_api_verdict, |_| true);
                    pulse += u64::from(good);
                    let moment = ReplyInputs {
                        now,
                        pulse,
                        random: 1.0,
                        ids_ignored: self.ids_ignored,
                    };
                    core.answered(&task, result, moment);
                }
                WriteStep::Done(outcome) => {
                    assert_eq!(script.len(), 0, "not asked: {script:?}");
                    return Story {
                        outcome,
                        seconds: now.duration_since(start).as_secs(),
                        foreign_id: core.foreign_id(),
                        twins: core.twins(),
                        blind: core.blind(),
                        without: core.without().to_vec(),
                        late: core.late().map(|lost| {
                            assert_eq!(lost.row, ID);
                            (lost.harm, lost.until.duration_since(start).as_secs())
                        }),
                    };
                }
            }
        }
    }

    /// As [`Case::play`], to be written.
    fn writes(&self, word: &str, script: &[(&str, Does)]) -> Story {
        let story = self.play(script);
        match &story.outcome {
            WriteOutcome::Written(said, _) => assert_eq!(*said, word),
            other => panic!("{other:?}"),
        }
        story
    }

    /// As [`Case::play`], to be refused.
    fn refuses(&self, kind: &str, script: &[(&str, Does)]) -> Refusal {
        match self.play(script).outcome {
            WriteOutcome::Refused(refusal) => {
                assert_eq!(refusal.kind, kind);
                refusal
            }
            other => panic!("{other:?}"),
        }
    }

    fn skips(&self, script: &[(&str, Does)]) {
        assert_eq!(self.play(script).outcome, WriteOutcome::Skipped("missing"));
    }
}

/// A short name of a request.
fn name(task: &WriteRequest) -> String {
    match task {
        WriteRequest::Insert => "insert".to_owned(),
        WriteRequest::Update(id) if id == ID => "update".to_owned(),
        WriteRequest::Update(id) => format!("update {id}"),
        WriteRequest::Delete(_) => "delete".to_owned(),
        WriteRequest::Row(id) => {
            assert_eq!(id, ID);
            "row".to_owned()
        }
        WriteRequest::Find { field, value } => format!("{field}={value}"),
        WriteRequest::Journal { column, .. } => (*column).to_owned(),
        WriteRequest::Version(_) => "version".to_owned(),
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

fn insert(create: NewRowIdentity) -> Case {
    case(OperationKind::Insert, TargetRow::None, create)
}

fn update() -> Case {
    case(OperationKind::Update, by_id(), NewRowIdentity::None)
}
