//! The slot of one pipeline: starts its threads, watches them, ends them and starts them again.
//!
//! Threads that ended by themselves are started again after a pause that grows; threads that missed a
//! heartbeat are asked to end first. A slot never holds two pipelines: a thread that does not end keeps
//! its slot, as two readers of one table could send an older row behind a newer one. Nothing here waits;
//! the supervisor calls [`PipelineSlot::step`] again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::control::PipelinePhase;
use crate::health::{Condition, ConditionKey, Health};
use crate::metrics::{CounterVec, Metrics};
use crate::stop::{self, StopSignals, StopTrigger};

/// First and longest pause before threads that ended by themselves are started again.
const RESTART_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// After so many faults in a row `/healthz` fails: a new process may do better than new threads.
const RESTARTS_UNTIL_UNHEALTHY: u32 = 5;
/// After running for this long without a fault the count of faults starts anew.
const STABLE_AFTER: Duration = Duration::from_secs(300);
/// When one thread ended by itself: how long the others of its pipeline may take to finish their work.
const FAULT_END_TIMEOUT: Duration = Duration::from_secs(5);

/// The threads of a pipeline or helper, as a slot handles them.
pub(super) trait Managed {
    /// All threads have ended. Called again and again once they were asked to.
    fn is_over(&mut self) -> bool;
    /// A thread has ended although it was not asked to, or has panicked. The end of a one-shot thread
    /// that has done its work is no such fault.
    fn has_died(&mut self) -> bool;
    /// The names of the threads, as health and the kernel know them.
    fn threads(&self) -> Vec<String>;
    /// Joins the threads, all of which have ended. Returns the rows or records that were begun and not
    /// finished.
    fn join(self) -> u64;
}

/// The reason why a pipeline or helper does not start.
#[derive(Debug)]
pub(super) enum StartRefusal {
    /// For a reason that may pass, so the start is tried again.
    Later(String),
    /// For a reason that stays until an operator changes the configuration or the checkpoint.
    Never(String),
}

/// The supervisor's inputs to one step of a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepInputs<'a> {
    /// The time.
    pub(super) now: Instant,
    /// How long threads that were asked to end may take before work under way is abandoned.
    pub(super) end_timeout: Duration,
    /// A start is possible now, for example because its topics exist.
    pub(super) may_start: bool,
    /// Names of threads that missed their heartbeat.
    pub(super) overdue_threads: &'a [String],
}

/// The slot of one pipeline.
pub(super) struct PipelineSlot<W> {
    key: ConditionKey,
    state: SlotState<W>,
    wanted: bool,
    paused: bool,
    /// It is to start anew, as its configuration or a client that it uses has changed.
    outdated: bool,
    ends: Backoff,
    health: Arc<Health>,
    restarts: CounterVec,
    /// The condition or note that tells readiness why it does not run.
    told: Option<Condition>,
    vital: Option<Condition>,
}

enum SlotState<W> {
    Idle,
    Running(RunningWork<W>),
    Ending(EndingWork<W>),
    Waiting { until: Instant, why: String },
    Refused { why: String },
}

struct RunningWork<W> {
    work: W,
    /// Dropping it ends the beginning of new work.
    stop: StopTrigger,
    /// Dropping it ends the waiting for work that was begun.
    abandon: StopTrigger,
    since: Instant,
}

struct EndingWork<W> {
    work: W,
    /// Dropping it ends the waiting for work that was begun; `None` when that has happened.
    abandon: Option<StopTrigger>,
    /// When `abandon` is dropped at the latest. `None` during the stop of the process, which keeps a
    /// deadline of its own and drops it itself.
    deadline: Option<Instant>,
    /// The fault because of which it ends; `None` if it was asked to end.
    fault: Option<String>,
}

impl<W: Managed> PipelineSlot<W> {
    /// An empty slot whose threads are wanted. `key` names it to health, in the log and in metrics.
    pub(super) fn new(
        key: ConditionKey,
        health: &Arc<Health>,
        metrics: &Metrics,
    ) -> PipelineSlot<W> {
        PipelineSlot {
            key,
            state: SlotState::Idle,
            wanted: true,
            paused: false,
            outdated: false,
            ends: Backoff::new(RESTART_BACKOFF.0, RESTART_BACKOFF.1),
            health: Arc::clone(health),
            restarts: metrics.pipeline_restarts.clone(),
            told: None,
            vital: None,
        }
    }

