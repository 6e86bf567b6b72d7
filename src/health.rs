//! Liveness, readiness and notes of the process, as `/healthz`, `/readyz` and the status page tell
//! them.
//!
//! *Liveness* asks for a restart of the process when it fails, so only what a restart may repair
//! counts: each thread promises a heartbeat before a deadline, and a missed deadline or a panic
//! fails it. A restart repairs neither the instance nor Kafka, so nothing remote belongs here.
//!
//! *Readiness* is a list of conditions. The thread that knows about one sets it, with a reason in
//! plain words while it fails.
//!
//! A *note* is something an operator should know although the bridge works, for example that the
//! last edit of the configuration was refused.

mod condition_key;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use crate::sync::{Mutex, MutexGuard};

pub use condition_key::ConditionKey;

/// How long a thread may take from its registration to its first heartbeat.
const FIRST_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(60);
/// Characters of one reason that are shown; the rest is cut.
const MAX_REASON_CHARS: usize = 300;
/// Reasons in one report; of the others only the number is told.
const MAX_REPORTED_REASONS: usize = 50;

/// The health of the process; shared as `Arc<Health>`.
#[derive(Debug)]
pub struct Health {
    /// Deadlines are kept as milliseconds since this moment, so that they fit an atomic.
    epoch: Instant,
    stopping: AtomicBool,
    registered: Mutex<HealthEntries>,
}

/// All threads and conditions that are registered now, by a number that is never used twice.
///
/// Not by name: while a table restarts, its old threads and its new ones carry the same name, and
/// the end of the old ones must not take the entries of the new ones away.
#[derive(Debug, Default)]
struct HealthEntries {
    next: u64,
    threads: BTreeMap<u64, WatchedThread>,
    conditions: BTreeMap<u64, ConditionEntry>,
    /// Health of clients that took over after a reload; their reports are part of this one.
    attached: Vec<Weak<Health>>,
}

/// The report that a failing condition is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConditionKind {
    /// The process is not ready.
    Ready,
    /// The process is not alive.
    Vital,
    /// Neither; the reason is shown beside the readiness.
    Note,
}

#[derive(Debug)]
struct WatchedThread {
    name: String,
    /// By when the next heartbeat is due, in milliseconds since [`Health::epoch`].
    deadline: Arc<AtomicU64>,
    panicked: bool,
}

/// A condition as [`Health`] keeps it.
#[derive(Debug)]
struct ConditionEntry {
    kind: ConditionKind,
    key: ConditionKey,
    state: ConditionState,
    /// Its owner has not told anything yet.
    is_untold: bool,
    last_error: Option<LastError>,
}

/// A condition holds or fails. A reason says why it fails and what to do, without secrets and
/// record bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionState {
    /// It holds.
    Ok,
    /// It fails for this reason.
    Failing(String),
    /// It fails because one record cannot be delivered and the records behind it wait. Reports put
    /// `held: ` before the reason.
    Held(String),
}

impl ConditionState {
    /// The reason as reports show it; `None` while the condition holds.
    pub fn reason(&self) -> Option<String> {
        match self {
            ConditionState::Ok => None,
            ConditionState::Failing(reason) => Some(reason.clone()),
            ConditionState::Held(reason) => Some(format!("held: {reason}")),
        }
    }
}

/// An error that a condition met at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When it happened.
    pub at: SystemTime,
    /// The error in one line.
    pub message: String,
}

/// A condition of readiness at the moment of [`Health::conditions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionReport {
    /// The part of the bridge that it is about.
    pub key: ConditionKey,
    /// Its state; a reason is one line.
    pub state: ConditionState,
    /// Its last error, however long ago; `None` if there was none since it was registered.
    pub last_error: Option<LastError>,
}

/// A thread at the moment of [`Health::threads`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadStatus {
    /// The name that the thread was registered with.
    pub name: String,
    /// `None` while its heartbeats come in time, else what happened.
    pub problem: Option<String>,
    /// How long the thread may take until its next heartbeat; zero when that is overdue.
    pub due_in: Duration,
}

/// The answer of [`Health::liveness`] or [`Health::readiness`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// There is no reason against it.
    pub ok: bool,
    /// One line for each reason; empty when `ok`.
    pub lines: Vec<String>,
    /// Notes, one line each; they do not count against `ok`. Empty for liveness.
    pub notes: Vec<String>,
}

