//! Decides which requests go out while a place does not answer. Pure: the clock and the random number
//! are passed in; [`super::outage_gate`] waits.
//!
//! A closed breaker lets every request through. A failure that looks like an outage opens it: from then
//! on one waiting request at a time goes out as a probe, and all others wait for its outcome. The first
//! good answer lets the others follow, few at first and twice as many with each further good answer, so
//! that a place that has just come back is not run over.
//!
//! A failure is an outage only if nothing shows that the place works for others: a request that fails
//! although another one got its answer meanwhile, or between two failures of the same requester, has a
//! fault of its own.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Time from the start of an outage to the first probe: a restart of a node is over that soon.
const FIRST_PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// Longest time between two probes.
const MAX_PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// Probes under way at once, as one that is not answered must not keep the next one back. A probe lasts
/// 30 s at most by default.
const MAX_PROBES_IN_FLIGHT: u32 = 16;
/// Requests that may be under way right after the first good answer.
const FIRST_RAMP_LIMIT: u32 = 2;
/// The limit of the ramp doubles this often; then the breaker is closed.
const RAMP_STEPS: u32 = 6;
/// The limit of the ramp doubles after this time also without an answer, so that slow answers do not
/// hold the others up.
const RAMP_STEP_TIME: Duration = Duration::from_secs(1);
/// Age of an outage from which on the probes of all kinds together keep [`PROBE_SPACING`].
const SPACED_OUTAGE_AGE: Duration = Duration::from_secs(10);
/// Shortest time between two probes of any kind in a long outage.
const PROBE_SPACING: Duration = Duration::from_secs(1);
/// A requester whose fault was seen to be its own is not taken for a sign of an outage while another one was
/// answered so recently. Without that, a request that always fails would open the breaker between any two
/// answers that others get.
const OWN_FAULT_MEMORY: Duration = Duration::from_secs(5);
/// Requesters whose failures are remembered.
const MAX_REMEMBERED_REQUESTERS: usize = 4096;
/// How long a request waits before it looks again, where another one's outcome is announced.
const UNTIL_ANNOUNCED: Duration = Duration::from_secs(60);

/// A thread that makes one request at a time and repeats it: a table, a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequesterId(pub(crate) u64);

/// A place in the queue of those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueTicket(u64);

/// On which terms a request was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PassKind {
    /// The breaker was closed.
    Free,
    /// It was open, and this request finds out whether the place works; counted in the phase of this
    /// number.
    Probe(u64),
    /// The place works again; counted in the phase of this number.
    Ramp(u64),
}

/// The breaker's answer to a request that wants to go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircuitAdmission {
    /// It goes out.
    Send(PassKind),
    /// It waits for this time, or for a change.
    Wait(Duration),
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureBlame {
    /// The request's own: others are answered.
    Request,
    /// The place's: no request is answered.
    Place,
}

/// The breaker of one kind of requests to one place.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    state: CircuitState,
    last_success: Option<Instant>,
    /// The last failure of each requester that has not succeeded since.
    failures: BTreeMap<RequesterId, LastFailure>,
    queue: VecDeque<QueueTicket>,
    tickets: u64,
    /// How often the state became another one: the number of the present phase. A probe or a request of a
    /// ramp that ends in a later phase than its own is neither counted there nor tells of it.
    phase: u64,
}

#[derive(Debug, Clone, Copy)]
struct LastFailure {
    at: Instant,
    /// This one or one before was the requester's own fault.
    is_own_fault: bool,
}

#[derive(Debug, Default)]
enum CircuitState {
    #[default]
    Closed,
    Open(OpenCircuit),
    Ramp(RampUp),
}

#[derive(Debug)]
struct OpenCircuit {
    since: Instant,
    next_probe: Instant,
    probes_sent: u32,
    probes_in_flight: u32,
}

#[derive(Debug)]
struct RampUp {
    began: Instant,
    /// When the outage before it began.
    outage_since: Instant,
    in_flight: u32,
    successes: u32,
}

