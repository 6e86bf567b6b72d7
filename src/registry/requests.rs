//! Requests to the addresses of one registry: bounded, repeated, one address after another.

mod verdict;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::http::{HeaderValue, Method, Request, header};

use self::verdict::{REGISTRY_TIME_LIMITS, judge};
use super::error::{AttemptedRegistryRequest, Error, RegistryFailure};
use crate::backoff::Backoff;
use crate::config::{RegistryAuth, SchemaRegistryConfig};
use crate::control::PlaceOutage;
use crate::http::agent::{
    AgentSettings, AgentsByStop, ConnectionProfile, StoppableAgent, TimeBounds,
};
use crate::http::circuit_breaker::FailureBlame;
use crate::http::error_body::shown;
use crate::http::outage_gate::{GatePass, GateRefusal, OutageGate, SharedProbeSpacing};
use crate::http::redaction::{HiddenSecret, hide, hide_password};
use crate::http::transport_error::TransportError;
use crate::http::{self, DnsCache, encoding};
use crate::metrics::{CounterVec, Metrics};
use crate::stop::Stop;

/// Content type of requests (Confluent Schema Registry API reference, "Content Types").
const REGISTRY_CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
/// The content types that are understood. A registry that knows neither of the first two answers with
/// plain JSON.
const REGISTRY_ACCEPT: &str = "application/vnd.schemaregistry.v1+json, \
                      application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5";
/// How often a request is repeated at all addresses, before the caller decides.
const MAX_REGISTRY_RETRIES: u32 = 3;
/// The first wait before a repetition.
const REGISTRY_FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait before a repetition, where the registry does not ask for more.
const REGISTRY_MAX_BACKOFF: Duration = Duration::from_secs(2);
/// The longest wait that the registry may ask for.
const MAX_REGISTRY_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The longest wait for a registry that is away, before the caller gives a sign of life.
const REGISTRY_OUTAGE_WAIT: Duration = Duration::from_secs(10);
/// Bound on the look-up and on the connection, so that another address has its turn soon.
const REGISTRY_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The connections of one caller, which asks one address at a time and seldom.
const REGISTRY_CONNECTIONS: ConnectionProfile = ConnectionProfile {
    max_idle: 3,
    max_idle_age: Duration::from_secs(20),
    input_bytes: 128 * 1024,
    output_bytes: 128 * 1024,
};
/// A request, the same for each address.
#[derive(Debug)]
pub(super) struct RegistryRequest {
    /// HTTP method.
    pub(super) method: Method,
    /// Path below the address, encoded, with its query.
    pub(super) path: String,
    /// JSON.
    pub(super) body: Option<String>,
    /// The object of the request in the user's words.
    pub(super) what: String,
}

impl RegistryRequest {
    /// A reading request.
    pub(super) fn get(path: String, what: String) -> RegistryRequest {
        RegistryRequest {
            method: Method::GET,
            path,
            body: None,
            what,
        }
    }

    /// A request with a body. All that are used here may be repeated: registering twice gives the
    /// same id.
    pub(super) fn post(path: String, body: String, what: String) -> RegistryRequest {
        RegistryRequest {
            method: Method::POST,
            path,
            body: Some(body),
            what,
        }
    }
}

/// Why one exchange brought no usable answer.
enum RegistryExchangeFailure {
    /// The caller's `Stop` ended it.
    Stopped,
    Cause(RegistryFailure),
}

impl From<RegistryFailure> for RegistryExchangeFailure {
    fn from(cause: RegistryFailure) -> RegistryExchangeFailure {
        RegistryExchangeFailure::Cause(cause)
    }
}

/// The connections and the addresses, shared by all threads.
#[derive(Debug)]
pub(super) struct RegistryTransport {
    /// A stop ends the requests that were made for it, and only those.
    agents: AgentsByStop,
    urls: Vec<String>,
    /// Index of the address that answered last, and well.
    good: AtomicUsize,
    authorization: Option<HeaderValue>,
    /// Keeps the credential out of words.
    _hidden: Option<HiddenSecret>,
    timeout: Duration,
    /// Where requests wait while no address answers.
    gate: OutageGate,
    requests: CounterVec,
}

impl RegistryTransport {
    /// Reads certificates; no network yet.
    pub(super) fn new(
        config: &SchemaRegistryConfig,
        metrics: &Metrics,
    ) -> Result<RegistryTransport, Error> {
        if config.urls.is_empty() {
            return Err(Error::Setup("schema_registry.url: is not set".to_owned()));
        }
        Ok(RegistryTransport {
            agents: AgentsByStop::new(agent_settings(config)?, REGISTRY_CONNECTIONS),
            urls: config.urls.clone(),
            good: AtomicUsize::new(0),
            authorization: authorization(&config.auth)?,
            _hidden: hidden(&config.auth),
            timeout: config.timeout,
            gate: OutageGate::new("schema_registry", &SharedProbeSpacing::default(), metrics),
            requests: metrics.registry_requests.clone(),
        })
    }

