//! Whether the process lives and whether it does its work.
//!
//! Liveness looks only inside: each thread promises when it will be heard of next. Readiness is a
//! list of conditions that their owners set; what is wrong is said in words. Restarting never
//! repairs the other side, so nothing remote belongs into liveness.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What a thread may be silent for between its registration and its first beat.
const FIRST_BEAT: Duration = Duration::from_secs(60);
/// Letters of a reason that are shown.
const MAX_REASON: usize = 300;
/// Reasons that are shown.
const MAX_LINES: usize = 50;

/// The health of the process; shared as `Arc<Health>`.
#[derive(Debug)]
pub struct Health {
    /// Deadlines are kept as milliseconds since this.
    epoch: Instant,
    stopping: AtomicBool,
    registered: Mutex<Registered>,
}

/// Everything that was registered, by a number that is never used twice: two tables of one name,
/// the old one still stopping, are two conditions.
#[derive(Debug, Default)]
struct Registered {
    next: u64,
    threads: BTreeMap<u64, Thread>,
    conditions: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Thread {
    name: String,
    /// Milliseconds since the epoch of [`Health`].
    deadline: Arc<AtomicU64>,
    panicked: bool,
}

/// A condition as it is kept.
#[derive(Debug)]
struct Held {
    name: String,
    state: State,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
enum State {
    Ok,
    Failing(String),
}

/// Something that went wrong at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When.
    pub at: SystemTime,
    /// What, in one line.
    pub words: String,
}

/// A condition as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// Why it fails, if it does.
    pub failing: Option<String>,
    /// What went wrong last, however long ago.
    pub trouble: Option<Trouble>,
}

/// A thread as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Its name.
    pub name: String,
    /// What is wrong with it, if anything is.
    pub wrong: Option<String>,
    /// How long it may still be silent.
    pub due_in: Duration,
}

/// What [`Health`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Nothing is wrong.
    pub ok: bool,
    /// What is wrong, one reason each; empty when `ok`.
    pub lines: Vec<String>,
}

impl Health {
    /// Without threads and conditions: alive and ready.
    #[expect(
        clippy::new_without_default,
        reason = "it takes the time; that is no default"
    )]
    pub fn new() -> Health {
        Health {
            epoch: Instant::now(),
            stopping: AtomicBool::new(false),
            registered: Mutex::default(),
        }
    }

    /// A thread that promises to beat, first within a minute. Dropping the [`Heartbeat`]
    /// deregisters it, unless the thread panics: then it counts as dead.
    pub fn thread(self: &Arc<Self>, name: &str) -> Heartbeat {
        let deadline = Arc::new(AtomicU64::new(self.millis(Instant::now() + FIRST_BEAT)));
        let thread = Thread {
            name: name.to_owned(),
            deadline: Arc::clone(&deadline),
            panicked: false,
        };
        let mut registered = self.registered();
        let id = registered.next_id();
        registered.threads.insert(id, thread);
        Heartbeat {
            health: Arc::clone(self),
            id,
            deadline,
        }
    }

    /// Something that must hold for readiness; it fails with `reason` until told otherwise.
    /// Dropping the [`Condition`] deregisters it.
    pub fn condition(self: &Arc<Self>, name: &str, reason: &str) -> Condition {
        let state = State::Failing(reason.to_owned());
        let mut registered = self.registered();
        let id = registered.next_id();
        let held = Held {
            name: name.to_owned(),
            state,
            trouble: None,
        };
        registered.conditions.insert(id, held);
        Condition {
            health: Arc::clone(self),
            id,
        }
    }

    /// Fails when a thread was silent for longer than it promised.
    pub fn liveness(&self, now: Instant) -> Report {
        let now = self.millis(now);
        let registered = self.registered();
        report(registered.threads.values().filter_map(|thread| {
            let wrong = thread.wrong(now)?;
            Some(format!("thread {}: {wrong}", thread.name))
        }))
    }

    /// All threads that promise to be heard of, in the order of their start.
    pub fn threads(&self, now: Instant) -> Vec<Life> {
        let now = self.millis(now);
        let life = |thread: &Thread| Life {
            name: thread.name.clone(),
            wrong: thread.wrong(now),
            due_in: Duration::from_millis(thread.deadline.load(Relaxed).saturating_sub(now)),
        };
        self.registered().threads.values().map(life).collect()
    }

    /// All conditions, in the order of their making.
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |held: &Held| Standing {
            name: held.name.clone(),
            failing: match &held.state {
                State::Ok => None,
                State::Failing(reason) => Some(one_line(reason)),
            },
            trouble: held.trouble.clone(),
        };
        let registered = self.registered();
        registered.conditions.values().map(standing).collect()
    }

    /// Fails while a condition fails or the process is stopping.
    pub fn readiness(&self) -> Report {
        let stopping = self.stopping.load(Relaxed).then(|| "stopping".to_owned());
        let registered = self.registered();
        let failing = registered
            .conditions
            .values()
            .filter_map(|held| match &held.state {
                State::Ok => None,
                State::Failing(reason) => Some(format!("{}: {reason}", held.name)),
            });
        report(stopping.into_iter().chain(failing))
    }

    /// Readiness fails from now on.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Relaxed);
    }

    fn registered(&self) -> MutexGuard<'_, Registered> {
        self.registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

