//! HTTP exchanges with the addresses of one registry: bounded, repeated, one address after another.

mod cause;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{bounded, select};
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::{HeaderValue, Method, Request, header};
use ureq::unversioned::transport::DefaultConnector;

use self::cause::{MAX_RESPONSE_HEAD_BYTES, judge};
use super::error::{AttemptedRegistryRequest, Error, RegistryFailure};
use crate::backoff::Backoff;
use crate::config::{RegistryAuth, SchemaRegistryConfig};
use crate::metrics::{CounterVec, Metrics};
use crate::servicenow::dns_cache::DnsCache;
use crate::servicenow::{encoding, shown, tls};
use crate::stop::Stop;

/// Content type of requests (Confluent Schema Registry API reference, "Content Types").
const REGISTRY_CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
/// What answers may be. A registry that knows none of the first two says plain JSON.
const REGISTRY_ACCEPT: &str = "application/vnd.schemaregistry.v1+json, \
                      application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5";
/// How often a request is repeated at all addresses, before the caller decides.
const MAX_REGISTRY_RETRIES: u32 = 3;
/// The first wait before that.
const REGISTRY_FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// Longest wait before that of our own choice.
const REGISTRY_MAX_BACKOFF: Duration = Duration::from_secs(2);
/// Longest wait that the registry may ask for.
const MAX_REGISTRY_RETRY_AFTER: Duration = Duration::from_secs(30);
/// Bound on look-up, connect and TLS, so that another address has its turn soon.
const REGISTRY_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a request may take beyond its time-out before its thread is given up.
const REGISTRY_TIMEOUT_GRACE: Duration = Duration::from_secs(2);
/// How long an unused connection is kept.
const REGISTRY_MAX_IDLE_AGE: Duration = Duration::from_secs(20);

/// A request, the same for each address.
#[derive(Debug)]
pub(super) struct RegistryRequest {
    /// HTTP method.
    pub(super) method: Method,
    /// Path below the address, encoded, with its query.
    pub(super) path: String,
    /// JSON.
    pub(super) body: Option<String>,
    /// What is asked, in the user's words.
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

/// Why one exchange brought nothing.
enum RegistryExchangeFailure {
    Stopped,
    Cause(RegistryFailure),
}

impl From<RegistryFailure> for RegistryExchangeFailure {
    fn from(cause: RegistryFailure) -> RegistryExchangeFailure {
        RegistryExchangeFailure::Cause(cause)
    }
}

/// The agent and the addresses, shared by all threads.
#[derive(Debug)]
pub(super) struct RegistryTransport {
    agent: Agent,
    urls: Vec<String>,
    /// Index of the address that answered last, and well.
    good: AtomicUsize,
    authorization: Option<HeaderValue>,
    timeout: Duration,
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
            agent: agent(config)?,
            urls: config.urls.clone(),
            good: AtomicUsize::new(0),
            authorization: authorization(&config.auth)?,
            timeout: config.timeout,
            requests: metrics.registry_requests.clone(),
        })
    }

    /// Asks until there is an answer or no use in asking.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        ask: &RegistryRequest,
        stop: &Stop,
    ) -> Result<T, Error> {
        let mut backoff = Backoff::new(REGISTRY_FIRST_BACKOFF, REGISTRY_MAX_BACKOFF);
        loop {
            let error = match self.ask_once(ask, stop) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.is_retryable() || MAX_REGISTRY_RETRIES <= backoff.failures() {
                return Err(error);
            }
            let asked = error
                .cause()
                .and_then(RegistryFailure::wait)
                .unwrap_or_default();
            let delay = backoff
                .next(fastrand::f64())
                .max(asked.min(MAX_REGISTRY_RETRY_AFTER));
            log::debug!(error:% = error, delay_ms = delay.as_millis(); "asking the registry again");
            if stop.wait(delay) {
                return Err(Error::Stopped);
            }
        }
    }

    /// How long [`RegistryTransport::ask`] may take at most.
    pub(super) fn patience(&self) -> Duration {
        let urls = u32::try_from(self.urls.len()).unwrap_or(u32::MAX);
        let round = (self.timeout + REGISTRY_TIMEOUT_GRACE).saturating_mul(urls);
        round.saturating_mul(MAX_REGISTRY_RETRIES + 1)
            + MAX_REGISTRY_RETRY_AFTER * MAX_REGISTRY_RETRIES
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

    /// One request to one address, on a thread of its own: nothing else ends a wait for a
    /// connection or an answer early. The thread ends with the request's own time-out at the latest.
    fn exchange(
        &self,
        base: &str,
        ask: &RegistryRequest,
        stop: &Stop,
    ) -> Result<Vec<u8>, RegistryExchangeFailure> {
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(format!("{base}{}", ask.path));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        let agent = self.agent.clone();
        let body = ask.body.clone();
        let run = move || match body {
            None => judge(agent.run(request.body(()).map_err(ureq::Error::from)?)?),
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, REGISTRY_CONTENT_TYPE);
                judge(agent.run(request.body(body).map_err(ureq::Error::from)?)?)
            }
        };
        let (done, answer) = bounded(1);
        let thread = thread::Builder::new()
            .name("registry".into())
            .spawn(move || drop(done.send(run())));
        thread.map_err(|why| RegistryFailure::Network(format!("cannot start a thread: {why}")))?;
        select! {
            recv(answer) -> verdict => match verdict {
                Ok(verdict) => Ok(verdict?),
                Err(_) => Err(RegistryFailure::Body("the request ended in a panic".to_owned()).into()),
            },
            recv(stop.receiver()) -> _ => Err(RegistryExchangeFailure::Stopped),
            default(self.timeout + REGISTRY_TIMEOUT_GRACE) => {
                Err(RegistryFailure::Timeout("no answer at all".to_owned()).into())
            }
        }
    }
}