    /// Asks until there is an answer or no use in asking. While no address answers any thread, one of
    /// them at a time asks.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        ask: &RegistryRequest,
        stop: &Stop,
    ) -> Result<T, Error> {
        let mut backoff = Backoff::new(REGISTRY_FIRST_BACKOFF, REGISTRY_MAX_BACKOFF);
        let deadline = Instant::now() + REGISTRY_OUTAGE_WAIT;
        loop {
            let pass = match self.gate.enter(deadline, stop) {
                Ok(pass) => pass,
                Err(GateRefusal::Stopped) => return Err(Error::Stopped),
                Err(GateRefusal::Away(words)) => {
                    let error = self.error(ask, RegistryFailure::Away { words });
                    return Err(error.in_outage());
                }
            };
            let error = match self.judged(self.ask_once(ask, stop), pass) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.is_retryable() || backoff.failures() >= MAX_REGISTRY_RETRIES {
                return Err(error);
            }
            let asked = error
                .cause()
                .and_then(RegistryFailure::wait)
                .unwrap_or_default();
            let mut delay = backoff.next(fastrand::f64());
            if error.is_outage() {
                delay = Duration::ZERO;
            }
            let delay = delay.max(asked.min(MAX_REGISTRY_RETRY_AFTER));
            log::debug!(error:% = error, delay_ms = delay.as_millis(); "asking the registry again");
            if stop.wait(delay) {
                return Err(Error::Stopped);
            }
        }
    }

    /// Takes in what the outcome says of the registry as a whole. It is away when no address answers;
    /// where one does, the others are only behind or broken.
    fn judged<T>(&self, result: Result<T, Error>, pass: GatePass<'_>) -> Result<T, Error> {
        let error = match result {
            Ok(answer) => {
                pass.succeeded();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let tells_nothing = error.causes().any(RegistryFailure::tells_nothing);
        if tells_nothing || matches!(error, Error::Stopped) {
            return Err(error);
        }
        if !error.causes().all(RegistryFailure::is_retryable) {
            pass.succeeded();
            return Err(error);
        }
        let words = error.cause().map(RegistryFailure::to_string);
        match pass.failed(&words.unwrap_or_default()) {
            FailureBlame::Place => Err(error.in_outage()),
            FailureBlame::Request => Err(error),
        }
    }

    /// The outage of now, if no address answers.
    pub(super) fn outage(&self) -> Option<PlaceOutage> {
        self.gate.outage()
    }

    /// How long [`RegistryTransport::ask`] may take at most.
    pub(super) fn max_request_time(&self) -> Duration {
        let urls = u32::try_from(self.urls.len()).unwrap_or(u32::MAX);
        let round = self.timeout.saturating_mul(urls);
        round.saturating_mul(MAX_REGISTRY_RETRIES + 1)
            + MAX_REGISTRY_RETRY_AFTER * MAX_REGISTRY_RETRIES
            + REGISTRY_OUTAGE_WAIT
    }

    /// Asks each address once, beginning with the one that answered last, until one gives an answer
    /// or its verdict on the schema that it was sent. Any other refusal is that of one address: a
    /// node may be behind the others, a gateway in front of it broken.
    pub(super) fn ask_once<T: DeserializeOwned>(
        &self,
        ask: &RegistryRequest,
        stop: &Stop,
    ) -> Result<T, Error> {
        let mut failed = Vec::new();
        let (head, tail) = self
            .urls
            .split_at_checked(self.good.load(Relaxed))
            .unwrap_or((&[], &self.urls));
        for url in tail.iter().chain(head) {
            match self.ask_at(url, ask, stop) {
                Ok(answer) => {
                    self.remember(url);
                    return Ok(answer);
                }
                Err(RegistryExchangeFailure::Stopped) => return Err(Error::Stopped),
                Err(RegistryExchangeFailure::Cause(cause))
                    if ask.body.is_some() && cause.is_verdict() =>
                {
                    return Err(error(ask, url, cause, failed));
                }
                Err(RegistryExchangeFailure::Cause(cause)) => failed.push((url.clone(), cause)),
            }
        }
        let ranks = failed.iter().map(|(_, cause)| cause.rank()).enumerate();
        let Some((main, _)) = ranks.min_by_key(|(_, rank)| *rank) else {
            let cause = RegistryFailure::Network("no address".to_owned());
            return Err(error(ask, "", cause, failed));
        };
        let (url, cause) = failed.remove(main);
        Err(error(ask, &url, cause, failed))
    }

    /// One request to one address, and its answer taken apart.
    fn ask_at<T: DeserializeOwned>(
        &self,
        url: &str,
        ask: &RegistryRequest,
        stop: &Stop,
    ) -> Result<T, RegistryExchangeFailure> {
        let result = self.exchange(url, ask, stop).and_then(|body| {
            // serde's words carry a position, and a value at most.
            let answer = serde_json::from_slice(&body);
            answer.map_err(|why| RegistryFailure::Body(shown(&why.to_string())).into())
        });
        let label = match &result {
            Ok(_) => "ok",
            Err(RegistryExchangeFailure::Stopped) => "stopped",
            Err(RegistryExchangeFailure::Cause(cause)) => cause.metric_label(),
        };
        self.requests.with(&[method(ask), label]).inc();
        result
    }

    /// An error of a request that was answered well.
    pub(super) fn error(&self, ask: &RegistryRequest, cause: RegistryFailure) -> Error {
        let url = self.urls.get(self.good.load(Relaxed));
        error(ask, url.map_or("", String::as_str), cause, Vec::new())
    }

    /// Index of the address that is asked first.
    #[cfg(test)]
    pub(super) fn good(&self) -> usize {
        self.good.load(Relaxed)
    }

    fn remember(&self, url: &str) {
        let index = self.urls.iter().position(|known| known == url);
        self.good.store(index.unwrap_or(0), Relaxed);
    }

    /// One request to one address. It ends with its time bounds, or with the stop.
    fn exchange(
        &self,
        base: &str,
        ask: &RegistryRequest,
        stop: &Stop,
    ) -> Result<Vec<u8>, RegistryExchangeFailure> {
        if stop.is_stopped() {
            return Err(RegistryExchangeFailure::Stopped);
        }
        let result = self
            .send(&self.agents.of(stop), base, ask)
            .map_err(|error| TransportError::of_exchange(&error, &REGISTRY_TIME_LIMITS).into())
            .and_then(judge);
        match result {
            Ok(body) => Ok(body),
            Err(_) if stop.is_stopped() => Err(RegistryExchangeFailure::Stopped),
            Err(cause) => Err(cause.into()),
        }
    }

    fn send(
        &self,
        agent: &StoppableAgent,
        base: &str,
        ask: &RegistryRequest,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(format!("{base}{}", ask.path));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        match &ask.body {
            None => agent.run(request.body(())?),
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, REGISTRY_CONTENT_TYPE);
                agent.run(request.body(body.as_str())?)
            }
        }
    }
}

