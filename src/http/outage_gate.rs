//! The gate before requests of one kind to one place: they pass freely while the place answers, and wait
//! for its return, all together, while it does not. [`super::circuit_breaker`] decides, this waits.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::circuit_breaker::{
    CircuitAdmission, CircuitBreaker, FailureBlame, PassKind, ProbeSpacing, QueueTicket,
    RequesterId,
};
use crate::change_signal::ChangeSignal;
use crate::control::PlaceOutage;
use crate::metrics::{Metrics, SecondsCounter};
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

/// A place that fails and recovers in turns is told of at most this often.
const OUTAGE_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The distance between the probes of all gates that share it.
pub(crate) type SharedProbeSpacing = Arc<Mutex<ProbeSpacing>>;

/// The gate of one kind of requests, shared by the threads that make them.
#[derive(Debug)]
pub(crate) struct OutageGate {
    /// The label of metrics, as `servicenow_read`.
    place: &'static str,
    state: Mutex<GateState>,
    spacing: SharedProbeSpacing,
    outage_time: SecondsCounter,
}

#[derive(Debug)]
struct GateState {
    breaker: CircuitBreaker,
    changed: ChangeSignal,
    /// The newest failure that counts as an outage, in words.
    error: String,
    /// Up to when the time of the present outage is in the metric.
    counted_to: Option<Instant>,
    last_warning: Option<Instant>,
    /// The log has the start of the present outage.
    is_logged: bool,
}

/// Why a request was not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GateRefusal {
    /// The caller was stopped.
    Stopped,
    /// The place has not come back in time; the newest failure in words.
    Away(String),
}

/// Leave to send one request. It ends with [`GatePass::succeeded`] or [`GatePass::failed`]; one that is
/// dropped says nothing about the place.
#[derive(Debug)]
pub(crate) struct GatePass<'a> {
    gate: &'a OutageGate,
    kind: PassKind,
    sent: Instant,
    is_settled: bool,
}

impl OutageGate {
    /// Open for all. `place` is the label of metrics; its gauge is set by those who know that the client
    /// of this gate is the one in use.
    pub(crate) fn new(
        place: &'static str,
        spacing: &SharedProbeSpacing,
        metrics: &Metrics,
    ) -> OutageGate {
        metrics.outage.with(&[place]);
        OutageGate {
            place,
            state: Mutex::new(GateState {
                breaker: CircuitBreaker::default(),
                changed: ChangeSignal::new(),
                error: String::new(),
                counted_to: None,
                last_warning: None,
                is_logged: false,
            }),
            spacing: Arc::clone(spacing),
            outage_time: metrics.outage_seconds.with(&[place]),
        }
    }

    /// Waits until a request may be sent, up to `deadline`.
    pub(crate) fn enter(
        &self,
        deadline: Instant,
        stop: &Stop,
    ) -> Result<GatePass<'_>, GateRefusal> {
        let mut place_in_queue = None;
        let result = self.wait(&mut place_in_queue, deadline, stop);
        if let Some(ticket) = place_in_queue
            && result.is_err()
        {
            let mut state = self.lock();
            state.breaker.leave(ticket);
            // Another one is the first now.
            state.changed.announce();
        }
        result
    }

    /// The outage of now, if there is one.
    pub(crate) fn outage(&self) -> Option<PlaceOutage> {
        let state = self.lock();
        Some(PlaceOutage {
            place: self.place,
            since: state.breaker.open_since()?,
            error: state.error.clone(),
        })
    }

    fn wait(
        &self,
        ticket: &mut Option<QueueTicket>,
        deadline: Instant,
        stop: &Stop,
    ) -> Result<GatePass<'_>, GateRefusal> {
        loop {
            let now = Instant::now();
            let (wait, change) = {
                let mut state = self.lock();
                if ticket.is_none() && state.breaker.is_closed() {
                    return Ok(self.pass(PassKind::Free, now));
                }
                let ticket = *ticket.get_or_insert_with(|| state.breaker.join());
                let mut spacing = self.spacing.lock();
                match state
                    .breaker
                    .admit(ticket, now, &mut spacing, fastrand::f64())
                {
                    CircuitAdmission::Send(kind) => {
                        state.changed.announce();
                        return Ok(self.pass(kind, now));
                    }
                    CircuitAdmission::Wait(_) if now >= deadline => {
                        return Err(GateRefusal::Away(state.error.clone()));
                    }
                    CircuitAdmission::Wait(wait) => (wait, state.changed.waiter()),
                }
            };
            let left = deadline.saturating_duration_since(now);
            if change.wait(wait.min(left), stop) {
                return Err(GateRefusal::Stopped);
            }
        }
    }

    fn pass(&self, kind: PassKind, now: Instant) -> GatePass<'_> {
        GatePass {
            gate: self,
            kind,
            sent: now,
            is_settled: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock()
    }
}

impl GatePass<'_> {
    /// The request should go over a connection of its own, so that it tells of the place and not of an
    /// old connection.
    pub(crate) fn is_probe(&self) -> bool {
        matches!(self.kind, PassKind::Probe(_))
    }

    /// The place answered.
    pub(crate) fn succeeded(mut self) {
        self.is_settled = true;
        let now = Instant::now();
        let mut state = self.gate.lock();
        let was_closed = state.breaker.is_closed();
        let ended = state.breaker.succeeded(requester(), self.kind, now);
        if !was_closed {
            state.changed.announce();
        }
        let Some(length) = ended else {
            return;
        };
        self.gate.count_time(&mut state, now);
        state.counted_to = None;
        let is_logged = std::mem::take(&mut state.is_logged);
        drop(state);
        let waited = format!("{:.1}s", length.as_secs_f64());
        let level = if is_logged {
            log::Level::Info
        } else {
            log::Level::Debug
        };
        log::log!(level, place = self.gate.place, waited = waited;
            "it answers again: requests go on");
    }

    /// The request failed in a way that looks like an outage; `error` says how.
    pub(crate) fn failed(mut self, error: &str) -> FailureBlame {
        self.is_settled = true;
        let now = Instant::now();
        let mut state = self.gate.lock();
        let was_open = state.breaker.open_since().is_some();
        let blame = state
            .breaker
            .failed(requester(), self.kind, self.sent, now, fastrand::f64());
        state.changed.announce();
        if blame == FailureBlame::Request {
            return blame;
        }
        error.clone_into(&mut state.error);
        self.gate.count_time(&mut state, now);
        state.counted_to = Some(now);
        if was_open {
            return blame;
        }
        let is_news = state
            .last_warning
            .is_none_or(|last| now.saturating_duration_since(last) >= OUTAGE_LOG_INTERVAL);
        if is_news {
            state.last_warning = Some(now);
            state.is_logged = true;
        }
        drop(state);
        let level = if is_news {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        log::log!(level, place = self.gate.place, error = error;
            "it does not answer: requests wait, and one at a time tries");
        blame
    }
}

impl OutageGate {
    fn count_time(&self, state: &mut GateState, now: Instant) {
        if let Some(from) = state.counted_to {
            self.outage_time.add(now.saturating_duration_since(from));
        }
    }
}

impl Drop for GatePass<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            let mut state = self.gate.lock();
            state.breaker.released(self.kind);
            if !state.breaker.is_closed() {
                state.changed.announce();
            }
        }
    }
}

/// A thread makes one request at a time and stays with its table or its record.
fn requester() -> RequesterId {
    let mut hasher = DefaultHasher::new();
    thread::current().id().hash(&mut hasher);
    RequesterId(hasher.finish())
}
