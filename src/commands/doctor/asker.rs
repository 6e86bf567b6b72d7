//! Questions to the instance, until it is clear that none will be answered.

use std::time::Duration;

use crate::servicenow::query::TimeLiterals;
use crate::servicenow::{
    self, AnswerRow, AnswerRows, InstanceFailure, LimitHeaders, ReadRequest, ResponseHead,
};
use crate::source::SourceInstance;
use crate::source::time_zone::TimeZoneError;
use crate::stop::Stop;

/// What is said instead of trying once more.
pub(super) const NOT_TRIED_AFTER_REFUSED_LOGIN: &str = "not tried: the log-in was refused";
const NOT_TRIED_WITHOUT_ANSWER: &str = "not tried: the instance does not answer";
const NOT_TRIED_IN_TIME: &str = "not tried: the time for all checks together is up";

/// Asks the instance until it refuses the log-in, as each further try helps to lock the account, or does
/// not answer.
pub(super) struct InstanceAsker<'a> {
    pub(super) instance: SourceInstance,
    pub(super) stop: &'a Stop,
    /// Why nothing more is asked.
    ended: Option<&'static str>,
    /// It answered a question, or refused it in its own words.
    pub(super) is_logged_in: bool,
    /// From the answers so far.
    pub(super) requests_per_hour: Option<u64>,
    pub(super) semaphore_wait: Option<Duration>,
}

impl<'a> InstanceAsker<'a> {
    pub(super) fn new(instance: SourceInstance, stop: &'a Stop) -> InstanceAsker<'a> {
        InstanceAsker {
            instance,
            stop,
            ended: None,
            is_logged_in: false,
            requests_per_hour: None,
            semaphore_wait: None,
        }
    }

    /// The log-in was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.ended == Some(NOT_TRIED_AFTER_REFUSED_LOGIN)
    }

    /// Nothing more is asked.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Measures how times in queries are read. The outer error is one of the instance as a whole.
    pub(super) fn literals(&mut self) -> Result<Result<TimeLiterals, String>, String> {
        match self.instance.literals(self.stop) {
            Ok(literals) => {
                let literals = literals.clone();
                // A zone that is configured is not measured.
                self.is_logged_in |= self.instance.host_lead().is_some();
                Ok(Ok(literals))
            }
            Err(TimeZoneError::Request(error)) if !error.is_api_verdict() => {
                Err(self.end_for(&error))
            }
            Err(error) => {
                self.is_logged_in = true;
                Ok(Err(error.to_string()))
            }
        }
    }

    pub(super) fn ask(
        &mut self,
        get: &ReadRequest<'_>,
    ) -> Result<(AnswerRows, ResponseHead), String> {
        if let Some(why) = self.ended {
            return Err(why.to_owned());
        }
        let client = self.instance.client();
        let answer = match client.get_result(get, self.stop) {
            // Once more, so that a single slip on the way does not call for a second look.
            Err(error) if error.is_retryable() && !refuses_login(&error) => {
                client.get_result(get, self.stop)
            }
            answer => answer,
        };
        match answer {
            Ok(answer) => {
                self.is_logged_in = true;
                self.instance.observe(&answer.head);
                self.note(&answer.head.limits);
                let rows = answer.rows(get).map_err(|cause| cause.to_string())?;
                Ok((rows, answer.head))
            }
            Err(error) => {
                self.is_logged_in |= error.is_api_verdict();
                Err(self.end_for(&error))
            }
        }
    }

    /// As [`InstanceAsker::ask`], for a list.
    pub(super) fn rows(
        &mut self,
        get: &ReadRequest<'_>,
    ) -> Result<(Vec<AnswerRow>, ResponseHead), String> {
        let (found, head) = self.ask(get)?;
        if found.is_list {
            Ok((found.rows, head))
        } else {
            Err("the answer is no list".to_owned())
        }
    }

    fn note(&mut self, limits: &LimitHeaders) {
        self.requests_per_hour = limits.requests_per_hour().or(self.requests_per_hour);
        self.semaphore_wait = limits.semaphore_wait().max(self.semaphore_wait);
    }

    /// The words of an error, which may be the last one.
    fn end_for(&mut self, error: &servicenow::Error) -> String {
        if refuses_login(error) {
            self.ended = Some(NOT_TRIED_AFTER_REFUSED_LOGIN);
            return format!("the log-in was refused: {error}");
        }
        if self.stop.is_stopped() {
            self.ended = Some(NOT_TRIED_IN_TIME);
        } else if is_without_answer(error) {
            self.ended = Some(NOT_TRIED_WITHOUT_ANSWER);
        }
        format!("{error:#}")
    }
}

/// Whether the credentials are what is wrong.
fn refuses_login(error: &servicenow::Error) -> bool {
    match error {
        servicenow::Error::Request { asked, cause, .. } => match cause {
            InstanceFailure::Unauthorized { .. } | InstanceFailure::SameToken => true,
            cause => asked.login && !cause.is_retryable() && !is_about_the_way(cause),
        },
        servicenow::Error::Setup(_) | servicenow::Error::Stopped => false,
    }
}

/// What the next question would meet as well.
fn is_without_answer(error: &servicenow::Error) -> bool {
    match error.cause() {
        Some(InstanceFailure::Network(_)) => true,
        Some(InstanceFailure::Timeout { connecting, .. }) => *connecting,
        Some(cause) => is_about_the_way(cause),
        None => false,
    }
}

fn is_about_the_way(cause: &InstanceFailure) -> bool {
    matches!(
        cause,
        InstanceFailure::Tls(_)
            | InstanceFailure::NotJson { .. }
            | InstanceFailure::Redirect { .. }
            | InstanceFailure::Foreign { .. }
    )
}
