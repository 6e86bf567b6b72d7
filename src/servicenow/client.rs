//! The client of one instance: one authenticated attempt, and reads with retries.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::Method;

use super::answer::{AnswerRows, WholeAnswer, result_of};
use super::auth::Authenticator;
use super::error::{AttemptedRequest, Error, InstanceFailure};
use super::exchange::{
    Credential, ExchangeFailure, InstanceTransport, OutgoingRequest, RequestKind, RequestPayload,
};
use super::rate_limit::{MAX_WAIT_BEFORE_SENDING, RequestLimiter};
use super::reachability::Reachability;
use super::request::{ReadRequest, target};
use super::response::{InstanceResponse, ResponseHead};
use super::shared::{ClientShared, RequestGates};
use crate::backoff::Backoff;
use crate::config;
use crate::control::PlaceOutage;
use crate::health::Health;
use crate::json_text::replace_half_pairs;
use crate::metrics::Metrics;
use crate::stop::Stop;

/// Longest pause before the first repetition, whatever `retry_backoff_seconds` says: a single failure is
/// mostly one that meets a request by chance, as when an outage begins.
const FIRST_RETRY_WITHIN: Duration = Duration::from_secs(1);
/// Makes the instance find rows of all domains (ServiceNow documentation, "Table API").
const NO_DOMAIN_PARAM: &str = "sysparm_query_no_domain=true";
/// Longest time between two attempts.
const INSTANCE_MAX_BACKOFF: Duration = Duration::from_secs(300);

/// The client of one instance. Dropping it ends its requests and its thread.
#[derive(Debug)]
pub struct InstanceClient {
    pub(super) shared: Arc<ClientShared>,
    auth: Authenticator,
    max_retries: Option<u32>,
    retry_backoff: Duration,
    query_no_domain: bool,
}

