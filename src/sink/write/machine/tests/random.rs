//! The machine against the one before it: random records, random circumstances and random replies,
//! which both must answer alike.
//!
//! `BRIDGE_SEQUENCES=1000000 cargo test --lib write::machine::tests::random` runs as many sequences.
//! A sequence is named by its number, which is the seed of all that is random in it.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::oracle::{OldMachine, OldRequest, OldStep};
use super::*;

/// Sequences of an ordinary run.
const SEQUENCES: u64 = 20_000;
/// Steps after which a sequence that does not end by itself is left.
const MAX_STEPS: usize = 80;
const JOURNALS: [&str; 3] = ["work_notes", "comments", "comments_and_work_notes"];

/// What happened in all sequences, to show that nothing was left out.
#[derive(Default)]
struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture")]
fn the_machine_before_it_does_the_same() {
    let sequences = std::env::var_os("BRIDGE_SEQUENCES").map_or(SEQUENCES, |text| {
        let text = text.into_string().unwrap();
        text.parse().unwrap()
    });
    let mut coverage = Coverage::default();
    for seed in 0..sequences {
        Sequence::new(seed).run(&mut coverage);
    }
    println!("{sequences} sequences: {:#?}", coverage.0);
    for what in [
        "Insert",
        "Update",
        "Update without",
        "Delete",
        "LookUpRow",
        "FindRows",
        "SearchJournal",
        "ReadVersion",
        "Probe",
        "Wait",
        "written insert",
        "written update",
        "written delete",
        "skipped missing",
        "refused acl",
        "refused ambiguous",
        "refused ambiguous_key",
        "refused forbidden",
        "refused key_field_ignored",
        "refused not_found",
        "refused timeout",
        "stopped",
        "left behind MayModify",
        "left behind MayRecreate",
        "SysIdIgnored",
        "IdentityNotUnique",
        "JournalUnreadable",
        "waits for another record",
    ] {
        assert!(coverage.0.contains_key(what), "never seen: {what}");
    }
    assert!(!coverage.0.contains_key("refused internal"));
}

/// One record with all that happens to it.
struct Sequence {
    seed: u64,
    rng: Rng,
    case: WriteCase,
    prior: PriorAttempt,
    start: Instant,
    indeterminate: IndeterminateWrites,
    /// The causes of this sequence's failures: few of them, so that a sequence has a character.
    causes: Vec<usize>,
}

impl Sequence {
    fn new(seed: u64) -> Sequence {
        let mut rng = Rng::with_seed(seed);
        let start = Instant::now();
        let case = random_case(&mut rng);
        let prior = if rng.u8(..4) == 0 {
            let ago = Duration::from_secs(rng.u64(..90));
            PriorAttempt::Possible {
                since: start.checked_sub(ago).unwrap_or(start),
            }
        } else {
            PriorAttempt::None
        };
        let indeterminate = IndeterminateWrites::default();
        for id in [ID, OTHER] {
            if rng.u8(..4) == 0 {
                let write = IndeterminateWrite {
                    row: id.to_owned(),
                    effect: pick(&mut rng, &[LateEffect::MayModify, LateEffect::MayRecreate]),
                    until: start + Duration::from_secs(rng.u64(1..120)),
                };
                indeterminate.note(&write, start);
            }
        }
        let causes = (0..rng.usize(1..4)).map(|_| rng.usize(..CAUSES.len()));
        Sequence {
            seed,
            causes: causes.collect(),
            rng,
            case,
            prior,
            start,
            indeterminate,
        }
    }

