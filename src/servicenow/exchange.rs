//! One HTTP exchange with the instance: what is sent, within which bounds, and what the answer means.

mod configured_headers;
mod payload;

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::SendBody;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

pub(super) use self::payload::RequestPayload;

use self::configured_headers::{header_map, hidden_secrets};
use self::payload::TrackedBody;
use super::error::failure::Availability;
use super::error::{AttemptedRequest, Error, InstanceFailure, OutageSign};
use super::response::{InstanceResponse, LimitHeaders, ResponseBody, ResponseHead};
use crate::config;
use crate::http::agent::{AgentSettings, ConnectionProfile, StoppableAgent, TimeBounds};
use crate::http::error_body::{self, error_words, is_api_error, shown};
use crate::http::headers::{self, header_text};
use crate::http::redaction::HiddenSecret;
use crate::http::transport_error::{TimeLimitWords, TransportError};
use crate::http::{self, DnsCache};
use crate::metrics::Metrics;
use crate::stop::{self, Stop, StopTrigger};
use crate::sync::Mutex;

/// How long an unused connection is kept: longer than the slow poll interval of 30 s, as a TLS
/// handshake for each poll costs both sides. ServiceNow announces 20 s or 70 s; ureq looks whether the
/// other side has closed a connection before it uses it again.
const INSTANCE_MAX_IDLE_AGE: Duration = Duration::from_secs(50);
/// For pages. About as many connections are kept as threads ask at once.
const READ_CONNECTIONS: ConnectionProfile = ConnectionProfile {
    max_idle: 16,
    max_idle_age: INSTANCE_MAX_IDLE_AGE,
    input_bytes: 128 * 1024,
    output_bytes: 64 * 1024,
};
/// For writes: many at once, with short answers.
const WRITE_CONNECTIONS: ConnectionProfile = ConnectionProfile {
    max_idle: 256,
    max_idle_age: INSTANCE_MAX_IDLE_AGE,
    input_bytes: 16 * 1024,
    output_bytes: 16 * 1024,
};
/// For probes during an outage: none is kept.
const PROBE_CONNECTIONS: ConnectionProfile = ConnectionProfile {
    max_idle: 0,
    max_idle_age: Duration::ZERO,
    input_bytes: 128 * 1024,
    output_bytes: 64 * 1024,
};
/// A probe that finds no connection in this time makes way for the next one. A shorter
/// `conn_timeout_seconds` holds for probes too.
const PROBE_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The keys below `servicenow` that bound a request.
const INSTANCE_TIME_LIMITS: TimeLimitWords = TimeLimitWords {
    connect: "no connection in conn_timeout_seconds (of a probe 2 s at most)",
    read: "no data in read_timeout_seconds",
    write: "nothing could be sent in read_timeout_seconds",
    total: "no complete answer in timeout_seconds",
};

/// Name and value of the header that authenticates a request.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    /// Header name.
    pub(super) name: HeaderName,
    /// Header value, marked as sensitive.
    pub(super) value: HeaderValue,
    /// Grows with each token; 0 for fixed credentials.
    pub(super) generation: u64,
    /// Keeps it out of words while it may be quoted.
    pub(super) _hidden: HiddenSecret,
}

/// A request that is ready to go.
#[derive(Debug)]
pub(super) struct OutgoingRequest<'a> {
    /// HTTP method.
    pub(super) method: Method,
    /// Encoded path and query.
    pub(super) target: &'a str,
    /// Metric label.
    pub(super) endpoint: &'static str,
    /// What authenticates it. `None` for token requests; for others the client fills it in when it sends.
    pub(super) credential: Option<&'a Credential>,
    /// Its body.
    pub(super) payload: RequestPayload<'a>,
    /// As in [`ReadRequest`](super::request::ReadRequest).
    pub(super) optional: bool,
}

impl OutgoingRequest<'_> {
    /// The requests that it waits with while the instance is away.
    pub(super) fn kind(&self) -> RequestKind {
        match self.payload {
            RequestPayload::Form(_) => RequestKind::Login,
            RequestPayload::Json(_) => RequestKind::Write,
            RequestPayload::None if self.method == Method::DELETE => RequestKind::Write,
            RequestPayload::None => RequestKind::Read,
        }
    }
}