impl InstanceClient {
    /// Reads certificates and starts the token thread. The first request is made later, or by that
    /// thread.
    ///
    /// # Errors
    /// [`Error::Setup`] with words on what to change.
    pub fn start(
        config: &config::ServiceNowConfig,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Result<InstanceClient, Error> {
        let shared = Arc::new(ClientShared {
            transport: InstanceTransport::new(config, metrics)?,
            limiter: RequestLimiter::new(config.rate_limit_rps, metrics.rate_limit_wait.clone()),
            gates: RequestGates::new(metrics),
            reachability: Reachability::new(health),
            metrics: Arc::clone(metrics),
            timeout: config.timeout,
        });
        Ok(InstanceClient {
            auth: Authenticator::start(&config.auth, &shared, health)?,
            shared,
            max_retries: config.max_retries,
            retry_backoff: config.retry_backoff,
            query_no_domain: config.query_no_domain,
        })
    }

    /// Does of [`InstanceClient::start`] what needs neither a thread nor the network: reads the
    /// certificates and makes the credentials.
    ///
    /// # Errors
    /// [`Error::Setup`] with words on what to change.
    pub fn check_settings(config: &config::ServiceNowConfig) -> Result<(), Error> {
        InstanceTransport::new(config, &Arc::new(Metrics::new()))?;
        Authenticator::check_settings(&config.auth)
    }

    /// What the instance does not answer now: reads, writes, log-ins.
    pub fn outages(&self) -> impl Iterator<Item = PlaceOutage> {
        self.shared.gates.outages()
    }

    /// One authenticated attempt. It waits for the rate limit, for a pause the instance asked for,
    /// for the end of an outage and for a token, each a minute at most; a 401 brings a new token and
    /// one replay.
    ///
    /// # Errors
    /// Everything but a 200 with JSON.
    pub fn get(&self, request: &ReadRequest<'_>, stop: &Stop) -> Result<InstanceResponse, Error> {
        let asked = self.asked(request);
        let target = self.target(&request.path, &request.params);
        let out = OutgoingRequest {
            method: Method::GET,
            target: &target,
            endpoint: request.endpoint,
            credential: None,
            payload: RequestPayload::None,
            optional: request.optional,
        };
        self.attempt(&out, &asked, stop)
    }

    /// As [`InstanceClient::get`], with retries. The answer is read whole and must be a JSON object with
    /// `result` and without an error.
    ///
    /// # Errors
    /// The last error, when it is permanent or `max_retries` are used up.
    pub fn get_result(&self, request: &ReadRequest<'_>, stop: &Stop) -> Result<WholeAnswer, Error> {
        let mut backoff = self.backoff();
        loop {
            let error = match self.get_result_once(request, stop) {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            if !error.is_retryable() {
                return Err(error);
            }
            // Nothing was sent, and the wait is over: no attempt was made.
            if error.is_unsent_wait() {
                continue;
            }
            let mut delay = backoff.next(fastrand::f64());
            if error.is_held_by_client() {
                delay = Duration::ZERO;
            }
            if self
                .max_retries
                .is_some_and(|retries| retries < backoff.failures())
            {
                return Err(error);
            }
            log::debug!(error:% = error, delay_ms = delay.as_millis(); "asking again");
            if stop.wait(delay) {
                return Err(Error::Stopped);
            }
        }
    }

    /// How long one attempt may take at most, with what it waits for (see [`InstanceClient::get`]).
    pub fn max_request_time(&self) -> Duration {
        self.shared.timeout + MAX_WAIT_BEFORE_SENDING * 4
    }

    /// A fresh back-off with the configured step; the first repetition comes within a second.
    pub fn backoff(&self) -> Backoff {
        Backoff::new(
            self.retry_backoff,
            INSTANCE_MAX_BACKOFF.max(self.retry_backoff),
        )
        .with_first_within(FIRST_RETRY_WITHIN)
    }

    /// How long no request goes out because log-ins were refused.
    pub fn login_wait(&self, now: Instant) -> Duration {
        self.auth.wait(now)
    }

    /// How often a request is repeated; `None` is without end.
    pub fn max_retries(&self) -> Option<u32> {
        self.max_retries
    }

    /// The error of reading a [`super::ResponseBody`]. `what` is as in [`ReadRequest`].
    pub fn body_error(&self, error: &io::Error, what: &str) -> Error {
        let asked = AttemptedRequest {
            method: "GET",
            url: self.base_url().to_owned(),
            what: what.to_owned(),
            ..AttemptedRequest::default()
        };
        self.broken_body(&asked, error)
    }

    /// Gets a new access token in the background; false where the credentials are no tokens.
    pub fn renew_token(&self) -> bool {
        self.auth.renew_now()
    }

    /// Ends the requests that still run; they and all later ones fail with [`Error::Stopped`].
    /// A connection that is being made is not ended; it has its own bound.
    pub fn abort(&self) {
        self.shared.transport.abort();
    }

    /// Ends everything and joins the token thread. Nothing can be asked afterwards.
    pub fn shutdown(&self) {
        self.abort();
        self.auth.shutdown();
    }

    /// Scheme, host and port, without a slash at the end.
    pub fn base_url(&self) -> &str {
        self.shared.transport.base_url()
    }

    /// The instance's host name.
    pub fn host(&self) -> &str {
        self.shared.transport.host()
    }

    fn asked(&self, request: &ReadRequest<'_>) -> AttemptedRequest {
        let query = request
            .params
            .iter()
            .find(|(name, _)| *name == "sysparm_query" && !request.private);
        AttemptedRequest {
            method: "GET",
            url: format!("{}{}", self.base_url(), request.path),
            what: request.what.clone(),
            query: query.map(|(_, text)| text.clone()),
            login: false,
        }
    }

    /// Encoded path and query of a request for rows that are there, in whatever domain.
    pub(super) fn target(&self, path: &str, params: &[(&str, String)]) -> String {
        let mut target = target(path, params);
        if self.query_no_domain {
            target.push(if params.is_empty() { '?' } else { '&' });
            target.push_str(NO_DOMAIN_PARAM);
        }
        target
    }

    /// One attempt of any method, with what it means for readiness. Replaying is safe: a 401 means that
    /// nothing was executed.
    pub(super) fn attempt(
        &self,
        out: &OutgoingRequest<'_>,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<InstanceResponse, Error> {
        let _under_way = self.shared.reachability.begin(out.kind());
        let result = self.attempt_unjudged(out, asked, stop);
        if let Err(error) = &result {
            self.judge_reachability(out.kind(), error);
        }
        result
    }

    fn attempt_unjudged(
        &self,
        out: &OutgoingRequest<'_>,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<InstanceResponse, Error> {
        let (permit, credential) = self.auth.enter(asked, stop)?;
        let first = self.exchange(out, &credential, asked, stop)?;
        let (verdict, credential) = match first {
            Err(ExchangeFailure {
                cause: InstanceFailure::Unauthorized { words },
                ..
            }) => match self.auth.renew(&credential, asked, stop)? {
                Some(renewed) => (self.exchange(out, &renewed, asked, stop)?, renewed),
                None => (
                    Err(InstanceFailure::Unauthorized { words }.into()),
                    credential,
                ),
            },
            first => (first, credential),
        };
        match &verdict {
            Ok(_) => {
                self.auth.accepted(&credential);
                permit.accepted();
            }
            Err(ExchangeFailure {
                cause: InstanceFailure::Unauthorized { words },
                ..
            }) => {
                self.auth.refused(&credential);
                permit.refused(words);
            }
            // The API gives these after the login; a gateway's answer tells nothing of it.
            Err(ExchangeFailure {
                cause:
                    InstanceFailure::Forbidden { .. }
                    | InstanceFailure::NotFound { .. }
                    | InstanceFailure::BadRequest { .. },
                ..
            }) => permit.accepted(),
            Err(_) => {}
        }
        verdict.map_err(|failure| {
            let error = self.shared.transport.error(asked, failure.cause);
            error.sent_at(failure.sent).with_outage(failure.outage)
        })
    }

    /// A refused table or record is no trouble of the instance: it has answered.
    fn judge_reachability(&self, kind: RequestKind, error: &Error) {
        let reachability = &self.shared.reachability;
        if error.is_api_verdict() {
            reachability.answered(kind, Instant::now());
        } else {
            reachability.failed(kind, error, Instant::now());
        }
    }

    /// Waits for its turn and sends. The outer error is that nothing was sent.
    fn exchange(
        &self,
        out: &OutgoingRequest<'_>,
        credential: &Credential,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<Result<InstanceResponse, ExchangeFailure>, Error> {
        let out = OutgoingRequest {
            method: out.method.clone(),
            credential: Some(credential),
            ..*out
        };
        self.shared.exchange(&out, asked, stop)
    }

    /// As [`InstanceClient::get_result`], one attempt only, for callers that decide about retries.
    ///
    /// # Errors
    /// The attempt failed, or the answer is no good.
    pub fn get_result_once(
        &self,
        request: &ReadRequest<'_>,
        stop: &Stop,
    ) -> Result<WholeAnswer, Error> {
        let InstanceResponse { meta, body } = self.get(request, stop)?;
        let asked = self.asked(request);
        let mut bytes = body
            .read_all(request.max_answer_bytes)
            .map_err(|error| self.broken_body(&asked, &error))?;
        replace_half_pairs(&mut bytes);
        let result = result_of(&bytes).and_then(|result| {
            result.ok_or_else(|| InstanceFailure::Body("the answer has no `result`".to_owned()))
        });
        let result = result.map_err(|cause| self.bad_answer(&asked, cause))?;
        Ok(WholeAnswer {
            head: meta,
            result: result.to_owned(),
        })
    }

    /// As [`InstanceClient::get_result_once`], for requests for rows: those that were asked for.
    ///
    /// # Errors
    /// The attempt failed, or the answer is no good.
    pub fn get_rows_once(
        &self,
        request: &ReadRequest<'_>,
        stop: &Stop,
    ) -> Result<(AnswerRows, ResponseHead), Error> {
        let answer = self.get_result_once(request, stop)?;
        match answer.rows(request) {
            Ok(rows) => Ok((rows, answer.head)),
            Err(cause) => Err(self.bad_answer(&self.asked(request), cause)),
        }
    }

    fn broken_body(&self, asked: &AttemptedRequest, error: &io::Error) -> Error {
        self.bad_answer(asked, self.shared.transport.cause_of_read(error))
    }

    pub(super) fn bad_answer(&self, asked: &AttemptedRequest, cause: InstanceFailure) -> Error {
        let error = self.shared.transport.error(asked, cause);
        if !matches!(error, Error::Stopped) {
            self.shared
                .transport
                .count_error(asked.method, error.metric_label());
        }
        error
    }
}

impl Drop for InstanceClient {
    fn drop(&mut self) {
        self.shutdown();
    }
}