    fn run(mut self, coverage: &mut Coverage) {
        let seed = self.seed;
        // The machines borrow the operation and the rules.
        let (op, rules) = (self.case.op.clone(), self.case.rules.clone());
        let backoff = || Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let budget = || RetryBudget::new(self.case.limits, backoff(), self.start, 0);
        let mut new = WriteMachine::new(&op, &rules, self.prior, budget(), self.start);
        let reads_version = rules.reads_version;
        let mut old = OldMachine::new(&op, &rules, reads_version, self.prior, budget(), self.start);
        let (mut now, mut successes) = (self.start, 0);
        for _ in 0..MAX_STEPS {
            let step = new.next(now, &self.indeterminate);
            let expected = old.next(now, &self.indeterminate);
            assert_eq!(plain(&step, old.without()), expected, "sequence {seed}");
            match expected {
                OldStep::Wait(time) => {
                    coverage.count("Wait");
                    if time > Duration::from_secs(60) {
                        coverage.count("waits for another record");
                    }
                    // It may be asked again too early.
                    let early = self.rng.u8(..8) == 0;
                    now += if early { time / 2 } else { time };
                }
                OldStep::Do(request) => {
                    count_request(coverage, &request, old.without());
                    now += Duration::from_millis(self.rng.u64(..20_000));
                    let result = self.reply(&request, now);
                    let good = result.as_ref().map_or_else(Error::is_api_verdict, |_| true);
                    successes += u64::from(good || self.rng.u8(..3) == 0);
                    let inputs = ReplyInputs {
                        now,
                        successes,
                        random: self.rng.f64(),
                        ids_ignored: self.case.ids_ignored,
                    };
                    let since = new.replied(result.clone(), inputs);
                    let expected = old.answered(&request, result, inputs);
                    assert_eq!(since, expected, "sequence {seed}");
                }
                OldStep::Done(outcome) => {
                    count_outcome(coverage, &outcome);
                    break;
                }
            }
        }
        assert_eq!(new.left_behind(), old.late(), "sequence {seed}");
        if let Some(write) = new.left_behind() {
            coverage.count(format!("left behind {:?}", write.effect));
        }
        let observed = |it: Observation| new.observations().contains(&it);
        let observations = [
            (Observation::SysIdIgnored, old.foreign_id()),
            (Observation::IdentityNotUnique, old.twins()),
            (Observation::JournalUnreadable, old.blind()),
        ];
        for (observation, expected) in observations {
            assert_eq!(observed(observation), expected, "sequence {seed}");
            if expected {
                coverage.count(format!("{observation:?}"));
            }
        }
    }

    /// Something that the instance may reply to a request.
    fn reply(&mut self, request: &OldRequest, now: Instant) -> Result<WriteReply, Error> {
        if self.rng.u8(..2) == 0 {
            return Err(self.failure(now));
        }
        Ok(match request {
            OldRequest::Insert | OldRequest::Update(_) | OldRequest::Delete(_) => {
                WriteReply::Written(self.row_after_write())
            }
            OldRequest::Row(_) => WriteReply::RowExists,
            OldRequest::Find { value, .. } => WriteReply::Rows(self.found_rows(value)),
            OldRequest::Journal { .. } => WriteReply::JournalRead {
                has_entry: self.rng.bool(),
            },
            OldRequest::Version(_) | OldRequest::Probe => WriteReply::Answered,
        })
    }

    fn row_after_write(&mut self) -> RowAfterWrite {
        let ids = [Some(ID), Some(ID), Some(OTHER), Some(UPPER), None];
        RowAfterWrite {
            sys_id: pick(&mut self.rng, &ids).map(str::to_owned),
            mod_count: self.rng.bool().then_some(3),
            updated_by: self.rng.bool().then(|| "bridge".to_owned()),
        }
    }

    fn found_rows(&mut self, value: &str) -> Vec<FoundRow> {
        let count = pick(&mut self.rng, &[0, 0, 1, 1, 1, 1, 2]);
        let mut rows = Vec::new();
        for _ in 0..count {
            let hidden = self.rng.u8(..12) == 0;
            let id = pick(&mut self.rng, &[ID, ID, OTHER]);
            let held = match self.rng.u8(..12) {
                0 => Some("another".to_owned()),
                1 => None,
                2 | 3 => Some(format!("{}  ", value.to_uppercase())),
                _ => Some(value.to_owned()),
            };
            rows.push(FoundRow {
                sys_id: (!hidden).then(|| id.to_owned()),
                value: held,
            });
        }
        rows
    }