/// Which connection a request goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionChoice {
    /// One that is kept, if there is one.
    Kept,
    /// A new one, so that it tells whether the instance is there now.
    New,
}

/// The requests that may fail while those of another kind succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// Those that change nothing.
    Read,
    /// Those that change rows.
    Write,
    /// Those for an access token.
    Login,
}

/// Why an exchange brought no usable answer.
#[derive(Debug)]
pub(super) struct ExchangeFailure {
    /// The reason.
    pub(super) cause: InstanceFailure,
    /// The pause that the instance asked for in `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// When the request went out; `None` if it did not, or not whole.
    pub(super) sent: Option<Instant>,
    /// What the outcome says about the instance.
    pub(super) availability: Availability,
    /// Whether the instance is away, for all requests of this kind; filled in by the client.
    pub(super) outage: OutageSign,
}

impl ExchangeFailure {
    /// An answer came, but it is of no use.
    fn unusable(why: String) -> ExchangeFailure {
        ExchangeFailure {
            availability: Availability::Answers,
            ..InstanceFailure::Body(why).into()
        }
    }
}

impl From<InstanceFailure> for ExchangeFailure {
    fn from(cause: InstanceFailure) -> ExchangeFailure {
        ExchangeFailure {
            availability: cause.availability(None, false),
            cause,
            retry_after: None,
            sent: None,
            outage: OutageSign::None,
        }
    }
}

/// The connections to the instance, shared by all threads.
#[derive(Debug)]
pub(super) struct InstanceTransport {
    reads: StoppableAgent,
    writes: StoppableAgent,
    probes: StoppableAgent,
    base_url: String,
    host: String,
    /// What goes with each request beside the credential.
    headers: HeaderMap,
    /// Bytes.
    max_body: u64,
    /// Taken and dropped to end all requests, which `aborted` then tells.
    abort: Mutex<Option<StopTrigger>>,
    aborted: Stop,
    /// Keeps the proxy's password and the headers out of words.
    _hidden: Vec<HiddenSecret>,
    metrics: Arc<Metrics>,
}

impl InstanceTransport {
    /// Reads certificates; no network yet.
    pub(super) fn new(
        config: &config::ServiceNowConfig,
        metrics: &Arc<Metrics>,
    ) -> Result<InstanceTransport, Error> {
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        let uri: Uri = base_url
            .parse()
            .map_err(|why| Error::Setup(format!("servicenow.base_url: `{base_url}`: {why}")))?;
        let host = uri.host().unwrap_or_default().to_owned();
        let settings = agent_settings(config, uri.scheme_str() == Some("https"))?;
        let (abort, aborted) = stop::pair();
        Ok(InstanceTransport {
            reads: settings.agent(READ_CONNECTIONS, &aborted),
            writes: settings.agent(WRITE_CONNECTIONS, &aborted),
            probes: settings
                .connecting_within(PROBE_CONNECT_TIMEOUT)
                .agent(PROBE_CONNECTIONS, &aborted),
            base_url,
            host,
            headers: header_map(&config.headers)?,
            max_body: config.max_response_bytes,
            abort: Mutex::new(Some(abort)),
            aborted,
            _hidden: hidden_secrets(config),
            metrics: Arc::clone(metrics),
        })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Ends the requests under way; these and all later ones fail with [`Error::Stopped`].
    pub(super) fn abort(&self) {
        let trigger = self.abort.lock().take();
        drop(trigger);
    }

    /// The client was told to end its requests.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.is_stopped()
    }

    /// The error for `cause`, or [`Error::Stopped`] where the client was told to end its requests.
    pub(super) fn error(&self, asked: &AttemptedRequest, cause: InstanceFailure) -> Error {
        if self.aborted.is_stopped() {
            Error::Stopped
        } else {
            Error::request(asked, cause)
        }
    }