impl Health {
    /// No threads and no conditions: alive and ready.
    #[expect(
        clippy::new_without_default,
        reason = "it reads the clock, which a default should not"
    )]
    pub fn new() -> Health {
        Health {
            epoch: Instant::now(),
            stopping: AtomicBool::new(false),
            registered: Mutex::default(),
        }
    }

    /// Registers a thread, which must call [`Heartbeat::beat`] within a minute. Dropping the
    /// [`Heartbeat`] removes it; if the thread drops it in a panic, the thread stays and counts as
    /// dead.
    pub fn thread(self: &Arc<Self>, name: &str) -> Heartbeat {
        let deadline = Arc::new(AtomicU64::new(
            self.millis(Instant::now() + FIRST_HEARTBEAT_DEADLINE),
        ));
        let thread = WatchedThread {
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

    /// Registers something that must hold for readiness. It fails with `reason` until
    /// [`Condition::ok`]. Dropping the [`Condition`] removes it.
    pub fn condition(self: &Arc<Self>, key: ConditionKey, reason: &str) -> Condition {
        let state = ConditionState::Failing(reason.to_owned());
        self.register(ConditionKind::Ready, key, state)
    }

    /// Registers something that must hold for liveness, and holds until it is told otherwise. Only
    /// for what a restart of the process may repair.
    pub fn vital(self: &Arc<Self>, key: ConditionKey) -> Condition {
        self.register(ConditionKind::Vital, key, ConditionState::Ok)
    }

    /// Registers a note. While it fails, its reason stands beside the readiness without counting
    /// against it.
    pub fn note(self: &Arc<Self>, key: ConditionKey) -> Condition {
        self.register(ConditionKind::Note, key, ConditionState::Ok)
    }

    fn register(
        self: &Arc<Self>,
        kind: ConditionKind,
        key: ConditionKey,
        state: ConditionState,
    ) -> Condition {
        let mut registered = self.registered();
        let id = registered.next_id();
        let entry = ConditionEntry {
            kind,
            key,
            state,
            is_untold: true,
            last_error: None,
        };
        registered.conditions.insert(id, entry);
        Condition {
            health: Arc::clone(self),
            id,
        }
    }

    /// Makes the reports of `other` part of this one for as long as `other` lives. A reload tries a
    /// new client out with a health of its own and attaches it when the client takes over, so that
    /// a client that does not work never makes the running bridge unready.
    pub fn attach(&self, other: &Arc<Health>) {
        let mut registered = self.registered();
        registered.attached.retain(|it| it.strong_count() > 0);
        registered.attached.push(Arc::downgrade(other));
    }

    /// Removes the threads of this name that ended by a panic. For the owner of the thread, once it
    /// has seen to the end of the thread.
    pub fn forget_dead_thread(&self, name: &str) {
        let mut registered = self.registered();
        registered
            .threads
            .retain(|_, thread| !(thread.panicked && thread.name == name));
    }

    /// Fails when a thread has panicked or missed its deadline, or a [vital](Health::vital)
    /// condition fails.
    pub fn liveness(&self, now: Instant) -> HealthReport {
        let lines = self.attached().into_iter().map(|it| it.liveness(now).lines);
        let mut lines: Vec<String> = lines.flatten().collect();
        let now = self.millis(now);
        let registered = self.registered();
        lines.extend(registered.threads.values().filter_map(|thread| {
            let problem = thread.problem(now)?;
            Some(format!("thread {}: {problem}", thread.name))
        }));
        lines.extend(registered.failing(ConditionKind::Vital));
        report(lines, Vec::new())
    }

    /// The names of the threads that missed their deadline; those that panicked are not among them.
    pub fn overdue_threads(&self, now: Instant) -> Vec<String> {
        let now = self.millis(now);
        let registered = self.registered();
        let threads = registered.threads.values();
        let overdue = threads.filter(|it| !it.panicked && it.deadline.load(Relaxed) < now);
        overdue.map(|thread| thread.name.clone()).collect()
    }

    /// All registered threads in the order of their registration; those of attached health last.
    pub fn threads(&self, now: Instant) -> Vec<ThreadStatus> {
        let others = self.attached().into_iter().flat_map(|it| it.threads(now));
        let others: Vec<ThreadStatus> = others.collect();
        let now = self.millis(now);
        let status = |thread: &WatchedThread| ThreadStatus {
            name: thread.name.clone(),
            problem: thread.problem(now),
            due_in: Duration::from_millis(thread.deadline.load(Relaxed).saturating_sub(now)),
        };
        let registered = self.registered();
        let own = registered.threads.values().map(status);
        own.chain(others).collect()
    }

    /// All conditions of readiness in the order of their registration; those of attached health last.
    pub fn conditions(&self) -> Vec<ConditionReport> {
        let others = self.attached().into_iter().flat_map(|it| it.conditions());
        let others: Vec<ConditionReport> = others.collect();
        let report = |entry: &ConditionEntry| ConditionReport {
            key: entry.key.clone(),
            state: match &entry.state {
                ConditionState::Ok => ConditionState::Ok,
                ConditionState::Failing(reason) => ConditionState::Failing(one_line(reason)),
                ConditionState::Held(reason) => ConditionState::Held(one_line(reason)),
            },
            last_error: entry.last_error.clone(),
        };
        let registered = self.registered();
        let own = registered.conditions.values();
        let own = own.filter(|entry| entry.kind == ConditionKind::Ready);
        own.map(report).chain(others).collect()
    }

    /// Fails while a condition fails or the process is stopping.
    pub fn readiness(&self) -> HealthReport {
        let stopping = self.stopping.load(Relaxed).then(|| "stopping".to_owned());
        let mut lines: Vec<String> = stopping.into_iter().collect();
        let others = self.attached();
        lines.extend(others.into_iter().flat_map(|it| it.readiness().lines));
        let registered = self.registered();
        lines.extend(registered.failing(ConditionKind::Ready));
        report(lines, registered.failing(ConditionKind::Note).collect())
    }

    fn attached(&self) -> Vec<Arc<Health>> {
        let registered = self.registered();
        registered
            .attached
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// The stop has begun: readiness fails from now on.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Relaxed);
    }

    fn registered(&self) -> MutexGuard<'_, HealthEntries> {
        self.registered.lock()
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

impl HealthEntries {
    fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One line for each failing condition of a kind. Last are those that only wait for a first word: what
    /// they wait for is among the others.
    fn failing(&self, kind: ConditionKind) -> impl Iterator<Item = String> {
        let conditions = self.conditions.values().filter(move |it| it.kind == kind);
        let (untold, told): (Vec<_>, Vec<_>) = conditions.partition(|it| it.is_untold);
        let conditions = told.into_iter().chain(untold);
        conditions.filter_map(|it| Some(format!("{}: {}", it.key, it.state.reason()?)))
    }
}

impl WatchedThread {
    /// The reason why the thread is not alive at `now`, in milliseconds since [`Health::epoch`].
    fn problem(&self, now: u64) -> Option<String> {
        if self.panicked {
            return Some("ended by a panic".to_owned());
        }
        let late = now.checked_sub(self.deadline.load(Relaxed))?;
        let seconds = late.div_ceil(1000);
        (late > 0).then(|| format!("overdue for {seconds} s"))
    }
}

/// The promise of a thread to call [`Heartbeat::beat`] again in time. See [`Health::thread`].
#[derive(Debug)]
pub struct Heartbeat {
    health: Arc<Health>,
    id: u64,
    deadline: Arc<AtomicU64>,
}

impl Heartbeat {
    /// The next call follows within this time, or the thread counts as hanging. Cheap enough for
    /// every turn of a loop.
    pub fn beat(&self, next_within: Duration) {
        let now = self.health.millis(Instant::now());
        let next = u64::try_from(next_within.as_millis()).unwrap_or(u64::MAX);
        self.deadline.store(now.saturating_add(next), Relaxed);
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

/// The owner's end of a condition. See [`Health::condition`].
#[derive(Debug)]
pub struct Condition {
    health: Arc<Health>,
    id: u64,
}

impl Condition {
    /// It holds.
    pub fn ok(&self) {
        self.set(ConditionState::Ok);
    }

    /// It does not hold; `reason` says why and what to do, without secrets and record bodies.
    pub fn fail(&self, reason: impl Into<String>) {
        self.set_failing(ConditionState::Failing(reason.into()));
    }

    /// It does not hold because a record cannot be delivered and those behind it wait for it.
    pub fn hold(&self, reason: impl Into<String>) {
        self.set_failing(ConditionState::Held(reason.into()));
    }

    /// Remembers an error that is no reason to fail yet; the status page shows it as the last one.
    pub fn record_error(&self, message: &str) {
        let error = LastError {
            at: SystemTime::now(),
            message: one_line(message),
        };
        if let Some(entry) = self.health.registered().conditions.get_mut(&self.id) {
            entry.last_error = Some(error);
        }
    }

    /// It holds now.
    pub fn is_ok(&self) -> bool {
        let registered = self.health.registered();
        let entry = registered.conditions.get(&self.id);
        entry.is_some_and(|entry| entry.state == ConditionState::Ok)
    }

    fn set_failing(&self, state: ConditionState) {
        self.record_error(&state.reason().unwrap_or_default());
        self.set(state);
    }

    fn set(&self, state: ConditionState) {
        if let Some(entry) = self.health.registered().conditions.get_mut(&self.id) {
            entry.state = state;
            entry.is_untold = false;
        }
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.health.registered().conditions.remove(&self.id);
    }
}

fn report(reasons: Vec<String>, notes: Vec<String>) -> HealthReport {
    HealthReport {
        ok: reasons.is_empty(),
        lines: bounded(reasons),
        notes: bounded(notes),
    }
}

/// The first reasons, each cut to one line of bounded length, and the number of the others.
fn bounded(reasons: Vec<String>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut more = 0_usize;
    for reason in reasons {
        if lines.len() < MAX_REPORTED_REASONS {
            lines.push(one_line(&reason));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn one_line(reason: &str) -> String {
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut line: String = reason
        .chars()
        .map(printable)
        .take(MAX_REASON_CHARS)
        .collect();
    if reason.chars().nth(MAX_REASON_CHARS).is_some() {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests;