    fn failure(&mut self, now: Instant) -> Error {
        if self.rng.u8(..60) == 0 {
            let setup = Error::Setup("no client".to_owned());
            return pick(&mut self.rng, &[Error::Stopped, setup]);
        }
        // Now and then another cause than those of this sequence.
        let cause = match self.rng.u8(..6) {
            0 => self.rng.usize(..CAUSES.len()),
            _ => pick(&mut self.rng, &self.causes),
        };
        let sent = match self.rng.u8(..5) {
            0 => None,
            _ => Some(
                now.checked_sub(Duration::from_secs(self.rng.u64(..10)))
                    .unwrap(),
            ),
        };
        error(CAUSES[cause](), sent)
    }
}

const UPPER: &str = "0123456789ABCDEF0123456789ABCDEF";

fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())].clone()
}

fn forbidden(words: &str) -> InstanceFailure {
    let words = words.to_owned();
    InstanceFailure::Forbidden { words }
}

fn not_found(words: &str) -> InstanceFailure {
    let words = words.to_owned();
    InstanceFailure::NotFound { words }
}

fn bad_request(status: u16, words: &str) -> InstanceFailure {
    let words = words.to_owned();
    InstanceFailure::BadRequest { status, words }
}

fn server(status: u16) -> InstanceFailure {
    let words = String::new();
    InstanceFailure::Server { status, words }
}

fn timeout(connecting: bool) -> InstanceFailure {
    let limit = String::new();
    InstanceFailure::Timeout { limit, connecting }
}

const NO_REASON: &str = "no reason given";

/// All causes, in all shapes that make a difference.
const CAUSES: &[fn() -> InstanceFailure] = &[
    || timeout(false),
    || timeout(false),
    || timeout(true),
    || InstanceFailure::Network("reset".to_owned()),
    || InstanceFailure::Tls("expired".to_owned()),
    || InstanceFailure::RateLimited {
        wait: Duration::from_secs(5),
        words: String::new(),
    },
    || InstanceFailure::Held {
        wait: Duration::from_secs(5),
    },
    || InstanceFailure::Unauthorized {
        words: String::new(),
    },
    || InstanceFailure::SameToken,
    || InstanceFailure::NoLogin,
    || forbidden("Operation Failed: ACL Exception Insert Failed"),
    || forbidden("Operation Failed: Unique Key violation detected by database"),
    || forbidden("Duplicate entry '0123456789abcdef0123456789abcdef' for key 'PRIMARY'"),
    || forbidden("Unique Key violation (Duplicate entry 'A7' for key 'u_code')"),
    || forbidden("Operation Failed: no"),
    || forbidden(NO_REASON),
    || forbidden("User Not Authorized: Failed API level ACL Validation"),
    || not_found("No Record found"),
    || not_found("No Record found"),
    || not_found(NO_REASON),
    || bad_request(400, "Invalid table x"),
    || bad_request(400, NO_REASON),
    || bad_request(409, "conflict"),
    || bad_request(413, ""),
    || InstanceFailure::Redirect {
        host: "login".to_owned(),
    },
    || InstanceFailure::NotJson {
        content_type: "text/html".to_owned(),
        hibernating: false,
    },
    || InstanceFailure::NotExecuted,
    || server(500),
    || server(503),
    || server(504),
    || InstanceFailure::Status { status: 205 },
    || InstanceFailure::TooLarge { limit: 1 },
    || InstanceFailure::Body("damaged".to_owned()),
    || InstanceFailure::Failed {
        words: String::new(),
    },
];