    /// Sends and waits for the head. Ok only for a 200 with JSON, and for a write that was done.
    pub(super) fn exchange(
        &self,
        out: &OutgoingRequest<'_>,
        connection: ConnectionChoice,
    ) -> Result<InstanceResponse, ExchangeFailure> {
        let method = out.method.as_str();
        self.metrics
            .api_requests
            .with(&[method, out.endpoint])
            .inc();
        let started = Instant::now();
        let sent = Cell::new(None);
        let result = self.send(out, connection, &sent);
        let latency = self.metrics.api_latency.with(&[method, out.endpoint]);
        latency.observe(started.elapsed().as_secs_f64());
        let mut label = None;
        let mut verdict = match result {
            Ok(response) => {
                label = (response.status() != 200).then(|| response.status().as_str().to_owned());
                self.judge(response, sent.get().unwrap_or(started), out)
            }
            Err(error) => {
                let error = TransportError::of_exchange(&error, &INSTANCE_TIME_LIMITS);
                Err(InstanceFailure::from(error).into())
            }
        };
        if let Err(failure) = &mut verdict {
            failure.sent = match out.payload {
                RequestPayload::None => Some(started),
                RequestPayload::Form(_) | RequestPayload::Json(_) => sent.get(),
            };
            let label = label.unwrap_or_else(|| failure.cause.metric_label().to_owned());
            self.count_error(method, &label);
        }
        verdict
    }

    /// Counts an error, by status or by kind where there is no status.
    pub(super) fn count_error(&self, method: &str, label: &str) {
        self.metrics.api_errors.with(&[method, label]).inc();
    }

    /// `sent` is set when the body is handed over.
    fn send(
        &self,
        out: &OutgoingRequest<'_>,
        connection: ConnectionChoice,
        sent: &Cell<Option<Instant>>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = Request::builder()
            .method(out.method.clone())
            .uri(format!("{}{}", self.base_url, out.target));
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&self.headers);
        }
        if let Some(credential) = out.credential {
            request = request.header(credential.name.clone(), credential.value.clone());
        }
        let agent = match connection {
            ConnectionChoice::New => &self.probes,
            ConnectionChoice::Kept if out.kind() == RequestKind::Write => &self.writes,
            ConnectionChoice::Kept => &self.reads,
        };
        let (kind, bytes) = match out.payload {
            RequestPayload::None => return agent.run(request.body(())?),
            RequestPayload::Form(form) => ("application/x-www-form-urlencoded", form.as_bytes()),
            RequestPayload::Json(json) => ("application/json", json),
        };
        let mut body = TrackedBody::new(bytes, sent);
        let request = request
            .header(header::CONTENT_TYPE, HeaderValue::from_static(kind))
            .header(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()))
            .body(SendBody::from_reader(&mut body))?;
        agent.run(request)
    }

    fn judge(
        &self,
        response: ureq::http::Response<ureq::Body>,
        sent: Instant,
        out: &OutgoingRequest<'_>,
    ) -> Result<InstanceResponse, ExchangeFailure> {
        let received = Instant::now();
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        let meta = ResponseHead {
            date: headers::date(&head.headers),
            sent,
            received,
            status,
            location: header_text(&head.headers, &header::LOCATION).map(str::to_owned),
            total_count: header_text(&head.headers, &HeaderName::from_static("x-total-count"))
                .and_then(|count| count.parse().ok()),
            limits: LimitHeaders::of(&head.headers),
        };
        let body = ResponseBody::new(body.into_with_config().limit(self.max_body).reader());
        // Of a write the status says whether it was done, not the body.
        let writes = out.kind() == RequestKind::Write;
        if writes && matches!(status, 201 | 204) {
            return Ok(InstanceResponse { meta, body });
        }
        if status == 200 && is_json(&head.headers) {
            // ureq takes this header away from what it inflates.
            return match header_text(&head.headers, &header::CONTENT_ENCODING) {
                None | Some("identity") => Ok(InstanceResponse { meta, body }),
                Some(other) => {
                    let why = format!("content encoding `{}` was not asked for", shown(other));
                    Err(ExchangeFailure::unusable(why))
                }
            };
        }
        let start = error_body::read_start(body);
        if writes && status == 200 && start.is_empty() {
            // A gateway that takes the body away may take its type as well.
            return Err(ExchangeFailure::unusable("the answer is empty".to_owned()));
        }
        let retry_after = headers::retry_after(&head.headers).or_else(|| match status {
            429 => headers::rate_limit_reset(&head.headers),
            _ => None,
        });
        let in_api_words = is_api_error(&start, out.kind() == RequestKind::Login);
        let cause = match self.cause_of_status(status, &head.headers, &start, retry_after) {
            InstanceFailure::Forbidden { words }
            | InstanceFailure::NotFound { words }
            | InstanceFailure::BadRequest { words, .. }
                if !in_api_words && is_refusal_on_the_way(status) =>
            {
                InstanceFailure::Foreign { status, words }
            }
            cause => cause,
        };
        let asks_for_pause = matches!(cause, InstanceFailure::RateLimited { .. });
        let availability = match cause.availability(Some(status), in_api_words) {
            Availability::Away | Availability::Suspect if out.optional && !asks_for_pause => {
                Availability::Unknown
            }
            availability => availability,
        };
        Err(ExchangeFailure {
            retry_after,
            availability,
            ..cause.into()
        })
    }

    fn cause_of_status(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> InstanceFailure {
        let words = || error_words(body);
        match status {
            200 => InstanceFailure::NotJson {
                content_type: match header_text(headers, &header::CONTENT_TYPE) {
                    Some(kind) => format!("`{}`", shown(kind)),
                    None => "no content type".to_owned(),
                },
                hibernating: contains_ignoring_case(body, b"hibernating"),
            },
            202 => InstanceFailure::NotExecuted,
            300..400 => InstanceFailure::Redirect {
                host: headers::redirect_host(headers)
                    .unwrap_or_else(|| format!("another page of {}", self.host)),
            },
            401 => InstanceFailure::Unauthorized { words: words() },
            403 => InstanceFailure::Forbidden { words: words() },
            404 => InstanceFailure::NotFound { words: words() },
            429 => InstanceFailure::RateLimited {
                wait: Duration::ZERO,
                words: words(),
            },
            503 if retry_after.is_some() => InstanceFailure::RateLimited {
                wait: Duration::ZERO,
                words: words(),
            },
            // These two are load balancers' words for "try again".
            408 | 425 => InstanceFailure::Server {
                status,
                words: words(),
            },
            400..500 => InstanceFailure::BadRequest {
                status,
                words: words(),
            },
            500..600 => InstanceFailure::Server {
                status,
                words: words(),
            },
            _ => InstanceFailure::Status { status },
        }
    }

    /// Why reading a body failed.
    pub(super) fn cause_of_read(&self, error: &io::Error) -> InstanceFailure {
        TransportError::of_body(error, &INSTANCE_TIME_LIMITS).into()
    }
}