/// `/subjects/{subject}`.
pub(super) fn subject_path(subject: &str) -> String {
    format!("/subjects/{}", path_step(subject))
}

/// A subject as one step of a path.
pub(super) fn path_step(subject: &str) -> String {
    let mut out = String::new();
    encoding::push_value(&mut out, subject);
    out
}

pub(super) fn subject_name(subject: &str) -> String {
    format!("subject `{subject}`")
}

fn method(ask: &RegistryRequest) -> &'static str {
    match ask.method {
        Method::POST => "POST",
        _ => "GET",
    }
}

fn error(
    ask: &RegistryRequest,
    url: &str,
    cause: RegistryFailure,
    others: Vec<(String, RegistryFailure)>,
) -> Error {
    let path = ask.path.split('?').next().unwrap_or_default();
    let asked = AttemptedRegistryRequest {
        method: method(ask),
        url: format!("{url}{path}"),
        what: ask.what.clone(),
        others,
    };
    Error::Request {
        asked: Box::new(asked),
        cause,
        outage: false,
    }
}

fn agent_settings(config: &SchemaRegistryConfig) -> Result<AgentSettings, Error> {
    let needs_tls = config.urls.iter().any(|url| url.starts_with("https:"));
    let tls = needs_tls.then(|| http::tls_config("schema_registry.tls", &config.tls));
    Ok(AgentSettings {
        accept: REGISTRY_ACCEPT,
        bounds: TimeBounds {
            total: config.timeout,
            connect: config.timeout.min(REGISTRY_CONNECT_TIMEOUT),
            silence: None,
        },
        proxy: None,
        tls: tls.transpose().map_err(Error::Setup)?,
        dns: DnsCache::default(),
    })
}

fn hidden(auth: &RegistryAuth) -> Option<HiddenSecret> {
    match auth {
        RegistryAuth::None => None,
        RegistryAuth::Basic { username, password } => {
            Some(hide_password(username, password.expose()))
        }
        RegistryAuth::Bearer { token } => Some(hide(token.expose())),
    }
}

fn authorization(auth: &RegistryAuth) -> Result<Option<HeaderValue>, Error> {
    let value = match auth {
        RegistryAuth::None => return Ok(None),
        RegistryAuth::Basic { username, password } => {
            encoding::basic_authorization(username, password.expose())
        }
        RegistryAuth::Bearer { token } => encoding::bearer_authorization(token.expose()),
    };
    let unsendable =
        "schema_registry.auth.token: must be printable ASCII, as it goes into a header";
    let value = value.ok_or_else(|| Error::Setup(unsendable.to_owned()))?;
    Ok(Some(value))
}