fn random_case(rng: &mut Rng) -> WriteCase {
    let kind = pick(rng, &OperationKind::ALL);
    let rows = [by_id(), by_key(), TargetRow::None];
    let row = match kind {
        OperationKind::Insert => pick(rng, &[by_id(), TargetRow::None, TargetRow::None]),
        _ => pick(rng, &rows[..2]),
    };
    let replayed = NewRowIdentity::Record {
        id: ID.to_owned(),
        replayed: true,
    };
    let creates = [
        of_record(),
        replayed,
        of_key(),
        NewRowIdentity::Given(ID.to_owned()),
        in_field(),
        NewRowIdentity::None,
    ];
    let mut case = case(kind, row, pick(rng, &creates));
    if rng.bool() {
        case.op.journal = JOURNALS.into_iter().filter(|_| rng.bool()).collect();
        let texts = case
            .op
            .journal
            .iter()
            .map(|column| format!(r#""{column}":"x""#));
        let mut fields: Vec<String> = texts.collect();
        if rng.bool() {
            fields.push(r#""a":"1""#.to_owned());
        }
        case.op.fields = fields_of(&format!("{{{}}}", fields.join(",")));
    }
    let on_missing = [OnMissing::DeadLetter, OnMissing::Skip, OnMissing::Insert];
    case.rules.on_missing = pick(rng, &on_missing);
    case.rules.reads_version = rng.u8(..4) == 0;
    case.ids_ignored = rng.u8(..6) == 0;
    let limits = [
        None,
        Some(Duration::ZERO),
        Some(SECOND * 60),
        Some(SECOND * 600),
    ];
    case.limits.instance = pick(rng, &limits);
    case.limits.record = pick(rng, &[Duration::ZERO, SECOND * 60, SECOND * 600]);
    case
}

/// A step of the new machine in the words of the old one. `without` is what the old one leaves out of
/// an update.
fn plain(step: &WriteStep<'_>, expected_without: &[&str]) -> OldStep {
    let request = match step {
        WriteStep::Wait(time) => return OldStep::Wait(*time),
        WriteStep::Done(outcome) => return OldStep::Done(outcome.clone()),
        WriteStep::Send(request) => *request,
    };
    OldStep::Do(match request {
        WriteRequest::Insert => OldRequest::Insert,
        WriteRequest::Update { id, without } => {
            assert_eq!(without, expected_without);
            OldRequest::Update(id.to_owned())
        }
        WriteRequest::Delete(id) => OldRequest::Delete(id.to_owned()),
        WriteRequest::LookUpRow(id) => OldRequest::Row(id.to_owned()),
        WriteRequest::FindRows { column, value } => OldRequest::Find {
            field: column.to_owned(),
            value: value.to_owned(),
        },
        WriteRequest::SearchJournal {
            id,
            column,
            first_attempt,
        } => OldRequest::Journal {
            id: id.to_owned(),
            column,
            since: first_attempt,
        },
        WriteRequest::ReadVersion(id) => OldRequest::Version(id.to_owned()),
        WriteRequest::Probe => OldRequest::Probe,
    })
}

fn count_request(coverage: &mut Coverage, request: &OldRequest, without: &[&str]) {
    coverage.count(match request {
        OldRequest::Insert => "Insert",
        OldRequest::Update(_) if without.is_empty() => "Update",
        OldRequest::Update(_) => "Update without",
        OldRequest::Delete(_) => "Delete",
        OldRequest::Row(_) => "LookUpRow",
        OldRequest::Find { .. } => "FindRows",
        OldRequest::Journal { .. } => "SearchJournal",
        OldRequest::Version(_) => "ReadVersion",
        OldRequest::Probe => "Probe",
    });
}

fn count_outcome(coverage: &mut Coverage, outcome: &WriteOutcome) {
    coverage.count(match outcome {
        WriteOutcome::Written(kind, _) => format!("written {}", kind.word()),
        WriteOutcome::Skipped(reason) => format!("skipped {}", reason.label()),
        WriteOutcome::Refused(refusal) => format!("refused {}", refusal.kind),
        WriteOutcome::Blocked(_) => "blocked".to_owned(),
        WriteOutcome::Stopped => "stopped".to_owned(),
    });
}