    /// Sets whether its threads are to run at all.
    pub(super) fn want(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    /// Pauses it, or lets it go on. While it is paused its threads do not run.
    pub(super) fn pause(&mut self, paused: bool) {
        if paused == self.paused {
            return;
        }
        self.paused = paused;
        self.told = paused.then(|| pause_note(&self.health, self.key.clone()));
    }

    /// An operator has paused it.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Its configuration or a client that it uses has changed: it ends and starts again.
    pub(super) fn renew(&mut self) {
        self.outdated = true;
    }

    /// It is on its way to another state: it is to start anew, or its threads are ending.
    pub(super) fn is_changing(&self) -> bool {
        self.outdated || matches!(self.state, SlotState::Ending(_))
    }

    /// The slot has no threads and is not wanted any more, so it can be dropped.
    pub(super) fn is_gone(&self) -> bool {
        !self.wanted && matches!(self.state, SlotState::Idle)
    }

    /// The slot has no threads.
    pub(super) fn is_empty(&self) -> bool {
        !matches!(self.state, SlotState::Running(_) | SlotState::Ending(_))
    }

    /// The work, while it runs.
    pub(super) fn work(&self) -> Option<&W> {
        match &self.state {
            SlotState::Running(running) => Some(&running.work),
            _ => None,
        }
    }

    /// The reason why it does not run, if an operator has to change something first.
    pub(super) fn refusal(&self) -> Option<&str> {
        match &self.state {
            SlotState::Refused { why } => Some(why),
            _ => None,
        }
    }

    /// Its state for the status page.
    pub(super) fn phase(&self) -> PipelinePhase {
        match &self.state {
            _ if self.paused => PipelinePhase::Paused,
            SlotState::Idle | SlotState::Running(_) => PipelinePhase::Running,
            SlotState::Ending(ending) => match &ending.fault {
                Some(why) => PipelinePhase::Restarting { why: why.clone() },
                None => PipelinePhase::Running,
            },
            SlotState::Waiting { why, .. } => PipelinePhase::Restarting { why: why.clone() },
            SlotState::Refused { why } => PipelinePhase::Stopped { why: why.clone() },
        }
    }

    /// Takes one step: checks on threads that run or are ending, and starts them with `start` when that
    /// is due.
    pub(super) fn step(
        &mut self,
        inputs: StepInputs<'_>,
        start: impl FnOnce(&StopSignals) -> Result<W, StartRefusal>,
    ) {
        let run = self.wanted && !self.paused;
        self.state = match std::mem::replace(&mut self.state, SlotState::Idle) {
            SlotState::Running(running) => self.look_after(running, run, inputs),
            SlotState::Ending(ending) => self.await_end(ending, inputs.now),
            SlotState::Waiting { .. } | SlotState::Refused { .. } if !run => {
                if !self.paused {
                    self.told = None;
                }
                SlotState::Idle
            }
            SlotState::Waiting { until, .. } if until <= inputs.now && inputs.may_start => {
                self.start(inputs.now, start)
            }
            SlotState::Refused { .. } if self.outdated => SlotState::Idle,
            SlotState::Idle if run && inputs.may_start => self.start(inputs.now, start),
            state @ (SlotState::Idle | SlotState::Waiting { .. } | SlotState::Refused { .. }) => {
                // What does not run is not outdated.
                self.outdated = false;
                state
            }
        };
    }

    /// Asks the threads to end for good: to begin no new work, and with `abandon` also not to wait for
    /// work that was begun.
    pub(super) fn end(&mut self, abandon: bool) {
        self.wanted = false;
        self.state = match std::mem::replace(&mut self.state, SlotState::Idle) {
            SlotState::Running(running) => SlotState::Ending(EndingWork {
                work: running.work,
                abandon: (!abandon).then_some(running.abandon),
                deadline: None,
                fault: None,
            }),
            SlotState::Ending(mut ending) => {
                if abandon {
                    ending.abandon = None;
                }
                SlotState::Ending(ending)
            }
            _ => SlotState::Idle,
        };
    }

    /// All its threads have ended.
    pub(super) fn is_over(&mut self) -> bool {
        match &mut self.state {
            SlotState::Running(_) => false,
            SlotState::Ending(ending) => ending.work.is_over(),
            _ => true,
        }
    }

    /// Joins the threads if they have ended; returns the rows or records that were begun and not
    /// finished. A thread that has not ended is left to the end of the process and counts as one.
    pub(super) fn collect(self) -> u64 {
        match self.state {
            SlotState::Ending(mut ending) => {
                if ending.work.is_over() {
                    ending.work.join()
                } else {
                    log::error!(what:% = self.key; "a thread does not end and is left behind");
                    1
                }
            }
            _ => 0,
        }
    }

    fn look_after(
        &mut self,
        mut running: RunningWork<W>,
        run: bool,
        inputs: StepInputs<'_>,
    ) -> SlotState<W> {
        let threads = running.work.threads();
        let overdue = threads
            .iter()
            .find(|name| inputs.overdue_threads.contains(name));
        let fault = if running.work.has_died() {
            Some("a thread ended by itself; this is a bug".to_owned())
        } else {
            overdue.map(|name| format!("thread {name} is silent"))
        };
        if let Some(why) = &fault {
            log::error!(what:% = self.key, error = why; "it is started again");
            self.told = Some(self.health.condition(self.key.clone(), why));
            threads
                .iter()
                .for_each(|thread| self.health.forget_dead_thread(thread));
        }
        if fault.is_none() && run && !self.outdated {
            if inputs.now.saturating_duration_since(running.since) > STABLE_AFTER {
                self.ends.reset();
                self.vital = None;
            }
            return SlotState::Running(running);
        }
        drop(running.stop);
        let patience = if fault.is_some() {
            FAULT_END_TIMEOUT
        } else {
            inputs.end_timeout
        };
        self.await_end(
            EndingWork {
                work: running.work,
                abandon: Some(running.abandon),
                deadline: Some(inputs.now + patience),
                fault,
            },
            inputs.now,
        )
    }

    fn await_end(&mut self, mut ending: EndingWork<W>, now: Instant) -> SlotState<W> {
        if !ending.work.is_over() {
            if ending.deadline.is_some_and(|deadline| deadline <= now) {
                ending.abandon = None;
            }
            return SlotState::Ending(ending);
        }
        for thread in ending.work.threads() {
            self.health.forget_dead_thread(&thread);
        }
        let left = ending.work.join();
        if left > 0 {
            log::warn!(what:% = self.key, left = left; "ended with work that is done again");
        }
        self.outdated = false;
        match ending.fault {
            None => SlotState::Idle,
            Some(why) => self.wait(&why, now),
        }
    }

    fn wait(&mut self, why: &str, now: Instant) -> SlotState<W> {
        let pause = self.ends.next_ceiling();
        self.restarts.with(&[&self.key.to_string()]).inc();
        let failures = self.ends.failures();
        let why = format!("{why}; it starts again in {} s", pause.as_secs());
        if failures >= RESTARTS_UNTIL_UNHEALTHY {
            let vital = self
                .vital
                .get_or_insert_with(|| self.health.vital(self.key.clone()));
            vital.fail(format!("ended {failures} times in a row: {why}"));
        }
        self.told = Some(self.health.condition(self.key.clone(), &why));
        SlotState::Waiting {
            until: now + pause,
            why,
        }
    }

    fn start(
        &mut self,
        now: Instant,
        start: impl FnOnce(&StopSignals) -> Result<W, StartRefusal>,
    ) -> SlotState<W> {
        let (stop_trigger, stop) = stop::pair();
        let (abandon_trigger, abandon) = stop::pair();
        self.outdated = false;
        match start(&StopSignals { stop, abandon }) {
            Ok(work) => {
                self.told = None;
                SlotState::Running(RunningWork {
                    work,
                    stop: stop_trigger,
                    abandon: abandon_trigger,
                    since: now,
                })
            }
            Err(StartRefusal::Later(why)) => {
                log::error!(what:% = self.key, error = why; "it does not start");
                self.wait(&why, now)
            }
            Err(StartRefusal::Never(why)) => {
                log::error!(what:% = self.key, error = why; "it stays stopped until the configuration or the checkpoint is changed");
                self.told = Some(self.health.condition(self.key.clone(), &why));
                SlotState::Refused { why }
            }
        }
    }
}

/// The note that a pipeline is paused, since now: a pause is easily forgotten.
pub(super) fn pause_note(health: &Arc<Health>, key: ConditionKey) -> Condition {
    let note = health.note(key);
    let since = jiff::Timestamp::now().as_second();
    let since = jiff::Timestamp::from_second(since).unwrap_or_default();
    note.fail(format!("paused since {since}; `resume` lets it go on"));
    note
}

#[cfg(test)]
mod tests;