/// The last probe of any kind, as all breakers of a process keep a distance in a long outage.
#[derive(Debug, Default)]
pub(crate) struct ProbeSpacing {
    last_probe: Option<Instant>,
}

impl ProbeSpacing {
    fn earliest(&self, outage_since: Instant, now: Instant) -> Instant {
        let is_long = now.saturating_duration_since(outage_since) >= SPACED_OUTAGE_AGE;
        match self.last_probe {
            Some(last) if is_long => last + PROBE_SPACING,
            _ => now,
        }
    }
}

impl CircuitBreaker {
    /// No request has to wait.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, CircuitState::Closed)
    }

    /// Since when requests wait for the end of an outage.
    pub(crate) fn open_since(&self) -> Option<Instant> {
        match &self.state {
            CircuitState::Open(open) => Some(open.since),
            CircuitState::Closed | CircuitState::Ramp(_) => None,
        }
    }

    /// Takes a place at the end of the queue, to be given to [`CircuitBreaker::admit`] until that says
    /// `Send`, or to [`CircuitBreaker::leave`].
    pub(crate) fn join(&mut self) -> QueueTicket {
        self.tickets += 1;
        let ticket = QueueTicket(self.tickets);
        self.queue.push_back(ticket);
        ticket
    }

    /// Gives a place in the queue up.
    pub(crate) fn leave(&mut self, ticket: QueueTicket) {
        self.queue.retain(|waiting| *waiting != ticket);
    }

    /// Whether the request with this ticket may go out. `random` is in `0.0..1.0`.
    pub(crate) fn admit(
        &mut self,
        ticket: QueueTicket,
        now: Instant,
        spacing: &mut ProbeSpacing,
        random: f64,
    ) -> CircuitAdmission {
        let is_first = self.queue.front() == Some(&ticket);
        let admission = match &mut self.state {
            CircuitState::Closed => CircuitAdmission::Send(PassKind::Free),
            _ if !is_first => CircuitAdmission::Wait(UNTIL_ANNOUNCED),
            CircuitState::Open(open) => open.admit(now, self.phase, spacing, random),
            CircuitState::Ramp(ramp) => ramp.admit(now, self.phase),
        };
        if matches!(admission, CircuitAdmission::Send(_)) {
            self.leave(ticket);
        }
        if let CircuitState::Ramp(ramp) = &self.state
            && ramp.is_over(now)
        {
            self.enter(CircuitState::Closed);
        }
        admission
    }

    /// The place gave a good answer. Gives the length of the outage that this ends.
    pub(crate) fn succeeded(
        &mut self,
        requester: RequesterId,
        pass: PassKind,
        now: Instant,
    ) -> Option<Duration> {
        self.failures.remove(&requester);
        self.released(pass);
        match &mut self.state {
            CircuitState::Closed => {}
            // It went out before the outage began, and says nothing about the time since.
            CircuitState::Open(_) if pass != PassKind::Probe(self.phase) => return None,
            CircuitState::Open(open) => {
                let since = open.since;
                self.last_success = Some(now);
                self.enter(CircuitState::Ramp(RampUp {
                    began: now,
                    outage_since: since,
                    in_flight: 0,
                    successes: 0,
                }));
                return Some(now.saturating_duration_since(since));
            }
            // A late answer of a probe, or of what went out before the outage, opens the ramp no wider.
            CircuitState::Ramp(_) if pass != PassKind::Ramp(self.phase) => {}
            CircuitState::Ramp(ramp) => {
                ramp.successes += 1;
                if ramp.is_over(now) {
                    self.enter(CircuitState::Closed);
                }
            }
        }
        self.last_success = Some(now);
        None
    }

    fn enter(&mut self, state: CircuitState) {
        self.state = state;
        self.phase += 1;
    }

    /// A request that went out at `sent` failed in a way that looks like an outage.
    pub(crate) fn failed(
        &mut self,
        requester: RequesterId,
        pass: PassKind,
        sent: Instant,
        now: Instant,
        random: f64,
    ) -> FailureBlame {
        self.released(pass);
        let before = self.failures.get(&requester).copied();
        let is_own_fault = self.is_own_fault(before, sent, now);
        let failure = LastFailure {
            at: now,
            is_own_fault: is_own_fault || before.is_some_and(|it| it.is_own_fault),
        };
        self.failures.insert(requester, failure);
        if self.failures.len() > MAX_REMEMBERED_REQUESTERS {
            self.failures.clear();
        }
        if is_own_fault {
            return FailureBlame::Request;
        }
        let since = match &self.state {
            CircuitState::Open(_) => return FailureBlame::Place,
            CircuitState::Closed => now,
            CircuitState::Ramp(ramp) => ramp.outage_since,
        };
        self.enter(CircuitState::Open(OpenCircuit {
            since,
            next_probe: now + jittered(FIRST_PROBE_INTERVAL, random),
            probes_sent: 0,
            probes_in_flight: 0,
        }));
        FailureBlame::Place
    }

    /// Whether others were answered while this requester failed.
    fn is_own_fault(&self, before: Option<LastFailure>, sent: Instant, now: Instant) -> bool {
        let Some(success) = self.last_success else {
            return false;
        };
        let since = before.map_or(sent, |it| it.at.min(sent));
        let is_recent = now.saturating_duration_since(success) < OWN_FAULT_MEMORY;
        success > since || (is_recent && before.is_some_and(|it| it.is_own_fault))
    }

    /// A request ended, or was not sent after all, and its outcome says nothing about the place.
    pub(crate) fn released(&mut self, pass: PassKind) {
        match (&mut self.state, pass) {
            (CircuitState::Open(open), PassKind::Probe(phase)) if phase == self.phase => {
                open.probes_in_flight = open.probes_in_flight.saturating_sub(1);
            }
            (CircuitState::Ramp(ramp), PassKind::Ramp(phase)) if phase == self.phase => {
                ramp.in_flight = ramp.in_flight.saturating_sub(1);
            }
            _ => {}
        }
    }
}

