//! One HTTP exchange with the instance: the agent and its bounds, and the verdict on an answer.

mod agent;
mod payload;

use std::cell::Cell;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use ureq::{Agent, BodyReader, SendBody};

pub(super) use self::payload::RequestPayload;

use self::agent::{MAX_RESPONSE_HEAD_BYTES, READ_CONNECTIONS, WRITE_CONNECTIONS};
use self::payload::TrackedBody;
use super::error::{AttemptedRequest, Error, InstanceFailure};
use super::error_body::{error_words, shown};
use super::{InstanceResponse, ResponseBody, ResponseHead, rate_limit};
use crate::config;
use crate::metrics::Metrics;

/// Bytes of an error's body that are read, so that its connection can be used again.
const MAX_ERROR_BODY_BYTES: u64 = 16 * 1024;

/// Name and value of the header that authenticates a request.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    /// Header name.
    pub(super) name: HeaderName,
    /// Header value, marked as sensitive.
    pub(super) value: HeaderValue,
    /// Grows with each token; 0 for fixed credentials.
    pub(super) generation: u64,
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
    /// None only for token requests.
    pub(super) credential: Option<&'a Credential>,
    /// Its body.
    pub(super) payload: RequestPayload<'a>,
}

impl OutgoingRequest<'_> {
    /// It changes rows: what was done is said by the status, not by the body.
    fn writes(&self) -> bool {
        self.method == Method::DELETE || matches!(self.payload, RequestPayload::Json(_))
    }
}

/// Why an exchange brought nothing.
#[derive(Debug)]
pub(super) struct ExchangeFailure {
    /// The reason.
    pub(super) cause: InstanceFailure,
    /// What the instance asked for in `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// When the request went out; `None` if it did not, or not whole.
    pub(super) sent: Option<Instant>,
}

impl From<InstanceFailure> for ExchangeFailure {
    fn from(cause: InstanceFailure) -> ExchangeFailure {
        ExchangeFailure {
            cause,
            retry_after: None,
            sent: None,
        }
    }
}

/// The agents, shared by all threads.
#[derive(Debug)]
pub(super) struct InstanceTransport {
    reads: Agent,
    writes: Agent,
    base_url: String,
    host: String,
    max_body: u64,
    aborted: AtomicBool,
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
        let https = uri.scheme_str() == Some("https");
        let (reads, writes) = (
            agent::new(config, https, &READ_CONNECTIONS)?,
            agent::new(config, https, &WRITE_CONNECTIONS)?,
        );
        let metrics = Arc::clone(metrics);
        let aborted = AtomicBool::new(false);
        Ok(InstanceTransport {
            reads,
            writes,
            base_url,
            host,
            max_body: config.max_response_bytes,
            aborted,
            metrics,
        })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Ends what is running; everything after fails with [`Error::Stopped`].
    pub(super) fn abort(&self) {
        self.aborted.store(true, SeqCst);
        // Clones share their connections: this closes them all, and the pool for good.
        self.reads.clone().shutdown();
        self.writes.clone().shutdown();
    }

    /// The error for `cause`, or that the program is stopping if that is why.
    pub(super) fn error(&self, asked: &AttemptedRequest, cause: InstanceFailure) -> Error {
        if self.aborted.load(SeqCst) {
            Error::Stopped
        } else {
            Error::request(asked, cause)
        }
    }

