//! Decisions, by tables: what is asked, what comes back, what becomes of the record.

mod inserts;
mod indeterminate;
mod rows;

use super::*;
use crate::config::OnMissing;
use crate::backoff::Backoff;
use crate::servicenow::Asked;
use crate::servicenow::table_write::Written;
use crate::sink::operation::fields_of;
use crate::sink::write::indeterminate::Harm;
use crate::sink::write::retry_budget::Limits;
use crate::sink::write::messages::Found;

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
    Says(fn() -> Cause),
}

use Does::*;

fn error(cause: Cause, sent: Option<Instant>) -> Error {
    Error::Request {
        asked: Box::new(Asked::default()),
        cause,
        sent,
    }
}

fn result(does: Does, now: Instant) -> Result<Answer, Error> {
    let timeout = Cause::Timeout {
        limit: String::new(),
        connecting: false,
    };
    let words = |words: &str| words.to_owned();
    let found = |(id, value): &(&str, &str)| Found {
        sys_id: Some(words(id)),
        value: Some(words(value)),
    };
    match does {
        Done(id) => Ok(Answer::Written(Written {
            sys_id: Some(words(id)),
            ..Written::default()
        })),
        Reads => Ok(Answer::There),
        Finds(rows) => Ok(Answer::Rows(rows.iter().map(found).collect())),
        Entry(there) => Ok(Answer::Entry(there)),
        Silent => Err(error(timeout, Some(now))),
        Breaks => Err(error(
            Cause::Server {
                status: 500,
                words: words("x"),
            },
            Some(now),
        )),
        Away => Err(error(Cause::Network(words("refused")), None)),
        Forbids(said) => Err(error(Cause::Forbidden { words: words(said) }, Some(now))),
        Misses => Err(error(
            Cause::NotFound {
                words: words("No Record found"),
            },
            Some(now),
        )),
        Says(cause) => Err(error(cause(), Some(now))),
    }
}

/// A record and its circumstances.
struct Case {
    op: Operation,
    rules: Rules,
    guarded: bool,
    suspect: bool,
    ids_ignored: bool,
    limits: Limits,
    /// What may still be done to the row of [`ID`] in the first minute.
    late: Option<Harm>,
}

fn case(kind: Kind, row: Row, create: Create) -> Case {
    Case {
        op: Operation {
            kind,
            row,
            fields: fields_of(r#"{"a":"1"}"#),
            create,
            journal: Vec::new(),
            record_time: Some(0),
        },
        rules: Rules {
            table: "incident".to_owned(),
            on_missing: OnMissing::DeadLetter,
            transaction_time: TRANSACTION,
        },
        guarded: false,
        suspect: false,
        ids_ignored: false,
        limits: Limits {
            instance: None,
            record: SECOND * 600,
        },
        late: None,
    }
}

/// How it went.
struct Story {
    outcome: Outcome,
    /// Seconds until the outcome; requests take none, back-off at most 5 milliseconds each.
    seconds: u64,
    foreign_id: bool,
    twins: bool,
    blind: bool,
    without: Vec<&'static str>,
    /// What may still be done to the row of [`ID`], and for how many seconds from the start.
    late: Option<(Harm, u64)>,
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
            true => History::Suspect { since: start },
            false => History::Fresh,
        };
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(5));
        let patience = Patience::new(self.limits, backoff, now, 0);
        let mut core = Core::new(&self.op, &self.rules, self.guarded, history, patience, now);
        let late = Late::default();
        if let Some(harm) = self.late {
            let (row, until) = (ID.to_owned(), start + TRANSACTION);
            late.note(&Lost { row, harm, until }, start);
        }
        let mut pulse = 0;
        let mut script = script.iter();
        loop {
            match core.next(now, &late) {
                Step::Wait(time) => now += time,
                Step::Do(task) => {
                    let (expected, does) = script.next().unwrap_or_else(|| {
                        panic!("not in the script: {task:?}");
                    });
                    assert_eq!(name(&task), *expected);
                    let result = result(*does, now);
                    let good = result.as_ref().map_or_else(Error::is_answer, |_| true);
                    pulse += u64::from(good);
                    let moment = Moment {
                        now,
                        pulse,
                        random: 1.0,
                        ids_ignored: self.ids_ignored,
                    };
                    core.answered(&task, result, moment);
                }
                Step::Done(outcome) => {
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
            Outcome::Written(said, _) => assert_eq!(*said, word),
            other => panic!("{other:?}"),
        }
        story
    }

    /// As [`Case::play`], to be refused.
    fn refuses(&self, kind: &str, script: &[(&str, Does)]) -> Refusal {
        match self.play(script).outcome {
            Outcome::Refused(refusal) => {
                assert_eq!(refusal.kind, kind);
                refusal
            }
            other => panic!("{other:?}"),
        }
    }

    fn skips(&self, script: &[(&str, Does)]) {
        assert_eq!(self.play(script).outcome, Outcome::Skipped("missing"));
    }
}

/// A short name of a request.
fn name(task: &Task) -> String {
    match task {
        Task::Insert => "insert".to_owned(),
        Task::Update(id) if id == ID => "update".to_owned(),
        Task::Update(id) => format!("update {id}"),
        Task::Delete(_) => "delete".to_owned(),
        Task::Row(id) => {
            assert_eq!(id, ID);
            "row".to_owned()
        }
        Task::Find { field, value } => format!("{field}={value}"),
        Task::Journal { column, .. } => (*column).to_owned(),
        Task::Version(_) => "version".to_owned(),
        Task::Probe => "probe".to_owned(),
    }
}

fn by_id() -> Row {
    Row::SysId(ID.to_owned())
}

fn by_key() -> Row {
    Row::Field {
        field: "u_key".to_owned(),
        value: "K1".to_owned(),
    }
}

fn of_record() -> Create {
    Create::Record {
        id: ID.to_owned(),
        replayed: false,
    }
}

fn of_key() -> Create {
    Create::Key(ID.to_owned())
}

fn in_field() -> Create {
    Create::Field {
        field: "u_id".to_owned(),
        value: "abc".to_owned(),
        hashed: true,
    }
}

fn insert(create: Create) -> Case {
    case(Kind::Insert, Row::None, create)
}

fn update() -> Case {
    case(Kind::Update, by_id(), Create::None)
}