impl OpenCircuit {
    fn admit(
        &mut self,
        now: Instant,
        phase: u64,
        spacing: &mut ProbeSpacing,
        random: f64,
    ) -> CircuitAdmission {
        if self.probes_in_flight >= MAX_PROBES_IN_FLIGHT {
            return CircuitAdmission::Wait(UNTIL_ANNOUNCED);
        }
        let at = self.next_probe.max(spacing.earliest(self.since, now));
        if now < at {
            return CircuitAdmission::Wait(at.saturating_duration_since(now));
        }
        spacing.last_probe = Some(now);
        self.probes_sent = self.probes_sent.saturating_add(1);
        self.probes_in_flight += 1;
        // From its start, not from its end: a probe that is not answered holds no other one up.
        let interval = FIRST_PROBE_INTERVAL * (1 << self.probes_sent.min(8));
        self.next_probe = now + jittered(interval.min(MAX_PROBE_INTERVAL), random);
        CircuitAdmission::Send(PassKind::Probe(phase))
    }
}

impl RampUp {
    fn admit(&mut self, now: Instant, phase: u64) -> CircuitAdmission {
        if self.in_flight < FIRST_RAMP_LIMIT << self.step(now) {
            self.in_flight += 1;
            return CircuitAdmission::Send(PassKind::Ramp(phase));
        }
        CircuitAdmission::Wait(RAMP_STEP_TIME)
    }

    /// How often the limit has doubled.
    fn step(&self, now: Instant) -> u32 {
        let by_time =
            now.saturating_duration_since(self.began).as_secs() / RAMP_STEP_TIME.as_secs();
        let by_time = u32::try_from(by_time).unwrap_or(RAMP_STEPS);
        self.successes.saturating_add(by_time).min(RAMP_STEPS)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.step(now) >= RAMP_STEPS
    }
}

/// Between three quarters of the time and all of it, so that many processes do not probe together.
fn jittered(time: Duration, random: f64) -> Duration {
    time.mul_f64(0.75 + 0.25 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