impl From<TransportError> for InstanceFailure {
    fn from(error: TransportError) -> InstanceFailure {
        match error {
            TransportError::Timeout { limit, connecting } => InstanceFailure::Timeout {
                limit: limit.to_owned(),
                connecting,
            },
            TransportError::Network(why) => InstanceFailure::Network(why),
            TransportError::Tls(why) => InstanceFailure::Tls(why),
            TransportError::Unsendable(why) => InstanceFailure::Unsendable(why),
            TransportError::TooLarge(limit) => InstanceFailure::TooLarge { limit },
            TransportError::Damaged(why) => InstanceFailure::Body(why),
        }
    }
}

fn agent_settings(config: &config::ServiceNowConfig, https: bool) -> Result<AgentSettings, Error> {
    let proxy = config.proxy.as_ref();
    let needs_tls = https || proxy.is_some_and(|proxy| proxy.url.starts_with("https:"));
    let tls = needs_tls.then(|| http::tls_config("servicenow.tls", &config.tls));
    let proxy = proxy.map(|proxy| http::proxy("servicenow.proxy", proxy));
    Ok(AgentSettings {
        accept: "application/json",
        bounds: TimeBounds {
            total: config.timeout,
            connect: config.conn_timeout,
            silence: Some(config.read_timeout),
        },
        proxy: proxy.transpose().map_err(Error::Setup)?,
        tls: tls.transpose().map_err(Error::Setup)?,
        dns: DnsCache::default(),
    })
}

/// Whether a refusal with this status may be of something on the way. The others are about the request
/// itself, as its size, whatever answers.
fn is_refusal_on_the_way(status: u16) -> bool {
    !matches!(status, 400 | 406 | 409 | 411..=417 | 422 | 431)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = header_text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let mime = kind.split(';').next().unwrap_or_default().trim();
    mime.eq_ignore_ascii_case("application/json")
}

fn contains_ignoring_case(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
