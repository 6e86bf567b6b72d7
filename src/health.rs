//! Whether the process lives and whether it does its work.
//!
//! Liveness looks only inside: each thread promises when it will be heard of next. Readiness is a
//! list of conditions that their owners set; what is wrong is said in words. Restarting never
//! repairs the other side, so nothing remote belongs into liveness. A note says what somebody should
//! know although all works.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use crate::sync::{Mutex, MutexGuard};

/// What a thread may be silent for between its registration and its first beat.
const FIRST_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(60);
/// Letters of a reason that are shown.
const MAX_REASON_CHARS: usize = 300;
/// Reasons that are shown.
const MAX_REPORTED_REASONS: usize = 50;

/// The health of the process; shared as `Arc<Health>`.
#[derive(Debug)]
pub struct Health {
    /// Deadlines are kept as milliseconds since this.
    epoch: Instant,
    stopping: AtomicBool,
    registered: Mutex<HealthEntries>,
}

/// Everything that was registered, by a number that is never used twice: two tables of one name,
/// the old one still stopping, are two conditions.
#[derive(Debug, Default)]
struct HealthEntries {
    next: u64,
    threads: BTreeMap<u64, WatchedThread>,
    conditions: BTreeMap<u64, ConditionEntry>,
    /// Others whose reports are part of this one.
    attached: Vec<Weak<Health>>,
}

/// What a condition says when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConditionKind {
    /// Not ready.
    Ready,
    /// Not alive.
    Vital,
    /// Only that.
    Note,
}

#[derive(Debug)]
struct WatchedThread {
    name: String,
    /// Milliseconds since the epoch of [`Health`].
    deadline: Arc<AtomicU64>,
    panicked: bool,
}

/// A condition as it is kept.
#[derive(Debug)]
struct ConditionEntry {
    kind: ConditionKind,
    name: String,
    state: ConditionState,
    trouble: Option<LastError>,
}

#[derive(Debug)]
enum ConditionState {
    Ok,
    Failing(String),
}

/// Something that went wrong at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: SystemTime,
    /// What, in one line.
    pub message: String,
}

/// A condition as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionReport {
    /// Its name.
    pub name: String,
    /// Why it fails, if it does.
    pub failing: Option<String>,
    /// What went wrong last, however long ago.
    pub last_error: Option<LastError>,
}

/// A thread as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadStatus {
    /// Its name.
    pub name: String,
    /// What is wrong with it, if anything is.
    pub problem: Option<String>,
    /// How long it may still be silent.
    pub due_in: Duration,
}