impl Drop for RegistryTransport {
    /// Ends what nobody waits for any more.
    fn drop(&mut self) {
        self.agent.clone().shutdown();
    }
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
    }
}

fn agent(config: &SchemaRegistryConfig) -> Result<Agent, Error> {
    let mut builder = Agent::config_builder()
        // ureq's default comes from the environment.
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!(
            "servicenow-kafka-bridge/",
            env!("CARGO_PKG_VERSION")
        ))
        .accept(REGISTRY_ACCEPT)
        .timeout_global(Some(config.timeout))
        .timeout_resolve(Some(config.timeout.min(REGISTRY_CONNECT_TIMEOUT)))
        .timeout_connect(Some(config.timeout.min(REGISTRY_CONNECT_TIMEOUT)))
        .max_response_header_size(MAX_RESPONSE_HEAD_BYTES)
        .max_idle_age(REGISTRY_MAX_IDLE_AGE);
    if config.urls.iter().any(|url| url.starts_with("https:")) {
        let tls = tls::tls_config("schema_registry.tls", &config.tls).map_err(Error::Setup)?;
        builder = builder.tls_config(tls);
    }
    Ok(Agent::with_parts(
        builder.build(),
        DefaultConnector::new(),
        DnsCache::default(),
    ))
}

fn authorization(auth: &RegistryAuth) -> Result<Option<HeaderValue>, Error> {
    let text = match auth {
        RegistryAuth::None => return Ok(None),
        RegistryAuth::Basic { username, password } => {
            let pair = zeroize::Zeroizing::new(format!("{username}:{}", password.expose()));
            format!("Basic {}", encoding::base64(pair.as_bytes()))
        }
        RegistryAuth::Bearer { token } => format!("Bearer {}", token.expose()),
    };
    let text = zeroize::Zeroizing::new(text);
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        Error::Setup(
            "schema_registry.auth.token: must be printable ASCII, as it goes into a header"
                .to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}