    /// Sends and waits for the head. Ok only for a 200 with JSON, and for a write that was done.
    pub(super) fn exchange(
        &self,
        out: &OutgoingRequest<'_>,
    ) -> Result<InstanceResponse, ExchangeFailure> {
        let method = out.method.as_str();
        self.metrics
            .api_requests
            .with(&[method, out.endpoint])
            .inc();
        let started = Instant::now();
        let sent = Cell::new(None);
        let result = self.send(out, &sent);
        let latency = self.metrics.api_latency.with(&[method, out.endpoint]);
        latency.observe(started.elapsed().as_secs_f64());
        let mut label = None;
        let mut verdict = match result {
            Ok(response) => {
                label = (response.status() != 200).then(|| response.status().as_str().to_owned());
                self.judge(response, sent.get().unwrap_or(started), out.writes())
            }
            Err(error) => Err(cause_of(&error, self.max_body).into()),
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
        sent: &Cell<Option<Instant>>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = Request::builder()
            .method(out.method.clone())
            .uri(format!("{}{}", self.base_url, out.target));
        if let Some(credential) = out.credential {
            request = request.header(credential.name.clone(), credential.value.clone());
        }
        let agent = if out.writes() {
            &self.writes
        } else {
            &self.reads
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
        writes: bool,
    ) -> Result<InstanceResponse, ExchangeFailure> {
        let received = Instant::now();
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        let meta = ResponseHead {
            date: text(&head.headers, &header::DATE).and_then(rate_limit::http_date),
            sent,
            received,
            status,
            location: text(&head.headers, &header::LOCATION).map(shown),
            total_count: text(&head.headers, &HeaderName::from_static("x-total-count"))
                .and_then(|count| count.parse().ok()),
        };
        let body = ResponseBody(body.into_with_config().limit(self.max_body).reader());
        if writes && matches!(status, 201 | 204) {
            return Ok(InstanceResponse { meta, body });
        }
        if status == 200 && is_json(&head.headers) {
            // ureq takes this header away from what it inflates.
            return match text(&head.headers, &header::CONTENT_ENCODING) {
                None | Some("identity") => Ok(InstanceResponse { meta, body }),
                Some(other) => {
                    let why = format!("content encoding `{}` was not asked for", shown(other));
                    Err(InstanceFailure::Body(why).into())
                }
            };
        }
        let start = read_start(body);
        let retry_after = text(&head.headers, &header::RETRY_AFTER).and_then(|value| {
            rate_limit::retry_after(value, meta.date.unwrap_or_else(now_seconds))
        });
        let cause = self.cause_of_status(status, &head.headers, &start, retry_after);
        Err(ExchangeFailure {
            retry_after,
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
                content_type: match text(headers, &header::CONTENT_TYPE) {
                    Some(kind) => format!("`{}`", shown(kind)),
                    None => "no content type".to_owned(),
                },
                hibernating: contains_ignoring_case(body, b"hibernating"),
            },
            202 => InstanceFailure::NotExecuted,
            300..400 => InstanceFailure::Redirect {
                host: self.redirect_host(headers),
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

    /// Only the host: the rest of a Location may carry secrets.
    fn redirect_host(&self, headers: &HeaderMap) -> String {
        let location = text(headers, &header::LOCATION).and_then(|to| to.parse::<Uri>().ok());
        match location.as_ref().and_then(Uri::host) {
            Some(host) => shown(host),
            None => format!("another page of {}", self.host),
        }
    }

    /// Why reading a body failed.
    pub(super) fn cause_of_read(&self, error: &io::Error) -> InstanceFailure {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<ureq::Error>());
        match inner {
            Some(inner) => match cause_of(inner, self.max_body) {
                InstanceFailure::Network(why) => InstanceFailure::Body(why),
                cause => cause,
            },
            None => InstanceFailure::Body(error.to_string()),
        }
    }
}

fn cause_of(error: &ureq::Error, max_body: u64) -> InstanceFailure {
    use ureq::Timeout;
    match error {
        ureq::Error::Timeout(limit) => InstanceFailure::Timeout {
            connecting: matches!(limit, Timeout::Resolve | Timeout::Connect),
            limit: match limit {
                Timeout::Resolve | Timeout::Connect => "no connection in conn_timeout_seconds",
                Timeout::PerRead => "no data in read_timeout_seconds",
                Timeout::PerWrite => "nothing could be sent in read_timeout_seconds",
                _ => "no complete answer in timeout_seconds",
            }
            .to_owned(),
        },
        ureq::Error::Io(error) => cause_of_io(error),
        ureq::Error::HostNotFound => InstanceFailure::Network("host not found".to_owned()),
        ureq::Error::ConnectProxyFailed(why) => {
            InstanceFailure::Network(format!("proxy: {}", shown(why)))
        }
        ureq::Error::Tls(why) => InstanceFailure::Tls((*why).to_owned()),
        ureq::Error::Rustls(why) => InstanceFailure::Tls(why.to_string()),
        ureq::Error::BodyExceedsLimit(_) => InstanceFailure::TooLarge { limit: max_body },
        ureq::Error::LargeResponseHeader(..) => InstanceFailure::Body(format!(
            "the head is larger than {MAX_RESPONSE_HEAD_BYTES} bytes"
        )),
        ureq::Error::Http(why) => InstanceFailure::BadRequest {
            status: 400,
            words: why.to_string(),
        },
        ureq::Error::BadUri(_) => InstanceFailure::BadRequest {
            status: 400,
            words: "the URL cannot be sent".to_owned(),
        },
        other => InstanceFailure::Body(shown(&other.to_string())),
    }
}

fn cause_of_io(error: &io::Error) -> InstanceFailure {
    let rustls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match rustls {
        Some(why) => InstanceFailure::Tls(why.to_string()),
        None if error.kind() == io::ErrorKind::TimedOut => InstanceFailure::Timeout {
            limit: "the connection timed out".to_owned(),
            connecting: true,
        },
        None => InstanceFailure::Network(error.to_string()),
    }
}

/// The start of an error's body. What cannot be read is left out; the status says enough.
fn read_start(body: ResponseBody) -> Vec<u8> {
    let mut start = Vec::new();
    match body.take(MAX_ERROR_BODY_BYTES).read_to_end(&mut start) {
        Ok(_) => start,
        Err(_) => Vec::new(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let mime = kind.split(';').next().unwrap_or_default().trim();
    mime.eq_ignore_ascii_case("application/json")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn contains_ignoring_case(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

/// This host's clock, for answers without a Date.
fn now_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}

impl ResponseBody {
    /// The body in whole.
    pub(super) fn read_all(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for ResponseBody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

/// What [`ResponseBody`] wraps.
pub(super) type OwnedBodyReader = BodyReader<'static>;
