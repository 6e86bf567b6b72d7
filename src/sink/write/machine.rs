//! Decides what to do next for one record. Pure: it is told what the instance replied and when, and
//! names the next request; [`super::requests`] makes it.
//!
//! A request whose answer was lost may have been executed, and the instance may even be working on it
//! still. Before such a request is sent again the instance is asked what it has, unless sending it
//! twice does no harm. Which request follows which reply is decided in `plan` and `replies`, what earlier attempts
//! may have done is remembered in `ambiguity`, and this file decides when: back-off, probes, and when
//! to give up.

mod ambiguity;
mod journal_entries;
mod pending;
mod plan;
mod replies;

use std::time::{Duration, Instant};

use self::pending::{PendingRequest, Transition};
use self::plan::WritePlan;
use super::classify::refusal;
use super::indeterminate::{IndeterminateWrite, IndeterminateWrites};
use super::messages::{
    Observation, PriorAttempt, ReplyInputs, WriteReply, WriteRequest, WriteRules, WriteStep,
};
use super::outcome::WriteOutcome;
use super::retry_budget::{FailureScope, RetryBudget, RetryVerdict};
use crate::servicenow::{Error, InstanceFailure, OutageSign};
use crate::sink::record::WriteOperation;

/// Pause before the next try after the client waited in vain for its turn to send.
const HELD_REQUEST_PAUSE: Duration = Duration::from_secs(1);

/// The writing of one record, from its first request to its outcome.
#[derive(Debug)]
pub(super) struct WriteMachine<'a> {
    plan: WritePlan<'a>,
    state: WriteState<'a>,
    /// No request but a probe is made before this time. It never moves back.
    earliest: Instant,
    budget: RetryBudget,
    /// After an unreadable answer the row is read at once. Should the write be repeated then, it is not
    /// before this time.
    pause_after_check: Option<Instant>,
    /// How many requests were made for this record, whether they succeeded or failed. Probes do not
    /// count, nor do requests that were put off: by a 429, or because the client let none through.
    attempts: u32,
}

/// Where the writing of a record stands.
#[derive(Debug)]
enum WriteState<'a> {
    /// This request is made as soon as it may be.
    Asking(PendingRequest<'a>),
    /// The record failed several times and no other record was answered meanwhile, so a probe asks
    /// first whether the instance works at all.
    Probing {
        /// The request that goes on after the probe.
        then: PendingRequest<'a>,
        /// The last failure, which is the reason should the record be given up.
        error: Error,
        /// The pause after that failure.
        delay: Duration,
    },
    Done(WriteOutcome),
}