/// What [`Health`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// Nothing is wrong.
    pub ok: bool,
    /// What is wrong, one reason each; empty when `ok`.
    pub lines: Vec<String>,
    /// What is to be known although it is no reason; of readiness only.
    pub notes: Vec<String>,
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

    /// Something that must hold for readiness; it fails with `reason` until told otherwise.
    /// Dropping the [`Condition`] deregisters it.
    pub fn condition(self: &Arc<Self>, name: &str, reason: &str) -> Condition {
        self.register(
            ConditionKind::Ready,
            name,
            ConditionState::Failing(reason.to_owned()),
        )
    }

    /// Something that must hold for liveness, which it does until told otherwise: only what a new
    /// start of the process may repair.
    pub fn vital(self: &Arc<Self>, name: &str) -> Condition {
        self.register(ConditionKind::Vital, name, ConditionState::Ok)
    }

    /// Something to know: while it fails, its reason stands beside the readiness and leaves it be.
    pub fn note(self: &Arc<Self>, name: &str) -> Condition {
        self.register(ConditionKind::Note, name, ConditionState::Ok)
    }

    fn register(
        self: &Arc<Self>,
        kind: ConditionKind,
        name: &str,
        state: ConditionState,
    ) -> Condition {
        let mut registered = self.registered();
        let id = registered.next_id();
        let held = ConditionEntry {
            kind,
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

    /// Makes the reports of `other` part of this one, as long as somebody holds it: for what is
    /// tried out before it takes over.
    pub fn attach(&self, other: &Arc<Health>) {
        let mut registered = self.registered();
        registered.attached.retain(|it| it.strong_count() > 0);
        registered.attached.push(Arc::downgrade(other));
    }

    /// Forgets threads of this name that ended by a panic: their owner has seen it.
    pub fn forget_dead_thread(&self, name: &str) {
        let mut registered = self.registered();
        registered
            .threads
            .retain(|_, thread| !(thread.panicked && thread.name == name));
    }

    /// Fails when a thread was silent for longer than it promised, or something vital is wrong.
    pub fn liveness(&self, now: Instant) -> HealthReport {
        let lines = self.attached().into_iter().map(|it| it.liveness(now).lines);
        let mut lines: Vec<String> = lines.flatten().collect();
        let now = self.millis(now);
        let registered = self.registered();
        lines.extend(registered.threads.values().filter_map(|thread| {
            let wrong = thread.wrong(now)?;
            Some(format!("thread {}: {wrong}", thread.name))
        }));
        lines.extend(registered.failing(ConditionKind::Vital));
        report(lines, Vec::new())
    }

    /// The threads that are silent for longer than they promised.
    pub fn overdue_threads(&self, now: Instant) -> Vec<String> {
        let now = self.millis(now);
        let registered = self.registered();
        let threads = registered.threads.values();
        let silent = threads.filter(|it| !it.panicked && it.deadline.load(Relaxed) < now);
        silent.map(|thread| thread.name.clone()).collect()
    }

    /// All threads that promise to be heard of, in the order of their start.
    pub fn threads(&self, now: Instant) -> Vec<ThreadStatus> {
        let others = self.attached().into_iter().flat_map(|it| it.threads(now));
        let others: Vec<ThreadStatus> = others.collect();
        let now = self.millis(now);
        let life = |thread: &WatchedThread| ThreadStatus {
            name: thread.name.clone(),
            problem: thread.wrong(now),
            due_in: Duration::from_millis(thread.deadline.load(Relaxed).saturating_sub(now)),
        };
        let registered = self.registered();
        let own = registered.threads.values().map(life);
        own.chain(others).collect()
    }

    /// All conditions of readiness, in the order of their making.
    pub fn conditions(&self) -> Vec<ConditionReport> {
        let others = self.attached().into_iter().flat_map(|it| it.conditions());
        let others: Vec<ConditionReport> = others.collect();
        let standing = |held: &ConditionEntry| ConditionReport {
            name: held.name.clone(),
            failing: match &held.state {
                ConditionState::Ok => None,
                ConditionState::Failing(reason) => Some(one_line(reason)),
            },
            last_error: held.trouble.clone(),
        };
        let registered = self.registered();
        let own = registered.conditions.values();
        let own = own
            .filter(|held| held.kind == ConditionKind::Ready)
            .map(standing);
        own.chain(others).collect()
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

    /// Readiness fails from now on.
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

    /// The reasons of what fails.
    fn failing(&self, kind: ConditionKind) -> impl Iterator<Item = String> {
        let conditions = self.conditions.values();
        conditions.filter_map(move |held| match &held.state {
            ConditionState::Failing(reason) if held.kind == kind => {
                Some(format!("{}: {reason}", held.name))
            }
            ConditionState::Failing(_) | ConditionState::Ok => None,
        })
    }
}

impl WatchedThread {
    /// What is wrong with it at `now`, in milliseconds since the epoch of [`Health`].
    fn wrong(&self, now: u64) -> Option<String> {
        if self.panicked {
            return Some("ended by a panic".to_owned());
        }
        let late = now.checked_sub(self.deadline.load(Relaxed))?;
        let seconds = late.div_ceil(1000);
        (0 < late).then(|| format!("overdue for {seconds} s"))
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
        self.set(ConditionState::Ok);
    }

    /// It does not hold; `reason` says why and what to do, without secrets and record bodies.
    pub fn fail(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.record_error(&reason);
        self.set(ConditionState::Failing(reason));
    }

    /// Something went wrong that is no reason to fail yet; it is kept as the last trouble.
    pub fn record_error(&self, words: &str) {
        let trouble = LastError {
            at: SystemTime::now(),
            message: one_line(words),
        };
        if let Some(held) = self.health.registered().conditions.get_mut(&self.id) {
            held.trouble = Some(trouble);
        }
    }

    /// Whether it holds.
    pub fn is_ok(&self) -> bool {
        matches!(
            self.health.registered().conditions.get(&self.id),
            Some(ConditionEntry {
                state: ConditionState::Ok,
                ..
            })
        )
    }

    fn set(&self, state: ConditionState) {
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

fn report(reasons: Vec<String>, notes: Vec<String>) -> HealthReport {
    HealthReport {
        ok: reasons.is_empty(),
        lines: bounded(reasons),
        notes: bounded(notes),
    }
}

/// Bounds the reasons in number and length and makes each one line.
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
    if 0 < more {
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