impl Thread {
    /// What is wrong with it at `now`, in milliseconds since the epoch of [`Health`].
    fn wrong(&self, now: u64) -> Option<String> {
        if self.panicked {
            return Some("ended by a panic".to_owned());
        }
        let deadline = self.deadline.load(Relaxed);
        let late = now.checked_sub(deadline).filter(|late| 0 < *late)?;
        Some(format!("overdue for {} s", late.div_ceil(1000)))
    }
}

impl Registered {
    fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// A thread's promise to be heard of. See [`Health::thread`].
#[derive(Debug)]
pub struct Heartbeat {
    health: Arc<Health>,
    id: u64,
    deadline: Arc<AtomicU64>,
}

impl Heartbeat {
    /// "I may be silent that long from now." Cheap enough for every turn of a loop.
    pub fn beat(&self, silent_for_at_most: Duration) {
        let now = self.health.millis(Instant::now());
        let silent = u64::try_from(silent_for_at_most.as_millis()).unwrap_or(u64::MAX);
        self.deadline.store(now.saturating_add(silent), Relaxed);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let mut registered = self.health.registered();
        if std::thread::panicking() {
            if let Some(thread) = registered.threads.get_mut(&self.id) {
                thread.panicked = true;
            }
        } else {
            registered.threads.remove(&self.id);
        }
    }
}

/// Something readiness depends on. See [`Health::condition`].
#[derive(Debug)]
pub struct Condition {
    health: Arc<Health>,
    id: u64,
}

impl Condition {
    /// It holds.
    pub fn ok(&self) {
        self.set(State::Ok);
    }

    /// It does not hold; `reason` says why and what to do, without secrets and record bodies.
    pub fn fail(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.note(&reason);
        self.set(State::Failing(reason));
    }

    /// Something went wrong that is no reason to fail yet; it is remembered as the last trouble.
    pub fn note(&self, words: &str) {
        let trouble = Trouble {
            at: SystemTime::now(),
            words: one_line(words),
        };
        if let Some(held) = self.health.registered().conditions.get_mut(&self.id) {
            held.trouble = Some(trouble);
        }
    }

    /// Whether it holds.
    pub fn is_ok(&self) -> bool {
        matches!(
            self.health.registered().conditions.get(&self.id),
            Some(Held {
                state: State::Ok,
                ..
            })
        )
    }