impl<'a> WriteMachine<'a> {
    /// For a record that asks for `operation`. `prior`: what is known of attempts before this one.
    pub(super) fn new(
        operation: &'a WriteOperation,
        rules: &'a WriteRules,
        prior: PriorAttempt,
        budget: RetryBudget,
        now: Instant,
    ) -> WriteMachine<'a> {
        let mut machine = WriteMachine {
            plan: WritePlan::new(operation, rules, prior),
            state: WriteState::Done(WriteOutcome::Stopped),
            earliest: now,
            budget,
            pause_after_check: None,
            attempts: 0,
        };
        let first = machine.plan.first();
        machine.state = machine.enter(first);
        machine
    }

    /// What to do at `now`. `indeterminate`: writes of other records that may still be executed; what
    /// would be undone by them waits for their end.
    pub(super) fn next(
        &mut self,
        now: Instant,
        indeterminate: &IndeterminateWrites,
    ) -> WriteStep<'_> {
        match &self.state {
            WriteState::Done(outcome) => WriteStep::Done(outcome.clone()),
            WriteState::Probing { .. } => WriteStep::Send(WriteRequest::Probe),
            WriteState::Asking(request) => {
                let row = self.plan.endangered_row(request);
                let until = row.and_then(|(row, effect)| indeterminate.until(row, effect));
                self.earliest = until.map_or(self.earliest, |until| self.earliest.max(until));
                if now < self.earliest {
                    return WriteStep::Wait(self.earliest.saturating_duration_since(now));
                }
                WriteStep::Send(self.plan.send(request, now))
            }
        }
    }

    /// Takes in the result of the request that [`WriteMachine::next`] named. Gives the time since
    /// when the record fails, if this was one more failure that is waited out.
    pub(super) fn replied(
        &mut self,
        result: Result<WriteReply, Error>,
        inputs: ReplyInputs,
    ) -> Option<Instant> {
        let failed = result.as_ref().is_err_and(is_waited_out);
        // The state is moved out and each arm puts the next one in. `Stopped` stands in meanwhile: should
        // an arm ever leave it, the record is only given back, neither lost nor refused.
        let taken = std::mem::replace(&mut self.state, WriteState::Done(WriteOutcome::Stopped));
        let (state, failed) = match taken {
            WriteState::Asking(request) => (self.after_request(request, result, inputs), failed),
            WriteState::Probing { then, error, delay } => {
                let state = self.after_probe(&result, then, error, delay, inputs);
                (state, false)
            }
            done @ WriteState::Done(_) => (done, false),
        };
        self.state = state;
        failed.then(|| self.budget.since(inputs.now))
    }

    /// A write of this record that may still be executed, over what is written to its row later.
    pub(super) fn left_behind(&self) -> Option<&IndeterminateWrite> {
        self.plan.left_behind()
    }

    /// What was noticed on the way that an operator should know.
    pub(super) fn observations(&self) -> &[Observation] {
        self.plan.observations()
    }

    fn after_request(
        &mut self,
        request: PendingRequest<'a>,
        result: Result<WriteReply, Error>,
        inputs: ReplyInputs,
    ) -> WriteState<'a> {
        let error = match result {
            Ok(reply) => {
                self.attempts = self.attempts.saturating_add(1);
                let transition = self.plan.after_reply(request, reply);
                self.end_check();
                return self.enter(transition);
            }
            Err(error) => error,
        };
        match error.cause() {
            None => return WriteState::Done(WriteOutcome::Stopped),
            Some(InstanceFailure::Held { .. }) => {
                self.budget.held(inputs.now);
                self.not_before(inputs.now + HELD_REQUEST_PAUSE);
                return WriteState::Asking(request);
            }
            Some(InstanceFailure::Away { .. } | InstanceFailure::NoLogin) => {
                let verdict = self.budget.away(inputs.now);
                return self.obey(verdict, request, error, inputs.now);
            }
            // The client itself holds all requests back until the time is over.
            Some(InstanceFailure::RateLimited { .. }) => {
                self.budget.held(inputs.now);
                return WriteState::Asking(request);
            }
            Some(_) => {}
        }
        self.attempts = self.attempts.saturating_add(1);
        if !is_waited_out(&error) {
            let transition = self.plan.after_refusal(request, error);
            self.end_check();
            return self.enter(transition);
        }
        let ReplyInputs { now, random, .. } = inputs;
        let scope = scope_of(&error);
        // In an outage the client lets one request at a time through, so that no other pause is needed.
        let verdict = match error.outage() {
            OutageSign::Certain => self.budget.away(now),
            OutageSign::Suspected => self.budget.suspected(now, inputs.successes, random),
            OutageSign::None => self.budget.failed(now, inputs.successes, scope, random),
        };
        let transition = self.plan.after_failure(request, &error, inputs.ids_ignored);
        match self.enter(transition) {
            WriteState::Asking(request)
                if request.is_check() && self.pause_after_check.is_none() =>
            {
                match verdict {
                    RetryVerdict::Wait(delay) | RetryVerdict::Probe(delay) => {
                        self.pause_after_check = Some(now + delay);
                        WriteState::Asking(request)
                    }
                    RetryVerdict::GiveUp => self.obey(verdict, request, error, now),
                }
            }
            WriteState::Asking(request) => self.obey(verdict, request, error, now),
            over => over,
        }
    }

    fn end_check(&mut self) {
        if let Some(time) = self.pause_after_check.take() {
            self.not_before(time);
        }
    }

    /// The probe was answered or failed. `error` and `delay` are of the failure before it.
    fn after_probe(
        &mut self,
        result: &Result<WriteReply, Error>,
        then: PendingRequest<'a>,
        error: Error,
        delay: Duration,
        inputs: ReplyInputs,
    ) -> WriteState<'a> {
        let works = match result {
            Ok(_) => Some(true),
            Err(error) => match error.cause() {
                None => return WriteState::Done(WriteOutcome::Stopped),
                Some(
                    InstanceFailure::Held { .. }
                    | InstanceFailure::Away { .. }
                    | InstanceFailure::RateLimited { .. },
                ) => None,
                Some(_) => Some(error.is_api_verdict()),
            },
        };
        let verdict = self
            .budget
            .probed(inputs.now, inputs.successes, works, delay);
        self.obey(verdict, then, error, inputs.now)
    }

    fn obey(
        &mut self,
        verdict: RetryVerdict,
        request: PendingRequest<'a>,
        error: Error,
        now: Instant,
    ) -> WriteState<'a> {
        match verdict {
            RetryVerdict::Wait(delay) => {
                self.not_before(now + delay);
                WriteState::Asking(request)
            }
            RetryVerdict::Probe(delay) => {
                self.not_before(now + delay);
                WriteState::Probing {
                    then: request,
                    error,
                    delay,
                }
            }
            RetryVerdict::GiveUp => {
                let refusal = refusal(&error).after(self.attempts);
                WriteState::Done(WriteOutcome::Refused(refusal))
            }
        }
    }

    fn enter(&mut self, transition: Transition<'a>) -> WriteState<'a> {
        match transition {
            Transition::Ask(request) => WriteState::Asking(request),
            Transition::AskFrom(time, request) => {
                self.not_before(time);
                WriteState::Asking(request)
            }
            Transition::End(WriteOutcome::Refused(refusal)) => {
                WriteState::Done(WriteOutcome::Refused(refusal.after(self.attempts)))
            }
            Transition::End(outcome) => WriteState::Done(outcome),
        }
    }

    fn not_before(&mut self, time: Instant) {
        self.earliest = self.earliest.max(time);
    }
}

/// What a failure that may pass is about.
fn scope_of(error: &Error) -> FailureScope {
    if error.is_instance_wide() {
        FailureScope::Instance
    } else {
        FailureScope::PerhapsRecord
    }
}

/// Whether a failure may pass by itself. Everything else is the instance's final word on the record,
/// or the end of the program.
fn is_waited_out(error: &Error) -> bool {
    error.is_retryable() || error.is_instance_wide() || error.outage() != OutageSign::None
}

#[cfg(test)]
mod tests;