    fn set(&self, state: State) {
        if let Some(held) = self.health.registered().conditions.get_mut(&self.id) {
            held.state = state;
        }
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.health.registered().conditions.remove(&self.id);
    }
}

/// Bounds the reasons in number and length and makes each one line.
fn report(reasons: impl Iterator<Item = String>) -> Report {
    let mut lines = Vec::new();
    let mut more = 0_usize;
    for reason in reasons {
        if lines.len() < MAX_LINES {
            lines.push(one_line(&reason));
        } else {
            more += 1;
        }
    }
    if 0 < more {
        lines.push(format!("and {more} more"));
    }
    Report {
        ok: lines.is_empty(),
        lines,
    }
}

fn one_line(reason: &str) -> String {
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut line: String = reason.chars().map(printable).take(MAX_REASON).collect();
    if reason.chars().nth(MAX_REASON).is_some() {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_thread_is_alive_as_long_as_it_promised() {
        let health = Arc::new(Health::new());
        assert!(health.liveness(Instant::now() + 1000 * SECOND).ok);
        let beat = health.thread("source:incident");
        assert!(
            health.liveness(Instant::now() + 50 * SECOND).ok,
            "before the first beat"
        );
        beat.beat(10 * SECOND);
        assert!(health.liveness(Instant::now() + 9 * SECOND).ok);
        let late = health.liveness(Instant::now() + 12 * SECOND);
        assert_eq!(late.lines, ["thread source:incident: overdue for 2 s"]);
        beat.beat(Duration::MAX);
        assert!(health.liveness(Instant::now() + 1_000_000 * SECOND).ok);
        beat.beat(SECOND);
        drop(beat);
        assert!(
            health.liveness(Instant::now() + 1000 * SECOND).ok,
            "deregistered"
        );
    }

    #[test]
    fn a_thread_that_panicked_is_dead() {
        let health = Arc::new(Health::new());
        let beat = health.thread("token");
        let thread = std::thread::Builder::new().spawn(move || {
            beat.beat(1000 * SECOND);
            panic!("on purpose");
        });
        assert!(thread.unwrap().join().is_err());
        assert_eq!(
            health.liveness(Instant::now()).lines,
            ["thread token: ended by a panic"]
        );
    }

    #[test]
    fn readiness_lists_what_fails() {
        let health = Arc::new(Health::new());
        assert!(health.readiness().ok);
        let kafka = health.condition("kafka", "no broker has answered yet");
        let table = health.condition("table incident", "not read yet");
        let twin = health.condition("table incident", "not read yet");
        assert!(!kafka.is_ok());
        kafka.ok();
        assert!(kafka.is_ok());
        table.fail("403 from\nthe instance");
        twin.ok();
        let report = health.readiness();
        assert!(!report.ok);
        assert_eq!(report.lines, ["table incident: 403 from the instance"]);
        drop(table);
        assert!(health.readiness().ok);
        health.set_stopping();
        assert_eq!(health.readiness().lines, ["stopping"]);
    }

    #[test]
    fn the_last_trouble_is_remembered() {
        let health = Arc::new(Health::new());
        let table = health.condition("table incident", "not read yet");
        let standing = || health.standings().remove(0);
        assert_eq!(standing().failing.as_deref(), Some("not read yet"));
        assert_eq!(standing().trouble, None, "to begin is no trouble");
        table.ok();
        table.note("a time-out\nof the instance");
        assert!(health.readiness().ok);
        let trouble = standing().trouble.unwrap();
        assert_eq!(trouble.words, "a time-out of the instance");
        table.fail("403");
        table.ok();
        assert_eq!(standing().failing, None);
        assert_eq!(standing().trouble.unwrap().words, "403");
    }

    #[test]
    fn threads_are_listed() {
        let health = Arc::new(Health::new());
        let beat = health.thread("token");
        beat.beat(10 * SECOND);
        let life = health.threads(Instant::now()).remove(0);
        assert_eq!((life.name.as_str(), life.wrong), ("token", None));
        assert!(8 * SECOND < life.due_in && life.due_in <= 10 * SECOND);
        let late = health.threads(Instant::now() + 11 * SECOND).remove(0);
        assert_eq!(late.wrong.as_deref(), Some("overdue for 1 s"));
        assert_eq!(late.due_in, Duration::ZERO);
    }

    #[test]
    fn the_report_is_bounded() {
        let health = Arc::new(Health::new());
        let failing: Vec<_> = (0..60)
            .map(|number| health.condition(&format!("c{number}"), &"ä".repeat(1000)))
            .collect();
        let report = health.readiness();
        assert_eq!(report.lines.len(), MAX_LINES + 1);
        assert_eq!(report.lines.last().unwrap(), "and 10 more");
        assert!(
            report
                .lines
                .iter()
                .all(|line| line.chars().count() <= MAX_REASON + 3)
        );
        drop(failing);
        assert!(health.readiness().ok);
    }
}
